//! Secrets among properties: names on the way, texts where they are used.

use crate::Context;
use rectify_base::{Digest, Pointer, Redaction, Secret, SecretName, SecretText, secret_text};
use rectify_protocol::{
    ErrorCode, ItemError,
    message::{Applied, Output},
};
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// What stands for a secret while only its properties' shape is looked at.
const STAND_IN: &str = "secret";

/// Properties as they are meant. `Debug` shows none of them.
pub struct Revealed<'p> {
    /// The properties, with texts in place of names of secrets; those that were given if there is none.
    pub properties: Cow<'p, Map<String, Value>>,
    /// Whether there is a secret among them.
    pub is_secret: bool,
}

impl fmt::Debug for Revealed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revealed").field("is_secret", &self.is_secret).finish_non_exhaustive()
    }
}

/// Properties with something harmless in place of secrets, for checks that do without values.
#[must_use]
pub fn stand_in(properties: &Map<String, Value>) -> Map<String, Value> {
    let replaced = replace(properties, &mut |_, _| Ok(STAND_IN.to_owned()));
    // The replacement above cannot fail.
    replaced.map(|revealed| revealed.properties.into_owned()).unwrap_or_default()
}

pub(crate) fn reveal<'p>(
    properties: &'p Map<String, Value>,
    values: &BTreeMap<SecretName, Secret>,
) -> Result<Revealed<'p>, ItemError> {
    replace(properties, &mut |place, value| {
        let wrong = |message: String| ItemError::new(ErrorCode::Schema, message).at(place.as_str());
        let text = SecretText::read(value).ok_or_else(|| wrong("this is no text with secrets".into()))?;
        let text = text.reveal(values);
        let text = text.map_err(|name| wrong(format!("the secret `{name}` has no value in this session")))?;
        Ok(text.expose().to_owned())
    })
}

/// The result of an action without values of secrets.
pub(crate) fn hide(
    result: Result<Applied, ItemError>,
    values: &BTreeMap<SecretName, Secret>,
) -> Result<Applied, ItemError> {
    let redaction = Redaction::new(values);
    if redaction.is_empty() {
        return result;
    }
    let text = |text: String| redaction.text(&text).into_owned();
    match result {
        Ok(applied) => Ok(Applied {
            state: applied.state.map(|mut state| {
                redaction.value(&mut state, &mut BTreeSet::new());
                state
            }),
            output: applied.output.map(|output| Output {
                stdout: text(output.stdout),
                stderr: text(output.stderr),
                ..output
            }),
            ..applied
        }),
        Err(error) => Err(hide_error(error, values)),
    }
}

/// An error without values of secrets.
pub(crate) fn hide_error(error: ItemError, values: &BTreeMap<SecretName, Secret>) -> ItemError {
    let redaction = Redaction::new(values);
    if redaction.is_empty() {
        return error;
    }
    let text = |text: String| redaction.text(&text).into_owned();
    ItemError { message: text(error.message), hint: error.hint.map(text), ..error }
}

/// A property that takes a secret: its schema says so. In a state stands its [digest](PrivateText::digest);
/// `Debug` shows nothing of it.
#[derive(Clone, Debug)]
pub struct PrivateText(Secret);

impl PrivateText {
    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose()
    }

    /// Its digest under the key of the target, so that nobody can try values.
    #[must_use]
    pub fn digest(&self, cx: &Context) -> Digest {
        cx.private_digest(self.reveal().as_bytes())
    }
}

impl<'de> serde::Deserialize<'de> for PrivateText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl schemars::JsonSchema for PrivateText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PrivateText".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "x-rectify-secret": true})
    }
}

type Text<'f> = &'f mut dyn FnMut(&Pointer, &Value) -> Result<String, ItemError>;

fn replace<'p>(properties: &'p Map<String, Value>, text: Text<'_>) -> Result<Revealed<'p>, ItemError> {
    let mut is_secret = false;
    for value in properties.values() {
        secret_text::each(value, &Pointer::root(), &mut |_, _| is_secret = true);
    }
    if !is_secret {
        return Ok(Revealed { properties: Cow::Borrowed(properties), is_secret });
    }
    let mut revealed = Map::new();
    for (name, value) in properties {
        revealed.insert(name.clone(), within(value, &Pointer::root().child(name), &mut is_secret, text)?);
    }
    Ok(Revealed { properties: Cow::Owned(revealed), is_secret })
}

fn within(value: &Value, at: &Pointer, is_secret: &mut bool, text: Text<'_>) -> Result<Value, ItemError> {
    if secret_text::is_marked(value) {
        *is_secret = true;
        return text(at, value).map(Value::String);
    }
    match value {
        Value::Object(members) => {
            let mut out = Map::new();
            for (key, member) in members {
                out.insert(key.clone(), within(member, &at.child(key), is_secret, text)?);
            }
            Ok(Value::Object(out))
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.map(|(i, item)| within(item, &at.child(&i.to_string()), is_secret, text)).collect()
        }
        other => Ok(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn names_become_texts_where_they_are_asked_for() {
        let name = SecretName::new("db").unwrap();
        let values = BTreeMap::from([(name, Secret::new("hunter22".into()))]);
        let properties = json!({"a": {"$secret": ["pw=", {"name": "db"}]}, "b": [{"c": "plain"}]});
        let properties = properties.as_object().unwrap();
        let revealed = reveal(properties, &values).unwrap();
        assert!(revealed.is_secret);
        assert_eq!(
            Value::Object(revealed.properties.into_owned()),
            json!({"a": "pw=hunter22", "b": [{"c": "plain"}]})
        );
        assert_eq!(Value::Object(stand_in(properties)), json!({"a": "secret", "b": [{"c": "plain"}]}));
        let error = reveal(properties, &BTreeMap::new()).unwrap_err();
        assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Schema, Some("/a")));
        assert!(!reveal(&Map::new(), &values).unwrap().is_secret);
    }
}
