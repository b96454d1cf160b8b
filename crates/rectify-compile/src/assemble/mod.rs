//! Documents as a graph: targets selected, steps unfolded, properties evaluated, steps ordered.

mod call;
mod facts;
mod links;
mod secrets;
mod select;
mod types;
mod unfold;

use crate::{
    LeftOut, ProjectSettings,
    beside::Beside,
    codes,
    document::{
        inventory,
        module::Module,
        remediation::Remediation,
        secret::Secrets,
        step::{Reference, Step, Steps},
    },
    expression::{self, Engine, Scope, facts::Known},
    fields,
    graph::{self, Item, Prepared},
    limits::FILE_PROBLEMS_MAX,
    report::{Cx, Report},
    schema::Registry,
    suggest::closest,
    tree::Span,
};
use rectify_base::{
    Address, Diagnostic, ModuleName, Pointer, RemediationName, StepName, TargetName, TypeName,
};
use rectify_model::{
    Graph,
    fact::{self, Assumption, Facts, Found},
    graph::{self as model, TargetInfo},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};
use unfold::{Frame, Stand};

/// Everything that was read.
pub(crate) struct Sources<'a, 't, 's, 'm> {
    pub settings: &'a ProjectSettings,
    pub remediations: &'a BTreeMap<RemediationName, Remediation<'t, 's>>,
    pub modules: &'a BTreeMap<ModuleName, Module<'t, 's>>,
    pub secrets: &'a Secrets<'t, 's>,
    pub targets: &'a BTreeMap<TargetName, inventory::Target>,
    /// Names of the groups there are, if that is known.
    pub groups: Option<BTreeSet<String>>,
    /// Whether all remediations and all targets could be read: only then can one be missing.
    pub complete: Complete,
    pub registry: &'a Registry<'m>,
    /// Providers that are not part of Rectify, by name.
    pub locked: &'a BTreeMap<String, rectify_model::provider::LockedProvider>,
    /// What properties may take texts from.
    pub beside: Beside<'a>,
    /// The facts that were read, by target; absent if none were asked for yet.
    pub facts: Option<&'a BTreeMap<TargetName, Facts>>,
    /// Source texts by path.
    pub texts: &'a BTreeMap<&'a str, &'a str>,
    /// The remediations to take; all if absent.
    pub select: Option<&'a BTreeSet<RemediationName>>,
}

/// What could be read without an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Complete {
    pub remediations: bool,
    pub modules: bool,
    pub targets: bool,
}

/// A graph, and what the sources have that it has not.
pub(crate) struct Assembled<'a> {
    pub graph: Graph,
    pub left_out: Vec<LeftOut>,
    /// Where the steps were written of which there are several, or that lie in a module.
    pub places: BTreeMap<Address, (&'a str, Span)>,
}

/// What is gathered for one target, over all remediations.
#[derive(Default)]
struct Site<'a> {
    items: Vec<Placed<'a>>,
    /// Steps of which nothing is here, by address, with what they would have waited for.
    absent: BTreeMap<String, Waits<'a>>,
    gates: Vec<model::Gate>,
}

/// A step of a target, with what it waits for.
struct Placed<'a> {
    item: Item<'a>,
    name: &'a StepName,
    waits: Waits<'a>,
}

/// What a step waits for.
#[derive(Clone)]
struct Waits<'a> {
    /// What stands before the names of its own remediation or module in addresses.
    base: Rc<str>,
    after: &'a [Reference<'a>],
    on_change: &'a [Reference<'a>],
    /// What the call waits for that the step lies in.
    outer: Option<Rc<Waits<'a>>>,
}

