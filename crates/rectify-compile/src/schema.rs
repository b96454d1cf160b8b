//! The types that providers offer, and the JSON Schemas of their properties.

use crate::{codes, report::Report, scalar::Types};
use jsonschema::{PatternOptions, Validator};
use rectify_base::{Diagnostic, TypeName};
use rectify_model::{
    grade::TypeKind,
    graph::{Access, TypeFacts},
};
use rectify_protocol::{Manifest, TypeDescriptor, manifest::TouchRule};
use serde_json::Value;
use std::{cell::OnceCell, collections::BTreeMap};

/// Most references that are followed to reach one schema.
const REFERENCES_MAX: usize = 8;

/// A type, with what is needed to read its properties.
pub(crate) struct Type<'m> {
    pub provider: &'m str,
    pub descriptor: &'m TypeDescriptor,
    pub facts: TypeFacts,
    pub touches: Vec<Rule>,
    validator: OnceCell<Option<Validator>>,
}

/// A touch rule, read.
pub(crate) struct Rule {
    pub tokens: Vec<String>,
    pub kind: String,
    pub access: Access,
}

/// All types, by name.
pub(crate) struct Registry<'m> {
    pub types: BTreeMap<TypeName, Type<'m>>,
}

impl<'m> Registry<'m> {
    /// The groups of facts that providers tell.
    pub fn fact_groups(&self) -> std::collections::BTreeSet<&str> {
        let told = self.types.iter().filter(|(_, ty)| ty.facts.kind == TypeKind::Fact);
        told.filter_map(|(name, _)| name.as_str().split_once('.'))
            .filter(|(family, _)| *family == rectify_model::fact::FAMILY)
            .map(|(_, group)| group)
            .collect()
    }

    /// Reads the manifests. What contradicts itself is reported and left out.
    pub fn new(manifests: &'m [Manifest], report: &mut Report) -> Self {
        let mut types: BTreeMap<TypeName, Type<'m>> = BTreeMap::new();
        let mut refuse = |message: String| {
            report.push(Diagnostic::error(codes::TYPE_MANIFEST, message)).help =
                Some("this is an error of the provider, not of the project".into());
        };
        let mut twice = Vec::new();
        for manifest in manifests {
            let digest = match manifest.digest() {
                Ok(digest) => digest,
                Err(error) => {
                    refuse(format!("the manifest of provider `{}` is not canonical: {error}", manifest.name));
                    continue;
                }
            };
            for descriptor in &manifest.types {
                let name = &descriptor.name;
                let Some(facts) = type_facts(descriptor, digest) else {
                    refuse(format!("the manifest says something unknown of the type `{name}`"));
                    continue;
                };
                let rules: Option<Vec<Rule>> = descriptor.touches.iter().map(rule).collect();
                let Some(touches) = rules else {
                    refuse(format!("the manifest says something unknown of what `{name}` touches"));
                    continue;
                };
                let provider = manifest.name.as_str();
                let entry = Type { provider, descriptor, facts, touches, validator: OnceCell::new() };
                if let Some(first) = types.insert(name.clone(), entry) {
                    twice.push((name.clone(), first.provider, provider));
                }
            }
        }
        for (name, first, second) in twice {
            // In one order, whatever that of the manifests is.
            let (first, second) = if second < first { (second, first) } else { (first, second) };
            let message = format!("the providers `{first}` and `{second}` both have the type `{name}`");
            report.push(Diagnostic::error(codes::TYPE_CLAIMED_TWICE, message)).help =
                Some("which of them a step means must be clear: remove one from `rectify.lock`".into());
        }
        Self { types }
    }
}

/// What is wrong with a manifest by itself, in one sentence each: what the compiler would not use of it.
#[must_use]
pub fn manifest_problems(manifest: &Manifest) -> Vec<String> {
    let mut report = Report::default();
    let manifests = std::slice::from_ref(manifest);
    let registry = Registry::new(manifests, &mut report);
    for ty in registry.types.values() {
        ty.validator(&mut report);
    }
    report.finish().into_iter().map(|diagnostic| diagnostic.message).collect()
}

