//! JSON Schema of comparisons, see [`rectify_base::schema`].

use crate::compare::Comparison;
use rectify_base::schema::{Form, Named, document};

/// All of them.
#[must_use]
pub fn schemas() -> Vec<Named> {
    vec![("comparison", document::<Comparison>("Rectify comparison of two plans", Form::Canonical))]
}
