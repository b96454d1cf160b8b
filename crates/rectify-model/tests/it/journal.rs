//! The journal's records have one byte form, and its grammar refuses what no run can have written.

use proptest::{collection::vec, option, prelude::*};
use rectify_base::{Address, Digest, FileDigests, NodeKey, TargetName, canonical};
use rectify_model::{
    grade::Retry,
    journal::{
        Admission, Because, Direction, Entry, FORMAT, Failure, GateRecord, GateState, GrammarError, How,
        Intent, Kept, Mutated, ProviderRecord, Record, Resolution, RunId, RunMark, RunOutcome, RunRecord,
        RunView, StepRecord, StepState, StopCause, TargetRecord, TargetState, UndoRecord, UndoState, UseId,
        Verdict, operation_id, operation_id_of,
    },
    observation::Identity,
};

/// Integers beyond this have no canonical form.
const INTEGER_MAX: u64 = (1 << 53) - 1;

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn target() -> impl Strategy<Value = TargetName> {
    "[a-z][a-z0-9-]{0,8}[a-z0-9]".prop_map(|text| TargetName::new(text).unwrap())
}

fn address() -> impl Strategy<Value = Address> {
    "[a-z]{1,6}/([a-z]{1,6}|verify:[0-9]{1,3})".prop_map(|text| Address::new(text).unwrap())
}

fn node() -> impl Strategy<Value = NodeKey> {
    (target(), address()).prop_map(|(target, address)| NodeKey { target, address })
}

fn failure() -> impl Strategy<Value = Failure> {
    let mutated = prop_oneof![Just(Mutated::No), Just(Mutated::Maybe), Just(Mutated::Yes)];
    (".{0,20}", ".{0,40}", mutated).prop_map(|(code, message, mutated)| Failure { code, message, mutated })
}

fn intent() -> impl Strategy<Value = Intent> {
    let retry = prop_oneof![Just(Retry::Converge), Just(Retry::Query), Just(Retry::Once)];
    (any::<u32>(), "[0-9a-f]{64}", retry, digest(), option::of(digest()), 0..=INTEGER_MAX, 0..=INTEGER_MAX)
        .prop_map(|(attempt, op_id, retry, expect, before_image, fence, deadline_ms)| Intent {
            attempt,
            op_id,
            retry,
            expect,
            before_image,
            fence,
            deadline_ms,
        })
}

fn step_state() -> impl Strategy<Value = StepState> {
    let how = prop_oneof![Just(How::Applied), Just(How::Already), Just(How::Observed), Just(How::Judged)];
    let because = prop_oneof![address().prop_map(Because::Dependency), Just(Because::NotTriggered)];
    prop_oneof![
        intent().prop_map(StepState::Intent),
        (how, option::of(digest()), vec(address(), 0..3))
            .prop_map(|(how, fingerprint, owes)| StepState::Succeeded { how, fingerprint, owes }),
        failure().prop_map(StepState::Failed),
        failure().prop_map(StepState::Unknown),
        option::of(digest()).prop_map(|found| StepState::Stale { found }),
        because.prop_map(|because| StepState::Skipped { because }),
    ]
}

fn undo_state() -> impl Strategy<Value = UndoState> {
    let how = prop_oneof![Just(How::Applied), Just(How::Already), Just(How::Observed), Just(How::Judged)];
    let because = prop_oneof![address().prop_map(Kept::Dependent), Just(Kept::NoInverse)];
    prop_oneof![
        intent().prop_map(UndoState::Intent),
        (how, option::of(digest())).prop_map(|(how, fingerprint)| UndoState::Undone { how, fingerprint }),
        failure().prop_map(UndoState::Failed),
        failure().prop_map(UndoState::Unknown),
        option::of(digest()).prop_map(|found| UndoState::Conflict { found }),
        because.prop_map(|because| UndoState::Kept { because }),
    ]
}

