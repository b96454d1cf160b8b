//! The provider `command` as a process of its own, written with the real SDK: this very program,
//! started again with the test below as its only one.

use crate::support::{Dirs, launcher};
use rectify_base::{Digest, TypeName, fingerprint};
use rectify_host::{Executable, SessionSpec, Timings};
use rectify_protocol::{
    COOKIE_VARIABLE,
    message::{Apply, Mode},
};
use rectify_sdk::Provider;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Serves if an engine started it: what the harness prints before is noise before the greeting.
#[test]
fn serves() {
    if std::env::var_os(COOKIE_VARIABLE).is_some() {
        rectify_sdk::serve_stdio(rectify_provider_command::provider());
    }
}

/// A session of the provider. `name` is a word on its command line, to find the process by.
pub fn spec(dirs: &Dirs, mode: Mode, name: &str) -> SessionSpec {
    let manifest = rectify_provider_command::provider().manifest();
    let mut spec = SessionSpec::new(Executable::current(), manifest, mode, dirs.directories());
    spec.arguments = ["--exact", "genuine::serves", name].map(Into::into).to_vec();
    spec.launcher = launcher();
    spec.timings = Timings {
        handshake: Duration::from_secs(30),
        kill: Duration::from_millis(300),
        apply_grace: Duration::from_millis(300),
        ..Timings::default()
    };
    spec
}

/// An operation that runs a script. Each name has an id of its own, in every run of the tests.
pub fn run(name: &str, script: &str, deadline_ms: u64) -> Apply {
    let type_name = TypeName::new("command.run").unwrap();
    let Value::Object(desired) = json!({"argv": ["/bin/sh", "-c", script]}) else { unreachable!() };
    Apply {
        op_id: Digest::of_bytes(format!("{name} {}", std::process::id()).as_bytes()).hex(),
        expect: fingerprint::fingerprint(&type_name, 1, Some(&Map::new().into()), &[]).unwrap(),
        type_name,
        action: "run".into(),
        desired,
        result: None,
        deadline_ms,
        fence: 1,
    }
}
