//! What the kit looks at on this machine, without a shell: a hundred times as quick, and there are some
//! thousand looks in a run. Behind a prefix the shell of [`crate::host`] answers the same questions; a test
//! below holds the two together.

use crate::outcome::{Check, Stop};
use nix::{
    sched::{CloneFlags, unshare},
    sys::stat::{Mode, umask},
};
use rectify_base::Digest;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

fn unable(what: &str, place: &Path, error: &io::Error) -> Stop {
    Stop::Fail(format!("the kit could not go on: {what} {}: {error}", place.display()))
}

/// A sandbox with `root`, `state` and `blobs`.
pub(crate) fn sandbox() -> Check<String> {
    let mut random = [0_u8; 9];
    getrandom::fill(&mut random).map_err(|e| Stop::Fail(format!("the kit could not go on: {e}")))?;
    let name = Digest::of_bytes(&random).hex();
    let name = name.get(..16).unwrap_or(&name);
    let base = std::env::temp_dir().join(format!("rectify-conform-{name}"));
    for (path, mode) in [
        (base.clone(), 0o700),
        (base.join("root"), 0o755),
        (base.join("state"), 0o700),
        (base.join("blobs"), 0o700),
    ] {
        DirBuilder::new().mode(0o700).create(&path).map_err(|e| unable("making", &path, &e))?;
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(|e| unable("making", &path, &e))?;
    }
    base.into_os_string().into_string().map_err(|_| {
        Stop::Fail("the kit could not go on: the directory of temporary files is no text".into())
    })
}

/// A private directory.
pub(crate) fn directory(path: &str) -> Check {
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(path)
        .map_err(|e| unable("making", Path::new(path), &e))
}

/// Removes a directory with everything in it. What cannot be removed stays.
pub(crate) fn remove(path: &str) {
    let _ = fs::remove_dir_all(path);
}

/// Starts a provider in a session of its own, as a shell would with `umask 077`. The mask belongs to a thread
/// that keeps it for itself; where the system does not let it, there is no answer.
pub(crate) fn start(
    argv: &[String],
    environment: &[(String, String)],
    work: &str,
) -> Option<io::Result<Child>> {
    thread::scope(|scope| {
        let spawned = scope.spawn(|| {
            unshare(CloneFlags::CLONE_FS).ok()?;
            umask(Mode::from_bits_truncate(0o077));
            let mut command = Command::new("setsid");
            command.args(argv).env_clear().envs(environment.iter().map(|(k, v)| (k, v))).current_dir(work);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            Some(command.spawn())
        });
        spawned.join().ok().flatten()
    })
}

/// A file; `None` where there is none.
pub(crate) fn read(path: &str) -> Check<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(unable("reading", Path::new(path), &e)),
    }
}

/// Writes a file; a new one gets mode 0600.
pub(crate) fn write(path: &str, bytes: &[u8]) -> Check {
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(true).mode(0o600);
    let written = open.open(path).and_then(|mut file| file.write_all(bytes));
    written.map_err(|e| unable("writing", Path::new(path), &e))
}

/// Everything about a directory: names, kinds, modes, owners, sizes, times, links, contents. Of
/// directories only mode and owner unless `times` is set.
pub(crate) fn snapshot(top: &str, times: bool) -> Check<String> {
    let mut text = String::new();
    let mut left = vec![PathBuf::from(top)];
    while let Some(path) = left.pop() {
        let m = match fs::symlink_metadata(&path) {
            Ok(m) => m,
            // It went between the listing and now.
            Err(e) if e.kind() == io::ErrorKind::NotFound && !text.is_empty() => continue,
            Err(e) => return Err(unable("looking at", &path, &e)),
        };
        let name = path.strip_prefix(top).unwrap_or(&path);
        let _ = write!(text, "{name:?} {:o} {}:{}", m.mode(), m.uid(), m.gid());
        if times || !m.is_dir() {
            let _ = write!(text, " {} {}.{:09}", m.size(), m.mtime(), m.mtime_nsec());
        }
        if m.is_symlink() {
            let target = fs::read_link(&path).map_err(|e| unable("looking at", &path, &e))?;
            let _ = write!(text, " {target:?}");
        } else if m.is_file() {
            let bytes = fs::read(&path).map_err(|e| unable("reading", &path, &e))?;
            let _ = write!(text, " {}", Digest::of_bytes(&bytes));
        } else if m.is_dir() {
            let entries = fs::read_dir(&path).map_err(|e| unable("listing", &path, &e))?;
            let mut names = Vec::new();
            for entry in entries {
                names.push(entry.map_err(|e| unable("listing", &path, &e))?.path());
            }
            names.sort();
            left.extend(names);
        }
        text.push('\n');
    }
    Ok(text)
}

