//! Whether a bundle may be used at all: it parses, its names and fields exist, its tests pass,
//! and each rule that refuses, warns or asks for approval is fired by one of them.
//!
//! Coverage by lines cannot tell a rule that fired from one whose body was only looked at when
//! both stand on one line. So the heads of those rules are wrapped into a call that notes the
//! rule; a head is only evaluated when the body holds.

use crate::{
    Bundle, PolicyError, codes, data, engine, foreign,
    lint::{self, names, walk::Reference},
};
use regorus::{
    Engine, Value,
    unstable::{Module, Ref, Rule, RuleBody, RuleHead, Span},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

/// Rules whose every definition must be fired by a test.
const TESTED: [&str; 3] = ["deny", "warn", "require_approval"];
/// Prefix of the names of tests.
const TEST_PREFIX: &str = "test_";

/// A bundle that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Number of tests that passed.
    pub tests: usize,
    /// Number of definitions of `deny`, `warn` and `require_approval`, each fired by a test.
    pub rules: usize,
    declared: BTreeSet<String>,
    foreign: BTreeMap<String, foreign::Role>,
}

impl Checked {
    /// Names of the rules in the style of conftest that decide.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = (&str, foreign::Role)> {
        self.foreign.iter().map(|(name, role)| (name.as_str(), *role))
    }

    /// Whether the package that decides has a rule of this name.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.declared.contains(name)
    }
}

/// A definition of a rule that must be tested.
pub(crate) struct Head {
    pub(crate) file: String,
    /// Where the definition, or its branch, stands.
    pub(crate) place: String,
    /// Where the whole definition stands.
    pub(crate) rule_place: String,
    /// Path of the rule, `data.<package>.<name>`.
    pub(crate) path: String,
    /// `deny`, `warn` or `require_approval`; in the style of conftest also other names.
    pub(crate) name: String,
    /// What it says under `rule`, or its name.
    pub(crate) rule: String,
    /// First lines of the statements of its body.
    pub(crate) statements: Vec<u32>,
    start: usize,
    end: usize,
}

/// The files of a bundle, read and looked at, but not run.
pub(crate) struct Parsed {
    pub(crate) rules: Vec<Ref<Module>>,
    pub(crate) tests: Vec<Ref<Module>>,
    pub(crate) heads: Vec<Head>,
    names: names::Names,
}

/// Which heads were evaluated, and to what.
#[derive(Clone, Default)]
pub(crate) struct Noted(Arc<Mutex<Vec<(usize, Value)>>>);

impl Noted {
    pub(crate) fn clear(&mut self) {
        self.take();
    }

    pub(crate) fn take(&mut self) -> Vec<(usize, Value)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, index: usize, value: &Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((index, value.clone()));
    }
}

/// Checks a bundle.
///
/// # Errors
/// [`PolicyError`] with the first problem found.
pub fn check(bundle: &Bundle) -> Result<Checked, PolicyError> {
    let Parsed { tests, heads, names, .. } = parse(bundle)?;
    let (passed, fired) = run_tests(bundle, &tests, &heads)?;
    if let Some((_, head)) = heads.iter().enumerate().find(|(index, _)| !fired.contains(index)) {
        let message = format!("no passing test fires this definition of `{}`", head.name);
        return Err(PolicyError::new(codes::POLICY_RULE_UNTESTED, head.place.as_str(), message));
    }
    let foreign = heads.iter().filter(|head| head.path.starts_with("data.main."));
    let foreign = foreign.filter_map(|head| Some((head.name.clone(), foreign::role(&head.name)?))).collect();
    Ok(Checked { tests: passed, rules: heads.len(), declared: names.declared(), foreign })
}

