//! Files that are read after ours at boot, and say something else.

use crate::{
    setting::{DIRECTORY, Setting, in_words},
    state::FILE_MAX_BYTES,
};
use rectify_sdk::{
    Context, Folder, open_beneath,
    protocol::{ErrorCode, ItemError},
};
use rustix::fs::OFlags;
use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

/// Where systemd-sysctl and sysctl look for files; of two of one name the first counts.
const DIRECTORIES: &[&str] =
    &[DIRECTORY, "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];
/// Read last of all by `sysctl --system`.
const LAST: &str = "/etc/sysctl.conf";

/// Refuses a value that another file would take back at the next boot.
pub(crate) fn refuse(cx: &Context, setting: &Setting, value: &str) -> Result<(), ItemError> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for directory in DIRECTORIES {
        let Some(folder) = Folder::open(cx.root(), Path::new(directory))? else { continue };
        for name in folder.names()? {
            if name.ends_with(".conf") && name > setting.file {
                files.entry(name.clone()).or_insert_with(|| format!("{directory}/{name}"));
            }
        }
    }
    let others = files.into_values().chain([LAST.to_owned()]);
    for path in others {
        let Some(text) = text(cx.root(), &path) else { continue };
        if let Some((line, other)) = says(&text, &setting.key).filter(|(_, other)| other != value) {
            return Err(ItemError::new(
                ErrorCode::Conflict,
                format!("`{path}`, line {line}, is read later and sets `{}` to `{other}`", setting.key),
            )
            .at("/file")
            .hint("remove that line in a step before, or name a `file` that is read after it"));
        }
    }
    Ok(())
}

fn text(root: Option<&Path>, path: &str) -> Option<String> {
    // Looked at before it is opened for reading: a pipe would keep us waiting.
    let path = Path::new(path);
    let seen = File::from(open_beneath(root, path, OFlags::PATH).ok()?);
    if !seen.metadata().ok()?.is_file() {
        return None;
    }
    let file = File::from(open_beneath(root, path, OFlags::RDONLY | OFlags::NONBLOCK).ok()?);
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last line of a text that sets a key, from 1, and what it sets.
fn says(text: &str, key: &str) -> Option<(usize, String)> {
    let wanted = slashed(key);
    let line = |(number, line): (usize, &str)| {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            return None;
        }
        let (name, value) = line.split_once('=')?;
        let name = name.trim();
        let name = slashed(name.strip_prefix('-').unwrap_or(name));
        fits(&name, &wanted).then(|| (number + 1, in_words(value)))
    };
    text.lines().enumerate().filter_map(line).last()
}

/// A name with slashes between its parts: whichever of `.` and `/` comes first in it separates them.
fn slashed(name: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    match name.find(['.', '/']) {
        Some(at) if name.get(at..).is_some_and(|rest| rest.starts_with('.')) => {
            name.chars().map(swap).collect()
        }
        _ => name.to_owned(),
    }
}

/// Whether a name is meant, where `*` stands for anything within one part.
fn fits(pattern: &str, name: &str) -> bool {
    let (mut patterns, mut names) = (pattern.split('/'), name.split('/'));
    loop {
        match (patterns.next(), names.next()) {
            (None, None) => return true,
            (Some(pattern), Some(name)) if part_fits(pattern, name) => {}
            _ => return false,
        }
    }
}

fn part_fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(at) = name.find(piece) else { return false };
        name = name.get(at + piece.len()..).unwrap_or_default();
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::{fits, says, slashed};

    #[test]
    fn lines_that_set_a_key_are_found() {
        let text = "# net.ipv4.ip_forward=0\n-net/ipv4/ip_forward = 1\n;x=1\nnet.ipv4.ip_forward=\t0  # no comment\n";
        assert_eq!(says(text, "net.ipv4.ip_forward"), Some((4, "0 # no comment".into())));
        assert_eq!(
            says("net.ipv4.conf.*.rp_filter = 2\n", "net.ipv4.conf.all.rp_filter"),
            Some((1, "2".into()))
        );
        assert_eq!(says("net.ipv4.conf.eth0/7.x = 2", "net.ipv4.conf.eth0/7.x"), Some((1, "2".into())));
        assert_eq!(says("net/ipv4/conf/eth0.7/x = 2", "net.ipv4.conf.eth0/7.x"), Some((1, "2".into())));
        assert_eq!(says("net.ipv4.ip_forward", "net.ipv4.ip_forward"), None);
        assert_eq!(says("net.ipv4.ip_forward_x = 1", "net.ipv4.ip_forward"), None);
    }

    #[test]
    fn patterns_stay_within_a_part() {
        assert_eq!((slashed("a.b/c.d"), slashed("a/b.c")), ("a/b.c/d".into(), "a/b.c".into()));
        for (pattern, name, expected) in [
            ("a/*/c", "a/b/c", true),
            ("a/*", "a/b/c", false),
            ("a/x*y*z/c", "a/x1y2z/c", true),
            ("a/x*y*z/c", "a/xz/c", false),
            ("a/*b", "a/b", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
