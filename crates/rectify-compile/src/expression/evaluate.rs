//! Evaluation: values in, values out, errors in our words.

use super::{
    Problem,
    facts::{self, Known, Used},
    meter::{Meter, size},
    program::{FACTS, Program, Sees, is_identifier},
};
use crate::{
    beside::Beside,
    codes,
    limits::{EVALUATION_BYTES_MAX, EVALUATION_INPUT_MAX_BYTES},
    suggest::closest,
};
use cel::{
    Context, Env, ExecutionError, Value,
    objects::{Key, Map},
};
use rectify_base::{SecretName, SecretText, TargetName, limits::JSON_INTEGER_MAX};
use rectify_model::fact::Facts;
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    rc::Rc,
    sync::Arc,
};

static NO_FACTS: Facts = Facts::new();

/// Keeps what is the same for all targets: parsed expressions, and the functions there are.
pub(crate) struct Engine<'f> {
    /// What properties may take texts from.
    pub beside: Beside<'f>,
    env: Arc<Env>,
    meter: Arc<Meter>,
    programs: BTreeMap<(Sees, String), Result<Rc<Program>, Problem>>,
    /// The groups that there are in the inventory, if that is known.
    groups: Option<BTreeSet<String>>,
    facts: Known<'f>,
    /// The facts that were used since somebody asked.
    used: Used,
    /// Whether something could not be decided because no facts were read yet.
    pub undecided: bool,
    /// The secrets that the project declares.
    secrets: BTreeSet<SecretName>,
}

/// What expressions see on one target.
pub(crate) struct Scope {
    context: Context<'static, 'static>,
    parameters: Vec<String>,
    /// The steps that call a module.
    calls: Vec<String>,
    /// Name of the target.
    target: TargetName,
    keys: Vec<String>,
    /// Parameters that hold secrets.
    secret_parameters: BTreeSet<String>,
    /// The secrets that the project declares.
    secrets: BTreeSet<SecretName>,
    /// Values that are wrong where they are written: what names them is not judged.
    broken: Vec<Vec<String>>,
    input_bytes: usize,
    sees: Sees,
}

/// What a step with `for_each` goes through.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Each {
    pub key: String,
    pub value: Json,
}

/// What expressions see beside the target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a> {
    pub parameters: &'a Parameters,
    /// The steps that call a module.
    pub calls: &'a [&'a str],
    /// What they tell, as far as an expression asks; nothing if the call is left out.
    pub outputs: &'a BTreeMap<String, Option<Json>>,
    pub each: Option<&'a Each>,
}

/// The parameters of a remediation with their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parameters {
    pub values: BTreeMap<String, Json>,
    /// Those whose definition is wrong; they are among the values, too.
    pub broken: BTreeSet<String>,
    /// Those that hold secrets: they can only be put into texts.
    pub secret: BTreeSet<String>,
    /// Whether it is not even known which there are.
    pub unknown: bool,
}

/// A target as expressions see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub name: &'a TargetName,
    pub environment: &'a str,
    pub labels: &'a BTreeMap<String, String>,
    pub variables: &'a serde_json::Map<String, Json>,
    pub groups: &'a BTreeSet<String>,
    /// Paths of what is wrong where it is written, such as `labels`, `role`.
    pub broken: &'a BTreeSet<Vec<String>>,
}

impl<'f> Engine<'f> {
    /// For an inventory with these groups, if that is known, these files, and a project with these secrets.
    pub fn new(
        groups: Option<BTreeSet<String>>,
        beside: Beside<'f>,
        facts: Known<'f>,
        secrets: BTreeSet<SecretName>,
    ) -> Self {
        Self {
            beside,
            env: Arc::new(Env::stdlib()),
            meter: Arc::new(Meter::default()),
            programs: BTreeMap::new(),
            groups,
            facts,
            secrets,
            used: Used::new(),
            undecided: false,
        }
    }

    /// The facts that were used since this was called last.
    pub fn take_used(&mut self) -> Used {
        std::mem::take(&mut self.used)
    }

    /// Counts facts as used that decided something at hand.
    pub fn add_used(&mut self, used: &Used) {
        facts::merge(&mut self.used, used);
    }

    /// The groups of facts that an expression names.
    pub fn groups_asked(&mut self, source: &str, sees: Sees, found: &mut BTreeSet<String>) {
        if source.contains("facts")
            && let Ok(program) = self.program(source, sees)
        {
            found.extend(program.groups_asked().map(str::to_owned));
        }
    }

