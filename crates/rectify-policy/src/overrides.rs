//! Overrides: denials that people who may have let pass for one plan.
//!
//! A denial is set aside only where both agree: its rule is among `input.overrides`, and the bundle says
//! `data.rules.<id>.overridable`. What is set aside leaves `deny`; `allow` is what the bundle's own rules
//! say, so a bundle that knows nothing of overrides denies as before.

use crate::{PolicyError, codes};
use rectify_model::decision::Finding;
use regorus::Value;
use serde_json::Map;
use std::collections::BTreeSet;

/// The rules that an input says are overridden. One without the field has none.
pub(crate) fn named(input: &Value) -> Result<BTreeSet<String>, PolicyError> {
    let wrong = || {
        let message = "`overrides` must be a list of ids of rules";
        PolicyError::new(codes::POLICY_EVALUATION, "input.overrides", message)
    };
    let fields = input.as_object().map_err(|_| wrong())?;
    let Some(list) = fields.get(&Value::from("overrides")) else { return Ok(BTreeSet::new()) };
    let list = list.as_array().map_err(|_| wrong())?;
    list.iter().map(|id| id.as_string().map(ToString::to_string).map_err(|_| wrong())).collect()
}

/// Whether the bundle says that a rule may be overridden. Anything but `true` means no.
fn is_overridable(rule: &str, data: &Map<String, serde_json::Value>) -> bool {
    let said = data.get("rules").and_then(|rules| rules.get(rule)?.get("overridable"));
    said == Some(&serde_json::Value::Bool(true))
}

/// Splits denials into those that are overridden and those that stand.
pub(crate) fn split(
    deny: BTreeSet<Finding>,
    overrides: &BTreeSet<String>,
    data: &Map<String, serde_json::Value>,
) -> (BTreeSet<Finding>, BTreeSet<Finding>) {
    deny.into_iter().partition(|found| overrides.contains(&found.rule) && is_overridable(&found.rule, data))
}
