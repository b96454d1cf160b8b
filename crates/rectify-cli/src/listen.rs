//! Events as lines on standard error.

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
            if let Ok(line) = serde_json::to_string(event) {
                anstream::eprintln!("{line}");
            }
            return;
        }
        match event {
            Event::StepEnded { target, address, result, message } => match message {
                Some(message) => anstream::eprintln!("{result:>8}  {target}:{address}: {message}"),
                None => anstream::eprintln!("{result:>8}  {target}:{address}"),
            },
            Event::GateEnded { target, address, holds, message } => {
                let word = if *holds { "holds" } else { "FAILS" };
                let message = message.as_ref().map(|m| format!(": {m}")).unwrap_or_default();
                anstream::eprintln!("{word:>8}  {target}:{address}{message}");
            }
            Event::ProviderStarted { provider, confinement: Some(confinement) } if self.verbose => {
                anstream::eprintln!("provider {provider}: {confinement}");
            }
            _ => {}
        }
    }
}
