//! What a directory holds, to the last byte: paths, kinds, modes, owners, contents, where links lead.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    kind: Kind,
    mode: u32,
    uid: u32,
    gid: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    File {
        digest: String,
    },
    Directory,
    Link {
        target: PathBuf,
    },
    Other,
    /// No path, but something that somebody says.
    Said {
        text: String,
    },
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::File { digest } => write!(f, "file {}", digest.get(..16).unwrap_or(digest))?,
            Kind::Directory => write!(f, "directory")?,
            Kind::Link { target } => write!(f, "link {}", target.display())?,
            Kind::Other => write!(f, "special file")?,
            Kind::Said { text } => return write!(f, "{text}"),
        }
        write!(f, " {:04o} {}:{}", self.mode & 0o7777, self.uid, self.gid)
    }
}

/// Everything below a directory, by its path in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<PathBuf, Entry>);

impl Tree {
    /// Looks at a directory. What disappears meanwhile is not there.
    pub fn of(root: &Path) -> Result<Self, String> {
        let mut tree = Self::default();
        tree.below(root, Path::new(""))?;
        Ok(tree)
    }

    /// Adds a path and everything below it, which is found at `found`, if it is there.
    pub fn add(&mut self, path: &Path, found: &Path) -> Result<(), String> {
        match look(found) {
            Ok(entry) => {
                let directory = entry.kind == Kind::Directory;
                self.0.insert(path.into(), entry);
                if directory { self.below(found, path) } else { Ok(()) }
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(format!("{}: {e}", found.display())),
        }
    }

    /// Adds lines: a name, what stands between, what is said of it.
    pub fn say(&mut self, lines: &str, between: char) {
        for (name, text) in lines.lines().filter_map(|line| line.split_once(between)) {
            let kind = Kind::Said { text: text.to_owned() };
            self.0.insert(name.into(), Entry { kind, mode: 0, uid: 0, gid: 0 });
        }
    }

    /// Adds what is below a directory; the names begin with `name`.
    fn below(&mut self, root: &Path, name: &Path) -> Result<(), String> {
        let mut open = vec![PathBuf::new()];
        while let Some(directory) = open.pop() {
            let at = root.join(&directory);
            let entries = match fs::read_dir(&at) {
                Ok(entries) => entries,
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(format!("{}: {e}", at.display())),
            };
            for entry in entries {
                let inside = directory.join(entry.map_err(|e| format!("{}: {e}", at.display()))?.file_name());
                let path = root.join(&inside);
                match look(&path) {
                    Ok(entry) => {
                        if entry.kind == Kind::Directory {
                            open.push(inside.clone());
                        }
                        self.0.insert(name.join(inside), entry);
                    }
                    Err(e) if e.kind() == ErrorKind::NotFound => {}
                    Err(e) => return Err(format!("{}: {e}", path.display())),
                }
            }
        }
        Ok(())
    }

    /// One digest of it all.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (path, entry) in &self.0 {
            let line = match &entry.kind {
                Kind::File { digest } => format!("file {digest}"),
                other => format!("{other:?}"),
            };
            let text = format!("{path:?} {line} {:o} {} {}\n", entry.mode, entry.uid, entry.gid);
            hasher.update(text.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// What is different in another, a line each.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let paths: std::collections::BTreeSet<&PathBuf> = self.0.keys().chain(other.0.keys()).collect();
        let shown = |entry: Option<&Entry>| entry.map_or_else(|| "nothing".into(), Entry::to_string);
        paths
            .into_iter()
            .map(|path| (path, self.0.get(path), other.0.get(path)))
            .filter(|(_, here, there)| here != there)
            .map(|(path, here, there)| format!("{}: {} != {}", path.display(), shown(here), shown(there)))
            .collect()
    }
}

fn look(path: &Path) -> std::io::Result<Entry> {
    let stat = fs::symlink_metadata(path)?;
    let kind = if stat.is_file() {
        Kind::File { digest: blake3::hash(&fs::read(path)?).to_hex().to_string() }
    } else if stat.is_dir() {
        Kind::Directory
    } else if stat.is_symlink() {
        Kind::Link { target: fs::read_link(path)? }
    } else {
        Kind::Other
    };
    Ok(Entry { kind, mode: stat.mode(), uid: stat.uid(), gid: stat.gid() })
}

#[cfg(test)]
mod tests {
    use super::Tree;
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    #[test]
    fn every_difference_shows() {
        let scratch = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        let at = |name: &str| scratch.path().join(name);
        let done = || -> std::io::Result<()> {
            fs::create_dir(at("d"))?;
            fs::write(at("d/f"), "one")?;
            symlink("f", at("d/l"))
        };
        done().unwrap_or_else(|e| panic!("{e}"));
        let look = || Tree::of(scratch.path()).unwrap_or_else(|e| panic!("{e}"));
        let first = look();
        assert_eq!(first.0.len(), 3);
        assert_eq!((first.digest(), first.differences(&first)), (look().digest(), Vec::new()));
        let mut last = first.clone();
        let mut change = |what: &dyn Fn() -> std::io::Result<()>, path: &str| {
            what().unwrap_or_else(|e| panic!("{e}"));
            let now = look();
            assert_ne!(now.digest(), last.digest(), "{path}");
            let differences = last.differences(&now);
            assert!(differences.iter().all(|line| line.starts_with(path)), "{differences:?}");
            assert_eq!(differences.len(), 1, "{differences:?}");
            last = now;
        };
        change(&|| fs::write(at("d/f"), "two"), "d/f: file");
        change(&|| fs::set_permissions(at("d/f"), fs::Permissions::from_mode(0o4600)), "d/f: file");
        change(&|| fs::remove_file(at("d/l")).and_then(|()| symlink("g", at("d/l"))), "d/l: link");
        change(&|| fs::write(at("d/new"), ""), "d/new: nothing");
        change(&|| fs::set_permissions(at("d"), fs::Permissions::from_mode(0o700)), "d: directory");
    }
}
