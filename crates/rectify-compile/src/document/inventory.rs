//! `inventory/*.yaml`: the targets.

use super::{Kind, header};
use crate::{
    codes,
    fields::{self, Fields, Known},
    project::Connection,
    report::{Cx, Report},
    scalar::{self, Types},
    suggest::closest,
    tree::{Content, Entry, Node, Span},
};
use rectify_base::{GroupName, TargetName};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

const INVENTORY: Known = Known {
    what: "an inventory",
    fields: &["apiVersion", "kind", "metadata", "targets", "groups"],
    reserved: &["secrets"],
};
const METADATA: Known = Known::new("`metadata`", &["name", "labels"]);
const TARGET: Known = Known {
    what: "a target",
    fields: &["environment", "labels", "variables", "connection", "root"],
    reserved: &["facts", "secrets", "ssh"],
};

/// A target as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub file: String,
    pub span: Span,
    pub environment: String,
    pub labels: BTreeMap<String, String>,
    pub variables: Map<String, Value>,
    /// The groups that it is in.
    pub groups: BTreeSet<String>,
    /// Paths of what is wrong in it, so that what names it is not reported as well.
    pub broken: BTreeSet<Vec<String>>,
    pub connection: Connection,
}

/// All inventories together.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub targets: BTreeMap<TargetName, Target>,
    groups: BTreeMap<GroupName, Group>,
    /// Whether it is not known which groups there are, or who is in them.
    groups_broken: bool,
}

/// A group as it was written.
#[derive(Debug)]
struct Group {
    file: String,
    span: Span,
    members: Vec<(String, Span)>,
}

impl Inventory {
    /// Names of the groups there are, if that is known.
    pub fn group_names(&self) -> Option<BTreeSet<String>> {
        (!self.groups_broken).then(|| self.groups.keys().map(ToString::to_string).collect())
    }

    /// Tells the targets in which groups they are, once all files are read. `complete` says whether all
    /// targets are known.
    pub fn gather(&mut self, complete: bool, report: &mut Report) {
        for (name, group) in &self.groups {
            let cx = &mut Cx::new(&group.file, report);
            for (index, (member, span)) in group.members.iter().enumerate() {
                let found = member.parse::<TargetName>().ok().and_then(|m| self.targets.get_mut(&m));
                if group.members.iter().take(index).any(|(other, _)| other == member) {
                    let message = format!("`{}` is in the group `{name}` twice", fields::short(member));
                    cx.error(codes::INVENTORY_DUPLICATE, *span, message).help =
                        Some("remove one of them".into());
                } else if let Some(target) = found {
                    target.groups.insert(name.to_string());
                } else if complete {
                    let names = self.targets.keys().map(TargetName::as_str);
                    cx.misspelt(
                        codes::INVENTORY_UNKNOWN_TARGET,
                        *span,
                        format!("there is no target `{}`", fields::short(member)),
                        closest(member, names),
                        Some("describe it under `targets`; a group holds targets, not groups".into()),
                    );
                }
            }
        }
        if self.groups_broken {
            for target in self.targets.values_mut() {
                target.broken.insert(vec!["groups".to_owned()]);
            }
        }
    }

    fn groups(&mut self, entry: &Entry<'_>, cx: &mut Cx<'_, '_>) {
        let before = cx.count();
        for entry in fields::entries(&entry.value, "`groups`", cx).unwrap_or_default() {
            let name: Option<GroupName> = fields::name(&entry.key, entry.key_span, cx);
            let members = fields::items(&entry.value, "a list of targets", cx).unwrap_or_default();
            let members = members
                .iter()
                .filter_map(|n| Some((fields::text(n, "the name of a target", cx)?.to_owned(), n.span)))
                .collect();
            let Some(name) = name else { continue };
            match self.groups.get(&name) {
                Some(first) => {
                    let message = format!("the group `{name}` is described twice");
                    twice(message, entry.key_span, (&first.file, first.span), cx);
                }
                None => {
                    let group = Group { file: cx.file.to_owned(), span: entry.key_span, members };
                    self.groups.insert(name, group);
                }
            }
        }
        self.groups_broken |= cx.count() > before;
    }
}

