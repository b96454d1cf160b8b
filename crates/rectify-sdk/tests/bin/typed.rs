//! A provider of typed resources, actions and probes, for the SDK's own tests and the conformance kit.

use rectify_sdk::{
    Action, Answer, Context, Presence, PrivateText, Probe, Properties, Resource, Run, Step, Types,
    base::Digest,
    failed, invalid,
    protocol::{ErrorCode, ItemError, message::Output},
    real_path_beneath,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs::OpenOptions, io::Write, path::Path, process::ExitCode};

/// Longest file that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// A small file with a text, and what is said of it.
///
/// No part of the summary.
#[derive(Deserialize, JsonSchema, Properties)]
struct Text {
    /// Absolute path of the file.
    #[rectify(identity, touch = "path")]
    #[schemars(regex(pattern = "^/"))]
    path: String,
    /// What the file says.
    #[serde(default)]
    #[schemars(length(max = 100))]
    text: String,
    /// Whether the file exists.
    #[serde(default)]
    state: Presence,
    /// Permission bits.
    mode: Option<Mode>,
    /// Lines that follow.
    #[serde(default)]
    more: Vec<More>,
    /// Another file, whose text comes first.
    #[rectify(touch = "path")]
    #[serde(rename = "after")]
    another: Option<String>,
    /// Trouble to make: `half`.
    trouble: Option<String>,
}

/// Permission bits, in quotes.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
enum Mode {
    #[default]
    #[serde(rename = "0644")]
    Public,
    #[serde(rename = "0444")]
    ReadOnly,
}

/// A line, so many times.
#[derive(Deserialize, JsonSchema)]
struct More {
    line: String,
    #[serde(default)]
    #[schemars(range(max = 3))]
    times: u8,
}

#[derive(Serialize, Deserialize)]
struct TextState {
    text: String,
    mode: String,
}

struct Texts;

impl Resource for Texts {
    type Properties = Text;
    type State = TextState;
    const TYPE: &'static str = "typed.text";

    fn validate(&self, properties: &Text) -> Result<(), ItemError> {
        match properties.more.iter().position(|more| more.line.contains('\n')) {
            Some(at) => Err(invalid("a line has no line end in it", &format!("/more/{at}/line"))),
            None => Ok(()),
        }
    }

    fn read(&self, cx: &Context, id: &TextId) -> Result<Option<TextState>, ItemError> {
        let Some(file) = cx.read_file(&id.path, MAX_BYTES)? else { return Ok(None) };
        let mode = format!("{:04o}", file.owned.mode);
        Ok(Some(TextState { text: file.public_text()?, mode }))
    }

    fn goal(
        &self,
        cx: &Context,
        properties: &Text,
        found: Option<&TextState>,
    ) -> Result<Option<TextState>, ItemError> {
        if properties.state == Presence::Absent {
            return Ok(None);
        }
        let mut text = match &properties.another {
            Some(path) => {
                cx.read_file(path, MAX_BYTES)?.map_or(Ok(String::new()), |file| file.public_text())?
            }
            None => String::new(),
        };
        text.push_str(&properties.text);
        for more in &properties.more {
            text.push_str(&format!("{}\n", more.line).repeat(usize::from(more.times) + 1));
        }
        let mode = match (properties.mode, found) {
            (Some(Mode::Public), _) | (None, None) => "0644".to_owned(),
            (Some(Mode::ReadOnly), _) => "0444".to_owned(),
            (None, Some(found)) => found.mode.clone(),
        };
        Ok(Some(TextState { text, mode }))
    }

    fn apply(&self, cx: &Context, step: &Step<Self>) -> Result<(), ItemError> {
        let Some(want) = &step.want else { return cx.remove_file(&step.id.path) };
        let mode = u32::from_str_radix(&want.mode, 8).map_err(|e| invalid(e.to_string(), "/mode"))?;
        match step.properties.as_ref().and_then(|properties| properties.trouble.as_deref()) {
            Some("half") => {
                cx.write_file_with_mode(&step.id.path, b"half", mode)?;
                Err(ItemError::new(ErrorCode::Failed, "asked to stop half way"))
            }
            Some("panic") => panic!("asked to panic"),
            _ => cx.write_file_with_mode(&step.id.path, want.text.as_bytes(), mode),
        }
    }
}

/// A file that holds a secret, for its owner alone.
#[derive(Deserialize, JsonSchema, Properties)]
struct Key {
    /// Absolute path of the file.
    #[rectify(identity, touch = "path")]
    #[schemars(regex(pattern = "^/"))]
    path: String,
    /// What it holds.
    key: PrivateText,
}

#[derive(Serialize, Deserialize)]
struct KeyState {
    digest: Digest,
}

struct Keys;

impl Resource for Keys {
    type Properties = Key;
    type State = KeyState;
    const TYPE: &'static str = "typed.key";

    fn read(&self, cx: &Context, id: &KeyId) -> Result<Option<KeyState>, ItemError> {
        let file = cx.read_file(&id.path, MAX_BYTES)?;
        Ok(file.map(|file| KeyState { digest: cx.private_digest(&file.bytes) }))
    }

    fn goal(
        &self,
        cx: &Context,
        wanted: &Key,
        _found: Option<&KeyState>,
    ) -> Result<Option<KeyState>, ItemError> {
        Ok(Some(KeyState { digest: wanted.key.digest(cx) }))
    }