/// What a manifest with this digest says of a type; `None` if it says something unknown.
#[must_use]
pub fn type_facts(descriptor: &TypeDescriptor, manifest: rectify_base::Digest) -> Option<TypeFacts> {
    fn word<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
        serde_json::from_value(Value::String(text.to_owned())).ok()
    }
    let mut volatile = descriptor.volatile.clone();
    volatile.sort();
    Some(TypeFacts {
        version: descriptor.version,
        manifest,
        kind: word::<TypeKind>(&descriptor.kind)?,
        prediction: word(&descriptor.prediction)?,
        retry: word(&descriptor.retry)?,
        undo: word(&descriptor.undo)?,
        volatile,
    })
}

fn rule(rule: &TouchRule) -> Option<Rule> {
    let access = match rule.access.as_str() {
        "read" => Access::Read,
        "write" => Access::Write,
        _ => return None,
    };
    Some(Rule { tokens: rule.property.tokens(), kind: rule.kind.clone(), access })
}

impl Type<'_> {
    /// The validator, compiled at first use; absent if the schema is not usable, which is reported once.
    pub fn validator(&self, report: &mut Report) -> Option<&Validator> {
        let compiled = self.validator.get_or_init(|| {
            let options = jsonschema::draft202012::options().with_pattern_options(PatternOptions::regex());
            match options.build(&self.descriptor.schema) {
                Ok(validator) => Some(validator),
                Err(error) => {
                    let message =
                        format!("the schema of the type `{}` is not usable: {error}", self.descriptor.name);
                    report.push(Diagnostic::error(codes::TYPE_MANIFEST, message)).help =
                        Some("this is an error of the provider, not of the project".into());
                    None
                }
            }
        });
        compiled.as_ref()
    }

    /// The schema of the properties.
    pub fn shape(&self) -> Shape<'_> {
        let root = &self.descriptor.schema;
        Shape { root, node: Some(root) }
    }
}

/// A place in a schema: what may stand at a place of the properties.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'m> {
    root: &'m Value,
    node: Option<&'m Value>,
}

impl<'m> Shape<'m> {
    /// A schema of its own.
    pub fn of(root: &'m Value) -> Self {
        Self { root, node: Some(root) }
    }

    /// A part of a schema.
    #[cfg(feature = "schema")]
    pub fn within(root: &'m Value, node: &'m Value) -> Self {
        Self { root, node: None }.to(Some(node))
    }

    /// The schema of all properties.
    pub fn root(self) -> Self {
        self.to(Some(self.root))
    }

    fn to(self, node: Option<&'m Value>) -> Self {
        Self { node: resolve(self.root, node), ..self }
    }

