//! Random graphs: each node fails once, two fail together, each action and each taking back is
//! delivered twice. Afterwards everything is as it was, or the outcome says that it is not.

mod graph;
mod kinds;

use super::{
    Job, Settings,
    area::Area,
    ending::{Expected, Way, judge},
    journal::{journal, runs},
    scenario::Provider,
};
use crate::{random::Random, tree::Tree};
use graph::Graph;
use kinds::Failure;
use std::{collections::BTreeSet, fs, sync::Arc};

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

fn prepare(settings: &Settings, provider: Provider, graph: Graph) -> Result<Prepared, String> {
    let begin = |area: &Area| graph.begin(area);
    let base = Area::with_project(&settings.program, provider, &begin, &graph.steps(&[], false))?;
    let before = base.tree()?;
    base.seal("a.plan.json")?;
    let applied = base.copy(&settings.program)?;
    applied.expect(0, &["-C", "project", "apply", "a.plan.json"])?;
    let after = applied.tree()?;
    let failing = base.copy(&settings.program)?;
    failing.remediation(&graph.steps(&[], true))?;
    failing.seal("a.plan.json")?;
    let count = graph.nodes.len();
    let undoable = graph.nodes.iter().filter(|node| node.kind.undoable).count();
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
        let prepared = Arc::new(prepare(settings, provider, Graph::random(provider, &mut random))?);
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
            let is_sealed_anew = matches!(what, What::Fail(_));
            let run = move |kept: &mut Option<Area>| match &what {
                What::Fail(failing) => fail(settings, &prepared, failing, kept),
                What::Twice(nth) => twice(settings, &prepared, *nth, false, kept),
                What::UndoTwice(nth) => twice(settings, &prepared, *nth, true, kept),
            };
            let of = if is_sealed_anew { name.clone() } else { format!("{provider}, {number}") };
            jobs.push(Job { name, of, run: Box::new(run) });
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
        prepared.graph.disturb(*place, area).map_err(one)?;
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
    let undoable = |place: &usize| prepared.graph.nodes.get(*place).is_some_and(|node| node.kind.undoable);
    if let Some(place) = left.iter().find(|place| undoable(place)) {
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