    fn capture(&self, cx: &Context, id: &KeyId, _found: &KeyState) -> Result<Option<Digest>, ItemError> {
        let file = cx.read_file(&id.path, MAX_BYTES)?;
        file.map(|file| cx.keep_before_image_from(&mut &*file.bytes, true)).transpose()
    }

    fn apply(&self, cx: &Context, step: &Step<Self>) -> Result<(), ItemError> {
        let Some(want) = &step.want else { return cx.remove_file(&step.id.path) };
        match &step.properties {
            Some(properties) => cx.write_file(&step.id.path, properties.key.reveal().as_bytes(), 0o600),
            None => cx.write_file(&step.id.path, &cx.read_secret_blob(&want.digest)?, 0o600),
        }
    }
}

/// Appends a line to a file, once.
#[derive(Deserialize, JsonSchema, Properties)]
struct Note {
    /// Absolute path of the file.
    #[rectify(touch = "path", write)]
    #[schemars(regex(pattern = "^/"))]
    path: String,
    /// A command that is run, too.
    #[serde(default)]
    argv: Vec<String>,
    /// What it reads.
    stdin: Option<PrivateText>,
    /// How it fails before it does anything.
    trouble: Option<Trouble>,
}

/// A way to fail.
#[derive(Deserialize, JsonSchema)]
struct Trouble {
    code: ErrorCodeName,
    /// Whether something was done before.
    #[serde(default)]
    touched: bool,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ErrorCodeName {
    Busy,
    Failed,
}

impl Trouble {
    fn error(&self, cx: &Context) -> ItemError {
        if self.touched {
            cx.touched();
        }
        let code = match self.code {
            ErrorCodeName::Busy => ErrorCode::Busy,
            ErrorCodeName::Failed => ErrorCode::Failed,
        };
        ItemError::new(code, "asked to fail")
    }
}

struct Notes;

impl Action for Notes {
    type Properties = Note;
    const TYPE: &'static str = "typed.note";

    fn run(&self, cx: &Context, note: &Note) -> Result<Option<Output>, ItemError> {
        if let Some(trouble) = &note.trouble {
            return Err(trouble.error(cx));
        }
        append(cx, &note.path)?;
        if note.argv.is_empty() {
            return Ok(None);
        }
        let stdin = note.stdin.as_ref().map(PrivateText::reveal);
        cx.run(&Run { stdin, ..Run::new(cx, &note.argv) })?.success().map(Some)
    }
}

fn append(cx: &Context, path: &str) -> Result<(), ItemError> {
    let told = |e| failed("the line cannot be appended", &e);
    let path = Path::new(path);
    let directory = real_path_beneath(cx.root(), path.parent().unwrap_or(Path::new("/"))).map_err(told)?;
    let file = directory.join(path.file_name().unwrap_or_default());
    let file = OpenOptions::new().append(true).create(true).open(file);
    cx.touched();
    file.and_then(|mut file| file.write_all(b"noted\n")).map_err(told)
}

/// A file is made, and can be seen to be there.
#[derive(Deserialize, JsonSchema, Properties)]
struct Made {
    /// Absolute path of the file.
    #[rectify(identity, touch = "path")]
    #[schemars(regex(pattern = "^/"))]
    path: String,
}

struct Maker;

impl Action for Maker {
    type Properties = Made;
    const TYPE: &'static str = "typed.made";
    const HAS_GUARD: bool = true;
    const HAS_UNDO: bool = true;

    fn done(&self, cx: &Context, made: &Made) -> Result<bool, ItemError> {
        Ok(cx.read_file(&made.path, MAX_BYTES)?.is_some())
    }

    fn run(&self, cx: &Context, made: &Made) -> Result<Option<Output>, ItemError> {
        cx.write_file(&made.path, b"", 0o644).map(|()| None)
    }

    fn undo(&self, cx: &Context, made: &Made) -> Result<Option<Output>, ItemError> {
        cx.remove_file(&made.path).map(|()| None)
    }
}

/// Whether a file has as many lines as each of these.
#[derive(Deserialize, JsonSchema, Properties)]
struct Lines {
    /// Paths, and how many lines each has.
    #[schemars(extend("minProperties" = 1))]
    files: BTreeMap<String, u32>,
}

struct Counting;

impl Probe for Counting {
    type Properties = Lines;
    const TYPE: &'static str = "typed.lines";

    fn ask(&self, cx: &Context, lines: &Lines) -> Result<Answer, ItemError> {
        for (path, wanted) in &lines.files {
            let text = cx.read_file(path, MAX_BYTES)?.map_or(Ok(String::new()), |file| file.public_text())?;
            let count = text.lines().count();
            if u32::try_from(count).ok() != Some(*wanted) {
                return Ok(Answer { yes: false, sentence: format!("{path} has {count} lines") });
            }
        }
        Ok(Answer { yes: true, sentence: "all are as long as they should be".into() })
    }
}

fn main() -> ExitCode {
    rectify_sdk::serve(
        Types::new("typed", env!("CARGO_PKG_VERSION"))
            .resource(Texts)
            .resource(Keys)
            .action(Notes)
            .action(Maker)
            .probe(Counting),
    )
}
