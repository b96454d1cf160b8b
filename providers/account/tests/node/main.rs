//! Users and groups of a whole machine. These tests change the machine that they run on, so they run on a
//! node that `cargo xtask fleet test` makes and throws away; anywhere else they fail before they do anything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use rectify_sdk::{
    protocol::{ErrorCode, Mutated},
    testing::Exercise,
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::Path,
    process::Command,
};

const HASH: &str =
    "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";
const OTHER_HASH: &str =
    "$6$othersalt$8OEEn8zvMDcK6RHyjAMXFDLwNpqZ1ROqzg9ZvpZbbgSAPoXAWmIv8JDyXwz0jHTRNNcMTwJOQ3e6hvvdXqT6k1";

fn here() -> Exercise {
    assert!(Path::new("/etc/rectify-fleet-node").exists(), "this machine is not ours to change");
    let secrets = [("hash", HASH), ("other", OTHER_HASH), ("plain", "hunter22")];
    Exercise::new(rectify_provider_account::provider(), None, &secrets).unwrap()
}

fn secret(name: &str) -> Value {
    json!({"$secret": [{"name": name}]})
}

fn run(argv: &[&str]) -> String {
    let output = Command::new(argv[0]).args(&argv[1..]).output().unwrap();
    assert!(output.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A line of a file of accounts, without the date of the last change of a password.
fn line(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(Path::new("/etc").join(file)).unwrap();
    let begin = format!("{name}:");
    text.lines().find(|line| line.starts_with(&begin)).map(|line| {
        let mut fields: Vec<&str> = line.split(':').collect();
        if file == "shadow" {
            fields[2] = "";
        }
        fields.join(":")
    })
}

/// Everything that is there of a name.
fn all(name: &str) -> Vec<Option<String>> {
    ["passwd", "shadow", "group", "gshadow"].map(|file| line(file, name)).to_vec()
}

/// Removes what a test made, whatever came of it.
struct Gone(&'static str);

impl Drop for Gone {
    fn drop(&mut self) {
        for argv in [["userdel", "-rf", self.0], ["groupdel", "-f", self.0]] {
            drop(Command::new(argv[0]).args(&argv[1..]).output());
        }
        drop(fs::remove_dir_all(Path::new("/home").join(self.0)));
    }
}

#[test]
fn a_group_is_made_changed_removed_and_each_is_taken_back() {
    let mut exercise = here();
    let _gone = Gone("probe1");
    let made = json!({"name": "probe1", "gid": 4201});
    let planned = exercise.there_and_back("group.entry", &made).unwrap();
    assert_eq!((planned.undo.as_str(), planned.prediction.as_str(), planned.prior), ("exact", "exact", None));
    assert_eq!(line("group", "probe1"), None);
    exercise.converge("group.entry", &made).unwrap();
    assert_eq!(line("group", "probe1").unwrap(), "probe1:x:4201:");
    for (desired, expected) in [
        (json!({"name": "probe1", "members": ["root", "daemon"]}), "probe1:x:4201:daemon,root"),
        (
            json!({"name": "probe1", "members": ["bin"], "keep_members": true}),
            "probe1:x:4201:bin,daemon,root",
        ),
        (json!({"name": "probe1", "gid": 4202, "members": ["bin"]}), "probe1:x:4202:bin"),
        (json!({"name": "probe1", "members": []}), "probe1:x:4202:"),
    ] {
        let before = line("group", "probe1");
        exercise.there_and_back("group.entry", &desired).unwrap();
        assert_eq!(line("group", "probe1"), before, "{desired}");
        exercise.converge("group.entry", &desired).unwrap();
        assert_eq!(line("group", "probe1").unwrap(), expected, "{desired}");
        assert_eq!(exercise.plan("group.entry", &desired).unwrap().unwrap(), None);
    }
    run(&["gpasswd", "-M", "root", "probe1"]);
    let before = all("probe1");
    let absent = json!({"name": "probe1", "state": "absent"});
    assert_eq!(exercise.there_and_back("group.entry", &absent).unwrap().undo, "exact");
    assert_eq!(all("probe1"), before);
    run(&["gpasswd", "-A", "root", "probe1"]);
    assert_eq!(exercise.plan("group.entry", &absent).unwrap().unwrap().unwrap().undo, "lossy");
    exercise.converge("group.entry", &absent).unwrap();
    assert_eq!(all("probe1"), [None, None, None, None]);
}

#[test]
fn a_group_that_cannot_be_so_is_refused_while_planning() {
    let mut exercise = here();
    let mut refused = |desired: &Value| exercise.plan("group.entry", desired).unwrap().unwrap_err();
    let error = refused(&json!({"name": "probe2", "gid": 0}));
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Conflict, Some("/gid")));
    let error = refused(&json!({"name": "daemon", "state": "absent"}));
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Conflict, Some("/name")));
}

