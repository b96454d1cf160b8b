//! Providers of others: made into releases, locked, used in plan and apply, and refused where anything is
//! not as it was locked.

mod refused;
mod sdks;
mod tested;
mod used;

use rectify_base::{Digest, TypeName};
use rectify_protocol::{
    Manifest, VERSION,
    manifest::{FORMAT, ProtocolRange, TouchRule, TypeDescriptor},
};
use rectify_tests::{Scratch, remediation};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt};

const PROGRAM: &str = include_str!("motd.py");

/// A provider that keeps texts in files.
pub struct Motd {
    pub name: &'static str,
    pub version: &'static str,
    pub type_name: &'static str,
    pub type_version: u32,
    /// What its self-test ends with.
    pub self_test: u8,
}

impl Default for Motd {
    fn default() -> Self {
        Self { name: "acme", version: "1.0.0", type_name: "acme.motd", type_version: 1, self_test: 0 }
    }
}

impl Motd {
    pub fn manifest(&self) -> Manifest {
        let property = json!({"type": "string"});
        Manifest {
            format: FORMAT.into(),
            name: self.name.into(),
            version: self.version.into(),
            protocol: ProtocolRange { min: VERSION, max: VERSION },
            types: vec![TypeDescriptor {
                name: TypeName::new(self.type_name).unwrap(),
                version: self.type_version,
                kind: "resource".into(),
                summary: "Keeps a text in a file.".into(),
                schema: json!({
                    "type": "object",
                    "required": ["path", "text"],
                    "additionalProperties": false,
                    "properties": {"path": property, "text": property},
                }),
                volatile: Vec::new(),
                touches: vec![TouchRule {
                    property: "/path".into(),
                    kind: "path".into(),
                    access: "write".into(),
                }],
                prediction: "exact".into(),
                retry: "converge".into(),
                undo: "exact".into(),
                compare_and_swap: false,
                read_timeout_ms: 10_000,
                apply_timeout_ms: 10_000,
            }],
        }
    }

    /// Its script.
    pub fn program(&self) -> String {
        let bytes = self.manifest().to_bytes().unwrap();
        PROGRAM
            .replace("@MANIFEST@", std::str::from_utf8(&bytes).unwrap())
            .replace("@DIGEST@", &Digest::of_bytes(&bytes).to_string())
            .replace("@NAME@", self.name)
            .replace("@VERSION@", self.version)
            .replace("@SELFTEST@", &self.self_test.to_string())
    }

    /// Writes the script, and makes a release of it in the directory `out`; with a key, or unsigned.
    pub fn pack(&self, scratch: &Scratch, out: &str, key: Option<&str>) {
        scratch.write("src/motd.py", &self.program());
        fs::set_permissions(scratch.path("src/motd.py"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut arguments = vec!["provider", "pack", "src/motd.py", "--out", out];
        match key {
            Some(key) => arguments.extend(["--key", key, "--as", "acme@example.org"]),
            None => arguments.push("--unsigned"),
        }
        scratch.ok(&arguments);
    }
}

/// A project, a release of [`Motd`] in `release`, signed with `keys-acme`, and a remediation that uses it.
pub fn released() -> Scratch {
    let scratch = Scratch::new();
    scratch.trust(1);
    scratch.ok(&["keys", "new", "keys-acme"]);
    Motd::default().pack(&scratch, "release", Some("keys-acme"));
    greeting(&scratch, "hello");
    scratch
}

/// The same, locked.
pub fn locked() -> Scratch {
    let scratch = released();
    lock(&scratch, &["release"]);
    scratch
}

pub fn greeting(scratch: &Scratch, text: &str) {
    let steps = format!("  greet:\n    acme.motd: {{path: /etc/motd, text: {text}}}\n");
    scratch.write("project/remediations/greet.yaml", &remediation("greet", &steps));
}

pub fn lock(scratch: &Scratch, sources: &[&str]) -> String {
    let arguments = [&["-C", "project", "provider", "lock", "--yes"], sources].concat();
    scratch.ok(&arguments).stdout
}

/// The file of the store with the program or the manifest of the one locked provider.
pub fn stored(scratch: &Scratch, manifest: bool) -> String {
    let names = fs::read_dir(scratch.path("state/store")).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let name = names.find(|name| name.ends_with(".manifest.json") == manifest).unwrap();
    format!("state/store/{name}")
}

/// Changes one byte of a file, whatever its mode is.
pub fn flip(scratch: &Scratch, name: &str, at: usize) {
    let path = scratch.path(name);
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 1;
    let mode = fs::metadata(&path).unwrap().permissions();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, mode).unwrap();
}

/// What differs from call to call: digests, keys, scratch paths.
pub fn clean(scratch: &Scratch, text: &str) -> String {
    let mut clean = text.replace(&scratch.path("").display().to_string(), "SCRATCH/");
    for (before, name, length) in
        [("blake3:", "DIGEST", 64), ("sha256:", "DIGEST", 64), ("SHA256:", "KEY", 43)]
    {
        let mut from = 0;
        while let Some(at) = clean[from..].find(before).map(|at| from + at + before.len()) {
            if clean.len() >= at + length && clean[at..at + length].chars().all(|c| c != ' ' && c != '\n') {
                clean.replace_range(at..at + length, name);
            }
            from = at;
        }
    }
    clean
}
