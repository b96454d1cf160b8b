//! How fleets come up and end, whatever happens to whoever made them.
//!
//! A fleet is written down before anything of it is made, and everything that is made carries its id: a
//! control group, a bridge, a directory. So it can be ended by anybody, and nothing else is touched. One
//! that was made for a process has a guard: another process, which ends it when the first one is gone.

use super::{
    base::{self, Release},
    cgroup::Group,
    keys,
    network::{self, Network},
    node::Node,
    place::Place,
    record::{Owner, Record},
    repository,
};
use crate::{
    mounts,
    random::{Random, fresh_seed},
    run::Outcome,
};
use std::{
    collections::BTreeSet,
    fs,
    io::{ErrorKind, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Most nodes of a fleet.
pub const NODES_MAX: u8 = 50;
/// How often an id is tried that somebody else might have.
const TRIES: usize = 50;
/// Held by whoever makes or ends fleets.
const LOCK: &str = "fleets";

/// What a fleet is to be.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// How many nodes.
    pub nodes: u8,
    /// Their release.
    pub release: Release,
    /// Packages that they have beside those of every base.
    pub packages: &'a [&'a str],
}

/// A fleet that ends with this value, or with this process.
#[derive(Debug)]
pub struct Fleet {
    place: Place,
    record: Record,
    nodes: Vec<Node>,
    /// Those who run the nodes.
    children: Vec<Child>,
    /// Ends the fleet when its input is closed, which also happens when we are killed.
    guard: Option<Child>,
    /// Whether it is still to be ended.
    due: bool,
}

impl Fleet {
    /// Makes a fleet and waits until it is up. What others left behind is cleared first.
    pub fn up(wish: &Wish<'_>) -> Result<Self, String> {
        ready()?;
        if !(1..=NODES_MAX).contains(&wish.nodes) {
            return Err(format!("a fleet has 1 to {NODES_MAX} nodes"));
        }
        let place = Place::of_user()?;
        clear(&place)?;
        let packages: BTreeSet<&str> = wish.packages.iter().copied().collect();
        let layers = base::layers(&place, wish.release, &packages)?;
        let repository = repository::build(&place)?;
        let mut record = begin(&place, wish)?;
        record.layers = layers;
        record.repository = repository;
        let directory = place.running().join(&record.id);
        // From here on its end is due, also where something fails.
        let (nodes, children) = (Vec::new(), Vec::new());
        let mut fleet = Self { place, record, nodes, children, guard: None, due: true };
        fleet.guard = Some(guard_of(&directory)?);
        fleet.make(&directory)?;
        Ok(fleet)
    }

    fn make(&mut self, directory: &Path) -> Outcome {
        self.record.write(directory)?;
        let network = Network::of(&self.record.id, self.record.subnet, directory);
        network.make()?;
        self.nodes = Node::all(directory, &self.record)?;
        for node in &self.nodes {
            let path = directory.join(node.name());
            fs::create_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        keys::make(directory, &self.record, &network)?;
        for node in &self.nodes {
            node.prepare(&self.nodes)?;
            self.children.push(node.start()?);
        }
        for ((node, child), number) in self.nodes.iter().zip(&mut self.children).zip(1..) {
            node.settle(child, &network, number)?;
        }
        Ok(())
    }

    /// Its nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Its first node.
    pub fn node(&self) -> Result<&Node, String> {
        self.nodes.first().ok_or_else(|| "the fleet has no node".into())
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// Ends it, and says what went wrong.
    pub fn down(mut self) -> Outcome {
        self.end()
    }

    /// Leaves it running when this process ends.
    pub fn keep(mut self) -> Outcome {
        self.record.owner = None;
        self.record.write(&self.place.running().join(&self.record.id))?;
        self.due = false;
        self.dismiss_guard();
        Ok(())
    }

    fn dismiss_guard(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            drop(guard.wait());
        }
    }

    fn end(&mut self) -> Outcome {
        self.due = false;
        let result = self.place.lock(LOCK).and_then(|_lock| end(&self.place, &self.record.id));
        for child in &mut self.children {
            drop(child.wait());
        }
        self.children.clear();
        self.dismiss_guard();
        result
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if self.due
            && let Err(e) = self.end()
        {
            eprintln!("fleet {}: {e}", self.record.id);
        }
    }
}

/// Programs that are needed, and the Debian package of each.
const PROGRAMS: &[(&str, &str)] = &[
    ("debootstrap", "debootstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("ssh-keygen", "openssh-client"),
    ("dpkg-deb", "dpkg"),
];

/// Whether hosts can be made here at all.
pub fn ready() -> Outcome {
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(name, _)| !crate::run::has(name)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        return Err(format!("missing Debian packages: {0}; apt-get install {0}", missing.join(" ")));
    }
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err("only root can make hosts".into()) }
}

/// Finds an id that is free, and writes the fleet down.
fn begin(place: &Place, wish: &Wish<'_>) -> Result<Record, String> {
    let _lock = place.lock(LOCK)?;
    let mut random = Random::new(fresh_seed() ^ u64::from(std::process::id()));
    for _ in 0..TRIES {
        let id = format!("{:04x}", random.below(0x1_0000));
        let subnet = u8::try_from(random.below(256)).unwrap_or(0);
        let directory = place.running().join(&id);
        if Group::of(&id)?.exists() || !Network::of(&id, subnet, &directory).is_free()? {
            continue;
        }
        match fs::create_dir(&directory) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(format!("{}: {e}", directory.display())),
            Ok(()) => {}
        }
        let record = Record::new(id, subnet, wish.release.to_string(), wish.nodes)?;
        record.write(&directory)?;
        return Ok(record);
    }
    Err("no id and network could be found that nobody uses".into())
}

