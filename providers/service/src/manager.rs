//! systemd, as it answers on a bus. Everything here is bounded in time, and ends when the request is
//! cancelled.

use futures_util::StreamExt;
use rectify_sdk::{
    Context,
    protocol::{ErrorCode, ItemError, Mutated},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;
use zbus::{
    Connection, DBusError as _, DynamicType, Error, MatchRule, Message, MessageStream, OwnedObjectPath,
    OwnedVariant, Type, connection, message,
};

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const JOB: &str = "org.freedesktop.systemd1.Job";
/// Longest time for one call. Reading all unit files anew takes seconds on a slow machine.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked whether the request was cancelled.
const PULSE: Duration = Duration::from_millis(50);
/// How long a job that was cancelled may take to end.
const CANCEL_PATIENCE: Duration = Duration::from_secs(2);

/// A conversation with systemd.
pub(crate) struct Manager {
    runtime: Runtime,
    connection: Connection,
}

/// A unit as systemd has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its own name; others may lead to it.
    pub(crate) id: String,
    /// `loaded`, `not-found`, `bad-setting`, `error`, `masked`.
    pub(crate) load: String,
    /// Why it is not loaded.
    pub(crate) load_error: String,
    /// `active`, `inactive`, `failed`, …
    pub(crate) active: String,
    /// The same in more detail, in the words of the unit's kind.
    pub(crate) sub: String,
    /// Its file.
    pub(crate) fragment: String,
    /// Whether it knows how to reload.
    pub(crate) can_reload: bool,
    /// How a service ended the last time.
    pub(crate) result: String,
    /// How often a service was started again by itself.
    pub(crate) restarts: u64,
}

impl Seen {
    /// Whether it does what it is for.
    pub(crate) fn runs(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "refreshing" | "deactivating")
    }

    /// State in one phrase, as `systemctl status` has it.
    pub(crate) fn phrase(&self) -> String {
        let result = match self.result.as_str() {
            "" | "success" => String::new(),
            result => format!(", result `{result}`"),
        };
        format!("{} ({}{result})", self.active, self.sub)
    }
}

/// What a job came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// It is done: `done`, `failed`, `timeout`, `dependency`, `canceled`, …
    Ended(String),
    /// The time was over; it was cancelled.
    TimedOut,
    /// The request was cancelled, and so was the job.
    Cancelled,
}

impl Manager {
    /// Talks to the systemd of this machine.
    pub(crate) fn open(bus: Option<&str>) -> Result<Self, ItemError> {
        let internal = |e: std::io::Error| ItemError::new(ErrorCode::Internal, format!("no runtime: {e}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(internal)?;
        let builder = match bus {
            Some(address) => connection::Builder::address(address),
            None => connection::Builder::system(),
        };
        let connect =
            async { tokio::time::timeout(CALL_TIMEOUT, builder.method_timeout(CALL_TIMEOUT).build()).await };
        let told = |why: String| {
            ItemError::new(
                ErrorCode::Dependency,
                format!("systemd cannot be asked, because the system bus does not answer: {why}"),
            )
            .hint("see that systemd and D-Bus run: `systemctl status dbus`")
        };
        match runtime.block_on(connect) {
            Ok(Ok(connection)) => Ok(Self { runtime, connection }),
            Ok(Err(e)) => Err(told(e.to_string())),
            Err(_) => Err(told(format!("no answer in {} s", CALL_TIMEOUT.as_secs()))),
        }
    }

    async fn send<B: Serialize + DynamicType>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<Message, Error> {
        self.connection.call_method(Some(NAME), path, Some(interface), method, body).await
    }

    fn call<B, R>(&self, path: &str, interface: &str, method: &str, body: &B) -> Result<R, ItemError>
    where
        B: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        let reply = self.runtime.block_on(self.send(path, interface, method, body));
        let read = |message: Message| message.body().deserialize();
        reply.and_then(read).map_err(|e| told(&e, method))
    }

    fn manager<B, R>(&self, method: &str, body: &B) -> Result<R, ItemError>
    where
        B: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        self.call(PATH, MANAGER, method, body)
    }

