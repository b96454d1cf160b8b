//! What an expression sees of the facts of a target: exactly what it names, and nothing else. So what
//! is noted as used is all that can have decided the result.

use super::{
    Problem,
    program::{FACTS, Program},
};
use crate::{codes, suggest::closest};
use rectify_base::{Pointer, TargetName};
use rectify_model::fact::{self, Fact, Facts};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The places of facts that something was decided by, and whether only their presence did.
pub(crate) type Used = BTreeMap<Pointer, bool>;

/// Adds what was used elsewhere. A value that matters anywhere matters.
pub(crate) fn merge(into: &mut Used, other: &Used) {
    for (pointer, only_whether) in other {
        into.entry(pointer.clone()).and_modify(|all| *all &= only_whether).or_insert(*only_whether);
    }
}

/// What is known of the targets.
#[derive(Clone, Debug)]
pub(crate) struct Known<'f> {
    /// The groups that providers offer.
    pub groups: BTreeSet<&'f str>,
    /// The facts that were read; absent if none were asked for yet.
    pub told: Option<&'f BTreeMap<TargetName, Facts>>,
}

impl Program {
    /// Whether it names facts.
    pub fn asks_facts(&self) -> bool {
        self.facts().next().is_some()
    }

    /// The groups that it names.
    pub fn groups_asked(&self) -> impl Iterator<Item = &str> {
        self.facts().filter_map(|(path, _)| path.first().map(|(name, _)| *name))
    }

    /// What it names of facts, behind the word itself.
    #[expect(clippy::type_complexity, reason = "a path as the program holds it")]
    fn facts(&self) -> impl Iterator<Item = (Vec<(&str, Option<std::ops::Range<usize>>)>, bool)> {
        self.uses.iter().filter_map(|used| match used.path.split_first() {
            Some(((root, _), rest)) if root == FACTS => {
                let path = rest.iter().map(|(name, place)| (name.as_str(), place.clone())).collect();
                Some((path, used.asks))
            }
            _ => None,
        })
    }

    /// Whether there are groups of the names that it asks for.
    pub fn asks_groups_of(&self, groups: &BTreeSet<&str>) -> Result<(), Problem> {
        for (path, _) in self.facts() {
            let Some((group, place)) = path.first().filter(|(group, _)| !groups.contains(group)) else {
                continue;
            };
            let names: Vec<&str> = groups.iter().copied().collect();
            return Err(Problem::new(codes::EXPR_UNKNOWN_NAME, format!("there are no facts `{group}`"))
                .at(place.clone())
                .meant(closest(group, names.iter().copied()))
                .help(match names.as_slice() {
                    [] => "no provider at hand tells facts".to_owned(),
                    names => format!("there are {}", crate::fields::list(names)),
                }));
        }
        Ok(())
    }

    /// The part of the facts that it names; what was used is noted.
    pub fn see(&self, facts: &Facts, target: &str, used: &mut Used) -> Result<Value, Problem> {
        let mut traced = Vec::new();
        for (path, asks) in self.facts() {
            let Some((group, place)) = path.first() else { continue };
            let Some(fact) = facts.get(*group) else {
                let message = format!("`facts.{group}` was not read on `{target}`");
                return Err(Problem::new(codes::FACT_NOT_READ, message)
                    .at(place.clone())
                    .help("the facts at hand belong to other sources; make the plan again"));
            };
            let names: Vec<&str> = path.iter().map(|(name, _)| *name).collect();
            traced.push(trace(fact, &names, asks));
        }
        // What is only asked for first, so that values take its place.
        traced.sort_by(|(a, asks_a), (b, asks_b)| (asks_b, a).cmp(&(asks_a, b)));
        let mut seen = Value::Object(Map::new());
        for (pointer, only_whether) in traced {
            place(&mut seen, &pointer.tokens(), fact::value_at(facts, &pointer), only_whether);
            merge(used, &Used::from([(pointer, only_whether)]));
        }
        Ok(seen)
    }

    /// Why a group is not there, if that is why a key is missing.
    pub fn why_absent<'f>(&self, facts: &'f Facts, key: &str) -> Option<&'f str> {
        let named = self.facts().any(|(path, _)| path.first().is_some_and(|(group, _)| *group == key));
        match facts.get(key).filter(|_| named)? {
            Fact::Absent(why) => Some(why),
            Fact::Value(_) => None,
        }
    }
}

