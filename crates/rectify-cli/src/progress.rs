//! What is going on, in the last line of a terminal. Elsewhere nothing of this is written.
//!
//! The terminal is left as it is: no mode is changed and the cursor stays visible, so that there is
//! nothing to restore however the process ends.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rectify_engine::Event;
use rectify_review::visible;
use std::{
    collections::BTreeMap,
    io::IsTerminal,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

/// How often the time in the line moves on.
const TICK: Duration = Duration::from_millis(200);

static SHOWN: OnceLock<Option<Shown>> = OnceLock::new();

struct Shown {
    bar: ProgressBar,
    status: Mutex<Status>,
}

/// Says once whether there is a line: on a terminal that can be drawn on and is watched, unless
/// standard error is for programs.
pub fn start(for_programs: bool) {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let plain = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let wanted = !for_programs && !plain && !set("NO_COLOR") && !set("CI") && std::io::stderr().is_terminal();
    SHOWN.get_or_init(|| {
        let style = ProgressStyle::with_template("{spinner} {elapsed:>3} {wide_msg}").ok()?;
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(style.tick_chars("|/-\\ "));
        wanted.then(|| Shown { bar, status: Mutex::default() })
    });
}

fn shown() -> Option<&'static Shown> {
    SHOWN.get().and_then(Option::as_ref)
}

/// Whether what goes on is shown.
pub fn is_shown() -> bool {
    shown().is_some()
}

/// Takes note of an event.
pub fn on(event: &Event) {
    let Some(shown) = shown() else { return };
    let mut status = shown.status();
    let before = status.subject();
    status.on(event);
    let (subject, text) = (status.subject(), status.text());
    drop(status);
    if text.is_empty() {
        return shown.hide();
    }
    if shown.bar.is_hidden() {
        shown.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        shown.bar.enable_steady_tick(TICK);
    }
    if subject != before {
        shown.bar.reset_elapsed();
    }
    shown.bar.set_message(text);
}

/// Writes something while the line is out of the way.
pub fn aside<T>(write: impl FnOnce() -> T) -> T {
    match shown() {
        Some(shown) if !shown.bar.is_hidden() => shown.bar.suspend(write),
        _ => write(),
    }
}

/// Takes the line away.
pub fn clear() {
    if let Some(shown) = shown() {
        shown.hide();
    }
}

impl Shown {
    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hide(&self) {
        self.bar.disable_steady_tick();
        self.bar.finish_and_clear();
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
        self.bar.reset();
    }
}

/// What is known of the work.
#[derive(Debug, Default)]
struct Status {
    phase: Phase,
    /// Steps under way, in the order in which they began.
    running: Vec<String>,
    /// Gates that do not hold yet, and what was seen.
    waiting: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Nothing,
    Observing {
        target: String,
        nodes: usize,
        total: usize,
    },
    Applying {
        done: u64,
        total: u64,
    },
    Undoing {
        done: u64,
        total: u64,
    },
}

impl Status {
    fn on(&mut self, event: &Event) {
        match event {
            Event::Observing { target, nodes, total } => {
                self.phase = Phase::Observing { target: target.to_string(), nodes: *nodes, total: *total };
            }
            Event::RunStarted { changes, .. } | Event::RunResumed { changes, .. } => {
                self.phase = Phase::Applying { done: 0, total: *changes }
            }
            Event::StepStarted { target, address } => self.running.push(format!("{target}:{address}")),
            Event::StepEnded { target, address, .. } => {
                let name = format!("{target}:{address}");
                self.running.retain(|running| *running != name);
                if let Phase::Applying { done, .. } = &mut self.phase {
                    *done += 1;
                }
            }
            Event::GateWaiting { target, address, message, .. } => {
                self.waiting.insert(format!("{target}:{address}"), message.clone());
            }
            Event::GateEnded { target, address, .. } => {
                self.waiting.remove(&format!("{target}:{address}"));
            }
            Event::Planned { .. } | Event::RunEnded { .. } => *self = Self::default(),
            Event::Undoing { steps, .. } => self.phase = Phase::Undoing { done: 0, total: *steps },
            Event::UndoStarted { target, address } => self.running.push(format!("{target}:{address}")),
            Event::UndoEnded { target, address, .. } => {
                let name = format!("{target}:{address}");
                self.running.retain(|running| *running != name);
                if let Phase::Undoing { done, .. } = &mut self.phase {
                    *done += 1;
                }
            }
            Event::ProviderStarted { .. }
            | Event::NothingNew { .. }
            | Event::GraceOver { .. }
            | Event::Warning { .. }
            | Event::Unsaved { .. } => {}
        }
    }

