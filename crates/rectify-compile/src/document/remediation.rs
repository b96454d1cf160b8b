//! `remediations/*.yaml`.

use super::{
    Kind, METADATA, header, parameter,
    step::{self, Steps},
};
use crate::{
    codes,
    expression::Parameters,
    fields::{self, Fields, Known},
    limits::WITHIN_MAX_S,
    report::Cx,
    tree::{Content, Entry, Node, Span},
};
use rectify_base::RemediationName;
use rectify_model::graph::{Because, RemediationInfo, UndoMode};
#[cfg(feature = "schema")]
use serde_json::Value;

const REMEDIATION: Known = Known {
    what: "a remediation",
    fields: &[
        "apiVersion",
        "kind",
        "metadata",
        "because",
        "parameters",
        "targets",
        "steps",
        "verify",
        "undo",
    ],
    reserved: &["secrets", "modules", "triggers", "handlers"],
};
const BECAUSE: Known = Known::new("`because`", &["id", "text"]);
const TARGETS: Known =
    Known { what: "`targets`", fields: &["select"], reserved: &["for_each", "names", "waves"] };
const GATE: Known = Known { what: "a gate", fields: &["within"], reserved: &["when", "for_each"] };

/// A remediation as it was written.
#[derive(Debug)]
pub(crate) struct Remediation<'t, 's> {
    pub file: &'t str,
    pub name: RemediationName,
    pub name_span: Span,
    pub info: RemediationInfo,
    pub parameters: Parameters,
    /// The selection: a scalar that is an expression as a whole.
    pub select: Option<&'t Node<'s>>,
    pub steps: Steps<'t, 's>,
    pub gates: Vec<Gate<'t, 's>>,
}

/// A `verify` entry as it was written.
#[derive(Debug)]
pub(crate) struct Gate<'t, 's> {
    /// Its place in the list.
    pub index: usize,
    pub span: Span,
    pub call: &'t Entry<'s>,
    pub within_s: u32,
}

/// Reads a remediation.
pub(crate) fn read<'t, 's>(
    root: &'t Node<'s>,
    file: &'t str,
    cx: &mut Cx<'_, '_>,
) -> Option<Remediation<'t, 's>> {
    if !header(root, Kind::Remediation, cx) {
        return None;
    }
    let fields = Fields::read(root, root.span, &REMEDIATION, cx)?;
    let metadata =
        fields.require("metadata", cx).and_then(|e| Fields::read(&e.value, e.key_span, &METADATA, cx));
    let name = metadata.and_then(|metadata| {
        let name = metadata.require("name", cx)?;
        let text = fields::text(&name.value, "the name of a remediation", cx)?;
        Some((fields::name::<RemediationName>(text, name.value.span, cx)?, name.value.span))
    });
    let labels = metadata
        .and_then(|m| m.get("labels"))
        .map(|e| fields::labels(&e.value, "`labels`", cx))
        .unwrap_or_default();
    let because = fields.get("because").and_then(|e| because(e, cx));
    let undo = match fields.get("undo") {
        None => UndoMode::default(),
        Some(e) => match fields::word(&e.value, "`undo`", &["auto", "manual"], cx) {
            Some("auto") => UndoMode::Auto,
            _ => UndoMode::Manual,
        },
    };
    let parameters = fields.get("parameters").map(|e| parameter::read(&e.value, cx)).unwrap_or_default();
    let select = fields.require("targets", cx).and_then(|e| {
        let targets = Fields::read(&e.value, e.key_span, &TARGETS, cx)?;
        let select = targets.require("select", cx)?;
        match &select.value.content {
            Content::Scalar(s) if !s.text.is_empty() => Some(&select.value),
            _ => {
                fields::wrong(&select.value, "an expression over `target`", cx);
                None
            }
        }
    });
    let steps = fields.require("steps", cx).map(|e| step::read(e, cx)).unwrap_or_default();
    let gates = fields.get("verify").map(|e| gates(e, cx)).unwrap_or_default();
    let (name, name_span) = name?;
    let info = RemediationInfo { because, labels, undo };
    Some(Remediation { file, name, name_span, info, parameters, select, steps, gates })
}