    /// A unit as systemd has it now. One without a file is there, too, as `not-found`.
    pub(crate) fn unit(&self, name: &str) -> Result<Seen, ItemError> {
        let path: OwnedObjectPath = self.manager("LoadUnit", &(name,))?;
        let all: HashMap<String, OwnedVariant> =
            self.call(path.as_str(), "org.freedesktop.DBus.Properties", "GetAll", &(UNIT,))?;
        let mut seen = Seen {
            id: text(&all, "Id"),
            load: text(&all, "LoadState"),
            load_error: load_error(&all),
            active: text(&all, "ActiveState"),
            sub: text(&all, "SubState"),
            fragment: text(&all, "FragmentPath"),
            can_reload: flag(&all, "CanReload"),
            result: String::new(),
            restarts: 0,
        };
        if name.ends_with(".service") && seen.load == "loaded" {
            let all: HashMap<String, OwnedVariant> =
                self.call(path.as_str(), "org.freedesktop.DBus.Properties", "GetAll", &(SERVICE,))?;
            seen.result = text(&all, "Result");
            let restarts = all.get("NRestarts").and_then(|value| u32::try_from(value).ok());
            seen.restarts = restarts.unwrap_or(0).into();
        }
        Ok(seen)
    }

    /// What the links in the file system say of a unit, as `systemctl is-enabled`; empty without a file.
    pub(crate) fn enablement(&self, name: &str) -> Result<String, ItemError> {
        let asked = self.runtime.block_on(self.send(PATH, MANAGER, "GetUnitFileState", &(name,)));
        match asked.and_then(|message| message.body().deserialize::<String>()) {
            Ok(state) => Ok(state),
            Err(e) if is(&e, &["FileNotFound", "NoSuchUnit", "UnknownObject"]) => Ok(String::new()),
            Err(e) => Err(told(&e, "GetUnitFileState")),
        }
    }

    /// Makes the links of the unit's `[Install]` section, and reads all unit files anew.
    pub(crate) fn enable(&self, name: &str) -> Result<(), ItemError> {
        let _: (bool, Changes) = self.manager("EnableUnitFiles", &(vec![name], false, false))?;
        self.reload()
    }

    /// Removes all links to the unit, and reads all unit files anew.
    pub(crate) fn disable(&self, name: &str) -> Result<(), ItemError> {
        let _: Changes = self.manager("DisableUnitFiles", &(vec![name], false))?;
        self.reload()
    }

    /// Makes it impossible to start the unit.
    pub(crate) fn mask(&self, name: &str) -> Result<(), ItemError> {
        let _: Changes = self.manager("MaskUnitFiles", &(vec![name], false, false))?;
        self.reload()
    }

    /// Makes it possible to start the unit. `runtime`: the mask is one until the next boot.
    pub(crate) fn unmask(&self, name: &str, runtime: bool) -> Result<(), ItemError> {
        let _: Changes = self.manager("UnmaskUnitFiles", &(vec![name], runtime))?;
        self.reload()
    }

    /// Reads all unit files anew.
    pub(crate) fn reload(&self) -> Result<(), ItemError> {
        self.manager::<_, ()>("Reload", &()).map_err(|error| error.mutated(Mutated::Maybe))
    }

    /// Forgets that a unit failed, and how often it was tried.
    pub(crate) fn forget_failure(&self, name: &str) -> Result<(), ItemError> {
        match self.runtime.block_on(self.send(PATH, MANAGER, "ResetFailedUnit", &(name,))) {
            Ok(_) => Ok(()),
            // A unit that is not in memory has no past.
            Err(e) if is(&e, &["NoSuchUnit"]) => Ok(()),
            Err(e) => Err(told(&e, "ResetFailedUnit")),
        }
    }

