//! One node: how it boots, and how something is run in it.

use super::{cgroup::Group, keys, network::Network, place::Place, record::Record};
use crate::{
    mounts,
    run::{Outcome, write},
};
use std::{
    fs::{self, File},
    net::Ipv4Addr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Where a node sees the repository of packages.
pub const REPOSITORY: &str = "/srv/rectify-repository";
/// Says in a node that it is one, and which.
pub const MARK: &str = "/etc/rectify-fleet-node";
/// How long a node may take to be up.
const BOOT_PATIENCE: Duration = Duration::from_secs(180);
/// `PATH` in a node.
const SEARCH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A node of a fleet.
#[derive(Clone, Debug)]
pub struct Node {
    name: String,
    address: Ipv4Addr,
    /// Directory of the fleet.
    fleet: PathBuf,
    group: Group,
}

impl Node {
    /// The nodes of a fleet.
    pub fn all(directory: &Path, record: &Record) -> Result<Vec<Self>, String> {
        let network = Network::of(&record.id, record.subnet, directory);
        let group = Group::of(&record.id)?;
        let numbered = record.nodes.iter().zip(1..);
        Ok(numbered
            .map(|(name, number)| Self {
                name: name.clone(),
                address: network.address(number),
                fleet: directory.into(),
                group: group.clone(),
            })
            .collect())
    }

    /// Its name: of the machine, its host, and for ssh.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    fn path(&self, name: &str) -> PathBuf {
        self.fleet.join(&self.name).join(name)
    }

    /// Prepares what it does not share with others.
    pub(super) fn prepare(&self, everybody: &[Self]) -> Outcome {
        for name in ["upper", "work", "root"] {
            let path = self.path(name);
            fs::create_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        let upper = self.path("upper");
        let file = |name: &str, text: &str| keys::file(&upper, name, text, 0o644);
        file("etc/hostname", &format!("{}\n", self.name))?;
        let hosts = everybody.iter().map(|node| format!("{} {}\n", node.address, node.name));
        file("etc/hosts", &format!("127.0.0.1 localhost\n{}", hosts.collect::<String>()))?;
        file(MARK.trim_start_matches('/'), &format!("{}\n", self.name))?;
        // Nothing of the network is reached from here, so apt is not to wait for it.
        file("etc/apt/sources.list", "")?;
        let source = format!("deb [trusted=yes] file:{REPOSITORY} ./\n");
        file("etc/apt/sources.list.d/rectify-fleet.list", &source)?;
        keys::install(&self.fleet, &self.name, &upper)
    }

    /// Starts it. What its console says goes to a file.
    pub(super) fn start(&self) -> Result<Child, String> {
        let log = self.path("console.log");
        let told = |e: std::io::Error| format!("{}: {e}", log.display());
        let file = File::create(&log).map_err(told)?;
        Command::new("/proc/self/exe")
            .args(["fleet", "boot"])
            .arg(&self.fleet)
            .arg(&self.name)
            .stdin(Stdio::null())
            .stderr(file.try_clone().map_err(told)?)
            .stdout(file)
            .spawn()
            .map_err(|e| format!("cannot start this program again: {e}"))
    }

    /// Waits until it is up, and gives it its address.
    pub(super) fn settle(&self, child: &mut Child, network: &Network, number: u8) -> Outcome {
        let end = Instant::now() + BOOT_PATIENCE;
        let mut joined = false;
        let mut last = String::from("no process of its own");
        while Instant::now() < end {
            if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
                return Err(self.told(&format!("ended with {status}")));
            }
            if let Some(leader) = self.group.leader(&self.name) {
                joined = joined || network.join(leader, number)?;
                let output = self.output(&["systemctl", "is-system-running"])?;
                last = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                match last.as_str() {
                    "running" if joined => return Ok(()),
                    "degraded" => {
                        let failed = self.output(&["systemctl", "--failed", "--plain", "--no-legend"])?;
                        let failed = String::from_utf8_lossy(&failed.stdout).into_owned();
                        return Err(self.told(&format!("is degraded; failed units:\n{failed}")));
                    }
                    _ => {}
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(self.told(&format!("is not up after {} s: {last}", BOOT_PATIENCE.as_secs())))
    }

    fn told(&self, what: &str) -> String {
        let console = fs::read(self.path("console.log")).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        let lines: Vec<&str> = console.lines().collect();
        let last = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n");
        format!("node {} {what}\nits console:\n{last}", self.name)
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.group.leader(&self.name).is_some()
    }

    /// A command in it, as root, without ssh. It has the privileges of this process and not those of a
    /// node, so what is tested runs over [`Node::ssh`].
    pub fn command(&self, argv: &[&str]) -> Result<Command, String> {
        let leader = self
            .group
            .leader(&self.name)
            .ok_or_else(|| format!("node {} does not run", self.name))?
            .to_string();
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &leader, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"])
            .args(["--root", "--wd", "--", "/usr/bin/env", "-i", SEARCH])
            .args(["HOME=/root", "USER=root", "LANG=C.UTF-8", "TERM=dumb"])
            .args(argv);
        Ok(command)
    }

    /// A command in it over ssh. The words are quoted, so that no shell changes them.
    pub fn ssh(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command.arg("-F").arg(self.fleet.join(keys::CONFIG)).arg(&self.name).arg("--");
        command.args(argv.iter().map(|word| quoted(word)));
        command
    }

    /// How a person enters it.
    pub fn ssh_shown(&self) -> String {
        format!("ssh -F {} {}", self.fleet.join(keys::CONFIG).display(), self.name)
    }

    /// Runs a command without ssh, and gives what came of it.
    pub fn output(&self, argv: &[&str]) -> Result<Output, String> {
        let mut command = self.command(argv)?;
        command.stdin(Stdio::null()).output().map_err(|e| format!("cannot start nsenter: {e}"))
    }

    /// Runs a command that must succeed, and gives its output.
    pub fn run(&self, argv: &[&str]) -> Result<String, String> {
        self.judged(argv, self.output(argv)?)
    }

    /// Runs a command over ssh that must succeed, and gives its output.
    pub fn run_ssh(&self, argv: &[&str]) -> Result<String, String> {
        let output = self.ssh(argv).stdin(Stdio::null()).output();
        self.judged(argv, output.map_err(|e| format!("cannot start ssh: {e}"))?)
    }

    fn judged(&self, argv: &[&str], output: Output) -> Result<String, String> {
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!(
            "in {}: `{}` ended with {}:\n{}{}",
            self.name,
            argv.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))
    }

    /// Copies a file into it. `mode` is octal, as in `0755`.
    pub fn put(&self, local: &Path, remote: &str, mode: &str) -> Outcome {
        let script = "cat > \"$1\" && chmod -- \"$2\" \"$1\"";
        let file = File::open(local).map_err(|e| format!("{}: {e}", local.display()))?;
        let mut command = self.command(&["/bin/sh", "-euc", script, "sh", remote, mode])?;
        let output = command.stdin(file).output().map_err(|e| format!("cannot start nsenter: {e}"))?;
        self.judged(&["cat", ">", remote], output).map(drop)
    }
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What [`Node::start`] runs: becomes the node. Does not return where all is well.
pub fn boot(fleet: &Path, name: &str) -> Outcome {
    let place = Place::of_user()?;
    let record = Record::read(fleet)?;
    if fleet.parent() != Some(place.running().as_path()) || !record.nodes.iter().any(|node| node == name) {
        return Err(format!("{name} is no node of a fleet in {}", fleet.display()));
    }
    nix::unistd::setsid().map_err(|e| format!("no session: {e}"))?;
    let group = Group::of(&record.id)?.node(name)?;
    write(&group.join("cgroup.procs"), "0")?;
    let node = fleet.join(name);
    mounts::part()?;
    let lower: Vec<&Path> = record.layers.iter().map(PathBuf::as_path).collect();
    mounts::overlay(&lower, &node.join("upper"), &node.join("work"), &node.join("root"))?;
    // What it would leave there stays in memory, and goes with it.
    let runtime = Path::new("/run/systemd");
    fs::create_dir_all(runtime).map_err(|e| format!("{}: {e}", runtime.display()))?;
    mounts::memory(runtime)?;
    let propagate = runtime.join("nspawn/propagate").join(name);
    fs::create_dir_all(&propagate).map_err(|e| format!("{}: {e}", propagate.display()))?;
    let bridge = Network::of(&record.id, record.subnet, fleet).bridge();
    let error = Command::new("systemd-nspawn")
        .args(["--quiet", "--boot", "--register=no", "--keep-unit", "--link-journal=no"])
        .args(["--resolv-conf=off", "--timezone=off", "--console=read-only", "--kill-signal=SIGRTMIN+3"])
        .args(["--system-call-filter=@sandbox @keyring", &format!("--machine={name}")])
        .args([&format!("--network-bridge={bridge}"), &format!("--hostname={name}")])
        .arg(format!("--bind-ro={}:{REPOSITORY}", record.repository.display()))
        .arg("--directory")
        .arg(node.join("root"))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
        .env("SYSTEMD_NSPAWN_LOCK", "0")
        .exec();
    Err(format!("cannot start systemd-nspawn: {error}"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted() {
        for (word, shown) in [("", "''"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$HOME", "'$HOME'")] {
            assert_eq!(quoted(word), shown);
        }
    }
}