fn mark() -> impl Strategy<Value = RunMark> {
    let verdict = prop_oneof![Just(Verdict::Succeeded), Just(Verdict::Failed), Just(Verdict::Retry)];
    let resolution = (node(), any::<bool>(), verdict, ".{0,9}", ".{0,20}", digest()).prop_map(
        |(node, undo, verdict, by, reason, envelope)| {
            RunMark::Resolved(Resolution { node, undo, verdict, by, reason, envelope })
        },
    );
    prop_oneof![
        (0..=INTEGER_MAX).prop_map(|fence| RunMark::Resumed { fence }),
        (failure(), ".{0,9}").prop_map(|(because, place)| RunMark::Undoing { because, place }),
        resolution,
        (proptest::sample::select(StopCause::ALL.to_vec()), ".{0,20}")
            .prop_map(|(cause, message)| RunMark::Stopped { cause, message }),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let identity = prop_oneof![digest().prop_map(Identity::Machine), digest().prop_map(Identity::Root)];
    let target_state =
        prop_oneof![identity.prop_map(TargetState::Verified), failure().prop_map(TargetState::Refused)];
    let gate_state = prop_oneof![Just(GateState::Passed), failure().prop_map(GateState::Failed)];
    prop_oneof![
        (target(), target_state).prop_map(|(target, state)| Record::Target(TargetRecord { target, state })),
        (node(), step_state()).prop_map(|(node, state)| Record::Step(StepRecord { node, state })),
        (node(), any::<u32>(), gate_state).prop_map(|(node, attempts, state)| Record::Gate(GateRecord {
            node,
            attempts,
            state
        })),
        (node(), undo_state()).prop_map(|(node, state)| Record::Undo(UndoRecord { node, state })),
        mark().prop_map(Record::Run),
    ]
}

fn run() -> impl Strategy<Value = RunRecord> {
    let provider = (".{0,9}", digest(), ".{0,20}")
        .prop_map(|(version, manifest, executable)| ProviderRecord { version, manifest, executable });
    (
        any::<u128>(),
        vec(target(), 1..4),
        (digest(), vec(digest(), 0..3), digest()),
        proptest::collection::btree_map("[a-z]{1,6}", provider, 0..3),
        (0..=INTEGER_MAX, 0..=INTEGER_MAX, 0..=INTEGER_MAX),
    )
        .prop_map(|(use_id, targets, (seal, approvals, bundle), providers, (fence, start, expiry))| {
            let use_id = UseId::new(format!("{use_id:032x}")).unwrap();
            RunRecord {
                format: FORMAT.into(),
                run: RunId::derive(&use_id, &targets),
                use_id,
                plan: FileDigests::of_bytes(b"plan"),
                targets,
                admission: Admission { seal, approvals, bundle, overrides: Vec::new() },
                providers,
                fence,
                started_at_ms: start,
                expires_at_ms: expiry,
            }
        })
}

proptest! {
    #[test]
    fn records_come_back_from_canonical_json(record in record()) {
        let bytes = canonical::compact(&record).unwrap();
        let back: Record = canonical::read_compact(&bytes).unwrap();
        prop_assert_eq!(&back, &record);
        prop_assert_eq!(canonical::compact(&back).unwrap(), bytes);
    }

    #[test]
    fn runs_come_back_from_canonical_json(run in run()) {
        let bytes = canonical::compact(&run).unwrap();
        let back: RunRecord = canonical::read_compact(&bytes).unwrap();
        prop_assert_eq!(&back, &run);
    }

    #[test]
    fn a_refused_record_changes_nothing(run in run(), records in vec(record(), 1..12)) {
        let mut view = RunView::new(run);
        for record in records {
            let before = view.clone();
            let entry = Entry { seq: view.len() + 1, at_ms: 0, record };
            match view.push(&entry) {
                Ok(()) => prop_assert_eq!(view.len(), before.len() + 1),
                Err(_) => prop_assert_eq!(&view, &before),
            }
        }
    }

    #[test]
    fn a_run_id_does_not_depend_on_the_order_of_targets(targets in vec(target(), 1..6)) {
        let use_id = UseId::new("a".repeat(32)).unwrap();
        let mut reversed = targets.clone();
        reversed.reverse();
        prop_assert_eq!(RunId::derive(&use_id, &targets), RunId::derive(&use_id, &reversed));
    }
}

fn fixed_run() -> RunRecord {
    let targets = vec![TargetName::new("a").unwrap()];
    let use_id = UseId::new("0".repeat(32)).unwrap();
    RunRecord {
        format: FORMAT.into(),
        run: RunId::derive(&use_id, &targets),
        use_id,
        plan: FileDigests::of_bytes(b"plan"),
        targets,
        admission: Admission {
            seal: Digest::of_bytes(b"seal"),
            approvals: Vec::new(),
            bundle: Digest::of_bytes(b"bundle"),
            overrides: Vec::new(),
        },
        providers: Default::default(),
        fence: 0,
        started_at_ms: 0,
        expires_at_ms: 1,
    }
}

fn key(address: &str) -> NodeKey {
    NodeKey { target: TargetName::new("a").unwrap(), address: Address::new(address).unwrap() }
}

fn fold(states: Vec<(&str, StepState)>) -> Result<RunView, GrammarError> {
    let target = TargetName::new("a").unwrap();
    let state = TargetState::Verified(Identity::Root(Digest::of_bytes(b"id")));
    let verified = Record::Target(TargetRecord { target, state });
    let steps =
        states.into_iter().map(|(address, state)| Record::Step(StepRecord { node: key(address), state }));
    let entries: Vec<Entry> = core::iter::once(verified)
        .chain(steps)
        .zip(1..)
        .map(|(record, seq)| Entry { seq, at_ms: 0, record })
        .collect();
    RunView::fold(fixed_run(), &entries)
}

fn begin(attempt: u32) -> StepState {
    StepState::Intent(Intent {
        attempt,
        op_id: operation_id(&fixed_run().use_id, &key("web/a").target, &key("web/a").address),
        retry: Retry::Converge,
        expect: Digest::of_bytes(b"before"),
        before_image: None,
        fence: 0,
        deadline_ms: 1,
    })
}

fn success(how: How, owes: &[&str]) -> StepState {
    let owes = owes.iter().map(|text| Address::new(*text).unwrap()).collect();
    StepState::Succeeded { how, fingerprint: None, owes }
}

fn failed(mutated: Mutated) -> StepState {
    StepState::Failed(Failure { code: "FAILED".into(), message: String::new(), mutated })
}

fn unknown() -> StepState {
    StepState::Unknown(Failure { code: "x".into(), message: String::new(), mutated: Mutated::Maybe })
}

#[test]
fn what_a_run_can_have_written_is_taken_in() {
    for states in [
        vec![begin(1), success(How::Applied, &[])],
        vec![begin(1), failed(Mutated::Maybe)],
        vec![begin(1), unknown(), success(How::Observed, &[])],
        vec![begin(1), unknown(), begin(2), unknown(), unknown()],
        vec![success(How::Already, &[])],
        vec![failed(Mutated::No)],
        vec![StepState::Stale { found: None }],
        vec![StepState::Skipped { because: Because::NotTriggered }],
    ] {
        let states: Vec<_> = states.into_iter().map(|state| ("web/a", state)).collect();
        assert!(fold(states.clone()).is_ok(), "{states:?}");
    }
}

#[test]
fn what_no_run_can_have_written_is_refused() {
    for states in [
        vec![success(How::Applied, &[])],
        vec![failed(Mutated::Yes)],
        vec![unknown()],
        vec![begin(2)],
        vec![begin(1), begin(2)],
        vec![begin(1), success(How::Applied, &[]), begin(2)],
        vec![begin(1), unknown(), begin(3)],
        vec![begin(1), StepState::Skipped { because: Because::NotTriggered }],
        vec![success(How::Already, &[]), success(How::Already, &[])],
    ] {
        let states: Vec<_> = states.into_iter().map(|state| ("web/a", state)).collect();
        assert!(fold(states.clone()).is_err(), "{states:?}");
    }
}

#[test]
fn an_intent_before_its_target_was_verified_is_refused() {
    let record = Record::Step(StepRecord { node: key("web/a"), state: begin(1) });
    let error = RunView::fold(fixed_run(), &[Entry { seq: 1, at_ms: 0, record }]).unwrap_err();
    assert_eq!(error, GrammarError::Unverified { seq: 1, node: key("web/a") });
}

#[test]
fn gaps_and_other_targets_are_refused() {
    let record = |name: &str| {
        let state = TargetState::Verified(Identity::Root(Digest::of_bytes(b"id")));
        Record::Target(TargetRecord { target: TargetName::new(name).unwrap(), state })
    };
    let gap = RunView::fold(fixed_run(), &[Entry { seq: 2, at_ms: 0, record: record("a") }]).unwrap_err();
    assert_eq!(gap, GrammarError::Sequence { expected: 1, got: 2 });
    let other = RunView::fold(fixed_run(), &[Entry { seq: 1, at_ms: 0, record: record("b") }]).unwrap_err();
    assert_eq!(other, GrammarError::Target { seq: 1, target: TargetName::new("b").unwrap() });
}

#[test]
fn what_is_owed_stays_owed_until_it_is_done() {
    let fired = ("web/a", success(How::Already, &["web/reload", "web/restart"]));
    let done = ("web/restart", success(How::Already, &[]));
    let view = fold(vec![fired.clone(), done.clone()]).unwrap();
    assert_eq!(view.owed().into_iter().collect::<Vec<_>>(), [key("web/reload")]);
    let tried = [("web/reload", begin(1)), ("web/reload", unknown())];
    let view = fold([vec![fired.clone(), done.clone()], tried.to_vec()].concat()).unwrap();
    assert_eq!(view.owed().into_iter().collect::<Vec<_>>(), [key("web/reload")]);
    let view =
        fold([vec![fired, done], tried.to_vec(), vec![("web/reload", success(How::Observed, &[]))]].concat());
    assert!(view.unwrap().owed().is_empty());
}

#[test]
fn open_are_intents_without_a_result() {
    let view = fold(vec![
        ("web/a", begin(1)),
        ("web/b", begin(1)),
        ("web/b", unknown()),
        ("web/c", begin(1)),
        ("web/c", success(How::Applied, &[])),
    ])
    .unwrap();
    let open: Vec<_> = view.open().map(|(node, intent)| (node.clone(), intent.attempt)).collect();
    assert_eq!(open, [(key("web/a"), 1), (key("web/b"), 1)]);
    assert!(view.changed());
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let codes: Vec<_> = RunOutcome::ALL.map(|outcome| (outcome.as_str(), outcome.exit_code())).to_vec();
    let expected = [
        ("succeeded", 0),
        ("failed", 1),
        ("partially_applied", 5),
        ("cancelled", 130),
        ("stale", 4),
        ("interrupted", 130),
        ("needs_operator", 7),
        ("undone", 1),
        ("undo_failed", 6),
    ];
    assert_eq!(codes, expected);
    for outcome in RunOutcome::ALL {
        assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
    }
}

#[test]
fn ids_are_spelt_in_one_way() {
    assert!(UseId::new("0".repeat(31)).is_err());
    assert!(UseId::new("A".repeat(32)).is_err());
    assert!(RunId::new("g".repeat(64)).is_err());
    // A vector that another language could run: derive(operation id, [use, target, address]).
    let expected =
        Digest::derive("rectify 2026 v1 operation id", &["0".repeat(32).as_bytes(), b"a", b"web/a"]);
    assert_eq!(
        operation_id(&fixed_run().use_id, &key("web/a").target, &key("web/a").address),
        expected.hex()
    );
}

/// Folds records about the target `a`, which is verified first.
fn fold_all(records: Vec<Record>) -> Result<RunView, GrammarError> {
    let entries: Vec<Entry> = core::iter::once(verified())
        .chain(records)
        .zip(1..)
        .map(|(record, seq)| Entry { seq, at_ms: 0, record })
        .collect();
    RunView::fold(fixed_run(), &entries)
}

fn verified() -> Record {
    let state = TargetState::Verified(Identity::Root(Digest::of_bytes(b"id")));
    Record::Target(TargetRecord { target: TargetName::new("a").unwrap(), state })
}

fn forward(address: &str, state: StepState) -> Record {
    Record::Step(StepRecord { node: key(address), state })
}

fn back(address: &str, state: UndoState) -> Record {
    Record::Undo(UndoRecord { node: key(address), state })
}

fn with_fence(fence: u64, attempt: u32) -> Intent {
    let StepState::Intent(intent) = begin(attempt) else { unreachable!() };
    Intent { fence, ..intent }
}

fn broken() -> Failure {
    Failure { code: "apply-gate".into(), message: "it does not hold".into(), mutated: Mutated::No }
}

fn undoing() -> Record {
    Record::Run(RunMark::Undoing { because: broken(), place: "a/web/b".into() })
}

fn resolved(address: &str, undo: bool, verdict: Verdict) -> Record {
    Record::Run(RunMark::Resolved(Resolution {
        node: key(address),
        undo,
        verdict,
        by: "somebody".into(),
        reason: "looked".into(),
        envelope: Digest::of_bytes(b"envelope"),
    }))
}

#[test]
fn taking_back_comes_after_its_mark_and_only_for_what_changed() {
    let done = |how| vec![forward("web/a", begin(1)), forward("web/a", success(how, &[]))];
    let undone = || back("web/a", UndoState::Undone { how: How::Applied, fingerprint: None });
    let intent = || back("web/a", UndoState::Intent(with_fence(0, 1)));
    let all = |mut records: Vec<Record>, more: Vec<Record>| {
        records.extend(more);
        fold_all(records)
    };
    let view = all(done(How::Applied), vec![undoing(), intent(), undone()]).unwrap();
    assert_eq!(view.undo().len(), 1);
    assert_eq!(view.undoing().unwrap().1, "a/web/b");
    assert_eq!(view.open_undo().count(), 0);
    assert_eq!(all(done(How::Applied), vec![undoing(), intent()]).unwrap().open_undo().count(), 1);
    let too_early = all(done(How::Applied), vec![intent()]).unwrap_err();
    assert!(matches!(too_early, GrammarError::Phase { undoing: false, .. }), "{too_early}");
    let unchanged = all(done(How::Already), vec![undoing(), intent()]).unwrap_err();
    assert!(matches!(unchanged, GrammarError::Transition { from: "succeeded", .. }), "{unchanged}");
    let pending = fold_all(vec![undoing(), intent()]).unwrap_err();
    assert!(matches!(pending, GrammarError::Transition { from: "pending", .. }), "{pending}");
    let twice = all(done(How::Applied), vec![undoing(), undoing()]).unwrap_err();
    assert!(matches!(twice, GrammarError::Phase { undoing: true, .. }), "{twice}");
    let forward_again = all(done(How::Applied), vec![undoing(), forward("web/b", begin(1))]).unwrap_err();
    assert!(matches!(forward_again, GrammarError::Phase { undoing: true, .. }), "{forward_again}");
}

#[test]
fn resuming_raises_the_fence_and_asks_for_the_targets_again() {
    let resumed = |fence| Record::Run(RunMark::Resumed { fence });
    let intent = |fence| forward("web/a", StepState::Intent(with_fence(fence, 1)));
    let view = fold_all(vec![resumed(3), verified(), intent(3)]).unwrap();
    assert_eq!((view.fence(), view.resumed()), (3, 1));
    let same = fold_all(vec![resumed(0)]).unwrap_err();
    assert_eq!(same, GrammarError::Fence { seq: 2, before: 0, got: 0 });
    let old_fence = fold_all(vec![resumed(3), verified(), intent(0)]).unwrap_err();
    assert_eq!(old_fence, GrammarError::IntentFence { seq: 4, node: key("web/a"), expected: 3, got: 0 });
    let unverified = fold_all(vec![resumed(3), intent(3)]).unwrap_err();
    assert_eq!(unverified, GrammarError::Unverified { seq: 3, node: key("web/a") });
}

#[test]
fn only_what_is_unknown_is_resolved_and_a_retry_is_a_new_operation() {
    let lost = || vec![forward("web/a", begin(1)), forward("web/a", StepState::Unknown(broken()))];
    let all = |more: Vec<Record>| fold_all(lost().into_iter().chain(more).collect());
    let view = all(vec![resolved("web/a", false, Verdict::Retry)]).unwrap();
    let step = &view.steps()[&key("web/a")];
    assert_eq!((step.retries, step.granted), (1, true));
    let view = all(vec![resolved("web/a", false, Verdict::Retry), forward("web/a", begin(2))]).unwrap();
    assert_eq!((view.steps()[&key("web/a")].retries, view.steps()[&key("web/a")].granted), (1, false));
    let judged = forward("web/a", success(How::Judged, &[]));
    let view = all(vec![resolved("web/a", false, Verdict::Succeeded), judged]).unwrap();
    assert!(view.changed() && view.open().count() == 0);
    let done = vec![forward("web/a", begin(1)), forward("web/a", success(How::Applied, &[]))];
    let known = done.into_iter().chain([resolved("web/a", false, Verdict::Failed)]).collect();
    assert!(matches!(fold_all(known), Err(GrammarError::Transition { to: "resolved", .. })));
    let none = all(vec![resolved("web/a", true, Verdict::Retry)]).unwrap_err();
    assert!(matches!(none, GrammarError::Transition { from: "pending", .. }), "{none}");
}

#[test]
fn what_was_not_begun_may_begin_again_and_nothing_else_that_failed() {
    let failed =
        |code: &str, mutated| StepState::Failed(Failure { code: code.into(), message: "m".into(), mutated });
    let after = |state: StepState, next: StepState| {
        fold_all(vec![forward("web/a", begin(1)), forward("web/a", state), forward("web/a", next)])
    };
    let not_begun = || failed(rectify_model::journal::NOT_BEGUN, Mutated::No);
    assert!(after(not_begun(), begin(2)).is_ok());
    assert!(after(not_begun(), success(How::Observed, &[])).is_ok());
    let unknown = after(not_begun(), StepState::Unknown(broken())).unwrap_err();
    assert!(matches!(unknown, GrammarError::Transition { from: "failed", to: "unknown", .. }), "{unknown}");
    for other in [failed(rectify_model::journal::NOT_BEGUN, Mutated::Maybe), failed("EXIT", Mutated::No)] {
        let again = after(other, begin(2)).unwrap_err();
        assert!(matches!(again, GrammarError::Transition { from: "failed", to: "intent", .. }), "{again}");
    }
}

#[test]
fn why_nothing_new_began_holds_until_the_run_is_taken_up() {
    let stopped = |cause| Record::Run(RunMark::Stopped { cause, message: "m".into() });
    let both = vec![stopped(StopCause::Cancelled), stopped(StopCause::SpaceLow)];
    let view = fold_all(both.clone()).unwrap();
    assert_eq!(view.stopped().len(), 2);
    let again = both.into_iter().chain([Record::Run(RunMark::Resumed { fence: 1 })]).collect();
    assert!(fold_all(again).unwrap().stopped().is_empty());
    assert_eq!(StopCause::ALL.map(StopCause::fails), [false, false, true, true, false, false]);
}

#[test]
fn operations_differ_by_direction_and_retry() {
    let (use_id, node) = (fixed_run().use_id, key("web/a"));
    let id = |direction, retries| operation_id_of(&use_id, &node.target, &node.address, direction, retries);
    assert_eq!(id(Direction::Forward, 0), operation_id(&use_id, &node.target, &node.address));
    let all = [
        id(Direction::Forward, 0),
        id(Direction::Forward, 1),
        id(Direction::Back, 0),
        id(Direction::Back, 1),
    ];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
}
