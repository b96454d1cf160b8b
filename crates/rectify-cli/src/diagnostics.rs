//! Diagnostics as text: the file, the line, what is wrong there, and what to do. And for programs.

use crate::{arguments::ProblemFormat, commands::out, failure::Failure, pages::PAGES, say};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use rectify_base::{Diagnostic, Severity, canonical};
use rectify_compile::{
    SourceFile,
    render::{Diagnostics, Tool, sarif},
};
use std::io::IsTerminal;

/// Lines shown around a place.
const CONTEXT_LINES: usize = 1;

/// Writes diagnostics to standard error.
pub fn print(diagnostics: &[Diagnostic], files: &[SourceFile]) {
    let renderer = if std::io::stderr().is_terminal() { Renderer::styled() } else { Renderer::plain() };
    for diagnostic in diagnostics {
        say::block(&format!("{}\n", render(diagnostic, files, &renderer)));
    }
}

/// Writes diagnostics for programs to standard output.
pub fn write(diagnostics: &[Diagnostic], files: &[SourceFile], format: ProblemFormat) -> Result<(), Failure> {
    let bytes = match format {
        ProblemFormat::Text => {
            print(diagnostics, files);
            return Ok(());
        }
        ProblemFormat::Json => canonical::file_bytes(&Diagnostics::new(diagnostics, files)),
        ProblemFormat::Sarif => {
            let tool = Tool { version: env!("CARGO_PKG_VERSION"), pages: PAGES };
            canonical::file_bytes(&sarif(diagnostics, files, &tool))
        }
    };
    out(&bytes.map_err(|error| Failure::plain(error.to_string()))?)
}

fn render(diagnostic: &Diagnostic, files: &[SourceFile], renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let windows: Vec<(&str, Window)> = diagnostic
        .labels
        .iter()
        .map(|label| {
            let file = files.iter().find(|file| file.path == label.file);
            let bytes = file.map_or(&[][..], |file| file.bytes.as_slice());
            (label.file.as_str(), Window::around(bytes, label.start, label.end))
        })
        .collect();
    let mut group = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.as_str()).elements(
        diagnostic.labels.iter().zip(&windows).enumerate().map(|(index, (label, (path, window)))| {
            let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let annotation = kind.span(window.start..window.end).label(label.text.as_str());
            Snippet::source(window.text.as_str()).line_start(window.line).path(*path).annotation(annotation)
        }),
    );
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// The lines around a place: rendering a whole large file for one line is slow.
struct Window {
    text: String,
    /// One-based number of the first line.
    line: usize,
    start: usize,
    end: usize,
}

impl Window {
    fn around(bytes: &[u8], start: usize, end: usize) -> Self {
        let start = start.min(bytes.len());
        let end = end.clamp(start, bytes.len());
        let before = bytes.get(..start).unwrap_or_default();
        let mut first = 0;
        let mut breaks = before.iter().enumerate().rev().filter(|(_, b)| **b == b'\n').map(|(at, _)| at);
        if let Some(at) = breaks.nth(CONTEXT_LINES) {
            first = at + 1;
        }
        let after = bytes.get(end..).unwrap_or_default();
        let last = after
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'\n')
            .nth(CONTEXT_LINES)
            .map_or(bytes.len(), |(at, _)| end + at);
        let line = 1 + bytes.get(..first).unwrap_or_default().iter().filter(|b| **b == b'\n').count();
        let lossy = |range: std::ops::Range<usize>| {
            String::from_utf8_lossy(bytes.get(range).unwrap_or_default()).into_owned()
        };
        // Bytes that are not UTF-8 become longer; so do the offsets.
        let head = lossy(first..start);
        let middle = lossy(start..end);
        let text = format!("{head}{middle}{}", lossy(end..last));
        Self { text, line, start: head.len(), end: head.len() + middle.len() }
    }
}
