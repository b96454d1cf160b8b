//! `facts.kernel`: what runs.

use crate::{Told, source::Files};
use serde_json::{Map, Value, json};

pub(crate) fn tell(files: &Files<'_>) -> Told {
    if !files.is_machine() {
        return Told::Absent("a directory that stands for a system has no kernel that runs".into());
    }
    let name = rustix::system::uname();
    Told::Value(kernel(&name.release().to_string_lossy(), &name.machine().to_string_lossy()))
}

pub(crate) fn kernel(release: &str, machine: &str) -> Value {
    json!({"release": release, "machine": machine, "version": version(release)})
}

/// The numbers that a release begins with, as far as there are such.
fn version(release: &str) -> Value {
    let mut version = Map::new();
    for (name, part) in ["major", "minor", "patch"].into_iter().zip(release.splitn(3, '.')) {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let Some(Ok(number)) = part.get(..digits).map(str::parse::<u32>) else { break };
        version.insert(name.into(), number.into());
        if digits < part.len() {
            break;
        }
    }
    Value::Object(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_release() {
        assert_eq!(version("6.1.0-18-amd64"), json!({"major": 6, "minor": 1, "patch": 0}));
        assert_eq!(version("5.14-rc3"), json!({"major": 5, "minor": 14}));
        assert_eq!(version("6-custom.1"), json!({"major": 6}));
        assert_eq!(version("next"), json!({}));
    }
}
