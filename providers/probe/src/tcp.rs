//! `tcp.connect`: whether something accepts a connection.

use crate::{Answer, aside, properties};
use rectify_sdk::{
    Context,
    protocol::{ErrorCode, ItemError},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

/// Longest time for one attempt, in milliseconds.
const TIMEOUT_MAX_MS: u64 = 60_000;

/// The properties.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connect {
    #[serde(default = "localhost")]
    host: String,
    port: std::num::NonZeroU16,
    #[serde(default = "three_seconds")]
    timeout_ms: u64,
}

fn localhost() -> String {
    "127.0.0.1".into()
}

fn three_seconds() -> u64 {
    3_000
}

impl Connect {
    pub(crate) fn read(desired: &Map<String, Value>) -> Result<Self, ItemError> {
        let wrong = |path: &str, message: &str| Err(ItemError::new(ErrorCode::Schema, message).at(path));
        let this: Self = properties(desired)?;
        if this.host.is_empty() || this.host.contains(['\0', ' ', '/']) {
            return wrong("/host", "this is neither a name nor an address of a host");
        }
        if !(1..=TIMEOUT_MAX_MS).contains(&this.timeout_ms) {
            return wrong("/timeout_ms", "the time is between 1 and 60000 milliseconds");
        }
        Ok(this)
    }

    /// Tries each address of the host, in the resolver's order, within the time for all of them.
    pub(crate) fn ask(&self, cx: &Context) -> Answer {
        let (host, port) = (self.host.clone(), self.port.get());
        let deadline = Instant::now() + Duration::from_millis(self.timeout_ms);
        let time = Duration::from_millis(self.timeout_ms);
        // Neither resolving nor connecting can be interrupted.
        let answer = aside::run(cx, time, move || connect(&host, port, deadline))?;
        Ok(answer.unwrap_or_else(|| {
            (false, format!("{}:{port} did not answer within {} ms", self.host, self.timeout_ms))
        }))
    }
}

fn connect(host: &str, port: u16, deadline: Instant) -> (bool, String) {
    let addresses: Vec<SocketAddr> = match (host, port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(e) => return (false, format!("the host {host} cannot be resolved: {e}")),
    };
    let mut detail = format!("the host {host} has no address");
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(_) => return (true, format!("{address} accepts connections")),
            Err(e) => detail = format!("{address} does not accept connections: {e}"),
        }
    }
    (false, detail)
}