/// Makes the graph; absent if anything is wrong, which is reported.
/// Which facts the sources ask for is told in any case.
pub(crate) fn graph<'a>(
    sources: &'a Sources<'a, '_, '_, '_>,
    asked: &mut BTreeMap<TargetName, BTreeSet<String>>,
    report: &mut Report,
) -> Option<Assembled<'a>> {
    let known = Known { groups: sources.registry.fact_groups(), told: sources.facts };
    let mut gather = Gather {
        sources,
        engine: Engine::new(
            sources.groups.clone(),
            sources.beside.clone(),
            known,
            sources.secrets.keys().cloned().collect(),
        ),
        asked: BTreeMap::new(),
        decided: BTreeMap::new(),
        sites: BTreeMap::new(),
        types: BTreeMap::new(),
        selecting: BTreeMap::new(),
        literal: BTreeMap::new(),
        left_out: Vec::new(),
        looked_at: 0,
    };
    gather.modules(report);
    for remediation in sources.remediations.values() {
        if sources.select.is_none_or(|s| s.contains(&remediation.name)) {
            gather.remediation(remediation, report);
        }
    }
    *asked = std::mem::take(&mut gather.asked);
    if report.has_errors() || gather.engine.undecided {
        // Orders and conflicts between the steps that are left would be reported wrongly.
        return None;
    }
    let Gather { sites, mut types, mut left_out, mut decided, mut engine, .. } = gather;
    let mut targets = BTreeMap::new();
    let mut places = BTreeMap::new();
    let (mut nodes, mut gates) = (Vec::new(), Vec::new());
    let mut budget = crate::limits::GRAPH_EDGES_MAX;
    for (name, mut site) in sites {
        site.items.sort_by(|a, b| a.item.address.cmp(&b.item.address));
        links::settle(name, &mut site, &mut left_out, &mut budget);
        let acting = site.acting();
        site.gates.retain(|gate| acting.contains(gate.address.remediation()));
        let kept: BTreeSet<&Address> = site.gates.iter().map(|gate| &gate.address).collect();
        let assumptions = sources
            .facts
            .and_then(|facts| facts.get(name))
            .map(|facts| assumed(decided.remove(name).unwrap_or_default(), facts, &kept))
            .unwrap_or_default();
        // A target that facts leave nothing of is told of all the same: what left it out may change.
        let taken = !site.items.is_empty() || !assumptions.is_empty();
        let Some(target) = sources.targets.get(name).filter(|_| taken) else { continue };
        for group in assumptions.iter().map(Assumption::group) {
            let ty = fact::type_of(&group).and_then(|name| sources.registry.types.get_key_value(&name));
            types.extend(ty.map(|(name, ty)| (name, &ty.facts)));
        }
        let used = site.items.iter().map(|placed| &placed.item.prepared.desired);
        let info = TargetInfo {
            environment: target.environment.clone(),
            labels: target.labels.clone(),
            assumptions,
            secrets: secrets::origins(sources, seen(name, target), used, &mut engine, report),
        };
        targets.insert(name.clone(), info);
        let links = links::links(&site, &mut budget, report)?;
        site.gates.sort_by(|a, b| a.address.cmp(&b.address));
        gates.append(&mut site.gates);
        for placed in &site.items {
            let Item { address, file, span, .. } = &placed.item;
            if address.step() != placed.name.as_str() {
                places.insert(address.clone(), (*file, *span));
            }
        }
        let items: Vec<Item<'_>> = site.items.into_iter().map(|placed| placed.item).collect();
        nodes.extend(graph::arrange(name, &items, links, report).unwrap_or_default());
    }
    if nodes.is_empty() && !report.has_errors() {
        report.push(Diagnostic::error(codes::GRAPH_EMPTY, "every step is left out on every target")).help =
            Some("look at `when`, `for_each` and `on_change` of the steps".into());
    }
    let acting: BTreeSet<&str> = nodes.iter().map(|n| n.address.remediation()).collect();
    let remediations = sources.remediations.values().filter(|r| acting.contains(r.name.as_str()));
    left_out.sort();
    let used: std::collections::BTreeSet<_> = types.values().map(|facts| facts.manifest).collect();
    let providers = sources.locked.iter().filter(|(_, provider)| used.contains(&provider.manifest));
    let graph = Graph {
        format: model::FORMAT.into(),
        project: sources.settings.name.clone(),
        limits: sources.settings.limits,
        remediations: remediations.map(|r| (r.name.clone(), r.info.clone())).collect(),
        targets,
        types: types.into_iter().map(|(name, facts)| (name.clone(), facts.clone())).collect(),
        providers: providers.map(|(name, provider)| (name.clone(), provider.clone())).collect(),
        nodes,
        gates,
    };
    Some(Assembled { graph, left_out, places })
}

/// What was used of the facts of a target, with what was found.
fn assumed(decided: Decided, facts: &Facts, gates: &BTreeSet<&Address>) -> Vec<Assumption> {
    let one = |(fact, (only_whether, decides)): (Pointer, (bool, BTreeSet<Address>))| {
        // A gate that is not asked decides nothing.
        let decides: Vec<Address> =
            decides.into_iter().filter(|address| !address.is_gate() || gates.contains(address)).collect();
        let is = Found::at(facts, &fact, only_whether);
        (!decides.is_empty()).then_some(Assumption { fact, is, decides })
    };
    decided.into_iter().filter_map(one).collect()
}

impl Site<'_> {
    /// The remediations that have a step here.
    fn acting(&self) -> BTreeSet<String> {
        self.items.iter().map(|p| p.item.address.remediation().to_owned()).collect()
    }
}

impl Placed<'_> {
    /// The address without a key of its own.
    fn declared(&self) -> String {
        format!("{}{}", self.waits.base, self.name)
    }
}

/// The facts that decided something on a target: by place, whether only their presence did, and what
/// they decided.
type Decided = BTreeMap<Pointer, (bool, BTreeSet<Address>)>;

