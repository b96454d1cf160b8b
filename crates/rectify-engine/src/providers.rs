//! Which providers there are, and how each is started.

use rectify_base::TypeName;
use rectify_host::Executable;
use rectify_protocol::Manifest;
use std::ffi::OsString;

/// A provider that can be started.
#[derive(Clone, Debug)]
pub struct Provider {
    /// What it can do.
    pub manifest: Manifest,
    /// Its program.
    pub program: Executable,
    /// What makes the program serve: `serve --stdio`, or `provider serve NAME` for a built-in.
    pub arguments: Vec<OsString>,
    /// `builtin:<name>@<version>`, or the digest of the executable.
    pub identity: String,
}

/// The providers of an engine. No two have a type in common.
#[derive(Clone, Debug, Default)]
pub struct Providers(Vec<Provider>);

impl Providers {
    /// Registers providers; of two with a type in common the first one serves it.
    #[must_use]
    pub fn new(providers: Vec<Provider>) -> Self {
        Self(providers)
    }

    /// The provider of a type.
    #[must_use]
    pub fn of_type(&self, name: &TypeName) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.manifest.descriptor(name).is_some())
    }

    /// All providers, in order of registration.
    #[must_use]
    pub fn all(&self) -> &[Provider] {
        &self.0
    }

    /// Their manifests.
    #[must_use]
    pub fn manifests(&self) -> Vec<Manifest> {
        self.0.iter().map(|provider| provider.manifest.clone()).collect()
    }
}
