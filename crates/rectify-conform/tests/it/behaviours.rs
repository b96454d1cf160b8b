//! Each misbehaviour fails a known set of checks, and each check is failed by a misbehaviour.

use crate::{kit, repository};
use rectify_conform::{CHECKS, Outcome, Verdict};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// What the provider does wrong, by name.
pub const BEHAVIOURS: &[(&str, &str)] = &[
    ("none", "nothing"),
    ("answers-another-state", "answers an operation with another state than there is"),
    ("answers-twice", "answers some requests twice"),
    ("asks-the-engine", "sends a request"),
    ("batch-leaks", "tells later items of a batch from its first"),
    ("blames-nobody", "refuses properties without saying where"),
    ("changes-in-any-mode", "takes every mode for `apply`"),
    ("changes-more", "changes the mode of a file along with its text"),
    ("configures-again", "takes a second `configure`"),
    ("damages-blobs", "gives out other bytes than were stored"),
    ("deletes-once", "fails to delete what is gone"),
    ("dies-of-failures", "ends when an operation fails"),
    ("duplicate-id-served", "answers a number that is under way"),
    ("ends-with-3", "ends with 3 after `shutdown`"),
    ("environment-decides", "has the time zone in its states"),
    ("fence-forgotten", "takes every fence for the same"),
    ("forgets-claims", "forgets what was begun when it starts"),
    ("forgets-the-version", "takes fingerprints of another version of a type"),
    ("garbage-kills", "ends at a line that is no JSON"),
    ("hides-its-ranges", "does not say which versions it speaks"),
    ("hoards-output", "keeps what nobody reads, and does not notice that nobody will"),
    ("ignores-cancel", "finishes what is cancelled"),
    ("knows-every-method", "answers unknown methods"),
    ("leaks", "keeps memory with each read"),
    ("leaks-descriptors", "keeps a file open with each read"),
    ("leaves-a-child", "leaves a process behind"),
    ("leaves-half-files", "leaves a temporary file when an operation fails"),
    ("leaves-temporary-files", "leaves something unfinished beside its blobs"),
    ("ledger-elsewhere", "keeps its ledger and its fence where nobody looks"),
    ("lenient-json", "takes duplicate keys"),
    ("lies-about-failures", "says `mutated: no` of a change"),
    ("logs-secrets", "logs a secret"),
    ("long-answers", "ignores the limit of a frame"),
    ("loses-an-answer", "leaves some requests without an answer"),
    ("loses-before-images", "names a before-image that it did not keep"),
    ("manifest-moves", "prints another manifest each time"),
    ("needs-path", "needs `PATH`"),
    ("never-settles", "plans a change for what is as desired"),
    ("never-stale", "acts whatever it finds"),
    ("no-cookie-needed", "serves without the cookie"),
    ("no-first-line-end", "does not begin with an empty line"),
    ("normalize-grows", "normalizes to something longer each time"),
    ("one-write-one-message", "takes what one read gives for one message"),
    ("open-blobs", "lets others read before-images"),
    ("open-schema", "allows unknown properties in its schema"),
    ("overpromises", "promises to undo what its type does not"),
    ("plain-digest", "names what others may not read by its plain digest"),
    ("plan-writes", "writes a file while planning"),
    ("prints", "prints to standard output when an operation fails"),
    ("read-sees-desired", "reads what is desired"),
    ("replaces-half", "removes the old and does not make the new"),
    ("restores-badly", "takes back to something else"),
    ("runs-twice", "runs an action again under the same id"),
    ("says-nothing-changed", "says `mutated: no` of a cancelled change"),
    ("secret-in-arguments", "gives a secret to a command as an argument"),
    ("serves-after-shutdown", "serves requests after `shutdown`"),
    ("serves-early", "serves requests before `initialize` and `configure`"),
    ("slow-pings", "answers signs of life late while it works"),
    ("state-has-a-clock", "has the time in its states"),
    ("stays-at-end", "does not end when its input does"),
    ("stays-without-a-version", "does not end where there is no common version"),
    ("stray-cancel-answered", "answers the cancellation of nothing"),
    ("strict-members", "refuses unknown members of messages"),
    ("takes-over", "overwrites something of somebody else"),
    ("takes-unknown-properties", "takes unknown properties"),
    ("unbounded-lines", "keeps a line however long it is"),
    ("unknown-type-served", "reads a type that it does not have"),
    ("unmarked-children", "starts a command without the mark of its operation"),
    ("writes-again", "writes what is there already"),
    ("writes-floats", "writes a number that is no integer"),
    ("wrong-nonce", "greets with another number"),
];

pub fn failed(verdict: &Verdict) -> BTreeSet<String> {
    verdict.rows.iter().filter(|row| row.outcome == Outcome::Fail).map(|row| row.check.clone()).collect()
}

/// What fails under a behaviour. Where it is not as known, the checks in question are run once more by
/// themselves, so that a busy machine does not decide.
fn failing(behaviour: &str, known: &BTreeSet<String>) -> (BTreeSet<String>, String) {
    let verdict = kit(behaviour).run().unwrap();
    let mut found = failed(&verdict);
    let mut said = verdict.table(false);
    let doubtful: BTreeSet<String> = found.symmetric_difference(known).cloned().collect();
    if !doubtful.is_empty() {
        let mut again = kit(behaviour);
        again.only = doubtful.clone();
        again.jobs = 1;
        let verdict = again.run().unwrap();
        found = found.difference(&doubtful).cloned().collect();
        found.extend(failed(&verdict));
        said.push_str(&verdict.table(false));
    }
    (found, said)
}

#[test]
fn each_misbehaviour_fails_its_checks_and_each_check_has_one() {
    let golden = repository().join("crates/rectify-conform/tests/it/misbehaviours.json");
    let text = fs::read_to_string(&golden).unwrap_or_else(|_| "{}".into());
    let known: BTreeMap<String, BTreeSet<String>> = serde_json::from_str(&text).unwrap();
    let only = env::var("RECTIFY_BEHAVIOUR").ok();
    let wanted: Vec<_> = BEHAVIOURS
        .iter()
        .filter(|(name, _)| only.as_ref().is_none_or(|o| o.split(',').any(|o| o == *name)))
        .collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, _)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let nothing = BTreeSet::new();
                    let result = failing(name, known.get(*name).unwrap_or(&nothing));
                    found.lock().unwrap().insert((*name).to_owned(), result);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let sets: BTreeMap<&String, &BTreeSet<String>> =
        found.iter().map(|(name, (set, _))| (name, set)).collect();
    if env::var_os("RECTIFY_UPDATE").is_some() {
        let mut all: BTreeMap<String, BTreeSet<String>> = known.clone();
        all.extend(found.iter().map(|(name, (set, _))| (name.clone(), set.clone())));
        all.retain(|name, _| BEHAVIOURS.iter().any(|(known, _)| known == name));
        fs::write(&golden, format!("{}\n", serde_json::to_string_pretty(&all).unwrap())).unwrap();
    }
    for (name, (set, said)) in &found {
        if env::var_os("RECTIFY_UPDATE").is_some() {
            println!("== {name}: {set:?}\n{said}");
        } else {
            assert_eq!(Some(set), known.get(name), "{name} fails other checks than before:\n{said}");
        }
    }
    if only.is_some() {
        return;
    }
    assert!(sets[&"none".to_owned()].is_empty(), "{}", found["none"].1);
    for (name, set) in &sets {
        assert!(*name == "none" || !set.is_empty(), "{name} is not noticed");
    }
    for check in CHECKS {
        assert!(sets.values().any(|set| set.contains(check.id)), "nothing fails {}", check.id);
    }
}
