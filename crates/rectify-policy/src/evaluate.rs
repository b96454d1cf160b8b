//! Evaluation: from bundle and input to a decision. Anything but a clean answer is an error, and
//! every error means denied.

use crate::{
    Bundle, PolicyError, check, codes, data, engine, foreign, freeze, freeze::UtcOnly, freeze::Zones, limits,
    overrides,
};
use rectify_model::{
    Decision,
    decision::{ApprovalDemand, Finding},
};
use regorus::{Engine, Value};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The rules that decide.
const DECIDING: [&str; 4] = ["allow", "deny", "warn", "require_approval"];

/// Checks the bundle and evaluates it over an [input](crate::input()).
///
/// # Errors
/// [`PolicyError`] for whatever [`check()`](crate::check()) refuses, and where a rule that decides is
/// undefined, has a value of the wrong type or ends in an error.
pub fn evaluate(bundle: &Bundle, input: &serde_json::Value) -> Result<Decision, PolicyError> {
    evaluate_in(bundle, input, &UtcOnly)
}

/// [`evaluate`] where more zones than UTC are known.
///
/// # Errors
/// As for [`evaluate`].
pub fn evaluate_in(
    bundle: &Bundle,
    input: &serde_json::Value,
    zones: &dyn Zones,
) -> Result<Decision, PolicyError> {
    let input = Value::deserialize(input)
        .map_err(|error| PolicyError::new(codes::POLICY_EVALUATION, "input", error.to_string()))?;
    evaluate_value(bundle, input, zones)
}

/// [`evaluate`] over an input that is a value of the engine already.
pub(crate) fn evaluate_value(
    bundle: &Bundle,
    input: Value,
    zones: &dyn Zones,
) -> Result<Decision, PolicyError> {
    let checked = check(bundle)?;
    check_zones(bundle, &input)?;
    let input = with_freeze(bundle, input, zones)?;
    let data = data::merged(bundle)?.decisive;
    let overridden = overrides::named(&input)?;
    let mut engine = engine::empty(0)?;
    for (path, text) in bundle.rules() {
        engine::add(&mut engine, path, text)?;
    }
    engine::add_data(&mut engine, data.clone())?;
    engine.set_input(input);

    let values = values(&mut engine, &checked)?;
    let allow = match values.get("allow") {
        Some(Value::Bool(allow)) => *allow,
        Some(other) => return Err(wrong_type("allow", "a boolean", other)),
        None => return Err(undefined("allow")),
    };
    let set = |name: &str| -> Result<Vec<Value>, PolicyError> {
        match values.get(name) {
            Some(Value::Set(items)) => Ok(items.iter().cloned().collect()),
            Some(other) => Err(wrong_type(name, "a set", other)),
            None if checked.declares(name) => Err(undefined(name)),
            None => Ok(Vec::new()),
        }
    };
    let mut deny = findings("deny", &set("deny")?)?;
    let mut warn = findings("warn", &set("warn")?)?;
    for (name, role) in checked.foreign() {
        let found = foreign_findings(&mut engine, name)?;
        match role {
            foreign::Role::Deny => deny.extend(found),
            foreign::Role::Warn => warn.extend(found),
        }
    }
    let require_approval =
        set("require_approval")?.iter().map(demand).collect::<Result<BTreeSet<_>, PolicyError>>()?;
    let (overridden, deny) = overrides::split(deny, &overridden, &data);
    let allowed = allow && deny.is_empty();
    Ok(Decision { bundle: bundle.digest(), allowed, deny, warn, require_approval, overridden })
}

/// A zone that the bundle asks for and the clock lacks would be undefined, and so would quietly turn
/// off the rules that look at it.
fn check_zones(bundle: &Bundle, input: &Value) -> Result<(), PolicyError> {
    let field = |value: &Value, name: &str| value.as_object().ok()?.get(&Value::from(name)).cloned();
    let zones = field(input, "now").and_then(|now| field(&now, "zones"));
    let known = |name: &str| zones.as_ref().and_then(|zones| field(zones, name)).is_some();
    bundle.zones().into_iter().find(|name| !known(name)).map_or(Ok(()), |name| {
        let message = format!("the time zone `{name}` is not known here");
        Err(PolicyError::new(codes::POLICY_EVALUATION, "data.json", message))
    })
}

