//! Systems that nodes are made from: a Debian base of each release, and layers of packages over it.
//! Both are made once, under the digest of what they are made of, and never booted themselves.

use super::{mirror, place::Place};
use crate::run::{Outcome, write};
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fmt, fs,
    io::{ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A release of Debian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Debian 11.
    Bullseye,
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
}

impl Release {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bullseye, Self::Bookworm, Self::Trixie];

    /// By its name.
    pub fn read(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|release| release.to_string() == name).ok_or_else(|| {
            let names = Self::ALL.map(|release| release.to_string());
            format!("no release `{name}` is known here; there are {}", names.join(", "))
        })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bullseye => "bullseye",
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        })
    }
}

/// Packages of every base, beside those that a minimal system has.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,openssh-server,procps,iproute2";
/// Units that need a network, or run at times of their own.
const MASKED: &[&str] = &[
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "motd-news.timer",
    "systemd-timesyncd.service",
];
/// Raised when a base is finished in another way.
const RECIPE: u32 = 1;

/// Installs packages from within a system; the arguments are their names.
const INSTALL: &str = "\
set -eu
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get update -q
apt-get install -y -q --no-install-recommends -- \"$@\"
rm /usr/sbin/policy-rc.d
apt-get clean
rm -rf /var/lib/apt/lists
";

fn short(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes()).update(b"\n");
    }
    hasher.finalize().to_hex().chars().take(16).collect()
}

fn name_of(release: Release) -> String {
    let recipe = RECIPE.to_string();
    format!("{release}-{}", short(&[&recipe, PACKAGES, &MASKED.join(",")]))
}

fn name_with(base: &str, packages: &BTreeSet<&str>) -> String {
    let mut parts = vec![INSTALL];
    parts.extend(packages.iter());
    format!("{base}+{}", short(&parts))
}

/// Directories for an overlay mount, uppermost first, that together are the system wished for. What is
/// missing in the cache is made, which needs the mirror.
pub fn layers(place: &Place, release: Release, packages: &BTreeSet<&str>) -> Result<Vec<PathBuf>, String> {
    let name = name_of(release);
    let base = cached(place, &name, &|part| debootstrap(release, part))?;
    if packages.is_empty() {
        return Ok(vec![base]);
    }
    if let Some(wrong) = packages.iter().find(|package| !is_package(package)) {
        return Err(format!("`{wrong}` cannot be the name of a package"));
    }
    let name = name_with(&name, packages);
    let layer = cached(place, &name, &|part| install(&base, packages, part))?;
    Ok(vec![layer, base])
}

fn is_package(name: &str) -> bool {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(rest)
}

/// A directory of the cache, filled under another name first, so that it is there whole or not at all.
fn cached(place: &Place, name: &str, fill: &dyn Fn(&Path) -> Outcome) -> Result<PathBuf, String> {
    let path = place.bases().join(name);
    if path.is_dir() {
        return Ok(path);
    }
    let _lock = place.lock(name)?;
    if path.is_dir() {
        return Ok(path);
    }
    let part = place.bases().join(format!("{name}.part"));
    let told = |e: std::io::Error| format!("{}: {e}", part.display());
    match fs::remove_dir_all(&part) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(told(e)),
        _ => {}
    }
    fs::create_dir(&part).map_err(told)?;
    if let Err(e) = fill(&part) {
        drop(fs::remove_dir_all(&part));
        return Err(e);
    }
    fs::rename(&part, &path).map_err(told)?;
    Ok(path)
}

/// Runs a command that fills a directory, in namespaces that end with it and with us; what it prints is
/// shown only if it fails.
fn contained(part: &Path, words: &[&OsStr]) -> Outcome {
    let log = part.with_extension("log");
    let told = |e: std::io::Error| format!("{}: {e}", log.display());
    let mut file =
        fs::File::options().create(true).truncate(true).read(true).write(true).open(&log).map_err(told)?;
    let status = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid"])
        .args(["--fork", "--kill-child", "--mount-proc", "--"])
        .args(words)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(file.try_clone().map_err(told)?)
        .stderr(file.try_clone().map_err(told)?)
        .status()
        .map_err(|e| format!("cannot start setpriv: {e}"))?;
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut text)).map_err(told)?;
    drop(fs::remove_file(&log));
    if status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n");
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    Err(format!("`{}` ended with {status}:\n{last}", words.join(" ")))
}

fn debootstrap(release: Release, part: &Path) -> Outcome {
    let mirror = mirror::of_machine()?;
    eprintln!("fleet: making the base of {release}, once");
    let include = format!("--include={PACKAGES}");
    let release = release.to_string();
    let words = ["debootstrap", "--variant=minbase", &include, &release];
    let mut words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    words.extend([part.as_os_str(), mirror.as_ref()]);
    contained(part, &words)?;
    finish(part)
}

