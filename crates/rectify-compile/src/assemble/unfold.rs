//! From a step as written to the steps of each target: left out, taken once, or once for each element.

use super::{Gather, Placed, Waits, call::Inside, seen, types::Role};
use crate::{
    LeftOut, WhyLeftOut, codes,
    document::{
        remediation::Remediation,
        step::{Act, Step, Steps, Use},
    },
    expression::{
        Each, Inputs, Parameters, Scope, Sees,
        facts::{Used, merge},
    },
    fields::short,
    graph::{Item, Prepared, touch},
    limits::{ELEMENTS_MAX, GRAPH_NODES_MAX},
    property,
    report::{Cx, Report},
    schema::{Shape, Type},
    secrets,
    tree::{Content, Entry, Node},
};
use rectify_base::{Address, TargetName, TypeName, limits::KEY_MAX_BYTES, names::is_key};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::LazyLock,
};

/// How the elements of a literal `for_each` are read: those of a list are texts.
static ELEMENTS: LazyLock<Value> =
    LazyLock::new(|| json!({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "object"}]}));

/// Where steps stand: in a remediation, or in a module that is called.
pub(super) struct Frame<'a, 't, 's> {
    pub file: &'a str,
    /// The steps that stand here.
    pub steps: &'a Steps<'t, 's>,
    /// What stands before their names in addresses.
    pub base: Rc<str>,
    /// What the call waits for.
    pub outer: Option<Rc<Waits<'a>>>,
    /// How many calls lead here.
    pub depth: usize,
}

impl<'a, 't, 's> Frame<'a, 't, 's> {
    pub fn of(remediation: &'a Remediation<'t, 's>) -> Self {
        let base = format!("{}/", remediation.name).into();
        Self { file: remediation.file, steps: &remediation.steps, base, outer: None, depth: 0 }
    }
}

/// What a step does, looked up.
enum Doing<'a, 't, 's, 'm> {
    Type(&'a Entry<'s>, &'a TypeName, &'a Type<'m>),
    Call(&'a Use<'t, 's>),
}

/// A target, with what the steps at hand see there.
pub(super) struct Stand<'a> {
    pub target: &'a TargetName,
    parameters: Rc<Parameters>,
    /// Made when the first expression asks.
    pub(super) scope: Option<Rc<Scope>>,
    /// What calls tell, as far as an expression asked; nothing if the call is left out.
    pub(super) outputs: BTreeMap<String, Option<Value>>,
    /// The facts that decided what they tell.
    pub(super) outputs_decided: BTreeMap<String, Used>,
    /// The calls of which this is being found out.
    pub(super) asking: Vec<String>,
    /// The facts that decided that the steps stand here, and with which parameters.
    decided: Used,
}

impl<'a> Stand<'a> {
    pub fn new(target: &'a TargetName, parameters: Rc<Parameters>) -> Self {
        Self {
            target,
            parameters,
            scope: None,
            outputs: BTreeMap::new(),
            outputs_decided: BTreeMap::new(),
            asking: Vec::new(),
            decided: Used::new(),
        }
    }

