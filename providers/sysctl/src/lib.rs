//! The provider `sysctl`: settings of the kernel, as they hold now and as a file keeps them.
//!
//! It knows `/proc/sys` and `/etc/sysctl.d`, runs nothing, and keeps no state of its own.

mod later;
mod manifest;
mod setting;
mod state;

use rectify_sdk::{
    Context, Found, Provider,
    crash::{At, reached},
    protocol::{
        ErrorCode, ItemError, Manifest, Mutated,
        message::{Applied, Apply, ApplyStatus, DesiredItem, PlanAnswer, PlanItem, ReadAnswer, ReadItem},
    },
};
use setting::{Setting, Want};
use state::{Look, State};

/// Settings that can be made stricter and never looser again, until the next boot.
const ONE_WAY: &[&str] = &[
    "kernel.modules_disabled",
    "kernel.kexec_load_disabled",
    "kernel.unprivileged_bpf_disabled",
    "kernel.io_uring_disabled",
    "kernel.yama.ptrace_scope",
];

/// The provider.
#[must_use]
pub fn provider() -> impl Provider {
    SysctlProvider
}

struct SysctlProvider;

impl Provider for SysctlProvider {
    fn manifest(&self) -> Manifest {
        manifest::manifest()
    }

    fn validate(&self, _cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        match setting::read(&item.desired)? {
            (setting, Want::Back(restore)) => State::of(restore.state.as_ref(), &setting).map(drop),
            _ => Ok(()),
        }
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        let (setting, _) = named(&item.desired)?;
        Ok(ReadAnswer { state: state::look(cx, &setting)?.state.value()?, before_image: None })
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        let (setting, want) = setting::read(&item.desired)?;
        let look = state::look(cx, &setting)?;
        let prior = match &item.prior {
            None => look.state.clone(),
            Some(predicted) => State::of(predicted.state.as_ref(), &setting)?,
        };
        let goal = goal(cx, &setting, &want, &prior)?;
        if let Want::Present { value, .. } = &want {
            later::refuse(cx, &setting, value)?;
        }
        let resolved = vec![format!("path:{}", setting.path())];
        let resolved = if item.desired.contains_key("file") { Vec::new() } else { resolved };
        if goal == prior {
            return Ok(PlanAnswer::Unchanged { state: prior.value()?, resolved });
        }
        if goal.file.is_some() && look.folder.is_none() {
            return Err(ItemError::new(
                ErrorCode::Failed,
                format!("the directory {} does not exist", setting::DIRECTORY),
            )
            .at("/file")
            .hint("make it with `file.directory`, then plan again"));
        }
        let (undo, undo_note) = undo(&setting, &prior, &goal, &look);
        Ok(PlanAnswer::Changed {
            prior: prior.value()?,
            planned: goal.value()?,
            prediction: "exact".into(),
            disruption: Vec::new(),
            undo: undo.into(),
            undo_note,
            resolved,
        })
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        let (setting, want) = setting::read(&op.desired)?;
        let look = state::look(cx, &setting)?;
        let found = look.state.value()?;
        let already = || Ok(Applied { status: ApplyStatus::Already, state: found.clone(), output: None });
        if cx.compare(op, found.as_ref())? == Found::Result {
            return already();
        }
        let goal = goal(cx, &setting, &want, &look.state)?;
        agrees_with_plan(cx, op, &goal)?;
        if goal == look.state {
            return already();
        }
        change(cx, &setting, &look, &goal)?;
        let after = state::look(cx, &setting).map_err(|error| error.mutated(Mutated::Yes))?;
        Ok(Applied { status: ApplyStatus::Applied, state: after.state.value()?, output: None })
    }
}

/// The setting that properties name; what they say of its value does not matter here.
fn named(desired: &serde_json::Map<String, serde_json::Value>) -> Result<(Setting, Want), ItemError> {
    let naming = desired.iter().filter(|(name, _)| matches!(name.as_str(), "key" | "file"));
    let mut naming: serde_json::Map<_, _> =
        naming.map(|(name, value)| (name.clone(), value.clone())).collect();
    naming.insert("state".into(), "absent".into());
    setting::read(&naming)
}

