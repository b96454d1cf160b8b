//! What is refused: one damage each, by its code, and nothing of the provider runs.

use super::{Motd, clean, flip, greeting, lock, locked, released, stored};
use rectify_attest::Lock;
use rectify_engine::{
    Engine, Helpers, Places, Provider, Providers,
    events::Silent,
    providers::{LockRequest, accept, propose},
};
use rectify_host::Executable;
use rectify_tests::{Ran, Scratch};
use std::fs;

fn refuses(scratch: &Scratch, code: &str, arguments: &[&str]) -> Ran {
    let ran = scratch.run(arguments);
    assert_ne!(ran.code, 0, "{arguments:?}: {ran:?}");
    assert!(ran.stderr.contains(&format!("error[{code}]")), "{arguments:?}: expected {code}\n{}", ran.stderr);
    assert!(scratch.ok(&["explain", code]).stdout.starts_with(&format!("# {code}\n")));
    ran
}

const PLAN: &[&str] = &["-C", "project", "plan"];
const LOCK: &[&str] = &["-C", "project", "provider", "lock", "--yes", "release"];

#[test]
fn one_changed_byte_in_the_store() {
    let scratch = locked();
    let program = stored(&scratch, false);
    // Before an argument is looked at: were it started, it would say so.
    let bytes = fs::read_to_string(scratch.path(&program)).unwrap();
    let at = bytes.find("import json").unwrap();
    flip(&scratch, &program, at);
    let refused = refuses(&scratch, "provider-digest-mismatch", PLAN);
    insta::assert_snapshot!("changed_program", cleaned(&scratch, &refused.stderr));
    flip(&scratch, &program, at);
    scratch.ok(PLAN);
    let manifest = stored(&scratch, true);
    flip(&scratch, &manifest, 100);
    let refused = refuses(&scratch, "provider-digest-mismatch", &["-C", "project", "validate"]);
    insta::assert_snapshot!("changed_manifest", cleaned(&scratch, &refused.stderr));
    // The locked bytes come back from where they came.
    let fetched = scratch.ok(&["-C", "project", "provider", "fetch"]);
    assert_eq!(fetched.stdout, "fetched acme\n");
    scratch.ok(PLAN);
}

/// File names in the store are digests, too.
fn cleaned(scratch: &Scratch, text: &str) -> String {
    let mut clean = clean(scratch, text);
    for manifest in [true, false] {
        let name = stored(scratch, manifest);
        let digest = name.trim_start_matches("state/store/").trim_end_matches(".manifest.json").to_owned();
        clean = clean.replace(&digest, "HEX");
    }
    clean
}

#[test]
fn one_changed_byte_between_plan_and_apply() {
    let scratch = locked();
    scratch.seal("a.plan.json");
    let program = stored(&scratch, false);
    let end = fs::read(scratch.path(&program)).unwrap().len() - 2;
    flip(&scratch, &program, end);
    refuses(&scratch, "provider-digest-mismatch", &["-C", "project", "apply", "a.plan.json"]);
    assert!(!scratch.path("root/etc/motd").exists());
    // No permission was used up for nothing.
    assert_eq!(scratch.ok(&["history"]).stdout, "");
    flip(&scratch, &program, end);
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/motd"), "hello");
}

#[test]
fn one_changed_byte_in_the_lock_file() {
    let scratch = locked();
    let lock = scratch.read("project/rectify.lock");
    let parsed = Lock::read(lock.as_bytes()).unwrap();
    let release = &parsed.providers["acme"].release;
    let file = &release.files["any"];
    let other = |hex: &str| {
        let flipped = if hex.starts_with('0') { "1" } else { "0" };
        format!("{flipped}{}", &hex[1..])
    };
    for (from, to) in [
        (file.blake3.hex(), other(&file.blake3.hex())),
        (file.sha256.hex(), other(&file.sha256.hex())),
        (release.manifest.blake3.hex(), other(&release.manifest.blake3.hex())),
        ("\"version\": \"1.0.0\"".into(), "\"version\": \"1.0.1\"".into()),
        ("acme@example.org".into(), "bcme@example.org".into()),
        ("env python3".into(), "env python2".into()),
        ("\"any\"".into(), "\"linux-x86_64\"".into()),
    ] {
        assert!(lock.contains(&from), "{from}");
        scratch.write("project/rectify.lock", &lock.replace(&from, &to));
        let code = if from == "\"any\"" { "lock-content" } else { "lock-signature" };
        let refused = refuses(&scratch, code, PLAN);
        if from.starts_with("\"version\"") {
            insta::assert_snapshot!("edited_lock", clean(&scratch, &refused.stderr));
        }
        refuses(&scratch, code, LOCK);
    }
    // Not in its one form; and the signature taken away, with and without saying so.
    scratch.write("project/rectify.lock", &lock.replace("  ", " "));
    refuses(&scratch, "lock-content", PLAN);
    let line = lock.lines().find(|line| line.contains("\"signature\"")).unwrap();
    let bare = lock.replace(&format!("{line}\n"), "");
    scratch.write("project/rectify.lock", &bare);
    refuses(&scratch, "lock-signature", PLAN);
    scratch.write("project/rectify.lock", &lock);
    scratch.ok(PLAN);
}

