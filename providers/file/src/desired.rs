//! Properties as typed values. Whatever breaks a rule is answered with the place of the property.

use crate::{
    edit::{Block, Edit, Format, LineEdit, Marker, Occurrence, Position, Presence},
    entry::parse_mode,
    errors::schema,
    settings::{Ini, Tree},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rectify_sdk::{
    base::{TypeName, limits::FILE_CONTENT_MAX_BYTES},
    protocol::{ErrorCode, ItemError, message::RESTORE, message::Restore},
};
use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::ffi::CString;

/// Longest path, as the kernel has it.
const PATH_MAX_BYTES: usize = 4095;
/// Longest name in a directory.
const NAME_MAX_BYTES: usize = 255;
/// Largest compiled pattern.
const PATTERN_MAX_BYTES: usize = 1024 * 1024;
/// Name of the file in a target's root directory that says which target it is.
pub(crate) const ROOT_MARKER: &str = ".rectify-root";
/// Why it is left alone.
pub(crate) const IS_MARKER: &str =
    "the path is the marker that makes the root directory a target; without it the target would be lost";
/// Marker of a block that names no other.
pub(crate) const DEFAULT_MARKER: &str = "# {mark} RECTIFY MANAGED BLOCK";

/// Permission bits, owner and group that should hold; what is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct WantedAccess {
    pub(crate) mode: Option<u32>,
    pub(crate) owner: Option<String>,
    pub(crate) group: Option<String>,
}

/// What should be at the path.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    Content { bytes: Vec<u8>, access: WantedAccess },
    Edit { edit: Edit, create: bool, access: WantedAccess },
    Directory { access: WantedAccess },
    Link { target: String },
    Absent { recursive: bool },
}

/// An absolute path in its one spelling, split at its last part.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) text: String,
    /// The directory, relative to the root.
    pub(crate) parent: String,
    pub(crate) name: CString,
}

