//! Documents as a graph: targets selected, properties evaluated, steps ordered.

use crate::{
    ProjectSettings, codes,
    document::{
        inventory,
        remediation::{Reference, Remediation, Step},
    },
    expression::{self, Engine, Missing, Scope},
    fields,
    graph::{self, Item, Link, Links, Prepared, touch},
    limits::FILE_PROBLEMS_MAX,
    property,
    report::{Cx, Report},
    schema::{Registry, Type},
    suggest::closest,
    tree::{Content, Entry, Span},
};
use rectify_base::{Address, RemediationName, TargetName, TypeName};
use rectify_model::{
    Graph,
    grade::TypeKind,
    graph::{self as model, EdgeKind, TargetInfo},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// Everything that was read.
pub(crate) struct Sources<'a, 't, 's, 'm> {
    pub settings: &'a ProjectSettings,
    pub remediations: &'a BTreeMap<RemediationName, Remediation<'t, 's>>,
    pub targets: &'a BTreeMap<TargetName, inventory::Target>,
    /// Whether all remediations and all targets could be read: only then can one be missing.
    pub complete: Complete,
    pub registry: &'a Registry<'m>,
    /// Source texts by path.
    pub texts: &'a BTreeMap<&'a str, &'a str>,
    /// The remediations to take; all if absent.
    pub select: Option<&'a BTreeSet<RemediationName>>,
}

/// What could be read without an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Complete {
    pub remediations: bool,
    pub targets: bool,
}

/// What is gathered for one target, over all remediations.
#[derive(Default)]
struct Site<'a> {
    items: Vec<(Item<'a>, &'a RemediationName, &'a [Reference<'a>], &'a [Reference<'a>])>,
    gates: Vec<model::Gate>,
}

/// Makes the graph; absent if anything is wrong, which is reported.
pub(crate) fn graph<'a>(sources: &'a Sources<'a, '_, '_, '_>, report: &mut Report) -> Option<Graph> {
    let mut gather = Gather {
        sources,
        engine: Engine::new(),
        sites: BTreeMap::new(),
        types: BTreeMap::new(),
        selecting: BTreeMap::new(),
    };
    let mut remediations = BTreeMap::new();
    for remediation in sources.remediations.values() {
        if sources.select.is_none_or(|s| s.contains(&remediation.name)) {
            remediations.insert(remediation.name.clone(), remediation.info.clone());
            gather.remediation(remediation, report);
        }
    }
    if report.has_errors() {
        // Orders and conflicts between the steps that are left would be reported wrongly.
        return None;
    }
    let Gather { sites, types, .. } = gather;
    let mut targets = BTreeMap::new();
    let (mut nodes, mut gates) = (Vec::new(), Vec::new());
    for (name, mut site) in sites {
        if let Some(target) = sources.targets.get(name) {
            let info = TargetInfo { environment: target.environment.clone(), labels: target.labels.clone() };
            targets.insert(name.clone(), info);
        }
        site.items.sort_by(|a, b| a.0.address.cmp(&b.0.address));
        let links = links(&site);
        let items: Vec<Item<'_>> = site.items.into_iter().map(|(item, ..)| item).collect();
        nodes.extend(graph::arrange(name, &items, links, report).unwrap_or_default());
        site.gates.sort_by(|a, b| a.address.cmp(&b.address));
        gates.append(&mut site.gates);
    }
    Some(Graph {
        format: model::FORMAT.into(),
        project: sources.settings.name.clone(),
        limits: sources.settings.limits,
        remediations,
        targets,
        types: types.into_iter().map(|(name, facts)| (name.clone(), facts.clone())).collect(),
        nodes,
        gates,
    })
}

