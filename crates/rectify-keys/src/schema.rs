//! JSON Schema of the trust file, see [`rectify_base::schema`].

use crate::trust::wire::Wire;
use rectify_base::schema::{Form, Named, document};

/// All of them.
#[must_use]
pub fn schemas() -> Vec<Named> {
    vec![("trust", document::<Wire>("Rectify trust file", Form::Written))]
}
