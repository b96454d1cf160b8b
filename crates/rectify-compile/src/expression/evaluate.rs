//! Evaluation: values in, values out, errors in our words.

use super::{
    Problem,
    meter::{Meter, size},
    program::{Program, Sees},
};
use crate::{
    codes,
    limits::{EVALUATION_BYTES_MAX, EVALUATION_INPUT_MAX_BYTES},
    suggest::closest,
};
use cel::{
    Context, Env, ExecutionError, Value,
    objects::{Key, Map},
};
use rectify_base::{TargetName, limits::JSON_INTEGER_MAX};
use serde_json::Value as Json;
use std::{collections::BTreeMap, rc::Rc, sync::Arc};

/// Keeps what is the same for all targets: parsed expressions, and the functions there are.
pub(crate) struct Engine {
    env: Arc<Env>,
    meter: Arc<Meter>,
    programs: BTreeMap<(Sees, String), Result<Rc<Program>, Problem>>,
}

/// What expressions see on one target.
pub(crate) struct Scope {
    context: Context<'static, 'static>,
    parameters: Vec<String>,
    keys: Vec<String>,
    input_bytes: usize,
    sees: Sees,
}

/// A target as expressions see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub name: &'a TargetName,
    pub environment: &'a str,
    pub labels: &'a BTreeMap<String, String>,
    pub variables: &'a serde_json::Map<String, Json>,
}

impl Engine {
    pub fn new() -> Self {
        Self { env: Arc::new(Env::stdlib()), meter: Arc::new(Meter::default()), programs: BTreeMap::new() }
    }

    /// Makes the values of a target, and of parameters if there may be any, visible.
    pub fn scope(&self, target: Target<'_>, parameters: Option<&BTreeMap<String, Json>>) -> Scope {
        let mut context = Context::with_env(Arc::clone(&self.env));
        // Fails only if a name were taken, and these are not.
        let installed = self.meter.install(&mut context);
        debug_assert!(installed.is_ok());
        let text = |s: &str| Value::String(Arc::new(s.to_owned()));
        let value = map([
            ("name".to_owned(), text(target.name.as_str())),
            ("environment".to_owned(), text(target.environment)),
            ("labels".to_owned(), map(target.labels.iter().map(|(k, v)| (k.clone(), text(v))))),
            ("variables".to_owned(), map(target.variables.iter().map(|(k, v)| (k.clone(), from_json(v))))),
        ]);
        let mut input_bytes = size(&value);
        context.add_variable_from_value("target", value);
        let mut names = Vec::new();
        if let Some(parameters) = parameters {
            let value = map(parameters.iter().map(|(k, v)| (k.clone(), from_json(v))));
            input_bytes += size(&value);
            context.add_variable_from_value("params", value);
            names = parameters.keys().cloned().collect();
        }
        let keys = target.labels.keys().chain(target.variables.keys()).cloned().collect();
        let sees = if parameters.is_some() { Sees::All } else { Sees::Target };
        Scope { context, parameters: names, keys, input_bytes, sees }
    }

    /// Evaluates an expression; each is parsed once, however many targets there are.
    pub fn evaluate(&mut self, source: &str, scope: &Scope) -> Result<Json, Problem> {
        let key = (scope.sees, source.to_owned());
        let program =
            self.programs.entry(key).or_insert_with(|| Program::new(source, scope.sees).map(Rc::new));
        let program = Rc::clone(program.as_ref().map_err(Clone::clone)?);
        if let Some((name, place)) = program.parameters.iter().find(|(n, _)| !scope.parameters.contains(n)) {
            return Err(Problem::new(
                codes::EXPR_UNKNOWN_NAME,
                format!("this remediation has no parameter `{name}`"),
            )
            .at(place.clone())
            .meant(closest(name, scope.parameters.iter().map(String::as_str)))
            .help("add it to `parameters`"));
        }
        let too_much = || {
            Problem::new(codes::EXPR_WORK, "evaluating this expression takes more work than allowed")
                .help("walk shorter lists, or nest fewer macros")
        };
        if scope.input_bytes > EVALUATION_INPUT_MAX_BYTES {
            return Err(Problem::new(
                codes::EXPR_WORK,
                format!(
                    "parameters and variables have {} bytes, more than the {EVALUATION_INPUT_MAX_BYTES} that an expression may see",
                    scope.input_bytes
                ),
            ));
        }
        self.meter.start(scope.input_bytes);
        let result = Value::resolve(&program.root, &scope.context);
        if self.meter.is_exceeded() {
            return Err(too_much());
        }
        let value = result.map_err(|error| failed(&error, scope))?;
        if u64::try_from(size(&value)).unwrap_or(u64::MAX) > EVALUATION_BYTES_MAX {
            return Err(too_much());
        }
        to_json(&value)
    }
}

