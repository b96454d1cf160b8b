//! A scratch area: a root directory, a project, a trust file for one person, private state. And the
//! executable under a name of its own, so that every process of the area can be told from others.

use crate::{
    run::{Outcome, write},
    tree::Tree,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// No call of `rectify` in here takes longer, unless it hangs.
const LONGEST: Duration = Duration::from_secs(120);
/// How much of an output a report shows.
const SHOWN_CHARS: usize = 1_500;

const PROJECT: &str = "\
apiVersion: rectify/v1
kind: Project
metadata: {name: torture}
policies: [standard]
";

const INVENTORY: &str = "\
apiVersion: rectify/v1
kind: Inventory
targets:
  scratch: {environment: dev, labels: {role: torture}, connection: local, root: root}
";

/// What a call came to.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A scratch area. It is removed with this value, unless it is kept.
pub struct Area {
    directory: PathBuf,
    program: PathBuf,
    kept: bool,
    log: Mutex<String>,
}

/// Where areas lie: in memory if there is such a file system. A killed process loses nothing that it
/// gave to the kernel, so a disk would only make it slow.
fn parent() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if tempfile::tempfile_in(memory).is_ok() { memory.into() } else { std::env::temp_dir() }
}

impl Area {
    /// An empty area for an executable.
    pub fn new(rectify: &Path) -> Result<Self, String> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = tempfile::Builder::new()
            .prefix("rectify-torture-")
            .tempdir_in(parent())
            .map_err(|e| e.to_string())?
            .keep();
        let links = rectify.with_file_name("torture-programs");
        fs::create_dir_all(&links).map_err(|e| e.to_string())?;
        let program = links.join(format!("{}-{number}", std::process::id()));
        drop(fs::remove_file(&program));
        fs::hard_link(rectify, &program).map_err(|e| format!("{}: {e}", program.display()))?;
        let area = Self { directory, program, kept: false, log: Mutex::default() };
        for name in ["tmp", "counters"] {
            fs::create_dir(area.path(name)).map_err(|e| e.to_string())?;
        }
        Ok(area)
    }

    /// A project with a root directory and these steps, and a trust file for one person.
    pub fn with_project(rectify: &Path, root: &dyn Fn(&Path) -> Outcome, rest: &str) -> Result<Self, String> {
        let area = Self::new(rectify)?;
        fs::create_dir_all(area.root()).map_err(|e| e.to_string())?;
        root(&area.root())?;
        write(&area.path("project/rectify.yaml"), PROJECT)?;
        write(&area.path("project/inventory/local.yaml"), INVENTORY)?;
        area.remediation(rest)?;
        area.expect(0, &["trust", "init", "--solo"])?;
        area.expect(0, &["-C", "project", "inventory", "adopt", "scratch"])?;
        Ok(area)
    }

    /// Writes the remediation: what follows `steps:`.
    pub fn remediation(&self, rest: &str) -> Outcome {
        let head = "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: t}\n\
                    because: {text: torture}\ntargets: {select: target.labels.role == \"torture\"}\n\
                    undo: auto\nsteps:\n";
        write(&self.path("project/remediations/t.yaml"), &format!("{head}{rest}"))
    }

    /// Plans and seals, in the place of an earlier plan.
    pub fn seal(&self, plan: &str) -> Outcome {
        drop(fs::remove_file(self.path(plan)));
        drop(fs::remove_dir_all(self.path(&plan.replace(".plan.json", ".plan.d"))));
        self.expect(0, &["-C", "project", "plan", "--out", plan])?;
        self.expect(0, &["-C", "project", "seal", plan, "--key", "id_ed25519"]).map(drop)
    }

    /// A copy of an area, with everything that is in it.
    pub fn copy(&self, rectify: &Path) -> Result<Self, String> {
        let area = Self::new(rectify)?;
        let mut command = Command::new("cp");
        command.arg("-a").arg("--").arg(self.directory.join(".")).arg(&area.directory);
        crate::run::run(command)?;
        Ok(area)
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The root directory of the target.
    pub fn root(&self) -> PathBuf {
        self.path("project/root")
    }

    /// What the root directory holds.
    pub fn tree(&self) -> Result<Tree, String> {
        Tree::of(&self.root())
    }

    /// How often each command had its effect. The one that `creates` its counter has none any more
    /// once it was taken back.
    pub fn counters(&self) -> Result<BTreeMap<String, usize>, String> {
        let mut counters = BTreeMap::new();
        for entry in fs::read_dir(self.path("counters")).map_err(|e| e.to_string())? {
            let path = entry.map_err(|e| e.to_string())?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            counters.insert(name, crate::run::read(&path)?.lines().count());
        }
        match fs::read_to_string(self.root().join("etc/fourth")) {
            Ok(text) => counters.insert("fourth".into(), text.lines().count()),
            Err(_) => counters.insert("fourth.undo".into(), 1),
        };
        Ok(counters)
    }

    /// Processes of this area: its executable, and what they started.
    pub fn processes(&self) -> Vec<i32> {
        let mut found = Vec::new();
        let ours = self.directory.as_os_str().as_encoded_bytes();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let program = fs::read_link(entry.path().join("exe")).unwrap_or_default();
            let environment = || fs::read(entry.path().join("environ")).unwrap_or_default();
            if program == self.program || environment().windows(ours.len()).any(|part| part == ours) {
                found.push(pid);
            }
        }
        found
    }

    /// Waits until no process of this area is left.
    pub fn quiet(&self, patience: Duration) -> Result<(), Vec<i32>> {
        let end = Instant::now() + patience;
        loop {
            let processes = self.processes();
            if processes.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(processes);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &self.directory)
            .env("TMPDIR", self.path("tmp"))
            .env("RECTIFY_TRUST", self.path("trust.yaml"))
            .env("RECTIFY_STATE", self.path("state"))
            .stdin(Stdio::null());
        command
    }

    /// Starts a call whose output goes to files: a provider that outlives it must not keep us waiting.
    pub fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Child, String> {
        let file = |name: &str| File::create(self.path(name)).map_err(|e| e.to_string());
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied()).stdout(file("stdout")?).stderr(file("stderr")?);
        let shown: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        self.note(&format!("$ {}rectify {}", shown.concat(), arguments.join(" ")));
        command.spawn().map_err(|e| format!("cannot start rectify: {e}"))
    }

    /// Waits for a call.
    pub fn end(&self, mut child: Child) -> Result<Ran, String> {
        let end = Instant::now() + LONGEST;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
                break status;
            }
            if Instant::now() > end {
                drop(child.kill());
                drop(child.wait());
                return Err(format!("a call did not end within {} s", LONGEST.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let read =
            |name: &str| fs::read(self.path(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let (stdout, stderr) =
            read("stdout").and_then(|out| Ok((out, read("stderr")?))).map_err(|e| e.to_string())?;
        let cut = |text: &str| text.chars().take(SHOWN_CHARS).collect::<String>();
        self.note(&format!("{}{}-> {status}", cut(&stdout), cut(&stderr)));
        Ok(Ran { code: status.code(), stdout, stderr })
    }

    /// A call from start to end.
    pub fn rectify(&self, arguments: &[&str]) -> Result<Ran, String> {
        self.rectify_with(arguments, &[])
    }

    /// A call with variables.
    pub fn rectify_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Ran, String> {
        self.end(self.start(arguments, variables)?)
    }

    /// A call that must end with this code.
    pub fn expect(&self, code: i32, arguments: &[&str]) -> Result<Ran, String> {
        let ran = self.rectify(arguments)?;
        if ran.code == Some(code) {
            return Ok(ran);
        }
        Err(format!(
            "`rectify {}` ended with {:?}, expected {code}:\n{}{}",
            arguments.join(" "),
            ran.code,
            ran.stdout,
            ran.stderr
        ))
    }

    /// Adds a line to the log of the area.
    pub fn note(&self, line: &str) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(line);
        log.push('\n');
    }

    /// Keeps the directory, with the log in it, and tells its path.
    pub fn keep(&mut self) -> PathBuf {
        self.kept = true;
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(mut file) = File::create(self.directory.join("log")) {
            drop(file.write_all(log.as_bytes()));
        }
        self.directory.clone()
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.program));
        if !self.kept {
            drop(fs::remove_dir_all(&self.directory));
        }
    }
}
