//! Manifests like those of the real providers, and short ways to compile.

use rectify_base::Pointer;
use rectify_compile::{Input, Output, SourceFile, compile};
use rectify_model::{Graph, graph::Node};
use rectify_protocol::{
    Manifest, TypeDescriptor, VERSION,
    manifest::{FORMAT, ProtocolRange, TouchRule},
};
use serde_json::{Value, json};

pub const PROJECT: &str = "apiVersion: rectify/v1\nkind: Project\nmetadata: {name: demo}\n";
pub const INVENTORY: &str = "\
apiVersion: rectify/v1
kind: Inventory
targets:
  alpha: {environment: prod, labels: {role: web}, variables: {port: 8080, hosts: [a, b]}}
  beta: {environment: test, labels: {role: db, zone: north}, variables: {port: 5432, hosts: [c]}}
";

fn descriptor(
    name: &str,
    kind: &str,
    properties: Value,
    required: &[&str],
    touches: &[(&str, &str)],
) -> TypeDescriptor {
    TypeDescriptor {
        name: name.parse().unwrap(),
        version: 1,
        kind: kind.into(),
        summary: "For tests.".into(),
        schema: json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "additionalProperties": false,
            "required": required,
            "properties": properties,
            "$defs": {"mode": {"type": "string", "pattern": "^0[0-7]{3}$"}},
        }),
        volatile: vec![Pointer::from("/content/text")],
        touches: touches
            .iter()
            .map(|(property, access)| TouchRule {
                property: Pointer::from(*property),
                kind: "path".into(),
                access: (*access).into(),
            })
            .collect(),
        prediction: "exact".into(),
        retry: "converge".into(),
        undo: "exact".into(),
        compare_and_swap: true,
        read_timeout_ms: 1000,
        apply_timeout_ms: 1000,
    }
}

fn manifest(name: &str, types: Vec<TypeDescriptor>) -> Manifest {
    Manifest {
        format: FORMAT.into(),
        name: name.into(),
        version: "1.0.0".into(),
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        types,
    }
}

pub fn manifests() -> Vec<Manifest> {
    let text = || json!({"type": "string"});
    let mode = || json!({"$ref": "#/$defs/mode"});
    let owner = || json!({"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer"}]});
    let list = |least: u32| json!({"type": "array", "items": {"type": "string"}, "minItems": least});
    let mut content = descriptor(
        "file.content",
        "resource",
        json!({
            "path": text(), "content": {"type": "string", "x-rectify-secret": true},
            "content_base64": text(),
            "mode": mode(), "owner": owner(), "group": text(), "validate": list(2),
        }),
        &["path"],
        &[("/path", "write")],
    );
    content.schema["oneOf"] = json!([{"required": ["content"]}, {"required": ["content_base64"]}]);
    let file = vec![
        content,
        descriptor(
            "file.directory",
            "resource",
            json!({"path": text(), "mode": {"$ref": "#/$defs/mode", "default": "0755"}}),
            &["path"],
            &[("/path", "write")],
        ),
        descriptor(
            "file.link",
            "resource",
            json!({"path": text(), "target": text()}),
            &["path", "target"],
            &[("/path", "write")],
        ),
        descriptor(
            "file.line",
            "resource",
            json!({
                "path": text(), "line": text(), "match": text(),
                "create": {"type": "boolean", "default": false},
                "where": {"type": "string", "enum": ["start", "end"], "default": "end"},
                "position": {"enum": ["end", "beginning", "after", "before"]}, "validate": list(1),
            }),
            &["path", "line"],
            &[("/path", "write"), ("/path", "read")],
        ),
    ];
    let mut run = descriptor(
        "command.run",
        "action",
        json!({
            "argv": list(1), "script": text(), "stdin": {"type": "string", "x-rectify-secret": true},
            "creates": text(), "reads": text(), "directory": text(),
            "env": {"type": "object", "additionalProperties": text()},
            "timeout_s": {"type": "integer", "minimum": 1, "maximum": 3600, "default": 60},
        }),
        &[],
        &[("/creates", "write"), ("/reads", "read"), ("/directory", "read")],
    );
    run.schema["oneOf"] = json!([{"required": ["argv"]}, {"required": ["script"]}]);
    let command = vec![run];
    let tcp = vec![descriptor(
        "tcp.connect",
        "probe",
        json!({
            "host": {"type": "string", "default": "127.0.0.1"},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "timeout_ms": {"type": "integer", "minimum": 1, "maximum": 60000},
        }),
        &["port"],
        &[],
    )];
    let facts = ["facts.os", "facts.packages", "facts.mounts"]
        .map(|name| TypeDescriptor { volatile: vec![], ..descriptor(name, "fact", json!({}), &[], &[]) });
    vec![
        manifest("file", file),
        manifest("command", command),
        manifest("tcp", tcp),
        manifest("facts", facts.to_vec()),
    ]
}

pub fn file(path: &str, text: impl Into<Vec<u8>>) -> SourceFile {
    SourceFile { path: path.into(), bytes: text.into() }
}

pub fn compile_files(files: &[SourceFile]) -> Output {
    compile(&Input {
        files,
        manifests: &manifests(),
        locked: &std::collections::BTreeMap::new(),
        select: None,
    })
}

/// Compiles remediations, given as what follows their metadata, named `r0`, `r1`, ….
pub fn compile_bodies(bodies: &[&str]) -> Output {
    let mut files = vec![file("rectify.yaml", PROJECT), file("inventory/hosts.yaml", INVENTORY)];
    for (index, body) in bodies.iter().enumerate() {
        let head = format!("apiVersion: rectify/v1\nkind: Remediation\nmetadata: {{name: r{index}}}\n");
        files.push(file(&format!("remediations/r{index}.yaml"), head + body));
    }
    compile_files(&files)
}

/// The graph, which there must be.
pub fn graph(output: Output) -> Graph {
    assert!(output.diagnostics.is_empty(), "{:#?}", output.diagnostics);
    output.graph.unwrap()
}

/// The steps of a remediation for one target, given as YAML.
pub fn steps(steps: &str) -> Graph {
    graph(compile_bodies(&[&format!("targets: {{select: 'target.name == \"alpha\"'}}\nsteps:\n{steps}")]))
}

pub fn node<'g>(graph: &'g Graph, address: &str) -> &'g Node {
    graph.nodes.iter().find(|n| n.address.as_str() == address).unwrap()
}

pub fn order(graph: &Graph) -> Vec<&str> {
    graph.nodes.iter().map(|n| n.address.step()).collect()
}
