//! The kill matrix: at each point of the crash table, for each provider that changes things, in both
//! directions, the engine or its provider is killed; then somebody resumes.

use super::{
    Job, Settings,
    area::Area,
    ending::{Expected, UNDO_PLAN, Way, judge, known},
    scenario::{GATE, Provider, failing},
};
use crate::tree::Tree;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

/// A point, and whether each step passes it.
type Point = (&'static str, bool);

/// Points of a run that goes forth. A provider names its own points after what an operation does.
const FORTH: [Point; 11] = [
    ("C0", false),
    ("C1", false),
    ("C2", false),
    ("C3", true),
    ("C4/U4", true),
    ("C4b/U4b", true),
    ("C5/U5", true),
    ("C5b", true),
    ("C6", true),
    ("C8", false),
    ("C9", false),
];

/// C7: points of a run that takes back what it did.
const BACK: [Point; 6] =
    [("U3", true), ("U4", true), ("U4b", true), ("U5", true), ("U5b", true), ("U6", true)];

/// What is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A plan of changes.
    Apply,
    /// The plan of `rectify undo`.
    Undo,
    /// What is taken back by itself after a step failed.
    AfterFailure,
    /// What is taken back by itself after a probe did not hold.
    AfterGate,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apply => "apply",
            Self::Undo => "undo",
            Self::AfterFailure => "apply, C7",
            Self::AfterGate => "undo, C7",
        })
    }
}

/// A sealed plan that waits to be applied, of which copies are made.
pub struct Template {
    area: Area,
    plan: &'static str,
    before: Tree,
    after: Tree,
    start: Tree,
    start_counters: BTreeMap<String, usize>,
    runs: BTreeSet<String>,
    outcome: &'static str,
    counters: Vec<(&'static str, usize)>,
}

impl Template {
    /// A copy to be disturbed.
    pub fn copy(&self, rectify: &Path) -> Result<Area, String> {
        self.area.copy(rectify)
    }

    /// The words that apply it.
    pub fn apply(&self) -> [&str; 4] {
        ["-C", "project", "apply", self.plan]
    }

    /// Judges a copy after it was disturbed.
    pub fn judge(
        &self,
        area: &Area,
        first: super::area::Ran,
        (provider_died, at_random): (bool, bool),
        again: Option<&mut crate::random::Random>,
    ) -> Result<Way, Vec<String>> {
        let taken_back = self.outcome == "undone" || self.plan == UNDO_PLAN;
        let expected = Expected {
            outcomes: &[self.outcome],
            tree: if taken_back { &self.before } else { &self.after },
            before: &self.before,
            after: &self.after,
            counters: Some(&self.counters),
            or_undone: provider_died && !taken_back,
            // Its provider may not even have come to life.
            or_failed: at_random.then_some((&self.start, &self.start_counters)),
        };
        judge(area, self.plan, first, &self.runs, &expected, again)
    }
}

/// The templates of a provider; or why there is none of a kind.
type Templates = BTreeMap<Kind, Result<Template, String>>;

/// The templates of a provider.
pub fn templates(rectify: &Path, provider: Provider) -> Result<Templates, String> {
    let base = Area::with_project(rectify, provider, &|area| provider.begin(area), provider.steps())?;
    let before = base.tree()?;
    base.seal("a.plan.json")?;
    let applied = base.copy(rectify)?;
    applied.expect(0, &["-C", "project", "apply", "a.plan.json"])?;
    let after = applied.tree()?;
    let names = |suffix: bool| {
        let names: &[&str] = match (provider, suffix) {
            (Provider::Command, false) => &["first", "second", "third", "fifth"],
            (Provider::Command, true) => &["first.undo", "second.undo", "third.undo", "fifth.undo"],
            _ => &[],
        };
        names.iter().map(|name| (*name, 1))
    };
    let template = |area: Area, plan: &'static str, outcome: &'static str, back: bool| {
        let runs = known(&area)?;
        let counters = names(false).chain(names(true).filter(|_| back)).collect();
        let (before, after) = (before.clone(), after.clone());
        let (start, start_counters) = (area.tree()?, area.counters()?);
        Ok::<_, String>(Template {
            area,
            plan,
            before,
            after,
            start,
            start_counters,
            runs,
            outcome,
            counters,
        })
    };
    let mut templates = BTreeMap::new();
    for (kind, rest) in [
        (Kind::AfterFailure, format!("{}{}", provider.steps(), failing(provider))),
        (Kind::AfterGate, format!("{}{GATE}", provider.steps())),
    ] {
        let area = base.copy(rectify)?;
        area.remediation(&rest)?;
        area.seal("a.plan.json")?;
        templates.insert(kind, template(area, "a.plan.json", "undone", true));
    }
    let undo = || {
        let runs = known(&applied)?;
        let run = runs.first().ok_or("nothing was applied")?;
        applied.expect(0, &["-C", "project", "undo", run, "--out", UNDO_PLAN])?;
        applied.expect(0, &["-C", "project", "seal", UNDO_PLAN, "--key", "id_ed25519"])
    };
    let undo = undo().and_then(|_| template(applied, UNDO_PLAN, "succeeded", true));
    templates.insert(Kind::Undo, undo);
    templates.insert(Kind::Apply, template(base, "a.plan.json", "succeeded", false));
    Ok(templates)
}

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    provider: Provider,
    kind: Kind,
    point: &'static str,
    victim: &'static str,
    nth: usize,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, kind, point, victim, nth } = self;
        write!(f, "{provider}, {kind}, {point}, {victim}, {nth}")
    }
}

