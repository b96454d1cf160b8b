//! `modules/*.yaml`: steps with parameters, to be called by others.

use super::{
    Kind, METADATA, header,
    parameter::{self, Definitions},
    step::{self, Steps},
};
use crate::{
    fields::{self, Fields, Known},
    report::Cx,
    tree::{Entry, Node, Span},
};
use rectify_base::ModuleName;

const MODULE: Known = Known {
    what: "a module",
    fields: &["apiVersion", "kind", "metadata", "parameters", "steps", "outputs"],
    reserved: &["verify", "secrets", "modules", "triggers"],
};

/// A module as it was written.
#[derive(Debug)]
pub(crate) struct Module<'t, 's> {
    pub file: &'t str,
    pub name: ModuleName,
    pub name_span: Span,
    pub parameters: Definitions,
    pub steps: Steps<'t, 's>,
    /// What it tells its caller, by name.
    pub outputs: Vec<&'t Entry<'s>>,
}

/// Reads a module.
pub(crate) fn read<'t, 's>(root: &'t Node<'s>, file: &'t str, cx: &mut Cx<'_, '_>) -> Option<Module<'t, 's>> {
    if !header(root, Kind::Module, cx) {
        return None;
    }
    let fields = Fields::read(root, root.span, &MODULE, cx)?;
    let name = fields.require("metadata", cx).and_then(|e| {
        let metadata = Fields::read(&e.value, e.key_span, &METADATA, cx)?;
        let name = metadata.require("name", cx)?;
        let text = fields::text(&name.value, "the name of a module", cx)?;
        Some((fields::name::<ModuleName>(text, name.value.span, cx)?, name.value.span))
    });
    let parameters = fields.get("parameters").map(|e| parameter::define(&e.value, cx)).unwrap_or_default();
    let steps = fields.require("steps", cx).map(|e| step::read(e, cx)).unwrap_or_default();
    let outputs = fields.get("outputs").and_then(|e| fields::entries(&e.value, "`outputs`", cx));
    let (name, name_span) = name?;
    let outputs = outputs.unwrap_or_default().iter().collect();
    Some(Module { file, name, name_span, parameters, steps, outputs })
}

/// What [`read`] takes, for editors, with the properties of these types.
#[cfg(feature = "schema")]
pub(crate) fn schema(types: &[&rectify_protocol::TypeDescriptor]) -> serde_json::Value {
    use crate::editor::{described, labels, name, properties, with};
    use serde_json::{Value, json};

    let metadata = METADATA.schema(&["name"], |field| match field {
        "name" => described(name::<ModuleName>(), "Name of the module, unique in its project."),
        _ => labels(),
    });
    let root = MODULE.schema(&["apiVersion", "kind", "metadata", "steps"], |field| match field {
        "metadata" => described(metadata.clone(), "What the module is called."),
        "parameters" => parameter::schema(&["type"]),
        "steps" => step::schema(types),
        "outputs" => {
            described(json!({"type": "object"}), "Values that the caller sees as `outputs.STEP`, by name.")
        }
        header => super::header_schema(header, Kind::Module),
    });
    with(root, "$defs", Value::Object(properties(types)))
}
