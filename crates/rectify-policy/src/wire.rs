//! What the engine and its child say to each other: one request, one answer, both JSON.

use crate::{
    Bundle, Explanation, PolicyError, TestReport, check, codes, evaluate::evaluate_value, freeze::Zones,
    report,
};
use rectify_model::Decision;
use regorus::Value;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Check the bundle and, if there is an input, decide.
    Decide,
    /// Run its tests.
    Test,
    /// Decide, and say what each rule did.
    Explain,
}

/// A request as it is written.
#[derive(Serialize)]
struct Asked<'a> {
    question: Question,
    bundle: &'a Bundle,
    input: Option<&'a serde_json::Value>,
}

/// A request as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Received<'a> {
    question: Question,
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
    /// What the tests gave.
    Tested(TestReport),
    /// The decision, and what each rule did.
    Explained(Explanation),
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
    /// What the tests gave.
    Tested(TestReport),
    /// The decision, and what each rule did.
    Explained(Explanation),
}

/// Writes a request.
///
/// # Errors
/// [`codes::POLICY_ANSWER`] if it cannot be serialized.
pub fn request(
    question: Question,
    bundle: &Bundle,
    input: Option<&serde_json::Value>,
) -> Result<Vec<u8>, PolicyError> {
    serde_json::to_vec(&Asked { question, bundle, input })
        .map_err(|error| PolicyError::new(codes::POLICY_ANSWER, "", format!("request: {error}")))
}

/// Does what a request asks for. This is all that the child does, and it does not return if the
/// policy is hostile.
#[must_use]
pub fn answer(request: &[u8], zones: &dyn Zones) -> String {
    let outcome = serde_json::from_slice(request)
        .map_err(|error| PolicyError::new(codes::POLICY_ANSWER, "", format!("request: {error}")))
        .and_then(|request: Received<'_>| {
            // Straight into the engine's values: the input is the largest thing in memory.
            let input = request.input.map(|input| {
                Value::from_json_str(input.get()).map_err(|error| {
                    PolicyError::from_engine(codes::POLICY_EVALUATION, "input", &error.to_string())
                })
            });
            match (request.question, input.transpose()?) {
                (Question::Decide, None) => check(&request.bundle).map(|_| Answer::Checked),
                (Question::Decide, Some(input)) => {
                    evaluate_value(&request.bundle, input, zones).map(Answer::Decided)
                }
                (Question::Test, _) => report::test(&request.bundle).map(Answer::Tested),
                (Question::Explain, Some(input)) => {
                    report::explain_value(&request.bundle, input, zones).map(Answer::Explained)
                }
                (Question::Explain, None) => {
                    Err(PolicyError::new(codes::POLICY_ANSWER, "", "request: nothing to explain"))
                }
            }
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
        Answer::Tested(report) => Ok(Outcome::Tested(report)),
        Answer::Explained(explanation) => Ok(Outcome::Explained(explanation)),
        Answer::Refused { code, place, message } => {
            let known = codes::ALL.iter().find(|known| known.as_str() == code);
            Err(known.map_or_else(
                || garbled(format!("answer: unknown code `{code}`")),
                |known| PolicyError::new(*known, place, message),
            ))
        }
    }
}
