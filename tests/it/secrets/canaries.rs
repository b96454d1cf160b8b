//! 64 secrets whose values are found nowhere but where they belong, however a run ends.

use aho_corasick::AhoCorasick;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use rectify_tests::{Ran, Scratch, remediation};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// How many secrets, and where their values come from.
pub const COUNT: usize = 64;
const FILES: std::ops::Range<usize> = 0..28;
const VARIABLES: std::ops::Range<usize> = 28..48;
const COMMANDS: std::ops::Range<usize> = 48..60;
const DESCRIPTORS: std::ops::Range<usize> = 60..64;
const FIRST_DESCRIPTOR: usize = 5;

/// Characters that need care in one encoding or another.
const AWKWARD: [&str; 8] = ["", "\"", "\\", " %", "é", "</s>", "'$(", "+/="];

/// The secrets of one test.
pub struct Canaries {
    values: Vec<String>,
    finder: AhoCorasick,
    /// Which secret each pattern is of, and how it is written.
    patterns: Vec<(usize, &'static str)>,
}

impl Canaries {
    /// Values that nobody else has.
    pub fn new() -> Self {
        let values: Vec<String> = (0..COUNT)
            .map(|number| {
                let mut random = [0_u8; 15];
                fs::File::open("/dev/urandom")
                    .and_then(|mut f| std::io::Read::read_exact(&mut f, &mut random))
                    .unwrap();
                let core = STANDARD.encode(random);
                let (front, back) = core.split_at(10);
                format!("{front}{}{back}", AWKWARD[number % AWKWARD.len()])
            })
            .collect();
        let (mut texts, mut patterns) = (Vec::new(), Vec::new());
        for (number, value) in values.iter().enumerate() {
            for (form, text) in forms(value) {
                texts.push(text);
                patterns.push((number, form));
            }
        }
        Self { values, finder: AhoCorasick::new(&texts).unwrap(), patterns }
    }

    pub fn value(&self, number: usize) -> &str {
        &self.values[number]
    }

    /// Which secrets stand in some bytes, and how they are written there.
    pub fn found(&self, bytes: &[u8]) -> BTreeSet<(usize, &'static str)> {
        self.finder.find_overlapping_iter(bytes).map(|hit| self.patterns[hit.pattern().as_usize()]).collect()
    }

