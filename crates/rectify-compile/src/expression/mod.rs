//! CEL in `${{ }}`: found in a text, bounded on its syntax tree, evaluated for a target.

mod evaluate;
pub(crate) mod facts;
mod meter;
mod program;
mod template;

pub(crate) use evaluate::{Each, Engine, Inputs, Parameters, Scope, Target};
pub(crate) use program::Sees;
pub(crate) use template::{Part, locate, parts};

use crate::{codes, report::Cx, tree::Span};
use rectify_base::Code;
use std::ops::Range;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub code: Code,
    pub message: String,
    /// Where in the expression; all of it if absent.
    pub range: Option<Range<usize>>,
    hints: Box<Hints>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hints {
    candidate: Option<String>,
    help: Option<String>,
    missing: Option<Missing>,
    known: bool,
}

/// A key that a value does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub key: String,
    /// The expression that asks whether it is there.
    pub question: String,
}

impl Problem {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), range: None, hints: Box::default() }
    }

    /// One that follows from another that was reported already.
    pub fn known() -> Self {
        let mut problem = Self::new(codes::EXPR_EVALUATION, "");
        problem.hints.known = true;
        problem
    }

    /// Whether nothing is to be said of it.
    pub fn is_known(&self) -> bool {
        self.hints.known
    }

    /// The word that was probably meant.
    pub fn meant(mut self, candidate: Option<&str>) -> Self {
        self.hints.candidate = candidate.map(str::to_owned);
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.hints.help = Some(help.into());
        self
    }

    /// The key that a value does not have, and the expression that asks for it.
    pub fn lacking(mut self, key: &str, question: &str) -> Self {
        self.hints.missing = Some(Missing { key: key.to_owned(), question: question.to_owned() });
        self
    }

    /// See [`Problem::lacking`].
    pub fn missing(&self) -> Option<&Missing> {
        self.hints.missing.as_ref()
    }

    pub fn at(mut self, range: Option<Range<usize>>) -> Self {
        self.range = range;
        self
    }

    /// Reports it at a place of a file, unless it is known.
    pub fn report(self, at: Span, cx: &mut Cx<'_, '_>) {
        if self.hints.known {
            return;
        }
        cx.misspelt(self.code, at, self.message, self.hints.candidate.as_deref(), self.hints.help);
    }
}
