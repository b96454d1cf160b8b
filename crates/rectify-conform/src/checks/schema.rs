//! S: what the manifest says, and that properties mean what it says.

use crate::{
    bed::Subject,
    checks::{bed, item_a},
    fixtures::Properties,
    kit::Scene,
    outcome::{Check, Stop, ensure, fail, skip},
    session::{item, print, print_as},
};
use rectify_protocol::{
    ErrorCode, ItemError,
    message::{Mode, PlanAnswer, ReadAnswer, method},
};
use serde_json::{Map, Value, json};

const KINDS: [&str; 4] = ["resource", "action", "probe", "fact"];
const PREDICTIONS: [&str; 3] = ["exact", "conditional", "opaque"];
const RETRIES: [&str; 3] = ["converge", "query", "once"];
const UNDOS: [&str; 3] = ["exact", "lossy", "none"];

pub(crate) fn s01(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    let d = subject.descriptor;
    for (what, word, known) in [
        ("kind", &d.kind, &KINDS[..]),
        ("prediction", &d.prediction, &PREDICTIONS),
        ("retry", &d.retry, &RETRIES),
        ("undo", &d.undo, &UNDOS),
    ] {
        ensure!(known.contains(&word.as_str()), "`{what}` is `{word}`, not one of {}", known.join(", "));
    }
    let names: Vec<&str> = scene.manifest.types.iter().map(|t| t.name.as_str()).collect();
    ensure!(names.is_sorted_by(|a, b| a < b), "the types are not sorted by name, each once");
    ensure!(d.version >= 1 && !d.summary.trim().is_empty(), "it has no version, or no summary");
    ensure!(d.schema.get("type") == Some(&json!("object")), "its schema is no object's");
    ensure!(
        d.schema.get("additionalProperties") == Some(&json!(false)),
        "its schema is open: `additionalProperties` is not false"
    );
    if let Some(reference) = foreign_reference(&d.schema) {
        return fail(format!("its schema refers to elsewhere: {reference}"));
    }
    if let Err(error) = jsonschema::draft202012::new(&d.schema) {
        return fail(format!("its schema is no JSON Schema 2020-12: {error}"));
    }
    let properties = d.schema.get("properties").and_then(Value::as_object);
    for rule in &d.touches {
        let first = rule.property.as_str().split('/').nth(1).unwrap_or_default();
        ensure!(
            properties.is_some_and(|p| p.contains_key(first)),
            "`touches` names the property {}, which the schema does not have",
            rule.property
        );
        ensure!(
            ["read", "write"].contains(&rule.access.as_str()),
            "`touches` has the access `{}`",
            rule.access
        );
    }
    if let Ok(fixture) = subject.fixture() {
        let validator = jsonschema::draft202012::new(&d.schema)
            .map_err(|e| Stop::Fail(format!("its schema is no JSON Schema 2020-12: {e}")))?;
        for (name, properties) in [("A", Some(&fixture.a)), ("B", fixture.b.as_ref())] {
            if let Some(properties) = properties
                && let Err(error) = validator.validate(&Value::Object(properties.clone()))
            {
                return fail(format!("its schema refuses properties {name}: {error}"));
            }
        }
    }
    Ok(())
}

fn foreign_reference(schema: &Value) -> Option<String> {
    match schema {
        Value::Object(members) => members.iter().find_map(|(key, value)| match value {
            Value::String(target) if matches!(key.as_str(), "$ref" | "$dynamicRef") => {
                (!target.starts_with('#')).then(|| target.clone())
            }
            value => foreign_reference(value),
        }),
        Value::Array(items) => items.iter().find_map(foreign_reference),
        _ => None,
    }
}

pub(crate) fn s02(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Plan)?;
    let before = bed.snapshot()?;
    let mut unknown: Properties = fixture.a.clone();
    unknown.insert("conform_unknown_property".into(), json!(1));
    let cases = fixture.invalid.iter().map(|i| (&i.properties, i.path.as_deref())).chain([(&unknown, None)]);
    for (properties, path) in cases {
        let shown = Value::Object(properties.clone());
        let answer: Result<Value, ItemError> = session.one(method::VALIDATE, item(subject, properties))?;
        let Err(error) = answer else { return fail(format!("`validate` takes {shown}")) };
        ensure!(error.code == ErrorCode::Schema, "`validate` answers {shown} by {:?}", error.code);
        if let Some(path) = path {
            ensure!(error.path.as_deref() == Some(path), "{shown}: {:?} is blamed, not {path}", error.path);
        }
        if let Some(place) = &error.path {
            ensure!(place.is_empty() || place.starts_with('/'), "`path` is no JSON Pointer: {place}");
        }
        let answer: Result<PlanAnswer, ItemError> = session.one(method::PLAN, item(subject, properties))?;
        ensure!(answer.is_err(), "`plan` takes {shown}");
    }
    ensure!(bed.snapshot()? == before, "properties that are refused changed something");
    session.end()
}