#[test]
fn a_user_is_made_and_taken_back() {
    let mut exercise = here();
    let _gone = Gone("probe3");
    let desired = json!({"name": "probe3", "uid": 4303, "comment": "Probe, the third", "shell": "/bin/bash",
        "groups": ["adm", "daemon"], "password": secret("hash"), "create_home": false});
    let planned = exercise.there_and_back("user.account", &desired).unwrap();
    assert_eq!((planned.undo.as_str(), planned.prediction.as_str()), ("exact", "exact"));
    assert_eq!(all("probe3"), [None, None, None, None]);
    exercise.converge("user.account", &desired).unwrap();
    assert_eq!(
        line("passwd", "probe3").unwrap(),
        "probe3:x:4303:4303:Probe, the third:/home/probe3:/bin/bash"
    );
    assert_eq!(line("group", "probe3").unwrap(), "probe3:x:4303:");
    assert_eq!(run(&["id", "-Gn", "probe3"]).trim(), "probe3 daemon adm");
    assert!(line("shadow", "probe3").unwrap().starts_with(&format!("probe3:{HASH}:")));
    assert!(!Path::new("/home/probe3").exists());
    // Nothing of the hash is in what an engine keeps.
    let state = exercise.read("user.account", &desired, false).unwrap().unwrap().state.unwrap();
    assert!(!state.to_string().contains("saltsalt"), "{state}");
}

#[test]
fn a_user_with_a_home_is_taken_back_with_loss() {
    let mut exercise = here();
    let _gone = Gone("probe4");
    let desired = json!({"name": "probe4"});
    let planned = exercise.there_and_back("user.account", &desired).unwrap();
    assert_eq!(planned.undo, "lossy");
    assert!(Path::new("/home/probe4/.profile").exists(), "the home directory stays");
    let state = planned.planned.unwrap();
    let uid = state["uid"].as_u64().unwrap();
    assert!((1_000..60_000).contains(&uid));
    assert_eq!(state["password"], json!({"locked": true}));
    exercise.converge("user.account", &desired).unwrap();
    assert_eq!(fs::metadata("/home/probe4").unwrap().uid(), u32::try_from(uid).unwrap());
    // It is kept when the user goes, unless that is asked for.
    exercise.converge("user.account", &json!({"name": "probe4", "state": "absent"})).unwrap();
    assert!(Path::new("/home/probe4").exists());
    exercise.converge("user.account", &desired).unwrap();
    let remove = json!({"name": "probe4", "state": "absent", "remove_home": true});
    exercise.converge("user.account", &remove).unwrap();
    assert!(!Path::new("/home/probe4").exists());
    assert_eq!(all("probe4"), [None, None, None, None]);
}

