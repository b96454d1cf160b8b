//! Bringing a run that was cut off to its end, as a person would, and what must be true then.

use super::{
    area::{Area, Ran},
    journal::{Journal, Known, exit_code, journal, runs},
};
use crate::{random::Random, run::root, tree::Tree};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    time::Duration,
};

/// More than a run ever needs.
const TRIES: usize = 12;
/// A provider that lost its engine may finish what it does.
const ORPHANS: Duration = Duration::from_secs(20);

/// The plan of `rectify undo`, in every area that has one.
pub const UNDO_PLAN: &str = "undo.plan.json";

const PYTHON: &str = "/usr/bin/python3";
/// It shares no code with ours.
const SECOND_VERIFIER: &str = "conformance/audit/verify.py";

/// What a run may come to.
pub struct Expected<'a> {
    /// Words for how it may end.
    pub outcomes: &'a [&'a str],
    /// What the root directory holds then.
    pub tree: &'a Tree,
    /// What it held before.
    pub before: &'a Tree,
    /// What it may hold on the way.
    pub after: &'a Tree,
    /// How often each command had its effect, exactly; `None` where that is judged elsewhere.
    pub counters: Option<&'a [(&'a str, usize)]>,
    /// Whether the run may instead end with everything taken back: a provider that dies may fail
    /// steps that were not begun.
    pub or_undone: bool,
    /// Whether it may instead fail before it changed anything: what was there then.
    pub or_failed: Option<(&'a Tree, &'a BTreeMap<String, usize>)>,
}

/// What happened on the way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    /// Calls of `resume` until the end.
    pub resumes: u32,
    /// Steps that a person had to decide.
    pub resolved: u32,
    /// The run left nothing in the journal, and was begun anew.
    pub anew: bool,
    /// Directories of ended sessions that nobody removed.
    pub litter: usize,
}

/// The run in question: the newest, unless it was there before.
fn newest(area: &Area, known: &BTreeSet<String>) -> Result<Option<String>, String> {
    Ok(runs(area)?.into_iter().map(|run| run.id).find(|id| !known.contains(id)))
}

/// Ids of the runs that are there.
pub fn known(area: &Area) -> Result<BTreeSet<String>, String> {
    Ok(runs(area)?.into_iter().map(|run| run.id).collect())
}

