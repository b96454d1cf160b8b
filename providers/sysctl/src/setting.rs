//! The properties of `sysctl.value`: which setting, and what it should be.

use rectify_sdk::protocol::{
    ErrorCode, ItemError,
    message::{RESTORE, Restore},
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Where files are.
pub(crate) const DIRECTORY: &str = "/etc/sysctl.d";
/// Longest value.
const VALUE_MAX_BYTES: usize = 4_096;

pub(crate) fn wrong(message: impl Into<String>, at: &str) -> ItemError {
    ItemError::new(ErrorCode::Schema, message).at(at)
}

/// Which setting, and which file keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// With dots between its parts, and `/` for a dot in one.
    pub(crate) key: String,
    /// Name of the file in [`DIRECTORY`].
    pub(crate) file: String,
}

impl Setting {
    fn new(key: &str, file: Option<&str>) -> Result<Self, ItemError> {
        let parts: Vec<&str> = key.split('.').collect();
        let good = |b: u8| b.is_ascii_alphanumeric() || b"_/:@-".contains(&b);
        let part = |part: &&str| !part.is_empty() && part.bytes().all(good) && name(part).as_str() != "..";
        if parts.len() < 2 || !parts.iter().all(part) {
            return Err(wrong(format!("`{}` is not the name of a setting", key.escape_debug()), "/key"));
        }
        let file = match file {
            None => format!("60-rectify-{}.conf", key.replace('/', "~")),
            Some(path) => {
                let name = path.strip_prefix(DIRECTORY).and_then(|rest| rest.strip_prefix('/'));
                let good = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
                let fits = |name: &&str| {
                    name.ends_with(".conf") && !name.starts_with(['.', '-']) && name.bytes().all(good)
                };
                let name = name
                    .filter(fits)
                    .ok_or_else(|| wrong(format!("the file is not a `.conf` in {DIRECTORY}"), "/file"))?;
                name.to_owned()
            }
        };
        Ok(Self { key: key.to_owned(), file })
    }

    /// Where the kernel shows it, beneath `/proc/sys`.
    pub(crate) fn below_proc(&self) -> String {
        self.key.split('.').map(name).collect::<Vec<_>>().join("/")
    }

    /// The file.
    pub(crate) fn path(&self) -> String {
        format!("{DIRECTORY}/{}", self.file)
    }

    /// What the file holds that keeps a value.
    pub(crate) fn text(&self, value: &str) -> String {
        format!("# Written by Rectify (sysctl.value).\n{} = {value}\n", self.key)
    }
}

fn name(part: &str) -> String {
    part.replace('/', ".")
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Want {
    /// The value, and whether it is to be set now, too.
    Present { value: String, live: bool },
    /// No file.
    Absent,
    /// What was there before.
    Back(Restore),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Properties {
    key: String,
    value: Option<Value>,
    file: Option<String>,
    #[serde(default = "yes")]
    live: bool,
    #[serde(default)]
    state: Presence,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Presence {
    #[default]
    Present,
    Absent,
}

fn yes() -> bool {
    true
}

/// Words with one blank between two.
pub(crate) fn in_words(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads the properties.
pub(crate) fn read(desired: &Map<String, Value>) -> Result<(Setting, Want), ItemError> {
    let mut desired = desired.clone();
    let restore = desired.remove(RESTORE);
    let unreadable = |e: serde_json::Error| wrong(format!("the properties cannot be read: {e}"), "");
    let properties: Properties = serde_json::from_value(Value::Object(desired)).map_err(unreadable)?;
    let setting = Setting::new(&properties.key, properties.file.as_deref())?;
    if let Some(restore) = restore {
        return Ok((setting, Want::Back(serde_json::from_value(restore).map_err(unreadable)?)));
    }
    let want = match (properties.state, properties.value) {
        (Presence::Absent, None) => Want::Absent,
        (Presence::Absent, Some(_)) => {
            return Err(wrong("a setting that is to be absent has no value", "/value"));
        }
        (Presence::Present, None) => return Err(wrong("the value is missing", "/value")),
        (Presence::Present, Some(value)) => Want::Present { value: value_of(&value)?, live: properties.live },
    };
    Ok((setting, want))
}

fn value_of(value: &Value) -> Result<String, ItemError> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(wrong("a value is a text or an integer", "/value")),
    };
    if text.bytes().any(|b| b.is_ascii_control() && b != b'\t') || text.len() > VALUE_MAX_BYTES {
        return Err(wrong(format!("a value is one line of at most {VALUE_MAX_BYTES} bytes"), "/value"));
    }
    let text = in_words(&text);
    if text.is_empty() {
        return Err(wrong("the value is empty", "/value"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn read_json(value: Value) -> Result<(Setting, Want), ItemError> {
        read(value.as_object().unwrap())
    }

    #[test]
    fn a_setting_has_a_place_and_a_file() {
        let (setting, want) =
            read_json(json!({"key": "net.ipv4.conf.eth0/7.forwarding", "value": 1})).unwrap();
        assert_eq!(setting.below_proc(), "net/ipv4/conf/eth0.7/forwarding");
        assert_eq!(setting.path(), "/etc/sysctl.d/60-rectify-net.ipv4.conf.eth0~7.forwarding.conf");
        assert_eq!(want, Want::Present { value: "1".into(), live: true });
        let words = json!({"key": "net.ipv4.tcp_rmem", "value": " 4096\t87380  6291456 ", "live": false,
            "file": "/etc/sysctl.d/70-net.conf"});
        let (setting, want) = read_json(words).unwrap();
        assert_eq!(want, Want::Present { value: "4096 87380 6291456".into(), live: false });
        assert_eq!(setting.file, "70-net.conf");
        assert!(setting.text("1").ends_with("\nnet.ipv4.tcp_rmem = 1\n"));
    }

    #[test]
    fn what_is_no_setting_is_refused_at_its_place() {
        for (properties, place) in [
            (json!({"key": "forward", "value": 1}), "/key"),
            (json!({"key": "net..x", "value": 1}), "/key"),
            (json!({"key": "net.//.x", "value": 1}), "/key"),
            (json!({"key": "net.ipv4 .x", "value": 1}), "/key"),
            (json!({"key": "vm.swappiness"}), "/value"),
            (json!({"key": "vm.swappiness", "value": " "}), "/value"),
            (json!({"key": "vm.swappiness", "value": "1\nkernel.x = 2"}), "/value"),
            (json!({"key": "vm.swappiness", "value": true}), "/value"),
            (json!({"key": "vm.swappiness", "value": 1, "state": "absent"}), "/value"),
            (json!({"key": "vm.swappiness", "value": 1, "file": "/etc/sysctl.d/../x.conf"}), "/file"),
            (json!({"key": "vm.swappiness", "value": 1, "file": "/etc/sysctl.d/.x.conf"}), "/file"),
            (json!({"key": "vm.swappiness", "value": 1, "file": "/etc/sysctl.conf"}), "/file"),
            (json!({"key": "vm.swappiness", "value": 1, "other": 1}), ""),
        ] {
            let error = read_json(properties.clone()).unwrap_err();
            assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Schema, Some(place)), "{properties}");
        }
    }
}
