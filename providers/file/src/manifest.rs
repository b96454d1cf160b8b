//! The manifest: what the types are called, which properties they have, and what is promised.

use crate::desired::DEFAULT_MARKER;
use rectify_sdk::{
    base::TypeName,
    protocol::{
        Manifest, TypeDescriptor, VERSION,
        manifest::{FORMAT, ProtocolRange, TouchRule},
    },
};
use serde_json::{Map, Value, json};

/// Version of every type's schema and state.
const TYPE_VERSION: u32 = 1;
/// Longest time for a look at one path, in milliseconds.
const READ_TIMEOUT_MS: u64 = 30_000;
/// Longest time for one change, in milliseconds: a candidate's judge may take a minute.
const APPLY_TIMEOUT_MS: u64 = 120_000;

/// The manifest of this version.
pub(crate) fn manifest() -> Manifest {
    let mut types: Vec<TypeDescriptor> = [
        absent(),
        block(),
        content(),
        directory(),
        ini(),
        line(),
        link(),
        tree("file.json", "A value in a JSON file is as written, or is not there.", "as in `\"0.5\"`"),
        tree(
            "file.toml",
            "A value in a TOML file is as written, or is not there.",
            "as in `\"0.5\"` or `\"2026-01-31\"`",
        ),
        tree("file.yaml", "A value in a YAML file is as written, or is not there.", "as in `\"0.5\"`"),
    ]
    .into_iter()
    .flatten()
    .collect();
    types.sort_by(|a, b| a.name.cmp(&b.name));
    Manifest {
        format: FORMAT.into(),
        name: "file".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        types,
    }
}

fn descriptor(name: &str, summary: &str, schema: Value) -> Option<TypeDescriptor> {
    Some(TypeDescriptor {
        name: TypeName::new(name).ok()?,
        version: TYPE_VERSION,
        kind: "resource".into(),
        summary: summary.into(),
        schema,
        volatile: vec!["/content/text".into(), "/entries/names".into()],
        touches: vec![TouchRule { property: "/path".into(), kind: "path".into(), access: "write".into() }],
        prediction: "exact".into(),
        retry: "converge".into(),
        undo: "exact".into(),
        compare_and_swap: true,
        read_timeout_ms: READ_TIMEOUT_MS,
        apply_timeout_ms: APPLY_TIMEOUT_MS,
    })
}

/// A closed object of these properties.
fn object(required: &[&str], groups: &[Value]) -> Value {
    let mut properties = Map::new();
    for group in groups {
        if let Value::Object(group) = group {
            properties.extend(group.clone());
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false
    })
}

fn path() -> Value {
    json!({"path": {
        "type": "string",
        "pattern": "^(/([^/.]|\\.[^/.]|\\.\\.[^/])[^/]*)+$",
        "maxLength": 4095,
        "description": "Absolute path on the target, without `.`, `..`, empty parts or a slash at the end."
    }})
}

fn access(new_mode: &str, what: &str) -> Value {
    json!({
        "mode": {
            "type": "string",
            "pattern": "^0[0-7]{3,4}$",
            "description": format!(
                "Permission bits in octal, in quotes, as in `0640`. Left out: kept as they are; a new {what} gets {new_mode}."
            )
        },
        "owner": {
            "type": "string",
            "minLength": 1,
            "description": format!(
                "User that owns the {what}: a name in the target's own etc/passwd, or a number in quotes. Left out: kept; a new {what} belongs to the owner of the target's root directory, and on a whole machine to root."
            )
        },
        "group": {
            "type": "string",
            "minLength": 1,
            "description": format!(
                "Group of the {what}: a name in the target's own etc/group, or a number in quotes. Left out: kept; a new {what} gets that of the target's root directory, and on a whole machine group 0, even in a directory that hands its group down."
            )
        }
    })
}

fn validate() -> Value {
    json!({"validate": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 2,
        "description": "Command (no shell) that judges a new content before it replaces the old one, with `%s` for the path of the candidate; any exit code but 0 refuses it. It has 60 s and an empty environment. Not asked when only mode, owner or group change."
    }})
}