    /// Makes the values of a target visible, and those of the inputs if there may be any.
    pub fn scope(&self, target: Target<'_>, inputs: Option<Inputs<'_>>) -> Scope {
        let mut context = Context::with_env(Arc::clone(&self.env));
        // Fails only if a name were taken, and these are not.
        let installed = self.meter.install(&mut context);
        debug_assert!(installed.is_ok());
        let text = |s: &str| Value::String(Arc::new(s.to_owned()));
        let value = map([
            ("name".to_owned(), text(target.name.as_str())),
            ("environment".to_owned(), text(target.environment)),
            (
                "groups".to_owned(),
                Value::List(Arc::new(target.groups.iter().map(|name| text(name)).collect())),
            ),
            ("labels".to_owned(), map(target.labels.iter().map(|(k, v)| (k.clone(), text(v))))),
            ("variables".to_owned(), map(target.variables.iter().map(|(k, v)| (k.clone(), from_json(v))))),
        ]);
        let mut input_bytes = size(&value);
        context.add_variable_from_value("target", value);
        let mut names = Vec::new();
        let below = |root: &str, path: &[String]| {
            std::iter::once(root.to_owned()).chain(path.iter().cloned()).collect::<Vec<_>>()
        };
        let mut broken: Vec<Vec<String>> = target.broken.iter().map(|path| below("target", path)).collect();
        let mut keys: Vec<String> = target.labels.keys().chain(target.variables.keys()).cloned().collect();
        let mut calls = Vec::new();
        let mut secret_parameters = BTreeSet::new();
        if inputs.is_some() {
            let mark = |name: &SecretName| from_json(&SecretText::of(name.clone()).to_value());
            let value = map(self.secrets.iter().map(|name| (name.to_string(), mark(name))));
            context.add_variable_from_value("secrets", value);
        }
        if let Some(Inputs { parameters, calls: known, outputs, .. }) = inputs {
            calls = known.iter().map(|name| (*name).to_owned()).collect();
            let told = outputs.iter().filter_map(|(name, value)| Some((name.clone(), value.as_ref()?)));
            let told: Vec<(String, &Json)> = told.collect();
            keys.extend(told.iter().filter_map(|(_, v)| v.as_object()).flat_map(|o| o.keys().cloned()));
            let value = map(told.into_iter().map(|(name, value)| (name, from_json(value))));
            input_bytes += size(&value);
            context.add_variable_from_value("outputs", value);
            let value = map(parameters.values.iter().map(|(k, v)| (k.clone(), from_json(v))));
            input_bytes += size(&value);
            context.add_variable_from_value("params", value);
            names = parameters.values.keys().cloned().collect();
            broken.extend(parameters.broken.iter().map(|name| below("params", std::slice::from_ref(name))));
            secret_parameters.clone_from(&parameters.secret);
            if parameters.unknown {
                broken.push(below("params", &[]));
            }
        }
        let each = inputs.and_then(|inputs| inputs.each);
        if let Some(each) = each {
            let value =
                map([("key".to_owned(), text(&each.key)), ("value".to_owned(), from_json(&each.value))]);
            input_bytes += size(&value);
            context.add_variable_from_value("each", value);
        }
        let sees = match (inputs, each) {
            (None, _) => Sees::Target,
            (Some(_), None) => Sees::All,
            (Some(_), Some(_)) => Sees::Each,
        };
        Scope {
            context,
            parameters: names,
            calls,
            target: target.name.clone(),
            keys,
            secret_parameters,
            secrets: self.secrets.clone(),
            broken,
            input_bytes,
            sees,
        }
    }

    fn program(&mut self, source: &str, sees: Sees) -> Result<Rc<Program>, Problem> {
        let key = (sees, source.to_owned());
        let (groups, facts) = (&self.groups, &self.facts.groups);
        let new = || {
            let program = Program::new(source, sees)?;
            program.asks_groups_of(facts)?;
            if let Some(groups) = groups {
                program.asks_for(groups)?;
            }
            Ok(Rc::new(program))
        };
        let program = self.programs.entry(key).or_insert_with(new);
        Ok(Rc::clone(program.as_ref().map_err(Clone::clone)?))
    }

    /// Finds what is wrong with an expression without evaluating it.
    pub fn check(&mut self, source: &str, sees: Sees, parameters: &Parameters) -> Result<(), Problem> {
        let program = self.program(source, sees)?;
        let names: Vec<&str> = parameters.values.keys().map(String::as_str).collect();
        program.hides(&self.secrets, &parameters.secret)?;
        if parameters.unknown { Ok(()) } else { program.takes(&names) }
    }

    /// The calls whose outputs an expression names.
    pub fn outputs(&mut self, source: &str, sees: Sees, found: &mut BTreeSet<String>) {
        if let Ok(program) = self.program(source, sees) {
            found.extend(program.named("outputs").map(|(name, _)| name.clone()));
        }
    }

