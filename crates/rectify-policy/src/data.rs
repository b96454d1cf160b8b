//! What all `data.json` of a bundle give together.
//!
//! Where two name one place they must agree: no bundle moves the limits of another in passing. To
//! move one on purpose, a file says so under [`OVERRIDE`]: what stands there replaces what is at the
//! same place. It must be there already and be of the same type, so that a misspelt name is an error
//! and not a limit that nobody looks at. Lists are replaced as a whole.
//!
//! Tests run with what the files say before anything is moved: they are about the rules, and a test
//! that needs another value replaces it by `with`.

use crate::{Bundle, PolicyError, codes, engine::PACKAGE, foreign};
use serde_json::{Map, Value};

/// Name under which a data file moves what others say.
pub(crate) const OVERRIDE: &str = "override";

/// The data of a bundle.
pub(crate) struct Data {
    /// As the files say, for tests.
    pub plain: Map<String, Value>,
    /// With what was moved on purpose, for decisions.
    pub decisive: Map<String, Value>,
}

/// Puts all data files together.
pub(crate) fn merged(bundle: &Bundle) -> Result<Data, PolicyError> {
    let mut data = Map::new();
    let mut overrides: Vec<(&str, Value)> = Vec::new();
    for (path, text) in bundle.data() {
        let refuse = |message: String| PolicyError::new(codes::POLICY_DATA, path, message);
        let mut file: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| refuse(format!("not a JSON object: {error}")))?;
        if let Some(name) = [PACKAGE, foreign::PACKAGE].into_iter().find(|name| file.contains_key(*name)) {
            return Err(refuse(format!("`{name}` is a package of rules that decide")));
        }
        if let Some(moved) = file.remove(OVERRIDE) {
            overrides.push((path, moved));
        }
        add(&mut data, file, "").map_err(refuse)?;
    }
    let mut all = Map::new();
    for (path, moved) in &overrides {
        let refuse = |message: String| PolicyError::new(codes::POLICY_DATA, *path, message);
        let Value::Object(moved) = moved else {
            return Err(refuse(format!("`{OVERRIDE}` must be an object")));
        };
        check(&data, moved, OVERRIDE).map_err(refuse)?;
        add(&mut all, moved.clone(), "").map_err(refuse)?;
    }
    let plain = data.clone();
    replace(&mut data, all);
    Ok(Data { plain, decisive: data })
}

fn add(into: &mut Map<String, Value>, from: Map<String, Value>, at: &str) -> Result<(), String> {
    for (name, value) in from {
        let place = format!("{at}/{name}");
        match (into.get_mut(&name), value) {
            (None, value) => drop(into.insert(name, value)),
            (Some(Value::Object(there)), Value::Object(more)) => add(there, more, &place)?,
            // Zones are asked for, not limited: more of them contradict nobody.
            (Some(Value::Array(there)), Value::Array(more)) if place == "/zones" => {
                let new: Vec<Value> = more.into_iter().filter(|zone| !there.contains(zone)).collect();
                there.extend(new);
            }
            (Some(there), value) if *there == value => {}
            (Some(_), _) => {
                return Err(format!(
                    "`{place}` contradicts another data file; to replace it, write it under `{OVERRIDE}`"
                ));
            }
        }
    }
    Ok(())
}

/// Whether all that is to be replaced is there, and of the same type.
fn check(data: &Map<String, Value>, moved: &Map<String, Value>, at: &str) -> Result<(), String> {
    for (name, value) in moved {
        let place = format!("{at}/{name}");
        match (data.get(name), value) {
            (Some(Value::Object(there)), Value::Object(more)) => check(there, more, &place)?,
            (Some(there), value) if same_type(there, value) => {}
            (Some(_), _) => return Err(format!("`{place}` is of another type than what it replaces")),
            (None, _) => return Err(format!("`{place}` replaces nothing; add it outside of `{OVERRIDE}`")),
        }
    }
    Ok(())
}

const fn same_type(one: &Value, two: &Value) -> bool {
    matches!(
        (one, two),
        (Value::Null, Value::Null)
            | (Value::Bool(_), Value::Bool(_))
            | (Value::Number(_), Value::Number(_))
            | (Value::String(_), Value::String(_))
            | (Value::Array(_), Value::Array(_))
            | (Value::Object(_), Value::Object(_))
    )
}

fn replace(data: &mut Map<String, Value>, moved: Map<String, Value>) {
    for (name, value) in moved {
        match (data.get_mut(&name), value) {
            (Some(Value::Object(there)), Value::Object(more)) => replace(there, more),
            (_, value) => drop(data.insert(name, value)),
        }
    }
}