fn edit_position(what: &str) -> Value {
    json!({
        "position": {
            "enum": ["end", "beginning", "after", "before"],
            "default": "end",
            "description": format!(
                "Where the {what} is inserted if it is not there yet: at the end, at the beginning, after the last or before the first line that matches `anchor`."
            )
        },
        "anchor": {
            "type": "string",
            "minLength": 1,
            "description": "Regular expression for position `after` or `before`. If no line matches, the step is refused."
        },
        "state": state(what),
        "create": create()
    })
}

fn content() -> Option<TypeDescriptor> {
    let mut schema = object(
        &["path"],
        &[
            path(),
            json!({
                "content": {
                    "type": "string",
                    "x-rectify-secret": true,
                    "description": "The whole content, as text. Either this or `content_base64`."
                },
                "content_base64": {
                    "type": "string",
                    "pattern": "^[A-Za-z0-9+/]*={0,2}$",
                    "description": "The whole content, in base64 with padding, for what is no text."
                }
            }),
            access("0644", "file"),
            validate(),
        ],
    );
    if let Some(object) = schema.as_object_mut() {
        object.insert("oneOf".into(), json!([{"required": ["content"]}, {"required": ["content_base64"]}]));
    }
    descriptor("file.content", "A regular file has exactly this content.", schema)
}

fn line() -> Option<TypeDescriptor> {
    let schema = object(
        &["path"],
        &[
            path(),
            json!({
                "match": {
                    "type": "string",
                    "minLength": 1,
                    "description": "Regular expression for the lines that are meant, without their line ending. A line that equals `line` is always meant, too."
                },
                "line": {
                    "type": "string",
                    "x-rectify-secret": true,
                    "pattern": "^[^\\r\\n]*$",
                    "description": "The line, taken literally. Needed unless `state` is `absent` and `match` is given."
                },
                "occurrence": {
                    "enum": ["last", "first", "all"],
                    "default": "last",
                    "description": "Which line is replaced if several are meant: the last or the first, while the others stay; or `all`: the first is replaced and the others are removed."
                }
            }),
            edit_position("line"),
            access("0644", "file"),
            validate(),
        ],
    );
    descriptor("file.line", "One line of a file is as written, or is not there.", schema)
}

fn block() -> Option<TypeDescriptor> {
    let schema = object(
        &["path"],
        &[
            path(),
            json!({
                "marker": {
                    "type": "string",
                    "pattern": "^[^\\r\\n]*\\{mark\\}[^\\r\\n]*$",
                    "default": DEFAULT_MARKER,
                    "description": "The lines around the block; `{mark}` stands for BEGIN and END. Two blocks of one file need two markers."
                },
                "block": {
                    "type": "string",
                    "x-rectify-secret": true,
                    "default": "",
                    "description": "The lines between the markers. They end as the lines of the file do."
                }
            }),
            edit_position("block"),
            access("0644", "file"),
            validate(),
        ],
    );
    descriptor("file.block", "Some lines between two marker lines are as written, or are not there.", schema)
}

fn state(what: &str) -> Value {
    json!({
        "enum": ["present", "absent"],
        "default": "present",
        "description": format!("Whether the {what} should be there.")
    })
}

fn create() -> Value {
    json!({
        "type": "boolean",
        "default": false,
        "description": "Make the file if it does not exist. Otherwise that is an error."
    })
}

/// Either one place in the step itself, or several below `edits`. What is by default so does not
/// stand in the schema where it would stand beside `edits`.
fn one_or_several(one: Value, others: &[Value], required: &str) -> Value {
    let mut outer = one.clone();
    for property in outer.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(members) = property.as_object_mut() {
            members.remove("default");
        }
    }
    let edits = json!({"edits": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "required": [required],
            "properties": one,
            "additionalProperties": false
        },
        "description": "Several edits of the file, each with the properties above; none may be within another."
    }});
    let mut groups = vec![path(), outer, edits];
    groups.extend(others.iter().cloned());
    groups.extend([json!({"create": create()}), access("0644", "file"), validate()]);
    let mut schema = object(&["path"], &groups);
    if let Some(object) = schema.as_object_mut() {
        object.insert("oneOf".into(), json!([{"required": [required]}, {"required": ["edits"]}]));
    }
    schema
}

