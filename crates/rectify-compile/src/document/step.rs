//! Steps: a type or what stands for it, what orders them, where they are wanted, and how often.

use crate::{
    codes,
    fields::{self, Fields, Known},
    report::Cx,
    tree::{Content, Entry, Node, Span},
};
use rectify_base::StepName;
use std::collections::BTreeSet;

const STEP: Known = Known {
    what: "a step",
    fields: &["after", "on_change", "when", "for_each", "use"],
    reserved: &["with", "each", "secrets", "modules", "retry", "settles"],
};

/// A step that calls a module.
const CALL: Known = Known {
    what: "a call of a module",
    fields: &["use", "after", "when", "for_each"],
    reserved: STEP.reserved,
};
const USE: Known = Known::new("`use`", &["module", "with"]);

/// The steps of a remediation or module.
#[derive(Debug, Default)]
pub(crate) struct Steps<'t, 's> {
    pub list: Vec<Step<'t, 's>>,
    /// Names of steps that are wrong, so that what waits for them is not reported as well.
    pub broken: Vec<&'t str>,
    names: BTreeSet<&'t str>,
    /// Which of them call a module: few, and asked for often.
    calls: Vec<usize>,
}

impl<'t, 's> Steps<'t, 's> {
    /// The steps that call a module.
    pub fn calls(&self) -> impl Iterator<Item = (&Step<'t, 's>, &Use<'t, 's>)> {
        self.calls.iter().filter_map(|index| match self.list.get(*index)? {
            step @ Step { act: Act::Use(call), .. } => Some((step, call)),
            _ => None,
        })
    }

    /// Whether there is a step of this name.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// A step as it was written.
#[derive(Debug)]
pub(crate) struct Step<'t, 's> {
    pub name: StepName,
    pub span: Span,
    pub act: Act<'t, 's>,
    pub after: Vec<Reference<'t>>,
    pub on_change: Vec<Reference<'t>>,
    /// A scalar that is an expression as a whole.
    pub when: Option<&'t Node<'s>>,
    pub for_each: Option<&'t Entry<'s>>,
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Act<'t, 's> {
    /// Key: the type; value: the properties.
    Type(&'t Entry<'s>),
    /// The steps of a module.
    Use(Use<'t, 's>),
}

/// A call of a module.
#[derive(Debug)]
pub(crate) struct Use<'t, 's> {
    pub module: &'t str,
    /// The place of the module's name.
    pub span: Span,
    /// The values of parameters that are given.
    pub with: &'t [Entry<'s>],
}

/// The name of another step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference<'t> {
    pub text: &'t str,
    pub span: Span,
}

/// Reads `steps`.
pub(crate) fn read<'t, 's>(list: &'t Entry<'s>, cx: &mut Cx<'_, '_>) -> Steps<'t, 's> {
    let entries = fields::entries(&list.value, "`steps`", cx);
    if entries.is_some_and(<[_]>::is_empty) {
        cx.error(codes::PROJECT_VALUE, list.key_span, "there must be a step");
    }
    let mut steps = Steps::default();
    for entry in entries.unwrap_or_default() {
        match step(entry, cx) {
            Some(step) => {
                if matches!(step.act, Act::Use(_)) {
                    steps.calls.push(steps.list.len());
                }
                steps.names.insert(entry.key.as_ref());
                steps.list.push(step);
            }
            None => steps.broken.push(entry.key.as_ref()),
        }
    }
    steps
}

fn step<'t, 's>(entry: &'t Entry<'s>, cx: &mut Cx<'_, '_>) -> Option<Step<'t, 's>> {
    let name = fields::name(&entry.key, entry.key_span, cx);
    let members = fields::entries(&entry.value, "a step", cx)?;
    let field = |field: &str| members.iter().find(|e| e.key == field);
    let act = match field("use") {
        None => call(members, entry.key_span, &STEP, cx).map(Act::Type),
        Some(entry) => called(members, entry, cx).map(Act::Use),
    };
    let mut references = |name: &str| {
        let items = field(name).and_then(|e| fields::items(&e.value, "a list of step names", cx));
        let texts = items.unwrap_or_default().iter().filter_map(|n| {
            Some(Reference { text: fields::text(n, "the name of a step", cx)?, span: n.span })
        });
        texts.collect::<Vec<_>>()
    };
    let (after, on_change) = (references("after"), references("on_change"));
    let when = match field("when") {
        None => None,
        Some(entry) => Some(condition(entry, "a condition", cx)?),
    };
    Some(Step {
        name: name?,
        span: entry.key_span,
        act: act?,
        after,
        on_change,
        when,
        for_each: field("for_each"),
    })
}

