//! What a new provider begins with: a name and a language in, files out. Pure: nothing is read or written.
//!
//! Nothing has to be fetched for what comes out, but for what Cargo fetches: the SDK is put beside it, as
//! it is in this release.

#[rustfmt::skip]
mod embedded;
mod rust;

use std::{fmt, str::FromStr};

/// A language that there is an SDK for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// Go, standard library only.
    Go,
    /// Python 3.8 or later, standard library only.
    Python,
    /// Rust.
    Rust,
}

impl Language {
    /// All of them, by name.
    pub const ALL: [Self; 3] = [Self::Go, Self::Python, Self::Rust];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Python => "python",
            Self::Rust => "rust",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Language {
    type Err = Problem;
    fn from_str(text: &str) -> Result<Self, Problem> {
        let found = Self::ALL.into_iter().find(|language| language.as_str() == text);
        found.ok_or_else(|| Problem::Language(text.chars().take(40).collect()))
    }
}

/// A file of a new provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where, relative to the provider's directory, `/` between parts.
    pub path: String,
    /// What is in it.
    pub text: String,
    /// Whether it can be executed.
    pub executable: bool,
}

/// Why there are no files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not a name.
    #[error(
        "`{0}` cannot be the name of a new provider: expected 1 to 32 of a-z, 0-9 and `_`, beginning with a letter"
    )]
    Name(String),
    /// Not a language.
    #[error("there is no SDK for `{0}`; there is one for go, python and rust")]
    Language(String),
}

/// Longest name, in bytes.
const NAME_MAX_BYTES: usize = 32;

/// The files of a new provider, by path.
///
/// # Errors
/// [`Problem::Name`]: the name becomes the first part of its types, and the name of a module.
pub fn project(language: Language, name: &str) -> Result<Vec<File>, Problem> {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if !plain || !begins || name.len() > NAME_MAX_BYTES {
        return Err(Problem::Name(name.chars().take(80).collect()));
    }
    let (templates, program) = match language {
        Language::Go => (GO, "main.go"),
        Language::Python => (PYTHON, "NAME.py"),
        Language::Rust => (RUST, "src/main.rs"),
    };
    let named = |text: &str| text.replace("NAME", name);
    let mut files: Vec<File> = templates
        .iter()
        .map(|(path, text)| File {
            path: named(path),
            text: named(text),
            executable: *path == program && language == Language::Python,
        })
        .collect();
    let plain = |path: String, text: &str| File { path, text: text.to_owned(), executable: false };
    match language {
        Language::Go => {
            files.extend(embedded::GO.iter().map(|(path, text)| plain(format!("sdk/{path}"), text)))
        }
        Language::Python => {
            files.extend(embedded::PYTHON.iter().map(|(path, text)| plain((*path).to_owned(), text)));
        }
        Language::Rust => {
            files.push(plain("Cargo.toml".to_owned(), &rust::manifest(name)));
            files.push(plain("Cargo.lock".to_owned(), rust::LOCK));
            files.push(plain(".gitignore".to_owned(), "/target\n"));
            files.push(plain("vendor/rustfmt.toml".to_owned(), rust::FORMAT));
            let vendored = embedded::RUST
                .iter()
                .map(|(path, text)| plain(format!("vendor/{path}"), &rust::vendored(path, text)));
            files.extend(vendored);
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

type Templates = &'static [(&'static str, &'static str)];

const GO: Templates = &[
    ("README.md", include_str!("../templates/go/README.md")),
    ("go.mod", include_str!("../templates/go/go.mod.template")),
    ("main.go", include_str!("../templates/go/main.go.template")),
    ("main_test.go", include_str!("../templates/go/main_test.go.template")),
];

const PYTHON: Templates = &[
    ("NAME.py", include_str!("../templates/python/provider.py")),
    ("README.md", include_str!("../templates/python/README.md")),
    ("test_NAME.py", include_str!("../templates/python/test_provider.py")),
];

const RUST: Templates = &[
    ("README.md", include_str!("../templates/rust/README.md")),
    ("src/main.rs", include_str!("../templates/rust/main.rs.template")),
    ("tests/provider.rs", include_str!("../templates/rust/test.rs.template")),
];