#[test]
fn one_changed_byte_at_the_source() {
    let scratch = released();
    flip(&scratch, "release/motd.py", 400);
    let refused = refuses(&scratch, "release-files", LOCK);
    insta::assert_snapshot!("changed_source", clean(&scratch, &refused.stderr));
    flip(&scratch, "release/motd.py", 400);
    flip(&scratch, "release/manifest.json", 60);
    refuses(&scratch, "envelope-subject", LOCK);
    flip(&scratch, "release/manifest.json", 60);
    let envelope = scratch.read("release/release.dsse.json");
    let at = envelope.find("\"sig\": \"").unwrap() + 10;
    // Another signature, and still base64, whatever the random one was.
    let other = if envelope[at..].starts_with('A') { "B" } else { "A" };
    let changed = [&envelope[..at], other, &envelope[at + 1..]].concat();
    scratch.write("release/release.dsse.json", &changed);
    refuses(&scratch, "envelope-signature", LOCK);
    scratch.write("release/release.dsse.json", &envelope);
    lock(&scratch, &["release"]);
    // What another release has in its place is not fetched for the locked one.
    fs::remove_dir_all(scratch.path("state/store")).unwrap();
    Motd { version: "1.0.1", ..Motd::default() }.pack(&scratch, "release", Some("keys-acme"));
    refuses(&scratch, "release-files", &["-C", "project", "provider", "fetch"]);
}

#[test]
fn a_release_that_contradicts_itself() {
    let scratch = released();
    Motd::default().pack(&scratch, "bare", None);
    let lock = ["-C", "project", "provider", "lock", "--yes", "--unsigned", "bare"];
    let release = scratch.read("bare/release.json");
    scratch
        .write("bare/release.json", &release.replace("  \"interpreter\": \"/usr/bin/env python3\",\n", ""));
    refuses(&scratch, "release-content", &lock);
    // Only for another machine.
    let other = release
        .replace("  \"interpreter\": \"/usr/bin/env python3\",\n", "")
        .replace("\"any\"", "\"linux-m68k\"");
    scratch.write("bare/release.json", &other);
    refuses(&scratch, "provider-platform", &lock);
    scratch.write("bare/release.json", &release);
    scratch.ok(&lock);
}

#[test]
fn names_and_types_of_others() {
    let scratch = released();
    Motd { name: "file", ..Motd::default() }.pack(&scratch, "file", Some("keys-acme"));
    refuses(&scratch, "provider-name", &["-C", "project", "provider", "lock", "--yes", "file"]);
    Motd { type_name: "file.content", ..Motd::default() }.pack(&scratch, "content", Some("keys-acme"));
    let refused =
        refuses(&scratch, "type-claimed-twice", &["-C", "project", "provider", "lock", "--yes", "content"]);
    assert!(
        refused.stderr.contains("`acme` and `file` both have the type `file.content`")
            || refused.stderr.contains("`file` and `acme` both have the type `file.content`"),
        "{refused:?}"
    );
    lock(&scratch, &["release"]);
    Motd { name: "acme/second", ..Motd::default() }.pack(&scratch, "second", Some("keys-acme"));
    refuses(&scratch, "type-claimed-twice", &["-C", "project", "provider", "lock", "--yes", "second"]);
    refuses(
        &scratch,
        "provider-not-locked",
        &["-C", "project", "provider", "lock", "--remove", "other", "--yes"],
    );
}

