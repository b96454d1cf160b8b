//! Shows that hosts are what they claim to be, and that nothing is left of them, however they end.

use super::{
    base::Release,
    cgroup::Group,
    life::{self, Fleet, Wish},
    network::Network,
    node::{MARK, Node},
    place::Place,
};
use crate::{mounts, run::Outcome};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a guard may take to end a fleet.
const PATIENCE: Duration = Duration::from_secs(60);

/// All of it.
pub fn selftest() -> Outcome {
    life::ready()?;
    let stages: &[(&str, &dyn Fn() -> Outcome)] = &[
        ("three hosts", &three_hosts),
        ("packages", &packages),
        ("foreign things", &foreign),
        ("makers that are killed", &killed),
    ];
    for (name, stage) in stages {
        let begin = Instant::now();
        stage().map_err(|e| format!("{name}: {e}"))?;
        println!("fleet selftest: {name}: ok ({:.0} s)", begin.elapsed().as_secs_f32());
    }
    Ok(())
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, expected {expected:?}")) }
}

fn three_hosts() -> Outcome {
    let fleet = Fleet::up(&Wish { nodes: 3, release: Release::Bookworm, packages: &[] })?;
    let mut machines = BTreeSet::new();
    for node in fleet.nodes() {
        let name = format!("{}\n", node.name());
        expect("hostname", node.run(&["hostname"])?, name.clone())?;
        expect("hostname over ssh", node.run_ssh(&["hostname"])?, name.clone())?;
        expect("mark", node.run(&["cat", MARK])?, name)?;
        expect(
            "words",
            node.run_ssh(&["printf", "%s|", "a b", "it's", "$HOME", ""])?,
            "a b|it's|$HOME||".into(),
        )?;
        expect("system", node.run_ssh(&["systemctl", "is-system-running"])?, "running\n".into())?;
        machines.insert(node.run(&["cat", "/etc/machine-id"])?);
        expect("routes further", node.run(&["ip", "route", "show", "default"])?, String::new())?;
        services(node)?;
        let others = fleet.nodes().iter().filter(|other| other.name() != node.name());
        for other in others {
            let script = format!("exec 3<>/dev/tcp/{}/22; head -c 4 <&3", other.name());
            expect("its neighbour's sshd", node.run_ssh(&["bash", "-c", &script])?, "SSH-".into())?;
        }
    }
    expect("machine ids", machines.len(), 3)?;
    let id = fleet.id().to_owned();
    let kinds: BTreeSet<&str> = traces(&id)?.iter().map(|(kind, _)| *kind).collect();
    expect("what is there", kinds, BTreeSet::from(["control group", "directory", "interface", "process"]))?;
    fleet.down()?;
    nothing_left(&id)
}

/// Services are managed for real: a failure shows, a restart is another process, the journal is there.
fn services(node: &Node) -> Outcome {
    let pid = || node.run_ssh(&["systemctl", "show", "-P", "MainPID", "ssh.service"]);
    let before = pid()?;
    node.run_ssh(&["systemctl", "restart", "ssh.service"])?;
    if before == pid()? {
        return Err("sshd was not restarted".into());
    }
    let journal = node.run_ssh(&["journalctl", "-u", "ssh.service", "-n", "20", "--no-pager"])?;
    if !journal.contains("Server listening") {
        return Err(format!("the journal says nothing of sshd:\n{journal}"));
    }
    let bus = ["busctl", "--system", "get-property", "org.freedesktop.systemd1", "/org/freedesktop/systemd1"];
    let words: Vec<&str> =
        bus.into_iter().chain(["org.freedesktop.systemd1.Manager", "SystemState"]).collect();
    expect("state on the bus", node.run_ssh(&words)?, "s \"running\"\n".into())
}

fn packages() -> Outcome {
    let fleet = Fleet::up(&Wish { nodes: 1, release: Release::Bookworm, packages: &["tree"] })?;
    let node = fleet.node()?;
    node.run_ssh(&["tree", "--version"])?;
    node.run_ssh(&["apt-get", "update", "-q"])?;
    let install = |package: &str| {
        let words = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", package];
        node.run_ssh(&words)
    };
    let version = || node.run_ssh(&["cat", "/usr/share/rectify-probe-pkg/version"]);
    install("rectify-probe-pkg=1.0")?;
    expect("first version", version()?, "1.0\n".into())?;
    install("rectify-probe-pkg")?;
    expect("second version", version()?, "1.1\n".into())?;
    install("rectify-probe-needs")?;
    install("rectify-probe-rival")?;
    let gone = node.ssh(&["test", "-e", "/usr/share/rectify-probe-pkg/version"]).status();
    expect("the rival's victim", gone.map_err(|e| e.to_string())?.code(), Some(1))?;
    install("rectify-probe-held=1.0")?;
    node.run_ssh(&["apt-mark", "hold", "rectify-probe-held"])?;
    let kept = node.run_ssh(&["apt-get", "upgrade", "-s", "-q"])?;
    if !kept.contains("kept back") {
        return Err(format!("a held package is not kept back:\n{kept}"));
    }
    let broken = install("rectify-probe-broken").err().ok_or("a package that cannot be installed was")?;
    if !broken.contains("this is meant to fail") {
        return Err(format!("it failed for another reason:\n{broken}"));
    }
    let id = fleet.id().to_owned();
    drop(fleet);
    nothing_left(&id)
}