fn guard_of(directory: &Path) -> Result<Child, String> {
    Command::new("/proc/self/exe")
        .args(["fleet", "guard"])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        // What is typed at a terminal is not for it.
        .process_group(0)
        .spawn()
        .map_err(|e| format!("cannot start this program again: {e}"))
}

/// What a guard runs: waits for the end of its parent, then ends the fleet, if that is still due.
pub fn guard(directory: &Path) -> Outcome {
    let owner = Record::read(directory)?.owner;
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
    let place = Place::of_user()?;
    let _lock = place.lock(LOCK)?;
    match Record::read(directory) {
        Ok(record) if record.owner.is_some() && record.owner == owner => end(&place, &record.id),
        // It was ended, or is meant to stay.
        _ => Ok(()),
    }
}

/// An id, and the record that is found for it.
pub type Found = (String, Result<Record, String>);

/// All fleets of this user, by id; an error where a directory is not one.
pub fn all(place: &Place) -> Result<Vec<Found>, String> {
    let running = place.running();
    let mut ids: BTreeSet<String> = network::marked(&running).into_iter().collect();
    for entry in fs::read_dir(&running).map_err(|e| format!("{}: {e}", running.display()))? {
        let entry = entry.map_err(|e| e.to_string())?;
        ids.insert(entry.file_name().to_string_lossy().into_owned());
    }
    Ok(ids.into_iter().map(|id| (id.clone(), Record::read(&running.join(id)))).collect())
}

/// Ends fleets whose makers are gone.
pub fn clear(place: &Place) -> Outcome {
    let _lock = place.lock(LOCK)?;
    for (id, record) in all(place)? {
        let left_over = match &record {
            Ok(record) => record.is_left_over(),
            // Its directory is gone, but not its network.
            Err(_) => !place.running().join(&id).exists(),
        };
        if left_over {
            eprintln!("fleet {id}: left over, is ended");
            end(place, &id)?;
        }
    }
    Ok(())
}

/// What became of fleets that were to end.
#[derive(Debug, Default)]
pub struct Ended {
    /// Ids of those that ended.
    pub ended: Vec<String>,
    /// Those that stay, and why.
    pub kept: Vec<String>,
}

/// Ends one fleet, or all that no process works with.
pub fn down(id: Option<&str>) -> Result<Ended, String> {
    let place = Place::of_user()?;
    let _lock = place.lock(LOCK)?;
    let mut told = Ended::default();
    for (found, record) in all(&place)? {
        if id.is_some_and(|id| id != found) {
            continue;
        }
        let in_use = record.is_ok_and(|record| record.owner.is_some_and(Owner::lives));
        if in_use && id.is_none() {
            told.kept.push(format!("{found}: a process works with it; name it to end it nevertheless"));
            continue;
        }
        end(&place, &found)?;
        told.ended.push(found);
    }
    match id {
        Some(id) if told.ended.is_empty() => Err(format!("there is no fleet {id}")),
        _ => Ok(told),
    }
}

/// Ends one fleet: its processes, its mounts, its network, its directory.
fn end(place: &Place, id: &str) -> Outcome {
    let directory: PathBuf = place.running().join(id);
    let is_id = id.len() == 4 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let record = Record::read(&directory);
    let subnet = record.as_ref().map_or(0, |record| record.subnet);
    let network = Network::of(id, subnet, &directory);
    if !is_id || (record.is_err() && !network.is_ours()) {
        return Err(format!("{} was not made by this program, and is not touched", directory.display()));
    }
    Group::of(id)?.end()?;
    mounts::end(&directory)?;
    network.end()?;
    remove(&directory)
}

/// Removes a directory, also what a node made immutable in it.
fn remove(directory: &Path) -> Outcome {
    let told = |e: std::io::Error| format!("{}: {e}", directory.display());
    match fs::remove_dir_all(directory) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            let mut command = Command::new("chattr");
            command.args(["-R", "-f", "-ia", "--"]).arg(directory).stdin(Stdio::null());
            // What it cannot change is seen below.
            drop(command.status());
            fs::remove_dir_all(directory).map_err(told)
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(told),
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, all, end};
    use std::fs;

    #[test]
    fn what_was_not_made_here_is_not_touched() -> Result<(), String> {
        let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
        let place = Place::at(scratch.path())?;
        let theirs = place.running().join("12ab");
        crate::run::write(&theirs.join("kept"), "theirs")?;
        for id in ["12ab", "..", "zzzz", "12abc"] {
            let refused = end(&place, id);
            assert!(refused.as_ref().is_err_and(|e| e.contains("not touched")), "{id}: {refused:?}");
        }
        assert!(theirs.join("kept").exists());
        let found = all(&place)?;
        assert!(matches!(found.as_slice(), [(id, Err(_))] if id == "12ab"), "{found:?}");
        // A record of another fleet does not make it ours either.
        let record = super::Record::new("34cd".into(), 1, "bookworm".into(), 1)?;
        record.write(&theirs)?;
        assert!(end(&place, "12ab").is_err());
        fs::rename(&theirs, place.running().join("34cd")).map_err(|e| e.to_string())?;
        Ok(())
    }
}
