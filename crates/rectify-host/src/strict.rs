//! The rules for JSON that a provider sends, checked in one pass without building anything: no
//! duplicate keys, no floats, no integers that others would round, bounded depth.

use rectify_base::limits::{JSON_DEPTH_MAX, JSON_INTEGER_MAX};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use std::{borrow::Cow, fmt};

/// Checks a text that is JSON.
pub(crate) fn check(text: &str) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Rules { depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()
}

#[derive(Clone, Copy)]
struct Rules {
    depth: usize,
}

impl Rules {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        // The envelope of a batch adds four levels to those of a value.
        if self.depth >= JSON_DEPTH_MAX + 4 {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Rules {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Rules {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.visit_u64(value.unsigned_abs())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        if value > JSON_INTEGER_MAX {
            return Err(E::custom(format!("integer {value} is beyond 2^53−1")));
        }
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        Err(E::custom(format!("floating-point number {value} is not allowed")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut keys: Vec<Cow<'de, str>> = Vec::new();
        while let Some(key) = map.next_key_seed(Key)? {
            keys.push(key);
            map.next_value_seed(inner)?;
        }
        keys.sort_unstable();
        match keys.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
            Some([key, ..]) => Err(A::Error::custom(format!("duplicate key `{key}`"))),
            _ => Ok(()),
        }
    }
}

/// A key, borrowed where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_json_is_refused() {
        assert!(check(r#"{"a":[1,-9007199254740991,"x",null,true,{}]}"#).is_ok());
        for text in [
            r#"{"a":1,"b":{"c":1,"\u0063":2}}"#,
            "[1.5]",
            "1e3",
            "9007199254740992",
            "123456789012345678901234567890",
            r#""\ud800""#,
            "[NaN]",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(check(&deep(JSON_DEPTH_MAX)).is_ok());
        assert!(check(&deep(JSON_DEPTH_MAX + 5)).is_err());
    }
}
