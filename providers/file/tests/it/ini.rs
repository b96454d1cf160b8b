//! `file.ini`: what a careful administrator would do by hand.

use crate::{
    settings::{after, after_bytes, refused},
    world::World,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const JOURNALD: &str = "#  This file is part of systemd.\n\n[Journal]\n#Storage=auto\n#Compress=yes\nSplitMode=uid\n#SystemMaxUse=\n#SystemKeepFree=\n";

fn ini(before: &str, desired: &Value) -> String {
    after("file.ini", before, desired)
}

fn set(key: &[&str], value: impl Into<Value>) -> Value {
    json!({"key": key, "value": value.into()})
}

fn unset(key: &[&str]) -> Value {
    json!({"key": key, "state": "absent"})
}

#[test]
fn a_default_is_uncommented_in_its_place() {
    let got = ini(JOURNALD, &set(&["Journal", "SystemMaxUse"], "500M"));
    assert_eq!(got, JOURNALD.replace("#SystemMaxUse=", "SystemMaxUse=500M"));
    let mut keep = set(&["Journal", "SystemMaxUse"], "500M");
    keep["uncomment"] = false.into();
    let got = ini(JOURNALD, &keep);
    assert_eq!(got, JOURNALD.replace("SplitMode=uid\n", "SplitMode=uid\nSystemMaxUse=500M\n"));
    let spaced = "[mysqld]\n# port = 3306\n#port is the port\n";
    assert_eq!(ini(spaced, &set(&["mysqld", "port"], 3307)), "[mysqld]\nport = 3307\n#port is the port\n");
    // Where the key follows the mark at once, it is no prose.
    let prose = "[a]\n; k = what it does\n;k = 1\n; k = 2, says somebody\n";
    assert_eq!(
        ini(prose, &set(&["a", "k"], "3")),
        "[a]\n; k = what it does\nk = 3\n; k = 2, says somebody\n"
    );
    // In another section it is another option.
    assert_eq!(ini("[a]\n#k=1\n[b]\nx=1\n", &set(&["b", "k"], "3")), "[a]\n#k=1\n[b]\nx=1\nk=3\n");
}

#[test]
fn a_value_is_replaced_and_nothing_else() {
    for (before, wanted) in [
        ("[a]\nk=1\n", "[a]\nk=9\n"),
        ("[a]\nk = 1\n", "[a]\nk = 9\n"),
        ("[a]\n\tk\t=  1  \n", "[a]\n\tk\t=  9\n"),
        ("[a]\r\nk=1\r\nz=2\r\n", "[a]\r\nk=9\r\nz=2\r\n"),
        ("[a]\nk=", "[a]\nk=9"),
        ("[a]\nk =\n", "[a]\nk = 9\n"),
        ("[a]\nk\n", "[a]\nk=9\n"),
        ("\u{feff}[a]\nk=1\n", "\u{feff}[a]\nk=9\n"),
        ("[a] ; the first\nk=1\n[ab]\nk=2\n", "[a] ; the first\nk=9\n[ab]\nk=2\n"),
        ("k=0\n[a]\nK=1\nk=1\n", "k=0\n[a]\nK=1\nk=9\n"),
    ] {
        assert_eq!(ini(before, &set(&["a", "k"], "9")), wanted);
    }
    assert_eq!(ini("[a]\nk = 1\n", &set(&["a", "k"], "")), "[a]\nk =\n");
    assert_eq!(ini("[a]\nk=0x=y\n", &set(&["a", "k"], "b=c")), "[a]\nk=b=c\n");
    let bytes = after_bytes("file.ini", b"[a]\nx=\xff\xfe\nk=1\n", &set(&["a", "k"], "9")).unwrap();
    assert_eq!(bytes, b"[a]\nx=\xff\xfe\nk=9\n");
}

#[test]
fn what_is_missing_is_written_as_what_is_near() {
    for (before, wanted) in [
        ("", "[a]\nk=9\n"),
        ("[b]\nx = 1\n", "[b]\nx = 1\n\n[a]\nk = 9\n"),
        ("[b]\r\nx=1", "[b]\r\nx=1\r\n\r\n[a]\r\nk=9\r\n"),
        ("[a]\nx= 1\n\n# about b\n[b]\ny=1\n", "[a]\nx= 1\nk= 9\n\n# about b\n[b]\ny=1\n"),
        ("[a]\n  x      = 1\n", "[a]\n  x      = 1\n  k = 9\n"),
        ("[a]\n# nothing yet\n", "[a]\nk=9\n# nothing yet\n"),
        // The later of two sections wins where readers join them.
        ("[a]\nx=1\n[b]\n[a]\ny=1\n", "[a]\nx=1\n[b]\n[a]\ny=1\nk=9\n"),
        ("[a]\nx=1 \\\n  2\n[b]\n", "[a]\nx=1 \\\n  2\nk=9\n[b]\n"),
    ] {
        assert_eq!(ini(before, &set(&["a", "k"], "9")), wanted);
    }
    let mut spaced = set(&["a", "k"], "9");
    spaced["delimiter"] = " : ".into();
    assert_eq!(ini("", &spaced), "[a]\nk : 9\n");
    assert_eq!(ini("[a]\nx:1\n", &spaced), "[a]\nx:1\nk:9\n");
}

#[test]
fn options_may_stand_before_all_sections() {
    for (before, wanted) in [
        ("", "k=9\n"),
        ("x=1\n[a]\nk=1\n", "x=1\nk=9\n[a]\nk=1\n"),
        ("[a]\nk=1\n", "k=9\n[a]\nk=1\n"),
        ("# the file\n\n# about a\n[a]\nk=1\n", "# the file\nk=9\n\n# about a\n[a]\nk=1\n"),
        ("#k=1\n[a]\n", "k=9\n[a]\n"),
        ("# only comments\n", "# only comments\nk=9\n"),
    ] {
        assert_eq!(ini(before, &set(&["k"], "9")), wanted);
    }
}

#[test]
fn a_key_that_stands_several_times_is_never_guessed_at() {
    let unit = "[Service]\nExecStart=\nExecStart=/bin/a\nType=simple\n";
    let key = ["Service", "ExecStart"];
    assert_eq!(
        refused("file.ini", unit, &set(&key, "/bin/b")),
        "Unsupported /key: the key `ExecStart` stands in line 2 and in line 3"
    );
    assert_eq!(
        ini(unit, &set(&key, json!(["", "/bin/b"]))),
        "[Service]\nExecStart=\nExecStart=/bin/b\nType=simple\n"
    );
    assert_eq!(ini(unit, &set(&key, json!(["/bin/b"]))), "[Service]\nExecStart=/bin/b\nType=simple\n");
    assert_eq!(
        ini(unit, &set(&key, json!(["", "/bin/a", "/bin/b"]))),
        "[Service]\nExecStart=\nExecStart=/bin/a\nExecStart=/bin/b\nType=simple\n"
    );
    let mut more = set(&key, "/bin/b");
    more["keep_others"] = true.into();
    assert_eq!(ini(unit, &more), "[Service]\nExecStart=\nExecStart=/bin/a\nExecStart=/bin/b\nType=simple\n");
    // It says so twice already, and so it holds.
    assert_eq!(ini("[a]\nk=1\nk=1\n", &set(&["a", "k"], "1")), "[a]\nk=1\nk=1\n");
}

#[test]
fn options_are_removed_with_what_continues_them() {
    assert_eq!(ini("[a]\nk=1\nx=1\nk=2\n[b]\nk=1\n", &unset(&["a", "k"])), "[a]\nx=1\n[b]\nk=1\n");
    assert_eq!(ini("[a]\nk=1 \\\n 2\nx=1\n", &unset(&["a", "k"])), "[a]\nx=1\n");
    assert_eq!(ini("[a]\nx=1\n", &unset(&["b", "k"])), "[a]\nx=1\n");
    assert_eq!(ini(JOURNALD, &unset(&["Journal", "Storage"])), JOURNALD);
    let mut one = unset(&["a", "k"]);
    one["value"] = json!("2");
    assert_eq!(ini("[a]\nk=1\nk=2\n", &one), "[a]\nk=1\n");
}

#[test]
fn values_may_go_on_in_other_lines() {
    let backslash = "[a]\nk=1 \\\n# between\n  2\nx=1\n";
    assert_eq!(ini(backslash, &set(&["a", "k"], "9")), "[a]\nk=9\nx=1\n");
    let indent = "[a]\nk = 1\n  2\n\n  3\n\nx = 1\n";
    assert_eq!(
        refused("file.ini", indent, &set(&["a", "k"], "9")),
        "Unsupported /key: line 3 begins deeper than the line before: it may continue its value"
    );
    // What is added can be no part of a value, whatever the line before it is.
    assert_eq!(ini("[a]\nk = 1\n  b = 2\n", &set(&["a", "z"], "9")), "[a]\nk = 1\n  b = 2\nz = 9\n");
    let with = |how: &str| json!({"key": ["a", "k"], "value": "9", "continuation": how});
    assert_eq!(ini(indent, &with("indent")), "[a]\nk = 9\n\nx = 1\n");
    assert_eq!(ini(indent, &with("none")), "[a]\nk = 9\n  2\n\n  3\n\nx = 1\n");
    assert_eq!(ini("[a]\nk=C:\\\nx=1\n", &with("none")), "[a]\nk=9\nx=1\n");
}

#[test]
fn comments_after_values_stay_if_the_reader_knows_them() {
    let with = |value: &str| json!({"key": ["a", "k"], "value": value, "inline_comments": true});
    assert_eq!(ini("[a]\nk = 1  ; one\n", &with("9")), "[a]\nk = 9  ; one\n");
    assert_eq!(ini("[a]\nk = \"1 ; 2\" # one\n", &with("9")), "[a]\nk = 9 # one\n");
    assert_eq!(ini("[a]\nk = 9  ; nine\n", &with("9")), "[a]\nk = 9  ; nine\n");
    assert_eq!(ini("[a]\nk = ; none\n", &with("9")), "[a]\nk = 9 ; none\n");
    assert_eq!(ini("[a]\nk = 1;2\n", &set(&["a", "k"], "9")), "[a]\nk = 9\n");
    assert!(refused("file.ini", "", &with("1 # 2")).starts_with("Schema /value"));
}

#[test]
fn another_separator_is_noticed() {
    assert_eq!(
        refused("file.ini", "[a]\nk: 1\n", &set(&["a", "k"], "9")),
        "Unsupported /key: line 2 sets `k` with `:`, not with `=`"
    );
    let mut colon = set(&["a", "k"], "9");
    colon["delimiter"] = ": ".into();
    assert_eq!(ini("[a]\nk: 1\n", &colon), "[a]\nk: 9\n");
}

#[test]
fn case_is_ignored_only_if_asked() {
    assert_eq!(
        ini("[Global]\nWorkGroup = X\n", &set(&["global", "workgroup"], "Y")),
        "[Global]\nWorkGroup = X\n\n[global]\nworkgroup = Y\n"
    );
    let mut folded = set(&["global", "workgroup"], "Y");
    folded["ignore_case"] = true.into();
    assert_eq!(ini("[Global]\nWorkGroup = X\n", &folded), "[Global]\nWorkGroup = Y\n");
}

#[test]
fn several_options_are_set_at_once() {
    let desired = json!({"edits": [
        {"key": ["Journal", "Storage"], "value": "persistent"},
        {"key": ["Journal", "SystemMaxUse"], "value": "500M"},
        {"key": ["Journal", "SplitMode"], "state": "absent"},
    ]});
    let wanted = JOURNALD
        .replace("#Storage=auto", "Storage=persistent")
        .replace("#SystemMaxUse=", "SystemMaxUse=500M")
        .replace("SplitMode=uid\n", "");
    assert_eq!(ini(JOURNALD, &desired), wanted);
}

#[test]
fn what_would_be_read_as_something_else_is_refused() {
    for (desired, place) in [
        (set(&[], "1"), "/key"),
        (set(&["a", "b", "c"], "1"), "/key"),
        (set(&["a]", "b"], "1"), "/key"),
        (set(&["a", "b=c"], "1"), "/key"),
        (set(&["a", " b"], "1"), "/key"),
        (set(&["a", "#b"], "1"), "/key"),
        (set(&["a\n", "b"], "1"), "/key"),
        (set(&["a", "b"], "1\n2"), "/value"),
        (set(&["a", "b"], " 1"), "/value"),
        (set(&["a", "b"], "1\\"), "/value"),
        (set(&["a", "b"], json!([])), "/value"),
        (json!({"key": ["a", "b"]}), "/value"),
        (json!({"value": "1"}), "/key"),
        (json!({"edits": []}), "/edits"),
        (json!({"edits": [{"key": ["a"], "value": "1"}], "value": "1"}), "/edits"),
        (json!({"edits": [{"key": ["a"], "value": "1"}, {"key": ["a"], "value": "1"}]}), "/edits/1/key"),
        (json!({"edits": [{"key": ["a"]}]}), "/edits/0/value"),
        (json!({"key": ["a"], "value": "1", "delimiter": "->"}), "/delimiter"),
    ] {
        let message = refused("file.ini", "", &desired);
        assert!(message.starts_with(&format!("Schema {place}:")), "{desired}: {message}");
    }
}

#[test]
fn a_file_is_made_shown_and_brought_back() {
    let mut world = World::new();
    let desired = json!({"path": "/j", "key": ["Journal", "Storage"], "value": "persistent", "create": true, "mode": "0640"});
    world.converge("file.ini", &desired);
    assert_eq!(
        (world.bytes("/j"), world.mode_of("/j")),
        (b"[Journal]\nStorage=persistent\n".to_vec(), 0o640)
    );
    world.write("/k", JOURNALD, 0o644);
    let desired = json!({"path": "/k", "key": ["Journal", "Storage"], "value": "none"});
    let planned = world.converge("file.ini", &desired);
    assert!(
        planned.planned.as_ref().unwrap()["content"]["text"].as_str().unwrap().contains("\nStorage=none\n")
    );
    let inverse = world.inverse("file.ini", &desired, &planned);
    world.apply(&inverse).unwrap();
    assert_eq!(world.bytes("/k"), JOURNALD.as_bytes());
    let error = world.plan("file.ini", &json!({"path": "/no", "key": ["a", "b"], "value": "1"})).unwrap_err();
    assert_eq!(error.path.as_deref(), Some("/path"));
    assert!(
        world
            .plan("file.ini", &json!({"path": "/no", "key": ["a", "b"], "state": "absent"}))
            .unwrap()
            .is_none()
    );
}

/// A reader of the plainest sort: sections, and the options in them in order.
fn read(text: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut all = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with(['#', ';'])) {
            all.push((section.clone(), key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    all
}

fn text() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "[a]", "[b]", "k=1", "k = 2", "  k=3", "x = y", "#k=4", "; k = 5", "", "# note", "z=", "[c]",
    ]);
    (prop::collection::vec(line, 0..12), prop::sample::select(vec!["\n", "\r\n"]), any::<bool>()).prop_map(
        |(lines, end, last)| {
            let mut text = lines.join(end);
            if last && !text.is_empty() {
                text.push_str(end);
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]
    #[test]
    fn an_option_is_read_back_and_the_others_stay(
        before in text(),
        section in prop::option::of(prop::sample::select(vec!["a", "b", "new"])),
        key in prop::sample::select(vec!["k", "x", "q"]),
        value in prop::sample::select(vec!["1", "9", "a b", "=", "#", "[a]"]),
        absent in any::<bool>(),
    ) {
        let name: Vec<&str> = section.iter().copied().chain([key]).collect();
        let mut desired = if absent { unset(&name) } else { set(&name, json!([value])) };
        desired["continuation"] = "none".into();
        let after = ini(&before, &desired);
        let ours = |(s, k, _): &(String, String, String)| s == section.unwrap_or_default() && k == key;
        let others = |text: &str| read(text).into_iter().filter(|e| !ours(e)).collect::<Vec<_>>();
        prop_assert_eq!(others(&before), others(&after));
        let found: Vec<String> = read(&after).into_iter().filter(|e| ours(e)).map(|e| e.2).collect();
        prop_assert_eq!(found, if absent { vec![] } else { vec![value.to_owned()] });
        // Comments of others, and how lines end, stay.
        let notes = |text: &str| text.lines().filter(|l| l.trim() == "# note").count();
        prop_assert_eq!(notes(&before), notes(&after));
        if before.contains("\r\n") {
            prop_assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
        }
    }
}
