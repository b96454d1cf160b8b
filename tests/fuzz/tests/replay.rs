//! Every target on everything that is known, and on a few mutations of it: the same each time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use peak_alloc::PeakAlloc;
use rectify_fuzz::{TARGETS, Target, conformance, corpus, mutate::mutate, rng::Rng};
use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

/// Most processor time that one input may take; other work on the machine does not count. A bound of the
/// code under test that does not hold shows here. A release build is about ten times as fast.
const INPUT_MAX: Duration = Duration::from_secs(5);
/// Most memory at once, for all targets of this process together.
const MEMORY_MAX_MB: f32 = 256.0;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Processor time of this thread so far.
fn processor() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0))
}

/// Mutations of each input, for who wants more than the few that every run of the tests tries.
const ROUNDS: &str = "RECTIFY_FUZZ_ROUNDS";

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Tries one input, and says what it took. What broke a law is left in the directory for temporary files.
fn try_on(target: &Target, input: &[u8]) -> Duration {
    let begin = processor();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.check)(input)));
    let took = processor().saturating_sub(begin);
    if outcome.is_err() || took > INPUT_MAX {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.input", target.name));
        fs::write(&path, input).unwrap();
        let what = if outcome.is_err() { "broke a law".into() } else { format!("took {took:?}") };
        panic!("{}: an input {what}; it is in {}", target.name, path.display());
    }
    took
}

fn replay(name: &str) {
    let target = rectify_fuzz::target(name).unwrap();
    let seeds = (target.seeds)(&conformance());
    assert!(!seeds.is_empty(), "{name} has nothing to begin with");
    // What was found by trying many is tried as it is.
    let asked = std::env::var(ROUNDS).ok().map(|rounds| rounds.parse::<usize>().unwrap());
    let begin = Instant::now();
    let (mut tried, mut longest) = (0, Duration::ZERO);
    let found = corpus(target);
    let seeds = seeds.iter().map(|input| (input, asked.unwrap_or(target.replays)));
    for (index, (input, rounds)) in
        seeds.chain(found.iter().map(|input| (input, asked.unwrap_or(0)))).enumerate()
    {
        longest = longest.max(try_on(target, input));
        let mut rng = Rng::new(index as u64);
        for _ in 0..rounds {
            let changed = mutate(input, &mut rng);
            if changed.len() <= target.max_bytes {
                longest = longest.max(try_on(target, &changed));
            }
        }
        tried += 1 + rounds;
    }
    let (took, peak) = (begin.elapsed().as_secs_f32(), MEMORY.peak_usage_as_mb());
    println!("{name}: {tried} inputs in {took:.1} s, one at most {longest:.1?}; {peak:.0} MB");
    assert!(peak <= MEMORY_MAX_MB, "{peak:.0} MB at once");
}

macro_rules! replays {
    ($($name:ident)*) => {
        const TESTS: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { replay(stringify!($name)); })*
    };
}

replays!(
    accounts admission agent audit bundle calendar canonical compile documents edits envelope expression facts fingerprints
    frames http journal keys ledger mounts names planning policy properties redact resolution review run serve session settings
    trust
);

#[test]
fn each_target_has_a_test_an_executable_and_nothing_else_has_a_corpus() {
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.len(), "a name twice");
    assert_eq!(names, TESTS.iter().copied().collect());
    let stems = |directory: &str| -> BTreeSet<String> {
        fs::read_dir(home().join(directory))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    let names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
    assert_eq!(stems("libfuzzer/fuzz_targets"), names);
    assert!(stems("corpus").is_subset(&names));
    let manifest = fs::read_to_string(home().join("libfuzzer/Cargo.toml")).unwrap();
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "libfuzzer/Cargo.toml lacks {name}");
    }
}