    /// Every file below a directory in which a secret stands, but for those named.
    pub fn below(
        &self,
        directory: &Path,
        apart_from: &dyn Fn(&Path) -> bool,
    ) -> BTreeMap<PathBuf, BTreeSet<(usize, &'static str)>> {
        let mut found = BTreeMap::new();
        let mut open = vec![directory.to_owned()];
        while let Some(here) = open.pop() {
            for entry in fs::read_dir(&here).unwrap() {
                let path = entry.unwrap().path();
                let kind = fs::symlink_metadata(&path).unwrap().file_type();
                if kind.is_dir() {
                    open.push(path.clone());
                } else if kind.is_file() && !apart_from(&path) {
                    let hits = self.found(&fs::read(&path).unwrap());
                    if !hits.is_empty() {
                        found.insert(path.clone(), hits);
                    }
                }
                let named = self.found(path.file_name().unwrap().as_bytes());
                assert!(named.is_empty(), "a file is named after a secret: {named:?}");
            }
        }
        found
    }
}

/// How a value may be written. Written down once more here, so that a mistake in what hides values
/// is not repeated in what looks for them.
fn forms(value: &str) -> Vec<(&'static str, String)> {
    let hex: String = value.bytes().map(|b| format!("{b:02x}")).collect();
    let json = serde_json::to_string(value).unwrap();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let url: String = value
        .bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    let mut forms = vec![
        ("raw", value.to_owned()),
        ("hex", hex.to_uppercase()),
        ("hex", hex),
        ("json", json[1..json.len() - 1].to_owned()),
        ("url", url.to_lowercase()),
        ("url", url),
    ];
    for shift in 0..3 {
        let bytes = [&b"xx"[..shift], value.as_bytes()].concat();
        for text in [STANDARD.encode(&bytes), URL_SAFE.encode(&bytes)] {
            // Without the characters that the bytes around it decide.
            let (begin, end) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
            forms.push(("base64", text[begin..end].to_owned()));
        }
    }
    forms
}

/// A project with a step for each secret: even ones go into files, odd ones to commands.
pub struct World {
    pub scratch: Scratch,
    pub canaries: Canaries,
}

impl World {
    /// `file` are more properties of each file, `script` is what each command runs; `NN` stands for
    /// the number.
    pub fn new(file: &str, script: &str, more: &str) -> Self {
        let (scratch, canaries) = (Scratch::new(), Canaries::new());
        let mut secrets = String::new();
        let mut commands = String::new();
        for number in 0..COUNT {
            let value = canaries.value(number);
            let source = format!("project/secrets/s{number}");
            let from = match number {
                n if VARIABLES.contains(&n) => format!("{{env: S{n}}}"),
                n if DESCRIPTORS.contains(&n) => {
                    scratch.write(&format!("given/{n}"), value);
                    format!("{{fd: {}}}", n - DESCRIPTORS.start + FIRST_DESCRIPTOR)
                }
                n => {
                    scratch.write(&source, &format!("{value}\n"));
                    fs::set_permissions(scratch.path(&source), fs::Permissions::from_mode(0o600)).unwrap();
                    if FILES.contains(&n) {
                        format!("{{file: secrets/s{n}}}")
                    } else {
                        let argv = format!("[/bin/cat, {}]", scratch.path(&source).display());
                        commands.push_str(&format!("  - {argv}\n"));
                        format!("{{command: {argv}}}")
                    }
                }
            };
            secrets.push_str(&format!("  s{number}: {{from: {from}}}\n"));
        }
        assert_eq!(
            (FILES.end, VARIABLES.end, COMMANDS.end),
            (VARIABLES.start, COMMANDS.start, DESCRIPTORS.start)
        );
        scratch.write(
            "project/rectify.yaml",
            &format!("apiVersion: rectify/v1\nkind: Project\nmetadata: {{name: demo}}\nlimits: {{parallel_steps: 64}}\npolicies: [standard]\nsecrets:\n{secrets}"),
        );
        let mut steps = String::new();
        for number in 0..COUNT {
            let step = if number % 2 == 0 {
                format!(
                    "file.content: {{path: /etc/s{number}, mode: '0600', content: 'key = ${{{{ secrets.s{number} }}}}'{file}}}"
                )
            } else {
                format!(
                    "command.run: {{script: '{script}', stdin: '${{{{ secrets.s{number} }}}}', creates: /out/s{number}{more}}}"
                )
            };
            steps.push_str(&format!("  s{number}:\n    {}\n", step.replace("NN", &number.to_string())));
        }
        scratch.write("project/remediations/canaries.yaml", &remediation("canaries", &steps));
        fs::create_dir_all(scratch.path("root/out")).unwrap();
        fs::create_dir_all(scratch.path("tmp")).unwrap();
        scratch.trust(1);
        let trust = scratch.read("trust.yaml");
        scratch.write("trust.yaml", &format!("{trust}secret_commands:\n{commands}"));
        Self { scratch, canaries }
    }

