//! `secrets` of the project: names, and where the engine finds the values.

use crate::{
    codes,
    fields::{self, Fields, Known, short},
    report::Cx,
    tree::{Entry, Node, Span},
};
use rectify_base::SecretName;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::LazyLock};

const SECRET: Known = Known::new("a secret", &["from", "keep_newline", "description"]);
const FROM: Known = Known::new("a source", &["file", "env", "fd", "command"]);
const COMMAND_WORDS_MAX: usize = 64;

/// How `from` is read; its texts may hold expressions over `target`.
static SHAPE: LazyLock<Value> = LazyLock::new(|| {
    json!({"properties": {
        "file": {"type": "string"},
        "env": {"type": "string"},
        "fd": {"type": "integer"},
        "command": {"type": "array", "items": {"type": "string"}},
    }})
});

/// What is said of one secret.
#[derive(Debug)]
pub(crate) struct Declaration<'t, 's> {
    /// The mapping with the one source.
    pub from: &'t Node<'s>,
    /// Where the source is written.
    pub span: Span,
    pub keep_newline: bool,
}

/// The secrets of a project. One that is wrong is there without a declaration, so that its uses are
/// not reported as well.
pub(crate) type Secrets<'t, 's> = BTreeMap<SecretName, Option<Declaration<'t, 's>>>;

/// How the source of a secret is read.
pub(crate) fn shape() -> &'static Value {
    &SHAPE
}

/// Reads `secrets`.
pub(crate) fn read<'t, 's>(entry: &'t Entry<'s>, cx: &mut Cx<'_, '_>) -> Secrets<'t, 's> {
    let mut secrets = Secrets::new();
    for entry in fields::entries(&entry.value, "`secrets`", cx).unwrap_or_default() {
        match SecretName::new(entry.key.as_ref()) {
            Ok(name) => {
                let declaration = declaration(entry, cx);
                secrets.insert(name, declaration);
            }
            Err(error) => {
                let message = format!("`{}` is not the name of a secret", short(&entry.key));
                cx.error(codes::PROJECT_NAME, entry.key_span, message).help = Some(error.expected.into());
            }
        }
    }
    secrets
}

fn declaration<'t, 's>(entry: &'t Entry<'s>, cx: &mut Cx<'_, '_>) -> Option<Declaration<'t, 's>> {
    let fields = Fields::read(&entry.value, entry.key_span, &SECRET, cx)?;
    if let Some(description) = fields.get("description") {
        fields::text(&description.value, "a description", cx)?;
    }
    let keep_newline = match fields.get("keep_newline") {
        None => false,
        Some(entry) => fields::boolean(&entry.value, "`keep_newline`", cx)?,
    };
    let from = fields.require("from", cx)?;
    let source = Fields::read(&from.value, from.key_span, &FROM, cx)?;
    let given: Vec<&Entry<'_>> = FROM.fields.iter().filter_map(|name| source.get(name)).collect();
    let [one] = given.as_slice() else {
        if given.is_empty() && from.value.children() > 0 {
            // What is there instead was reported as unknown.
            return None;
        }
        cx.error(codes::PROJECT_VALUE, from.key_span, "a secret comes from one source").help =
            Some("say one of `file`, `env`, `fd` and `command`".into());
        return None;
    };
    Some(Declaration { from: &from.value, span: one.value.span, keep_newline })
}

/// Why a source, its expressions evaluated, is none.
pub(crate) fn refuses(source: &Value) -> Option<&'static str> {
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty() && !text.contains('\0'));
    let members = source.as_object()?;
    let (kind, value) = members.iter().next()?;
    match kind.as_str() {
        "file" => {
            let inside = |path: &str| path.split('/').all(|part| !matches!(part, "." | ".."));
            let whole = value.as_str().is_some_and(|path| inside(path) && !path.ends_with('/'));
            (!(text(value) && whole)).then_some("a file is named by its path, without `.` and `..`")
        }
        "env" => {
            let plain = value.as_str().is_some_and(|name| {
                name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                    && !name.starts_with(|c: char| c.is_ascii_digit())
            });
            (!(text(value) && plain))
                .then_some("a variable has letters, digits and `_`, and does not begin with a digit")
        }
        "fd" => (!value.as_u64().is_some_and(|fd| (3..=1023).contains(&fd)))
            .then_some("a descriptor is a number from 3 to 1023"),
        _ => {
            let words = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let absolute = words.first().and_then(Value::as_str).is_some_and(|w| w.starts_with('/'));
            let sound = words.len() <= COMMAND_WORDS_MAX
                && absolute
                && words.iter().all(|w| w.as_str().is_some_and(|w| !w.contains('\0')));
            (!sound).then_some("a command is a list of texts, and its program an absolute path")
        }
    }
}

/// What [`read`] takes, for editors.
#[cfg(feature = "schema")]
pub(crate) fn schema() -> Value {
    use crate::editor::{described, mapping, spelt, text};

    let any_text = || json!({"type": ["string", "number", "boolean"]});

    let one = |field: &str, value: Value, description: &str| {
        json!({
            "type": "object",
            "properties": {field: described(value, description)},
            "required": [field],
            "additionalProperties": false,
        })
    };
    // Each may hold an expression; what it gives is the compiler's to judge.
    let path = spelt("^(?!([\\s\\S]*/)?\\.{1,2}(/|$))[\\s\\S]*[^/]$");
    let variable = spelt("^([A-Za-z_][A-Za-z0-9_]*|[\\s\\S]*\\$\\{\\{[\\s\\S]*)$");
    let program = spelt("^(/|[\\s\\S]*\\$\\{\\{)");
    let words = json!({"type": "array", "prefixItems": [program], "items": any_text(), "minItems": 1, "maxItems": COMMAND_WORDS_MAX});
    let from = json!({"oneOf": [
        one("file", path, "Path of a file that others may not read, absolute or relative to the project."),
        one("env", variable, "Variable of the engine's environment."),
        one("fd", json!({"type": "integer", "minimum": 3, "maximum": 1023}), "Descriptor that the engine was started with."),
        one("command", words, "Command that prints the value. The trust file must list it."),
    ]});
    let secret = SECRET.schema(&["from"], |field| match field {
        "from" => described(from.clone(), "Where the value comes from."),
        "keep_newline" => described(
            json!({"type": "boolean", "default": false}),
            "Whether a newline at the end belongs to the value.",
        ),
        _ => described(text(), "For readers."),
    });
    let key = json!({"pattern": "^[A-Za-z][A-Za-z0-9_]{0,62}$"});
    described(
        mapping(&key, secret),
        "Values that expressions name as `secrets.NAME` and that are never shown.",
    )
}