/// The properties of one item.
#[derive(Clone, Debug)]
pub(crate) struct Desired {
    pub(crate) path: Path,
    pub(crate) want: Want,
    /// Command that judges a new content; one of its arguments holds `%s`.
    pub(crate) validate: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileContent {
    path: String,
    content: Option<String>,
    content_base64: Option<String>,
    mode: Option<String>,
    owner: Option<String>,
    group: Option<String>,
    validate: Option<Vec<String>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Where {
    #[default]
    End,
    Beginning,
    After,
    Before,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLine {
    path: String,
    #[serde(rename = "match")]
    pattern: Option<String>,
    line: Option<String>,
    #[serde(default)]
    occurrence: Occurrence,
    #[serde(default)]
    position: Where,
    anchor: Option<String>,
    #[serde(default)]
    state: Presence,
    #[serde(default)]
    create: bool,
    mode: Option<String>,
    owner: Option<String>,
    group: Option<String>,
    validate: Option<Vec<String>>,
}

fn default_marker() -> String {
    DEFAULT_MARKER.into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileBlock {
    path: String,
    #[serde(default = "default_marker")]
    marker: String,
    #[serde(default)]
    block: String,
    #[serde(default)]
    position: Where,
    anchor: Option<String>,
    #[serde(default)]
    state: Presence,
    #[serde(default)]
    create: bool,
    mode: Option<String>,
    owner: Option<String>,
    group: Option<String>,
    validate: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileDirectory {
    path: String,
    mode: Option<String>,
    owner: Option<String>,
    group: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLink {
    path: String,
    target: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAbsent {
    path: String,
    #[serde(default)]
    recursive: bool,
}

/// The path of an item, whatever else its properties say.
pub(crate) fn path_of(desired: &Map<String, Value>) -> Result<Path, ItemError> {
    let text = desired.get("path").and_then(Value::as_str);
    Path::parse(text.ok_or_else(|| schema("a path is needed", "/path"))?)
}

/// What an inverse brings back; `None` for an ordinary operation.
pub(crate) fn restore_of(desired: &Map<String, Value>) -> Result<Option<Restore>, ItemError> {
    desired.get(RESTORE).map(|value| typed(value.clone())).transpose()
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ItemError> {
    serde_json::from_value(value).map_err(|e| schema(format!("the properties cannot be read: {e}"), ""))
}

impl Path {
    pub(crate) fn parse(text: &str) -> Result<Self, ItemError> {
        let wrong = |why: &str| Err(schema(format!("the path `{}` {why}", text.escape_debug()), "/path"));
        let Some(relative) = text.strip_prefix('/') else { return wrong("is not absolute") };
        if text.len() > PATH_MAX_BYTES {
            return wrong("is too long");
        }
        for part in relative.split('/') {
            match part {
                "" if relative.is_empty() => return wrong("is the root itself"),
                "" => return wrong("has an empty part"),
                "." | ".." => return wrong("has a part `.` or `..`"),
                _ if part.len() > NAME_MAX_BYTES => return wrong("has a part that is too long"),
                _ => {}
            }
        }
        if relative == ROOT_MARKER {
            return Err(schema(IS_MARKER, "/path"));
        }
        let (parent, name) = relative.rsplit_once('/').unwrap_or(("", relative));
        match CString::new(name) {
            Ok(name) if !parent.contains('\0') => Ok(Self { text: text.into(), parent: parent.into(), name }),
            _ => wrong("holds a NUL"),
        }
    }
}

/// Whether a user or group could be called so. A number must fit, and the largest one means "no
/// change" to the system.
fn may_be_a_name(name: &str) -> bool {
    if name.is_empty() || name.starts_with(['-', '+', '#']) {
        return false;
    }
    if name.bytes().all(|b| b.is_ascii_digit()) {
        return name.parse().is_ok_and(|id: u32| id != u32::MAX);
    }
    !name.contains([':', '/', ',']) && !name.contains(char::is_control) && name.trim() == name
}

impl WantedAccess {
    pub(crate) fn parse(
        mode: Option<&str>,
        owner: Option<String>,
        group: Option<String>,
    ) -> Result<Self, ItemError> {
        let mode = match mode {
            None => None,
            Some(text) => Some(parse_mode(text).ok_or_else(|| {
                schema(format!("`{text}` is not a mode; write it as in `0640`, in quotes"), "/mode")
            })?),
        };
        for (name, at) in [(&owner, "/owner"), (&group, "/group")] {
            if name.as_deref().is_some_and(|name| !may_be_a_name(name)) {
                return Err(schema("this can be neither a name nor the number of a user or group", at));
            }
        }
        Ok(Self { mode, owner, group })
    }
}

fn pattern(text: &str, at: &str) -> Result<Regex, ItemError> {
    if text.is_empty() {
        return Err(schema("an empty pattern means every line", at));
    }
    RegexBuilder::new(text)
        .size_limit(PATTERN_MAX_BYTES)
        .build()
        .map_err(|e| schema(format!("the pattern cannot be compiled: {}", in_short(&e)), at))
}

/// What is wrong with a pattern, without the drawing around it.
fn in_short(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

fn position(place: Where, anchor: Option<&str>) -> Result<Position, ItemError> {
    match (place, anchor) {
        (Where::End, None) => Ok(Position::End),
        (Where::Beginning, None) => Ok(Position::Beginning),
        (Where::After, Some(anchor)) => Ok(Position::After(pattern(anchor, "/anchor")?)),
        (Where::Before, Some(anchor)) => Ok(Position::Before(pattern(anchor, "/anchor")?)),
        (Where::After | Where::Before, None) => {
            Err(schema("position `after` or `before` needs an anchor: a pattern", "/anchor"))
        }
        (Where::End | Where::Beginning, Some(_)) => {
            Err(schema("an anchor needs position `after` or `before`", "/position"))
        }
    }
}

pub(crate) fn one_line(text: &str, at: &str) -> Result<(), ItemError> {
    if text.contains(['\n', '\r']) {
        return Err(schema("this is more than one line", at));
    }
    Ok(())
}

pub(crate) fn command(argv: Option<Vec<String>>) -> Result<Option<Vec<String>>, ItemError> {
    let Some(argv) = argv else { return Ok(None) };
    let Some(program) = argv.first() else {
        return Err(schema("the command is empty", "/validate"));
    };
    if program.is_empty() || (program.contains('/') && !program.starts_with('/')) {
        return Err(schema("the program is neither absolute nor a bare name", "/validate/0"));
    }
    if argv.iter().any(|argument| argument.contains('\0')) {
        return Err(schema("an argument holds a NUL", "/validate"));
    }
    if !argv.iter().skip(1).any(|argument| argument.contains("%s")) {
        return Err(schema("no argument holds `%s`, the path of the candidate", "/validate"));
    }
    Ok(Some(argv))
}

impl FileContent {
    fn desired(self) -> Result<Desired, ItemError> {
        let bytes = match (self.content, self.content_base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(encoded)) => STANDARD.decode(encoded).map_err(|e| {
                schema(format!("this is not base64 (with padding, without spaces): {e}"), "/content_base64")
            })?,
            (None, None) => {
                return Err(schema("one of `content` and `content_base64` is needed", "/content"));
            }
            (Some(_), Some(_)) => {
                return Err(schema("`content` and `content_base64` exclude each other", "/content_base64"));
            }
        };
        if bytes.len() as u64 > FILE_CONTENT_MAX_BYTES {
            return Err(schema("the content is too long", "/content"));
        }
        let access = WantedAccess::parse(self.mode.as_deref(), self.owner, self.group)?;
        Ok(Desired {
            path: Path::parse(&self.path)?,
            want: Want::Content { bytes, access },
            validate: command(self.validate)?,
        })
    }
}

impl FileLine {
    fn desired(self) -> Result<Desired, ItemError> {
        match (self.state, &self.line, &self.pattern) {
            (Presence::Present, None, _) => return Err(schema("state `present` needs a line", "/line")),
            (Presence::Absent, None, None) => {
                return Err(schema("state `absent` needs `line` or `match`", "/match"));
            }
            _ => {}
        }
        if let Some(line) = &self.line {
            one_line(line, "/line")?;
        }
        let access = WantedAccess::parse(self.mode.as_deref(), self.owner, self.group)?;
        let edit = LineEdit {
            pattern: self.pattern.map(|text| pattern(&text, "/match")).transpose()?,
            line: self.line,
            occurrence: self.occurrence,
            position: position(self.position, self.anchor.as_deref())?,
            presence: self.state,
        };
        Ok(Desired {
            path: Path::parse(&self.path)?,
            want: Want::Edit { edit: Edit::Line(edit), create: self.create, access },
            validate: command(self.validate)?,
        })
    }
}

impl FileBlock {
    fn desired(self) -> Result<Desired, ItemError> {
        one_line(&self.marker, "/marker")?;
        let marker = Marker::new(&self.marker)
            .ok_or_else(|| schema("the marker does not hold `{mark}`", "/marker"))?;
        let edit = Block {
            marker,
            block: self.block,
            position: position(self.position, self.anchor.as_deref())?,
            presence: self.state,
        };
        if edit.holds_lone_return() {
            return Err(schema("a line of the block holds a carriage return that ends no line", "/block"));
        }
        if edit.holds_marker() {
            return Err(schema("a line of the block is one of its markers", "/block"));
        }
        let access = WantedAccess::parse(self.mode.as_deref(), self.owner, self.group)?;
        Ok(Desired {
            path: Path::parse(&self.path)?,
            want: Want::Edit { edit: Edit::Block(edit), create: self.create, access },
            validate: command(self.validate)?,
        })
    }
}

impl Desired {
    /// Reads the properties of a type, and checks what no schema can say.
    pub(crate) fn parse(type_name: &TypeName, desired: &Map<String, Value>) -> Result<Self, ItemError> {
        let value = Value::Object(desired.clone());
        match type_name.as_str() {
            "file.content" => typed::<FileContent>(value)?.desired(),
            "file.line" => typed::<FileLine>(value)?.desired(),
            "file.block" => typed::<FileBlock>(value)?.desired(),
            "file.ini" => typed::<Ini>(value)?.desired(),
            "file.json" => typed::<Tree>(value)?.desired(Format::Json),
            "file.toml" => typed::<Tree>(value)?.desired(Format::Toml),
            "file.yaml" => typed::<Tree>(value)?.desired(Format::Yaml),
            "file.directory" => {
                let it: FileDirectory = typed(value)?;
                let access = WantedAccess::parse(it.mode.as_deref(), it.owner, it.group)?;
                Ok(Self { path: Path::parse(&it.path)?, want: Want::Directory { access }, validate: None })
            }
            "file.link" => {
                let it: FileLink = typed(value)?;
                if it.target.is_empty() || it.target.len() > PATH_MAX_BYTES || it.target.contains('\0') {
                    return Err(schema("the target is empty, too long, or holds a NUL", "/target"));
                }
                let want = Want::Link { target: it.target };
                Ok(Self { path: Path::parse(&it.path)?, want, validate: None })
            }
            "file.absent" => {
                let it: FileAbsent = typed(value)?;
                let want = Want::Absent { recursive: it.recursive };
                Ok(Self { path: Path::parse(&it.path)?, want, validate: None })
            }
            other => Err(ItemError::new(
                ErrorCode::Unsupported,
                format!("`{other}` is not a type of this provider"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn fails(type_name: &str, properties: &Value) -> (Option<String>, String) {
        let error = Desired::parse(&TypeName::new(type_name).unwrap(), properties.as_object().unwrap());
        let error = error.unwrap_err();
        assert_eq!(error.code, ErrorCode::Schema);
        (error.path, error.message)
    }

    #[test]
    fn broken_rules_name_the_property() {
        let cases = [
            ("file.content", json!({"path": "etc/x", "content": ""}), "/path"),
            ("file.content", json!({"path": "/", "content": ""}), "/path"),
            ("file.content", json!({"path": "/a//b", "content": ""}), "/path"),
            ("file.content", json!({"path": "/a/../b", "content": ""}), "/path"),
            ("file.content", json!({"path": "/a/", "content": ""}), "/path"),
            ("file.content", json!({"path": "/a\u{0}", "content": ""}), "/path"),
            ("file.content", json!({"path": "/a"}), "/content"),
            ("file.content", json!({"path": "/a", "content": "", "content_base64": ""}), "/content_base64"),
            ("file.content", json!({"path": "/a", "content_base64": "%"}), "/content_base64"),
            ("file.content", json!({"path": "/a", "content": "", "mode": "644"}), "/mode"),
            ("file.content", json!({"path": "/a", "content": "", "validate": []}), "/validate"),
            ("file.content", json!({"path": "/a", "content": "", "validate": ["true"]}), "/validate"),
            ("file.content", json!({"path": "/a", "content": "", "validate": ["%s"]}), "/validate"),
            ("file.content", json!({"path": "/a", "content": "", "validate": ["x", "-f"]}), "/validate"),
            ("file.line", json!({"path": "/a", "line": "a", "match": "(((a{99}){99}){99}){99}"}), "/match"),
            ("file.line", json!({"path": "/a", "line": "a", "position": "before", "anchor": "["}), "/anchor"),
            ("file.line", json!({"path": "/a", "line": "a\u{0}", "match": ""}), "/match"),
            ("file.block", json!({"path": "/a", "block": "x\ry"}), "/block"),
            ("file.content", json!({"path": "/a", "content": "", "validate": ["./x", "%s"]}), "/validate/0"),
            ("file.content", json!({"path": "/a", "content": "", "validate": ["", "%s"]}), "/validate/0"),
            ("file.content", json!({"path": "/a", "content": "", "owner": ""}), "/owner"),
            ("file.content", json!({"path": "/a", "content": "", "owner": "web:www"}), "/owner"),
            ("file.content", json!({"path": "/a", "content": "", "owner": "-x"}), "/owner"),
            ("file.content", json!({"path": "/a", "content": "", "owner": "4294967295"}), "/owner"),
            ("file.directory", json!({"path": "/a", "group": "99999999999"}), "/group"),
            ("file.directory", json!({"path": "/a", "group": " a"}), "/group"),
            ("file.content", json!({"path": "/a", "content": 1}), ""),
            ("file.line", json!({"path": "/a"}), "/line"),
            ("file.line", json!({"path": "/a", "state": "absent"}), "/match"),
            ("file.line", json!({"path": "/a", "line": "a\nb"}), "/line"),
            ("file.line", json!({"path": "/a", "line": "a", "match": "("}), "/match"),
            ("file.line", json!({"path": "/a", "line": "a", "position": "after"}), "/anchor"),
            ("file.line", json!({"path": "/a", "line": "a", "anchor": "x"}), "/position"),
            ("file.block", json!({"path": "/a", "marker": "# X"}), "/marker"),
            ("file.block", json!({"path": "/a", "marker": "{mark}", "block": "x\nEND"}), "/block"),
            ("file.link", json!({"path": "/a", "target": ""}), "/target"),
        ];
        for (type_name, properties, at) in cases {
            let (path, message) = fails(type_name, &properties);
            assert_eq!(path.as_deref(), Some(at), "{properties}: {message}");
        }
    }

    #[test]
    fn unknown_properties_are_refused() {
        let (_, message) = fails("file.absent", &json!({"path": "/a", "recursiv": true}));
        assert!(message.contains("recursiv"), "{message}");
        fails("file.content", &json!({"path": "/a", "content": "", "$restore": {}}));
    }
}