    /// A call with the variables and descriptors that hold values, and everything said that can be.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let redirections: String = DESCRIPTORS
            .map(|n| {
                format!(
                    " {}<{}",
                    n - DESCRIPTORS.start + FIRST_DESCRIPTOR,
                    self.scratch.path(&format!("given/{n}")).display()
                )
            })
            .collect();
        let plain = self.scratch.command(arguments);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("exec \"$0\" \"$@\"{redirections}")]).arg(plain.get_program());
        command.args(plain.get_args()).current_dir(self.scratch.path("")).env_clear().stdin(Stdio::null());
        for (name, value) in plain.get_envs() {
            command.env(name, value.unwrap());
        }
        for number in VARIABLES {
            command.env(format!("S{number}"), self.canaries.value(number));
        }
        command.env("TMPDIR", self.scratch.path("tmp"));
        command
    }

    /// Runs it, looks at the processes meanwhile and at what it said.
    pub fn run(&self, code: i32, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let engine = child.id().to_string();
        let over = AtomicBool::new(false);
        let (output, looks) = std::thread::scope(|scope| {
            let watch = scope.spawn(|| self.watch(&engine, &over));
            let output = child.wait_with_output().unwrap();
            over.store(true, Ordering::Relaxed);
            (output, watch.join().unwrap())
        });
        assert!(looks > 0, "nobody looked at the processes");
        let ran = Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        for (what, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
            let found = self.canaries.found(text.as_bytes());
            assert!(found.is_empty(), "{arguments:?}: {what} shows {found:?}");
        }
        assert_eq!(ran.code, code, "{arguments:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran
    }

    /// Looks at arguments and environments of every process until it is over. The environment of the
    /// engine itself holds what its caller put there; nobody else's may.
    pub fn watch(&self, engine: &str, over: &AtomicBool) -> usize {
        let mut looks = 0;
        while !over.load(Ordering::Relaxed) {
            for entry in fs::read_dir("/proc").unwrap().flatten() {
                let name = entry.file_name().into_string().unwrap();
                if !name.bytes().all(|b| b.is_ascii_digit()) {
                    continue;
                }
                let said = |pid: &str| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                // A child is a copy of the engine until it becomes another program.
                let is_engine = name == engine || said(&name) == said(engine);
                for what in ["cmdline", "environ"] {
                    if what == "environ" && is_engine {
                        continue;
                    }
                    let found = self.canaries.found(&fs::read(entry.path().join(what)).unwrap_or_default());
                    let whose = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
                    assert!(
                        found.is_empty(),
                        "{what} of {name} ({}) shows {found:?}",
                        whose.replace('\0', " ")
                    );
                }
            }
            looks += 1;
            std::thread::sleep(Duration::from_millis(2));
        }
        looks
    }

    /// Plans, seals, approves.
    pub fn seal(&self) {
        self.run(0, &["-C", "project", "plan", "--out", "a.plan.json", "-vvv"]);
        self.run(0, &["-C", "project", "seal", "a.plan.json", "--key", "keys-author", "-vvv"]);
        self.run(0, &["approve", "a.plan.json", "--key", "keys-reviewer"]);
    }

    /// The values are in their sources and, of those numbers, where they belong; and nowhere else.
    pub fn nowhere_else(&self, may_be_there: &dyn Fn(&Path) -> bool) {
        let found = self.canaries.below(&self.scratch.path(""), &|path| {
            let source = path.starts_with(self.scratch.path("project/secrets"))
                || path.starts_with(self.scratch.path("given"));
            source || may_be_there(path)
        });
        assert!(found.is_empty(), "{found:#?}");
    }

    /// What is shown of the plan and of the run.
    pub fn shown(&self) {
        for arguments in [
            &["show", "a.plan.json", "--details"][..],
            &["show", "a.plan.json", "--format", "json"],
            &["show", "a.plan.json", "--format", "markdown"],
            &["-C", "project", "verify", "a.plan.json", "--reproduce", "--source", "project"],
            &["history"],
        ] {
            self.run(0, arguments);
        }
        let history = self.run(0, &["history"]).stdout;
        let run = history.split_whitespace().nth(1).unwrap().to_owned();
        self.run(0, &["history", &run]);
    }

    /// Whether a path is where a step puts its secret.
    pub fn is_destination(&self, path: &Path) -> bool {
        path.starts_with(self.scratch.path("root/etc")) || path.starts_with(self.scratch.path("root/out"))
    }
}
