//! Real packages of a private repository: what apt and dpkg make of each operation, and that each is
//! taken back. Runs on a node that `cargo xtask fleet test` throws away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod killed;

use rectify_sdk::{
    protocol::{ErrorCode, ItemError, Mutated, message::ApplyStatus},
    testing::{Exercise, Planned},
};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

const TYPE: &str = "package.installed";
const PKG: &str = "rectify-probe-pkg";
const NOTES: &str = "/var/lib/rectify-packages";
const SLOW: &str = "/run/rectify-probe-slow";

fn sh(script: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-euc", script]).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A machine without any of the packages, and a session with the provider.
fn here() -> Exercise {
    assert!(Path::new("/etc/rectify-fleet-node").exists(), "this machine is not ours to change");
    clean();
    Exercise::new(rectify_provider_package::provider(), None, &[]).unwrap()
}

fn clean() {
    fs::write(SLOW, "0").unwrap();
    sh("dpkg --configure -a >/dev/null 2>&1 || true
        names=$(dpkg-query -W -f '${Package}\\n' | grep '^rectify-probe-' || true)
        if [ -n \"$names\" ]; then
            apt-mark unhold $names >/dev/null
            dpkg --purge --force-all $names >/dev/null 2>&1
        fi
        [ -e /var/lib/apt/lists/lock ] || true
        apt-get update -qq
        apt-get clean");
    drop(fs::remove_dir_all(NOTES));
}

fn version(name: &str) -> Option<String> {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status} ${Version}", name])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.strip_prefix("installed ").map(str::to_owned)
}

fn refused(exercise: &mut Exercise, desired: &Value) -> (ErrorCode, String, String) {
    let error = exercise.plan(TYPE, desired).unwrap().unwrap_err();
    (error.code, error.path.clone().unwrap_or_default(), error.message)
}

fn planned(exercise: &mut Exercise, desired: &Value) -> Planned {
    exercise.plan(TYPE, desired).unwrap().unwrap().unwrap()
}

/// Plans and applies what must fail.
fn fails(exercise: &mut Exercise, desired: &Value) -> ItemError {
    let planned = planned(exercise, desired);
    let op = exercise.operation(TYPE, desired, &planned).unwrap();
    exercise.apply(&op).unwrap().unwrap_err()
}

#[test]
fn a_package_comes_changes_goes_and_each_is_taken_back() {
    let mut exercise = here();
    let first = json!({"name": PKG, "version": "1.0"});
    let planned = exercise.there_and_back(TYPE, &first).unwrap();
    assert_eq!((planned.prior, planned.undo.as_str(), planned.prediction.as_str()), (None, "exact", "exact"));
    // Not even configuration is left.
    assert_eq!(version(PKG), None);
    assert!(!Path::new("/etc/rectify-probe-pkg.conf").exists());
    exercise.converge(TYPE, &first).unwrap();
    assert_eq!(version(PKG).as_deref(), Some("1.0"));
    // What is there is left alone.
    for desired in [json!({"name": PKG}), json!({"name": PKG, "minimum": "1.0~rc1"})] {
        assert_eq!(exercise.plan(TYPE, &desired).unwrap().unwrap(), None, "{desired}");
    }
    let second = json!({"name": PKG, "minimum": "1.0+"});
    let planned = exercise.there_and_back(TYPE, &second).unwrap();
    assert_eq!(planned.undo, "exact");
    assert_eq!(version(PKG).as_deref(), Some("1.0"));
    exercise.converge(TYPE, &second).unwrap();
    assert_eq!(version(PKG).as_deref(), Some("1.1"));
    // Down only if that is said.
    let (code, place, _) = refused(&mut exercise, &first);
    assert_eq!((code, place.as_str()), (ErrorCode::Conflict, "/version"));
    exercise.there_and_back(TYPE, &json!({"name": PKG, "version": "1.0", "downgrade": true})).unwrap();
    assert_eq!(version(PKG).as_deref(), Some("1.1"));
    // A file of configuration that somebody changed stays, whatever comes and goes.
    fs::write("/etc/rectify-probe-pkg.conf", "ours\n").unwrap();
    let absent = json!({"name": PKG, "state": "absent"});
    let planned = exercise.there_and_back(TYPE, &absent).unwrap();
    assert_eq!(planned.planned, Some(json!({"state": "configuration", "name": PKG})));
    exercise.converge(TYPE, &absent).unwrap();
    assert_eq!(version(PKG), None);
    exercise.there_and_back(TYPE, &json!({"name": PKG})).unwrap();
    assert_eq!(fs::read_to_string("/etc/rectify-probe-pkg.conf").unwrap(), "ours\n");
    let purge = json!({"name": PKG, "state": "absent", "purge": true});
    assert_eq!(exercise.converge(TYPE, &purge).unwrap().undo, "none");
    assert!(!Path::new("/etc/rectify-probe-pkg.conf").exists());
    assert_eq!(exercise.plan(TYPE, &purge).unwrap().unwrap(), None);
    assert!(!Path::new(NOTES).exists());
}

#[test]
fn what_comes_with_a_package_is_planned_and_goes_with_it() {
    let mut exercise = here();
    let desired = json!({"name": "rectify-probe-needs"});
    let planned = exercise.there_and_back(TYPE, &desired).unwrap();
    assert_eq!(planned.planned.unwrap()["with"], json!({PKG: {"after": "1.1"}}));
    assert_eq!((version(PKG), Path::new(NOTES).exists()), (None, false));
    // Somebody wants it for itself by now: it stays.
    let planned = exercise.converge(TYPE, &desired).unwrap();
    sh(&format!("apt-mark manual {PKG}"));
    let back = exercise.back(TYPE, &desired, &planned).unwrap();
    exercise.converge(TYPE, &back).unwrap();
    assert_eq!((version("rectify-probe-needs"), version(PKG).as_deref()), (None, Some("1.1")));
    // What was there before, in an earlier version, is so again.
    sh(&format!("apt-get install -qq --allow-downgrades {PKG}=1.0"));
    let planned = exercise.there_and_back(TYPE, &desired).unwrap();
    assert_eq!(planned.planned.unwrap()["with"], json!({PKG: {"before": "1.0", "after": "1.1"}}));
    assert_eq!(version(PKG).as_deref(), Some("1.0"));
}

#[test]
fn nothing_else_is_removed_unless_that_is_said() {
    let mut exercise = here();
    exercise.converge(TYPE, &json!({"name": PKG})).unwrap();
    let (code, place, message) = refused(&mut exercise, &json!({"name": "rectify-probe-rival"}));
    assert_eq!((code, place.as_str()), (ErrorCode::Conflict, "/removes"));
    assert!(message.contains("`rectify-probe-pkg`"), "{message}");
    let meant = json!({"name": "rectify-probe-rival", "removes": [PKG]});
    let planned = exercise.there_and_back(TYPE, &meant).unwrap();
    assert_eq!(planned.planned.unwrap()["with"], json!({PKG: {"before": "1.1"}}));
    assert_eq!((version("rectify-probe-rival"), version(PKG).as_deref()), (None, Some("1.1")));
    // Nor what depends on what goes.
    exercise.converge(TYPE, &json!({"name": "rectify-probe-needs"})).unwrap();
    let absent = json!({"name": PKG, "state": "absent"});
    let (code, _, message) = refused(&mut exercise, &absent);
    assert_eq!(code, ErrorCode::Conflict);
    assert!(message.contains("`rectify-probe-needs`"), "{message}");
    let meant = json!({"name": PKG, "state": "absent", "removes": ["rectify-probe-needs"]});
    exercise.there_and_back(TYPE, &meant).unwrap();
    assert_eq!(version("rectify-probe-needs").as_deref(), Some("1.0"));
}

#[test]
fn a_held_package_stays_and_is_held_again() {
    let mut exercise = here();
    let held = json!({"name": "rectify-probe-held", "version": "1.0", "held": true});
    exercise.there_and_back(TYPE, &held).unwrap();
    exercise.converge(TYPE, &held).unwrap();
    assert_eq!(sh("apt-mark showhold"), "rectify-probe-held\n");
    let later = json!({"name": "rectify-probe-held", "minimum": "1.1"});
    let (code, place, _) = refused(&mut exercise, &later);
    assert_eq!((code, place.as_str()), (ErrorCode::Conflict, "/held"));
    let (code, place, _) = refused(&mut exercise, &json!({"name": "rectify-probe-held", "state": "absent"}));
    assert_eq!((code, place.as_str()), (ErrorCode::Conflict, "/held"));
    for held in [true, false] {
        let later = json!({"name": "rectify-probe-held", "minimum": "1.1", "held": held});
        exercise.there_and_back(TYPE, &later).unwrap();
        assert_eq!(sh("apt-mark showhold"), "rectify-probe-held\n");
        assert_eq!(version("rectify-probe-held").as_deref(), Some("1.0"));
    }
    exercise.there_and_back(TYPE, &json!({"name": "rectify-probe-held", "held": false})).unwrap();
    let gone = json!({"name": "rectify-probe-held", "state": "absent", "held": false});
    exercise.there_and_back(TYPE, &gone).unwrap();
    assert_eq!(sh("apt-mark showhold"), "rectify-probe-held\n");
    // Nor is it changed for another one.
    exercise.converge(TYPE, &json!({"name": PKG, "version": "1.0", "held": true})).unwrap();
    let (code, _, message) = refused(&mut exercise, &json!({"name": "rectify-probe-needs"}));
    assert_eq!(code, ErrorCode::Conflict);
    assert!(message.contains(PKG), "{message}");
}

#[test]
fn an_upgrade_of_what_is_there_leaves_alone_what_is_not() {
    let mut exercise = here();
    let upgrade = json!({"name": PKG, "minimum": "1.1", "only_if_installed": true});
    assert_eq!(exercise.plan(TYPE, &upgrade).unwrap().unwrap(), None);
    exercise.converge(TYPE, &json!({"name": PKG, "version": "1.0"})).unwrap();
    exercise.converge(TYPE, &upgrade).unwrap();
    assert_eq!(version(PKG).as_deref(), Some("1.1"));
    let (code, place, message) = refused(&mut exercise, &json!({"name": PKG, "minimum": "2"}));
    assert_eq!((code, place.as_str()), (ErrorCode::Failed, "/minimum"));
    assert!(message.contains("1.1"), "{message}");
}

#[test]
fn what_there_is_not_is_said() {
    let mut exercise = here();
    let (code, place, _) = refused(&mut exercise, &json!({"name": "rectify-probe-nowhere"}));
    assert_eq!((code, place.as_str()), (ErrorCode::Failed, "/name"));
    // Patterns of apt are no names here.
    let (code, place, _) = refused(&mut exercise, &json!({"name": "rectify-probe.pkg"}));
    assert_eq!((code, place.as_str()), (ErrorCode::Failed, "/name"));
    let (code, place, _) = refused(&mut exercise, &json!({"name": PKG, "version": "7"}));
    assert_eq!((code, place.as_str()), (ErrorCode::Failed, "/version"));
    let (code, _, message) = refused(&mut exercise, &json!({"name": "dpkg", "state": "absent"}));
    assert_eq!(code, ErrorCode::Conflict, "{message}");
    assert!(version("dpkg").is_some());
}

#[test]
fn steps_of_one_plan_may_bring_the_same() {
    let mut exercise = here();
    let desired = ["rectify-probe-needs", "rectify-probe-also"].map(|name| json!({"name": name}));
    let plans = desired.clone().map(|desired| planned(&mut exercise, &desired));
    for plan in &plans {
        assert_eq!(plan.planned.as_ref().unwrap()["with"], json!({PKG: {"after": "1.1"}}));
    }
    for (desired, plan) in desired.iter().zip(&plans) {
        exercise.carry_out(TYPE, desired, plan).unwrap();
    }
    // The first one taken back leaves what the second one needs.
    for (at, left) in [(0, Some("1.1")), (1, None)] {
        let back = exercise.back(TYPE, &desired[at], &plans[at]).unwrap();
        exercise.converge(TYPE, &back).unwrap();
        assert_eq!(version(PKG).as_deref(), left);
    }
    assert!(!Path::new(NOTES).exists());
}

#[test]
fn what_others_need_is_taken_back_after_them() {
    let mut exercise = here();
    exercise.converge(TYPE, &json!({"name": PKG, "version": "1.0"})).unwrap();
    let desired = [json!({"name": PKG, "minimum": "1.1"}), json!({"name": "rectify-probe-needs"})];
    let plans = desired.clone().map(|desired| exercise.converge(TYPE, &desired).unwrap());
    let back = [0, 1].map(|at| exercise.back(TYPE, &desired[at], &plans[at]).unwrap());
    // All is planned before any of it is done.
    let ways = back.clone().map(|back| planned(&mut exercise, &back));
    assert_eq!(ways.each_ref().map(|way| way.prediction.as_str()), ["conditional", "exact"]);
    let op = exercise.operation(TYPE, &back[0], &ways[0]).unwrap();
    let error = exercise.apply(&op).unwrap().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Conflict, Mutated::No), "{error}");
    exercise.carry_out(TYPE, &back[1], &ways[1]).unwrap();
    exercise.carry_out(TYPE, &back[0], &ways[0]).unwrap();
    assert_eq!((version("rectify-probe-needs"), version(PKG).as_deref()), (None, Some("1.0")));
}

