//! Hostile and broken policies: each is denied, with its code, in time, and nobody but the child
//! dies.

use crate::{alone, block_on, cases, input, program, rules};
use rectify_host::policy::evaluate;
use rectify_policy::Bundle;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

/// Most time that any of them may take, with the start of the process.
const TOOK_MAX: Duration = Duration::from_millis(10_500);
/// Fewest cases that must be found.
const CASES_MIN: usize = 40;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn read_files(root: &Path, at: &Path, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_files(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// Policies that are too large to be kept, from their description.
fn generate(description: &Value) -> Bundle {
    let n = usize::try_from(description["n"].as_u64().unwrap()).unwrap();
    let mut text = String::from("package rectify\n\n");
    match description["generate"].as_str().unwrap() {
        "squarings" => {
            text.push_str("allow if {\n\tx0 := 3\n");
            (0..n).for_each(|i| text.push_str(&format!("\tx{} := x{i} * x{i}\n", i + 1)));
            text.push_str(&format!("\tx{n} > 0\n}}\n"));
        }
        "doublings" => {
            text.push_str("allow if {\n\ts0 := \"0123456789abcdef\"\n");
            (0..n).for_each(|i| text.push_str(&format!("\ts{} := concat(\"\", [s{i}, s{i}])\n", i + 1)));
            text.push_str(&format!("\tcount(s{n}) > 0\n}}\n"));
        }
        "deep-array" => {
            let (open, close) = ("[[[[[[[[[[\n".repeat(n / 10), "]]]]]]]]]]\n".repeat(n / 10));
            text.push_str(&format!("allow if x != 1\n\nx := {open}{close}"));
        }
        "sum" => text.push_str(&format!("allow if x > 0\n\nx := 1{}\n", " +\n1".repeat(n - 1))),
        "chain" => {
            text.push_str("allow if r0\n");
            (0..n).for_each(|i| text.push_str(&format!("r{i} if r{}\n", i + 1)));
            text.push_str(&format!("r{n} if true\n"));
        }
        "huge-file" => {
            text.push_str("allow := true\n");
            text.push_str(&format!("# {}\n", "x".repeat(1000)).repeat(n / 1003));
        }
        other => panic!("nothing generates {other}"),
    }
    rules(&text)
}

fn bundle_of(case: &Path) -> Bundle {
    if case.join("case.json").exists() {
        return generate(&json(&case.join("case.json")));
    }
    let mut files = BTreeMap::new();
    read_files(&case.join("bundle"), &case.join("bundle"), &mut files);
    Bundle { files }
}

#[test]
fn every_case_is_denied_in_time_with_its_code() {
    let _alone = alone();
    let mut names: Vec<_> = std::fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.is_dir());
    names.sort();
    assert!(names.len() >= CASES_MIN, "only {} cases", names.len());
    let input = input();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for case in &names {
        let expect = json(&case.join("expect.json"));
        let bundle = bundle_of(case);
        let start = Instant::now();
        let outcome = block_on(evaluate(program(), &[], &bundle, &input));
        let took = start.elapsed();
        let name = case.file_name().unwrap().to_str().unwrap();
        match outcome {
            Ok(decision) => wrong.push(format!("{name}: decided {decision:?}")),
            Err(error) => {
                seen.insert(error.code().as_str());
                if (error.code().as_str(), error.place())
                    != (expect["code"].as_str().unwrap(), expect["place"].as_str().unwrap())
                {
                    wrong.push(format!("{name}: {} at `{}`: {error}", error.code(), error.place()));
                }
            }
        }
        if took >= TOOK_MAX {
            wrong.push(format!("{name}: took {took:?}"));
        }
        println!("{name}: {took:?}");
    }
    assert!(wrong.is_empty(), "{} of {} cases are wrong:\n{}", wrong.len(), names.len(), wrong.join("\n"));
    // The two that are about the process and not about a policy are tested beside this.
    let all: BTreeSet<&str> = rectify_policy::codes::ALL.iter().map(|code| code.as_str()).collect();
    let missing: Vec<_> = all.difference(&seen).copied().collect();
    assert_eq!(missing, ["policy-answer", "policy-child"]);
}
