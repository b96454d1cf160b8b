//! The two ways out: lines of answers on standard output, and lines about the work on standard
//! error. Neither ever ends a command: whoever reads may have gone, or a disk may be full, and a run
//! under way must not die of it. What others wrote is escaped, so that it cannot act on a terminal
//! or pass for a line of ours.

use crate::progress;
use rectify_engine::Redactor;
use rectify_review::visible;
use std::{collections::BTreeSet, fmt::Arguments, io::Write, sync::OnceLock};

static EVENTS: OnceLock<bool> = OnceLock::new();
static REDACTOR: OnceLock<Redactor> = OnceLock::new();

/// What hides the values of secrets in everything that leaves this process.
pub fn redactor() -> &'static Redactor {
    REDACTOR.get_or_init(Redactor::default)
}

/// A text as it may be shown.
pub fn clean(text: &str) -> String {
    redactor().clean(text).0
}

/// Says once whether standard error carries events as JSON lines, and nothing else.
pub fn set_events(events: bool) {
    EVENTS.get_or_init(|| events);
}

/// Whether standard error carries events as JSON lines.
pub fn events() -> bool {
    EVENTS.get().copied().unwrap_or(false)
}

/// One line of an answer.
macro_rules! say {
    ($($argument:tt)*) => { $crate::say::answer(format_args!($($argument)*)) };
}

/// One line about the work; an event `note` if events are asked for.
macro_rules! tell {
    ($($argument:tt)*) => { $crate::say::note(format_args!($($argument)*)) };
}

pub(crate) use {say, tell};

/// See [`say!`].
pub fn answer(line: Arguments<'_>) {
    write(&mut std::io::stdout().lock(), &visible(&clean(&line.to_string())));
}

/// See [`tell!`].
pub fn note(line: Arguments<'_>) {
    let line = clean(&line.to_string());
    if events() {
        event(&serde_json::json!({"event": "note", "text": line}));
    } else {
        write(&mut anstream::stderr().lock(), &visible(&line));
    }
}

/// One event as a JSON line on standard error.
pub fn event<T: serde::Serialize>(event: &T) {
    let redaction = redactor().now();
    let line = if redaction.is_empty() {
        serde_json::to_string(event)
    } else {
        serde_json::to_value(event).map(|mut value| {
            redaction.value(&mut value, &mut BTreeSet::new());
            value.to_string()
        })
    };
    if let Ok(line) = line {
        write(&mut std::io::stderr().lock(), &line);
    }
}

/// Text of ours with line ends and colours, on standard error.
pub fn block(text: &str) {
    let text = clean(text);
    let text = text.as_str();
    if events() {
        event(&serde_json::json!({"event": "note", "text": anstream::adapter::strip_str(text).to_string()}));
    } else {
        write(&mut anstream::stderr().lock(), text.trim_end_matches('\n'));
    }
}

fn write(to: &mut dyn Write, line: &str) {
    // In one piece, so that lines of several writers do not mix. Nobody is left to tell of a failure.
    progress::aside(|| drop(to.write_all(format!("{line}\n").as_bytes()).and_then(|()| to.flush())));
}

/// Standard error for log records.
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // Each record is written in one piece.
        let text = clean(&String::from_utf8_lossy(bytes));
        progress::aside(|| std::io::stderr().write_all(text.as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
