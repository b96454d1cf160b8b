//! The one translator from errors to what a person sees: kind, message, place, hint, exit code.

use crate::{
    diagnostics, exit,
    say::{self, tell},
    words::count,
};
use rectify_base::Code;
use rectify_engine::EngineError;
use rectify_store::StoreError;

/// Why a command failed.
pub enum Failure {
    /// An error of the engine.
    Engine(Box<EngineError>),
    /// The command line asks for something that cannot be.
    Usage(String),
    /// Anything else.
    Plain(String),
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl Failure {
    /// A failure of the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// A failure without a code.
    pub fn plain(message: impl Into<String>) -> Self {
        Self::Plain(message.into())
    }

    /// Tells it on standard error, and answers with the exit code.
    pub fn report(self) -> u8 {
        match self {
            Self::Usage(message) => {
                tell!("error: {message}");
                exit::USAGE
            }
            Self::Plain(message) => {
                tell!("error: {message}");
                exit::ERROR
            }
            Self::Engine(error) => report(&error),
        }
    }
}

fn report(error: &EngineError) -> u8 {
    match error {
        EngineError::Sources { diagnostics, files } => {
            diagnostics::print(diagnostics, files);
            let errors = diagnostics.iter().filter(|d| d.severity == rectify_base::Severity::Error).count();
            tell!("{}; `rectify explain CODE` tells more", count(errors as u64, "problem"));
        }
        EngineError::Refused { refusals } => {
            head(error.code(), &error.to_string());
            for refusal in refusals {
                tell!("  {}", refusal);
            }
        }
        EngineError::Unsound { notes } => {
            head(error.code(), &error.to_string());
            for note in notes {
                tell!("  {}", note);
            }
        }
        EngineError::UndoConflicts { conflicts, .. } => {
            head(error.code(), &error.to_string());
            for conflict in conflicts {
                let found = match &conflict.found {
                    Ok(found) => format!("found {found}"),
                    Err(why) => rectify_review::visible(why),
                };
                tell!("  {}: the run left {}, {found}", conflict.node, conflict.expected);
            }
        }
        EngineError::FactsChanged { changed } => {
            head(error.code(), &error.to_string());
            for fact in changed {
                tell!("  {}", rectify_review::visible(&fact.to_string()));
            }
        }
        EngineError::Denied { decision } => {
            head(error.code(), &error.to_string());
            for finding in &decision.deny {
                tell!("  {}: {}", finding.rule, finding.message);
            }
        }
        _ => head(error.code(), &error.to_string()),
    }
    if let Some(help) = error.help() {
        tell!("  help: {help}");
    }
    exit_code(error)
}

fn head(code: Code, message: &str) {
    if say::events() {
        say::event(&serde_json::json!({"event": "error", "code": code, "message": message}));
    } else {
        tell!("error[{code}]: {message}");
    }
}

fn exit_code(error: &EngineError) -> u8 {
    match error {
        EngineError::Denied { .. }
        | EngineError::Refused { .. }
        | EngineError::OverrideIdle { .. }
        | EngineError::OverrideFixed { .. }
        | EngineError::Publisher { .. }
        | EngineError::Unsigned { .. }
        | EngineError::Signer { .. }
        | EngineError::PolicyHost(_) => exit::DENIED,
        EngineError::SecretChanged { .. } | EngineError::ProviderMoved { .. } => exit::STALE,
        EngineError::UndoConflicts { .. } => exit::UNDO_FAILED,
        EngineError::Store(StoreError::UseTaken { .. }) => exit::DENIED,
        EngineError::FactsChanged { .. } => rectify_model::journal::RunOutcome::Stale.exit_code(),
        EngineError::Store(StoreError::Busy { .. } | StoreError::Held { .. })
        | EngineError::Locked { .. } => exit::LOCKED,
        _ => exit::ERROR,
    }
}
