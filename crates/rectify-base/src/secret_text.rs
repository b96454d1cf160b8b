//! Texts with secrets in them, as graphs and plans hold them: by reference. A value of this kind is
//! an object with the one member [`MARK`], whose list holds texts and names of secrets, in order:
//!
//! ```json
//! {"$secret": ["password = ", {"name": "db"}, "\n"]}
//! ```

use crate::{Pointer, Secret, SecretName};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// The member that tells such a value from every other. No schema allows it, and the compiler refuses
/// it in sources, so nobody can write it by hand.
pub const MARK: &str = "$secret";
/// The member that names a secret.
const NAME: &str = "name";

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As written.
    Text(String),
    /// The value of a secret.
    Secret(SecretName),
}

/// A text that holds at least one secret. Neighbouring texts are one, and none is empty, so equal
/// texts have equal forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretText(Vec<Piece>);

impl SecretText {
    /// The value of one secret and nothing else.
    #[must_use]
    pub fn of(name: SecretName) -> Self {
        Self(alloc::vec![Piece::Secret(name)])
    }

    /// Joins pieces; absent if there is no secret among them.
    #[must_use]
    pub fn join(pieces: impl IntoIterator<Item = Piece>) -> Option<Self> {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
                (_, Piece::Text(text)) if text.is_empty() => {}
                (_, piece) => joined.push(piece),
            }
        }
        joined.iter().any(|piece| matches!(piece, Piece::Secret(_))).then_some(Self(joined))
    }

    /// Reads a value that [`is_marked`]; absent if it is not of the form above.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let members = value.as_object().filter(|members| members.len() == 1)?;
        let pieces = members.get(MARK)?.as_array()?.iter().map(|piece| match piece {
            Value::String(text) => Some(Piece::Text(text.clone())),
            Value::Object(members) if members.len() == 1 => {
                SecretName::new(members.get(NAME)?.as_str()?).ok().map(Piece::Secret)
            }
            _ => None,
        });
        let text = Self::join(pieces.collect::<Option<Vec<_>>>()?)?;
        // One meaning, one form.
        (text.to_value() == *value).then_some(text)
    }

    /// The value that stands for it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => Value::String(text.clone()),
            Piece::Secret(name) => json!({NAME: name.as_str()}),
        });
        let mut members = Map::new();
        members.insert(MARK.into(), Value::Array(pieces.collect()));
        Value::Object(members)
    }

    /// The pieces, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The secrets in it, each as often as it stands there.
    pub fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Secret(name) => Some(name),
            Piece::Text(_) => None,
        })
    }

    /// The text itself.
    ///
    /// # Errors
    /// The first secret whose value is not given.
    pub fn reveal(&self, values: &BTreeMap<SecretName, Secret>) -> Result<Secret, SecretName> {
        let mut length = 0;
        for piece in &self.0 {
            length += match piece {
                Piece::Text(text) => text.len(),
                Piece::Secret(name) => values.get(name).ok_or_else(|| name.clone())?.expose().len(),
            };
        }
        // Made in one piece: growing would leave copies behind that nobody clears.
        let mut text = Zeroizing::new(String::with_capacity(length));
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Secret(name) => text.push_str(values.get(name).map_or("", Secret::expose)),
            }
        }
        Ok(Secret::new(core::mem::take(&mut *text)))
    }
}

/// Whether a value claims to be a text with secrets.
#[must_use]
pub fn is_marked(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.contains_key(MARK))
}

/// Calls `found` for every value that [`is_marked`], with its place.
pub fn each<'v>(value: &'v Value, at: &Pointer, found: &mut dyn FnMut(&Pointer, &'v Value)) {
    match value {
        _ if is_marked(value) => found(at, value),
        Value::Object(members) => members.iter().for_each(|(key, value)| each(value, &at.child(key), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| {
            each(value, &at.child(&alloc::format!("{index}")), found);
        }),
        _ => {}
    }
}

/// The secrets that are named anywhere in properties.
pub fn names_in(properties: &Map<String, Value>, found: &mut dyn FnMut(SecretName)) {
    for value in properties.values() {
        each(value, &Pointer::root(), &mut |_, value| {
            for name in SecretText::read(value).iter().flat_map(SecretText::names) {
                found(name.clone());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloc::string::ToString;

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    #[test]
    fn there_is_one_form() {
        let text = SecretText::join([
            Piece::Text("a".into()),
            Piece::Text(String::new()),
            Piece::Text("b".into()),
            Piece::Secret(name("db")),
        ])
        .unwrap();
        assert_eq!(text.to_value(), json!({"$secret": ["ab", {"name": "db"}]}));
        assert_eq!(SecretText::read(&text.to_value()), Some(text));
        for other in [
            json!({"$secret": ["a"]}),
            json!({"$secret": ["a", "b", {"name": "db"}]}),
            json!({"$secret": ["", {"name": "db"}]}),
            json!({"$secret": [{"name": "no name"}]}),
            json!({"$secret": [{"name": "db", "more": 1}]}),
            json!({"$secret": [{"name": "db"}], "more": 1}),
            json!({"$secret": "db"}),
            json!({"$secret": []}),
        ] {
            assert!(is_marked(&other));
            assert_eq!(SecretText::read(&other), None, "{other}");
        }
        assert_eq!(SecretText::join([Piece::Text("plain".into())]), None);
    }

    #[test]
    fn it_is_revealed_only_with_every_value() {
        let text = SecretText::join([
            Piece::Secret(name("user")),
            Piece::Text(":".into()),
            Piece::Secret(name("db")),
        ])
        .unwrap();
        let mut values = BTreeMap::from([(name("user"), Secret::new("admin1".into()))]);
        assert_eq!(text.reveal(&values).unwrap_err(), name("db"));
        values.insert(name("db"), Secret::new("hunter2".into()));
        assert_eq!(text.reveal(&values).unwrap().expose(), "admin1:hunter2");
    }

    #[test]
    fn they_are_found_wherever_they_are() {
        let mark = |n: &str| SecretText::of(name(n)).to_value();
        let Value::Object(properties) = json!({"a": mark("x"), "b": ["t", {"c": mark("y")}]}) else { return };
        let mut found = Vec::new();
        names_in(&properties, &mut |name| found.push(name.to_string()));
        assert_eq!(found, ["x", "y"]);
    }
}
