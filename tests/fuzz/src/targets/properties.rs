//! Properties as authors write them, as each provider reads them.

use crate::Target;
use rectify_base::{TypeName, canonical};
use rectify_protocol::message::{Configure, DesiredItem, Directories, Mode, method};
use rectify_sdk::{
    Provider,
    testing::{CallError, Client},
};
use serde_json::{Map, Value, json};
use std::sync::{LazyLock, Mutex, PoisonError};

pub(super) const TARGET: Target = Target {
    name: "properties",
    holds: "properties have a canonical form that is its own, or are refused at a place in them; a form is valid exactly if they are",
    check,
    seeds: |_| {
        [
            json!(["file.content", {"path": "/etc//motd", "content": "x", "mode": 420, "owner": "root"}]),
            json!(["file.directory", {"path": "/srv/./x/", "mode": "0755", "recurse": true}]),
            json!(["file.link", {"path": "/srv/x", "target": "../y"}]),
            json!(["file.absent", {"path": "/srv/x"}]),
            json!(["file.line", {"path": "/x", "line": "a", "match": "^a", "occurrence": "all", "position": "after", "anchor": "b"}]),
            json!(["file.block", {"path": "/x", "block": "a\nb", "marker": "# {mark} X"}]),
            json!(["file.ini", {"path": "/x", "key": ["a", "b"], "value": [1, true], "delimiter": " = "}]),
            json!(["file.json", {"path": "/x", "edits": [{"key": ["a", 0], "value": {"x": [1]}}]}]),
            json!(["file.yaml", {"path": "/x", "key": ["a"], "literal": "0.5"}]),
            json!(["file.toml", {"path": "/x", "key": ["a"], "state": "absent"}]),
            json!(["command.run", {"argv": ["/bin/true", "x"], "environment": {"A": "b"}, "directory": "/", "user": "root", "unless": ["/bin/false"], "creates": "/x", "timeout_ms": 5}]),
            json!(["command.script", {"script": "true\n", "stdin": "x"}]),
            json!(["tcp.connect", {"host": "::1", "port": 80, "timeout_ms": 5}]),
            json!(["http.get", {"url": "https://a.example:8443/x?y#z", "status": [200, "301-302"], "headers": {"x-a": "^b$"}, "body": "c", "redirects": 2, "address": "127.0.0.1:1"}]),
            json!(["file.matches", {"path": "/x", "pattern": "^(a|b)+$", "absent": true}]),
            json!(["command.succeeds", {"argv": ["/bin/true"]}]),
            json!(["facts.os", {}]),
        ]
        .iter()
        .map(|seed| canonical::compact(seed).unwrap())
        .collect()
    },
    max_bytes: 2048,
    replays: 120,
};

/// A session, and the types that its provider knows.
type Known = (Vec<TypeName>, Client);

/// Sessions with all providers.
static PROVIDERS: LazyLock<Mutex<Vec<Known>>> = LazyLock::new(|| {
    fn serve(provider: impl Provider) -> (Vec<TypeName>, Client) {
        let types = provider.manifest().types.iter().map(|known| known.name.clone()).collect();
        let mut client = Client::in_process(provider).unwrap();
        client.greet(Mode::Read, Directories::default(), &Configure::default()).unwrap();
        (types, client)
    }
    Mutex::new(vec![
        serve(rectify_provider_facts::provider()),
        serve(rectify_provider_file::provider()),
        serve(rectify_provider_command::provider()),
        serve(rectify_provider_probe::provider()),
    ])
});

fn check(data: &[u8]) {
    let Ok(Value::Array(parts)) = canonical::parse_strict(data) else { return };
    let [Value::String(name), Value::Object(desired)] = parts.as_slice() else { return };
    let Ok(type_name) = TypeName::new(name.as_str()) else { return };
    let mut providers = PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((_, client)) = providers.iter_mut().find(|(types, _)| types.contains(&type_name)) else {
        return;
    };
    let mut ask = |method, desired: &Map<String, Value>| -> Result<Value, ()> {
        let item = DesiredItem { type_name: type_name.clone(), desired: desired.clone() };
        match client.single::<_, Value>(method, item) {
            Ok(answer) => Ok(answer),
            Err(CallError::Item(error)) => {
                assert_ne!(error.code, rectify_protocol::ErrorCode::Internal, "{error:?}");
                assert!(!error.message.is_empty() && error.mutated == rectify_protocol::Mutated::No);
                if let Some(path) = &error.path {
                    let value = Value::Object(desired.clone());
                    // What is missing is named by where it should stand.
                    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
                    assert!(
                        value.pointer(path).is_some() || value.pointer(above).is_some(),
                        "{path} is nowhere"
                    );
                }
                Err(())
            }
            Err(error) => panic!("{error}"),
        }
    };
    let valid = ask(method::VALIDATE, desired);
    match ask(method::NORMALIZE, desired) {
        Ok(Value::Object(form)) => {
            canonical::check(&Value::Object(form.clone())).expect("a form is canonical");
            assert_eq!(ask(method::NORMALIZE, &form), Ok(Value::Object(form.clone())), "its own form");
            assert_eq!(ask(method::VALIDATE, &form).is_ok(), valid.is_ok(), "valid in one form only");
        }
        Ok(other) => panic!("{other} are no properties"),
        Err(()) => assert!(valid.is_err(), "valid, and without a form"),
    }
}
