//! A small package repository of made-up packages, so that apt can install, upgrade, hold and fail
//! without a network. The same sources give the same files.

use super::place::Place;
use crate::run::{Outcome, output, run, write};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A package: its name, version, further control fields, and a script that is run before unpacking
/// (`preinst`) or after it (`postinst`).
struct Package {
    name: &'static str,
    version: &'static str,
    fields: &'static str,
    script: Option<(&'static str, &'static str)>,
}

const fn package(name: &'static str, version: &'static str, fields: &'static str) -> Package {
    Package { name, version, fields, script: None }
}

/// What is in it. `rectify-probe-pkg` has two versions; the others are about it.
const PACKAGES: &[Package] = &[
    package("rectify-probe-pkg", "1.0", ""),
    package("rectify-probe-pkg", "1.1", ""),
    // Goes only without it.
    package("rectify-probe-rival", "1.0", "Conflicts: rectify-probe-pkg\n"),
    // Comes only with it, and only with the later one.
    package("rectify-probe-needs", "1.0", "Depends: rectify-probe-pkg (>= 1.1)\n"),
    // Comes with it, too.
    package("rectify-probe-also", "1.0", "Depends: rectify-probe-pkg\n"),
    // Pins it to the earlier one.
    package("rectify-probe-old", "1.0", "Depends: rectify-probe-pkg (= 1.0)\n"),
    // For what is held back.
    package("rectify-probe-held", "1.0", ""),
    package("rectify-probe-held", "1.1", ""),
    // Nothing to do with one another.
    package("rectify-probe-n0", "1.0", ""),
    package("rectify-probe-n0", "1.1", ""),
    package("rectify-probe-n1", "1.0", ""),
    package("rectify-probe-n1", "1.1", ""),
    package("rectify-probe-n2", "1.0", ""),
    package("rectify-probe-n2", "1.1", ""),
    package("rectify-probe-n3", "1.0", ""),
    package("rectify-probe-n3", "1.1", ""),
    package("rectify-probe-n4", "1.0", ""),
    package("rectify-probe-n4", "1.1", ""),
    package("rectify-probe-n5", "1.0", ""),
    package("rectify-probe-n5", "1.1", ""),
    package("rectify-probe-n6", "1.0", ""),
    package("rectify-probe-n6", "1.1", ""),
    package("rectify-probe-n7", "1.0", ""),
    package("rectify-probe-n7", "1.1", ""),
    // Takes a minute to install, or as many seconds as a file says.
    Package {
        name: "rectify-probe-slow",
        version: "1.0",
        fields: "",
        script: Some((
            "postinst",
            "#!/bin/sh\nexec sleep \"$(cat /run/rectify-probe-slow 2>/dev/null || echo 60)\"\n",
        )),
    },
    // Cannot be installed to the end.
    Package {
        name: "rectify-probe-broken",
        version: "1.0",
        fields: "",
        script: Some((
            "postinst",
            "#!/bin/sh\necho 'rectify-probe-broken: this is meant to fail' >&2\nexit 3\n",
        )),
    },
    // Cannot be unpacked.
    Package {
        name: "rectify-probe-refuses",
        version: "1.0",
        fields: "",
        script: Some((
            "preinst",
            "#!/bin/sh\necho 'rectify-probe-refuses: this is meant to fail' >&2\nexit 3\n",
        )),
    },
];

/// Raised when packages are made in another way.
const RECIPE: &str = "2";
/// Time of everything in packages, in seconds since 1970.
const EPOCH: &str = "1700000000";

/// Builds the repository, if it is not there yet, and gives its directory.
pub fn build(place: &Place) -> Result<PathBuf, String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(RECIPE.as_bytes());
    for package in PACKAGES {
        let (when, script) = package.script.unwrap_or_default();
        for part in [package.name, package.version, package.fields, when, script] {
            hasher.update(part.as_bytes()).update(b"\0");
        }
    }
    let name: String = hasher.finalize().to_hex().chars().take(16).collect();
    let path = place.repositories().join(&name);
    let _lock = place.lock(&format!("repository-{name}"))?;
    if path.is_dir() {
        return Ok(path);
    }
    let part = place.repositories().join(format!("{name}.part"));
    let told = |e: std::io::Error| format!("{}: {e}", part.display());
    drop(fs::remove_dir_all(&part));
    fs::create_dir(&part).map_err(told)?;
    fill(&part)?;
    fs::rename(&part, &path).map_err(told)?;
    Ok(path)
}