struct Gather<'a, 't, 's, 'm> {
    sources: &'a Sources<'a, 't, 's, 'm>,
    engine: Engine<'a>,
    /// The groups of facts that the sources name, by target.
    asked: BTreeMap<TargetName, BTreeSet<String>>,
    decided: BTreeMap<&'a TargetName, Decided>,
    sites: BTreeMap<&'a TargetName, Site<'a>>,
    types: BTreeMap<&'a TypeName, &'a model::TypeFacts>,
    /// What selections see, per target; made when the first one is evaluated.
    selecting: BTreeMap<&'a TargetName, Scope>,
    /// Properties without an expression, by file and place; absent if they are wrong.
    literal: BTreeMap<(&'a str, usize), Option<Rc<Prepared>>>,
    left_out: Vec<LeftOut>,
    /// How many steps were looked at so far, on all targets.
    looked_at: usize,
}

impl<'a, 't: 'a, 's: 'a> Gather<'a, 't, 's, '_> {
    fn remediation(&mut self, remediation: &'a Remediation<'t, 's>, report: &mut Report) {
        let before = report.len();
        let cx = &mut Cx::new(remediation.file, report);
        self.calls(&remediation.steps, cx);
        self.references(remediation.name.as_str(), &remediation.steps, true, cx);
        let targets = self.selected(remediation, cx);
        let groups = self.groups_asked(remediation);
        if !groups.is_empty() {
            for target in &targets {
                self.asked.entry((*target).clone()).or_default().extend(groups.iter().cloned());
            }
        }
        let parameters = Rc::new(remediation.parameters.clone());
        let mut stands: Vec<Stand<'a>> =
            targets.iter().map(|target| Stand::new(target, Rc::clone(&parameters))).collect();
        let frame = Frame::of(remediation);
        for step in &remediation.steps.list {
            self.step(&frame, step, &mut stands, report);
            if report.len() - before > FILE_PROBLEMS_MAX {
                return;
            }
        }
        for gate in &remediation.gates {
            let Some((type_name, ty)) =
                self.find_type(gate.call, types::Role::Gate, &mut Cx::new(remediation.file, report))
            else {
                continue;
            };
            let address = Address::of_gate(&remediation.name, gate.index);
            for stand in &mut stands {
                let Some(prepared) = self.prepare(&frame, gate.call, ty, stand, None, report) else { break };
                let used = self.engine.take_used();
                self.decide(stand.target, &address, &used);
                let gate = model::Gate {
                    target: stand.target.clone(),
                    address: address.clone(),
                    type_name: type_name.clone(),
                    desired: prepared.desired.clone(),
                    within_s: gate.within_s,
                };
                self.sites.entry(stand.target).or_default().gates.push(gate);
            }
        }
    }

    /// Checks that the steps exist which others wait for. Steps of another remediation may be named
    /// with `/`, but not from a module.
    fn references(&self, home: &str, steps: &Steps<'_, '_>, across: bool, cx: &mut Cx<'_, '_>) {
        for step in &steps.list {
            for reference in &step.after {
                self.reference(home, steps, *reference, across, cx);
            }
            for reference in &step.on_change {
                if reference.text.contains('/') {
                    cx.error(
                        codes::GRAPH_UNKNOWN_STEP,
                        reference.span,
                        "`on_change` names steps of its own remediation only",
                    )
                    .help = Some("`after` may name a step of another one".into());
                } else {
                    self.reference(home, steps, *reference, across, cx);
                }
            }
        }
    }

    fn reference(
        &self,
        home: &str,
        steps: &Steps<'_, '_>,
        reference: Reference<'_>,
        across: bool,
        cx: &mut Cx<'_, '_>,
    ) {
        let (home, steps, name) = match reference.text.split_once('/') {
            None => (home, Some(steps), reference.text),
            Some((other, name)) if across => {
                let found = self.sources.remediations.values().find(|r| r.name.as_str() == other);
                (other, found.map(|r| &r.steps), name)
            }
            Some((_, name)) => (home, None, name),
        };
        let is_broken = match steps {
            Some(steps) => steps.broken.contains(&name),
            None => across && !self.sources.complete.remediations,
        };
        let list: &[Step<'_, '_>] = steps.map(|s| s.list.as_slice()).unwrap_or_default();
        if is_broken || steps.is_some_and(|s| s.has(name)) {
            return;
        }
        let help = match steps {
            None if !across => "a module names its own steps only".to_owned(),
            None => "there is no such remediation".to_owned(),
            Some(_) => format!("`{home}` has no step of this name"),
        };
        cx.misspelt(
            codes::GRAPH_UNKNOWN_STEP,
            reference.span,
            format!("there is no step `{}`", fields::short(reference.text)),
            closest(name, list.iter().map(|s| s.name.as_str())),
            Some(help),
        );
    }
}

fn seen<'t>(name: &'t TargetName, target: &'t inventory::Target) -> expression::Target<'t> {
    expression::Target {
        name,
        environment: &target.environment,
        labels: &target.labels,
        variables: &target.variables,
        groups: &target.groups,
        broken: &target.broken,
    }
}
