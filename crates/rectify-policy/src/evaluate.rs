//! Evaluation: from bundle and input to a decision. Anything but a clean answer is an error, and
//! every error means denied.

use crate::{Bundle, PolicyError, check, codes, engine, limits};
use rectify_model::{
    Decision,
    decision::{ApprovalDemand, Finding},
};
use regorus::{Engine, Value};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Checks the bundle and evaluates it over an [input](crate::input()).
///
/// # Errors
/// [`PolicyError`] for whatever [`check()`](crate::check()) refuses, and where a rule that decides is
/// undefined, has a value of the wrong type or ends in an error.
pub fn evaluate(bundle: &Bundle, input: &serde_json::Value) -> Result<Decision, PolicyError> {
    let input = Value::deserialize(input)
        .map_err(|error| PolicyError::new(codes::POLICY_EVALUATION, "input", error.to_string()))?;
    evaluate_value(bundle, input)
}

/// [`evaluate`] over an input that is a value of the engine already.
pub(crate) fn evaluate_value(bundle: &Bundle, input: Value) -> Result<Decision, PolicyError> {
    let checked = check(bundle)?;
    let mut engine = engine::empty(0)?;
    for (path, text) in bundle.rules() {
        engine::add(&mut engine, path, text)?;
    }
    engine::add_data(&mut engine, bundle)?;
    engine.set_input(input);

    let allow = match value_of(&mut engine, "allow")? {
        Value::Bool(allow) => allow,
        other => return Err(wrong_type("allow", "a boolean", &other)),
    };
    let mut set = |name: &str| -> Result<Vec<Value>, PolicyError> {
        if !checked.declares(name) {
            return Ok(Vec::new());
        }
        match value_of(&mut engine, name)? {
            Value::Set(items) => Ok(items.iter().cloned().collect()),
            other => Err(wrong_type(name, "a set", &other)),
        }
    };
    let deny = findings("deny", &set("deny")?)?;
    let warn = findings("warn", &set("warn")?)?;
    let require_approval =
        set("require_approval")?.iter().map(demand).collect::<Result<BTreeSet<_>, PolicyError>>()?;
    Ok(Decision { bundle: bundle.digest(), allowed: allow && deny.is_empty(), deny, warn, require_approval })
}

fn place(rule: &str) -> String {
    format!("data.{}.{rule}", engine::PACKAGE)
}

fn value_of(engine: &mut Engine, rule: &str) -> Result<Value, PolicyError> {
    let path = place(rule);
    let value = engine
        .eval_rule(path.clone())
        .map_err(|error| PolicyError::from_engine(codes::POLICY_EVALUATION, &path, &error.to_string()))?;
    if value == Value::Undefined {
        let message = format!("`{rule}` is undefined for this input; give it a default");
        return Err(PolicyError::new(codes::POLICY_UNDEFINED, path, message));
    }
    Ok(value)
}

fn wrong_type(rule: &str, expected: &str, got: &Value) -> PolicyError {
    let kind = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Set(_) => "a set",
        Value::Object(_) => "an object",
        Value::Undefined => "undefined",
    };
    let message = format!("`{rule}` must be {expected}, but is {kind}");
    PolicyError::new(codes::POLICY_WRONG_TYPE, place(rule), message)
}

fn findings(rule: &str, items: &[Value]) -> Result<BTreeSet<Finding>, PolicyError> {
    items
        .iter()
        .map(|item| match item {
            Value::String(message) => Ok(Finding { rule: rule.to_owned(), message: message.to_string() }),
            Value::Object(fields) => match (text(item, "rule"), text(item, "message"), fields.len()) {
                (Some(rule), Some(message), 2) => Ok(Finding { rule, message }),
                _ => Err(wrong_member(rule, "strings or objects {rule, message}")),
            },
            _ => Err(wrong_member(rule, "strings or objects {rule, message}")),
        })
        .collect()
}

fn demand(item: &Value) -> Result<ApprovalDemand, PolicyError> {
    const EXPECTED: &str = "objects {rule, message, count} with a count from 1 to 64";
    let refuse = || wrong_member("require_approval", EXPECTED);
    let fields = item.as_object().map_err(|_| refuse())?.len();
    let count = item.as_object().ok().and_then(|fields| fields.get(&Value::from("count")));
    let count =
        count.and_then(|count| count.as_u32().ok()).filter(|n| (1..=limits::APPROVALS_MAX).contains(n));
    match (text(item, "rule"), text(item, "message"), count, fields) {
        (Some(rule), Some(message), Some(count), 3) => Ok(ApprovalDemand { rule, message, count }),
        _ => Err(refuse()),
    }
}

fn text(item: &Value, field: &str) -> Option<String> {
    let value = item.as_object().ok()?.get(&Value::from(field))?;
    value.as_string().ok().map(ToString::to_string)
}

fn wrong_member(rule: &str, expected: &str) -> PolicyError {
    PolicyError::new(
        codes::POLICY_WRONG_TYPE,
        place(rule),
        format!("the members of `{rule}` must be {expected}"),
    )
}