#[test]
fn another_release_than_the_plan_was_made_with() {
    let scratch = locked();
    scratch.seal("a.plan.json");
    let before = scratch.read("project/rectify.lock");
    Motd { version: "1.0.1", ..Motd::default() }.pack(&scratch, "newer", Some("keys-acme"));
    lock(&scratch, &["newer"]);
    let refused = refuses(&scratch, "provider-moved", &["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(refused.code, 4);
    insta::assert_snapshot!("moved", clean(&scratch, &refused.stderr));
    scratch.ok(&["-C", "project", "provider", "lock", "--remove", "acme", "--yes"]);
    refuses(&scratch, "provider-moved", &["-C", "project", "apply", "a.plan.json"]);
    assert!(!scratch.path("root/etc/motd").exists());
    scratch.write("project/rectify.lock", &before);
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
}

#[test]
fn publishers_are_whom_the_trust_file_names() {
    let scratch = locked();
    let trust = scratch.read("trust.yaml");
    let key = scratch.read("keys-acme.pub");
    let with = |publishers: &str, principal: &str| {
        let text = trust.replace("roles:\n", &format!("{principal}roles:\n  publisher: {publishers}\n"));
        scratch.write("trust.yaml", &text);
    };
    let acme = |name: &str, more: &str| {
        format!("  {name}: {{kind: machine, keys: [{{public: '{}'{more}}}]}}\n", key.trim())
    };
    // Nobody's; somebody's else.
    with("[]", "");
    assert_eq!(refuses(&scratch, "publisher-role", PLAN).code, 3);
    with("[reviewer]", &acme("acme@example.org", ""));
    refuses(&scratch, "publisher-role", PLAN);
    with("[acme@example.org]", &acme("acme@example.org", ""));
    scratch.ok(PLAN);
    scratch.seal("a.plan.json");
    let known = scratch.ok(&["trust", "keys"]).stdout;
    assert!(known.contains("acme@example.org  machine  publishes providers"), "{known}");
    // The key of somebody who goes by another name, and a name with another key.
    with("[other]", &acme("other", ""));
    refuses(&scratch, "publisher-name", PLAN);
    scratch.write(
        "trust.yaml",
        &trust.replace("reviewer:", "acme@example.org:").replace("[reviewer]", "['acme@example.org']"),
    );
    refuses(&scratch, "publisher-name", PLAN);
    // A key that was lost, also where the plan is approved.
    with("[acme@example.org]", &acme("acme@example.org", ", revoked: {since: '2026-01-01T00:00:00Z'}"));
    assert_eq!(refuses(&scratch, "trust-key-revoked", &["-C", "project", "apply", "a.plan.json"]).code, 3);
    assert!(!scratch.path("root/etc/motd").exists());
    // Nobody is no publisher.
    scratch.write("trust.yaml", &trust);
    Motd::default().pack(&scratch, "bare", None);
    lock(&scratch, &["bare", "--unsigned"]);
    scratch.ok(PLAN);
    with("[acme@example.org]", &acme("acme@example.org", ""));
    refuses(&scratch, "publisher-role", PLAN);
}

#[test]
fn a_lock_file_that_was_changed_meanwhile() {
    let scratch = released();
    let engine = engine(&scratch);
    let (project, sources) = (scratch.path("project"), vec![scratch.path("release")]);
    let request = LockRequest { sources, ..LockRequest::default() };
    let proposal = propose(&engine, &project, &request).unwrap();
    lock(&scratch, &["release"]);
    let theirs = scratch.read("project/rectify.lock");
    let error = accept(&engine, &project, &proposal).unwrap_err();
    assert_eq!(error.code(), rectify_engine::codes::LOCK_MOVED);
    assert_eq!(scratch.read("project/rectify.lock"), theirs);
}

/// Whoever can write to the store changes the program again and again: what runs is always what is locked.
#[test]
fn a_program_that_is_swapped_while_it_is_started() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let scratch = locked();
    greeting(&scratch, "hello");
    let path = scratch.path(&stored(&scratch, false));
    let good = fs::read(&path).unwrap();
    // Were it started, planning would fail for another reason.
    let evil = "#!/bin/sh\nexit 3\n";
    let over = AtomicBool::new(false);
    let (mut planned, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let aside = path.with_extension("aside");
            while !over.load(Ordering::Relaxed) {
                for bytes in [evil.as_bytes(), good.as_slice()] {
                    fs::write(&aside, bytes).unwrap();
                    fs::rename(&aside, &path).unwrap();
                }
            }
        });
        for _ in 0..20 {
            let ran = scratch.run(PLAN);
            match ran.code {
                0 => planned += 1,
                _ => {
                    assert!(ran.stderr.contains("error[provider-digest-mismatch]"), "{ran:?}");
                    refused += 1;
                }
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(planned + refused, 20);
}

/// An engine with a provider of the same type at hand.
#[test]
fn the_compiler_names_both_who_have_a_type() {
    let scratch = locked();
    let manifest = Motd { name: "other", ..Motd::default() }.manifest();
    let provider = Provider {
        manifest,
        program: Executable::current().into(),
        arguments: Vec::new(),
        identity: "builtin:other@1.0.0".into(),
        locked: None,
    };
    let engine = Engine { providers: Providers::new(vec![provider]), ..engine(&scratch) };
    let error = rectify_engine::validate::validate(&engine, &scratch.path("project"), None).unwrap_err();
    assert_eq!(error.code(), rectify_compile::codes::TYPE_CLAIMED_TWICE);
    let rectify_engine::EngineError::Sources { diagnostics, .. } = error else { panic!("{error}") };
    assert_eq!(diagnostics[0].message, "the providers `acme` and `other` both have the type `acme.motd`");
}

fn engine(scratch: &Scratch) -> Engine {
    Engine {
        providers: Providers::default(),
        helpers: Helpers {
            policy: rectify_tests::rectify().to_owned(),
            policy_arguments: vec!["policy-child".into()],
            launcher: rectify_host::Launcher::default(),
        },
        places: Places { trust: scratch.path("trust.yaml"), state: scratch.path("state"), project_key: None },
        now_ms: || {
            let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
            u64::try_from(since.as_millis()).unwrap()
        },
        environment: |_| None,
        redactor: rectify_engine::Redactor::default(),
        events: Box::new(Silent),
    }
}