    /// Queues a job by a method of the manager such as `RestartUnit`, and waits until systemd says what it
    /// came to. An error means that there was no job.
    pub(crate) fn job(
        &self,
        cx: &Context,
        method: &str,
        name: &str,
        deadline: Instant,
    ) -> Result<Job, ItemError> {
        self.runtime.block_on(async {
            // The signal of a job that ends at once must not be missed, so first we listen.
            let rule = MatchRule::builder()
                .msg_type(message::Type::Signal)
                .interface(MANAGER)
                .member("JobRemoved")
                .path(PATH)
                .build();
            let rule = rule.map_err(|e| told(&e, "JobRemoved"))?;
            let listen = MessageStream::for_match_rule(rule, &self.connection, None).await;
            let mut signals = listen.map_err(|e| told(&e, "JobRemoved"))?;
            // Without it systemd keeps its signals to itself.
            match self.send(PATH, MANAGER, "Subscribe", &()).await {
                Err(e) if !is(&e, &["AlreadySubscribed"]) => return Err(told(&e, "Subscribe")),
                _ => {}
            }
            let reply = self.send(PATH, MANAGER, method, &(name, "replace")).await;
            let job: OwnedObjectPath =
                reply.and_then(|message| message.body().deserialize()).map_err(|e| told(&e, method))?;
            let unknown = |why: &str| {
                let message = format!("what {method} of `{name}` came to is not known: {why}");
                ItemError::new(ErrorCode::UnknownOutcome, message).mutated(Mutated::Maybe)
            };
            let mut over: Option<(Job, Instant)> = None;
            loop {
                match tokio::time::timeout(PULSE, signals.next()).await {
                    Ok(Some(Ok(message))) => {
                        if let Some(result) = ended(&message, &job) {
                            return Ok(match over {
                                Some((why, _)) if result == "canceled" => why,
                                _ => Job::Ended(result),
                            });
                        }
                    }
                    Ok(Some(Err(e))) => return Err(unknown(&e.to_string())),
                    Ok(None) => return Err(unknown("the bus is gone")),
                    Err(_) => {}
                }
                if let Some((why, patience)) = &over {
                    if Instant::now() >= *patience {
                        return Ok(why.clone());
                    }
                    continue;
                }
                let why = if cx.cancelled() {
                    Job::Cancelled
                } else if Instant::now() >= deadline {
                    Job::TimedOut
                } else {
                    continue;
                };
                over = Some((why, Instant::now() + CANCEL_PATIENCE));
                // It may have ended meanwhile; then its signal is on the way.
                drop(self.send(job.as_str(), JOB, "Cancel", &()).await);
            }
        })
    }
}

/// What systemd tells of links: kind, place and what it leads to.
type Changes = Vec<(String, String, String)>;

/// The result of a job, if the signal is about it.
fn ended(message: &Message, job: &OwnedObjectPath) -> Option<String> {
    let body = message.body();
    let (_, path, _, result): (u32, OwnedObjectPath, String, String) = body.deserialize().ok()?;
    (path == *job).then_some(result)
}

fn text(all: &HashMap<String, OwnedVariant>, name: &str) -> String {
    all.get(name).and_then(|value| <&str>::try_from(value).ok()).unwrap_or_default().to_owned()
}

fn flag(all: &HashMap<String, OwnedVariant>, name: &str) -> bool {
    all.get(name).and_then(|value| bool::try_from(value).ok()).unwrap_or_default()
}

fn load_error(all: &HashMap<String, OwnedVariant>) -> String {
    let pair = all.get("LoadError").and_then(|value| value.try_clone().ok());
    let pair: Option<(String, String)> = pair.and_then(|value| value.try_into().ok());
    pair.map(|(_, message)| message).unwrap_or_default()
}

/// Name and words of an error on the bus.
fn parts(error: &Error) -> Option<(String, String)> {
    match error {
        Error::MethodError(name, words, _) => {
            Some((name.as_str().to_owned(), words.clone().unwrap_or_default()))
        }
        Error::FDO(error) => {
            Some((error.name().as_str().to_owned(), error.description().unwrap_or_default().to_owned()))
        }
        _ => None,
    }
}

/// Whether an error on the bus is one of these.
fn is(error: &Error, names: &[&str]) -> bool {
    let name = parts(error).map(|(name, _)| name).unwrap_or_default();
    names.iter().any(|last| name.rsplit('.').next() == Some(*last))
}

fn told(error: &Error, method: &str) -> ItemError {
    let Some((name, words)) = parts(error) else {
        return ItemError::new(ErrorCode::Failed, format!("systemd did not answer {method}: {error}"))
            .mutated(Mutated::Maybe);
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let code = match last {
        "AccessDenied" | "InteractiveAuthorizationRequired" | "AuthFailed" => ErrorCode::Permission,
        "ServiceUnknown" | "NameHasNoOwner" => ErrorCode::Dependency,
        "FileExists" | "UnitMasked" => ErrorCode::Conflict,
        "NoReply" | "Timeout" | "TimedOut" => ErrorCode::UnknownOutcome,
        _ => ErrorCode::Failed,
    };
    let error =
        ItemError::new(code, format!("systemd refuses {method}: {} ({last})", words.trim_end_matches('.')));
    if code == ErrorCode::UnknownOutcome { error.mutated(Mutated::Maybe) } else { error }
}
