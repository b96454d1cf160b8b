//! Names: which rules there are, which rule asks for which, and what follows: recursion, rules
//! that nothing asks for, and functions that nobody may call.

use super::{
    place, position,
    walk::{Item, Reference, Step, locals, visit},
};
use crate::{
    PolicyError, codes,
    engine::{FORBIDDEN, PACKAGE},
    limits,
};
use regorus::unstable::{Expr, Module, Ref, Rule, RuleHead, Span};
use std::collections::{BTreeMap, BTreeSet};

/// Rules that the engine asks for.
const ASKED_FOR: [&str; 4] = ["allow", "deny", "warn", "require_approval"];

/// The rules of a bundle, without tests.
pub(crate) struct Names {
    /// `package.name` of each rule, with where it is first defined and what it asks for.
    rules: BTreeMap<String, Entry>,
}

struct Entry {
    place: String,
    asks_for: BTreeSet<String>,
}

impl Names {
    /// Names of the rules in the package that decides.
    pub(crate) fn declared(&self) -> BTreeSet<String> {
        let prefix = format!("{PACKAGE}.");
        self.rules.keys().filter_map(|key| key.strip_prefix(&prefix)).map(str::to_owned).collect()
    }
}

/// The reference in the head of a rule.
pub(crate) fn head(rule: &Rule) -> &Expr {
    match rule {
        Rule::Default { refr, .. } => refr.as_ref(),
        Rule::Spec { head, .. } => match head {
            RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } | RuleHead::Func { refr, .. } => {
                refr.as_ref()
            }
        },
    }
}

fn span_of(rule: &Rule) -> &Span {
    match rule {
        Rule::Default { span, .. } | Rule::Spec { span, .. } => span,
    }
}

/// Package of a module, without `data`.
pub(crate) fn package(module: &Module) -> String {
    Reference::of(module.package.refr.as_ref()).map_or_else(String::new, |reference| reference.dotted())
}

/// Names that imports give to other documents: `lib` for `import data.rectify.lib`.
pub(super) fn imports(module: &Module) -> BTreeMap<&str, Reference<'_>> {
    let mut names = BTreeMap::new();
    for import in &module.imports {
        let Some(reference) = Reference::of(import.refr.as_ref()) else { continue };
        let last = match reference.steps.last() {
            Some(Step::Field(name, _)) => name,
            _ => reference.base,
        };
        let name = import.r#as.as_ref().map_or(last, |span| span.text());
        names.insert(name, reference);
    }
    names
}

/// Checks the names of a bundle.
pub(crate) fn check_names(rules: &[Ref<Module>], tests: &[Ref<Module>]) -> Result<Names, PolicyError> {
    for module in rules.iter().chain(tests) {
        check_forbidden(module.as_ref())?;
    }
    let mut names = Names { rules: BTreeMap::new() };
    for module in rules {
        let package = package(module.as_ref());
        for rule in &module.policy {
            if let Some(name) = Reference::of(head(rule.as_ref())) {
                let entry = || Entry { place: place(span_of(rule.as_ref())), asks_for: BTreeSet::new() };
                names.rules.entry(format!("{package}.{}", name.base)).or_insert_with(entry);
            }
        }
    }
    for module in rules {
        collect_references(module.as_ref(), &mut names);
    }
    if !names.rules.contains_key(&format!("{PACKAGE}.allow")) {
        let message = format!("no rule `allow` in package `{PACKAGE}`; begin with `default allow := false`");
        return Err(PolicyError::new(codes::POLICY_NO_ALLOW, "", message));
    }
    check_recursion(&names)?;
    check_unused(&names)?;
    Ok(names)
}

fn check_forbidden(module: &Module) -> Result<(), PolicyError> {
    let mut found: Option<((String, u32, u32), String, String)> = None;
    for rule in &module.policy {
        let local = locals(rule.as_ref());
        visit(rule.as_ref(), &mut |item| {
            let Item::Reference(reference) = item else { return };
            let dotted = reference.dotted();
            if local.contains(reference.base) || !FORBIDDEN.contains(&dotted.as_str()) {
                return;
            }
            let position = position(reference.span);
            if found.as_ref().is_none_or(|(first, ..)| position < *first) {
                found = Some((position, place(reference.span), dotted));
            }
        });
    }
    found.map_or(Ok(()), |(_, place, name)| {
        let message = format!(
            "`{name}` is not a function of its arguments, so the decision could not be reproduced; time is `input.now`"
        );
        Err(PolicyError::new(codes::POLICY_FORBIDDEN_BUILTIN, place, message))
    })
}