/// Brings the run to its end and judges it. `first` is what the call came to that was disturbed.
///
/// # Errors
/// Every violation, a line each.
pub fn judge(
    area: &Area,
    plan: &str,
    first: Ran,
    known_before: &BTreeSet<String>,
    expected: &Expected<'_>,
    mut again: Option<&mut Random>,
) -> Result<Way, Vec<String>> {
    let mut violations = Vec::new();
    let mut way = Way::default();
    let one = |message: String| vec![message];
    whole(&settled(area).map_err(one)?, expected, "after the kill", &mut violations);
    let mut last = first;
    let run = match newest(area, known_before).map_err(one)? {
        Some(run) => run,
        None => {
            way.anew = true;
            last = area.rectify(&["-C", "project", "apply", plan]).map_err(one)?;
            let run = newest(area, known_before).map_err(one)?;
            run.ok_or_else(|| vec!["applying again began no run".into()])?
        }
    };
    let mut state = journal(area, &run).map_err(one)?;
    for _ in 0..TRIES {
        let killed = last.code.is_none();
        if exit_code(&state.outcome).is_some() && state.outcome != "needs_operator" && !killed {
            break;
        }
        if state.outcome == "needs_operator" {
            way.resolved += resolve(area, &run, plan == UNDO_PLAN, &state).map_err(one)?;
        }
        // Sometimes whoever resumes is killed too.
        let killer = again.as_deref_mut().and_then(|random| random.chance(30).then_some(random));
        if let Some(random) = killer {
            let child = area.start(&["-C", "project", "resume", &run], &[]).map_err(one)?;
            let pause = Duration::from_millis(random.next() % 400);
            last = kill_after(area, child, pause, random).map_err(one)?;
        } else {
            last = area.rectify(&["-C", "project", "resume", &run]).map_err(one)?;
        }
        way.resumes += 1;
        whole(&settled(area).map_err(one)?, expected, "after a resume", &mut violations);
        state = journal(area, &run).map_err(one)?;
        if last.code == Some(8) {
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    ended(area, &run, &state, &last, expected, &mut violations).map_err(one)?;
    if violations.is_empty() {
        twice(area, &run, &state, &last, &mut violations).map_err(one)?;
        audit(area, &mut violations).map_err(one)?;
    }
    way.litter = std::fs::read_dir(area.path("tmp")).map_or(0, Iterator::count);
    if violations.is_empty() { Ok(way) } else { Err(violations) }
}

/// Kills a call after a while: the engine, or one of its providers if the numbers say so.
pub fn kill_after(
    area: &Area,
    mut child: std::process::Child,
    pause: Duration,
    random: &mut Random,
) -> Result<Ran, String> {
    use nix::{
        sys::signal::{Signal, kill, killpg},
        unistd::Pid,
    };
    std::thread::sleep(pause);
    let engine = i32::try_from(child.id()).map_err(|e| e.to_string())?;
    if random.chance(50) {
        drop(child.kill());
        area.note(&format!("(the engine is killed after {} ms)", pause.as_millis()));
    } else {
        let provider = |pid: &i32| *pid != engine && serves(*pid);
        let providers: Vec<i32> = area.processes().into_iter().filter(provider).collect();
        if !providers.is_empty()
            && let Some(provider) = providers.get(random.below(providers.len()))
        {
            let _ = killpg(Pid::from_raw(*provider), Signal::SIGKILL);
            let _ = kill(Pid::from_raw(*provider), Signal::SIGKILL);
            area.note(&format!("(process {provider} is killed after {} ms)", pause.as_millis()));
        }
    }
    area.end(child)
}

/// Whether a process is a provider. Who kills a command decides how it ended, and who kills the evaluation
/// of a policy has said no: those are ends of their own, which other tests know.
fn serves(pid: i32) -> bool {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = words.split(|byte| *byte == 0);
    words.any(|word| word == b"provider") && words.next() == Some(b"serve")
}

/// Decides what only a person can: by looking whether the command had its effect.
fn resolve(area: &Area, run: &str, undoes: bool, state: &Journal) -> Result<u32, String> {
    // Whoever decides looks first whether it still runs.
    area.quiet(ORPHANS).map_err(|left| format!("processes still run when a person must decide: {left:?}"))?;
    let mut resolved = 0;
    let forth = if undoes { ".undo" } else { "" };
    for (states, suffix, flag) in [(&state.steps, forth, None), (&state.back, ".undo", Some("--undo"))] {
        for (node, _) in states.iter().filter(|(_, known)| **known != Known::Ended) {
            let step = node.rsplit(['/', ':']).next().unwrap_or(node);
            let count = area.counters()?.get(&format!("{step}{suffix}")).copied().unwrap_or(0);
            let verdict = match count {
                0 => "retry",
                1 => "succeeded",
                _ => return Err(format!("{node}: the command had its effect {count} times")),
            };
            let words =
                ["-C", "project", "resolve", run, node, "--as", verdict, "--reason", "the counter says so"];
            let words: Vec<&str> = words.into_iter().chain(["--key", "id_ed25519"]).chain(flag).collect();
            area.expect(0, &words)?;
            resolved += 1;
        }
    }
    if resolved == 0 {
        return Err("a person is asked for, and no step says what for".into());
    }
    Ok(resolved)
}

/// What is there. Tools that change a machine take a moment and come to their end, whoever is killed; of files
/// every moment counts.
fn settled(area: &Area) -> Result<Tree, String> {
    if area.machine().is_some() {
        area.quiet(ORPHANS).map_err(|left| format!("processes are left after a kill: {left:?}"))?;
    }
    area.tree()
}

/// Every path is as it was before, or as it will be: never a mix.
fn whole(now: &Tree, expected: &Expected<'_>, when: &str, violations: &mut Vec<String>) {
    let (before, after) = (&expected.before.0, &expected.after.0);
    for path in now.0.keys().chain(before.keys()).collect::<BTreeSet<_>>() {
        let (is, was, will) = (now.0.get(path), before.get(path), after.get(path));
        if is != was && is != will && !temporary(path) {
            let shown = is.map_or_else(|| "nothing".into(), ToString::to_string);
            violations.push(format!("{when}: {} is neither old nor new: {shown}", path.display()));
        }
    }
}

/// Whether a path is something that a provider had not put in place yet.
fn temporary(path: &Path) -> bool {
    path.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        name.starts_with(".rectify-") && name != ".rectify-root"
    })
}

