//! Random graphs: each node fails once, two fail together, each action and each taking back is
//! delivered twice. Afterwards everything is as it was, or the outcome says that it is not.

use super::{
    Job, Settings,
    area::Area,
    ending::{Expected, Way, judge},
    journal::{journal, runs},
    scenario::Provider,
};
use crate::{
    random::Random,
    run::{Outcome, write},
    tree::Tree,
};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::Arc,
};

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Update,
    Create,
    Line,
    Directory,
    Link,
    Absent,
    Mode,
    /// A command that can be taken back.
    Undoable,
    /// One that cannot.
    Once,
}

#[derive(Clone, Debug)]
struct Node {
    kind: Kind,
    after: Vec<usize>,
    on_change: Vec<usize>,
    /// For a file: lies in the directory that this node makes.
    inside: Option<usize>,
}

/// How a node fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// Before it changed anything.
    Early,
    /// After it had its effect.
    Late,
}

#[derive(Clone, Debug)]
struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    fn random(provider: Provider, random: &mut Random) -> Self {
        let count = 5 + random.below(3);
        let mut nodes: Vec<Node> = Vec::new();
        for place in 0..count {
            let kind = match provider {
                Provider::File => {
                    const KINDS: [Kind; 7] = [
                        Kind::Update,
                        Kind::Create,
                        Kind::Line,
                        Kind::Directory,
                        Kind::Link,
                        Kind::Absent,
                        Kind::Mode,
                    ];
                    KINDS.get(random.below(KINDS.len())).copied().unwrap_or(Kind::Update)
                }
                Provider::Command if random.chance(20) => Kind::Once,
                Provider::Command => Kind::Undoable,
            };
            let mut node = Node { kind, after: Vec::new(), on_change: Vec::new(), inside: None };
            for earlier in 0..place {
                if random.chance(25) {
                    // Only actions are triggered.
                    if provider == Provider::Command && random.chance(40) {
                        node.on_change.push(earlier);
                    } else {
                        node.after.push(earlier);
                    }
                }
            }
            let directories: Vec<usize> =
                (0..place).filter(|i| nodes.get(*i).is_some_and(|n| n.kind == Kind::Directory)).collect();
            if kind == Kind::Create && !directories.is_empty() && random.chance(70) {
                node.inside = directories.get(random.below(directories.len())).copied();
            }
            nodes.push(node);
        }
        Self { nodes }
    }

    fn path(&self, place: usize) -> String {
        match self.nodes.get(place).and_then(|node| node.inside) {
            Some(parent) => format!("/etc/n{parent}/n{place}"),
            None => format!("/etc/n{place}"),
        }
    }

    /// What is there before.
    fn root(&self, root: &Path) -> Outcome {
        fs::create_dir_all(root.join("etc")).map_err(|e| e.to_string())?;
        for (place, node) in self.nodes.iter().enumerate() {
            let path = root.join(format!("etc/n{place}"));
            match node.kind {
                Kind::Update | Kind::Absent => write(&path, &format!("old {place}\n"))?,
                Kind::Line => write(&path, "a=1\nb=2\nc=3\n")?,
                Kind::Mode => write(&path, "same\n")?,
                _ => continue,
            }
            let modes = [0o644, 0o600, 0o755, 0o640];
            let mode = modes.get(place % modes.len()).copied().unwrap_or(0o644);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// The steps, of which some fail.
    fn steps(&self, failing: &[(usize, Failure)], last_fails: bool) -> String {
        let mut text = String::new();
        for (place, node) in self.nodes.iter().enumerate() {
            let failure = failing.iter().find(|(at, _)| *at == place).map(|(_, failure)| *failure);
            let path = self.path(place);
            let check = if failure.is_some() { ", validate: [/bin/false, \"%s\"]" } else { "" };
            let properties = match node.kind {
                Kind::Update => format!("file.content: {{path: {path}, content: \"new {place}\\n\"{check}}}"),
                Kind::Create => {
                    format!(
                        "file.content: {{path: {path}, content: \"made {place}\\n\", mode: \"0640\"{check}}}"
                    )
                }
                Kind::Line => {
                    format!("file.line: {{path: {path}, match: '^b=', line: \"b={place}x\"{check}}}")
                }
                Kind::Directory => format!("file.directory: {{path: {path}, mode: \"0751\"}}"),
                Kind::Link => format!("file.link: {{path: {path}, target: somewhere}}"),
                Kind::Absent => format!("file.absent: {{path: {path}}}"),
                Kind::Mode => format!("file.content: {{path: {path}, content: \"same\\n\", mode: \"0711\"}}"),
                Kind::Undoable | Kind::Once => command(place, node.kind == Kind::Undoable, failure),
            };
            let _ = writeln!(text, "  n{place}:\n    {properties}");
            for (word, list) in [("after", &node.after), ("on_change", &node.on_change)] {
                if !list.is_empty() {
                    let names: Vec<String> = list.iter().map(|i| format!("n{i}")).collect();
                    let _ = writeln!(text, "    {word}: [{}]", names.join(", "));
                }
            }
        }
        if last_fails {
            let names: Vec<String> = (0..self.nodes.len()).map(|i| format!("n{i}")).collect();
            let _ = writeln!(
                text,
                "  fails:\n    file.content: {{path: /etc/fails, content: \"x\\n\", validate: [/bin/false, \"%s\"]}}\n    after: [{}]",
                names.join(", ")
            );
        }
        text
    }

    /// Makes a node fail that cannot be made to by its properties: somebody changed what it expects.
    fn disturb(&self, place: usize, root: &Path) -> Outcome {
        let Some(node) = self.nodes.get(place) else { return Ok(()) };
        let path = root.join(self.path(place).trim_start_matches('/'));
        match node.kind {
            Kind::Directory | Kind::Absent => write(&path, "somebody was here\n"),
            Kind::Link => symlink("elsewhere", &path).map_err(|e| e.to_string()),
            Kind::Mode => {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).map_err(|e| e.to_string())
            }
            _ => Ok(()),
        }
    }
}

