//! `service.unit_file`: a unit file or drop-in of the administrator's, read by systemd once it is there.

use crate::{
    manager::Manager,
    name::{self, Place, wrong},
    resource::{Goal, Remarks, Resource, restore_of, typed, written},
};
use rectify_sdk::{
    Context, Folder, Owned, SmallFile,
    protocol::{
        ErrorCode, ItemError, Mutated,
        message::{Mode, Restore},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::Path;

/// Longest file that is read or written.
pub(crate) const FILE_MAX_BYTES: u64 = 65_536;
/// Mode of a new file.
const NEW_MODE: &str = "0644";
/// Mode of a new directory of drop-ins.
const DIRECTORY_MODE: u32 = 0o755;

/// The state on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    path: String,
    text: String,
    mode: String,
}

impl State {
    fn mode(&self) -> Option<u32> {
        let digits = self.mode.strip_prefix('0').filter(|digits| matches!(digits.len(), 3 | 4))?;
        u32::from_str_radix(digits, 8).ok()
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Presence {
    #[default]
    Present,
    Absent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Properties {
    path: String,
    content: Option<String>,
    #[serde(default)]
    state: Presence,
}

/// The file as it was looked at.
struct Look {
    /// Where unit files lie; `None`: there is no such directory.
    folder: Option<Folder>,
    /// The directory that the file lies in.
    inner: Option<Folder>,
    file: Option<SmallFile>,
}

/// A unit file, and what is asked for.
pub(crate) struct UnitFile {
    properties: Properties,
    place: Place,
    restore: Option<Restore>,
    bus: Option<String>,
    look: Option<Look>,
}

impl UnitFile {
    /// Reads properties, without looking at anything.
    pub(crate) fn new(desired: &Map<String, Value>) -> Result<Self, ItemError> {
        let mut desired = desired.clone();
        let restore = restore_of(&mut desired)?;
        let properties: Properties = typed(Value::Object(desired))?;
        let place = Place::read(&properties.path)?;
        let this = Self { properties, place, restore, bus: None, look: None };
        if let Some(restore) = &this.restore {
            return restore.state.as_ref().map_or(Ok(()), |state| this.known(state).map(drop)).map(|()| this);
        }
        match (this.properties.state, &this.properties.content) {
            (Presence::Present, None) => Err(wrong("the content is missing", "/content")),
            (Presence::Absent, Some(_)) => {
                Err(wrong("a file that is to be absent has no content", "/content"))
            }
            (Presence::Present, Some(text)) => check(text).map(|()| this),
            (Presence::Absent, None) => Ok(this),
        }
    }

    /// Looks.
    pub(crate) fn seen(mut self, cx: &Context, bus: Option<&str>) -> Result<Self, ItemError> {
        self.bus = bus.map(str::to_owned);
        self.look = Some(self.look_at(cx)?);
        Ok(self)
    }

    fn look_at(&self, cx: &Context) -> Result<Look, ItemError> {
        let Some(folder) = Folder::open(cx.root(), Path::new(self.place.directory))? else {
            return Ok(Look { folder: None, inner: None, file: None });
        };
        let inner = match self.place.inner() {
            None => Folder::open(cx.root(), Path::new(self.place.directory))?,
            Some(name) => {
                if cx.mode() == Mode::Apply {
                    folder.clear(&name)?;
                }
                folder.inside(&name)?
            }
        };
        let file =
            inner.as_ref().map(|inner| inner.read(self.place.file(), FILE_MAX_BYTES)).transpose()?.flatten();
        if file.as_ref().is_some_and(|file| file.owned.mode & 0o004 == 0) {
            let message =
                format!("others may not read `{}`, so it is no file for this type", self.properties.path);
            return Err(ItemError::new(ErrorCode::Unsupported, message)
                .at("/path")
                .hint("write it with `file.content`, which keeps its text secret"));
        }
        Ok(Look { folder: Some(folder), inner, file })
    }

    fn found(&self) -> Result<Option<State>, ItemError> {
        self.look.as_ref().and_then(|look| look.file.as_ref()).map(|file| self.state_of(file)).transpose()
    }

    fn state_of(&self, file: &SmallFile) -> Result<State, ItemError> {
        let text = String::from_utf8(file.bytes.clone()).map_err(|_| {
            ItemError::new(ErrorCode::Unsupported, format!("`{}` is not text", self.properties.path))
                .at("/path")
        })?;
        Ok(State { path: self.properties.path.clone(), text, mode: format!("0{:03o}", file.owned.mode) })
    }

    fn known(&self, state: &Value) -> Result<State, ItemError> {
        let state: State = typed(state.clone())?;
        let sound = state.path == self.properties.path && state.mode().is_some();
        if sound { Ok(state) } else { Err(wrong("the given state is about another file", "")) }
    }

    /// Puts the file in place, or takes it away.
    fn write(&self, cx: &Context, look: &Look, goal: Option<&State>) -> Result<(), ItemError> {
        let missing = || {
            let message = format!("the directory {} does not exist", self.place.directory);
            ItemError::new(ErrorCode::Failed, message).at("/path").hint("is systemd installed here?")
        };
        let folder = look.folder.as_ref().ok_or_else(missing)?;
        let Some(goal) = goal else {
            let (Some(inner), Some(file)) = (&look.inner, &look.file) else { return Ok(()) };
            return match self.place.inner() {
                Some(name) => folder.remove_with_directory(&name, inner, self.place.file(), file),
                None => inner.remove(self.place.file(), file),
            };
        };
        let made;
        let inner = match (&look.inner, self.place.inner()) {
            (Some(inner), _) => inner,
            (None, Some(name)) => {
                made = folder.make(cx, &name, Owned { mode: DIRECTORY_MODE, ..folder.owned()? })?;
                &made
            }
            (None, None) => folder,
        };
        let mode = goal.mode().ok_or_else(|| ItemError::new(ErrorCode::Internal, "the file has no mode"))?;
        let owned = match &look.file {
            Some(file) => file.owned,
            None => folder.owned()?,
        };
        inner.replace(
            cx,
            self.place.file(),
            look.file.as_ref(),
            goal.text.as_bytes(),
            Owned { mode, ..owned },
        )
    }

    /// Lets systemd read the file, and asks what it thinks of it.
    fn read_anew(&self, manager: &Manager) -> Result<(), ItemError> {
        manager.reload()?;
        if name::is_template(&self.place.unit) {
            return Ok(());
        }
        let seen = manager.unit(&self.place.unit)?;
        if !matches!(seen.load.as_str(), "bad-setting" | "error") {
            return Ok(());
        }
        let why = if seen.load_error.is_empty() { seen.load } else { seen.load_error };
        let message =
            format!("systemd does not load `{}` with it: {}", self.place.unit, why.trim_end_matches('.'));
        Err(ItemError::new(ErrorCode::Failed, message)
            .at("/content")
            .mutated(Mutated::Yes)
            .hint("`systemd-analyze verify FILE` says what is wrong with a unit file"))
    }
}

fn check(text: &str) -> Result<(), ItemError> {
    if text.contains('\0') {
        return Err(wrong("a NUL character cannot be in a unit file", "/content"));
    }
    if text.len() as u64 > FILE_MAX_BYTES {
        return Err(wrong(format!("a unit file has at most {FILE_MAX_BYTES} bytes"), "/content"));
    }
    Ok(())
}

impl Resource for UnitFile {
    fn state(&self) -> Result<Option<Value>, ItemError> {
        self.found()?.map(|state| written(&state)).transpose()
    }

    fn goal(&self, prior: Option<&Value>) -> Result<Goal, ItemError> {
        let prior = prior.map(|prior| self.known(prior)).transpose()?;
        let goal = match (&self.restore, &self.properties.content) {
            (Some(restore), _) => restore.state.as_ref().map(|state| self.known(state)).transpose()?,
            (None, None) => None,
            (None, Some(content)) => {
                let mode = prior.map_or_else(|| NEW_MODE.to_owned(), |prior| prior.mode);
                Some(State { path: self.properties.path.clone(), text: content.clone(), mode })
            }
        };
        Ok(Goal { state: goal.map(|goal| written(&goal)).transpose()?, sure: true })
    }

    fn remarks(&self, _prior: Option<&Value>, goal: Option<&Value>) -> Result<Remarks, ItemError> {
        let look = self.look.as_ref();
        let foreign =
            look.and_then(|look| Some((look.file.as_ref()?.owned, look.folder.as_ref()?.owned().ok()?)));
        let lost = foreign.is_some_and(|(file, folder)| (file.uid, file.gid) != (folder.uid, folder.gid));
        let lost = (goal.is_none() && lost).then(|| "the owner of the file is not brought back".to_owned());
        Ok(Remarks { disruption: Vec::new(), lost })
    }

    fn change(&self, cx: &Context, goal: Option<&Value>) -> Result<(), ItemError> {
        let look = self.look.as_ref();
        let look = look.ok_or_else(|| ItemError::new(ErrorCode::Internal, "nobody looked"))?;
        let (found, goal) = (self.found()?, goal.map(|goal| self.known(goal)).transpose()?);
        // A bus that does not answer is found before anything is written.
        let manager = if cx.root().is_none() { Some(Manager::open(self.bus.as_deref())?) } else { None };
        self.write(cx, look, goal.as_ref())?;
        let Some(manager) = manager else { return Ok(()) };
        let Err(error) = self.read_anew(&manager) else { return Ok(()) };
        let taken_back = self
            .look_at(cx)
            .and_then(|look| self.write(cx, &look, found.as_ref()))
            .and_then(|()| manager.reload());
        Err(error.mutated(if taken_back.is_ok() { Mutated::No } else { Mutated::Yes }))
    }
}
