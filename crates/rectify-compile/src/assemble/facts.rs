//! Which facts the sources ask for, before any is read; and which steps they decided.

use super::Gather;
use crate::{
    document::{
        remediation::Remediation,
        step::{Act, Steps},
    },
    expression::{Sees, facts::Used},
    property,
};
use rectify_base::{Address, ModuleName, TargetName};
use std::collections::BTreeSet;

impl<'a, 't: 'a, 's: 'a> Gather<'a, 't, 's, '_> {
    /// The groups that a remediation names, also in modules and templates. What is named counts, whether
    /// it will be evaluated or not: which of it will be may depend on facts.
    pub(super) fn groups_asked(&mut self, remediation: &Remediation<'_, '_>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        self.groups_of_steps(&remediation.steps, &mut seen, &mut found);
        for gate in &remediation.gates {
            self.groups_of(&gate.call.value, false, &mut found);
        }
        found
    }

    fn groups_of_steps(
        &mut self,
        steps: &Steps<'_, '_>,
        seen: &mut BTreeSet<&'a ModuleName>,
        found: &mut BTreeSet<String>,
    ) {
        for step in &steps.list {
            if let Some(node) = step.when {
                self.groups_of(node, true, found);
            }
            if let Some(entry) = step.for_each {
                self.groups_of(&entry.value, false, found);
            }
            match &step.act {
                Act::Type(call) => self.groups_of(&call.value, false, found),
                Act::Use(call) => {
                    call.with.iter().for_each(|entry| self.groups_of(&entry.value, false, found));
                    let Some(module) = self.module(call).filter(|module| seen.insert(&module.name)) else {
                        continue;
                    };
                    self.groups_of_steps(&module.steps, seen, found);
                    module.outputs.iter().for_each(|entry| self.groups_of(&entry.value, false, found));
                }
            }
        }
    }

    fn groups_of(&mut self, node: &crate::tree::Node<'_>, whole: bool, found: &mut BTreeSet<String>) {
        let beside = self.engine.beside.clone();
        let engine = &mut self.engine;
        property::expressions(node, whole, &beside, &mut |expression| {
            engine.groups_asked(expression, Sees::Each, found);
        });
    }

    /// Notes the facts that decided a step or gate.
    pub(super) fn decide(&mut self, target: &'a TargetName, address: &Address, used: &Used) {
        if used.is_empty() {
            return;
        }
        let decided = self.decided.entry(target).or_default();
        for (fact, only_whether) in used {
            let (all, decides) = decided.entry(fact.clone()).or_insert((true, BTreeSet::new()));
            *all &= only_whether;
            decides.insert(address.clone());
        }
    }
}