    fn keyword(self, name: &str) -> Option<&'m Value> {
        self.node.and_then(|n| n.get(name))
    }

    /// The alternatives and parts of which this consists, beside itself.
    fn branches(self) -> impl Iterator<Item = Self> {
        let lists = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(move |k| self.keyword(k)?.as_array());
        lists.flatten().map(move |branch| self.to(Some(branch)))
    }

    /// Which types may stand here; none if nothing is said.
    pub fn types(self) -> Types {
        self.types_within(REFERENCES_MAX)
    }

    fn types_within(self, depth: usize) -> Types {
        let own = match self.keyword("type") {
            Some(Value::String(name)) => Types::named(name),
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(Value::as_str)
                .fold(Types::default(), |all, name| all.with(Types::named(name))),
            _ => Types::default(),
        };
        if !own.is_any() || depth == 0 {
            return own;
        }
        let values = self.keyword("enum").and_then(Value::as_array).into_iter().flatten();
        let stated = values.chain(self.keyword("const")).map(type_of);
        let branches = self.branches().map(|b| b.types_within(depth - 1));
        stated.chain(branches).fold(Types::default(), Types::with)
    }

    /// What may stand under a key.
    pub fn property(self, key: &str) -> Self {
        let own = |shape: Self| {
            shape
                .keyword("properties")
                .and_then(|p| p.get(key))
                .or_else(|| shape.keyword("additionalProperties").filter(|a| a.is_object()))
        };
        let found = own(self).or_else(|| self.branches().find_map(own));
        self.to(found)
    }

    /// What may stand in a list.
    pub fn items(self) -> Self {
        let own = |shape: Self| shape.keyword("items").filter(|i| i.is_object());
        let found = own(self).or_else(|| self.branches().find_map(own));
        self.to(found)
    }

    /// The keys that there may be.
    pub fn names(self) -> Vec<&'m str> {
        let own = |shape: Self| shape.keyword("properties").and_then(Value::as_object);
        let all = std::iter::once(self).chain(self.branches()).filter_map(own);
        all.flat_map(|p| p.keys().map(String::as_str)).collect()
    }

    /// What the provider says of it.
    pub fn description(self) -> Option<&'m str> {
        self.keyword("description").and_then(Value::as_str)
    }

    /// Values that the provider shows.
    pub fn examples(self) -> &'m [Value] {
        self.keyword("examples").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The regular expression that a text must match.
    pub fn pattern(self) -> Option<&'m str> {
        self.keyword("pattern").and_then(Value::as_str)
    }

    /// Whether a keyword of ours stands here.
    pub fn says(self, keyword: &str) -> bool {
        self.keyword(keyword) == Some(&Value::Bool(true))
    }

    /// Whether nothing is said of what may stand here.
    pub fn is_unknown(self) -> bool {
        self.node.is_none()
    }

    /// What the keys of a mapping must be like.
    pub fn keys(self) -> Self {
        self.to(self.keyword("propertyNames"))
    }

    /// What one element of a list must be like.
    pub fn contained(self) -> Self {
        self.to(self.keyword("contains"))
    }

    /// The properties that must be there, and one choice of those of which some must be there.
    pub fn required(self) -> Vec<&'m str> {
        let own = |shape: Self| {
            let names = shape.keyword("required").and_then(Value::as_array).into_iter().flatten();
            names.filter_map(Value::as_str)
        };
        let choice = ["oneOf", "anyOf"].into_iter().find_map(|k| self.keyword(k)?.as_array()?.first());
        own(self).chain(own(self.to(choice))).collect()
    }

    /// The alternatives of `oneOf` or `anyOf` that do nothing but ask for properties.
    pub fn choices(self, keyword: &str) -> Option<Vec<Vec<&'m str>>> {
        let branch = |branch: &'m Value| {
            let members = branch.as_object().filter(|m| m.len() == 1)?;
            members.get("required")?.as_array()?.iter().map(Value::as_str).collect()
        };
        self.keyword(keyword)?.as_array()?.iter().map(branch).collect()
    }

    /// Puts defaults where nothing is written. A default of null means that nothing is the default.
    pub fn fill(self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                let Some(properties) = self.keyword("properties").and_then(Value::as_object) else { return };
                for (key, schema) in properties {
                    match members.get_mut(key) {
                        Some(member @ (Value::Object(_) | Value::Array(_))) => {
                            self.to(Some(schema)).fill(member);
                        }
                        Some(_) => {}
                        None => {
                            if let Some(default) = schema.get("default").filter(|d| !d.is_null()) {
                                members.insert(key.clone(), default.clone());
                            }
                        }
                    }
                }
            }
            Value::Array(items) => {
                let shape = self.items();
                if shape.node.is_some() {
                    items.iter_mut().for_each(|item| shape.fill(item));
                }
            }
            _ => {}
        }
    }
}

/// Follows references within the schema.
fn resolve<'m>(root: &'m Value, mut node: Option<&'m Value>) -> Option<&'m Value> {
    for _ in 0..REFERENCES_MAX {
        match node?.get("$ref").and_then(Value::as_str) {
            None => return node,
            Some(reference) => node = root.pointer(reference.strip_prefix('#')?),
        }
    }
    None
}

fn type_of(value: &Value) -> Types {
    match value {
        Value::Null => Types::NULL,
        Value::Bool(_) => Types::BOOLEAN,
        Value::Number(_) => Types::INTEGER,
        Value::String(_) => Types::STRING,
        Value::Array(_) => Types::LIST,
        Value::Object(_) => Types::MAP,
    }
}
