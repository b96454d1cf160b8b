//! Where problems are collected.

use crate::{
    codes,
    limits::{FILE_PROBLEMS_MAX, PROBLEMS_MAX},
    tree::Span,
};
use rectify_base::{Code, Diagnostic, Severity};

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    diagnostics: Vec<Diagnostic>,
    spare: Option<Diagnostic>,
}

impl Report {
    /// Adds a problem and returns it, so that help and further places can be added.
    pub fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.diagnostics.push(diagnostic);
        self.diagnostics
            .last_mut()
            .unwrap_or_else(|| self.spare.get_or_insert_with(|| Diagnostic::error(codes::PROJECT_VALUE, "")))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.diagnostics.len()
    }

    /// Shows another place beside all problems since there were `before`.
    pub fn add_label(&mut self, before: usize, label: &rectify_base::Label) {
        for diagnostic in self.diagnostics.iter_mut().skip(before) {
            if !diagnostic.labels.contains(label) {
                diagnostic.labels.push(label.clone());
            }
        }
    }

    /// Whether there is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }

    /// All of them in order of place, each once, no more than the limit.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        let key = |d: &Diagnostic| {
            (d.labels.first().map(|l| (l.file.clone(), l.start, l.end)), d.code, d.message.clone())
        };
        self.diagnostics.sort_by_cached_key(key);
        // Found in several ways, such as in a module by itself and where it is called: what is said most
        // fully is kept.
        self.diagnostics.dedup_by(|next, kept| {
            let same = key(next) == key(kept);
            if same && next.labels.len() > kept.labels.len() {
                std::mem::swap(next, kept);
            }
            same
        });
        let count = self.diagnostics.len();
        if count > PROBLEMS_MAX {
            self.diagnostics.truncate(PROBLEMS_MAX);
            self.diagnostics.push(Diagnostic::error(
                codes::PROJECT_TOO_MANY_PROBLEMS,
                format!("{} more problems are not shown", count - PROBLEMS_MAX),
            ));
        }
        self.diagnostics
    }
}

/// The report, seen from one file.
#[derive(Debug)]
pub(crate) struct Cx<'f, 'r> {
    /// Path of the file.
    pub file: &'f str,
    report: &'r mut Report,
    before: usize,
}

impl<'f, 'r> Cx<'f, 'r> {
    /// Begins to report on a file.
    pub fn new(file: &'f str, report: &'r mut Report) -> Self {
        let before = report.len();
        Self { file, report, before }
    }

    /// Reports an error at a place of the file.
    pub fn error(&mut self, code: Code, at: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.report.push(Diagnostic::error(code, message).at(self.file, at.range(), ""))
    }

    /// Reports an error whose repair is to write `candidate` instead, if there is one.
    pub fn misspelt(
        &mut self,
        code: Code,
        at: Span,
        message: impl Into<String>,
        candidate: Option<&str>,
        otherwise: Option<String>,
    ) {
        let file = self.file;
        let diagnostic = self.error(code, at, message);
        match candidate {
            Some(word) => {
                diagnostic.help = Some(format!("did you mean `{word}`?"));
                diagnostic.fixes.push(rectify_base::diagnostic::Fix {
                    at: rectify_base::Label {
                        file: file.into(),
                        start: at.range().start,
                        end: at.range().end,
                        text: String::new(),
                    },
                    replacement: word.into(),
                });
            }
            None => diagnostic.help = otherwise,
        }
    }

    /// Changes what was reported last.
    pub fn amend(&mut self, change: impl FnOnce(&mut Diagnostic)) {
        if let Some(last) = self.report.diagnostics.last_mut() {
            change(last);
        }
    }

    /// The report, seen from another file that this one leads to.
    pub fn within<'x>(&'x mut self, file: &'x str) -> Cx<'x, 'x> {
        Cx { file, report: &mut *self.report, before: self.before }
    }

    /// Shows a place of this file beside all problems since there were `before`.
    pub fn label_since(&mut self, before: usize, at: Span, text: &str) {
        let at = at.range();
        let label =
            rectify_base::Label { file: self.file.into(), start: at.start, end: at.end, text: text.into() };
        self.report.add_label(before, &label);
    }

    /// Whether so much was reported of this file that reading on helps nobody.
    pub fn is_full(&self) -> bool {
        self.report.len() - self.before >= FILE_PROBLEMS_MAX
    }

    /// How many problems were reported in all.
    pub fn count(&self) -> usize {
        self.report.len()
    }
}
