//! What an evaluation has used up, and the operations that count it.

use crate::limits::{EVALUATION_BYTES_MAX, EVALUATION_ROUNDS_MAX, EXPRESSION_MAX_BYTES, REGEX_MAX_BYTES};
use cel::{Context, DeclarationError, ExecutionError, Value};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    evaluate::{from_json, to_json},
    program::{JOIN, MATCHES, ORDERED},
};
use rectify_base::{Piece, SecretText, secret_text::MARK};

/// Counts the work of one evaluation at a time.
#[derive(Debug, Default)]
pub(super) struct Meter {
    rounds: AtomicU64,
    rounds_max: AtomicU64,
    bytes: AtomicU64,
    patterns: Mutex<BTreeMap<String, Result<regex::Regex, String>>>,
}

impl Meter {
    /// Begins an evaluation over values of this many bytes: the product of rounds and input is bounded.
    pub fn start(&self, input_bytes: usize) {
        let product = EVALUATION_BYTES_MAX / u64::try_from(input_bytes.max(1)).unwrap_or(u64::MAX);
        self.rounds_max.store(EVALUATION_ROUNDS_MAX.min(product.max(1)), Ordering::Relaxed);
        self.rounds.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// Whether the evaluation did more than allowed; macros may have swallowed the error that said so.
    pub fn is_exceeded(&self) -> bool {
        self.rounds.load(Ordering::Relaxed) > self.rounds_max.load(Ordering::Relaxed)
            || self.bytes.load(Ordering::Relaxed) > EVALUATION_BYTES_MAX
    }

    fn charge(&self, rounds: usize, bytes: usize) -> Result<(), ExecutionError> {
        let add = |counter: &AtomicU64, n: usize| {
            counter.fetch_add(u64::try_from(n).unwrap_or(u64::MAX / 2), Ordering::Relaxed)
        };
        add(&self.rounds, rounds);
        add(&self.bytes, bytes);
        if self.is_exceeded() {
            return Err(ExecutionError::function_error("limit", "too much work"));
        }
        Ok(())
    }

    /// A collection as a list whose order does not depend on chance: of a map, its sorted keys.
    fn ordered(&self, value: Value) -> Result<Value, ExecutionError> {
        self.charge(0, size(&value))?;
        let items = match value {
            Value::List(items) => items,
            Value::Map(map) => {
                let mut keys: Vec<_> = map.map.keys().cloned().collect();
                keys.sort();
                Arc::new(keys.into_iter().map(from_key).collect())
            }
            other => {
                return Err(ExecutionError::UnexpectedType {
                    got: other.type_of().to_string(),
                    want: "a list or a map".into(),
                });
            }
        };
        self.charge(items.len(), 0)?;
        Ok(Value::List(items))
    }

    fn join(&self, left: Value, right: Value) -> Result<Value, ExecutionError> {
        match (left, right) {
            (Value::Int(a), Value::Int(b)) => a
                .checked_add(b)
                .map(Value::Int)
                .ok_or(ExecutionError::Overflow("add", Value::Int(a), Value::Int(b))),
            (Value::String(a), Value::String(b)) => {
                self.charge(0, a.len() + b.len())?;
                Ok(Value::String(Arc::new(a.as_str().to_owned() + b.as_str())))
            }
            (Value::List(a), Value::List(b)) => {
                let joined: Vec<Value> = a.iter().chain(b.iter()).cloned().collect();
                self.charge(0, joined.iter().map(size).sum())?;
                Ok(Value::List(Arc::new(joined)))
            }
            (a, b) if is_secret(&a) || is_secret(&b) => {
                let pieces = |value: &Value| match value {
                    Value::String(text) => Some(vec![Piece::Text(text.as_str().to_owned())]),
                    other => Some(SecretText::read(&to_json(other).ok()?)?.pieces().to_vec()),
                };
                self.charge(0, size(&a) + size(&b))?;
                let joined = pieces(&a).zip(pieces(&b)).and_then(|(mut left, right)| {
                    left.extend(right);
                    SecretText::join(left)
                });
                joined.map(|text| from_json(&text.to_value())).ok_or_else(|| {
                    ExecutionError::function_error("+", "beside a secret there must be a text")
                })
            }
            (a, b) => {
                let types = vec![a.type_of().to_string(), b.type_of().to_string()];
                Err(ExecutionError::no_such_overload("_+_", types))
            }
        }
    }

    fn matches(&self, text: &str, pattern: &str) -> Result<bool, ExecutionError> {
        self.charge(0, text.len() + pattern.len())?;
        let mut patterns = self.patterns.lock().unwrap_or_else(PoisonError::into_inner);
        if !patterns.contains_key(pattern) {
            // A new pattern costs far more than its length.
            self.charge(0, usize::try_from(EVALUATION_BYTES_MAX / 64).unwrap_or(usize::MAX))?;
            let regex = if pattern.len() > EXPRESSION_MAX_BYTES {
                Err("the pattern is too long".to_owned())
            } else {
                let built = regex::RegexBuilder::new(pattern).size_limit(REGEX_MAX_BYTES).build();
                built.map_err(|_| "the pattern is not a regular expression, or too large".to_owned())
            };
            patterns.insert(pattern.to_owned(), regex);
        }
        match patterns.get(pattern) {
            Some(Ok(regex)) => Ok(regex.is_match(text)),
            Some(Err(why)) => Err(ExecutionError::function_error("matches", why)),
            None => Err(ExecutionError::function_error("matches", "no pattern")),
        }
    }

    /// Makes the counting operations known to a context.
    pub fn install(self: &Arc<Self>, context: &mut Context<'_, '_>) -> Result<(), DeclarationError> {
        let meter = Arc::clone(self);
        context.add_function(ORDERED, move |value: Value| meter.ordered(value))?;
        let meter = Arc::clone(self);
        context.add_function(JOIN, move |a: Value, b: Value| meter.join(a, b))?;
        let meter = Arc::clone(self);
        context.add_function(MATCHES, move |text: Arc<String>, pattern: Arc<String>| {
            meter.matches(&text, &pattern)
        })
    }
}

/// Whether a value stands for a text with secrets.
fn is_secret(value: &Value) -> bool {
    let is_mark =
        |key: &cel::objects::Key| matches!(key, cel::objects::Key::String(key) if key.as_str() == MARK);
    matches!(value, Value::Map(map) if map.map.keys().any(is_mark))
}

fn from_key(key: cel::objects::Key) -> Value {
    match key {
        cel::objects::Key::Int(n) => Value::Int(n),
        cel::objects::Key::Uint(n) => Value::UInt(n),
        cel::objects::Key::Bool(b) => Value::Bool(b),
        cel::objects::Key::String(s) => Value::String(s),
    }
}

/// Roughly how much memory a value takes.
pub(super) fn size(value: &Value) -> usize {
    const SELF: usize = 16;
    SELF + match value {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(map) => map.map.values().map(|v| size(v) + SELF).sum(),
        _ => 0,
    }
}
