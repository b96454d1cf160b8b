//! The conformance kit on every built-in provider.

use rectify_conform::{Fixtures, Kit, Outcome, Verdict};
use rectify_tests::rectify;
use std::{env, fs, path::Path};

/// The built-in providers, in the order of the page.
const PROVIDERS: [&str; 4] = ["command", "facts", "file", "probe"];

fn verdict(name: &str) -> Verdict {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let bytes = fs::read(top.join("providers").join(name).join("fixtures.yaml")).unwrap();
    let provider = vec![rectify().display().to_string()];
    let mut kit = Kit::new(provider, Fixtures::read(&bytes).unwrap(), Fixtures::digest(&bytes));
    kit.builtin = Some(name.into());
    kit.soak = 1_000;
    kit.jobs = 6;
    let first = kit.run().unwrap();
    if first.conforms() {
        return first;
    }
    // So that a busy machine does not decide: what failed once more, by itself.
    let doubtful = first.rows.iter().filter(|row| row.outcome == Outcome::Fail);
    kit.only = doubtful.map(|row| row.check.clone()).collect();
    kit.jobs = 1;
    let again = kit.run().unwrap();
    assert!(again.conforms(), "{name}, twice:\n{}{}", first.table(false), again.table(false));
    let mut rows: Vec<_> = first.rows.into_iter().filter(|row| !kit.only.contains(&row.check)).collect();
    rows.extend(again.rows);
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    let counts = rectify_conform::Counts {
        pass: count(Outcome::Pass),
        skip: count(Outcome::Skip),
        fail: count(Outcome::Fail),
    };
    Verdict { rows, counts, ..again }
}

#[test]
fn every_built_in_provider_conforms() {
    let mut table = String::from("| provider | passed | skipped | failed |\n|---|---|---|---|\n");
    for name in PROVIDERS {
        let verdict = verdict(name);
        // Each type has fixtures, and nothing is skipped without a reason.
        let untested = "there are no fixtures for it";
        for row in &verdict.rows {
            assert!(row.outcome == Outcome::Pass || row.reason.is_some());
            assert_ne!(row.reason.as_deref(), Some(untested), "{:?} has no fixtures", row.subject);
        }
        let c = verdict.counts;
        table.push_str(&format!("| `{name}` | {} | {} | {} |\n", c.pass, c.skip, c.fail));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- builtins -->\n").unwrap();
    let (found, after) = rest.split_once("<!-- end of builtins -->").unwrap();
    let expected = format!("\n{table}\n");
    if env::var_os("RECTIFY_UPDATE").is_some() {
        fs::write(&path, format!("{before}<!-- builtins -->\n{expected}<!-- end of builtins -->{after}"))
            .unwrap();
        return;
    }
    assert_eq!(found, expected, "`builtins` of docs/conformance.md is old; RECTIFY_UPDATE=1 writes it");
}