/// All cells of these providers, each so many times, at another step each time.
fn cells(providers: &[Provider], rounds: usize) -> Vec<Cell> {
    let mut cells = Vec::new();
    for round in 0..rounds {
        for provider in providers.iter().copied() {
            let count = provider.names().len();
            for (kind, points) in [
                (Kind::Apply, &FORTH[..]),
                (Kind::Undo, &FORTH[..]),
                (Kind::AfterFailure, &BACK[..]),
                (Kind::AfterGate, &BACK[..]),
            ] {
                for (point, each) in points {
                    for victim in ["engine", "provider"] {
                        let nth = if *each { 1 + (round + cells.len() / 2) % count } else { 1 };
                        cells.push(Cell { provider, kind, point, victim, nth });
                    }
                }
            }
        }
    }
    cells
}

/// The jobs of this part.
pub fn jobs<'a>(settings: &'a Settings, templates: &'a super::Templates, rounds: usize) -> Vec<Job<'a>> {
    let job = |cell: Cell| {
        let (name, of) = (cell.to_string(), format!("{}, {}", cell.provider, cell.kind));
        let run = move |kept: &mut Option<Area>| {
            let one = |message: String| vec![message];
            let template = templates.get(&(cell.provider.to_string(), cell.kind));
            let template = template.ok_or_else(|| one("its template is missing".into()))?;
            let template = template.as_ref().map_err(|message| one(message.clone()))?;
            let area = kept.insert(template.copy(&settings.program).map_err(one)?);
            let asked = format!("{}:{}:{}", cell.point, cell.nth, cell.victim);
            let count = area.path("crash");
            let variables =
                [("RECTIFY_CRASH", asked.as_str()), ("RECTIFY_CRASH_FILE", count.to_str().unwrap_or(""))];
            let first = area.rectify_with(&template.apply(), &variables).map_err(one)?;
            if !std::fs::read(&count).unwrap_or_default().contains(&b'!') {
                return Err(one(format!("the point {asked} was never reached")));
            }
            if cell.victim == "engine" && first.code.is_some() {
                return Err(one(format!("the engine was killed at {asked}, and ended by itself")));
            }
            template.judge(area, first, (cell.victim == "provider", false), None)
        };
        Job { name, of, run: Box::new(run) }
    };
    cells(&settings.providers, rounds).into_iter().map(job).collect()
}
