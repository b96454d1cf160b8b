//! What the child may not do, and what the parent makes of a process that is not our child.

use crate::{alone, block_on, input, program, rules};
use rectify_host::policy::{MEMORY_MAX_BYTES, PolicyHostError, WALL_MAX, check, evaluate};
use rectify_policy::{codes, standard};
use std::{
    ffi::OsString,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A child that waits for its request, killed when it is dropped.
struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The limits of a child that waits for its request, once they are set.
fn limits(child: &Waiting) -> String {
    let path = format!("/proc/{}/limits", child.0.id());
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let text = std::fs::read_to_string(&path).unwrap();
        let set = text.lines().any(|line| {
            line.starts_with("Max cpu time") && line.contains("seconds") && !line.contains("unlimited")
        });
        // The processor limit is the last one that is set.
        if set || Instant::now() > deadline {
            return text;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_kernel_holds_the_limits() {
    let _alone = alone();
    let child = Command::new(program()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let child = Waiting(child);
    let text = limits(&child);
    let of = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line[26..].split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let memory = MEMORY_MAX_BYTES.to_string();
    assert_eq!(of("Max address space"), [memory.as_str(), memory.as_str()]);
    assert_eq!(of("Max cpu time"), ["2", "3"]);
    assert_eq!(of("Max core file size"), ["0", "0"]);
    assert_eq!(of("Max file size"), ["0", "0"]);
    assert_eq!(of("Max open files"), ["3", "3"]);
    assert_eq!(of("Max processes"), ["0", "0"]);
    assert_eq!(of("Max stack size"), ["8388608", "8388608"]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.0.id())).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.contains("Threads:\t1\n"), "{status}");
}

#[test]
fn it_starts_with_an_empty_environment_in_the_root_directory_and_its_own_group() {
    let _alone = alone();
    // A stand-in that reports what it was started with, as an answer that nobody accepts.
    let script = "printf '%s' \"$(env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= | wc -l) $PWD $(ps -o pgid= -p $$ | tr -d ' ') $$\" >&2; exit 7";
    let arguments = [OsString::from("-c"), OsString::from(script)];
    let error = block_on(evaluate(Path::new("/bin/sh"), &arguments, &standard(), &input())).unwrap_err();
    let PolicyHostError::Crashed { how } = &error else { panic!("{error}") };
    let words: Vec<&str> = how.rsplit(": ").next().unwrap().split(' ').collect();
    let [variables, directory, group, process] = words[..] else { panic!("{how}") };
    assert_eq!((variables, directory), ("0", "/"), "{how}");
    assert_eq!(group, process, "{how}");
    assert_eq!(error.code(), codes::POLICY_CRASHED);
}

/// A stand-in that notes that it was started, is ended by a signal the first so many times, and then is the child.
fn ended(times: u32, signal: &str, notes: &Path) -> Vec<OsString> {
    let script = format!(
        "echo x >> \"$1\"; if [ $(wc -l < \"$1\") -le {times} ]; then kill -{signal} $$; sleep 9; fi; exec \"$2\""
    );
    ["-c".into(), script.into(), "sh".into(), notes.into(), program().into()].into()
}

#[test]
fn a_child_that_somebody_ended_is_asked_once_more_and_one_that_fell_is_not() {
    let _alone = alone();
    for (signal, times, asked) in [("KILL", 1, 2), ("TERM", 1, 2), ("KILL", 2, 2), ("SEGV", 1, 1)] {
        let scratch = tempfile::tempdir().unwrap();
        let notes = scratch.path().join("notes");
        let decided =
            block_on(evaluate(Path::new("/bin/sh"), &ended(times, signal, &notes), &standard(), &input()));
        assert_eq!(std::fs::read_to_string(&notes).unwrap().lines().count(), asked, "{signal}");
        match decided {
            Ok(_) => assert!(asked > times as usize, "{signal}"),
            Err(error) => {
                assert_eq!((error.code(), asked), (codes::POLICY_CRASHED, times as usize), "{error}")
            }
        }
    }
}

#[test]
fn a_program_that_is_not_there_is_said_so() {
    let _alone = alone();
    let error = block_on(evaluate(Path::new("/no/such/program"), &[], &standard(), &input())).unwrap_err();
    assert_eq!(error.code(), codes::POLICY_CHILD);
}

#[test]
fn answers_that_are_none_are_refused() {
    let _alone = alone();
    let digest = standard().digest();
    let lying = |bundle: &str, deny: &str| {
        format!(
            "{{\"decided\":{{\"bundle\":\"{bundle}\",\"allowed\":true,\"deny\":[{deny}],\"warn\":[],\"require_approval\":[]}}}}"
        )
    };
    for answer in [
        String::new(),
        "true".to_owned(),
        "\"checked\"".to_owned(),
        lying(&rules("").digest().to_string(), ""),
        lying(&digest.to_string(), "{\"rule\":\"r\",\"message\":\"m\"}"),
        lying(&digest.to_string(), "") + "{}",
    ] {
        let arguments =
            [OsString::from("-c"), OsString::from(format!("cat > /dev/null; printf '%s' '{answer}'"))];
        let error = block_on(evaluate(Path::new("/bin/sh"), &arguments, &standard(), &input())).unwrap_err();
        assert_eq!(error.code(), codes::POLICY_ANSWER, "{answer}: {error}");
    }
    // The same liar, telling the truth.
    let script = format!("cat > /dev/null; printf '%s' '{}'", lying(&digest.to_string(), ""));
    let arguments = [OsString::from("-c"), OsString::from(script)];
    assert!(block_on(evaluate(Path::new("/bin/sh"), &arguments, &standard(), &input())).unwrap().allowed);
}

#[test]
fn who_never_answers_is_killed_with_its_children() {
    let _alone = alone();
    let arguments = [OsString::from("-c"), OsString::from("sleep 987654321 & sleep 987654321")];
    let start = Instant::now();
    let error = block_on(evaluate(Path::new("/bin/sh"), &arguments, &standard(), &input())).unwrap_err();
    assert_eq!(error.code(), codes::POLICY_TIMEOUT);
    assert!(start.elapsed() < WALL_MAX + Duration::from_millis(500), "{:?}", start.elapsed());
    let alive = || {
        std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(|entry| {
            std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == b"sleep\x00987654321\0")
        })
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    while alive() {
        assert!(Instant::now() < deadline, "a child of the child is still alive");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_answers_without_end_is_cut_off() {
    let _alone = alone();
    let arguments = [OsString::from("-c"), OsString::from("exec cat /dev/zero")];
    let start = Instant::now();
    let error = block_on(evaluate(Path::new("/bin/sh"), &arguments, &standard(), &input())).unwrap_err();
    assert_eq!(error.code(), codes::POLICY_TIMEOUT);
    assert!(start.elapsed() < WALL_MAX + Duration::from_millis(500), "{:?}", start.elapsed());
}

#[test]
fn a_check_needs_no_input() {
    let _alone = alone();
    block_on(check(program(), &[], &standard())).unwrap();
    let error = block_on(check(program(), &[], &rules("package rectify\n"))).unwrap_err();
    assert_eq!(error.code(), codes::POLICY_NO_ALLOW);
}