    /// What the time in the line is about.
    fn subject(&self) -> String {
        match (&self.phase, self.running.first(), self.waiting.keys().next()) {
            (Phase::Nothing, ..) => String::new(),
            (Phase::Observing { target, .. }, ..) => target.clone(),
            (Phase::Undoing { .. }, step, _) => step.cloned().unwrap_or_default(),
            (Phase::Applying { .. }, Some(step), _) => step.clone(),
            (Phase::Applying { .. }, None, gate) => gate.cloned().unwrap_or_default(),
        }
    }

    /// The line, on which nothing that others wrote can act; empty where there is nothing to tell.
    fn text(&self) -> String {
        let subject = self.subject();
        let text = match &self.phase {
            Phase::Nothing => String::new(),
            Phase::Observing { nodes, total, .. } => format!("observing {subject}: {nodes} of {total}"),
            Phase::Undoing { done, total } => {
                format!("taking back {} of {total}: {subject}", (done + 1).min(*total))
            }
            Phase::Applying { done, total } => match (self.running.len(), self.waiting.get(&subject)) {
                (0, Some(message)) => format!("waiting for {subject}: {message}"),
                (0, None) => format!("applying: {done} of {total} done"),
                (1, _) => format!("applying {} of {total}: {subject}", (done + 1).min(*total)),
                (n, _) => {
                    format!("applying {} of {total}: {subject}, and {} more", (done + 1).min(*total), n - 1)
                }
            },
        };
        visible(&text).replace('\n', " ")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The lines after each of some events.
    fn lines(events: &[Event]) -> Vec<String> {
        let mut status = Status::default();
        events
            .iter()
            .map(|event| {
                status.on(event);
                status.text()
            })
            .collect()
    }

    #[test]
    fn a_plan_and_a_run() {
        let target = || "web".parse().unwrap();
        let started = |a: &str| Event::StepStarted { target: target(), address: a.parse().unwrap() };
        let ended = |a: &str| Event::StepEnded {
            target: target(),
            address: a.parse().unwrap(),
            result: "applied".into(),
            message: None,
        };
        let waiting = |attempt, message: &str| Event::GateWaiting {
            target: target(),
            address: "a/verify:0".parse().unwrap(),
            attempt,
            message: message.into(),
        };
        let seen = lines(&[
            Event::Observing { target: target(), nodes: 2, total: 3 },
            Event::Observing { target: target(), nodes: 3, total: 3 },
            Event::Planned { changes: 3 },
            Event::RunStarted { run: "r".into(), changes: 3 },
            started("a/one"),
            started("a/two"),
            ended("a/one"),
            ended("a/two"),
            started("a/three"),
            ended("a/three"),
            waiting(1, "connection refused"),
            waiting(2, "\u{1b}[2Jgone\nbeyond \u{202e}txet"),
            Event::GateEnded {
                target: target(),
                address: "a/verify:0".parse().unwrap(),
                holds: true,
                message: None,
            },
            Event::RunEnded { run: "r".into(), outcome: "succeeded".into() },
        ]);
        insta::assert_snapshot!(seen.join("\n"));
    }
}
