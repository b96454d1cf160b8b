//! Names of units, and the places of their files.

use rectify_sdk::protocol::{ErrorCode, ItemError};

/// Longest name of a unit, by systemd's own rule.
pub(crate) const NAME_MAX_BYTES: usize = 255;
/// Kinds of units that can be started, enabled or masked.
pub(crate) const KINDS: &[&str] =
    &["service", "socket", "timer", "path", "mount", "automount", "swap", "target"];
/// Directories whose unit files belong to the administrator.
pub(crate) const DIRECTORIES: &[&str] = &["/etc/systemd/system", "/run/systemd/system"];

pub(crate) fn wrong(message: impl Into<String>, at: &str) -> ItemError {
    ItemError::new(ErrorCode::Schema, message).at(at)
}

/// The kind of a unit; `None` if the text is not the name of one.
pub(crate) fn kind(name: &str) -> Option<&str> {
    let (stem, kind) = name.rsplit_once('.')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ":_.\\@-".contains(c);
    let sound = !stem.is_empty()
        && !stem.starts_with(['.', '@', '-'])
        && stem.chars().all(plain)
        && name.len() <= NAME_MAX_BYTES;
    KINDS.contains(&kind).then_some(kind).filter(|_| sound)
}

/// Whether it is a template, which has no state of its own.
pub(crate) fn is_template(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, _)| stem.ends_with('@'))
}

/// Refuses what is not the name of a unit that can be started.
pub(crate) fn check(name: &str) -> Result<(), ItemError> {
    if kind(name).is_none() {
        let message = format!("`{}` is not the name of a unit", name.escape_debug());
        return Err(wrong(message, "/unit").hint("write it with its kind, as in `ssh.service`"));
    }
    if is_template(name) {
        return Err(wrong(format!("`{name}` is a template; name one of its instances"), "/unit"));
    }
    Ok(())
}

/// Where a unit file or drop-in lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Directory of unit files.
    pub(crate) directory: &'static str,
    /// The unit; of a drop-in, the one that it is about.
    pub(crate) unit: String,
    /// Name of the drop-in.
    pub(crate) drop_in: Option<String>,
}

impl Place {
    /// Reads the path of a unit file or of a drop-in.
    pub(crate) fn read(path: &str) -> Result<Self, ItemError> {
        let refused = || {
            let message = format!("`{}` is not the place of a unit file or drop-in", path.escape_debug());
            wrong(message, "/path").hint(
                "name `/etc/systemd/system/NAME.service`, or `/etc/systemd/system/NAME.service.d/NAME.conf`",
            )
        };
        let split =
            |directory: &&'static str| Some((*directory, path.strip_prefix(*directory)?.strip_prefix('/')?));
        let (directory, rest) = DIRECTORIES.iter().find_map(split).ok_or_else(refused)?;
        let place = match rest.split_once('/') {
            None => Self { directory, unit: rest.to_owned(), drop_in: None },
            Some((above, name)) => {
                let stem = name.strip_suffix(".conf").unwrap_or_default();
                let plain = |c: char| c.is_ascii_alphanumeric() || ":_.\\@+-".contains(c);
                if stem.is_empty() || stem.starts_with('.') || !stem.chars().all(plain) || name.len() > 255 {
                    return Err(refused());
                }
                let unit = above.strip_suffix(".d").ok_or_else(refused)?;
                Self { directory, unit: unit.to_owned(), drop_in: Some(name.to_owned()) }
            }
        };
        if kind(&place.unit).is_none() { Err(refused()) } else { Ok(place) }
    }

    /// Name of the file in its directory.
    pub(crate) fn file(&self) -> &str {
        self.drop_in.as_deref().unwrap_or(&self.unit)
    }

    /// The directory that is made for drop-ins.
    pub(crate) fn inner(&self) -> Option<String> {
        self.drop_in.as_ref().map(|_| format!("{}.d", self.unit))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_of_units_are_told_from_others() {
        for name in ["ssh.service", "a.b-c_d:e.socket", "getty@tty1.service", "dev-disk-by\\x2did.swap"] {
            check(name).unwrap();
        }
        for name in [
            "ssh",
            "",
            ".service",
            "a b.service",
            "../x.service",
            "-x.service",
            "x.slice",
            "x.conf",
            "a@.service",
        ] {
            assert_eq!(check(name).unwrap_err().path.as_deref(), Some("/unit"), "{name}");
        }
    }

    #[test]
    fn a_path_says_whose_file_it_is() {
        let place = Place::read("/etc/systemd/system/a@.service.d/10-x.conf").unwrap();
        assert_eq!(
            (place.unit.as_str(), place.file(), place.inner().as_deref()),
            ("a@.service", "10-x.conf", Some("a@.service.d"))
        );
        let place = Place::read("/run/systemd/system/b.timer").unwrap();
        assert_eq!((place.directory, place.file(), place.inner()), ("/run/systemd/system", "b.timer", None));
        for path in [
            "/etc/systemd/system/",
            "/etc/systemd/system/a.service.d",
            "/etc/systemd/system/a.service.d/../b.conf",
            "/etc/systemd/system/a.service.d/.conf",
            "/etc/systemd/system/a.service.d/x/y.conf",
            "/etc/systemd/system/a.service.wants/b.service",
            "/etc/systemd/system/../a.service",
            "/usr/lib/systemd/system/a.service",
            "/etc/systemd/systemx/a.service",
            "a.service",
        ] {
            assert_eq!(Place::read(path).unwrap_err().path.as_deref(), Some("/path"), "{path}");
        }
    }
}