fn collect_references(module: &Module, names: &mut Names) {
    let package = package(module);
    let imports = imports(module);
    for rule in &module.policy {
        let Some(name) = Reference::of(head(rule.as_ref())) else { continue };
        let local = locals(rule.as_ref());
        let mut asks_for = BTreeSet::new();
        visit(rule.as_ref(), &mut |item| {
            let Item::Reference(reference) = item else { return };
            if local.contains(reference.base) {
                return;
            }
            let dotted = reference.dotted();
            let own = format!("{package}.{}", reference.base);
            if names.rules.contains_key(&own) {
                asks_for.insert(own);
            } else if let Some(path) = dotted.strip_prefix("data.") {
                asks_for.extend(resolve(names, path));
            } else if let Some(imported) = imports.get(reference.base) {
                let whole = dotted.replacen(reference.base, &imported.dotted(), 1);
                asks_for
                    .extend(whole.strip_prefix("data.").into_iter().flat_map(|path| resolve(names, path)));
            }
        });
        if let Some(entry) = names.rules.get_mut(&format!("{package}.{}", name.base)) {
            entry.asks_for.extend(asks_for);
        }
    }
}

/// The rules that a path under `data` may mean: one, or all of a package.
fn resolve(names: &Names, path: &str) -> Vec<String> {
    let mut shorter = path;
    loop {
        if names.rules.contains_key(shorter) {
            return vec![shorter.to_owned()];
        }
        match shorter.rsplit_once('.') {
            Some((rest, _)) => shorter = rest,
            None => break,
        }
    }
    let below = format!("{path}.");
    names.rules.keys().filter(|key| key.starts_with(&below)).cloned().collect()
}

/// Counts how many rules each rule stands on. Rules without a count stand on themselves.
fn check_recursion(names: &Names) -> Result<(), PolicyError> {
    let mut asked_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, entry) in &names.rules {
        open.insert(key, entry.asks_for.len());
        for asked in &entry.asks_for {
            asked_by.entry(asked).or_default().push(key);
        }
    }
    let mut storey: Vec<&str> = open.iter().filter(|(_, open)| **open == 0).map(|(key, _)| *key).collect();
    let mut height: usize = 0;
    let mut too_high = None;
    while let Some(lowest) = storey.iter().min().copied() {
        height = height.saturating_add(1);
        if height > limits::RULE_CHAIN_MAX {
            too_high = too_high.or(Some(lowest));
        }
        let mut next = Vec::new();
        for key in storey {
            open.remove(key);
            for above in asked_by.get(key).into_iter().flatten() {
                if let Some(open) = open.get_mut(above) {
                    *open = open.saturating_sub(1);
                    if *open == 0 {
                        next.push(*above);
                    }
                }
            }
        }
        storey = next;
    }
    let place_of = |key: &str| names.rules.get(key).map_or("", |entry| entry.place.as_str());
    if let Some(first) = open.keys().next() {
        let cycle = cycle(names, &open, first);
        let message = format!("`{}` is defined by itself", cycle.join("` -> `"));
        let smallest = cycle.iter().min().copied().unwrap_or(first);
        return Err(PolicyError::new(codes::POLICY_RECURSION, place_of(smallest), message));
    }
    too_high.map_or(Ok(()), |key| {
        let message = format!("more than {} rules are stacked on one another", limits::RULE_CHAIN_MAX);
        Err(PolicyError::new(codes::POLICY_TOO_DEEP, place_of(key), message))
    })
}

/// Whoever is left asks for someone who is left, so following the first of them ends in a cycle.
fn cycle<'a>(names: &'a Names, left: &BTreeMap<&'a str, usize>, first: &'a str) -> Vec<&'a str> {
    let mut trail = Vec::new();
    let mut seen = BTreeSet::new();
    let mut at = first;
    while seen.insert(at) {
        trail.push(at);
        let asks_for = names.rules.get(at).into_iter().flat_map(|entry| &entry.asks_for);
        let Some(next) = asks_for.map(String::as_str).find(|key| left.contains_key(key)) else { break };
        at = next;
    }
    trail.into_iter().skip_while(|key| *key != at).collect()
}

fn check_unused(names: &Names) -> Result<(), PolicyError> {
    let asked: BTreeSet<&str> = names
        .rules
        .iter()
        .flat_map(|(key, entry)| entry.asks_for.iter().filter(move |asked| *asked != key))
        .map(String::as_str)
        .collect();
    let prefix = format!("{PACKAGE}.");
    for (key, entry) in &names.rules {
        let Some(name) = key.strip_prefix(&prefix) else { continue };
        if !ASKED_FOR.contains(&name) && !asked.contains(key.as_str()) {
            let message = format!("nothing asks for `{name}`; did you mean one of {}?", ASKED_FOR.join(", "));
            return Err(PolicyError::new(codes::POLICY_UNUSED_RULE, entry.place.as_str(), message));
        }
    }
    Ok(())
}
