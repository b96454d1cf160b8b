//! JSON Schemas of the manifest and of every message, see [`rectify_base::schema`].
//!
//! On the wire unknown members are ignored and `null` stands for what is absent, so a message's schema
//! is open where a document's is closed.

use crate::{
    Manifest,
    frame::RpcError,
    message::{
        Applied, Apply, Batch, BatchResult, BlobChunk, BlobGet, BlobPut, BlobReceived, Cancel, Configure,
        DesiredItem, Initialize, Initialized, ItemResult, Log, OpStatus, OpStatusQuery, PlanAnswer, PlanItem,
        Pong, Progress, ReadAnswer, ReadItem, method,
    },
};
use rectify_base::schema::{Form, Named, assemble, document};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

/// All of them.
#[must_use]
pub fn schemas() -> Vec<Named> {
    vec![
        ("manifest", document::<Manifest>("Rectify provider manifest", Form::Canonical)),
        ("protocol", assemble("Rectify provider protocol 1.0", Form::Wire, frames)),
    ]
}

/// No members are defined.
#[derive(JsonSchema)]
struct Empty {}

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Requests of the engine: method, parameters, result.
const REQUESTS: &[(&str, SchemaOf, SchemaOf)] = &[
    (method::INITIALIZE, of::<Initialize>, of::<Initialized>),
    (method::CONFIGURE, of::<Configure>, of::<Empty>),
    (method::SCHEMA_GET, of::<Empty>, of::<Manifest>),
    (method::VALIDATE, of::<Batch<DesiredItem>>, of::<BatchResult<()>>),
    (method::NORMALIZE, of::<Batch<DesiredItem>>, of::<BatchResult<Map<String, Value>>>),
    (method::READ, of::<Batch<ReadItem>>, of::<BatchResult<ReadAnswer>>),
    (method::PLAN, of::<Batch<PlanItem>>, of::<BatchResult<PlanAnswer>>),
    (method::APPLY, of::<Apply>, of::<ItemResult<Applied>>),
    (method::OP_STATUS, of::<OpStatusQuery>, of::<OpStatus>),
    (method::BLOB_PUT, of::<BlobPut>, of::<ItemResult<BlobReceived>>),
    (method::BLOB_GET, of::<BlobGet>, of::<ItemResult<BlobChunk>>),
    (method::PING, of::<Empty>, of::<Pong>),
    (method::SHUTDOWN, of::<Empty>, of::<Empty>),
];

/// Notifications: method, who sends it, parameters.
const NOTIFICATIONS: &[(&str, &str, SchemaOf)] = &[
    (method::CANCEL, "engine", of::<Cancel>),
    (method::PROGRESS, "provider", of::<Progress>),
    (method::LOG, "provider", of::<Log>),
];

/// One line of either stream. A response does not say to which method it belongs, so its result is
/// one of all results; `$defs/<method>.result` is the one of a method.
fn frames(generator: &mut SchemaGenerator) -> Schema {
    let mut definitions = Map::new();
    let mut lines = Vec::new();
    let mut define = |name: String, schema: Schema| {
        definitions.insert(name.clone(), schema.to_value());
        json_schema!({"$ref": format!("#/$defs/{name}")})
    };
    for (method, parameters, result) in REQUESTS {
        let parameters = define(name(method, "params"), parameters(generator));
        let result = define(name(method, "result"), result(generator));
        let request = json_schema!({
            "description": "Request of the engine.",
            "type": "object",
            "properties": {"jsonrpc": version(), "id": id(), "method": {"const": method}, "params": parameters},
            "required": ["jsonrpc", "id", "method", "params"],
        });
        let response = json_schema!({
            "description": format!("Response to a request `{method}`."),
            "type": "object",
            "properties": {"jsonrpc": version(), "id": id(), "result": result},
            "required": ["jsonrpc", "id", "result"],
            "not": {"anyOf": [{"required": ["method"]}, {"required": ["error"]}]},
        });
        lines.push(define(name(method, "request"), request));
        lines.push(define(name(method, "response"), response));
    }
    for (method, sender, parameters) in NOTIFICATIONS {
        let parameters = define(name(method, "params"), parameters(generator));
        let notification = json_schema!({
            "description": format!("Notification of the {sender}."),
            "type": "object",
            "properties": {"jsonrpc": version(), "method": {"const": method}, "params": parameters},
            "required": ["jsonrpc", "method", "params"],
            "not": {"required": ["id"]},
        });
        lines.push(define(name(method, "notification"), notification));
    }
    let failure = json_schema!({
        "description": "Response of the provider to a request that failed as a whole. `id` is absent where the request could not be read.",
        "type": "object",
        "properties": {"jsonrpc": version(), "id": id(), "error": generator.subschema_for::<RpcError>()},
        "required": ["jsonrpc", "error"],
        "not": {"anyOf": [{"required": ["method"]}, {"required": ["result"]}]},
    });
    lines.push(define("failure".into(), failure));
    for (name, schema) in definitions {
        generator.definitions_mut().insert(name, schema);
    }
    json_schema!({"description": "One line of either stream.", "anyOf": lines})
}

fn name(method: &str, part: &str) -> String {
    format!("{}.{part}", method.trim_start_matches("$/"))
}

fn version() -> Schema {
    json_schema!({"const": "2.0"})
}

fn id() -> Schema {
    json_schema!({"description": "Number of the request; never reused in a session.", "type": "integer", "minimum": 0})
}