    /// Evaluates an expression; each is parsed once, however many targets there are.
    pub fn evaluate(&mut self, source: &str, scope: &Scope) -> Result<Json, Problem> {
        let program = self.program(source, scope.sees)?;
        scope.knows(&program)?;
        let too_much = || {
            Problem::new(codes::EXPR_WORK, "evaluating this expression takes more work than allowed")
                .help("walk shorter lists, or nest fewer macros")
        };
        let told = self.facts.told.map(|told| told.get(&scope.target).unwrap_or(&NO_FACTS));
        let mut seen = None;
        if program.asks_facts() {
            let Some(facts) = told else {
                self.undecided = true;
                return Err(Problem::known());
            };
            seen = Some(from_json(&program.see(facts, scope.target.as_str(), &mut self.used)?));
        }
        let input_bytes = scope.input_bytes + seen.as_ref().map_or(0, size);
        if input_bytes > EVALUATION_INPUT_MAX_BYTES {
            return Err(Problem::new(
                codes::EXPR_WORK,
                format!(
                    "parameters, variables and facts have {input_bytes} bytes, more than the {EVALUATION_INPUT_MAX_BYTES} that an expression may see"
                ),
            )
            .help("name the single facts that matter, such as `facts.packages.nginx`"));
        }
        self.meter.start(input_bytes);
        let result = match seen {
            None => Value::resolve(&program.root, &scope.context),
            Some(seen) => {
                let mut context = scope.context.new_inner_scope();
                context.add_variable_from_value(FACTS, seen);
                Value::resolve(&program.root, &context)
            }
        };
        if self.meter.is_exceeded() {
            return Err(too_much());
        }
        let value = result.map_err(|error| failed(&error, &program, scope, told))?;
        if u64::try_from(size(&value)).unwrap_or(u64::MAX) > EVALUATION_BYTES_MAX {
            return Err(too_much());
        }
        to_json(&value)
    }
}

impl Scope {
    /// Whether everything is there that a program names, and sound.
    fn knows(&self, program: &Program) -> Result<(), Problem> {
        if program.uses.iter().any(|used| self.broken.iter().any(|path| used.meets(path))) {
            return Err(Problem::known());
        }
        let calls = || self.calls.iter().map(String::as_str);
        for (name, place) in program.named("outputs") {
            if !calls().any(|call| call == name) {
                let message = format!("no step `{name}` here calls a module");
                return Err(Problem::new(codes::EXPR_UNKNOWN_NAME, message)
                    .at(place.clone())
                    .meant(closest(name, calls()))
                    .help("`outputs.STEP.NAME` is what the module tells that the step `STEP` calls"));
            }
        }
        let names: Vec<&str> = self.parameters.iter().map(String::as_str).collect();
        program.takes(&names)?;
        program.hides(&self.secrets, &self.secret_parameters)
    }
}

impl Program {
    /// Whether the groups are there that it asks for: unlike with labels it is known which there are.
    fn asks_for(&self, groups: &BTreeSet<String>) -> Result<(), Problem> {
        match self.groups.iter().find(|(name, _)| !groups.contains(name)) {
            None => Ok(()),
            Some((name, place)) => {
                Err(Problem::new(codes::EXPR_UNKNOWN_KEY, format!("there is no group `{name}`"))
                    .at(place.clone())
                    .meant(closest(name, groups.iter().map(String::as_str)))
                    .help("describe it under `groups` in `inventory/`"))
            }
        }
    }

    /// The members of a name that it names, with places.
    fn named<'p>(&'p self, root: &'p str) -> impl Iterator<Item = (&'p String, &'p Option<Range<usize>>)> {
        self.uses.iter().filter_map(move |used| match used.path.as_slice() {
            [(name, _), (member, place), ..] if name == root => Some((member, place)),
            _ => None,
        })
    }

    /// Whether the secrets are there that it names, and it does nothing with one but put it into a text.
    fn hides(&self, secrets: &BTreeSet<SecretName>, parameters: &BTreeSet<String>) -> Result<(), Problem> {
        for used in &self.uses {
            let names = used.path.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
            let place = used.path.get(1).or_else(|| used.path.first()).and_then(|(_, place)| place.clone());
            let secret = match names.as_slice() {
                ["secrets", name, ..] => {
                    if !secrets.iter().any(|known| known.as_str() == *name) {
                        return Err(Problem::new(
                            codes::EXPR_UNKNOWN_NAME,
                            format!("there is no secret `{name}`"),
                        )
                        .at(place)
                        .meant(closest(name, secrets.iter().map(SecretName::as_str)))
                        .help("declare it under `secrets` in `rectify.yaml`"));
                    }
                    true
                }
                ["secrets"] => true,
                ["params", name, ..] => parameters.contains(*name),
                ["params"] => !parameters.is_empty(),
                _ => false,
            };
            if secret && !(used.bare && names.len() == 2) {
                let what =
                    if names.len() < 2 { "are named one by one" } else { "can only be put into a text" };
                return Err(Problem::new(codes::EXPR_SECRET, format!("secrets {what}"))
                    .at(place)
                    .help("nothing can be asked of a value that is not known yet; `+`, `? :` and texts around it are fine"));
            }
        }
        Ok(())
    }

    /// Whether the parameters are there that it names.
    fn takes(&self, parameters: &[&str]) -> Result<(), Problem> {
        for (name, place) in self.named("params") {
            if !parameters.contains(&name.as_str()) {
                let message = format!("there is no parameter `{name}`");
                return Err(Problem::new(codes::EXPR_UNKNOWN_NAME, message)
                    .at(place.clone())
                    .meant(closest(name, parameters.iter().copied()))
                    .help("add it to `parameters`"));
            }
        }
        Ok(())
    }
}

