//! The type that a step or gate names.

use super::Gather;
use crate::{codes, fields, report::Cx, schema::Type, suggest::closest, tree::Entry};
use rectify_base::TypeName;
use rectify_model::grade::TypeKind;

/// Where a type stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Step,
    Gate,
}

impl<'a, 'm> Gather<'a, '_, '_, 'm> {
    /// The type that a step or gate names, if it may stand there.
    pub(super) fn find_type(
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
        if ty.facts.kind == TypeKind::Fact {
            let (code, what) = match role {
                Role::Step => (codes::REMEDIATION_PROBE_STEP, "a step"),
                Role::Gate => (codes::REMEDIATION_GATE_TYPE, "a probe"),
            };
            cx.error(code, call.key_span, format!("`{name}` tells facts, so it cannot be {what}")).help =
                Some(format!("ask for it in an expression, such as `when: has({name})`"));
            return None;
        }
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
}