/// The edges that were written, between items of one target. A step of another remediation that does
/// not take part here orders nothing here.
fn links(site: &Site<'_>) -> Links {
    let mut links = Links::default();
    let find = |address: &str| site.items.binary_search_by(|(i, ..)| i.address.as_str().cmp(address)).ok();
    for (to, (_, remediation, after, on_change)) in site.items.iter().enumerate() {
        for (kind, references) in [(EdgeKind::After, after), (EdgeKind::OnChange, on_change)] {
            for reference in *references {
                let from = if reference.text.contains('/') {
                    find(reference.text)
                } else {
                    find(&format!("{remediation}/{}", reference.text))
                };
                if let Some(from) = from {
                    links.add(from, to, Link { kind, reason: None, span: Some(reference.span) });
                }
            }
        }
    }
    links
}

struct Gather<'a, 't, 's, 'm> {
    sources: &'a Sources<'a, 't, 's, 'm>,
    engine: Engine,
    sites: BTreeMap<&'a TargetName, Site<'a>>,
    types: BTreeMap<&'a TypeName, &'a model::TypeFacts>,
    /// What selections see, per target; made when the first one is evaluated.
    selecting: BTreeMap<&'a TargetName, Scope>,
}

/// The targets of a remediation, each with what expressions see there, once one asks.
type Selected<'a> = Vec<(&'a TargetName, Option<Scope>)>;

impl<'a, 't: 'a, 's: 'a, 'm> Gather<'a, 't, 's, 'm> {
    fn remediation(&mut self, remediation: &'a Remediation<'t, 's>, report: &mut Report) {
        let before = report.len();
        let cx = &mut Cx::new(remediation.file, report);
        for step in &remediation.steps {
            self.references(remediation, step, cx);
        }
        let mut targets = self.selected(remediation, cx);
        for step in &remediation.steps {
            let Some((type_name, ty)) =
                self.find_type(step.call, Role::Step, &mut Cx::new(remediation.file, report))
            else {
                continue;
            };
            let address = Address::of_step(&remediation.name, &step.name);
            for (target, prepared) in self.prepare(remediation, step.call, ty, &mut targets, report) {
                let address = address.clone();
                let item = Item { address, file: remediation.file, span: step.span, type_name, prepared };
                let site = self.sites.entry(target).or_default();
                site.items.push((item, &remediation.name, &step.after, &step.on_change));
            }
            if report.len() - before > FILE_PROBLEMS_MAX {
                return;
            }
        }
        for gate in &remediation.gates {
            let Some((type_name, ty)) =
                self.find_type(gate.call, Role::Gate, &mut Cx::new(remediation.file, report))
            else {
                continue;
            };
            let address = Address::of_gate(&remediation.name, gate.index);
            for (target, prepared) in self.prepare(remediation, gate.call, ty, &mut targets, report) {
                let gate = model::Gate {
                    target: target.clone(),
                    address: address.clone(),
                    type_name: type_name.clone(),
                    desired: prepared.desired.clone(),
                    within_s: gate.within_s,
                };
                self.sites.entry(target).or_default().gates.push(gate);
            }
        }
    }

    /// Checks that the steps exist which a step waits for.
    fn references(&self, remediation: &Remediation<'_, '_>, step: &Step<'_, '_>, cx: &mut Cx<'_, '_>) {
        for (reference, trigger) in
            step.after.iter().map(|r| (r, false)).chain(step.on_change.iter().map(|r| (r, true)))
        {
            let (home, name) = match reference.text.split_once('/') {
                None => (Some(remediation), reference.text),
                Some(_) if trigger => {
                    cx.error(
                        codes::GRAPH_UNKNOWN_STEP,
                        reference.span,
                        "`on_change` names steps of its own remediation only",
                    )
                    .help = Some("`after` may name a step of another one".into());
                    continue;
                }
                Some((other, name)) => {
                    (self.sources.remediations.values().find(|r| r.name.as_str() == other), name)
                }
            };
            let steps = home.map(|r| r.steps.as_slice()).unwrap_or_default();
            let is_broken = match home {
                Some(home) => home.broken_steps.contains(&name),
                None => !self.sources.complete.remediations,
            };
            if is_broken || steps.iter().any(|s| s.name.as_str() == name) {
                continue;
            }
            let help = match home {
                None => "there is no such remediation".to_owned(),
                Some(home) => format!("`{}` has no step of this name", home.name),
            };
            let near = closest(name, steps.iter().map(|s| s.name.as_str()));
            cx.misspelt(
                codes::GRAPH_UNKNOWN_STEP,
                reference.span,
                format!("there is no step `{}`", fields::short(reference.text)),
                near,
                Some(help),
            );
        }
    }