/// An interface of our name that we did not make is not removed.
fn foreign() -> Outcome {
    let place = Place::of_user()?;
    let network = Network::of("zz00", 0, &place.running().join("zz00"));
    let bridge = network.bridge();
    let ip = |words: &[&str]| {
        let mut command = Command::new("ip");
        command.args(words);
        crate::run::run(command)
    };
    ip(&["link", "add", "name", &bridge, "type", "bridge"])?;
    let refused = network.end();
    ip(&["link", "delete", "dev", &bridge])?;
    match refused {
        Err(e) if e.contains("was not made by this fleet") => Ok(()),
        other => Err(format!("ended a foreign interface: {other:?}")),
    }
}

/// What [`killed`] kills.
pub fn victim() -> Outcome {
    let fleet = Fleet::up(&Wish { nodes: 1, release: Release::Bookworm, packages: &[] })?;
    println!("{}", fleet.id());
    loop {
        std::thread::sleep(PATIENCE);
    }
}

struct Victim {
    child: Child,
    id: String,
}

/// One that a failed test leaves would stay for ever.
impl Drop for Victim {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Victim {
    fn start() -> Result<Self, String> {
        let child = Command::new("/proc/self/exe")
            .args(["fleet", "selftest-victim"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start this program again: {e}"))?;
        Ok(Self { child, id: String::new() })
    }

    /// Waits until its fleet is up.
    fn up(&mut self) -> Outcome {
        let stdout = self.child.stdout.take().ok_or("no output")?;
        BufReader::new(stdout).read_line(&mut self.id).map_err(|e| e.to_string())?;
        self.id = self.id.trim().to_owned();
        if self.id.is_empty() { Err("no fleet came up".into()) } else { Ok(()) }
    }

    fn end(&mut self, signal: Signal) -> Outcome {
        let pid = i32::try_from(self.child.id()).map_err(|e| e.to_string())?;
        kill(Pid::from_raw(pid), signal).map_err(|e| e.to_string())?;
        self.child.wait().map(drop).map_err(|e| e.to_string())
    }

    /// The process that guards its fleet.
    fn guard(&self) -> Result<i32, String> {
        let directory = Place::of_user()?.running().join(&self.id);
        let ending = format!("\0guard\0{}\0", directory.display());
        let found = processes().find(|pid| {
            fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(ending.as_bytes()))
        });
        found.ok_or_else(|| "the fleet has no guard".into())
    }
}

fn killed() -> Outcome {
    let signals = [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL];
    let mut victims = Vec::new();
    for _ in signals {
        victims.push(Victim::start()?);
    }
    for victim in &mut victims {
        victim.up()?;
    }
    let (last, guarded) = victims.split_last_mut().ok_or("no victims")?;
    for (victim, signal) in guarded.iter_mut().zip(signals) {
        victim.end(signal)?;
    }
    // The last one loses its guard first, as when everything is killed at once.
    kill(Pid::from_raw(last.guard()?), Signal::SIGKILL).map_err(|e| e.to_string())?;
    last.end(Signal::SIGKILL)?;
    for victim in guarded.iter() {
        nothing_left(&victim.id)?;
    }
    if traces(&last.id)?.is_empty() {
        return Err("a fleet without a guard ended by itself, so nothing was shown".into());
    }
    life::clear(&Place::of_user()?)?;
    nothing_left(&last.id)
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// What is there of a fleet: the kind of thing, and which.
fn traces(id: &str) -> Result<Vec<(&'static str, String)>, String> {
    let mut found = Vec::new();
    let directory = Place::of_user()?.running().join(id);
    if directory.exists() {
        found.push(("directory", directory.display().to_string()));
    }
    if Group::of(id)?.exists() {
        found.push(("control group", id.to_owned()));
    }
    let mark = format!("rf{id}");
    let names = |directory: &str| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    for name in names("/sys/class/net") {
        if name.contains(&mark) {
            found.push(("interface", name));
        }
    }
    for name in
        ["propagate", "unix-export", "locks"].iter().flat_map(|n| names(&format!("/run/systemd/nspawn/{n}")))
    {
        if name.contains(&mark) {
            found.push(("file of nspawn", name));
        }
    }
    for point in mounts::below(&directory)? {
        found.push(("mount", point.display().to_string()));
    }
    let group = format!("/rectify-fleet-{id}/");
    for pid in processes() {
        if fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(&group)) {
            found.push(("process", pid.to_string()));
        }
    }
    Ok(found)
}

/// Waits until nothing is left of a fleet.
fn nothing_left(id: &str) -> Outcome {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = traces(id)?;
        if found.is_empty() {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("left of fleet {id}: {found:?}"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