fn command(place: usize, undoable: bool, failure: Option<Failure>) -> String {
    let effect = format!("echo x >> \"$RECTIFY_ROOT/../../counters/n{place}\"");
    let argv = match failure {
        None => format!("[/bin/sh, -c, '{effect}']"),
        Some(Failure::Early) => "[/nonexistent/program]".into(),
        Some(Failure::Late) => format!("[/bin/sh, -c, '{effect}; exit 1']"),
    };
    let undo = if undoable {
        format!(", undo: [/bin/sh, -c, 'echo x >> \"$RECTIFY_ROOT/../../counters/n{place}.undo\"']")
    } else {
        String::new()
    };
    format!("command.run: {{argv: {argv}{undo}}}")
}

/// A graph that waits to be applied.
struct Prepared {
    graph: Graph,
    base: Area,
    before: Tree,
    after: Tree,
    /// The same with a last step that fails.
    failing: Area,
    /// Steps that change something.
    count: usize,
    undoable: usize,
}

fn prepare(settings: &Settings, graph: Graph) -> Result<Prepared, String> {
    let base = Area::with_project(&settings.program, &|root| graph.root(root), &graph.steps(&[], false))?;
    let before = base.tree()?;
    base.seal("a.plan.json")?;
    let applied = base.copy(&settings.program)?;
    applied.expect(0, &["-C", "project", "apply", "a.plan.json"])?;
    let after = applied.tree()?;
    let failing = base.copy(&settings.program)?;
    failing.remediation(&graph.steps(&[], true))?;
    failing.seal("a.plan.json")?;
    let count = graph.nodes.len();
    let undoable = graph.nodes.iter().filter(|node| node.kind != Kind::Once).count();
    Ok(Prepared { graph, base, before, after, failing, count, undoable })
}

/// What a job does with its graph.
#[derive(Clone, Debug)]
enum What {
    Fail(Vec<(usize, Failure)>),
    Twice(usize),
    UndoTwice(usize),
}

/// The jobs of this part.
pub fn jobs<'a>(
    settings: &'a Settings,
    provider: Provider,
    graphs: usize,
    seed: u64,
) -> Result<Vec<Job<'a>>, String> {
    let mut jobs = Vec::new();
    for number in 0..u64::try_from(graphs).unwrap_or(0) {
        let mut random = Random::new(seed.wrapping_add(number));
        let prepared = Arc::new(prepare(settings, Graph::random(provider, &mut random))?);
        let mut all = Vec::new();
        let late = |random: &mut Random| if random.chance(50) { Failure::Late } else { Failure::Early };
        for place in 0..prepared.count {
            all.push(What::Fail(vec![(place, late(&mut random))]));
            all.push(What::Twice(place + 1));
        }
        all.extend((1..=prepared.undoable).map(What::UndoTwice));
        for _ in 0..2 {
            let first = random.below(prepared.count);
            let second = (first + 1 + random.below(prepared.count - 1)) % prepared.count;
            all.push(What::Fail(vec![(first, late(&mut random)), (second, late(&mut random))]));
        }
        for what in all {
            let prepared = Arc::clone(&prepared);
            let name = format!("{provider}, graph {}, {what:?}", seed.wrapping_add(number));
            let run = move |kept: &mut Option<Area>| match &what {
                What::Fail(failing) => fail(settings, &prepared, failing, kept),
                What::Twice(nth) => twice(settings, &prepared, *nth, false, kept),
                What::UndoTwice(nth) => twice(settings, &prepared, *nth, true, kept),
            };
            jobs.push(Job { name, run: Box::new(run) });
        }
    }
    Ok(jobs)
}