fn ini() -> Option<TypeDescriptor> {
    let one = json!({
        "key": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {"type": "string", "minLength": 1},
            "description": "Section and option; an option alone stands before the first section."
        },
        "value": {
            "type": ["string", "integer", "boolean", "array"],
            "x-rectify-secret": true,
            "items": {"type": ["string", "integer", "boolean"]},
            "minItems": 1,
            "description": "What stands after the delimiter, on one line. A list is exactly these lines of the key, in this order. With state `absent`: only lines with this value go."
        },
        "state": state("option"),
        "keep_others": {
            "type": "boolean",
            "default": false,
            "description": "Keep lines of the same key with other values, and add to them."
        }
    });
    let dialect = json!({
        "delimiter": {
            "type": "string",
            "pattern": "^[ \\t]*[=:][ \\t]*$",
            "default": "=",
            "description": "What separates key and value, `=` or `:`. The blanks around it are for a file that shows none; otherwise a new line is written as the one before."
        },
        "continuation": {
            "enum": ["backslash", "indent", "none"],
            "default": "backslash",
            "description": "Which lines continue a value: those after a backslash, those that begin deeper, or none."
        },
        "inline_comments": {
            "type": "boolean",
            "default": false,
            "description": "A blank and `#` or `;` after a value begin a comment, which stays."
        },
        "uncomment": {
            "type": "boolean",
            "default": true,
            "description": "Put an option that is not there where it stands commented out, as in `#Storage=auto`, instead of adding a line."
        },
        "ignore_case": {
            "type": "boolean",
            "default": false,
            "description": "Sections and options are the same whatever the case of their letters a to z."
        }
    });
    let schema = one_or_several(one, &[dialect], "key");
    descriptor("file.ini", "An option in a section of a file is as written, or is not there.", schema)
}

fn tree(name: &str, summary: &str, literal: &str) -> Option<TypeDescriptor> {
    let one = json!({
        "key": {
            "type": "array",
            "minItems": 1,
            "maxItems": 64,
            "items": {"type": ["string", "integer"], "minLength": 1, "minimum": 0},
            "description": "The way to the value, from the top: a text is the key of a mapping, a number the item of a list, from 0."
        },
        "value": {
            "x-rectify-secret": true,
            "description": "The value: a text, an integer, true or false, null if the format has it, a list or a mapping."
        },
        "literal": {
            "type": "string",
            "minLength": 1,
            "pattern": "^[^\\r\\n]+$",
            "description": format!("The value in the file's own spelling, on one line, in quotes: for what `value` lacks, {literal}.")
        },
        "state": state("value")
    });
    descriptor(name, summary, one_or_several(one, &[], "key"))
}

fn directory() -> Option<TypeDescriptor> {
    let schema = object(&["path"], &[path(), access("0755", "directory")]);
    descriptor(
        "file.directory",
        "A directory exists. The directory above it must exist, or be made by an earlier step.",
        schema,
    )
}

fn link() -> Option<TypeDescriptor> {
    let target = json!({"target": {
        "type": "string",
        "minLength": 1,
        "maxLength": 4095,
        "description": "What the link says, taken literally: relative to the link's directory, or absolute. It need not exist."
    }});
    let schema = object(&["path", "target"], &[path(), target]);
    descriptor("file.link", "A symbolic link leads to this target.", schema)
}

fn absent() -> Option<TypeDescriptor> {
    let recursive = json!({"recursive": {
        "type": "boolean",
        "default": false,
        "description": "Remove a directory with all that it holds, which cannot be undone. Otherwise a directory that is not empty is an error."
    }});
    let schema = object(&["path"], &[path(), recursive]);
    descriptor(
        "file.absent",
        "Nothing is at the path. A link itself is removed, never what it leads to.",
        schema,
    )
}
