//! A scratch area: a root directory, a project, a trust file for one person, private state. And the
//! executable under a name of its own, so that every process of the area can be told from others.

use super::{
    machine::Machine,
    scenario::{Provider, Watch},
};
use crate::{
    run::{Outcome, run, write},
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
policies: [policies/plain]
";
/// Decided in a process of its own like any other, and soon: the standard policy would be most of what a run costs
/// here, and it is not what is tried.
const POLICY: &str = "\
package rectify

default allow := false

allow if input.project == \"torture\"
";

const INVENTORY: &str = "\
apiVersion: rectify/v1
kind: Inventory
targets:
  scratch: {environment: dev, labels: {role: torture}, connection: local, root: root}
";
/// The same for a machine.
const WHOLE: &str = "\
apiVersion: rectify/v1
kind: Inventory
targets:
  scratch: {environment: dev, labels: {role: torture}, connection: local}
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
    /// What is changed, where that is not a root directory.
    machine: Option<(Machine, &'static Watch)>,
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
        let area = Self { directory, program, machine: None, kept: false, log: Mutex::default() };
        for name in ["tmp", "counters"] {
            fs::create_dir(area.path(name)).map_err(|e| e.to_string())?;
        }
        Ok(area)
    }

    /// A project for what this provider changes, with these steps, and a trust file for one person. `begin`
    /// makes what is there before.
    pub fn with_project(
        rectify: &Path,
        provider: Provider,
        begin: &dyn Fn(&Self) -> Outcome,
        rest: &str,
    ) -> Result<Self, String> {
        let mut area = Self::new(rectify)?;
        let inventory = match provider.watch() {
            None => {
                fs::create_dir_all(area.root()).map_err(|e| e.to_string())?;
                INVENTORY
            }
            Some(watch) => {
                area.enter(watch)?;
                WHOLE
            }
        };
        begin(&area)?;
        write(&area.path("project/rectify.yaml"), PROJECT)?;
        write(&area.path("project/inventory/local.yaml"), inventory)?;
        area.remediation(rest)?;
        write(&area.path("project/policies/plain/plain.rego"), POLICY)?;
        area.expect(0, &["trust", "init", "--solo"])?;
        area.trust_the_policy()?;
        if area.machine.is_none() {
            area.expect(0, &["-C", "project", "inventory", "adopt", "scratch"])?;
        }
        Ok(area)
    }

    /// Lets the trust file accept the policy of the project instead of the standard one.
    fn trust_the_policy(&self) -> Outcome {
        let digest = self.expect(0, &["-C", "project", "policy", "digest"])?.stdout;
        let path = self.path("trust.yaml");
        let text = fs::read_to_string(&path).map_err(|e| e.to_string())?;
        let (head, rest) =
            text.split_once("policy_bundles:\n- ").ok_or("the trust file names no policy bundles")?;
        let (_, rest) = rest.split_once('\n').ok_or("the trust file ends early")?;
        fs::write(&path, format!("{head}policy_bundles:\n- {}\n{rest}", digest.trim()))
            .map_err(|e| e.to_string())
    }

    /// Makes a machine of the changes that lie in the area, of which there may be none yet.
    fn enter(&mut self, watch: &'static Watch) -> Outcome {
        let machine = Machine::over(&self.path("changes"), &self.directory.with_extension("machine"))?;
        machine.sees(&self.directory)?;
        if let Some(programs) = self.program.parent() {
            machine.sees(programs)?;
        }
        self.machine = Some((machine, watch));
        Ok(())
    }

    /// The machine that is changed, if it is one.
    pub fn machine(&self) -> Option<&Machine> {
        self.machine.as_ref().map(|(machine, _)| machine)
    }

    /// Runs a script on the machine that is changed, or else in the root directory.
    pub fn shell(&self, script: &str) -> Outcome {
        if let Some(machine) = self.machine() {
            return machine.shell(script).map(drop);
        }
        let mut command = Command::new("/bin/sh");
        command.args(["-euc", script]).current_dir(self.root()).env("LC_ALL", "C.UTF-8");
        run(command)
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
        let mut area = Self::new(rectify)?;
        let mut command = Command::new("cp");
        command.arg("-a").arg("--").arg(self.directory.join(".")).arg(&area.directory);
        run(command)?;
        if let Some((machine, watch)) = &self.machine {
            area.enter(watch)?;
            if let (true, Some(copy)) = (watch.settings, area.machine()) {
                copy.set_as(machine)?;
            }
        }
        Ok(area)
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The root directory of the target.
    pub fn root(&self) -> PathBuf {
        self.machine().map_or_else(|| self.path("project/root"), Machine::root)
    }

    /// What the root directory holds; or what counts of the machine.
    pub fn tree(&self) -> Result<Tree, String> {
        let Some((machine, watch)) = &self.machine else { return Tree::of(&self.root()) };
        let mut tree = Tree::default();
        for path in watch.paths {
            tree.add(Path::new(path), &machine.below(path))?;
        }
        tree.say(&machine.shell(watch.look)?, '\t');
        if watch.settings {
            tree.say(&machine.settings()?, ' ');
        }
        Ok(tree)
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
        let seen = self.machine().map(|machine| machine.below(&self.program));
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let program = fs::read_link(entry.path().join("exe")).unwrap_or_default();
            let environment = || fs::read(entry.path().join("environ")).unwrap_or_default();
            if program == self.program
                || seen.as_ref() == Some(&program)
                || environment().windows(ours.len()).any(|part| part == ours)
            {
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
        let mut command = match self.machine() {
            Some(machine) => machine.command(&self.directory, &self.program),
            None => Command::new(&self.program),
        };
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
        self.machine = None;
        if !self.kept {
            drop(fs::remove_dir_all(&self.directory));
        }
    }
}