/// Some nodes fail, and what the others did is taken back.
fn fail(
    settings: &Settings,
    prepared: &Prepared,
    failing: &[(usize, Failure)],
    kept: &mut Option<Area>,
) -> Result<Way, Vec<String>> {
    let one = |message: String| vec![message];
    let area = kept.insert(prepared.base.copy(&settings.program).map_err(one)?);
    area.remediation(&prepared.graph.steps(failing, false)).map_err(one)?;
    area.seal("a.plan.json").map_err(one)?;
    for (place, _) in failing {
        prepared.graph.disturb(*place, &area.root()).map_err(one)?;
    }
    let before = area.tree().map_err(one)?;
    let first = area.rectify(&["-C", "project", "apply", "a.plan.json"]).map_err(one)?;
    let after = area.tree().map_err(one)?;
    let expected = Expected {
        outcomes: &["undone", "failed", "stale", "partially_applied"],
        tree: &before,
        before: &before,
        after: &after,
        counters: None,
        or_undone: false,
        or_failed: None,
    };
    let way = judge(area, "a.plan.json", first, &BTreeSet::new(), &expected, None)?;
    honest(area, prepared)?;
    Ok(way)
}

/// What the run came to is what the counters say.
fn honest(area: &Area, prepared: &Prepared) -> Result<(), Vec<String>> {
    let one = |message: String| vec![message];
    let counters = area.counters().map_err(one)?;
    let run = runs(area).map_err(one)?.into_iter().next().ok_or_else(|| one("there is no run".into()))?;
    let left: Vec<usize> = (0..prepared.count)
        .filter(|place| {
            let count = |name: String| counters.get(&name).copied().unwrap_or(0);
            count(format!("n{place}")) != count(format!("n{place}.undo"))
        })
        .collect();
    let nodes = |place: &usize| prepared.graph.nodes.get(*place).map(|node| node.kind);
    if let Some(place) = left.iter().find(|place| nodes(place) == Some(Kind::Undoable)) {
        let text = journal(area, &run.id).map_err(one)?.text;
        return Err(one(format!("n{place} was not taken back: {text}")));
    }
    let says_so = run.outcome == "partially_applied";
    let changed = counters.iter().any(|(name, _)| name != "fourth.undo");
    if left.is_empty() == says_so || (run.outcome == "failed" && changed && !left.is_empty()) {
        return Err(one(format!(
            "the outcome is `{}`, and of these something is left: {left:?}",
            run.outcome
        )));
    }
    Ok(())
}

/// The provider dies after the effect of one operation, so it is delivered again.
fn twice(
    settings: &Settings,
    prepared: &Prepared,
    nth: usize,
    back: bool,
    kept: &mut Option<Area>,
) -> Result<Way, Vec<String>> {
    let one = |message: String| vec![message];
    let template = if back { &prepared.failing } else { &prepared.base };
    let area = kept.insert(template.copy(&settings.program).map_err(one)?);
    let asked = format!("{}:{nth}:provider", if back { "U4b" } else { "C4b" });
    let count = area.path("crash");
    let variables = [("RECTIFY_CRASH", asked.as_str()), ("RECTIFY_CRASH_FILE", count.to_str().unwrap_or(""))];
    let first = area.rectify_with(&["-C", "project", "apply", "a.plan.json"], &variables).map_err(one)?;
    if !fs::read(&count).unwrap_or_default().contains(&b'!') {
        return Err(one(format!("the point {asked} was never reached")));
    }
    let all_back = prepared.undoable == prepared.count;
    let outcome = match (back, all_back) {
        (false, _) => "succeeded",
        (true, true) => "undone",
        (true, false) => "partially_applied",
    };
    let expected = Expected {
        outcomes: &[outcome],
        tree: if back { &prepared.before } else { &prepared.after },
        before: &prepared.before,
        after: &prepared.after,
        counters: None,
        or_undone: !back,
        or_failed: None,
    };
    judge(area, "a.plan.json", first, &BTreeSet::new(), &expected, None)
}
