//! Events as lines on standard error.

use crate::{
    progress,
    say::{self, tell},
    words::count,
};
use rectify_engine::{Event, Events};

/// Writes events as JSON lines, or what people want to see of them.
pub struct Listener {
    /// As JSON lines.
    pub json: bool,
    /// Also what goes well.
    pub verbose: bool,
}

impl Events for Listener {
    fn on(&self, event: &Event) {
        if self.json {
            return say::event(event);
        }
        progress::on(event);
        match event {
            // A terminal shows it for as long as it lasts.
            Event::GateWaiting { target, address, attempt: 1, message } if !progress::is_shown() => {
                tell!("{:>8}  {target}:{address}: {message}", "waiting");
            }
            Event::StepEnded { target, address, result, message } => match message {
                Some(message) => tell!("{result:>8}  {target}:{address}: {message}"),
                None => tell!("{result:>8}  {target}:{address}"),
            },
            Event::GateEnded { target, address, holds, message } => {
                let word = if *holds { "holds" } else { "FAILS" };
                let message = message.as_ref().map(|m| format!(": {m}")).unwrap_or_default();
                tell!("{word:>8}  {target}:{address}{message}");
            }
            Event::NothingNew { code, message } => {
                tell!("nothing new is begun: {message} [{code}]");
            }
            Event::Undoing { place, message, steps } => {
                tell!("{place}: {message}");
                tell!("taking back {}", count(*steps, "step"));
            }
            Event::UndoEnded { target, address, result, message } => match message {
                Some(message) => tell!("{result:>8}  {target}:{address}: {message}"),
                None => tell!("{result:>8}  {target}:{address}"),
            },
            Event::GraceOver { waited_s } => {
                tell!("what is under way did not end within {waited_s} s; stopping now");
            }
            Event::Warning { code, message } => tell!("WARNING[{code}]: {message}"),
            // It is nowhere else.
            Event::Unsaved { record } => say::event(&serde_json::json!({"unsaved": record})),
            Event::ProviderStarted { provider, confinement: Some(confinement) } if self.verbose => {
                tell!("provider {provider}: {confinement}");
            }
            _ => {}
        }
    }
}
