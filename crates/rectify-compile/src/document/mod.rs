//! Trees as typed documents: one module a kind.

pub(crate) mod inventory;
pub(crate) mod module;
pub(crate) mod parameter;
pub(crate) mod project;
pub(crate) mod remediation;
pub(crate) mod secret;
pub(crate) mod step;

use crate::{
    codes,
    fields::{Known, short},
    report::Cx,
    suggest::closest,
    tree::{Content, Node},
};

/// The only version so far.
const API_VERSION: &str = "rectify/v1";

/// Kinds of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Project,
    Remediation,
    Module,
    Inventory,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Project => "Project",
            Self::Remediation => "Remediation",
            Self::Module => "Module",
            Self::Inventory => "Inventory",
        }
    }

    /// The kind that belongs at a path, if the path is that of a source file; the error is the
    /// reason why a file like this is not read.
    pub fn of_path(path: &str) -> Option<Result<Self, &'static str>> {
        if path == "rectify.yaml" {
            return Some(Ok(Self::Project));
        }
        if path == "rectify.yml" {
            return Some(Err("the project file is `rectify.yaml`"));
        }
        let (directory, name) = path.split_once('/')?;
        let kind = match directory {
            "remediations" => Self::Remediation,
            "inventory" => Self::Inventory,
            "modules" => Self::Module,
            _ => return None,
        };
        if name.ends_with(".yml") {
            return Some(Err("source files end in `.yaml`"));
        }
        if !name.ends_with(".yaml") {
            return None;
        }
        Some(if name.contains('/') { Err("source files are not read from subdirectories") } else { Ok(kind) })
    }
}

/// Checks `apiVersion` and `kind`; false if the rest would be read wrongly.
pub(crate) fn header(root: &Node<'_>, expected: Kind, cx: &mut Cx<'_, '_>) -> bool {
    let Content::Map(entries) = &root.content else {
        cx.error(
            codes::PROJECT_WRONG_TYPE,
            root.span,
            format!("a source file is a mapping, but there is {}", root.what()),
        )
        .help = Some(format!("begin with `apiVersion: {API_VERSION}` and `kind: {}`", expected.name()));
        return false;
    };
    let field = |name: &str| entries.iter().find(|e| e.key == name);
    let word = |node: &Node<'_>| match &node.content {
        Content::Scalar(scalar) => scalar.text.to_string(),
        _ => node.what().to_owned(),
    };
    for (name, value) in [("apiVersion", API_VERSION), ("kind", expected.name())] {
        if field(name).is_none() {
            // A misspelt one is reported as an unknown field with this repair.
            let near = entries.iter().any(|e| closest(&e.key, [name]).is_some());
            if !near {
                cx.error(
                    codes::PROJECT_MISSING_FIELD,
                    root.span,
                    format!("the file needs `{name}: {value}`"),
                );
            }
        }
    }
    if let Some(entry) = field("apiVersion") {
        let got = word(&entry.value);
        if got != API_VERSION {
            cx.error(
                codes::PROJECT_API_VERSION,
                entry.value.span,
                format!("this release does not read `{}`", short(&got)),
            )
            .help = Some(format!("expected `{API_VERSION}`"));
            return false;
        }
    }
    if let Some(entry) = field("kind") {
        let got = word(&entry.value);
        if got != expected.name() {
            cx.error(
                codes::PROJECT_KIND,
                entry.value.span,
                format!("a file at this path is a `{}`, not a `{}`", expected.name(), short(&got)),
            )
            .help = Some(
                "projects are in `rectify.yaml`, remediations in `remediations/`, modules in `modules/`, \
                 inventories in `inventory/`"
                    .into(),
            );
            return false;
        }
    }
    true
}

const METADATA: Known = Known::new("`metadata`", &["name", "labels"]);

/// The first two fields of each document.
#[cfg(feature = "schema")]
fn header_schema(field: &str, kind: Kind) -> serde_json::Value {
    let (value, description) = match field {
        "apiVersion" => (API_VERSION, "Version of the language."),
        _ => (kind.name(), "What the file holds."),
    };
    crate::editor::described(serde_json::json!({"const": value}), description)
}