/// Writes packages and their index into a directory.
fn fill(directory: &Path) -> Outcome {
    let mut index = String::new();
    for package in PACKAGES {
        let control = package.build(directory)?;
        let file = package.file();
        let path = directory.join(&file);
        let size = fs::metadata(&path).map_err(|e| format!("{}: {e}", path.display()))?.len();
        let digest = sha256(&path)?;
        index.push_str(&format!("{control}Filename: ./{file}\nSize: {size}\nSHA256: {digest}\n\n"));
    }
    let packages = directory.join("Packages");
    write(&packages, &index)?;
    let release = format!(
        "Origin: rectify\nLabel: rectify\nSuite: probe\nCodename: probe\nArchitectures: all amd64 arm64\n\
         Date: Tue, 14 Nov 2023 22:13:20 +0000\nSHA256:\n {} {} Packages\n",
        sha256(&packages)?,
        index.len()
    );
    write(&directory.join("Release"), &release)
}

fn sha256(path: &Path) -> Result<String, String> {
    let mut command = Command::new("sha256sum");
    command.arg("--").arg(path);
    let text = output(command)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    text.split_whitespace().next().map(str::to_owned).ok_or_else(|| "sha256sum said nothing".into())
}

impl Package {
    fn file(&self) -> String {
        format!("{}_{}_all.deb", self.name, self.version)
    }

    /// Builds it into a directory, and gives its control file.
    fn build(&self, directory: &Path) -> Result<String, String> {
        let tree = directory.join(format!("{}-{}.tree", self.name, self.version));
        let control = format!(
            "Package: {}\nVersion: {}\nArchitecture: all\nMaintainer: Rectify <rectify@example.invalid>\n\
             Section: misc\nPriority: optional\n{}Description: made up, for tests\n",
            self.name, self.version, self.fields
        );
        write(&tree.join("DEBIAN/control"), &control)?;
        let version = format!("{}\n", self.version);
        write(&tree.join("usr/share").join(self.name).join("version"), &version)?;
        let configuration = format!("etc/{}.conf", self.name);
        write(&tree.join(&configuration), "# a configuration file that is the same in every version\n")?;
        write(&tree.join("DEBIAN/conffiles"), &format!("/{configuration}\n"))?;
        if let Some((when, script)) = self.script {
            write(&tree.join("DEBIAN").join(when), script)?;
        }
        settle(&tree, self.script.map(|(when, _)| when))?;
        let mut command = Command::new("dpkg-deb");
        command.args(["--root-owner-group", "-Zgzip", "--build"]).arg(&tree).arg(directory.join(self.file()));
        command.env("SOURCE_DATE_EPOCH", EPOCH).stdout(std::process::Stdio::null());
        run(command)?;
        fs::remove_dir_all(&tree).map_err(|e| format!("{}: {e}", tree.display()))?;
        Ok(control)
    }
}

/// Modes and times that depend on nobody's umask or clock.
fn settle(tree: &Path, script: Option<&str>) -> Outcome {
    let mut open = vec![tree.to_owned()];
    while let Some(path) = open.pop() {
        let told = |e: std::io::Error| format!("{}: {e}", path.display());
        let directory = path.is_dir();
        let executable =
            directory || script.is_some_and(|when| path.ends_with(Path::new("DEBIAN").join(when)));
        let mode = if executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(told)?;
        if directory {
            for entry in fs::read_dir(&path).map_err(told)? {
                open.push(entry.map_err(told)?.path());
            }
        }
    }
    let mut command = Command::new("find");
    command.arg(tree).args(["-exec", "touch", "--date", &format!("@{EPOCH}"), "{}", "+"]);
    run(command)
}

#[cfg(test)]
mod tests {
    use super::{PACKAGES, Place, build};
    use crate::run::read;
    use std::fs;

    #[test]
    fn it_is_built_the_same_every_time() -> Result<(), String> {
        let mut seen = Vec::new();
        for _ in 0..2 {
            let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
            let place = Place::at(scratch.path())?;
            let path = build(&place)?;
            assert_eq!(build(&place)?, path);
            let mut names: Vec<_> = fs::read_dir(&path)
                .map_err(|e| e.to_string())?
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            assert_eq!(names.len(), PACKAGES.len() + 2, "{names:?}");
            let index = read(&path.join("Packages"))?;
            assert_eq!(index.matches("\nSHA256: ").count(), PACKAGES.len());
            assert_eq!(index.matches("Package: rectify-probe-pkg\n").count(), 2);
            seen.push((names, index, read(&path.join("Release"))?));
        }
        assert_eq!(seen.first(), seen.last());
        Ok(())
    }
}
