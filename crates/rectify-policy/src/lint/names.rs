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

/// Peels off rules that ask for nothing that is left. Each round is one storey; what stays for
/// ever holds a cycle.
fn check_recursion(names: &Names) -> Result<(), PolicyError> {
    let mut left: BTreeMap<&str, BTreeSet<&str>> = names
        .rules
        .iter()
        .map(|(key, entry)| (key.as_str(), entry.asks_for.iter().map(String::as_str).collect()))
        .collect();
    for _ in 0..=limits::RULE_CHAIN_MAX {
        let done: BTreeSet<&str> =
            left.iter().filter(|(_, asks_for)| asks_for.is_empty()).map(|(key, _)| *key).collect();
        if done.is_empty() {
            break;
        }
        left.retain(|key, _| !done.contains(key));
        for asks_for in left.values_mut() {
            asks_for.retain(|key| !done.contains(key));
        }
    }
    let place_of = |key: &str| names.rules.get(key).map_or("", |entry| entry.place.as_str());
    let Some(first) = left.keys().next() else { return Ok(()) };
    if left.values().any(BTreeSet::is_empty) {
        let deepest = left.keys().max_by_key(|key| place_of(key)).unwrap_or(first);
        let message = format!("more than {} rules are stacked on one another", limits::RULE_CHAIN_MAX);
        return Err(PolicyError::new(codes::POLICY_TOO_DEEP, place_of(deepest), message));
    }
    // Whoever is left asks for someone who is left, so following the first of them ends in a cycle.
    let mut trail: Vec<&str> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut at = *first;
    while seen.insert(at) {
        trail.push(at);
        let Some(next) = left.get(at).and_then(|asks_for| asks_for.first().copied()) else { break };
        at = next;
    }
    let cycle: Vec<&str> = trail.into_iter().skip_while(|key| *key != at).collect();
    let smallest = cycle.iter().min().copied().unwrap_or(at);
    let message = format!("`{}` is defined by itself", cycle.join("` -> `"));
    Err(PolicyError::new(codes::POLICY_RECURSION, place_of(smallest), message))
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