/// A call of a module: there is no type beside it.
fn called<'t, 's>(
    members: &'t [Entry<'s>],
    entry: &'t Entry<'s>,
    cx: &mut Cx<'_, '_>,
) -> Option<Use<'t, 's>> {
    for member in members {
        if member.key.contains('.') {
            let message =
                format!("a step has one type, or calls a module, but there are `{}` and `use`", member.key);
            cx.error(codes::REMEDIATION_STEP_TYPE, member.key_span, message).help =
                Some("write two entries".into());
        } else {
            fields::unknown(member, &CALL, &[], cx);
        }
    }
    let fields = Fields::read(&entry.value, entry.key_span, &USE, cx)?;
    let module = fields.require("module", cx)?;
    let name = fields::text(&module.value, "the name of a module", cx)?;
    let with = fields.get("with").and_then(|e| fields::entries(&e.value, "`with`", cx));
    Some(Use { module: name, span: module.value.span, with: with.unwrap_or_default() })
}

/// A scalar that is an expression as a whole.
pub(crate) fn condition<'t, 's>(
    entry: &'t Entry<'s>,
    what: &str,
    cx: &mut Cx<'_, '_>,
) -> Option<&'t Node<'s>> {
    let node = &entry.value;
    match &node.content {
        Content::Scalar(s) if s.text.is_empty() => {
            let message = format!("expected {what}, which is an expression, but there is nothing");
            cx.error(codes::PROJECT_WRONG_TYPE, entry.key_span, message);
            None
        }
        Content::Scalar(s) if s.text.trim_start().starts_with("${{") => {
            cx.error(codes::EXPR_NOT_HERE, node.span, format!("{what} is an expression as a whole")).help =
                Some("write it without `${{` and `}}`".into());
            None
        }
        Content::Scalar(_) => Some(node),
        _ => {
            fields::wrong(node, &format!("{what}, which is an expression"), cx);
            None
        }
    }
}

/// The one member whose key is a type; all others must be known fields.
pub(crate) fn call<'t, 's>(
    members: &'t [Entry<'s>],
    span: Span,
    known: &Known,
    cx: &mut Cx<'_, '_>,
) -> Option<&'t Entry<'s>> {
    let mut types = members.iter().filter(|e| e.key.contains('.'));
    let (first, second) = (types.next(), types.next());
    for entry in members.iter().filter(|e| !e.key.contains('.')) {
        fields::unknown(entry, known, &[], cx);
    }
    if let (Some(first), Some(second)) = (first, second) {
        cx.error(
            codes::REMEDIATION_STEP_TYPE,
            second.key_span,
            format!("{} has one type, but there are `{}` and `{}`", known.what, first.key, second.key),
        )
        .help = Some("write two entries".into());
        return None;
    }
    let misread = members.iter().any(|e| !known.fields.contains(&e.key.as_ref()));
    if first.is_none() && !misread {
        cx.error(codes::REMEDIATION_STEP_TYPE, span, format!("{} needs a type", known.what)).help = Some(
            "write `<type>: {properties}`, such as `file.content: {path: /etc/motd, content: hello}`".into(),
        );
    }
    first
}

/// What [`read`] takes, for editors, with the properties of these types.
#[cfg(feature = "schema")]
pub(crate) fn schema(types: &[&rectify_protocol::TypeDescriptor]) -> serde_json::Value {
    use crate::editor::{LITERAL, TYPE_NAME, call, described, mapping, name, text, with};
    use serde_json::json;

    let step = STEP.schema(&[], |field| match field {
        "when" => described(
            json!({"type": ["string", "boolean"], "minLength": 1, "pattern": LITERAL}),
            "Expression that says where the step is wanted, such as `params.banner`.",
        ),
        "for_each" => described(
            json!({"anyOf": [
                {"type": "array", "items": {"type": ["string", "number", "boolean"]}},
                {"type": "object"},
                {"type": "string", "pattern": "^\\$\\{\\{"},
            ]}),
            "A list of texts or a mapping: the step is taken once for each, and sees `each.key` and `each.value`.",
        ),
        "use" => described(
            USE.schema(&["module"], |field| match field {
                "module" => described(name::<rectify_base::ModuleName>(), "Name of the module."),
                _ => described(json!({"type": "object"}), "Values of its parameters, by name."),
            }),
            "Takes the steps of a module here, in place of a type.",
        ),
        field => {
            let description = match field {
                "after" => "Steps that come before this one.",
                _ => "Steps that come before this one; it acts only if one of them changes something.",
            };
            described(json!({"type": "array", "items": text()}), description)
        }
    });
    let step = call(step, types, |kind| kind != "probe" && kind != "fact");
    // A call has no type beside it, and no trigger.
    let called = json!({"properties": {"on_change": false}, "patternProperties": {TYPE_NAME: false}});
    let step = with(step, "dependentSchemas", json!({"use": called}));
    let steps = with(mapping(&name::<StepName>(), step), "minProperties", 1.into());
    described(steps, "What is done, by name. Order in the file means nothing.")
}