/// Takes out what every node must have of its own, and what would run by itself.
fn finish(part: &Path) -> Outcome {
    write(&part.join("etc/machine-id"), "")?;
    let told = |e: std::io::Error| format!("{}: {e}", part.display());
    for name in ["etc/hostname", "etc/resolv.conf", "var/lib/dbus/machine-id"] {
        drop(fs::remove_file(part.join(name)));
    }
    for entry in fs::read_dir(part.join("etc/ssh")).map_err(told)? {
        let path = entry.map_err(told)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ssh_host_")) {
            fs::remove_file(path).map_err(told)?;
        }
    }
    for unit in MASKED {
        let path = part.join("etc/systemd/system").join(unit);
        drop(fs::remove_file(&path));
        symlink("/dev/null", &path).map_err(told)?;
    }
    for directory in ["var/cache/apt", "var/lib/apt/lists"] {
        drop(fs::remove_dir_all(part.join(directory)));
    }
    Ok(())
}

/// Fills a layer: this program again, in a mount namespace where the layer is a whole system.
fn install(base: &Path, packages: &BTreeSet<&str>, part: &Path) -> Outcome {
    let packages: Vec<&str> = packages.iter().copied().collect();
    eprintln!("fleet: making the layer of {}, once", packages.join(", "));
    let work = part.with_extension("work");
    let told = |e: std::io::Error| format!("{}: {e}", work.display());
    drop(fs::remove_dir_all(&work));
    for name in ["work", "root"] {
        fs::create_dir_all(work.join(name)).map_err(told)?;
    }
    let program = std::env::current_exe().map_err(told)?;
    let mut words: Vec<&OsStr> = vec![program.as_os_str()];
    words.extend(["fleet", "install"].map(OsStr::new));
    words.extend([base.as_os_str(), part.as_os_str(), work.as_os_str()]);
    words.extend(packages.iter().map(OsStr::new));
    let result = contained(part, &words);
    drop(fs::remove_dir_all(&work));
    result
}

/// What [`install`] runs in namespaces of its own. Does not return where all is well.
pub fn install_inside(base: &Path, upper: &Path, work: &Path, packages: &[&str]) -> Outcome {
    use nix::mount::{MsFlags, mount};
    use std::os::unix::process::CommandExt;
    let root = work.join("root");
    crate::mounts::overlay(&[base], upper, &work.join("work"), &root)?;
    let told = |e: nix::Error| format!("{}: {e}", root.display());
    mount(Some("proc"), &root.join("proc"), Some("proc"), MsFlags::empty(), None::<&str>).map_err(told)?;
    // Names are looked up as on this machine; none of that stays in the layer.
    let names = work.join("names");
    drop(fs::copy("/etc/resolv.conf", &names));
    let seen = root.join("etc/resolv.conf");
    write(&seen, "")?;
    mount(Some(&names), &seen, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(told)?;
    let script = format!("{INSTALL}umount /etc/resolv.conf\nrm /etc/resolv.conf\n");
    let error = Command::new("chroot")
        .arg(&root)
        .args(["/bin/sh", "-c", &script, "sh"])
        .args(packages)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .exec();
    Err(format!("cannot start chroot: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{Release, cached, is_package, name_of, name_with};
    use crate::fleet::place::Place;
    use std::{collections::BTreeSet, fs};

    #[test]
    fn names_say_what_a_directory_was_made_of() {
        let base = name_of(Release::Bookworm);
        assert!(base.starts_with("bookworm-") && base.len() == "bookworm-".len() + 16, "{base}");
        let with = |packages: &[&str]| name_with(&base, &packages.iter().copied().collect());
        assert_eq!(with(&["nginx", "cron"]), with(&["cron", "nginx"]));
        assert_ne!(with(&["nginx"]), with(&["cron", "nginx"]));
        assert!(is_package("libc6") && is_package("g++"));
        for wrong in ["", "-y", "a b", "../x", "A", "a;b"] {
            assert!(!is_package(wrong), "{wrong}");
        }
        assert!(Release::read("bookworm") == Ok(Release::Bookworm) && Release::read("sid").is_err());
        assert_eq!(with(&[]), name_with(&base, &BTreeSet::new()));
    }

    #[test]
    fn a_directory_is_in_the_cache_whole_or_not_at_all() -> Result<(), String> {
        let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
        let place = Place::at(scratch.path())?;
        let names = || -> Vec<_> {
            let entries = fs::read_dir(place.bases()).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name()).collect()
        };
        let half = cached(&place, "x", &|part| {
            crate::run::write(&part.join("half"), "")?;
            Err("broke off".into())
        });
        assert_eq!((half, names().len()), (Err("broke off".into()), 0));
        // What a killed process left behind.
        crate::run::write(&place.bases().join("x.part/half"), "")?;
        let whole = cached(&place, "x", &|part| crate::run::write(&part.join("whole"), ""))?;
        assert!(whole.join("whole").exists() && !whole.join("half").exists());
        let again = cached(&place, "x", &|_| Err("made twice".into()))?;
        assert_eq!((again, names().len()), (whole, 1));
        Ok(())
    }
}
