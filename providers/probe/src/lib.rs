//! The provider `probe`: questions with the answer yes or no, asked once. It changes nothing;
//! asking again until the answer is yes is the engine's part.

mod aside;
mod command;
mod file;
mod http;
mod manifest;
mod tcp;

use rectify_sdk::{
    Context, Provider,
    protocol::{
        ErrorCode, ItemError, Manifest,
        message::{Applied, Apply, DesiredItem, PlanAnswer, PlanItem, ReadAnswer, ReadItem},
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The provider.
#[must_use]
pub fn provider() -> impl Provider {
    ProbeProvider
}

struct ProbeProvider;

/// A question with its answer: whether, and a sentence about it for a person.
type Answer = Result<(bool, String), ItemError>;

/// A question that was read.
enum Question {
    Tcp(tcp::Connect),
    File(file::Matches),
    Http(http::Get),
    Command(command::Succeeds),
}

impl Question {
    fn read(item: &DesiredItem) -> Result<Self, ItemError> {
        match item.type_name.as_str() {
            "tcp.connect" => tcp::Connect::read(&item.desired).map(Self::Tcp),
            "file.matches" => file::Matches::read(&item.desired).map(Self::File),
            "http.get" => http::Get::read(&item.desired).map(Self::Http),
            "command.succeeds" => command::Succeeds::read(&item.desired).map(Self::Command),
            other => Err(ItemError::new(ErrorCode::Unsupported, format!("there is no probe `{other}`"))),
        }
    }

    fn ask(&self, cx: &Context) -> Answer {
        match self {
            Self::Tcp(connect) => connect.ask(cx),
            Self::File(matches) => matches.ask(cx),
            Self::Http(get) => get.ask(cx),
            Self::Command(succeeds) => succeeds.ask(cx),
        }
    }
}

/// Reads the properties of a type.
fn properties<T: DeserializeOwned>(desired: &Map<String, Value>) -> Result<T, ItemError> {
    serde_json::from_value(Value::Object(desired.clone()))
        .map_err(|e| ItemError::new(ErrorCode::Schema, format!("the properties cannot be read: {e}")).at(""))
}

impl Provider for ProbeProvider {
    fn manifest(&self) -> Manifest {
        manifest::manifest()
    }

    fn validate(&self, _cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        Question::read(item).map(drop)
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        let item = DesiredItem { type_name: item.type_name.clone(), desired: item.desired.clone() };
        let (ok, detail) = Question::read(&item)?.ask(cx)?;
        Ok(ReadAnswer { state: Some(json!({"ok": ok, "detail": detail})), before_image: None })
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        let item = DesiredItem { type_name: item.type_name.clone(), desired: item.desired.clone() };
        match Question::read(&item)?.ask(cx)? {
            (true, detail) => Ok(PlanAnswer::Unchanged {
                state: Some(json!({"ok": true, "detail": detail})),
                resolved: Vec::new(),
            }),
            (false, detail) => Err(ItemError::new(ErrorCode::Failed, detail)),
        }
    }

    fn apply(&self, _cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        let message = format!("`{}` is a question; it changes nothing", op.type_name);
        Err(ItemError::new(ErrorCode::Unsupported, message))
    }
}
