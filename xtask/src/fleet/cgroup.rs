//! A control group of our own for each fleet. It is the mark on its processes: they cannot leave it, and
//! the kernel ends all of them at once.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long the kernel may take to end killed processes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The control group of one fleet.
#[derive(Clone, Debug)]
pub struct Group(PathBuf);

/// Where the second hierarchy of control groups is mounted.
fn mounted() -> Result<PathBuf, String> {
    let mounts = crate::run::read(Path::new("/proc/self/mountinfo"))?;
    let found = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after.starts_with("cgroup2 ").then(|| before.split(' ').nth(4))?
    });
    found.map(PathBuf::from).ok_or_else(|| "no control groups of version 2 are mounted here".into())
}

impl Group {
    /// The one of a fleet, whether it exists or not.
    pub fn of(id: &str) -> Result<Self, String> {
        Ok(Self(mounted()?.join(format!("rectify-fleet-{id}"))))
    }

    /// Whether it exists.
    pub fn exists(&self) -> bool {
        self.0.is_dir()
    }

    /// Makes a group in it; what is there already stays.
    pub fn node(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.0.join(name);
        fs::create_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(path)
    }

    /// The first process of a node's own process namespace, by its number here.
    pub fn leader(&self, name: &str) -> Option<i32> {
        let mut open = vec![self.0.join(name)];
        while let Some(directory) = open.pop() {
            let processes = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            let leader = processes.lines().filter_map(|line| line.parse().ok()).find(|pid| is_first(*pid));
            if leader.is_some() {
                return leader;
            }
            open.extend(children(&directory));
        }
        None
    }

    /// Ends every process of it, and removes it.
    pub fn end(&self) -> Result<(), String> {
        let path = &self.0;
        let told = |e: &io::Error| format!("{}: {e}", path.display());
        if !path.is_dir() {
            return Ok(());
        }
        fs::write(path.join("cgroup.kill"), "1")
            .map_err(|e| format!("{}: {e}; Linux 5.14 or later is needed", path.display()))?;
        let end = Instant::now() + PATIENCE;
        loop {
            match remove(path) {
                Ok(()) => return Ok(()),
                // Somebody of it is still dying.
                Err(e) if e.kind() == io::ErrorKind::ResourceBusy && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(e) => return Err(told(&e)),
            }
        }
    }
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn remove(directory: &Path) -> io::Result<()> {
    for child in children(directory) {
        remove(&child)?;
    }
    match fs::remove_dir(directory) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether a process is the first one of a process namespace other than ours.
fn is_first(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    numbers.len() > 1 && numbers.last() == Some(&"1")
}