    /// In a call that these facts decided.
    pub fn below(self, decided: Used) -> Self {
        Self { decided, ..self }
    }
}

impl<'a, 't: 'a, 's: 'a, 'm> Gather<'a, 't, 's, 'm> {
    /// Takes a step on each target, until it is wrong on one.
    pub(super) fn step(
        &mut self,
        frame: &Frame<'a, 't, 's>,
        step: &'a Step<'t, 's>,
        stands: &mut [Stand<'a>],
        report: &mut Report,
    ) {
        let act = match &step.act {
            Act::Use(call) => Doing::Call(call),
            Act::Type(call) => {
                let Some((name, ty)) = self.find_type(call, Role::Step, &mut Cx::new(frame.file, report))
                else {
                    return;
                };
                // What is literal is wrong or right before anything is selected.
                let literal = !call.value.has_expression();
                if literal && self.literal(frame, call, ty, report).is_none() {
                    return;
                }
                Doing::Type(call, name, ty)
            }
        };
        let mut taken = false;
        for stand in stands.iter_mut() {
            let before = report.len();
            match self.step_on(frame, step, &act, stand, report) {
                Some(here) => taken |= here,
                None if report.len() > before => return,
                // It waits for facts that were not read yet.
                None => {
                    taken = false;
                    break;
                }
            }
        }
        if !taken && let Some(stand) = stands.first() {
            self.look_over(frame.file, step, &stand.parameters, report);
        }
    }

    /// Finds what is wrong with the expressions of a step that is taken nowhere, as far as no value is
    /// needed for it.
    pub(super) fn look_over(
        &mut self,
        file: &'a str,
        step: &Step<'_, '_>,
        parameters: &Parameters,
        report: &mut Report,
    ) {
        let source = self.sources.texts.get(file).copied().unwrap_or("");
        let sees = if step.for_each.is_some() { Sees::Each } else { Sees::All };
        let cx = &mut Cx::new(file, report);
        let nodes = match &step.act {
            Act::Type(call) => std::slice::from_ref(*call),
            Act::Use(call) => call.with,
        };
        for entry in nodes {
            property::look_over(&entry.value, source, &mut self.engine, sees, parameters, cx);
        }
        if let Some(entry) = step.for_each {
            property::look_over(&entry.value, source, &mut self.engine, Sees::All, parameters, cx);
        }
        if let Some(node) = step.when
            && let Content::Scalar(scalar) = &node.content
            && let Err(problem) = self.engine.check(&scalar.text, sees, parameters)
        {
            let at = property::place(&problem, node, &scalar.text, &scalar.text, 0, source);
            problem.report(at, cx);
        }
    }

    /// Whether the step is taken on a target; absent if it is wrong.
    fn step_on(
        &mut self,
        frame: &Frame<'a, 't, 's>,
        step: &'a Step<'t, 's>,
        act: &Doing<'a, 't, 's, 'm>,
        stand: &mut Stand<'a>,
        report: &mut Report,
    ) -> Option<bool> {
        drop(self.engine.take_used());
        let elements = match step.for_each {
            None => vec![None],
            Some(entry) => self.elements(frame, entry, stand, report)?.into_iter().map(Some).collect(),
        };
        let mut decided = stand.decided.clone();
        merge(&mut decided, &self.engine.take_used());
        let waits = Waits {
            base: Rc::clone(&frame.base),
            after: &step.after,
            on_change: &step.on_change,
            outer: frame.outer.clone(),
        };
        let declared = format!("{}{}", frame.base, step.name);
        let (mut taken, mut why) = (false, WhyLeftOut::NoElements);
        for element in &elements {
            let element = element.as_ref();
            self.count(frame, step, report)?;
            let text = match element {
                None => declared.clone(),
                Some(element) => format!("{declared}[\"{}\"]", element.key),
            };
            let mut decided = decided.clone();
            if let Some(node) = step.when {
                let wanted = self.condition(frame, node, stand, element, report)?;
                merge(&mut decided, &self.engine.take_used());
                if !wanted {
                    self.decide(stand.target, &Address::new(text).ok()?, &decided);
                    why = WhyLeftOut::Condition;
                    continue;
                }
            }
            let (call, type_name, ty) = match act {
                Doing::Type(call, name, ty) => (*call, *name, *ty),
                Doing::Call(call) => {
                    let outer = Rc::new(waits.clone());
                    let inside = Inside { base: format!("{text}/").into(), outer, decided };
                    taken |= self.call(frame, (step, call), stand, element, inside, report)?;
                    continue;
                }
            };
            let prepared = self.prepare(frame, call, ty, stand, element, report)?;
            let address = Address::new(text).ok()?;
            merge(&mut decided, &self.engine.take_used());
            self.decide(stand.target, &address, &decided);
            let item = Item { address, file: frame.file, span: step.span, type_name, prepared };
            let site = self.sites.entry(stand.target).or_default();
            site.items.push(Placed { item, name: &step.name, waits: waits.clone() });
            taken = true;
        }
        if !taken {
            let address = Address::new(declared.as_str()).ok()?;
            if elements.is_empty() {
                self.decide(stand.target, &address, &decided);
            }
            self.left_out.push(LeftOut { target: stand.target.clone(), address, why });
            self.sites.entry(stand.target).or_default().absent.insert(declared, waits);
        }
        Some(taken)
    }

    /// One more step is looked at, unless there are too many; that is said once.
    pub(super) fn count(
        &mut self,
        frame: &Frame<'a, 't, 's>,
        step: &Step<'_, '_>,
        report: &mut Report,
    ) -> Option<()> {
        self.looked_at += 1;
        if self.looked_at == GRAPH_NODES_MAX + 1 {
            let message = format!("the graph has more than {GRAPH_NODES_MAX} steps, over all targets");
            Cx::new(frame.file, report).error(codes::GRAPH_TOO_LARGE, step.span, message).help =
                Some("take fewer remediations or targets at once, or shorter lists in `for_each`".into());
        }
        (self.looked_at <= GRAPH_NODES_MAX).then_some(())
    }

    /// What the expressions of `node` see on a target, and in an element. `whole` says that the node is an
    /// expression itself.
    pub(super) fn scope(
        &mut self,
        frame: &Frame<'a, 't, 's>,
        stand: &mut Stand<'a>,
        element: Option<&Each>,
        (node, whole): (&Node<'_>, bool),
        report: &mut Report,
    ) -> Option<Rc<Scope>> {
        let calls: Vec<&str> = frame.steps.calls().map(|(step, _)| step.name.as_str()).collect();
        if !calls.is_empty() {
            let sees = if element.is_some() { Sees::Each } else { Sees::All };
            let mut asked = BTreeSet::new();
            property::outputs(node, whole, &mut self.engine, sees, &mut asked);
            self.outputs(frame, stand, &asked, report)?;
        }
        if element.is_none()
            && let Some(scope) = &stand.scope
        {
            return Some(Rc::clone(scope));
        }
        let target = self.sources.targets.get(stand.target)?;
        let inputs =
            Inputs { parameters: &stand.parameters, calls: &calls, outputs: &stand.outputs, each: element };
        let scope = Rc::new(self.engine.scope(seen(stand.target, target), Some(inputs)));
        if element.is_none() {
            stand.scope = Some(Rc::clone(&scope));
        }
        Some(scope)
    }

    pub(super) fn condition(
        &mut self,
        frame: &Frame<'a, 't, 's>,
        node: &Node<'_>,
        stand: &mut Stand<'a>,
        element: Option<&Each>,
        report: &mut Report,
    ) -> Option<bool> {
        let Content::Scalar(scalar) = &node.content else { return None };
        let text = scalar.text.as_ref();
        let scope = self.scope(frame, stand, element, (node, true), report)?;
        let cx = &mut Cx::new(frame.file, report);
        match self.engine.evaluate(text, &scope) {
            Ok(Value::Bool(wanted)) => Some(wanted),
            Ok(_) => {
                cx.error(codes::EXPR_NOT_BOOL, node.span, "a condition must be true or false").help =
                    Some("such as `target.environment == \"prod\"`".into());
                None
            }
            Err(problem) => {
                let source = self.sources.texts.get(frame.file).copied().unwrap_or("");
                problem.clone().report(property::place(&problem, node, text, text, 0, source), cx);
                None
            }
        }
    }

    /// What `for_each` goes through, in the order of the keys.
    pub(super) fn elements(
        &mut self,
        frame: &Frame<'a, 't, 's>,
        entry: &Entry<'_>,
        stand: &mut Stand<'a>,
        report: &mut Report,
    ) -> Option<Vec<Each>> {
        let node = &entry.value;
        let source = self.sources.texts.get(frame.file).copied().unwrap_or("");
        let asks = node.has_expression();
        let scope = if asks { Some(self.scope(frame, stand, None, (node, false), report)?) } else { None };
        let cx = &mut Cx::new(frame.file, report);
        let before = cx.count();
        let evaluation = scope.as_deref().map(|scope| (&mut self.engine, scope));
        let value = property::value(node, Shape::of(&ELEMENTS), source, evaluation, cx)?;
        if cx.count() > before {
            return None;
        }
        if secrets::holds(&value) {
            cx.error(codes::EXPR_SECRET, node.span, "`for_each` cannot go through secrets").help =
                Some("go through names, and use the secret in the step".into());
            return None;
        }
        let place = |at: usize, key: &str| match &node.content {
            Content::List(items) => items.get(at).map_or(node.span, |n| n.span),
            _ => node.child(key).map_or(node.span, |(span, _)| span),
        };
        let elements: Option<Vec<Each>> = match value {
            Value::Array(items) => items
                .into_iter()
                .map(|item| Some(Each { key: item.as_str()?.to_owned(), value: item }))
                .collect(),
            Value::Object(members) => {
                Some(members.into_iter().map(|(key, value)| Each { key, value }).collect())
            }
            _ => None,
        };
        let Some(mut elements) = elements else {
            cx.error(
                codes::REMEDIATION_FOR_EACH,
                node.span,
                "`for_each` takes a list of texts or a mapping",
            )
            .help =
                Some("such as `[core, web]`, `{core: {limit: 1}}`, or one expression for the whole".into());
            return None;
        };
        if elements.len() > ELEMENTS_MAX {
            let message = format!("`for_each` has {} elements, more than {ELEMENTS_MAX}", elements.len());
            cx.error(codes::GRAPH_TOO_LARGE, entry.key_span, message).help =
                Some("split the step, or write what is common in one file".into());
            return None;
        }
        let mut keys = BTreeSet::new();
        for (index, element) in elements.iter().enumerate() {
            let at = place(index, &element.key);
            if !is_key(&element.key) {
                let message = format!("`{}` cannot stand in an address", short(&element.key));
                cx.error(codes::REMEDIATION_FOR_EACH, at, message).help = Some(format!(
                    "expected 1 to {KEY_MAX_BYTES} printable ASCII characters without quotes, backslashes and \
                     backticks; a mapping may have such a text as a value"
                ));
            } else if !keys.insert(element.key.as_str()) {
                let message = format!("`{}` is there twice", short(&element.key));
                cx.error(codes::REMEDIATION_FOR_EACH, at, message).help = Some("remove one of them".into());
            }
        }
        elements.sort_by(|a, b| a.key.cmp(&b.key));
        (cx.count() == before).then_some(elements)
    }

    /// The properties of a step or gate on a target: read once if they are literal.
    pub(super) fn prepare(
        &mut self,
        frame: &Frame<'a, 't, 's>,
        call: &'a Entry<'s>,
        ty: &Type<'_>,
        stand: &mut Stand<'a>,
        element: Option<&Each>,
        report: &mut Report,
    ) -> Option<Rc<Prepared>> {
        let source = self.sources.texts.get(frame.file).copied().unwrap_or("");
        if call.value.has_expression() {
            let scope = self.scope(frame, stand, element, (&call.value, false), report)?;
            return one(call, ty, source, frame.file, Some((&mut self.engine, &scope)), report).map(Rc::new);
        }
        self.literal(frame, call, ty, report)
    }

    fn literal(
        &mut self,
        frame: &Frame<'a, 't, 's>,
        call: &Entry<'s>,
        ty: &Type<'_>,
        report: &mut Report,
    ) -> Option<Rc<Prepared>> {
        let source = self.sources.texts.get(frame.file).copied().unwrap_or("");
        let place = (frame.file, call.key_span.range().start);
        let read = || one(call, ty, source, frame.file, None, report).map(Rc::new);
        self.literal.entry(place).or_insert_with(read).clone()
    }
}

fn one(
    call: &Entry<'_>,
    ty: &Type<'_>,
    source: &str,
    file: &str,
    evaluation: property::Evaluation<'_, '_>,
    report: &mut Report,
) -> Option<Prepared> {
    let desired = property::read(call, ty, source, file, evaluation, report)?;
    let touches = touch::of(&desired, &ty.touches, call, &mut Cx::new(file, report))?;
    Some(Prepared { desired, touches })
}