/// State letter and what comes behind it in `/proc/PID/stat`. The name before may hold anything.
fn stat(pid: u32) -> Option<(String, Vec<u64>)> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (_, rest) = text.rsplit_once(") ")?;
    let mut words = rest.split_whitespace();
    let state = words.next()?.to_owned();
    // Numbers below zero are of no interest here.
    Some((state, words.map(|word| word.parse().unwrap_or(0)).collect()))
}

fn alive(sessions: &BTreeSet<u32>) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Parent, group, session.
        if let Some((state, numbers)) = stat(pid)
            && state != "Z"
            && numbers
                .get(2)
                .and_then(|sid| u32::try_from(*sid).ok())
                .is_some_and(|sid| sessions.contains(&sid))
        {
            found.push(pid);
        }
    }
    found.sort_unstable();
    found
}

/// What of a session is alive.
pub(crate) fn members(session: u32) -> Vec<u32> {
    alive(&BTreeSet::from([session]))
}

/// Arguments and environments of processes, as far as they are still there.
pub(crate) fn shown(pids: &[u32]) -> Vec<u8> {
    let files = pids.iter().flat_map(|pid| ["cmdline", "environ"].map(|file| format!("/proc/{pid}/{file}")));
    files.flat_map(|file| fs::read(file).unwrap_or_default()).collect()
}

/// Ends sessions, whatever they are doing.
pub(crate) fn kill(sessions: &BTreeSet<u32>) {
    for pid in alive(sessions) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            // What is gone already is as it should be.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Ends the sessions whose numbers stand in the `*.pid` files of a directory.
pub(crate) fn end_sessions(base: &str) {
    let files = fs::read_dir(base).into_iter().flatten().flatten().map(|entry| entry.path());
    let numbers = files.filter(|path| path.extension().is_some_and(|e| e == "pid")).filter_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        text.trim().parse().ok()
    });
    kill(&numbers.collect());
}