fn ended(
    area: &Area,
    run: &str,
    state: &Journal,
    last: &Ran,
    expected: &Expected<'_>,
    violations: &mut Vec<String>,
) -> Result<(), String> {
    let undone = expected.or_undone && state.outcome == "undone";
    let failed = expected.or_failed.filter(|_| state.outcome == "failed");
    if !undone && failed.is_none() && !expected.outcomes.contains(&state.outcome.as_str()) {
        violations.push(format!("the run ended as `{}`, expected {:?}", state.outcome, expected.outcomes));
    }
    if last.code != exit_code(&state.outcome) {
        violations.push(format!("exit code {:?} with the outcome `{}`", last.code, state.outcome));
    }
    for (node, known) in state.steps.iter().chain(&state.back) {
        if *known != Known::Ended && state.outcome != "needs_operator" {
            violations.push(format!("{node}: its intent reached no end"));
        }
    }
    if state.seqs.iter().zip(1..).any(|(seq, place)| *seq != place) {
        violations.push(format!("run {run}: sequence numbers {:?}", state.seqs));
    }
    if state.fences.windows(2).any(|pair| matches!(pair, [a, b] if a >= b)) {
        violations.push(format!("run {run}: fences {:?}", state.fences));
    }
    if let Err(left) = area.quiet(ORPHANS) {
        violations.push(format!("processes are left: {left:?}"));
    }
    let tree = area.tree()?;
    let wanted = match failed {
        Some((tree, _)) => tree,
        None if undone => expected.before,
        None => expected.tree,
    };
    violations.extend(wanted.differences(&tree).into_iter().map(|line| format!("at the end: {line}")));
    let counters = area.counters()?;
    for (name, count) in &counters {
        if *count > 1 {
            violations.push(format!("the command `{name}` had its effect {count} times"));
        }
    }
    if let Some((_, before)) = failed {
        if *before != counters {
            violations.push(format!("the run changed nothing, and the counters say {counters:?}"));
        }
        return no_lock(area, violations);
    }
    if undone {
        for (name, count) in counters.iter().filter(|(name, _)| !name.ends_with(".undo")) {
            if counters.get(&format!("{name}.undo")) != Some(count) {
                violations.push(format!("the run was undone, and the command `{name}` was not taken back"));
            }
        }
        return no_lock(area, violations);
    }
    for (name, count) in expected.counters.unwrap_or_default() {
        let found = counters.get(*name).copied().unwrap_or(0);
        if found != *count {
            violations.push(format!("the command `{name}` had its effect {found} times, expected {count}"));
        }
    }
    no_lock(area, violations)
}

fn no_lock(area: &Area, violations: &mut Vec<String>) -> Result<(), String> {
    // What a killed engine left is nobody's, and the next run takes it over at once.
    let locks = area.expect(0, &["locks"])?;
    if locks.stdout.lines().any(|line| line.ends_with("  at work")) {
        violations.push(format!("a lock is still held: {}", locks.stdout.trim()));
    }
    Ok(())
}

/// Resuming what has ended changes nothing and says the same.
fn twice(
    area: &Area,
    run: &str,
    state: &Journal,
    last: &Ran,
    violations: &mut Vec<String>,
) -> Result<(), String> {
    let (tree, counters) = (area.tree()?, area.counters()?);
    let ran = area.rectify(&["-C", "project", "resume", run])?;
    if ran.code != last.code {
        violations.push(format!("resumed once more: exit code {:?}, it was {:?}", ran.code, last.code));
    }
    if area.tree()? != tree || area.counters()? != counters {
        violations.push("resumed once more: something was changed".into());
    }
    if journal(area, run)?.text != state.text {
        violations.push("resumed once more: the journal changed".into());
    }
    Ok(())
}

/// Both verifiers agree that the audit log is whole.
fn audit(area: &Area, violations: &mut Vec<String>) -> Result<(), String> {
    let verified = area.rectify(&["audit", "verify"])?;
    if verified.code != Some(0) {
        violations.push(format!("audit verify: {}{}", verified.stdout, verified.stderr));
    }
    area.expect(0, &["audit", "export", "--out", "audit.jsonl"])?;
    // Debian's, where it is: a shim that looks for one takes longer than the verifier.
    let python = if Path::new(PYTHON).exists() { PYTHON } else { "python3" };
    let second = Command::new(python)
        .arg(root().join(SECOND_VERIFIER))
        .arg(area.path("audit.jsonl"))
        .output()
        .map_err(|e| format!("python3: {e}"))?;
    if second.status.success() != (verified.code == Some(0)) {
        let said = String::from_utf8_lossy(&second.stdout);
        violations.push(format!(
            "the second verifier says otherwise: {said}{}",
            String::from_utf8_lossy(&second.stderr)
        ));
    }
    Ok(())
}