#[test]
fn every_change_of_a_user_is_taken_back() {
    let mut exercise = here();
    let _gone = Gone("probe5");
    let _group = Gone("probe5x");
    run(&["groupadd", "-g", "4399", "probe5x"]);
    let desired = json!({"name": "probe5", "uid": 4305, "groups": ["adm"], "password": secret("hash")});
    exercise.converge("user.account", &desired).unwrap();
    for (change, file, part) in [
        (json!({"uid": 4306}), "passwd", ":4306:"),
        (json!({"group": "probe5x"}), "passwd", ":4399:"),
        (json!({"comment": "x y"}), "passwd", ":x y:"),
        (json!({"comment": "-x"}), "passwd", ":-x:"),
        (json!({"home": "/srv/probe5"}), "passwd", ":/srv/probe5:"),
        (json!({"shell": "/usr/sbin/nologin"}), "passwd", ":/usr/sbin/nologin"),
        (json!({"locked": true}), "shadow", &format!(":!{HASH}:")),
        // A new password does not let in who is locked out.
        (json!({"password": secret("other")}), "shadow", &format!(":!{OTHER_HASH}:")),
    ] {
        let mut desired = json!({"name": "probe5"});
        desired.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let before = all("probe5");
        let planned = exercise.there_and_back("user.account", &desired).unwrap();
        assert_eq!((planned.undo.as_str(), planned.prediction.as_str()), ("exact", "exact"), "{desired}");
        assert_eq!(all("probe5"), before, "{desired}");
        exercise.converge("user.account", &desired).unwrap();
        assert!(line(file, "probe5").unwrap().contains(part), "{desired}: {:?}", all("probe5"));
    }
    let groups = || run(&["id", "-Gn", "probe5"]);
    for (desired, expected) in [
        (json!({"name": "probe5", "groups": ["daemon"], "keep_groups": true}), "probe5x daemon adm"),
        (json!({"name": "probe5", "groups": ["bin"]}), "probe5x bin"),
        (json!({"name": "probe5", "groups": []}), "probe5x"),
    ] {
        let before = groups();
        exercise.there_and_back("user.account", &desired).unwrap();
        assert_eq!(groups(), before, "{desired}");
        exercise.converge("user.account", &desired).unwrap();
        assert_eq!(groups().trim(), expected);
    }
    exercise.converge("user.account", &json!({"name": "probe5", "locked": false})).unwrap();
    assert!(line("shadow", "probe5").unwrap().contains(&format!(":{OTHER_HASH}:")));
}

#[test]
fn a_removed_user_comes_back_with_password_and_groups() {
    let mut exercise = here();
    let _gone = Gone("probe6");
    let desired = json!({"name": "probe6", "uid": 4606, "groups": ["adm", "bin"], "password": secret("hash"),
        "locked": true, "comment": "six"});
    exercise.converge("user.account", &desired).unwrap();
    let before = [line("passwd", "probe6"), line("shadow", "probe6"), line("group", "probe6")];
    let absent = json!({"name": "probe6", "state": "absent"});
    let planned = exercise.there_and_back("user.account", &absent).unwrap();
    assert_eq!(planned.undo, "lossy");
    assert_eq!([line("passwd", "probe6"), line("shadow", "probe6"), line("group", "probe6")], before);
    assert_eq!(run(&["id", "-Gn", "probe6"]).trim(), "probe6 bin adm");
}

#[test]
fn a_user_of_the_system_has_no_home_and_no_shell() {
    let mut exercise = here();
    let _gone = Gone("probe7");
    let desired = json!({"name": "probe7", "system": true});
    assert_eq!(exercise.there_and_back("user.account", &desired).unwrap().undo, "exact");
    let planned = exercise.converge("user.account", &desired).unwrap();
    let uid = planned.planned.unwrap()["uid"].as_u64().unwrap();
    assert!((100..1_000).contains(&uid));
    let line = line("passwd", "probe7").unwrap();
    assert!(line.ends_with("::/nonexistent:/usr/sbin/nologin"), "{line}");
}

#[test]
fn a_user_that_cannot_be_so_is_refused_and_stays() {
    let mut exercise = here();
    let mut refused = |desired: &Value| exercise.plan("user.account", desired).unwrap().unwrap_err();
    let error = refused(&json!({"name": "probe8", "uid": 0}));
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Conflict, Some("/uid")));
    let error = refused(&json!({"name": "probe8", "locked": false}));
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Schema, Some("/locked")));
    // A password itself is no hash, and is not repeated.
    let error = refused(&json!({"name": "probe8", "password": secret("plain")}));
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Schema, Some("/password")));
    assert!(!error.to_string().contains("hunter22"));
    // A group that does not come in the end: the user is not half made.
    let desired = json!({"name": "probe8", "groups": ["nowhere"]});
    let planned = exercise.plan("user.account", &desired).unwrap().unwrap().unwrap();
    assert_eq!(planned.prediction, "conditional");
    let op = exercise.operation("user.account", &desired, &planned).unwrap();
    let error = exercise.apply(&op).unwrap().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No), "{error}");
    assert_eq!(all("probe8"), [None, None, None, None]);
}

