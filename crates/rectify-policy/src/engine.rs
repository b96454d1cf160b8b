//! The Rego engine as policies get it: Rego v1, the interpreter, strict builtins, nothing that
//! could make a decision irreproducible.

use crate::{PolicyError, codes, limits};
use regorus::{
    Engine, PolicyLengthConfig, Value,
    unstable::{Module, Ref},
};
use std::num::{NonZeroU32, NonZeroUsize};

/// Functions whose result is not a function of their arguments, and one name that only we may
/// use. A bundle that mentions one is refused. Those that this build of the engine lacks are
/// listed too, so that the refusal says why.
pub(crate) const FORBIDDEN: &[&str] =
    &["rand.intn", "time.now_ns", "uuid.rfc4122", "opa.runtime", "http.send", "net.lookup_ip_addr", FIRED];

/// Marks a rule head as reached; exists only while tests run.
pub(crate) const FIRED: &str = "__rectify_fired";

/// Package of the rules that decide.
pub(crate) const PACKAGE: &str = "rectify";

const fn or_min(n: usize) -> NonZeroUsize {
    match NonZeroUsize::new(n) {
        Some(n) => n,
        None => NonZeroUsize::MIN,
    }
}

/// An engine without policies. `slack_bytes` is how much longer than allowed a line may be.
pub(crate) fn empty(slack_bytes: usize) -> Result<Engine, PolicyError> {
    let mut engine = Engine::new();
    let columns =
        u32::try_from(limits::BUNDLE_LINE_MAX_BYTES.saturating_add(slack_bytes)).unwrap_or(u32::MAX);
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: NonZeroU32::new(columns).unwrap_or(NonZeroU32::MIN),
        max_file_bytes: or_min(2 * limits::BUNDLE_FILE_MAX_BYTES),
        max_lines: or_min(limits::BUNDLE_FILE_MAX_LINES),
    });
    engine.set_strict_builtin_errors(true);
    engine.set_gather_prints(true);
    // The only builtin of this build that is not a function of its arguments. The linter refuses
    // it by name; this is the second fence.
    let refuse = |_: Vec<Value>| -> Result<Value, _> { Err(std::fmt::Error.into()) };
    engine
        .add_extension("rand.intn".to_owned(), 2, Box::new(refuse))
        .map_err(|error| PolicyError::from_engine(codes::POLICY_EVALUATION, "", &error.to_string()))?;
    Ok(engine)
}

/// Adds one file. Those of [`foreign::PACKAGE`](crate::foreign) may be of the older syntax.
pub(crate) fn add(engine: &mut Engine, path: &str, text: &str) -> Result<(), PolicyError> {
    let new = engine.add_policy(path.to_owned(), text.to_owned()).map(drop);
    let error = match new {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    if crate::foreign::is_foreign(text) {
        engine.set_rego_v0(true);
        let old = engine.add_policy(path.to_owned(), text.to_owned()).map(drop);
        engine.set_rego_v0(false);
        if old.is_ok() {
            return Ok(());
        }
    }
    Err(PolicyError::from_engine(codes::POLICY_SYNTAX, path, &error.to_string()))
}

/// Adds data that all `data.json` give together.
pub(crate) fn add_data(
    engine: &mut Engine,
    data: serde_json::Map<String, serde_json::Value>,
) -> Result<(), PolicyError> {
    engine
        .add_data_json(&serde_json::Value::Object(data).to_string())
        .map_err(|error| PolicyError::new(codes::POLICY_DATA, crate::bundle::DATA_FILE, error.to_string()))
}

/// Parsed files, in the order in which they were added.
pub(crate) fn modules(engine: &mut Engine) -> Vec<Ref<Module>> {
    engine.get_modules().clone()
}