/// Resident memory in KiB, open descriptors, processor time in ticks.
pub(crate) fn usage(pid: u32) -> Option<[u64; 3]> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let memory = memory.trim().trim_end_matches("kB").trim().parse().ok()?;
    let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    let (_, numbers) = stat(pid)?;
    // Fields 14 and 15 of the whole line.
    Some([memory, u64::try_from(files).ok()?, numbers.get(10)? + numbers.get(11)?])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use crate::host::Host;
    use std::{
        collections::BTreeSet,
        fs,
        os::unix::fs::symlink,
        process::Command,
        time::{Duration, Instant},
    };

    fn both() -> [Host; 2] {
        [Host::local(), Host::via("sh -c")]
    }

    #[test]
    fn with_and_without_a_shell_the_same_is_a_change() {
        for host in both() {
            let base = host.sandbox().unwrap();
            let root = format!("{base}/root");
            host.sh(&format!("cd {root}; mkdir d; printf one >d/file; ln -s one link; mkfifo pipe")).unwrap();
            let look = |times| host.snapshot(&root, times).unwrap();
            let changes = [
                ("touch -m -d @1000000000 d/file", true),
                ("s=$(stat -c @%Y d/file); printf two >d/file; touch -m -d $s d/file", true),
                ("chmod 600 d/file", true),
                ("chmod 700 d", true),
                ("ln -sfn two link", true),
                ("mv pipe 'a pipe'", true),
                ("rm 'a pipe'; printf x >\"$(printf 'a\\nb')\"", true),
                // Made and removed: only the time of the directory tells.
                ("sleep 0.01; touch d/new; rm d/new", false),
            ];
            for (script, is_thing) in changes {
                let before = [look(true), look(false)];
                assert_eq!([look(true), look(false)], before, "{host:?}: looking changes something");
                host.sh(&format!("cd {root}; {script}")).unwrap();
                assert_ne!(look(true), before[0], "{host:?}: {script}");
                assert_eq!(look(false) != before[1], is_thing, "{host:?}: {script}");
            }
            host.remove(&base);
            assert!(!fs::exists(&base).unwrap());
        }
    }

    #[test]
    fn with_and_without_a_shell_files_are_the_same() {
        for host in both() {
            let base = host.sandbox().unwrap();
            let modes = host.sh(&format!("cd {base}; stat -c '%n %a' . root state blobs")).unwrap();
            assert_eq!(modes, ". 700\nroot 755\nstate 700\nblobs 700\n", "{host:?}");
            let path = format!("{base}/state/a b");
            assert_eq!(host.read(&path).unwrap(), None);
            host.write(&path, b"\xff\n\nx\n").unwrap();
            assert_eq!(host.read(&path).unwrap().unwrap(), b"\xff\n\nx\n");
            host.write(&path, b"").unwrap();
            assert_eq!(host.read(&path).unwrap().unwrap(), b"");
            assert_eq!(host.sh(&format!("stat -c %a '{path}'")).unwrap(), "600\n");
            assert!(host.write(&format!("{base}/missing/file"), b"x").is_err());
            symlink("/", format!("{base}/root/top")).unwrap();
            host.remove(&base);
            assert!(!fs::exists(&base).unwrap());
        }
    }

    #[test]
    fn what_is_started_without_a_shell_has_its_own_session_mask_and_nothing_else() {
        let base = super::sandbox().unwrap();
        let script =
            "umask; pwd; cut -d' ' -f1,6 /proc/self/stat; tr '\\0' '\\n' </proc/self/environ; touch made";
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        let before = super::umask(super::Mode::from_bits_truncate(0o022));
        let environment = [("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("A".into(), "b c".into())];
        let child = super::start(&argv, &environment, &format!("{base}/root")).unwrap().unwrap();
        let pid = child.id();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let mut lines = said.lines();
        assert_eq!(lines.next(), Some("0077"));
        assert_eq!(lines.next(), Some(format!("{base}/root").as_str()));
        assert!(lines.next().unwrap().ends_with(&format!(" {pid}")), "{said}");
        let mine: BTreeSet<&str> = lines.filter(|line| !line.starts_with("PWD=")).collect();
        assert_eq!(mine, BTreeSet::from(["PATH=/usr/bin:/bin", "A=b c"]));
        let mode = fs::metadata(format!("{base}/root/made")).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
        // Nobody else's mask is another one now.
        assert_eq!(super::umask(before).bits(), 0o022);
        super::remove(&base);
    }

    #[test]
    fn with_and_without_a_shell_processes_are_the_same() {
        for host in both() {
            // A name that looks like the end of a name.
            let base = host.sandbox().unwrap();
            let odd = format!("{base}/root/x) S 1");
            fs::copy("/bin/sleep", &odd).unwrap();
            let script = "echo $$ >\"$1\"; \"$2\" 60 & exec sleep 60";
            let pid_file = format!("{base}/work-1.pid");
            let mut leader =
                Command::new("setsid").args(["sh", "-c", script, "sh", &pid_file, &odd]).spawn().unwrap();
            let pid = leader.id();
            while host.members(pid).unwrap().len() != 2
                || fs::read_to_string(&pid_file).unwrap_or_default().is_empty()
            {}
            assert!(host.members(pid).unwrap().contains(&pid));
            let shown =
                String::from_utf8_lossy(&host.shown(&host.members(pid).unwrap()).unwrap()).into_owned();
            assert!(
                shown.contains("sleep\0") && shown.contains("x) S 1\0") && shown.contains("PATH="),
                "{shown}"
            );
            let [memory, files, _] = host.usage(pid).unwrap();
            assert!(memory > 100 && files >= 3, "{host:?}: {memory} KiB, {files} files");
            if pid.is_multiple_of(2) {
                host.kill(pid);
            } else {
                host.end_sessions(&base);
            }
            leader.wait().unwrap();
            // What was killed beside the leader takes a moment to be gone.
            let end = Instant::now() + Duration::from_secs(10);
            while !host.members(pid).unwrap().is_empty() {
                assert!(Instant::now() < end, "{host:?}");
            }
            assert!(host.usage(pid).is_err());
            host.remove(&base);
        }
    }
}