/// What should be, given what is. Pure.
fn goal(cx: &Context, setting: &Setting, want: &Want, prior: &State) -> Result<State, ItemError> {
    match want {
        Want::Absent => Ok(State { file: None, ..prior.clone() }),
        Want::Back(restore) => {
            let back = State::of(restore.state.as_ref(), setting)?;
            // What there was not cannot be brought back; what holds now stays then.
            Ok(State { live: back.live.clone().or_else(|| prior.live.clone()), ..back })
        }
        Want::Present { value, live } => {
            let mut goal = prior.clone().keeping(setting, value);
            if *live {
                if cx.root().is_some() {
                    let message = "the target is a directory, where no kernel has settings";
                    return Err(ItemError::new(ErrorCode::Unsupported, message)
                        .at("/live")
                        .hint("say `live: false` to write the file only"));
                }
                if prior.live.is_none() {
                    let message = format!("this kernel has no setting `{}`", setting.key);
                    return Err(ItemError::new(ErrorCode::Failed, message).at("/key").hint(
                        "load the module that has it in a step before, or say `live: false` to write the file only",
                    ));
                }
                goal.live = Some(value.clone());
            }
            Ok(goal)
        }
    }
}

fn undo(setting: &Setting, prior: &State, goal: &State, look: &Look) -> (&'static str, Option<String>) {
    if prior.live != goal.live && ONE_WAY.contains(&setting.key.as_str()) {
        return ("none", Some(format!("`{}` cannot be loosened again before the next boot", setting.key)));
    }
    let owner = look.folder.as_ref().and_then(|folder| folder.owned().ok());
    let foreign = look
        .file
        .as_ref()
        .zip(owner)
        .is_some_and(|(file, folder)| (file.owned.uid, file.owned.gid) != (folder.uid, folder.gid));
    if goal.file.is_none() && foreign {
        return ("lossy", Some("the owner of the file is not brought back".into()));
    }
    ("exact", None)
}

/// What would be written must have the fingerprint that was signed, or nothing is written.
fn agrees_with_plan(cx: &Context, op: &Apply, goal: &State) -> Result<(), ItemError> {
    let Some(result) = op.result else { return Ok(()) };
    let version = cx.manifest().descriptor(&op.type_name).map_or(1, |descriptor| descriptor.version);
    if cx.fingerprint(&op.type_name, version, goal.value()?.as_ref())? == result {
        return Ok(());
    }
    Err(ItemError::new(ErrorCode::Stale, "what would be written is not what the plan says")
        .hint("make a new plan"))
}

/// The kernel first: it may refuse a value, and nothing is to be kept that it refuses.
fn change(cx: &Context, setting: &Setting, look: &Look, goal: &State) -> Result<(), ItemError> {
    let live = goal.live.as_ref().filter(|value| look.state.live.as_ref() != Some(*value));
    if let Some(value) = live {
        reached(At::Prepared);
        set_and_see(setting, value, look.state.live.as_deref())?;
    }
    if goal.file == look.state.file {
        reached(At::Done);
        return Ok(());
    }
    let written = write_file(cx, setting, look, goal);
    let Err(error) = written else { return Ok(()) };
    if error.mutated != Mutated::No || live.is_none() {
        return Err(error);
    }
    // Only one of the two is done: it is taken back.
    let before = look.state.live.as_deref().unwrap_or_default();
    match set_and_see(setting, before, None) {
        Ok(()) => Err(error),
        Err(_) => Err(ItemError { code: ErrorCode::Partial, ..error }
            .mutated(Mutated::Yes)
            .hint(format!("`{}` was changed and could not be set back to `{before}`", setting.key))),
    }
}

/// Sets a value, and looks whether the kernel has it. If not, what was there before is set again.
fn set_and_see(setting: &Setting, value: &str, before: Option<&str>) -> Result<(), ItemError> {
    state::set_live(setting, value)?;
    let shown = state::live(setting).map_err(|error| error.mutated(Mutated::Yes))?;
    if shown.as_deref() == Some(value) {
        return Ok(());
    }
    let shown = shown.unwrap_or_default();
    let back = before.is_some_and(|before| state::set_live(setting, before).is_ok());
    Err(ItemError::new(
        ErrorCode::Failed,
        format!("the kernel took `{value}` for `{}` and shows `{shown}`", setting.key),
    )
    .at("/value")
    .hint("write the value as the kernel shows it")
    .mutated(if back { Mutated::No } else { Mutated::Yes }))
}

fn write_file(cx: &Context, setting: &Setting, look: &Look, goal: &State) -> Result<(), ItemError> {
    let folder = look.folder.as_ref().ok_or_else(|| {
        ItemError::new(ErrorCode::Failed, format!("the directory {} does not exist", setting::DIRECTORY))
            .at("/file")
    })?;
    match (&goal.file, &look.file) {
        (Some(kept), found) => {
            let owned = state::owned(look, kept, folder)?;
            folder.replace(cx, &setting.file, found.as_ref(), kept.text.as_bytes(), owned)
        }
        (None, Some(found)) => folder.remove(&setting.file, found),
        (None, None) => Ok(()),
    }
}
