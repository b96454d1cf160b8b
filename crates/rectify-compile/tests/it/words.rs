//! What people read when a property breaks the schema of its type: our words, for every way in which
//! a schema can be broken.

use crate::types::{INVENTORY, PROJECT, file, manifests};
use rectify_base::{Diagnostic, Pointer};
use rectify_compile::{Input, LineIndex, compile};
use serde_json::{Value, json};

/// Words of JSON Schema, of its library, and of regular expressions; nobody should have to know them.
const FOREIGN: [&str; 16] = [
    "schema",
    "valid under",
    "oneOf",
    "anyOf",
    "allOf",
    "additionalP",
    "unevaluated",
    "propertyN",
    "minItems",
    "regex",
    "\"string\"",
    "\"object\"",
    "is not of type",
    "null",
    "instance",
    "keyword",
];

/// What is said of `p: <yaml>` on line 8 if the schema of `p` is this: line and column, code, message
/// and help.
fn said(schema: &Value, yaml: &str) -> Vec<(String, String, String, String)> {
    let mut manifest = manifests().remove(0);
    let mut ty = manifest.types.remove(0);
    ty.name = "t.one".parse().unwrap();
    ty.schema = json!({"type": "object", "additionalProperties": false, "properties": {"p": schema}});
    ty.touches.clear();
    ty.volatile = vec![Pointer::from("/content/text")];
    manifest.types = vec![ty];
    let text = format!(
        "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {{name: a}}\ntargets: {{select: 'true'}}\nsteps:\n  \
         one:\n    t.one:\n      p: {yaml}\n"
    );
    let files = [
        file("rectify.yaml", PROJECT),
        file("inventory/i.yaml", INVENTORY),
        file("remediations/a.yaml", text.as_str()),
    ];
    let output = compile(&Input {
        files: &files,
        manifests: &[manifest],
        locked: &std::collections::BTreeMap::new(),
        select: None,
    });
    let lines = LineIndex::new(&text);
    let row = |d: &Diagnostic| {
        let (line, column) = lines.locate(d.labels[0].start);
        (
            format!("{line}:{column}"),
            d.code.to_string(),
            d.message.clone(),
            d.help.clone().unwrap_or_default(),
        )
    };
    output.diagnostics.iter().map(row).collect()
}