#[test]
fn a_user_who_is_there_by_now_is_not_taken_over() {
    let mut exercise = here();
    let _gone = Gone("probe9");
    let desired = json!({"name": "probe9", "uid": 4909, "create_home": false});
    let planned = exercise.plan("user.account", &desired).unwrap().unwrap().unwrap();
    let op = exercise.operation("user.account", &desired, &planned).unwrap();
    run(&["useradd", "-u", "4910", "-M", "probe9"]);
    let error = exercise.apply(&op).unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Stale);
    assert!(line("passwd", "probe9").unwrap().contains(":4910:"));
}

#[test]
fn a_key_lets_its_user_in() {
    let mut exercise = here();
    let _gone = Gone("probe10");
    let scratch = exercise.directory().join("key");
    let path = scratch.to_str().unwrap();
    run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path]);
    let key = fs::read_to_string(format!("{path}.pub")).unwrap();
    exercise.converge("user.account", &json!({"name": "probe10", "shell": "/bin/sh"})).unwrap();
    let desired = json!({"user": "probe10", "keys": [key.trim()]});
    exercise.there_and_back("ssh.authorized_keys", &desired).unwrap();
    exercise.converge("ssh.authorized_keys", &desired).unwrap();
    let meta = fs::metadata("/home/probe10/.ssh/authorized_keys").unwrap();
    let owner = fs::metadata("/home/probe10").unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (owner.uid(), owner.gid(), 0o600));
    let enter = || {
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-i", path, "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]);
        command.args(["-o", "UserKnownHostsFile=/dev/null", "probe10@localhost", "id", "-un"]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(enter(), "probe10\n");
    // Somebody who could write there would be somebody who could let others in.
    chown("/home/probe10/.ssh", Some(0), Some(0)).unwrap();
    fs::set_permissions("/home/probe10/.ssh", std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    assert_eq!(enter(), "");
    exercise.converge("ssh.authorized_keys", &desired).unwrap();
    assert_eq!(enter(), "probe10\n");
    let absent = json!({"user": "probe10", "keys": [key.trim()], "state": "absent"});
    exercise.converge("ssh.authorized_keys", &absent).unwrap();
    assert_eq!(enter(), "");
}

/// A tool that refuses everything, until the end of this value.
struct Broken(&'static str);

impl Broken {
    fn new(tool: &'static str) -> Self {
        fs::rename(tool, format!("{tool}.kept")).unwrap();
        fs::write(tool, "#!/bin/sh\necho not today >&2\nexit 1\n").unwrap();
        fs::set_permissions(tool, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self(tool)
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        drop(fs::rename(format!("{}.kept", self.0), self.0));
    }
}

#[test]
fn what_came_before_a_tool_that_fails_is_taken_back() {
    let mut exercise = here();
    let (_group, _user) = (Gone("probe11"), Gone("probe12"));
    let mut fails = |name: &str, desired: &Value| {
        let planned = exercise.plan(name, desired).unwrap().unwrap().unwrap();
        let op = exercise.operation(name, desired, &planned).unwrap();
        let error = exercise.apply(&op).unwrap().unwrap_err();
        assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No), "{desired}: {error}");
    };
    let members = ["nobody-of-this-name"];
    fails("group.entry", &json!({"name": "probe11", "gid": 4211, "members": members}));
    assert_eq!(all("probe11"), [None, None, None, None]);
    run(&["groupadd", "--gid", "4211", "probe11"]);
    fails("group.entry", &json!({"name": "probe11", "gid": 4212, "members": members}));
    assert_eq!(line("group", "probe11").unwrap(), "probe11:x:4211:");
    let broken = Broken::new("/usr/sbin/chpasswd");
    let user = json!({"name": "probe12", "uid": 4212, "password": secret("hash")});
    fails("user.account", &user);
    assert_eq!(all("probe12"), [None, None, None, None]);
    assert!(!Path::new("/home/probe12").exists());
    run(&["useradd", "--uid", "4212", "--comment", "before", "probe12"]);
    let before = all("probe12");
    fails(
        "user.account",
        &json!({"name": "probe12", "comment": "after", "groups": ["adm"], "password": secret("hash")}),
    );
    assert_eq!(all("probe12"), before);
    assert_eq!(run(&["id", "-Gn", "probe12"]).trim(), "probe12");
    drop(broken);
    exercise.converge("user.account", &user).unwrap();
}
