//! Where the secrets come from that the steps of a target name.

use super::Sources;
use crate::{
    codes,
    document::secret::{Declaration, refuses, shape},
    expression::{Engine, Target},
    property,
    report::{Cx, Report},
    schema::Shape,
};
use rectify_base::{SecretName, secret_text};
use rectify_model::graph::SecretOrigin;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

const PROJECT_FILE: &str = "rectify.yaml";

/// The origins of the secrets that `used` name, as `target` sees them. What is wrong is reported.
pub(super) fn origins<'v>(
    sources: &Sources<'_, '_, '_, '_>,
    target: Target<'_>,
    used: impl Iterator<Item = &'v Map<String, Value>>,
    engine: &mut Engine,
    report: &mut Report,
) -> BTreeMap<SecretName, SecretOrigin> {
    let mut names = BTreeSet::new();
    used.for_each(|desired| {
        secret_text::names_in(desired, &mut |name| {
            names.insert(name);
        });
    });
    let mut origins = BTreeMap::new();
    for name in names {
        // One that is not declared was reported where it is named; one that is wrong, where it is written.
        let Some(Some(declaration)) = sources.secrets.get(&name) else { continue };
        if let Some(origin) = origin(sources, declaration, target, engine, report) {
            origins.insert(name, origin);
        }
    }
    origins
}

fn origin(
    sources: &Sources<'_, '_, '_, '_>,
    declaration: &Declaration<'_, '_>,
    target: Target<'_>,
    engine: &mut Engine,
    report: &mut Report,
) -> Option<SecretOrigin> {
    let source = sources.texts.get(PROJECT_FILE).copied().unwrap_or("");
    let cx = &mut Cx::new(PROJECT_FILE, report);
    let node = declaration.from;
    let scope = node.has_expression().then(|| engine.scope(target, None));
    let evaluation = scope.as_ref().map(|scope| (engine, scope));
    let value = property::value(node, Shape::of(shape()), source, evaluation, cx)?;
    if let Some(why) = refuses(&value) {
        cx.error(codes::PROJECT_VALUE, declaration.span, why).help =
            Some(format!("this is where the secret comes from for `{}`", target.name));
        return None;
    }
    match serde_json::from_value(value) {
        Ok(from) => Some(SecretOrigin { from, keep_newline: declaration.keep_newline }),
        Err(_) => {
            cx.error(codes::PROJECT_VALUE, declaration.span, "this is not a source of a secret");
            None
        }
    }
}