#[test]
fn what_would_be_done_otherwise_by_now_is_stale() {
    let mut exercise = here();
    let desired = json!({"name": "rectify-probe-also"});
    let plan = planned(&mut exercise, &desired);
    let op = exercise.operation(TYPE, &desired, &plan).unwrap();
    sh(&format!("apt-get install -qq {PKG}=1.0"));
    let error = exercise.apply(&op).unwrap().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Stale, Mutated::No), "{error}");
    assert_eq!(version("rectify-probe-also"), None);
}

#[test]
fn a_version_that_is_in_no_repository_cannot_be_had_again() {
    let mut exercise = here();
    let build = "cd $(mktemp -d) && mkdir -p t/DEBIAN && printf 'Package: rectify-probe-pkg\\nVersion: 0.9\\n\
                 Architecture: all\\nMaintainer: x <x@example.invalid>\\nDescription: x\\n' >t/DEBIAN/control &&
                 chmod -R u=rwX,go=rX t && dpkg-deb -b t rectify-probe-pkg_0.9_all.deb >/dev/null";
    sh(&format!("{build} && dpkg -i rectify-probe-pkg_0.9_all.deb >/dev/null"));
    let upgrade = json!({"name": PKG, "minimum": "1.0"});
    let plan = planned(&mut exercise, &upgrade);
    assert_eq!(plan.undo, "none");
    assert!(plan.undo_note.unwrap().contains("0.9 of `rectify-probe-pkg`"));
    // In the cache it can.
    sh(&format!("{build} && mv rectify-probe-pkg_0.9_all.deb /var/cache/apt/archives/"));
    assert_eq!(exercise.there_and_back(TYPE, &upgrade).unwrap().undo, "exact");
    assert_eq!(version(PKG).as_deref(), Some("0.9"));
}