/// Everything that can be said of a bundle without running it.
pub(crate) fn parse(bundle: &Bundle) -> Result<Parsed, PolicyError> {
    bundle.measure()?;
    let parse = |files: &mut dyn Iterator<Item = (&str, &str)>| -> Result<Vec<Ref<Module>>, PolicyError> {
        let mut engine = engine::empty(0)?;
        for (path, text) in files {
            lint::check_nesting(path, text)?;
            engine::add(&mut engine, path, text)?;
        }
        Ok(engine::modules(&mut engine))
    };
    let rules = parse(&mut bundle.rules())?;
    let tests = parse(&mut bundle.tests())?;
    let names = lint::check_names(&rules, &tests)?;
    lint::check_fields(&rules)?;
    lint::check_fields(&tests)?;
    if let Some((calendar, _)) = bundle.calendars().next()
        && !lint::asks_for(&rules, "freeze")
    {
        let message = "no rule looks at `input.freeze`, so this calendar would be ignored";
        return Err(PolicyError::new(codes::POLICY_UNUSED_RULE, calendar, message));
    }
    let heads = heads(&rules)?;
    Ok(Parsed { rules, tests, heads, names })
}

fn heads(modules: &[Ref<Module>]) -> Result<Vec<Head>, PolicyError> {
    let mut heads = Vec::new();
    for module in modules {
        let package = names::package(module.as_ref());
        let is_ours = package == engine::PACKAGE;
        if !is_ours && package != foreign::PACKAGE {
            continue;
        }
        for rule in &module.policy {
            let Rule::Spec { span, head, bodies } = rule.as_ref() else { continue };
            let Some(name) = Reference::of(names::head(rule.as_ref())).map(|reference| reference.base) else {
                continue;
            };
            let decides = if is_ours { TESTED.contains(&name) } else { foreign::role(name).is_some() };
            // A function is a helper, whatever it is called.
            let is_function = matches!(head, RuleHead::Func { .. });
            if !decides || (is_function && !is_ours) {
                continue;
            }
            let not_understood = || {
                let message = format!("this definition of `{name}` is not understood");
                PolicyError::new(codes::POLICY_SYNTAX, lint::place(span), message)
            };
            let statements = |body: Option<&RuleBody>| -> Vec<u32> {
                body.into_iter()
                    .flat_map(|body| &body.query.stmts)
                    .map(|statement| statement.span.line)
                    .collect()
            };
            let mut push = |shown: &Span, start: u32, end: u32, keyword: &[&str], body: Option<&RuleBody>| {
                let head = head_of(name, shown, start, end, keyword).ok_or_else(not_understood)?;
                let (rule_place, path) = (lint::place(span), format!("data.{package}.{name}"));
                heads.push(Head { rule_place, path, statements: statements(body), ..head });
                Ok(())
            };
            // An `else` has a value of its own; the first body is that of the head.
            let first = bodies.first();
            match head {
                RuleHead::Set { span: all, refr, key: Some(_) } => {
                    push(span, refr.span().end, all.end, &["contains", "["], first)?;
                }
                RuleHead::Set { key: None, .. } => return Err(not_understood()),
                RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => {
                    if let Some(assign) = assign {
                        push(span, assign.span.start, assign.span.end, &[":=", "="], first)?;
                    }
                }
            }
            for body in bodies {
                if let Some(assign) = &body.assign {
                    push(&assign.span, assign.span.start, assign.span.end, &[":=", "="], Some(body))?;
                }
            }
        }
    }
    Ok(heads)
}

/// The value in a head: what follows one of the keywords between two places of the file. The end
/// of a head is that of its last token, and the token of a string ends before its closing quote.
fn head_of(name: &str, shown: &Span, start: u32, end: u32, keywords: &[&str]) -> Option<Head> {
    let text = shown.source.contents();
    let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
    let quote = text.get(end..)?.starts_with(['"', '`']);
    let end = end.checked_add(usize::from(quote))?;
    let head = text.get(start..end)?.trim_start();
    let keyword = keywords.iter().find(|keyword| head.starts_with(**keyword))?;
    let value = head.strip_prefix(keyword)?;
    // The older form of a set: `deny[message]`.
    let (value, end) = match *keyword {
        "[" => (value.trim_end().strip_suffix(']')?, start.checked_add(text.get(start..end)?.rfind(']')?)?),
        _ => (value, end),
    };
    let value = value.trim_start();
    Some(Head {
        file: shown.source.file().clone(),
        place: lint::place(shown),
        rule_place: String::new(),
        path: String::new(),
        name: name.to_owned(),
        rule: rule_id(value).unwrap_or(name).to_owned(),
        statements: Vec::new(),
        start: end.checked_sub(value.len())?,
        end,
    })
}

