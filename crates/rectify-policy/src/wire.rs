//! What the engine and its child say to each other: one request, one answer, both JSON.

use crate::{Bundle, PolicyError, check, codes, evaluate::evaluate_value, freeze::Zones};
use rectify_model::Decision;
use regorus::Value;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A request as it is written: check the bundle and, if there is an input, decide.
#[derive(Serialize)]
struct Asked<'a> {
    bundle: &'a Bundle,
    input: Option<&'a serde_json::Value>,
}

/// A request as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Received<'a> {
    bundle: Bundle,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Answer {
    /// The bundle is sound; no input was given.
    Checked,
    /// The decision.
    Decided(Decision),
    /// No decision: denied.
    Refused { code: String, place: String, message: String },
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The bundle is sound; no input was given.
    Checked,
    /// The decision.
    Decided(Decision),
}

/// Writes a request.
///
/// # Errors
/// [`codes::POLICY_ANSWER`] if it cannot be serialized.
pub fn request(bundle: &Bundle, input: Option<&serde_json::Value>) -> Result<Vec<u8>, PolicyError> {
    serde_json::to_vec(&Asked { bundle, input })
        .map_err(|error| PolicyError::new(codes::POLICY_ANSWER, "", format!("request: {error}")))
}

/// Does what a request asks for. This is all that the child does, and it does not return if the
/// policy is hostile.
#[must_use]
pub fn answer(request: &[u8], zones: &dyn Zones) -> String {
    let outcome = serde_json::from_slice(request)
        .map_err(|error| PolicyError::new(codes::POLICY_ANSWER, "", format!("request: {error}")))
        .and_then(|request: Received<'_>| match request.input {
            None => check(&request.bundle).map(|_| Answer::Checked),
            // Straight into the engine's values: the input is the largest thing in memory.
            Some(input) => Value::from_json_str(input.get())
                .map_err(|error| {
                    PolicyError::from_engine(codes::POLICY_EVALUATION, "input", &error.to_string())
                })
                .and_then(|input| evaluate_value(&request.bundle, input, zones))
                .map(Answer::Decided),
        });
    outcome.map_or_else(|error| refusal(&error), |answer| write(&answer))
}

/// The answer that refuses.
#[must_use]
pub fn refusal(error: &PolicyError) -> String {
    write(&Answer::Refused {
        code: error.code.as_str().to_owned(),
        place: error.place.clone(),
        message: error.message.clone(),
    })
}

fn write(answer: &Answer) -> String {
    // Strings and digests only: this cannot fail, and an empty answer is refused by the reader.
    serde_json::to_string(answer).unwrap_or_default()
}

/// Reads an answer.
///
/// # Errors
/// The refusal that it holds, or [`codes::POLICY_ANSWER`] if it is not an answer.
pub fn read(answer: &[u8]) -> Result<Outcome, PolicyError> {
    let garbled = |message: String| PolicyError::new(codes::POLICY_ANSWER, "", message);
    match serde_json::from_slice(answer).map_err(|error| garbled(format!("answer: {error}")))? {
        Answer::Checked => Ok(Outcome::Checked),
        Answer::Decided(decision) => Ok(Outcome::Decided(decision)),
        Answer::Refused { code, place, message } => {
            let known = codes::ALL.iter().find(|known| known.as_str() == code);
            Err(known.map_or_else(
                || garbled(format!("answer: unknown code `{code}`")),
                |known| PolicyError::new(*known, place, message),
            ))
        }
    }
}
