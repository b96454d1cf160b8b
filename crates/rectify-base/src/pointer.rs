//! JSON Pointers (RFC 6901), used to name places inside properties, states and schemas.

use alloc::{string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A JSON Pointer in its text form: empty for the whole value, else `/`-separated tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("pattern" = "^(/([^/~]|~[01])*)*$"))
)]
#[serde(transparent)]
pub struct Pointer(String);

impl Pointer {
    /// The whole value.
    #[must_use]
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// Builds a pointer from unescaped tokens.
    pub fn from_tokens<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Self {
        tokens.into_iter().fold(Self::root(), |pointer, token| pointer.child(token))
    }

    /// The pointer of a member below this one.
    #[must_use]
    pub fn child(&self, token: &str) -> Self {
        let mut text = self.0.clone();
        text.push('/');
        for c in token.chars() {
            match c {
                '~' => text.push_str("~0"),
                '/' => text.push_str("~1"),
                c => text.push(c),
            }
        }
        Self(text)
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tokens, unescaped.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        let unescaped = |token: &str| match token.contains('~') {
            true => token.replace("~1", "/").replace("~0", "~"),
            false => token.into(),
        };
        self.0.split('/').skip(1).map(unescaped).collect()
    }

    /// The value that this pointer names, if there is one.
    #[must_use]
    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        value.pointer(&self.0)
    }

    /// Puts a value at this place in nested objects, which are made where they are missing; the root is
    /// replaced as a whole.
    pub fn set(&self, value: &mut Value, new: Value) {
        let mut here = value;
        for token in self.tokens() {
            if !here.is_object() {
                *here = Value::Object(serde_json::Map::new());
            }
            let Value::Object(map) = here else { return };
            here = map.entry(token).or_insert(Value::Null);
        }
        *here = new;
    }

    /// Removes the member that this pointer names from nested objects; does nothing where it is absent.
    pub fn remove(&self, value: &mut Value) {
        let mut tokens = self.tokens();
        let Some(last) = tokens.pop() else { return };
        let mut here = value;
        for token in &tokens {
            match here.get_mut(token.as_str()) {
                Some(next) => here = next,
                None => return,
            }
        }
        if let Value::Object(map) = here {
            map.remove(&last);
        }
    }
}

impl From<&str> for Pointer {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
