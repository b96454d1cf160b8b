//! The values of secrets that this process holds, to be hidden in whatever it lets out.

use rectify_base::{Redaction, Secret, SecretName};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// Shared by everything that shows or keeps texts; clones are the same one.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Held>>);

#[derive(Default)]
struct Held {
    secrets: BTreeMap<SecretName, BTreeSet<Known>>,
    redaction: Redaction,
}

/// A value, ordered so that one that is held twice is looked for once.
struct Known(Secret);

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose() == other.0.expose()
    }
}
impl Eq for Known {}
impl PartialOrd for Known {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Known {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.expose().cmp(other.0.expose())
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(…)")
    }
}

impl Redactor {
    /// Hides this value from now on, too. One secret may have a value for each target.
    pub fn hold(&self, name: &SecretName, value: &Secret) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.secrets.entry(name.clone()).or_default().insert(Known(value.clone())) {
            let all = held.secrets.iter().flat_map(|(name, all)| all.iter().map(move |one| (name, &one.0)));
            let redaction = Redaction::new(all);
            held.redaction = redaction;
        }
    }

    /// What hides the values that are held now.
    #[must_use]
    pub fn now(&self) -> Redaction {
        self.0.read().unwrap_or_else(PoisonError::into_inner).redaction.clone()
    }

    /// A text as it may be shown, and the secrets whose values were in it.
    #[must_use]
    pub fn clean(&self, text: &str) -> (String, BTreeSet<SecretName>) {
        let redaction = self.now();
        (redaction.text(text).into_owned(), redaction.found(text.as_bytes()))
    }

    /// A line of JSON without values of secrets, and the secrets whose values were in it; `None` where
    /// there is nothing to hide, or the line is no JSON. Texts are looked at as they are meant, so no
    /// way to write a character hides one.
    pub(crate) fn clean_line(&self, line: &str) -> Option<(String, BTreeSet<SecretName>)> {
        let redaction = self.now();
        if redaction.is_empty() {
            return None;
        }
        let mut value: Value = serde_json::from_str(line).ok()?;
        let mut hidden = BTreeSet::new();
        redaction.value(&mut value, &mut hidden);
        (!hidden.is_empty()).then(|| (value.to_string(), hidden))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_value_is_hidden_however_a_line_writes_it() {
        let redactor = Redactor::default();
        assert_eq!(redactor.clean_line(r#"{"a":"hunter22"}"#), None);
        let name = SecretName::new("db").unwrap();
        redactor.hold(&name, &Secret::new("hunter22".into()));
        redactor.clone().hold(&name, &Secret::new("other-value".into()));
        let (line, secrets) = redactor.clean_line(r#"{"a":"\u0068unter22","other-value":1}"#).unwrap();
        assert_eq!(line, r#"{"(secret db)":1,"a":"(secret db)"}"#);
        assert_eq!(secrets, BTreeSet::from([name]));
        assert_eq!(redactor.clean_line(r#"{"a":"b"}"#), None);
        assert_eq!(redactor.clean("see other-value").0, "see (secret db)");
    }
}
