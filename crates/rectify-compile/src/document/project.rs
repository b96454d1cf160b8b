//! `rectify.yaml`.

use super::{
    Kind, METADATA, header,
    secret::{self, Secrets},
};
use crate::{
    codes,
    fields::{self, Fields, Known},
    limits::{CHANGES_MAX, PARALLEL_STEPS_MAX},
    project::ProjectSettings,
    report::Cx,
    tree::Node,
};
use rectify_model::graph::RunLimits;

const PROJECT: Known = Known {
    what: "a project",
    fields: &["apiVersion", "kind", "metadata", "limits", "policies", "secrets"],
    reserved: &["modules", "providers"],
};
const LIMITS: Known = Known::new("`limits`", &["parallel_steps", "changes_max"]);
const DEFAULT_LIMITS: RunLimits = RunLimits { parallel_steps: 4, changes_max: 1000 };
/// The bundle that every installation has.
const STANDARD: &str = "standard";

/// Reads the project file.
pub(crate) fn read<'t, 's>(
    root: &'t Node<'s>,
    cx: &mut Cx<'_, '_>,
) -> Option<(ProjectSettings, Secrets<'t, 's>)> {
    if !header(root, Kind::Project, cx) {
        return None;
    }
    let fields = Fields::read(root, root.span, &PROJECT, cx)?;
    let name = fields.require("metadata", cx).and_then(|entry| {
        let metadata = Fields::read(&entry.value, entry.key_span, &METADATA, cx)?;
        let name = metadata.require("name", cx)?;
        fields::name(fields::text(&name.value, "the name of a project", cx)?, name.value.span, cx)
    });
    let limits = fields.get("limits").map_or(Some(DEFAULT_LIMITS), |entry| {
        let fields = Fields::read(&entry.value, entry.key_span, &LIMITS, cx)?;
        let mut bound = |name: &'static str, default: u32, max: i64| match fields.get(name) {
            None => Some(default),
            Some(entry) => u32::try_from(fields::integer(&entry.value, name, 1, max, cx)?).ok(),
        };
        let parallel_steps = bound("parallel_steps", DEFAULT_LIMITS.parallel_steps, PARALLEL_STEPS_MAX);
        let changes_max = bound("changes_max", DEFAULT_LIMITS.changes_max, CHANGES_MAX);
        Some(RunLimits { parallel_steps: parallel_steps?, changes_max: changes_max? })
    });
    let policies = match fields.get("policies") {
        None => vec![STANDARD.to_owned()],
        Some(entry) => {
            let items = fields::items(&entry.value, "`policies`", cx)?;
            let bundles: Vec<String> = items.iter().filter_map(|node| bundle(node, cx)).collect();
            if items.is_empty() {
                cx.error(codes::PROJECT_VALUE, entry.key_span, "a project needs a policy bundle").help =
                    Some("name `standard`, or a directory of your own".into());
            }
            bundles
        }
    };
    let secrets = fields.get("secrets").map(|entry| secret::read(entry, cx)).unwrap_or_default();
    Some((ProjectSettings { name: name?, limits: limits?, policies }, secrets))
}

fn bundle(node: &Node<'_>, cx: &mut Cx<'_, '_>) -> Option<String> {
    let text = fields::text(node, "a policy bundle", cx)?;
    if !is_below_project(text) {
        cx.error(
            codes::PROJECT_VALUE,
            node.span,
            format!("`{}` is not below the project", fields::short(text)),
        )
        .help = Some("name `standard`, or a directory relative to the project, without `..`".into());
        return None;
    }
    Some(text.to_owned())
}

/// Whether a path is relative, and cannot lead out of the project.
fn is_below_project(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// What [`read`] takes, for editors.
#[cfg(feature = "schema")]
pub(crate) fn schema() -> serde_json::Value {
    use crate::editor::{described, labels, name, spelt};
    use serde_json::json;

    let metadata = METADATA.schema(&["name"], |field| match field {
        "name" => described(name::<rectify_base::ProjectName>(), "Name of the project."),
        _ => labels(),
    });
    let limits = LIMITS.schema(&[], |field| {
        let (description, default, max) = match field {
            "parallel_steps" => (
                "Most steps in flight at once on one target.",
                DEFAULT_LIMITS.parallel_steps,
                PARALLEL_STEPS_MAX,
            ),
            _ => ("Most changes that one plan may hold.", DEFAULT_LIMITS.changes_max, CHANGES_MAX),
        };
        let bounds = json!({"type": "integer", "minimum": 1, "maximum": max, "default": default});
        described(bounds, description)
    });
    let bundle = spelt("^(?!\\.{1,2}(/|$))[^/]+(/(?!\\.{1,2}(/|$))[^/]+)*$");
    PROJECT.schema(&["apiVersion", "kind", "metadata"], |field| match field {
        "metadata" => described(metadata.clone(), "What the project is called."),
        "limits" => described(limits.clone(), "Bounds of a run."),
        "policies" => described(
            json!({"type": "array", "items": bundle, "minItems": 1, "default": [STANDARD]}),
            "Policy bundles: `standard`, or directories relative to the project.",
        ),
        "secrets" => secret::schema(),
        header => super::header_schema(header, Kind::Project),
    })
}
