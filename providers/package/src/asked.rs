//! What was asked for one item of a request serves the others: a plan with many packages would ask the
//! same again and again.

use rectify_sdk::protocol::ItemError;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Answers of tools, by their command lines, within one request.
#[derive(Debug, Default)]
pub(crate) struct Asked(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    request: u64,
    said: BTreeMap<Vec<String>, String>,
}

impl Asked {
    /// What a command answers in this request; it is run if nobody did yet.
    pub(crate) fn once(
        &self,
        request: u64,
        argv: &[&str],
        run: impl FnOnce() -> Result<String, ItemError>,
    ) -> Result<String, ItemError> {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        if let Some(said) = self.of(request).said.get(&argv) {
            return Ok(said.clone());
        }
        // Others need not wait meanwhile.
        let said = run()?;
        let mut answers = self.of(request);
        if answers.request == request {
            answers.said.insert(argv, said.clone());
        }
        Ok(said)
    }

    /// The answers of a request; those of earlier ones are forgotten.
    fn of(&self, request: u64) -> MutexGuard<'_, Answers> {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.request < request {
            *answers = Answers { request, said: BTreeMap::new() };
        }
        if answers.request > request {
            // A request that takes long, beside a later one: it asks for itself.
            answers.said.clear();
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Asked;
    use rectify_sdk::protocol::{ErrorCode, ItemError};
    use std::cell::Cell;

    #[test]
    fn each_request_asks_once() {
        let asked = Asked::default();
        let runs = Cell::new(0);
        let ask = |request, word| {
            asked.once(request, &[word], || {
                runs.set(runs.get() + 1);
                Ok(format!("{word}{}", runs.get()))
            })
        };
        assert_eq!((ask(1, "a").unwrap(), ask(1, "a").unwrap()), ("a1".into(), "a1".into()));
        assert_eq!((ask(1, "b").unwrap(), ask(2, "a").unwrap()), ("b2".into(), "a3".into()));
        // An earlier one that is still going on asks anew, and spoils nothing.
        assert_eq!((ask(1, "a").unwrap(), ask(2, "a").unwrap()), ("a4".into(), "a5".into()));
        let failed = || Err(ItemError::new(ErrorCode::Failed, "no"));
        assert!(asked.once(2, &["c"], failed).is_err());
        assert_eq!(ask(2, "c").unwrap(), "c6");
    }
}