    /// The type that a step or gate names, if it may stand there.
    fn find_type(
        &mut self,
        call: &Entry<'_>,
        role: Role,
        cx: &mut Cx<'_, '_>,
    ) -> Option<(&'a TypeName, &'a Type<'m>)> {
        let registry = self.sources.registry;
        let found = call.key.parse::<TypeName>().ok().and_then(|n| registry.types.get_key_value(&n));
        let Some((name, ty)) = found else {
            cx.misspelt(
                codes::TYPE_UNKNOWN,
                call.key_span,
                format!("no provider offers the type `{}`", fields::short(&call.key)),
                closest(&call.key, registry.types.keys().map(TypeName::as_str)),
                Some("`rectify provider list` shows what there is".into()),
            );
            return None;
        };
        let is_probe = ty.facts.kind == TypeKind::Probe;
        match role {
            Role::Step if is_probe => {
                let message = format!("`{name}` only looks, so it cannot be a step");
                cx.error(codes::REMEDIATION_PROBE_STEP, call.key_span, message).help =
                    Some("put it under `verify`".into());
                None
            }
            Role::Gate if !is_probe => {
                let message = format!("`{name}` changes things, so it cannot verify them");
                cx.error(codes::REMEDIATION_GATE_TYPE, call.key_span, message).help =
                    Some("make it a step, and verify with a probe such as `tcp.connect`".into());
                None
            }
            Role::Step | Role::Gate => {
                self.types.insert(name, &ty.facts);
                Some((name, ty))
            }
        }
    }

    /// The targets of a remediation. A label or variable that a target lacks decides nothing: to leave
    /// the target out without a word could leave out the very machine that was meant.
    fn selected(&mut self, remediation: &Remediation<'_, '_>, cx: &mut Cx<'_, '_>) -> Selected<'a> {
        let Some(node) = remediation.select else { return Vec::new() };
        let Content::Scalar(scalar) = &node.content else { return Vec::new() };
        let text = scalar.text.as_ref();
        if text.trim_start().starts_with("${{") {
            cx.error(codes::EXPR_NOT_HERE, node.span, "a selection is an expression as a whole").help =
                Some("write it without `${{` and `}}`".into());
            return Vec::new();
        }
        let source = self.sources.texts.get(remediation.file).copied().unwrap_or("");
        let mut selected = Vec::new();
        let mut undecided: BTreeMap<String, Undecided<'a>> = BTreeMap::new();
        let mut known = false;
        for (name, target) in self.sources.targets {
            let engine = &self.engine;
            let scope = self.selecting.entry(name).or_insert_with(|| engine.scope(seen(name, target), None));
            match self.engine.evaluate(text, scope) {
                Ok(Value::Bool(true)) => selected.push((name, None)),
                Ok(Value::Bool(false)) => {}
                Ok(_) => {
                    cx.error(codes::EXPR_NOT_BOOL, node.span, "a selection must be true or false").help =
                        Some("such as `target.labels.role == \"web\"`".into());
                    return Vec::new();
                }
                Err(problem) if problem.is_known() => known = true,
                Err(problem) => {
                    let at = property::place(&problem, node, text, text, 0, source);
                    let Some(missing) = problem.missing().filter(|m| self.is_known_elsewhere(&m.key)) else {
                        problem.report(at, cx);
                        return Vec::new();
                    };
                    let first = || Undecided { at, missing: missing.clone(), first: (name, target), more: 0 };
                    undecided
                        .entry(missing.key.clone())
                        .and_modify(|known| known.more += 1)
                        .or_insert_with(first);
                }
            }
        }
        for problem in undecided.values() {
            problem.report(cx);
        }
        if selected.is_empty()
            && undecided.is_empty()
            && !known
            && self.sources.complete.targets
            && !self.sources.targets.is_empty()
        {
            cx.error(
                codes::GRAPH_EMPTY_SELECTION,
                node.span,
                format!("this selects none of {} targets", self.sources.targets.len()),
            )
            .help = Some("compare it with `labels` and `environment` in `inventory/`".into());
        }
        selected
    }

    fn is_known_elsewhere(&self, key: &str) -> bool {
        let has = |t: &inventory::Target| t.labels.contains_key(key) || t.variables.contains_key(key);
        self.sources.targets.values().any(has)
    }

    /// The properties of a step or gate on each target: read once if they are literal, else until
    /// they are wrong on a target.
    fn prepare(
        &mut self,
        remediation: &Remediation<'_, '_>,
        call: &Entry<'_>,
        ty: &Type<'_>,
        targets: &mut Selected<'a>,
        report: &mut Report,
    ) -> Vec<(&'a TargetName, Rc<Prepared>)> {
        let source = self.sources.texts.get(remediation.file).copied().unwrap_or("");
        let mut prepared = Vec::with_capacity(targets.len());
        if !call.value.has_expression() {
            if let Some(shared) = one(call, ty, source, remediation.file, None, report) {
                let shared = Rc::new(shared);
                prepared.extend(targets.iter().map(|(target, _)| (*target, Rc::clone(&shared))));
            }
            return prepared;
        }
        for (name, scope) in targets {
            let Some(target) = self.sources.targets.get(*name) else { continue };
            let engine = &self.engine;
            let scope =
                scope.get_or_insert_with(|| engine.scope(seen(name, target), Some(&remediation.parameters)));
            let evaluation = Some((&mut self.engine, &*scope));
            match one(call, ty, source, remediation.file, evaluation, report) {
                Some(own) => prepared.push((*name, Rc::new(own))),
                None => break,
            }
        }
        prepared
    }
}