fn twice(message: String, at: Span, (file, first): (&str, Span), cx: &mut Cx<'_, '_>) {
    cx.error(codes::INVENTORY_DUPLICATE, at, message).labels.push(rectify_base::Label {
        file: file.to_owned(),
        start: first.range().start,
        end: first.range().end,
        text: "first here".into(),
    });
}

/// Reads an inventory into all of them.
pub(crate) fn read(root: &Node<'_>, file: &str, inventory: &mut Inventory, report: &mut Report) {
    let cx = &mut Cx::new(file, report);
    if !header(root, Kind::Inventory, cx) {
        return;
    }
    let Some(fields) = Fields::read(root, root.span, &INVENTORY, cx) else { return };
    if let Some(entry) = fields.get("metadata") {
        Fields::read(&entry.value, entry.key_span, &METADATA, cx);
    }
    if let Some(entry) = fields.get("groups") {
        inventory.groups(entry, cx);
        if fields.get("targets").is_none() {
            return;
        }
    }
    let Some(list) = fields.require("targets", cx) else { return };
    for entry in fields::entries(&list.value, "`targets`", cx).unwrap_or_default() {
        let name: Option<TargetName> = fields::name(&entry.key, entry.key_span, cx);
        let target = target(&entry.value, entry.key_span, cx);
        let (Some(name), Some(target)) = (name, target) else { continue };
        match inventory.targets.get(&name) {
            Some(first) => {
                let message = format!("the target `{name}` is described twice");
                twice(message, entry.key_span, (&first.file, first.span), cx);
            }
            None => {
                inventory.targets.insert(name, target);
            }
        }
    }
}

fn target(node: &Node<'_>, span: Span, cx: &mut Cx<'_, '_>) -> Option<Target> {
    let fields = Fields::read(node, span, &TARGET, cx)?;
    let mut broken = BTreeSet::new();
    let environment = fields
        .require("environment", cx)
        .and_then(|e| fields::text(&e.value, "the environment of a target", cx))
        .map(str::to_owned);
    if environment.is_none() {
        broken.insert(vec!["environment".to_owned()]);
    }
    let mut labels = BTreeMap::new();
    if let Some(entry) = fields.get("labels") {
        let entries = fields::entries(&entry.value, "`labels`", cx);
        if entries.is_none() {
            broken.insert(vec!["labels".to_owned()]);
        }
        for label in entries.unwrap_or_default() {
            match fields::text(&label.value, "the value of a label", cx) {
                Some(text) => {
                    labels.insert(label.key.to_string(), text.to_owned());
                }
                None => {
                    broken.insert(vec!["labels".to_owned(), label.key.to_string()]);
                }
            }
        }
    }
    let mut variables = Map::new();
    if let Some(entry) = fields.get("variables") {
        let entries = fields::entries(&entry.value, "`variables`", cx);
        if entries.is_none() {
            broken.insert(vec!["variables".to_owned()]);
        }
        for variable in entries.unwrap_or_default() {
            match value(&variable.value, cx) {
                Some(value) => {
                    variables.insert(variable.key.to_string(), value);
                }
                None => {
                    broken.insert(vec!["variables".to_owned(), variable.key.to_string()]);
                }
            }
        }
    }
    if let Some(entry) = fields.get("connection")
        && let Some(text) = fields::text(&entry.value, "the connection of a target", cx)
        && text != "local"
    {
        let (code, message) = if text == "ssh" {
            (codes::PROJECT_NOT_AVAILABLE, "`ssh` is reserved, but not available in this release".to_owned())
        } else {
            (codes::PROJECT_VALUE, format!("a connection cannot be `{}`", fields::short(text)))
        };
        cx.error(code, entry.value.span, message).help = Some("expected `local`".into());
    }
    let root = fields.get("root").and_then(|entry| root(&entry.value, cx));
    Some(Target {
        file: cx.file.to_owned(),
        span,
        environment: environment.unwrap_or_default(),
        labels,
        variables,
        groups: BTreeSet::new(),
        broken,
        connection: Connection::Local { root },
    })
}