fn because(entry: &Entry<'_>, cx: &mut Cx<'_, '_>) -> Option<Because> {
    let fields = Fields::read(&entry.value, entry.key_span, &BECAUSE, cx)?;
    let mut part =
        |name: &str| fields.get(name).and_then(|e| fields::text(&e.value, "a reason", cx)).map(str::to_owned);
    let because = Because { id: part("id"), text: part("text") };
    Some(because)
}

fn gates<'t, 's>(list: &'t Entry<'s>, cx: &mut Cx<'_, '_>) -> Vec<Gate<'t, 's>> {
    let items = fields::items(&list.value, "`verify`", cx).unwrap_or_default();
    items.iter().enumerate().filter_map(|(index, node)| gate(index, node, cx)).collect()
}

fn gate<'t, 's>(index: usize, node: &'t Node<'s>, cx: &mut Cx<'_, '_>) -> Option<Gate<'t, 's>> {
    let members = fields::entries(node, "a gate", cx)?;
    let call = step::call(members, node.span, &GATE, cx);
    let within_s = match members.iter().find(|e| e.key == "within") {
        None => Some(0),
        Some(entry) => within(&entry.value, cx),
    };
    let call = call?;
    Some(Gate { index, span: call.key_span, call, within_s: within_s? })
}

fn within(node: &Node<'_>, cx: &mut Cx<'_, '_>) -> Option<u32> {
    let text = fields::text(node, "`within`", cx)?;
    let seconds = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(digits), _) => count(digits),
        (None, Some(digits)) => count(digits).and_then(|n| n.checked_mul(60)),
        (None, None) => None,
    };
    let seconds = seconds.filter(|s| *s <= WITHIN_MAX_S);
    if seconds.is_none() {
        cx.error(
            codes::PROJECT_VALUE,
            node.span,
            format!("`{}` is not a duration of up to an hour", fields::short(text)),
        )
        .help = Some("expected such as `30s` or `5m`".into());
    }
    seconds
}

fn count(digits: &str) -> Option<u32> {
    crate::scalar::integer(digits).and_then(|n| u32::try_from(n).ok())
}

/// What [`read`] takes, for editors, with the properties of these types.
#[cfg(feature = "schema")]
pub(crate) fn schema(types: &[&rectify_protocol::TypeDescriptor]) -> Value {
    use crate::editor::{LITERAL, call, described, labels, name, properties, text, with};
    use serde_json::json;

    let metadata = METADATA.schema(&["name"], |field| match field {
        "name" => described(name::<RemediationName>(), "Name of the remediation, unique in its project."),
        _ => labels(),
    });
    let because = BECAUSE.schema(&[], |field| match field {
        "id" => described(text(), "A reference, such as a CVE number or a ticket."),
        _ => described(text(), "One sentence."),
    });
    let targets = TARGETS.schema(&["select"], |_| {
        let select = json!({"type": ["string", "boolean"], "minLength": 1, "pattern": LITERAL});
        described(select, "Expression over `target`, such as `target.labels.role == \"web\"`.")
    });
    let gate = GATE.schema(&[], |_| {
        let pattern = "^(0|[1-9][0-9]*)[sm]$";
        described(
            json!({"type": "string", "pattern": pattern}),
            "How long it is retried, such as `30s`; at most an hour.",
        )
    });
    let gate = call(gate, types, |kind| kind == "probe");
    let root =
        REMEDIATION.schema(&["apiVersion", "kind", "metadata", "targets", "steps"], |field| match field {
            "metadata" => described(metadata.clone(), "What the remediation is called."),
            "because" => described(because.clone(), "Why it exists."),
            "parameters" => parameter::schema(&["type", "default"]),
            "targets" => described(targets.clone(), "Where it applies."),
            "steps" => step::schema(types),
            "verify" => {
                described(json!({"type": "array", "items": gate}), "Probes that must hold after the steps.")
            }
            "undo" => described(
                json!({"enum": ["auto", "manual"], "default": "manual"}),
                "What happens to finished steps when a later step or a gate fails.",
            ),
            header => super::header_schema(header, Kind::Remediation),
        });
    with(root, "$defs", Value::Object(properties(types)))
}