/// CEL wants its own kind of map; nothing here depends on that map's order.
fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    let entries = entries.into_iter().map(|(k, v)| (Key::String(Arc::new(k)), v));
    Value::Map(Map { map: Arc::new(entries.collect()) })
}

/// Every integer that fits is an Int: CEL would take positive ones for unsigned, and refuse `n + 1`.
fn from_json(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => n.as_i64().map_or(Value::Null, Value::Int),
        Json::String(s) => Value::String(Arc::new(s.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(from_json).collect())),
        Json::Object(members) => map(members.iter().map(|(k, v)| (k.clone(), from_json(v)))),
    }
}

fn to_json(value: &Value) -> Result<Json, Problem> {
    let refused = |what: &str| {
        Err(Problem::new(codes::EXPR_RESULT, format!("the result is {what}, which a graph cannot hold")))
    };
    match value {
        Value::Null => Ok(Json::Null),
        Value::Bool(b) => Ok(Json::Bool(*b)),
        Value::Int(n) if n.unsigned_abs() <= JSON_INTEGER_MAX => Ok(Json::from(*n)),
        Value::UInt(n) if *n <= JSON_INTEGER_MAX => Ok(Json::from(*n)),
        Value::Int(_) | Value::UInt(_) => refused("an integer beyond ±(2^53−1)"),
        Value::String(s) => Ok(Json::String(s.as_str().to_owned())),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(map) => {
            let members = map.map.iter().map(|(k, v)| match k {
                Key::String(k) => Ok((k.as_str().to_owned(), to_json(v)?)),
                _ => refused("a map whose keys are not texts").map(|_: Json| (String::new(), Json::Null)),
            });
            members.collect::<Result<serde_json::Map<_, _>, _>>().map(Json::Object)
        }
        Value::Float(_) => refused("a floating-point number"),
        other => refused(&format!("a {}", other.type_of())),
    }
}

/// What went wrong, without values: a value may be long, and the order of a map is chance.
fn failed(error: &ExecutionError, scope: &Scope) -> Problem {
    let message = match error {
        ExecutionError::NoSuchKey(key) => {
            return Problem::new(codes::EXPR_UNKNOWN_KEY, format!("there is no `{key}`"))
                .lacking(key)
                .meant(closest(key, scope.keys.iter().map(String::as_str)))
                .help(format!("ask with `has(…)` first, if not every target has `{key}`"));
        }
        ExecutionError::UndeclaredReference(name) => {
            return Problem::new(codes::EXPR_UNKNOWN_NAME, format!("there is no `{name}` here"));
        }
        ExecutionError::NoSuchOverload(error) => {
            format!("`{}` does not take {}", error.function(), error.argument_types().join(" and "))
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".into(),
        ExecutionError::Overflow(..) => "the result does not fit into 64 bits".into(),
        ExecutionError::IndexOutOfBounds(_) => "the list is shorter than that".into(),
        ExecutionError::UnexpectedType { want, .. } => format!("expected {want}"),
        ExecutionError::ValuesNotComparable(a, b) => {
            format!("{} and {} cannot be compared", a.type_of(), b.type_of())
        }
        ExecutionError::UnsupportedBinaryOperator(operator, a, b) => {
            format!("`{operator}` does not take {} and {}", a.type_of(), b.type_of())
        }
        ExecutionError::FunctionError { function, message } => format!("`{function}`: {message}"),
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("expected {expected} arguments, got {actual}")
        }
        ExecutionError::DuplicateKey(_) => "a map has one key twice".into(),
        _ => "a value is of the wrong kind".into(),
    };
    Problem::new(codes::EXPR_EVALUATION, format!("the expression cannot be evaluated: {message}"))
}