/// How far a path leads: to a value, to the first key that is not there, or to something that has no
/// keys, which then matters as a whole.
fn trace(fact: &Fact, names: &[&str], asks: bool) -> (Pointer, bool) {
    let mut pointer = Pointer::root();
    let mut here = match fact {
        Fact::Value(value) => Some(value),
        Fact::Absent(_) => None,
    };
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            let Some(value) = here else { return (pointer, asks) };
            let Value::Object(members) = value else { return (pointer, false) };
            here = members.get(*name);
        }
        pointer = pointer.child(name);
    }
    (pointer, asks)
}

/// Puts a value where it stands in the facts, with what is above it and nothing beside it.
fn place(seen: &mut Value, tokens: &[String], value: Option<&Value>, only_whether: bool) {
    let (Value::Object(members), Some((token, rest))) = (seen, tokens.split_first()) else { return };
    if !rest.is_empty() {
        let inner = members.entry(token.as_str()).or_insert_with(|| Value::Object(Map::new()));
        return place(inner, rest, value, only_whether);
    }
    match value {
        None => {}
        Some(Value::Object(_)) if only_whether => {
            members.entry(token.as_str()).or_insert_with(|| Value::Object(Map::new()));
        }
        Some(Value::Array(_)) if only_whether => {
            members.entry(token.as_str()).or_insert_with(|| Value::Array(Vec::new()));
        }
        Some(value) => {
            members.insert(token.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::expression::Sees;
    use serde_json::json;

    fn facts() -> Facts {
        Facts::from([
            ("os".to_owned(), Fact::Value(json!({"id": "debian", "version": {"major": 12, "minor": 5}}))),
            ("mounts".to_owned(), Fact::Value(json!([{"target": "/"}]))),
            ("packages".to_owned(), Fact::Absent("no database".to_owned())),
        ])
    }

    /// What an expression sees, and what is noted of it.
    fn see(expression: &str) -> (Value, Vec<(String, bool)>) {
        let program = Program::new(expression, Sees::All).unwrap();
        let mut used = Used::new();
        let seen = program.see(&facts(), "web", &mut used).unwrap();
        (seen, used.into_iter().map(|(pointer, asks)| (pointer.as_str().to_owned(), asks)).collect())
    }

    fn used(expression: &str) -> Vec<(String, bool)> {
        see(expression).1
    }

    fn one(pointer: &str, asks: bool) -> Vec<(String, bool)> {
        vec![(pointer.to_owned(), asks)]
    }

    #[test]
    fn an_expression_sees_what_it_names_and_nothing_beside_it() {
        let (seen, used) = see("facts.os.version.major > 11");
        assert_eq!(seen, json!({"os": {"version": {"major": 12}}}));
        assert_eq!(used, one("/os/version/major", false));
        assert_eq!(see("facts.os[\"id\"] == 'x'").0, json!({"os": {"id": "debian"}}));
    }

    #[test]
    fn what_is_only_asked_for_is_seen_as_there() {
        assert_eq!(see("has(facts.os.version)"), (json!({"os": {"version": {}}}), one("/os/version", true)));
        assert_eq!(see("'id' in facts.os"), (json!({"os": {"id": "debian"}}), one("/os/id", true)));
        assert_eq!(see("'x' in facts.os"), (json!({"os": {}}), one("/os/x", true)));
        assert_eq!(see("has(facts.packages)"), (json!({}), one("/packages", true)));
        assert_eq!(see("has(facts.packages.nginx.x)"), (json!({}), one("/packages", true)));
    }

    #[test]
    fn a_value_that_matters_anywhere_matters() {
        assert_eq!(used("has(facts.os.id) && facts.os.id == 'x'"), one("/os/id", false));
        let (seen, used) = see("has(facts.os.id) && facts.os.size() > 0");
        assert_eq!(seen, json!({"os": {"id": "debian", "version": {"major": 12, "minor": 5}}}));
        assert_eq!(used, [("/os".to_owned(), false), ("/os/id".to_owned(), true)]);
    }

    #[test]
    fn a_list_matters_as_a_whole() {
        for expression in
            ["'x' in facts.mounts", "facts.mounts[0].target == '/'", "facts.mounts.exists(m, true)"]
        {
            let (seen, used) = see(expression);
            assert_eq!(
                (seen, used),
                (json!({"mounts": [{"target": "/"}]}), one("/mounts", false)),
                "{expression}"
            );
        }
    }

    #[test]
    fn a_name_that_a_macro_binds_is_no_fact() {
        assert_eq!(used("[{'os': 1}].all(facts, facts.os == 1)"), []);
    }
}
