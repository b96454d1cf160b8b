//! Stable error codes. A code is a short kebab-case name; `docs/errors/<code>.md` explains it.

use core::fmt;
use serde::{Serialize, Serializer};

/// A stable, documented error code, such as `yaml-duplicate-key`. Codes are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(&'static str);

impl Code {
    /// Names a code. Only [`codes!`](crate::codes) calls this, so that each code is registered.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The code as people type it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

/// Declares the codes of one crate, and `ALL`, the list of them that the front end collects.
///
/// ```
/// mod codes {
///     rectify_base::codes! {
///         /// Two keys of one mapping are equal.
///         YAML_DUPLICATE_KEY = "yaml-duplicate-key";
///     }
/// }
/// assert_eq!(codes::ALL.len(), 1);
/// ```
#[macro_export]
macro_rules! codes {
    ($( $(#[$doc:meta])* $name:ident = $text:literal; )*) => {
        $( $(#[$doc])* pub const $name: $crate::Code = $crate::Code::new($text); )*
        /// Every code of this crate.
        pub const ALL: &[$crate::Code] = &[$($name),*];
    };
}
