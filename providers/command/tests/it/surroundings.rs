//! What a command finds around it: environment, directory, user, standard input, root.

use crate::fixture::World;
use rectify_sdk::protocol::{
    ErrorCode, Mutated,
    message::{Configure, Mode},
};
use serde_json::json;
use std::{collections::BTreeSet, fs};

#[test]
fn the_environment_is_made_and_not_inherited() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    // Nobody can pass for another operation.
    let environment = json!({"GREETING": "hi there", "RECTIFY_OPERATION": "another"});
    let op = session.operation("a", &json!({"argv": ["env"], "environment": environment}));
    let output = session.apply(&op).unwrap().output.unwrap().stdout;
    let variables: BTreeSet<&str> = output.lines().collect();
    let mark = format!("RECTIFY_OPERATION={}", op.op_id);
    let expected = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "GREETING=hi there", &mark];
    assert_eq!(variables, BTreeSet::from(expected));
    assert_eq!(session.output("b", &json!({"argv": ["pwd"]})), "/\n");
}

#[test]
fn arguments_go_through_no_shell_and_a_script_stops_at_its_first_failure() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let argv = json!({"argv": ["printf", "%s|", "a b", "$HOME", "*", "; exit 1"]});
    assert_eq!(session.output("a", &argv), "a b|$HOME|*|; exit 1|");
    let error = session.run("b", &json!({"script": "false\necho not reached"})).unwrap_err();
    assert_eq!(error.code, ErrorCode::Failed);
    assert!(session.run("c", &json!({"script": "echo $UNSET"})).is_err());
}

#[test]
fn standard_input_is_given_and_never_repeated() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let desired = json!({"argv": ["wc", "-c"], "stdin": "correct horse\n"});
    assert_eq!(session.output("a", &desired).trim(), "14");
    let desired = json!({"argv": ["cat"], "stdin": "correct horse\nabc\n"});
    assert_eq!(session.output("b", &desired), "(standard input)\nabc\n");
    let desired = json!({"script": "cat >&2; exit 1", "stdin": "correct horse"});
    let error = session.run("c", &desired).unwrap_err();
    assert!(!error.message.contains("horse"), "{error}");
    // Without it, input is empty at once; with it, a command need not read.
    assert_eq!(session.output("d", &json!({"argv": ["cat"]})), "");
    let long = "x".repeat(65_536);
    session.run("e", &json!({"argv": ["true"], "stdin": long})).unwrap();
}

#[test]
fn a_root_moves_what_is_looked_at_but_confines_nothing() {
    let world = World::new();
    fs::create_dir_all(world.path("root/srv/app")).unwrap();
    fs::write(world.path("root/srv/here"), "").unwrap();
    let root = world.path("root");
    let configure = Configure { root: Some(root.clone()), ..Configure::default() };
    let mut session = world.configured(Mode::Apply, &configure);
    let state = session.read(&json!({"argv": ["x"], "creates": "/srv/here"}));
    assert_eq!(state["creates"]["exists"], true);
    // No link leads out of the root.
    std::os::unix::fs::symlink("/etc", world.path("root/out")).unwrap();
    let state = session.read(&json!({"argv": ["x"], "creates": "/out/passwd"}));
    assert_eq!(state["creates"]["exists"], false);
    let desired = json!({"script": "pwd; echo $RECTIFY_ROOT", "directory": "/srv/app"});
    assert_eq!(session.output("a", &desired), format!("{root}/srv/app\n{root}\n"));
    assert_eq!(session.output("b", &json!({"argv": ["pwd"]})), format!("{root}\n"));
    let error = session.run("c", &json!({"argv": ["true"], "directory": "/absent"})).unwrap_err();
    let place = error.path.as_deref();
    assert_eq!((error.code, error.mutated, place), (ErrorCode::Failed, Mutated::No, Some("/directory")));
}

#[test]
fn another_user_is_taken_on_with_all_groups() {
    let world = World::new();
    fs::create_dir_all(world.path("root/etc")).unwrap();
    fs::write(world.path("root/etc/passwd"), "deploy:x:4321:4322::/:/bin/sh\n").unwrap();
    fs::write(world.path("root/etc/group"), "a:x:4330:deploy\nb:x:4331:x,deploy\nc:x:4332:x\n").unwrap();
    let configure = Configure { root: Some(world.path("root")), ..Configure::default() };
    let mut session = world.configured(Mode::Apply, &configure);
    let error = session.run("a", &json!({"argv": ["id"], "user": "nobody"})).unwrap_err();
    assert_eq!((error.mutated, error.path.as_deref()), (Mutated::No, Some("/user")));
    let open = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(world.path(""), mode).unwrap();
    };
    let desired =
        json!({"script": "grep -E '^(Uid|Gid|Groups|CapEff):' /proc/self/status", "user": "deploy"});
    // The user needs a way to the directory; and only root can become another user.
    open(0o700);
    let error = session.run("b", &desired).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Permission, Mutated::No));
    open(0o755);
    if !rustix::process::geteuid().is_root() {
        assert_eq!(session.run("c", &desired).unwrap_err().code, ErrorCode::Permission);
        return;
    }
    let status = session.output("c", &desired);
    let words: Vec<Vec<&str>> = status.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["Uid:", "4321", "4321", "4321", "4321"]);
    assert_eq!(words[1], ["Gid:", "4322", "4322", "4322", "4322"]);
    assert_eq!(words[2], ["Groups:", "4330", "4331"]);
    assert_eq!(words[3], ["CapEff:", "0000000000000000"]);
    // The provider itself is who it was.
    let own = session.output("d", &json!({"argv": ["id", "-u"]}));
    assert_eq!(own, "0\n");
}
