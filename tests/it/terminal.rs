//! What is shown on a terminal while work goes on: a real one, with a process group of its own.

use nix::{
    pty::{Winsize, openpty},
    sys::termios::{LocalFlags, tcgetattr},
};
use rectify_tests::{Scratch, remediation};
use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// A terminal with a program on it.
struct Terminal {
    child: Child,
    keys: File,
    line: OwnedFd,
    before: LocalFlags,
    seen: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Terminal {
    /// Calls `rectify` on a terminal of 70 columns, which it controls.
    fn start(scratch: &Scratch, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 70, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).unwrap();
        let plain = scratch.command(arguments);
        let mut command = Command::new("/usr/bin/setsid");
        command.args(["--ctty", "--wait"]).arg(plain.get_program()).args(plain.get_args()).env_clear();
        command.current_dir(plain.get_current_dir().unwrap());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("TERM", "xterm").envs(environment.iter().copied());
        let end = || Stdio::from(pair.slave.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end());
        let before = tcgetattr(&pair.slave).unwrap().local_flags;
        let child = command.spawn().unwrap();
        drop(command);
        let seen = Arc::new(Mutex::new(String::new()));
        let (mut from, into) = (File::from(pair.master.try_clone().unwrap()), Arc::clone(&seen));
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal that nobody uses any more answers with an error.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { child, keys: File::from(pair.master), line: pair.slave, before, seen, reader }
    }

    fn seen(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    fn wait_for(&self, text: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while !self.seen().contains(text) {
            assert!(Instant::now() < end, "`{text}` was not shown:\n{}", self.seen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    /// Exit code and everything that was shown. The terminal must be as it was.
    fn end(mut self) -> (i32, String) {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        assert_eq!(tcgetattr(&self.line).unwrap().local_flags, self.before);
        drop(self.line);
        drop(self.keys);
        self.reader.join().unwrap();
        let seen = self.seen.lock().unwrap().clone();
        assert_eq!(seen.matches("\u{1b}[?25l").count(), seen.matches("\u{1b}[?25h").count(), "the cursor");
        (code, seen)
    }
}

/// What stays on the screen: each line after everything that was drawn over it.
fn screen(bytes: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in bytes.split("\r\n") {
        let kept = line.rsplit(['\r']).next().unwrap_or_default();
        let kept = kept.rsplit("\u{1b}[2K").next().unwrap_or_default();
        lines.push(kept.to_owned());
    }
    lines
}

/// A sealed plan with a slow step and a gate that holds only after a while.
fn sealed() -> Scratch {
    let scratch = Scratch::new();
    scratch.trust(1);
    let steps = "  first:\n    command.run: {argv: [/bin/sh, -c, 'touch \"$RECTIFY_ROOT/begun\"; sleep 2; (sleep 2; echo late > \"$RECTIFY_ROOT/etc/late\") >/dev/null 2>&1 </dev/null &']}\nverify:\n  - file.matches: {path: /etc/late, pattern: late}\n    within: 20s\n";
    scratch.write("project/remediations/slow.yaml", &remediation("slow", steps));
    scratch.seal("a.plan.json");
    scratch
}

#[test]
fn a_run_shows_what_it_does_and_leaves_only_its_lines() {
    let scratch = sealed();
    let terminal = Terminal::start(&scratch, &["-C", "project", "apply", "a.plan.json"], &[]);
    terminal.wait_for("applying 1 of 1: scratch:slow/first");
    let (code, seen) = terminal.end();
    assert_eq!(code, 0, "{seen}");
    let screen = screen(&seen);
    assert!(screen.iter().any(|line| line.contains("applied  scratch:slow/first")), "{screen:?}");
    assert!(screen.iter().any(|line| line.contains("succeeded, 1 changed")), "{screen:?}");
    assert!(!screen.iter().any(|line| line.contains("applying 1 of 1")), "{screen:?}");
}

#[test]
fn planning_shows_how_far_it_is() {
    let scratch = sealed();
    let terminal = Terminal::start(&scratch, &["-C", "project", "plan"], &[]);
    let (code, seen) = terminal.end();
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("observing scratch: "), "{seen}");
    let screen = screen(&seen);
    assert!(screen.iter().any(|line| line.starts_with("Plan for demo")), "{screen:?}");
    assert!(!screen.iter().any(|line| line.contains("observing")), "{screen:?}");
}

#[test]
fn ctrl_c_is_answered_and_leaves_the_terminal_as_it_was() {
    let scratch = sealed();
    let mut terminal = Terminal::start(&scratch, &["-C", "project", "apply", "a.plan.json"], &[]);
    terminal.wait_for("applying 1 of 1: scratch:slow/first");
    terminal.press(b"\x03");
    terminal.wait_for("stopping after what is under way");
    let (code, seen) = terminal.end();
    assert_eq!(code, 130, "{seen}");
    assert!(!screen(&seen).iter().any(|line| line.contains("applying")), "{seen}");
}

#[test]
fn where_nobody_watches_nothing_is_drawn() {
    let scratch = sealed();
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("CI", "true")] {
        let (code, seen) = Terminal::start(&scratch, &["-C", "project", "plan"], &[(name, value)]).end();
        assert_eq!(code, 0, "{seen}");
        assert!(!seen.contains("observing") && !seen.contains("\u{1b}[2K"), "{name}: {seen}");
    }
    let (code, seen) = Terminal::start(&scratch, &["-C", "project", "--events", "plan"], &[]).end();
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("\"event\":\"observing\"") && !seen.contains("observing scratch"), "{seen}");
    // No terminal at all: plain lines.
    let told = scratch.ok(&["-C", "project", "apply", "a.plan.json"]).stderr;
    assert!(!told.contains('\u{1b}') && !told.contains("applying"), "{told}");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[0].starts_with(" applied  scratch:slow/first"), "{told}");
    assert!(lines[1].starts_with(" waiting  scratch:slow/verify:0: "), "{told}");
    assert!(lines[2].starts_with("   holds  scratch:slow/verify:0"), "{told}");
}

#[test]
fn a_long_name_is_cut_to_the_line() {
    let scratch = Scratch::new();
    scratch.trust(1);
    let name = "n".repeat(63);
    let steps = format!("  {name}:\n    command.run: {{argv: [/bin/sleep, '2']}}\n");
    scratch.write("project/remediations/slow.yaml", &remediation("slow", &steps));
    scratch.seal("a.plan.json");
    let terminal = Terminal::start(&scratch, &["-C", "project", "apply", "a.plan.json"], &[]);
    terminal.wait_for("applying 1 of 1: scratch:slow/nnn");
    let (code, seen) = terminal.end();
    assert_eq!(code, 0, "{seen}");
    for piece in seen.split(['\r', '\n', '\u{1b}']).filter(|piece| piece.contains("applying")) {
        assert!(piece.chars().count() <= 75, "{piece}");
    }
}