#[test]
fn a_script_that_fails_leaves_a_truthful_answer() {
    let mut exercise = here();
    let desired = json!({"name": "rectify-probe-broken"});
    let error = fails(&mut exercise, &desired);
    assert_eq!((error.code, error.mutated), (ErrorCode::Partial, Mutated::Yes), "{error}");
    assert!(
        error.message.contains("rectify-probe-broken") && error.message.contains("exit status 3"),
        "{error}"
    );
    assert!(error.hint.unwrap().contains("dpkg --configure -a"));
    // It is seen by the next look, and stands in the way of others.
    let error = exercise.read(TYPE, &desired, false).unwrap().unwrap_err();
    assert!(error.message.contains("half-configured"), "{error}");
    let (code, _, message) = refused(&mut exercise, &json!({"name": PKG}));
    assert_eq!(code, ErrorCode::Failed);
    assert!(message.contains("`rectify-probe-broken` unfinished"), "{message}");
}

#[test]
fn a_package_that_refuses_to_be_unpacked_leaves_nothing() {
    let mut exercise = here();
    let desired = json!({"name": "rectify-probe-refuses"});
    let error = fails(&mut exercise, &desired);
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No), "{error}");
    assert_eq!(exercise.read(TYPE, &desired, false).unwrap().unwrap().state, None);
    exercise.converge(TYPE, &json!({"name": PKG})).unwrap();
}

#[test]
fn who_holds_the_database_is_waited_for_and_named() {
    let mut exercise = here();
    let desired = json!({"name": PKG, "version": "1.0"});
    let plan = planned(&mut exercise, &desired);
    let mut op = exercise.operation(TYPE, &desired, &plan).unwrap();
    fs::write(SLOW, "6").unwrap();
    let mut other = Command::new("apt-get").args(["install", "-qq", "rectify-probe-slow"]).spawn().unwrap();
    killed::until(|| version("rectify-probe-slow").is_none() && killed::sleeps());
    op.deadline_ms = 4_000;
    let error = exercise.apply(&op).unwrap().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Transient, Mutated::No), "{error}");
    assert!(error.message.contains(&format!("process {} (apt-get)", other.id())), "{error}");
    // With more patience it is done.
    op.deadline_ms = 60_000;
    assert_eq!(exercise.apply(&op).unwrap().unwrap().status, ApplyStatus::Applied);
    assert!(other.wait().unwrap().success());
    assert_eq!(version(PKG).as_deref(), Some("1.0"));
}
