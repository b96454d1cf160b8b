use crate::{Probe, act, active, back, here, show, systemctl};
use rectify_sdk::protocol::{ErrorCode, Mutated, message::ApplyStatus};
use serde_json::json;
use std::{fs, time::Instant};

const RESTART: &str = "service.restart";
const RELOAD: &str = "service.reload";

fn pid(probe: &Probe) -> String {
    show(probe.0, "MainPID")
}

#[test]
fn a_restart_is_another_process_and_takes_up_changed_files() {
    let mut exercise = here();
    let probe = Probe::new("probe-again.service");
    systemctl(&["start", probe.0]);
    let before = pid(&probe);
    fs::create_dir_all(format!("{}.d", probe.path())).unwrap();
    fs::write(probe.drop_in(), "[Service]\nNice=5\n").unwrap();
    let desired = json!({"unit": probe.0, "stable_s": 1});
    let applied = act(&mut exercise, RESTART, &desired).unwrap();
    assert_eq!(applied.status, ApplyStatus::Applied);
    assert!(applied.output.unwrap().stdout.contains("active (running)"));
    assert_ne!(pid(&probe), before);
    assert_eq!((show(probe.0, "Nice").as_str(), show(probe.0, "NeedDaemonReload").as_str()), ("5", "no"));
    // One that does not run is started, or left alone.
    systemctl(&["stop", probe.0]);
    act(&mut exercise, RESTART, &json!({"unit": probe.0, "when_stopped": "leave"})).unwrap();
    assert_eq!(active(probe.0), "inactive");
    act(&mut exercise, RESTART, &desired).unwrap();
    assert_eq!(active(probe.0), "active");
}

#[test]
fn a_restart_that_fails_says_what_the_journal_says_and_is_taken_back() {
    let mut exercise = here();
    let probe = Probe::new("probe-why.service");
    systemctl(&["start", probe.0]);
    fs::create_dir_all(format!("{}.d", probe.path())).unwrap();
    let broken = "[Service]\nExecStart=\nExecStart=/bin/sh -c 'echo no such flag: --fast >&2; exit 2'\n";
    fs::write(probe.drop_in(), broken).unwrap();
    let desired = json!({"unit": probe.0});
    let error = act(&mut exercise, RESTART, &desired).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::Yes), "{error}");
    assert!(error.message.contains("no such flag: --fast"), "{error}");
    assert_eq!(active(probe.0), "failed");
    // What takes it back comes after what was changed is back.
    fs::remove_file(probe.drop_in()).unwrap();
    back(&mut exercise, RESTART, &desired).unwrap();
    assert_eq!(active(probe.0), "active");
}

#[test]
fn a_service_that_crashes_a_moment_later_did_not_start() {
    let mut exercise = here();
    let text = "[Service]\nExecStart=/bin/sh -c 'sleep 1; echo out of luck; exit 1'\n";
    let probe = Probe::with("probe-late.service", text);
    let error = act(&mut exercise, RESTART, &json!({"unit": probe.0, "stable_s": 5})).unwrap_err();
    assert!(error.message.contains("out of luck"), "{error}");
    drop(probe);
    // Neither did one that systemd starts again and again.
    let text = "[Service]\nExecStart=/bin/sh -c 'sleep 0.3; exit 1'\nRestart=always\nRestartSec=100ms\n";
    let probe = Probe::with("probe-loop.service", text);
    let error = act(&mut exercise, RESTART, &json!({"unit": probe.0, "stable_s": 5})).unwrap_err();
    assert!(error.message.contains("does not stay up"), "{error}");
    // How often it was tried does not count against it once it is mended.
    drop(fs::create_dir_all(format!("{}.d", probe.path())));
    fs::write(probe.drop_in(), "[Service]\nExecStart=\nExecStart=/bin/sleep infinity\n").unwrap();
    act(&mut exercise, RESTART, &json!({"unit": probe.0, "stable_s": 1})).unwrap();
}

#[test]
fn a_file_that_systemd_cannot_use_is_told_with_its_reason() {
    let mut exercise = here();
    let probe = Probe::new("probe-setting.service");
    systemctl(&["start", probe.0]);
    fs::create_dir_all(format!("{}.d", probe.path())).unwrap();
    fs::write(probe.drop_in(), "[Service]\nExecStart=\n").unwrap();
    let error = act(&mut exercise, RESTART, &json!({"unit": probe.0})).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No), "{error}");
    assert!(error.message.to_lowercase().contains("bad"), "{error}");
    assert_eq!(active(probe.0), "active");
}

#[test]
fn a_start_without_end_is_cancelled_when_its_time_is_up() {
    let mut exercise = here();
    let text = "[Service]\nType=oneshot\nExecStart=/bin/sleep 60\nTimeoutStartSec=60\n";
    let probe = Probe::with("probe-slow.service", text);
    let begin = Instant::now();
    let error = act(&mut exercise, RESTART, &json!({"unit": probe.0, "timeout_s": 1})).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Timeout, Mutated::Maybe), "{error}");
    assert!(begin.elapsed().as_secs() < 30);
    assert_eq!(show(probe.0, "Job"), "");
}

#[test]
fn a_reload_reaches_the_process_that_runs() {
    let mut exercise = here();
    let text = "[Service]\nExecStart=/bin/sh -c 'trap \"echo heard >>/run/probe-hup\" HUP; while :; do sleep 0.1; done'\nExecReload=/bin/kill -HUP $MAINPID\n";
    let probe = Probe::with("probe-hup.service", text);
    systemctl(&["start", probe.0]);
    let before = pid(&probe);
    act(&mut exercise, RELOAD, &json!({"unit": probe.0, "stable_s": 1})).unwrap();
    assert_eq!((fs::read_to_string("/run/probe-hup").unwrap().as_str(), pid(&probe)), ("heard\n", before));
    fs::remove_file("/run/probe-hup").unwrap();
    // What does not run has nothing to take up: it reads its files when it starts.
    systemctl(&["stop", probe.0]);
    let applied = act(&mut exercise, RELOAD, &json!({"unit": probe.0})).unwrap();
    assert!(applied.output.unwrap().stdout.contains("nothing to do"));
    assert_eq!(active(probe.0), "inactive");
}

#[test]
fn a_reload_that_kills_the_service_is_taken_back_by_a_start() {
    let mut exercise = here();
    let text = "[Service]\nExecStart=/bin/sh -c 'trap \"echo bad configuration; exit 1\" HUP; while :; do sleep 0.1; done'\nExecReload=/bin/kill -HUP $MAINPID\n";
    let probe = Probe::with("probe-fatal.service", text);
    systemctl(&["start", probe.0]);
    let desired = json!({"unit": probe.0, "stable_s": 2});
    let error = act(&mut exercise, RELOAD, &desired).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::Yes), "{error}");
    assert!(error.message.contains("bad configuration"), "{error}");
    back(&mut exercise, RELOAD, &desired).unwrap();
    assert_eq!(active(probe.0), "active");
}

#[test]
fn a_service_without_reload_is_restarted_only_if_that_is_said() {
    let mut exercise = here();
    let probe = Probe::new("probe-deaf.service");
    systemctl(&["start", probe.0]);
    let before = pid(&probe);
    let error = act(&mut exercise, RELOAD, &json!({"unit": probe.0})).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No), "{error}");
    assert_eq!(pid(&probe), before);
    act(&mut exercise, RELOAD, &json!({"unit": probe.0, "or_restart": true, "stable_s": 0})).unwrap();
    assert_ne!(pid(&probe), before);
}