/// Adds what the calendars of the bundle say about the moment of the input. They are part of the
/// bundle, so whoever asks has nothing to say about them.
pub(crate) fn with_freeze(
    bundle: &Bundle,
    mut input: Value,
    zones: &dyn Zones,
) -> Result<Value, PolicyError> {
    let field = |value: &Value, name: &str| value.as_object().ok()?.get(&Value::from(name)).cloned();
    let failed = |message: &str| PolicyError::new(codes::POLICY_EVALUATION, "input", message);
    let now = field(&input, "now").and_then(|now| field(&now, "unix_s")).and_then(|now| now.as_i64().ok());
    let fields = input.as_object_mut().map_err(|_| failed("not an object"))?;
    fields.remove(&Value::from("freeze"));
    if bundle.calendars().next().is_some() {
        let now = now.ok_or_else(|| failed("no `now.unix_s`, and the bundle has calendars"))?;
        let freeze = serde_json::to_value(freeze::freeze(bundle, now, zones));
        let freeze = freeze.ok().and_then(|freeze| Value::deserialize(&freeze).ok());
        let freeze = freeze.ok_or_else(|| failed("what the calendars say cannot be handed over"))?;
        fields.insert(Value::from("freeze"), freeze);
    }
    Ok(input)
}

fn place(rule: &str) -> String {
    format!("data.{}.{rule}", engine::PACKAGE)
}

/// The values of the rules that decide, without those that are undefined. One query for all of
/// them: `allow` mostly asks for `deny`, and each query begins from nothing.
fn values(
    engine: &mut Engine,
    checked: &check::Checked,
) -> Result<BTreeMap<&'static str, Value>, PolicyError> {
    let names: Vec<&'static str> = DECIDING.into_iter().filter(|name| checked.declares(name)).collect();
    let parts: Vec<String> = names.iter().map(|name| format!("[v | v := {}]", place(name))).collect();
    let failed = |text: &str| {
        PolicyError::from_engine(codes::POLICY_EVALUATION, &format!("data.{}", engine::PACKAGE), text)
    };
    let results = engine
        .eval_query(format!("[{}]", parts.join(", ")), false)
        .map_err(|error| failed(&error.to_string()))?;
    let value = results.result.first().and_then(|result| result.expressions.first());
    let lists = value.and_then(|expression| expression.value.as_array().ok());
    let lists = lists.filter(|lists| lists.len() == names.len()).ok_or_else(|| failed("no answer"))?;
    let mut values = BTreeMap::new();
    for (name, list) in names.into_iter().zip(lists.iter()) {
        let list = list.as_array().map_err(|error| failed(&error.to_string()))?;
        if let Some(value) = list.iter().next() {
            values.insert(name, value.clone());
        }
    }
    Ok(values)
}

fn undefined(rule: &str) -> PolicyError {
    let message = format!("`{rule}` is undefined for this input; give it a default");
    PolicyError::new(codes::POLICY_UNDEFINED, place(rule), message)
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

/// What a rule in the style of conftest says: strings, or objects with a `msg`.
fn foreign_findings(engine: &mut Engine, name: &str) -> Result<BTreeSet<Finding>, PolicyError> {
    let path = format!("data.{}.{name}", foreign::PACKAGE);
    let value = engine
        .eval_rule(path.clone())
        .map_err(|error| PolicyError::from_engine(codes::POLICY_EVALUATION, &path, &error.to_string()))?;
    let wrong = |expected: &str| {
        let message = format!("`{name}` must be {expected}");
        PolicyError::new(codes::POLICY_WRONG_TYPE, path.as_str(), message)
    };
    let items = match &value {
        Value::Set(items) => items,
        _ => return Err(wrong("a set")),
    };
    let rule = format!("{}.{name}", foreign::PACKAGE);
    let finding = |item: &Value| {
        let message = match item {
            Value::String(message) => Some(message.to_string()),
            other => text(other, "msg"),
        };
        message.map(|message| Finding { rule: rule.clone(), message })
    };
    items
        .iter()
        .map(|item| finding(item).ok_or_else(|| wrong("a set of strings or objects with a `msg`")))
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