fn root(node: &Node<'_>, cx: &mut Cx<'_, '_>) -> Option<String> {
    let text = fields::text(node, "the root of a target", cx)?;
    let relative = text.strip_prefix('/').unwrap_or(text);
    if relative.is_empty() || relative.split('/').any(|part| matches!(part, "" | "." | "..")) {
        cx.error(
            codes::INVENTORY_ROOT,
            node.span,
            format!("`{}` cannot stand for the root of a target", fields::short(text)),
        )
        .help = Some(
            "name a directory, relative to the project or absolute, without `.`, `..` and a final `/`; leave \
             `root` out to mean the machine itself"
                .into(),
        );
        return None;
    }
    Some(text.to_owned())
}

/// A value of which nothing is known but how it is written.
pub(crate) fn value(node: &Node<'_>, cx: &mut Cx<'_, '_>) -> Option<Value> {
    match &node.content {
        Content::Scalar(scalar) => {
            if scalar.text.contains("${{") {
                cx.error(
                    codes::EXPR_NOT_HERE,
                    node.span,
                    "a variable is literal: no expression is read here",
                );
                return None;
            }
            match scalar::read(scalar, Types::default()) {
                Ok(value) => Some(value),
                Err(why) => {
                    cx.error(
                        codes::YAML_AMBIGUOUS,
                        node.span,
                        format!("`{}` is ambiguous: {}", fields::short(&scalar.text), why.0),
                    )
                    .help = Some("put it in quotes if it is a text".into());
                    None
                }
            }
        }
        Content::List(items) => items.iter().map(|item| value(item, cx)).collect(),
        Content::Map(entries) => {
            let members: Option<Map<String, Value>> =
                entries.iter().map(|e| Some((e.key.to_string(), value(&e.value, cx)?))).collect();
            members.map(Value::Object)
        }
    }
}

/// What [`read`] takes, for editors.
#[cfg(feature = "schema")]
pub(crate) fn schema() -> serde_json::Value {
    use crate::editor::{described, labels, mapping, name, spelt, text, with};
    use serde_json::json;

    let target = TARGET.schema(&["environment"], |field| match field {
        "environment" => described(text(), "Such as `prod`."),
        "labels" => labels(),
        "variables" => {
            described(json!({"type": "object"}), "Values that expressions see as `target.variables`.")
        }
        "connection" => described(json!({"const": "local", "default": "local"}), "How it is reached."),
        _ => described(
            spelt("^/?(?!\\.{1,2}(/|$))[^/]+(/(?!\\.{1,2}(/|$))[^/]+)*$"),
            "Directory that stands for `/`, relative to the project or absolute; left out, the machine itself.",
        ),
    });
    let metadata = METADATA.schema(&[], |field| match field {
        "name" => described(text(), "Name of the inventory."),
        _ => labels(),
    });
    let either = json!([{"required": ["targets"]}, {"required": ["groups"]}]);
    let inventory = INVENTORY.schema(&["apiVersion", "kind"], |field| match field {
        "groups" => described(
            mapping(&name::<GroupName>(), json!({"type": "array", "items": name::<TargetName>()})),
            "Groups of targets, by name. Expressions see those of a target as `target.groups`.",
        ),
        "metadata" => described(metadata.clone(), "What the inventory is called."),
        "targets" => described(mapping(&name::<TargetName>(), target.clone()), "The targets, by name."),
        header => super::header_schema(header, Kind::Inventory),
    });
    with(inventory, "anyOf", either)
}
