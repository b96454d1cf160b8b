//! JSON Schema of the planning report, see [`rectify_base::schema`].

use crate::Report;
use rectify_base::schema::{Form, Named, document};

/// All of them.
#[must_use]
pub fn schemas() -> Vec<Named> {
    vec![("report", document::<Report>("Rectify planning report", Form::Canonical))]
}