/// Targets that a selection cannot decide about, because they lack a key that others have.
struct Undecided<'a> {
    at: Span,
    missing: Missing,
    first: (&'a TargetName, &'a inventory::Target),
    /// How many more there are.
    more: usize,
}

impl Undecided<'_> {
    fn report(&self, cx: &mut Cx<'_, '_>) {
        let Missing { key, question } = &self.missing;
        let (name, target) = self.first;
        let who = match self.more {
            0 => format!("`{name}` is selected cannot be decided: it has"),
            1 => format!("`{name}` and one more target are selected cannot be decided: they have"),
            more => format!("`{name}` and {more} more targets are selected cannot be decided: they have"),
        };
        let diagnostic =
            cx.error(codes::GRAPH_UNDECIDED_SELECTION, self.at, format!("whether {who} no `{key}`"));
        let at = target.span.range();
        diagnostic.labels.push(rectify_base::Label {
            file: target.file.clone(),
            start: at.start,
            end: at.end,
            text: format!("has no `{key}`"),
        });
        let not = if question.ends_with(')') { format!("!{question}") } else { format!("!({question})") };
        diagnostic.help = Some(format!(
            "ask first: `{question} && …` leaves such targets out, `{not} || …` takes them; or give the label \
             or variable to each target"
        ));
    }
}

/// Where a type stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Step,
    Gate,
}

fn one(
    call: &Entry<'_>,
    ty: &Type<'_>,
    source: &str,
    file: &str,
    evaluation: property::Evaluation<'_>,
    report: &mut Report,
) -> Option<Prepared> {
    let desired = property::read(call, ty, source, file, evaluation, report)?;
    let touches = touch::of(&desired, &ty.touches, call, &mut Cx::new(file, report))?;
    Some(Prepared { desired, touches })
}

fn seen<'t>(name: &'t TargetName, target: &'t inventory::Target) -> expression::Target<'t> {
    expression::Target {
        name,
        environment: &target.environment,
        labels: &target.labels,
        variables: &target.variables,
        broken: &target.broken,
    }
}