pub(crate) fn s03(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    if subject.is("resource") {
        let mut session = bed.session(Mode::Apply)?;
        session.change(&bed, subject, &fixture.a)?;
        session.end()?;
    }
    let mut session = bed.session(Mode::Plan)?;
    let first = session.read(subject, &fixture.a)?;
    if subject.is("probe") {
        let ok = first.as_ref().and_then(|state| state.get("ok")).is_some_and(Value::is_boolean);
        ensure!(ok, "a probe's state does not say whether it is `ok`");
    }
    if subject.is("resource")
        && let Some(b) = &fixture.b
    {
        let second = session.read(subject, b)?;
        ensure!(
            print(subject, first.as_ref())? == print(subject, second.as_ref())?,
            "what is desired changes what is read"
        );
    }
    if subject.changes().is_ok() {
        let prior = match session.plan(subject, &fixture.a)? {
            PlanAnswer::Unchanged { state, .. } => state,
            PlanAnswer::Changed { prior, .. } => prior,
        };
        ensure!(
            print(subject, first.as_ref())? == print(subject, prior.as_ref())?,
            "`plan` finds another state than `read`"
        );
    }
    session.end()
}

pub(crate) fn s04(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Plan)?;
    let before = bed.snapshot()?;
    for properties in [Some(&fixture.a), fixture.b.as_ref()].into_iter().flatten() {
        let once: Map<String, Value> = session.sure(method::NORMALIZE, item(subject, properties))?;
        let twice: Map<String, Value> = session.sure(method::NORMALIZE, item(subject, &once))?;
        ensure!(
            once == twice,
            "normalizing twice gives something else: {} and {}",
            Value::Object(once.clone()),
            Value::Object(twice)
        );
        let written: Value = answer(session.one(method::PLAN, item(subject, properties))?);
        let normal: Value = answer(session.one(method::PLAN, item(subject, &once))?);
        ensure!(written == normal, "normalized properties are planned differently");
    }
    ensure!(bed.snapshot()? == before, "normalizing changed something");
    session.end()
}

fn answer(result: Result<Value, ItemError>) -> Value {
    result.unwrap_or_else(|error| json!({"error": error.code}))
}

/// The wire has no upgrade of states: a fingerprint holds the version, so an old one fits nothing.
pub(crate) fn s05(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    let (mut apply, plan) = session.prepare(&bed, subject, &subject.fixture()?.a)?;
    let PlanAnswer::Changed { prior, planned, .. } = plan else { return skip("there is nothing to do") };
    apply.expect = print_as(subject, subject.descriptor.version + 1, prior.as_ref())?;
    if apply.result.is_some() {
        apply.result = Some(print_as(subject, subject.descriptor.version + 1, planned.as_ref())?);
    }
    let before = bed.snapshot()?;
    match session.apply(&apply)? {
        Err(error) if error.code == ErrorCode::Stale => {}
        Err(error) => {
            return fail(format!("the fingerprint of another version is answered by {:?}", error.code));
        }
        Ok(_) => return fail("the fingerprint of another version of the type was taken"),
    }
    ensure!(bed.snapshot()? == before, "it changed something under the fingerprint of another version");
    session.end()
}

pub(crate) fn s06(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Plan)?;
    let alone: Result<ReadAnswer, ItemError> = session.one(method::READ, item_a(subject)?)?;
    let unknown = json!({"type": "conform.unheard", "desired": {}});
    let items = [item_a(subject)?, unknown, item_a(subject)?];
    let mut answers = session.items::<ReadAnswer>(method::READ, &items)?.into_iter();
    match (answers.next(), answers.next(), answers.next()) {
        (Some(first), Some(Err(error)), Some(last)) => {
            ensure!(error.code == ErrorCode::Unsupported, "an unknown type is answered by {:?}", error.code);
            let same = |answer: &Result<ReadAnswer, ItemError>| match (answer, &alone) {
                (Ok(a), Ok(b)) => {
                    print(subject, a.state.as_ref()).ok() == print(subject, b.state.as_ref()).ok()
                }
                (Err(a), Err(b)) => a.code == b.code,
                _ => false,
            };
            ensure!(same(&first) && same(&last), "an unknown type changes the answers of its neighbours");
        }
        _ => return fail("an unknown type was served"),
    }
    session.end()
}
