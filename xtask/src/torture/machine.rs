//! A whole machine to change: this one, under an overlay that takes every change, with a network of its
//! own and so with the kernel's settings for it. Its processes are ordinary ones of this machine.
//! Mounts are made in a mount namespace that ends with this process; see [`possible`].

use crate::{
    mounts,
    run::{Outcome, output, root},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Directories of this machine that are seen in it as they are.
const SHARED: [&str; 3] = ["/proc", "/sys", "/dev"];
/// Settings that belong to a network.
const SETTINGS: &str = "proc/sys/net/ipv4";
/// Those that are changed here.
pub const CHANGED: [&str; 8] = [
    "ip_forward",
    "ip_default_ttl",
    "tcp_keepalive_time",
    "tcp_fin_timeout",
    "tcp_syncookies",
    "tcp_keepalive_probes",
    "tcp_keepalive_intvl",
    "tcp_retries2",
];

/// A machine. It is gone with this value, and what changed in it with the directory of its changes.
pub struct Machine {
    /// What belongs to the mounts: `root`, `work`, and `network`.
    directory: PathBuf,
}

/// Parts this process from the mounts of the machine, once; or says why that cannot be done. It counts for the
/// thread that asks first and for those that it starts later.
///
/// # Errors
/// Where somebody is not root, or root may not mount.
pub fn possible() -> Outcome {
    static PARTED: OnceLock<Outcome> = OnceLock::new();
    PARTED
        .get_or_init(|| {
            if !nix::unistd::geteuid().is_root() {
                return Err("only root can make machines to be changed".into());
            }
            mounts::part()
        })
        .clone()
}

impl Machine {
    /// Begins one whose changes are kept in `upper`, which may hold some. `beside` names no file yet, lies
    /// on the same file system, and is removed at the end.
    pub fn over(upper: &Path, beside: &Path) -> Result<Self, String> {
        possible()?;
        let machine = Self { directory: beside.into() };
        let told = |e: std::io::Error| format!("{}: {e}", beside.display());
        for directory in [upper.to_owned(), beside.join("work"), machine.root()] {
            fs::create_dir_all(directory).map_err(told)?;
        }
        mounts::overlay(&[Path::new("/")], upper, &beside.join("work"), &machine.root())?;
        for path in SHARED {
            mounts::shared(Path::new(path), &machine.below(path))?;
        }
        mounts::memory(&machine.below("/dev/shm"))?;
        fs::write(machine.network(), "").map_err(told)?;
        let mut command = Command::new("unshare");
        command.arg(format!("--net={}", machine.network().display())).arg("true");
        output(command)?;
        Ok(machine)
    }

    /// Shows it a directory of this machine as it is, and at the same path.
    pub fn sees(&self, directory: &Path) -> Outcome {
        let seen = self.below(directory);
        fs::create_dir_all(&seen).map_err(|e| format!("{}: {e}", seen.display()))?;
        mounts::shared(directory, &seen)
    }

    /// Its root directory, as seen from here.
    pub fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    fn network(&self) -> PathBuf {
        self.directory.join("network")
    }

    /// Where a path of it is seen from here.
    pub fn below(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root().join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A command in it. `nsenter` becomes the program without a process of its own, so that who ends this process
    /// ends the program.
    pub fn command(&self, directory: &Path, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.network().display()))
            .arg(format!("--root={}", self.root().display()))
            // It is opened before the root changes, and entered afterwards.
            .arg(format!("--wd={}", self.below(directory).display()))
            .arg("--")
            .arg(program);
        command
    }

    /// Runs a script in it, and gives what it printed.
    pub fn shell(&self, script: &str) -> Result<String, String> {
        let mut command = self.command(Path::new("/"), Path::new("/bin/sh"));
        command.args(["-euc", script]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive");
        Ok(String::from_utf8_lossy(&output(command)?).into_owned())
    }

    /// Copies a directory of this machine into it.
    pub fn put(&self, local: &Path, at: &str) -> Outcome {
        let mut command = Command::new("cp");
        command.arg("-a").arg("--").arg(local).arg(self.below(at)).current_dir(root());
        crate::run::run(command)
    }

    /// The settings of its network, a line each.
    pub fn settings(&self) -> Result<String, String> {
        let script =
            format!("cd /{SETTINGS}; for s in {}; do echo \"$s $(cat $s)\"; done", CHANGED.join(" "));
        self.shell(&script)
    }

    /// Makes the settings of its network those of another: they are in no file.
    pub fn set_as(&self, other: &Self) -> Outcome {
        let lines = other.settings()?;
        let set = |line: &str| line.split_once(' ').map(|(name, value)| format!("echo {value} >{name}\n"));
        let script: String = lines.lines().filter_map(set).collect();
        self.shell(&format!("cd /{SETTINGS}\n{script}")).map(drop)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if mounts::end(&self.directory).is_ok() {
            drop(fs::remove_dir_all(&self.directory));
        }
    }
}