#[test]
fn every_way_to_break_a_schema() {
    let text = || json!({"type": "string"});
    let either = || json!({"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
    type Row = (Value, &'static str, &'static str, &'static str, &'static str, &'static str);
    let table: Vec<Row> = vec![
        (text(), "[a]", "8:10", "type-mismatch", "`p` must be a text, but there is a list", ""),
        (
            json!({"type": "array"}),
            "a b",
            "8:10",
            "type-mismatch",
            "`p` must be a list, but there is the text `a b`",
            "write a list: `[a b]`",
        ),
        (
            json!({"type": ["integer", "boolean"]}),
            "x",
            "8:10",
            "type-mismatch",
            "`p` must be `true` or `false` or an integer, but there is the text `x`",
            "write `true` or `false`, without quotes",
        ),
        (
            json!({"type": "integer"}),
            "'7'",
            "8:10",
            "type-mismatch",
            "`p` must be an integer, but there is the text `7`",
            "remove the quotes",
        ),
        (
            json!({"type": "object", "additionalProperties": false, "properties": {"size": {}, "name": {}}}),
            "{nmae: x}",
            "8:11",
            "type-unknown-property",
            "`p` has no property `nmae`",
            "did you mean `name`?",
        ),
        (
            json!({"type": "object", "unevaluatedProperties": false, "properties": {"size": {}}}),
            "{other: x}",
            "8:11",
            "type-unknown-property",
            "`p` has no property `other`",
            "`p` has `size`",
        ),
        (
            json!({"type": "object", "required": ["size"], "properties": {"size": {"description": "In bytes. Never 0."}}}),
            "{}",
            "8:7",
            "type-missing-property",
            "`p` needs the property `size`",
            "`size`: In bytes",
        ),
        (
            json!({"type": "string", "pattern": "^0[0-7]{3,4}$", "description": "Permission bits."}),
            "644",
            "8:10",
            "type-pattern",
            "`p` cannot be the text `644`",
            "write it as a text, with a leading zero: `\"0644\"`",
        ),
        (
            json!({"type": "string", "pattern": "^0[0-7]{3,4}$"}),
            "0o755",
            "8:10",
            "type-pattern",
            "`p` cannot be the text `0o755`",
            "write it as a text, with a leading zero: `\"0755\"`",
        ),
        (
            json!({"type": "string", "pattern": "^0[0-7]{3,4}$", "description": "Permission bits.", "examples": ["0640", "1777"]}),
            "rw-r--r--",
            "8:10",
            "type-pattern",
            "`p` cannot be the text `rw-r--r--`",
            "Permission bits; such as `\"0640\"` or `\"1777\"`",
        ),
        (
            json!({"type": "string", "pattern": "^/", "examples": ["/etc/motd"]}),
            "etc",
            "8:10",
            "type-pattern",
            "`p` cannot be the text `etc`",
            "such as `/etc/motd`",
        ),
        (
            json!({"type": "string", "pattern": "^x+$"}),
            "y",
            "8:10",
            "type-pattern",
            "`p` cannot be the text `y`",
            "expected a text that the expression `^x+$` matches",
        ),
        (
            json!({"enum": ["start", "end"]}),
            "strat",
            "8:10",
            "type-enum",
            "`p` cannot be the text `strat`",
            "did you mean `start`?",
        ),
        (
            json!({"enum": ["start", 7, true]}),
            "never",
            "8:10",
            "type-enum",
            "`p` cannot be the text `never`",
            "expected `start` or `7` or `true`",
        ),
        (
            json!({"const": "on"}),
            "'off'",
            "8:10",
            "type-enum",
            "`p` must be the text `on`, not the text `off`",
            "",
        ),
        (
            json!({"type": "integer", "minimum": 1}),
            "0",
            "8:10",
            "type-range",
            "`p` must be at least 1, not the number 0",
            "",
        ),
        (
            json!({"type": "integer", "maximum": 1}),
            "2",
            "8:10",
            "type-range",
            "`p` must be at most 1, not the number 2",
            "",
        ),
        (
            json!({"type": "integer", "exclusiveMinimum": 1}),
            "1",
            "8:10",
            "type-range",
            "`p` must be above 1, not the number 1",
            "",
        ),
        (
            json!({"type": "integer", "exclusiveMaximum": 1}),
            "1",
            "8:10",
            "type-range",
            "`p` must be below 1, not the number 1",
            "",
        ),
        (
            json!({"type": "integer", "multipleOf": 512}),
            "500",
            "8:10",
            "type-range",
            "`p` must be a multiple of 512, not the number 500",
            "",
        ),
        (
            json!({"type": "string", "minLength": 1}),
            "''",
            "8:10",
            "type-length",
            "`p` must have at least 1 character, not 0",
            "",
        ),
        (
            json!({"type": "string", "maxLength": 2}),
            "abc",
            "8:10",
            "type-length",
            "`p` must have at most 2 characters, not 3",
            "",
        ),
        (
            json!({"type": "array", "minItems": 2}),
            "[a]",
            "8:10",
            "type-length",
            "`p` must have at least 2 elements, not 1",
            "",
        ),
        (
            json!({"type": "array", "maxItems": 1}),
            "[a, b]",
            "8:10",
            "type-length",
            "`p` must have at most 1 element, not 2",
            "",
        ),
        (
            json!({"type": "object", "minProperties": 1}),
            "{}",
            "8:10",
            "type-length",
            "`p` must have at least 1 member, not 0",
            "",
        ),
        (
            json!({"type": "object", "maxProperties": 0}),
            "{a: b}",
            "8:10",
            "type-length",
            "`p` must have at most 0 members, not 1",
            "",
        ),
        (
            json!({"type": "array", "prefixItems": [{}], "unevaluatedItems": false}),
            "[a, b]",
            "8:10",
            "type-length",
            "`p` has more elements than there may be",
            "",
        ),
        (
            json!({"type": "array", "items": text(), "uniqueItems": true}),
            "[a, b, a]",
            "8:17",
            "type-invalid",
            "`p` has the text `a` twice",
            "remove one of them",
        ),
        (
            json!({"type": "array", "items": text(), "contains": {"const": "root", "description": "The user root."}}),
            "[a]",
            "8:10",
            "type-invalid",
            "`p` lacks an element that must be among the others",
            "The user root",
        ),
        (
            json!({"type": "array", "items": {"type": "integer"}}),
            "[1, x]",
            "8:14",
            "type-mismatch",
            "element 2 of `p` must be an integer, but there is the text `x`",
            "integers are decimal, without leading zeros, and within ±(2^53−1)",
        ),
        (
            json!({"type": "object", "propertyNames": {"pattern": "^[A-Z]+$", "examples": ["LANG"]}}),
            "{lang: C}",
            "8:11",
            "type-pattern",
            "`lang` cannot be a name in `p`",
            "such as `LANG`",
        ),
        (
            json!({"type": "object", "propertyNames": {"maxLength": 3}}),
            "{lang: C}",
            "8:11",
            "type-pattern",
            "`lang` cannot be a name in `p`",
            "",
        ),
        (
            json!({"type": "object", "properties": {"a": false}}),
            "{a: b}",
            "8:11",
            "type-invalid",
            "`a` cannot stand here",
            "remove it",
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
            "[a]",
            "8:10",
            "type-mismatch",
            "`p` must be a text or an integer, but there is a list",
            "",
        ),
        (
            json!({"anyOf": [{"type": "string", "maxLength": 1}, {"type": "object"}]}),
            "abc",
            "8:10",
            "type-length",
            "`p` must have at most 1 character, not 3",
            "",
        ),
        (
            json!({"oneOf": [{"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "^b"}], "description": "A or b."}),
            "c",
            "8:10",
            "type-invalid",
            "`p` has none of the forms that it may have: the text `c`",
            "A or b",
        ),
        (
            json!({"oneOf": [{"type": "string", "minLength": 1}, {"type": "string", "minLength": 2}]}),
            "ccc",
            "8:10",
            "type-invalid",
            "`p` has several of the forms of which it may have one only",
            "",
        ),
        (either(), "{c: d}", "8:7", "type-invalid", "`p` needs `a` or `b`", "write one of them"),
        (
            either(),
            "{b: 1, x: 2, a: 3}",
            "8:23",
            "type-invalid",
            "`p` has both `a` and `b`, but may have only one of them",
            "remove one of them",
        ),
        (
            either(),
            "systemctl reload x",
            "8:10",
            "type-mismatch",
            "`p` must be a mapping, but there is the text `systemctl reload x`",
            "",
        ),
        (
            json!({"type": "object", "anyOf": [{"required": ["a", "c"]}, {"required": ["b"]}]}),
            "{d: e}",
            "8:7",
            "type-invalid",
            "`p` needs `a` and `c` or `b`",
            "write at least one of them",
        ),
        (
            json!({"type": "object", "not": {"required": ["a", "b"]}}),
            "{a: 1, b: 2}",
            "8:17",
            "type-invalid",
            "`p` cannot have `a` and `b` together",
            "",
        ),
        (
            json!({"type": "string", "not": {"const": "root", "description": "Root is never a member."}}),
            "root",
            "8:10",
            "type-invalid",
            "`p` cannot be the text `root`",
            "Root is never a member",
        ),
    ];
    let mut wrong = Vec::new();
    for (schema, yaml, place, code, message, help) in &table {
        let got = said(schema, yaml);
        let expected = ((*place).to_owned(), (*code).to_owned(), (*message).to_owned(), (*help).to_owned());
        if got != [expected] {
            wrong.push(format!(
                "{schema} with {yaml}:\n  {got:?}\n  expected {place} {code} {message:?} {help:?}"
            ));
        }
        for (_, _, message, help) in &got {
            let foreign = FOREIGN.iter().find(|word| message.contains(**word) || help.contains(**word));
            assert_eq!(foreign, None, "{message} / {help}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