/// What an object that is written out says under `rule`.
fn rule_id(head: &str) -> Option<&str> {
    let (_, after) = head.split_once("\"rule\"")?;
    let value = after.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    value.split('"').next()
}

/// The text of a file with the heads in it wrapped.
fn instrument(path: &str, text: &str, heads: &[Head]) -> Result<String, PolicyError> {
    let mut mine: Vec<(usize, &Head)> =
        heads.iter().enumerate().filter(|(_, head)| head.file == path).collect();
    mine.sort_by_key(|(_, head)| head.start);
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (index, head) in mine {
        let (Some(before), Some(value)) = (text.get(done..head.start), text.get(head.start..head.end)) else {
            let message = format!("this definition of `{}` is not understood", head.name);
            return Err(PolicyError::new(codes::POLICY_SYNTAX, head.place.as_str(), message));
        };
        out.push_str(before);
        out.push_str(&format!("{}({index}, {value})", engine::FIRED));
        done = head.end;
    }
    out.push_str(text.get(done..).unwrap_or(""));
    Ok(out)
}

/// An engine with the rules, which notes the heads that it evaluates.
pub(crate) fn instrumented(bundle: &Bundle, heads: &[Head], noted: &Noted) -> Result<Engine, PolicyError> {
    // Wrapping makes a line longer by the name, the number, and `(, )`.
    let mut engine = engine::empty(2 * engine::FIRED.len() * heads.len().clamp(1, 1024))?;
    for (path, text) in bundle.rules() {
        engine::add(&mut engine, path, &instrument(path, text, heads)?)?;
    }
    let notes = noted.clone();
    let note = move |arguments: Vec<Value>| match arguments.as_slice() {
        [index, value] => {
            if let Some(index) = index.as_u32().ok().and_then(|index| usize::try_from(index).ok()) {
                notes.note(index, value);
            }
            Ok(value.clone())
        }
        _ => Err(std::fmt::Error.into()),
    };
    engine
        .add_extension(engine::FIRED.to_owned(), 2, Box::new(note))
        .map_err(|error| PolicyError::from_engine(codes::POLICY_TEST_FAILED, "", &error.to_string()))?;
    Ok(engine)
}

/// Runs all tests. Gives their number and the heads that they fired.
fn run_tests(
    bundle: &Bundle,
    tests: &[Ref<Module>],
    heads: &[Head],
) -> Result<(usize, BTreeSet<usize>), PolicyError> {
    let mut noted = Noted::default();
    let mut engine = instrumented(bundle, heads, &noted)?;
    for (path, text) in bundle.tests() {
        engine::add(&mut engine, path, text)?;
    }
    engine::add_data(&mut engine, data::merged(bundle)?.plain)?;
    let mut fired = BTreeSet::new();
    let found = tests_of(tests);
    for (path, place) in &found {
        noted.clear();
        let value = engine.eval_rule(path.clone()).map_err(|error| {
            PolicyError::from_engine(codes::POLICY_TEST_FAILED, place, &error.to_string())
        })?;
        if value != Value::Bool(true) {
            let message = format!(
                "test `{path}` is {}, not true",
                if value == Value::Undefined { "undefined" } else { "something else" }
            );
            return Err(PolicyError::new(codes::POLICY_TEST_FAILED, place.as_str(), message));
        }
        fired.extend(noted.take().into_iter().map(|(index, _)| index));
    }
    Ok((found.len(), fired))
}

/// The path of each test, with the place of its first definition.
pub(crate) fn tests_of(modules: &[Ref<Module>]) -> BTreeMap<String, String> {
    let mut tests = BTreeMap::new();
    for module in modules {
        let package = names::package(module.as_ref());
        for rule in &module.policy {
            let Rule::Spec { span, .. } = rule.as_ref() else { continue };
            let Some(name) = Reference::of(names::head(rule.as_ref())).map(|reference| reference.base) else {
                continue;
            };
            if name.starts_with(TEST_PREFIX) {
                tests.entry(format!("data.{package}.{name}")).or_insert_with(|| lint::place(span));
            }
        }
    }
    tests
}
