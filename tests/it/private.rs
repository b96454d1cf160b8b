//! What others may not read is in nothing that a run leaves for others to read.

use rectify_base::Digest;
use rectify_tests::{Scratch, remediation};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// All readable texts below a directory.
fn texts(directory: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(&path, found);
        } else {
            let bytes = fs::read(&path).unwrap();
            found.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
}

#[test]
fn a_private_content_is_named_by_nothing_that_it_could_be_guessed_from() {
    let scratch = Scratch::new();
    scratch.trust(1);
    let before = "pin=4711\n";
    scratch.write("root/etc/pin", before);
    fs::set_permissions(scratch.path("root/etc/pin"), fs::Permissions::from_mode(0o600)).unwrap();
    scratch.write(
        "project/remediations/pin.yaml",
        &remediation("pin", "  a:\n    file.line: {path: /etc/pin, line: 'tries=3'}\n"),
    );
    scratch.seal("a.plan.json");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    let after = scratch.read("root/etc/pin");
    assert_eq!(after, "pin=4711\ntries=3\n");
    let mut found = vec![("a.plan.json".to_owned(), scratch.read("a.plan.json"))];
    texts(&scratch.path("a.plan.d"), &mut found);
    let history = scratch.ok(&["history"]).stdout;
    let run = history.split_whitespace().nth(1).unwrap().to_owned();
    found.push(("history".to_owned(), scratch.ok(&["history", &run]).stdout));
    found.push(("show".to_owned(), scratch.ok(&["show", "a.plan.json", "--details"]).stdout));
    assert!(found.len() > 6, "{found:?}");
    for (what, text) in &found {
        assert!(!text.contains("4711"), "{what} tells the content");
        for content in [before, &after] {
            assert!(!text.contains(&Digest::of_bytes(content.as_bytes()).hex()), "{what} tells its digest");
        }
        assert!(!text.contains("\"size\""), "{what} tells its size");
    }
    assert!(found.iter().any(|(_, text)| text.contains("\"keyed\"")), "the change is told all the same");
    scratch.ok(&["-C", "project", "plan", "--detailed-exitcode"]);
}
