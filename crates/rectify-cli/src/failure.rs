//! The one translator from errors to what a person sees: kind, message, place, hint, exit code.

use crate::{diagnostics, exit, words::count};
use rectify_base::Code;
use rectify_engine::EngineError;
use rectify_plan::render::visible;
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
                anstream::eprintln!("error: {message}");
                exit::USAGE
            }
            Self::Plain(message) => {
                anstream::eprintln!("error: {message}");
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
            anstream::eprintln!("{}; `rectify explain CODE` tells more", count(errors as u64, "problem"));
        }
        EngineError::Refused { refusals } => {
            head(error.code(), &error.to_string());
            for refusal in refusals {
                anstream::eprintln!("  {}", visible(&refusal.to_string()));
            }
        }
        EngineError::Unsound { notes } => {
            head(error.code(), &error.to_string());
            for note in notes {
                anstream::eprintln!("  {}", visible(&note.to_string()));
            }
        }
        EngineError::Denied { decision } => {
            head(error.code(), &error.to_string());
            for finding in &decision.deny {
                anstream::eprintln!("  {}: {}", visible(&finding.rule), visible(&finding.message));
            }
        }
        _ => head(error.code(), &error.to_string()),
    }
    if let Some(help) = error.help() {
        anstream::eprintln!("  help: {help}");
    }
    exit_code(error)
}

fn head(code: Code, message: &str) {
    anstream::eprintln!("error[{code}]: {}", visible(message));
}

fn exit_code(error: &EngineError) -> u8 {
    match error {
        EngineError::Denied { .. } | EngineError::Refused { .. } | EngineError::PolicyHost(_) => exit::DENIED,
        EngineError::Store(StoreError::UseTaken { .. }) => exit::DENIED,
        EngineError::Store(StoreError::Busy { .. }) => exit::LOCKED,
        _ => exit::ERROR,
    }
}
