//! One damage a case, from `conformance/cases/apply`: a small plan, what goes wrong with it, how the
//! run must end, and the code and place of the first reason.

use crate::{
    plans::{self, Short},
    sim::{Disturbance, Point, Sim},
    world::Fault,
};
use rectify_apply::{Effect, Event, Notice, Options, RunState, step};
use rectify_base::{Digest, NodeKey};
use rectify_model::{
    Plan,
    grade::Retry,
    graph::{Access, EdgeKind},
    journal::{Direction, Failure, Mutated, RunOutcome, UseId},
    observation::Identity,
};
use serde::Deserialize;
use std::{collections::BTreeSet, fs, path::Path};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// How the run ends; absent where it cannot begin.
    #[serde(default)]
    ends: Option<RunOutcome>,
    #[serde(default)]
    steps: Vec<CaseStep>,
    #[serde(default)]
    gates: Vec<CaseGate>,
    /// Waves of targets; one target `a` if absent.
    #[serde(default)]
    waves: Option<Vec<Vec<String>>>,
    #[serde(default)]
    identity: Option<CaseIdentity>,
    #[serde(default)]
    expires_at_ms: Option<u64>,
    #[serde(default)]
    cancel_at_ms: Option<u64>,
    #[serde(default)]
    interrupt_at_ms: Option<u64>,
    #[serde(default)]
    space_low_at_ms: Option<u64>,
    #[serde(default)]
    lease_ending_at_ms: Option<u64>,
    /// Remediations with `undo: auto`.
    #[serde(default)]
    undo: Vec<String>,
    /// What goes wrong with taking back, by address.
    #[serde(default)]
    undo_faults: std::collections::BTreeMap<String, Fault>,
    /// The last states of taking back, by address. If given, there are no others.
    #[serde(default)]
    taken_back: Option<std::collections::BTreeMap<String, serde_json::Value>>,
    /// In which order steps were taken back.
    #[serde(default)]
    order_back: Option<Vec<String>>,
    /// The engine dies there.
    #[serde(default)]
    kill: Option<CaseKill>,
    /// The engines that take the run up after that.
    #[serde(default)]
    then: Vec<CaseEngine>,
    /// How often steps were done in the end, and taken back, by address.
    #[serde(default)]
    deeds: std::collections::BTreeMap<String, (usize, usize)>,
    /// Which reason is expected; the first as a rule.
    #[serde(default)]
    blame: Blame,
    /// Whether the world is as it was before the run.
    #[serde(default)]
    as_before: bool,
    /// The commit with this number, counted from 0, fails.
    #[serde(default)]
    commit_fails: Option<u64>,
    /// The plan is damaged by hand.
    #[serde(default)]
    plan: Option<PlanDamage>,
    /// An event that nobody asked for, before all others.
    #[serde(default)]
    unexpected: bool,
    /// The last states of steps, by address, as the journal names them.
    #[serde(default)]
    journal: std::collections::BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseStep {
    address: String,
    #[serde(default = "target_a")]
    target: String,
    #[serde(default = "converge")]
    retry: Retry,
    /// The thing that it changes; absent for an unguarded command.
    #[serde(default)]
    thing: Option<String>,
    #[serde(default)]
    after: Vec<String>,
    #[serde(default)]
    on_change: Vec<String>,
    #[serde(default)]
    fault: Option<Fault>,
    /// Whether the plan has an inverse; as a rule it has, but not for commands.
    #[serde(default)]
    inverse: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseGate {
    address: String,
    within_s: u32,
    /// Holds from this question on; never if absent.
    #[serde(default)]
    holds_at: Option<u32>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CaseIdentity {
    /// It is the target, but no longer as the plan assumes.
    Changed,
    Other,
    Silent,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PlanDamage {
    StepTwice,
    GateTwice,
    StepOnUnlistedTarget,
    TargetInNoWave,
    TargetInTwoWaves,
    TypeMissing,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseKill {
    at: Point,
    step: String,
    /// While the step is taken back.
    #[serde(default)]
    back: bool,
}

/// A further engine that has the run.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseEngine {
    #[serde(default)]
    kill: Option<CaseKill>,
    /// A person answers first; a new try is allowed if this is true.
    #[serde(default)]
    person: Option<bool>,
    /// Nothing new may begin.
    #[serde(default)]
    no_new: bool,
    #[serde(default)]
    identity: Option<CaseIdentity>,
    #[serde(default)]
    interrupt_at_ms: Option<u64>,
    /// The gates hold from now on.
    #[serde(default)]
    gates_hold: bool,
    /// These steps are no longer hit by anything.
    #[serde(default)]
    mended: Vec<String>,
    /// Somebody else writes to what this step is about.
    #[serde(default)]
    edited: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Blame {
    #[default]
    First,
    Last,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    code: String,
    place: String,
    why: String,
}

fn target_a() -> String {
    "a".into()
}

const fn converge() -> Retry {
    Retry::Converge
}

fn plan(case: &Case) -> Plan {
    // Each further step on a thing makes its next version.
    let mut versions = std::collections::BTreeMap::<String, u32>::new();
    let steps: Vec<Short> = case
        .steps
        .iter()
        .map(|step| {
            let thing = step.thing.clone().map(|thing| {
                let version = versions.entry(format!("{} {thing}", step.target)).or_default();
                *version += 1;
                (thing, *version)
            });
            let after = step.after.iter().map(|from| (from.clone(), EdgeKind::After));
            let on_change = step.on_change.iter().map(|from| (from.clone(), EdgeKind::OnChange));
            Short {
                target: step.target.clone(),
                address: step.address.clone(),
                retry: step.retry,
                thing,
                edges: after.chain(on_change).collect(),
                locks: vec![("lock".into(), Access::Read)],
                inverse: step.inverse.unwrap_or(step.thing.is_some()),
            }
        })
        .collect();
    let gates: Vec<plans::ShortGate> =
        case.gates.iter().map(|gate| (target_a(), gate.address.clone(), gate.within_s)).collect();
    let waves = case.waves.clone().unwrap_or_else(|| vec![vec![target_a()]]);
    let mut plan = plans::plan(&steps, &gates, &waves, 2);
    plans::undo_auto(&mut plan, &case.undo.iter().map(String::as_str).collect::<Vec<_>>());
    match case.plan {
        None => {}
        Some(PlanDamage::StepTwice) => plan.steps.push(plan.steps[0].clone()),
        Some(PlanDamage::GateTwice) => plan.gates.push(plan.gates[0].clone()),
        Some(PlanDamage::StepOnUnlistedTarget) => plan.steps[0].target = "z".parse().unwrap(),
        Some(PlanDamage::TargetInNoWave) => plan.waves.clear(),
        Some(PlanDamage::TargetInTwoWaves) => plan.waves.push(plan.waves[0].clone()),
        Some(PlanDamage::TypeMissing) => plan.types.clear(),
    }
    plan
}

fn use_id() -> UseId {
    UseId::new("0".repeat(32)).unwrap()
}

/// Code and place of what is wrong, and how the run ended if there was one.
fn play(case: &Case, seen: &mut BTreeSet<String>) -> (String, String, Option<RunOutcome>) {
    let plan = plan(case);
    let mut state = match RunState::new(&plan, &use_id(), 1_000_000, Options::default()) {
        Ok(state) => state,
        Err(error) => return (error.code().to_string(), error.place(), None),
    };
    if case.unexpected {
        let effects = step(&mut state, Event::Tick, 0);
        let [Effect::Log(Notice::Ignored { code, what })] = &effects[..] else { panic!("{effects:?}") };
        return (code.to_string(), what.clone(), None);
    }
    let disturbance = Disturbance {
        expires_at_ms: case.expires_at_ms,
        cancel_at_ms: case.cancel_at_ms,
        interrupt_at_ms: case.interrupt_at_ms,
        space_low_at_ms: case.space_low_at_ms,
        lease_ending_at_ms: case.lease_ending_at_ms,
        commit_fails: case.commit_fails,
        kill_when: kill_when(case.kill.as_ref()),
        ..Disturbance::default()
    };
    let mut sim = Sim::new(&plan, 0, disturbance);
    for step in &case.steps {
        if let Some(fault) = step.fault {
            sim.world.set_fault(&key(&step.target, &step.address), fault);
        }
    }
    for (address, fault) in &case.undo_faults {
        sim.world.back_faults.insert(key("a", address), *fault);
    }
    let before = sim.world.states.clone();
    for gate in &case.gates {
        sim.world.gates.insert(key("a", &gate.address), gate.holds_at);
    }
    if let Some(identity) = case.identity {
        sim.world.identities.insert("a".into(), answer(identity));
    }
    sim.run();
    sim.check();
    for engine in &case.then {
        take_up(&mut sim, engine);
    }
    if sim.is_over() {
        sim.check_that_the_end_stays();
    }
    for (address, (done, undone)) in &case.deeds {
        let count = |direction| {
            let of =
                |deed: &&crate::world::Deed| deed.direction == direction && deed.node == key("a", address);
            sim.world.deeds.iter().filter(of).count()
        };
        assert_eq!((count(Direction::Forward), count(Direction::Back)), (*done, *undone), "{address}");
    }
    for (address, state) in &case.journal {
        let found = sim.view.steps().get(&key("a", address)).map(|progress| &progress.state);
        let found = serde_json::to_value(found).unwrap();
        assert!(is_part(state, &found), "{address}: expected {state}, found {found}");
    }
    check_undo(case, &sim);
    if case.as_before {
        assert_eq!(sim.world.states, before, "not as before");
    }
    let finished = sim.finished.clone().unwrap();
    seen.extend(finished.reasons.iter().map(|reason| reason.code.to_string()));
    let first = match case.blame {
        Blame::First => finished.reasons.first(),
        Blame::Last => finished.reasons.last(),
    };
    (
        first.map(|reason| reason.code.to_string()).unwrap_or_default(),
        first.map(|reason| reason.place.clone()).unwrap_or_default(),
        Some(finished.outcome),
    )
}

fn answer(identity: CaseIdentity) -> Result<Identity, Failure> {
    match identity {
        CaseIdentity::Other => Ok(Identity::Root(Digest::of_bytes(b"another root"))),
        CaseIdentity::Changed => Err(Failure {
            code: rectify_apply::codes::ASSUMPTION.to_string(),
            message: "facts.os.id was \"debian\", and is \"fedora\"".into(),
            mutated: Mutated::No,
        }),
        CaseIdentity::Silent => {
            Err(Failure { code: "FAILED".into(), message: "no marker".into(), mutated: Mutated::No })
        }
    }
}

fn kill_when(kill: Option<&CaseKill>) -> Option<(Point, NodeKey, Direction)> {
    kill.map(|kill| {
        let direction = if kill.back { Direction::Back } else { Direction::Forward };
        (kill.at, key("a", &kill.step), direction)
    })
}

/// Another engine has the run.
fn take_up(sim: &mut Sim<'_>, engine: &CaseEngine) {
    assert!(!sim.is_over(), "it has ended before");
    if let Some(retry) = engine.person {
        sim.ask_person(retry);
    }
    if engine.gates_hold {
        sim.world.gates.values_mut().for_each(|holds| *holds = Some(1));
    }
    for address in &engine.mended {
        sim.world.faults.remove(&key("a", address));
        sim.world.back_faults.remove(&key("a", address));
    }
    if let Some(address) = &engine.edited {
        let step = sim.plan.steps.iter().find(|step| step.address.as_str() == address).unwrap();
        sim.world.edit(&crate::world::thing(step).unwrap());
    }
    sim.resume(Disturbance {
        kill_when: kill_when(engine.kill.as_ref()),
        no_new: engine.no_new,
        interrupt_at_ms: engine.interrupt_at_ms,
        identity: engine.identity.map(|identity| ("a".into(), answer(identity))),
        ..Disturbance::default()
    });
    sim.run();
    sim.check();
}

fn check_undo(case: &Case, sim: &Sim<'_>) {
    let Some(expected) = &case.taken_back else { return };
    for (address, state) in expected {
        let found = sim.view.undo().get(&key("a", address)).map(|progress| &progress.state);
        let found = serde_json::to_value(found).unwrap();
        assert!(is_part(state, &found), "{address}: expected {state}, found {found}");
    }
    let told = expected.values().filter(|state| !state.is_null()).count();
    assert_eq!(sim.view.undo().len(), told, "{:?}", sim.view.undo());
    if let Some(order) = &case.order_back {
        let deeds = sim.world.deeds.iter().filter(|deed| deed.direction == Direction::Back);
        let found: Vec<String> = deeds.map(|deed| deed.node.address.to_string()).collect();
        assert_eq!(&found, order);
    }
}

/// Whether everything that is expected is found; more may be found.
fn is_part(expected: &serde_json::Value, found: &serde_json::Value) -> bool {
    use serde_json::Value::Object;
    match (expected, found) {
        (Object(expected), Object(found)) => {
            expected.iter().all(|(name, value)| found.get(name).is_some_and(|found| is_part(value, found)))
        }
        _ => expected == found,
    }
}

fn key(target: &str, address: &str) -> NodeKey {
    NodeKey { target: target.parse().unwrap(), address: address.parse().unwrap() }
}

#[test]
fn each_damage_has_its_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut names: Vec<_> = fs::read_dir(root.join("conformance/cases/apply"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    let mut seen = BTreeSet::new();
    for name in &names {
        let case: Case = serde_json::from_slice(&fs::read(name.join("case.json")).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", name.display()));
        let expect: Expect = serde_json::from_slice(&fs::read(name.join("expect.json")).unwrap()).unwrap();
        // Shown only if it fails.
        println!("{}", name.display());
        let (code, place, ends) = play(&case, &mut seen);
        let found = Expect { code, place, why: expect.why.clone() };
        assert_eq!((&found, ends), (&expect, case.ends), "{}", name.display());
        seen.insert(expect.code);
    }
    assert!(names.len() >= 90, "only {} cases", names.len());
    for code in rectify_apply::codes::ALL {
        assert!(seen.contains(code.as_str()), "no case for {code}");
        let page = fs::read_to_string(root.join(format!("docs/errors/{code}.md")))
            .unwrap_or_else(|_| panic!("no page for {code}"));
        assert!(page.starts_with(&format!("# {code}\n")), "{code}");
        assert!(page.contains("\n## Why\n") && page.contains("\n## What to do\n"), "{code}");
    }
}
