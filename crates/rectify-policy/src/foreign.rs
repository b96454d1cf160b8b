//! Bundles in the style of conftest: `package main` with rules named `deny`, `violation` and `warn`,
//! or these words and an underscore. They decide as ours do; what they are about is our input.

/// The package of such rules.
pub(crate) const PACKAGE: &str = "main";

/// What a rule of that package is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its members refuse.
    Deny,
    /// Its members are remarks.
    Warn,
}

/// What a rule of this name says to us; nothing if it is a helper.
pub(crate) fn role(name: &str) -> Option<Role> {
    let is =
        |word: &str| name.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    if is("deny") || is("violation") {
        Some(Role::Deny)
    } else if is("warn") {
        Some(Role::Warn)
    } else {
        None
    }
}

/// Whether a file is of that package, by its first line that is neither empty nor a comment.
pub(crate) fn is_foreign(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let rest = first.and_then(|line| line.strip_prefix("package"));
    rest.is_some_and(|rest| {
        rest.starts_with(char::is_whitespace)
            && rest.split('#').next().is_some_and(|name| name.trim() == PACKAGE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_roles() {
        for (name, expected) in [
            ("deny", Some(Role::Deny)),
            ("deny_root", Some(Role::Deny)),
            ("violation", Some(Role::Deny)),
            ("violation_a", Some(Role::Deny)),
            ("warn", Some(Role::Warn)),
            ("warn_x", Some(Role::Warn)),
            ("denyx", None),
            ("warning", None),
            ("exception", None),
        ] {
            assert_eq!(role(name), expected, "{name}");
        }
    }

    #[test]
    fn packages_are_told_apart() {
        assert!(is_foreign("# a comment\n\npackage main\n\ndeny[msg] { msg := \"x\" }\n"));
        assert!(is_foreign("package  main # why\n"));
        for text in ["package mainly\n", "package main.sub\n", "package rectify\n", "", "import main\n"] {
            assert!(!is_foreign(text), "{text}");
        }
    }
}