/// CEL wants its own kind of map; nothing here depends on that map's order.
fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    let entries = entries.into_iter().map(|(k, v)| (Key::String(Arc::new(k)), v));
    Value::Map(Map { map: Arc::new(entries.collect()) })
}

/// Every integer that fits is an Int: CEL would take positive ones for unsigned, and refuse `n + 1`.
pub(super) fn from_json(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => n.as_i64().map_or(Value::Null, Value::Int),
        Json::String(s) => Value::String(Arc::new(s.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(from_json).collect())),
        Json::Object(members) => map(members.iter().map(|(k, v)| (k.clone(), from_json(v)))),
    }
}

pub(super) fn to_json(value: &Value) -> Result<Json, Problem> {
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
fn failed(error: &ExecutionError, program: &Program, scope: &Scope, facts: Option<&Facts>) -> Problem {
    let message = match error {
        ExecutionError::NoSuchKey(key) => return missing(key, program, scope, facts),
        ExecutionError::UndeclaredReference(name) => {
            return Problem::new(codes::EXPR_UNKNOWN_NAME, format!("there is no `{name}` here"));
        }
        ExecutionError::NoSuchOverload(error) => {
            let name = operator_name(error.function());
            match error.argument_types() {
                [] => format!("`{name}` needs something to work on"),
                types => format!("`{name}` does not take {}", types.join(" and ")),
            }
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".into(),
        ExecutionError::Overflow(..) => "the result does not fit into 64 bits".into(),
        ExecutionError::IndexOutOfBounds(_) => "the list is shorter than that".into(),
        ExecutionError::UnexpectedType { want, .. } => format!("expected {want}"),
        ExecutionError::ValuesNotComparable(a, b) => {
            format!("{} and {} cannot be compared", a.type_of(), b.type_of())
        }
        ExecutionError::UnsupportedBinaryOperator(operator, a, b) => {
            format!("`{}` does not take {} and {}", operator_name(operator), a.type_of(), b.type_of())
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

/// A function as people write it: CEL calls operators `_<_`, `!_` and `_?_:_`.
fn operator_name(name: &str) -> String {
    if name.chars().any(|c| c.is_ascii_alphanumeric()) { name.to_owned() } else { name.replace('_', "") }
}

/// A key that a value does not have, at the place where it is named.
fn missing(key: &str, program: &Program, scope: &Scope, facts: Option<&Facts>) -> Problem {
    let absent = facts.and_then(|facts| program.why_absent(facts, key));
    let mut named = program.uses.iter().filter_map(|used| {
        let at = used.path.iter().skip(1).position(|(name, _)| name == key)? + 1;
        Some((used.written(at), used.path.get(at)?.1.clone()))
    });
    let (within, place) = named.next().unwrap_or_default();
    let (question, value) = match within.as_str() {
        "" => (format!("\"{key}\" in …"), "the value".to_owned()),
        within if is_identifier(key) => (format!("has({within}.{key})"), format!("`{within}`")),
        within => (format!("\"{key}\" in {within}"), format!("`{within}`")),
    };
    if let Some(why) = absent.filter(|_| within == FACTS) {
        let message = format!("there is no `facts.{key}` on `{}`: {why}", scope.target);
        return Problem::new(codes::EXPR_UNKNOWN_KEY, message)
            .at(place)
            .help(format!("ask first: `{question}`"));
    }
    let on = if within.starts_with("target") || within.starts_with(FACTS) {
        format!(" on `{}`", scope.target)
    } else {
        String::new()
    };
    Problem::new(codes::EXPR_UNKNOWN_KEY, format!("{value} has no `{key}`{on}"))
        .at(place)
        .lacking(key, &question)
        .meant(closest(key, scope.keys.iter().map(String::as_str)))
        .help(format!("ask first: `{question}`"))
}
