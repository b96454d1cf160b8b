//! Calls of modules: the steps of the module as if they were written here, with parameters of their own.

use super::{
    Gather, Waits,
    unfold::{Frame, Stand},
};
use crate::{
    codes,
    document::{
        module::Module,
        parameter::Definition,
        step::{Act, Step, Steps, Use},
    },
    expression::{
        Each, Parameters,
        facts::{Used, merge},
    },
    fields, property,
    report::{Cx, Report},
    schema::Shape,
    secrets,
    suggest::closest,
};
use petgraph::{
    algo::kosaraju_scc,
    graph::{DiGraph, NodeIndex},
};
use rectify_base::{Label, ModuleName, limits::CALLS_MAX};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// How outputs are read: nothing is expected.
static ANY: Value = Value::Bool(true);

/// Where the steps of a module stand once it is called.
pub(super) struct Inside<'a> {
    pub base: Rc<str>,
    pub outer: Rc<Waits<'a>>,
    /// The facts that decided the call.
    pub decided: Used,
}

impl<'a, 't: 'a, 's: 'a> Gather<'a, 't, 's, '_> {
    /// Checks the modules by themselves, whether they are called or not.
    pub(super) fn modules(&mut self, report: &mut Report) {
        let modules = self.sources.modules;
        for (name, module) in modules {
            let cx = &mut Cx::new(module.file, report);
            self.references(name.as_str(), &module.steps, false, cx);
            self.calls(&module.steps, cx);
            let mut parameters = Parameters { unknown: module.parameters.unknown, ..Parameters::default() };
            parameters.values =
                module.parameters.known.keys().map(|name| (name.clone(), Value::Null)).collect();
            parameters.secret = hidden(module);
            let frame =
                Frame { file: module.file, steps: &module.steps, base: "".into(), outer: None, depth: 0 };
            for step in &module.steps.list {
                self.step(&frame, step, &mut [], report);
                self.look_over(module.file, step, &parameters, report);
            }
        }
        self.circles(report);
    }

    /// Checks what calls say without regard to values: the module, and the names of its parameters.
    pub(super) fn calls(&self, steps: &Steps<'_, '_>, cx: &mut Cx<'_, '_>) {
        for step in &steps.list {
            let Act::Use(call) = &step.act else { continue };
            let Some(module) = self.module(call) else {
                if self.sources.complete.modules {
                    let names = self.sources.modules.keys().map(ModuleName::as_str);
                    cx.misspelt(
                        codes::MODULE_UNKNOWN,
                        call.span,
                        format!("there is no module `{}`", fields::short(call.module)),
                        closest(call.module, names),
                        Some("modules are in `modules/*.yaml`".into()),
                    );
                }
                continue;
            };
            let definitions = &module.parameters;
            if definitions.unknown {
                continue;
            }
            let mut meant = BTreeSet::new();
            for entry in call.with {
                let name = entry.key.as_ref();
                if definitions.known.contains_key(name) {
                    continue;
                }
                let names: Vec<&str> = definitions.known.keys().map(String::as_str).collect();
                let is_given = |n: &&str| call.with.iter().any(|e| e.key == **n);
                let candidate = closest(name, names.iter().copied().filter(|n| !is_given(n)));
                meant.extend(candidate);
                cx.misspelt(
                    codes::MODULE_ARGUMENT,
                    entry.key_span,
                    format!("the module `{}` has no parameter `{}`", module.name, fields::short(name)),
                    candidate,
                    Some(format!("it has {}", fields::list(&names))),
                );
            }
            for (name, definition) in &definitions.known {
                let given = call.with.iter().any(|e| e.key == name.as_str()) || meant.contains(name.as_str());
                if let Some(definition) = definition
                    && definition.default.is_none()
                    && !given
                {
                    let message = format!("the module `{}` needs the parameter `{name}`", module.name);
                    let diagnostic = cx.error(codes::MODULE_ARGUMENT, call.span, message);
                    let at = definition.span.range();
                    diagnostic.labels.push(Label {
                        file: module.file.into(),
                        start: at.start,
                        end: at.end,
                        text: "has no `default`".into(),
                    });
                    diagnostic.help = Some(format!("give it under `with`: `{name}: …`"));
                }
            }
        }
    }

    /// Refuses modules that call each other in a circle: such a call would never end.
    fn circles(&self, report: &mut Report) {
        let modules: Vec<&Module<'t, 's>> = self.sources.modules.values().collect();
        let index = |name: &ModuleName| modules.binary_search_by(|m| m.name.cmp(name)).ok();
        let mut graph: DiGraph<(), ()> = DiGraph::new();
        let nodes: Vec<NodeIndex> = modules.iter().map(|_| graph.add_node(())).collect();
        for (from, module) in nodes.iter().zip(&modules) {
            let called = module.steps.calls().filter_map(|(_, call)| self.module(call));
            for to in called.filter_map(|m| nodes.get(index(&m.name)?)) {
                graph.update_edge(*from, *to, ());
            }
        }
        for mut circle in kosaraju_scc(&graph) {
            circle.sort();
            let members: Vec<&&Module<'_, '_>> =
                circle.iter().filter_map(|n| modules.get(n.index())).collect();
            let Some(first) = members.first() else { continue };
            let back = first.steps.calls().find(|(_, call)| {
                self.module(call).is_some_and(|next| members.iter().any(|m| m.name == next.name))
            });
            let Some((_, call)) = back else { continue };
            let names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
            let message = match names.as_slice() {
                [one] => format!("the module `{one}` calls itself"),
                several => format!("the modules {} call each other in a circle", fields::list(several)),
            };
            Cx::new(first.file, report).error(codes::MODULE_NESTING, call.span, message).help =
                Some("remove one of these calls".into());
        }
    }

    pub(super) fn module(&self, call: &Use<'_, '_>) -> Option<&'a Module<'t, 's>> {
        self.sources.modules.get(&call.module.parse::<ModuleName>().ok()?)
    }

    /// Takes the steps of a module on a target. Whether any of them is taken; absent if one is wrong.
    pub(super) fn call(
        &mut self,
        frame: &Frame<'a, 't, 's>,
        (step, call): (&'a Step<'t, 's>, &'a Use<'t, 's>),
        stand: &mut Stand<'a>,
        element: Option<&Each>,
        inside: Inside<'a>,
        report: &mut Report,
    ) -> Option<bool> {
        let module = self.module(call)?;
        if frame.depth >= CALLS_MAX {
            let message = format!("modules are nested deeper than {CALLS_MAX}");
            Cx::new(frame.file, report).error(codes::MODULE_NESTING, call.span, message).help =
                Some("call the inner module from the remediation".into());
            return None;
        }
        let before = report.len();
        let parameters = self.arguments(frame, call, module, stand, element, report);
        if report.len() > before {
            return None;
        }
        let inner = Frame {
            file: module.file,
            steps: &module.steps,
            base: inside.base,
            outer: Some(inside.outer),
            depth: frame.depth + 1,
        };
        let mut decided = inside.decided;
        merge(&mut decided, &self.engine.take_used());
        let mut stands = [Stand::new(stand.target, Rc::new(parameters)).below(decided)];
        let count = |gather: &Self| gather.sites.get(stand.target).map_or(0, |site| site.items.len());
        let items = count(self);
        for step in &module.steps.list {
            self.step(&inner, step, &mut stands, report);
        }
        if report.len() > before {
            let at = step.span.range();
            let file = frame.file.to_owned();
            let label = Label { file, start: at.start, end: at.end, text: "called here".into() };
            report.add_label(before, &label);
            return None;
        }
        Some(count(self) > items)
    }

    /// The parameters of a module with the values that a call gives.
    fn arguments(
        &mut self,
        frame: &Frame<'a, 't, 's>,
        call: &Use<'_, '_>,
        module: &Module<'_, '_>,
        stand: &mut Stand<'a>,
        element: Option<&Each>,
        report: &mut Report,
    ) -> Parameters {
        let source = self.sources.texts.get(frame.file).copied().unwrap_or("");
        let mut parameters = Parameters { unknown: module.parameters.unknown, ..Parameters::default() };
        parameters.secret = hidden(module);
        let given: BTreeMap<&str, _> = call.with.iter().map(|e| (e.key.as_ref(), e)).collect();
        for (name, definition) in &module.parameters.known {
            let value = definition.as_ref().and_then(|definition| {
                let Some(entry) = given.get(name.as_str()) else { return definition.default.clone() };
                let node = &entry.value;
                let asks = node.has_expression();
                let scope =
                    if asks { Some(self.scope(frame, stand, element, (node, false), report)?) } else { None };
                let evaluation = scope.as_deref().map(|scope| (&mut self.engine, scope));
                let cx = &mut Cx::new(frame.file, report);
                let value = property::value(node, Shape::of(&definition.shape()), source, evaluation, cx)?;
                let Some(why) = definition.refuses(&value) else { return Some(value) };
                let at = definition.span.range();
                let message = format!("the value of `{name}` for the module `{}` {why}", module.name);
                let diagnostic = cx.error(codes::MODULE_ARGUMENT, node.span, message);
                diagnostic.help.clone_from(&definition.description);
                diagnostic.labels.push(Label {
                    file: module.file.into(),
                    start: at.start,
                    end: at.end,
                    text: "described here".into(),
                });
                None
            });
            if value.is_none() {
                parameters.broken.insert(name.clone());
            }
            parameters.values.insert(name.clone(), value.unwrap_or_default());
        }
        parameters
    }
    /// Finds out what calls tell, as far as that is asked.
    pub(super) fn outputs(
        &mut self,
        frame: &Frame<'a, 't, 's>,
        stand: &mut Stand<'a>,
        asked: &BTreeSet<String>,
        report: &mut Report,
    ) -> Option<()> {
        for name in asked {
            let found = frame.steps.calls().find(|(step, _)| step.name.as_str() == name);
            let Some((step, call)) = found.filter(|_| !stand.outputs.contains_key(name)) else { continue };
            if let Some(start) = stand.asking.iter().position(|asking| asking == name) {
                let circle = stand.asking.iter().skip(start);
                // The same one, wherever the circle is entered.
                let first = frame.steps.calls().filter(|(s, _)| circle.clone().any(|n| n == s.name.as_str()));
                let (first, _) = first.min_by_key(|(s, _)| &s.name).unwrap_or((step, call));
                let message = format!("what the call `{}` is given needs what it tells", first.name);
                Cx::new(frame.file, report).error(codes::MODULE_NESTING, first.span, message).help =
                    Some("give it something else than `outputs` that come back to it".into());
                return None;
            }
            stand.asking.push(name.clone());
            let before = self.engine.take_used();
            let told = self.tell(frame, (step, call), stand, report);
            let decided = self.engine.take_used();
            self.engine.add_used(&before);
            stand.asking.pop();
            stand.outputs.insert(name.clone(), told?);
            stand.outputs_decided.insert(name.clone(), decided);
            stand.scope = None;
        }
        for decided in asked.iter().filter_map(|name| stand.outputs_decided.get(name)) {
            self.engine.add_used(decided);
        }
        Some(())
    }

    /// What one call tells: nothing if it is left out here; by key if there are several.
    fn tell(
        &mut self,
        frame: &Frame<'a, 't, 's>,
        (step, call): (&'a Step<'t, 's>, &'a Use<'t, 's>),
        stand: &mut Stand<'a>,
        report: &mut Report,
    ) -> Option<Option<Value>> {
        let module = self.module(call).filter(|_| frame.depth < CALLS_MAX)?;
        let elements = match step.for_each {
            None => vec![None],
            Some(entry) => self.elements(frame, entry, stand, report)?.into_iter().map(Some).collect(),
        };
        let mut all = Map::new();
        for element in &elements {
            let element = element.as_ref();
            self.count(frame, step, report)?;
            if let Some(node) = step.when
                && !self.condition(frame, node, stand, element, report)?
            {
                continue;
            }
            let before = report.len();
            let parameters = self.arguments(frame, call, module, stand, element, report);
            if report.len() > before {
                return None;
            }
            let inner = Frame {
                file: module.file,
                steps: &module.steps,
                base: "".into(),
                outer: None,
                depth: frame.depth + 1,
            };
            let mut within = Stand::new(stand.target, Rc::new(parameters));
            let source = self.sources.texts.get(module.file).copied().unwrap_or("");
            let mut told = Map::new();
            for entry in &module.outputs {
                let node = &entry.value;
                let asks = node.has_expression();
                let scope = if asks {
                    Some(self.scope(&inner, &mut within, None, (node, false), report)?)
                } else {
                    None
                };
                let evaluation = scope.as_deref().map(|scope| (&mut self.engine, scope));
                let cx = &mut Cx::new(module.file, report);
                let value = property::value(node, Shape::of(&ANY), source, evaluation, cx)?;
                if secrets::holds(&value) {
                    let message = format!("the output `{}` holds a secret", fields::short(&entry.key));
                    cx.error(codes::EXPR_SECRET, node.span, message).help =
                        Some("name the secret where it is needed, as `${{ secrets.NAME }}`".into());
                    return None;
                }
                told.insert(entry.key.to_string(), value);
            }
            match element {
                None => return Some(Some(Value::Object(told))),
                Some(element) => {
                    all.insert(element.key.clone(), Value::Object(told));
                }
            }
        }
        Some(step.for_each.map(|_| Value::Object(all)))
    }
}

/// The parameters of a module that are secrets.
fn hidden(module: &Module<'_, '_>) -> BTreeSet<String> {
    let all = module.parameters.known.iter();
    all.filter(|(_, d)| d.as_ref().is_some_and(Definition::is_secret)).map(|(name, _)| name.clone()).collect()
}
