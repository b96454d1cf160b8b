//! The manifest of a new provider in Rust: a workspace of its own, in which the SDK's crates lie as they
//! are here. What they take from our workspace is taken from it.

use crate::embedded;

/// Of our workspace.
const WORKSPACE: &str = include_str!("../../../Cargo.toml");

/// The versions of everything that is not ours, as they were tested. Cargo leaves out what it does not need.
pub const LOCK: &str = include_str!("../../../Cargo.lock");
/// How the SDK is formatted, so that `cargo fmt` leaves it as it is.
pub const FORMAT: &str = include_str!("../../../rustfmt.toml");
/// What a provider takes from our workspace itself, beside the SDK.
const DEPENDENCIES: [&str; 2] = ["schemars", "serde"];
/// What its tests take.
const OF_TESTS: [&str; 2] = ["serde_json", "tempfile"];

/// `Cargo.toml`.
pub fn manifest(name: &str) -> String {
    let list =
        |names: &[&str]| names.iter().map(|name| format!("{name}.workspace = true\n")).collect::<String>();
    let mut text = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\nrectify-sdk.workspace = true\n{}\n[dev-dependencies]\n{}\n\
         [workspace]\nmembers = [\"vendor/*\"]\n\n",
        list(&DEPENDENCIES),
        list(&OF_TESTS),
    );
    text.push_str(&section("[workspace.package]"));
    text.push_str("\n[workspace.dependencies]\n");
    let section = section("[workspace.dependencies]");
    for line in section.lines().skip(1) {
        let Some((dependency, _)) = line.split_once(" = ") else { continue };
        let ours = dependency.starts_with("rectify-");
        let path = format!("{dependency}/Cargo.toml");
        match ours {
            true if embedded::RUST.iter().any(|(known, _)| *known == path) => {
                text.push_str(&format!("{dependency} = {{ path = \"vendor/{dependency}\" }}\n"));
            }
            true => {}
            false if used(dependency) => text.push_str(&format!("{line}\n")),
            false => {}
        }
    }
    text.push_str("\n[workspace.lints.rust]\nunsafe_code = \"deny\"\n");
    text
}

/// A file of a vendored crate: of a manifest without what only its own tests need.
pub fn vendored(path: &str, text: &str) -> String {
    if !path.ends_with("/Cargo.toml") {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut keep = true;
    for line in text.lines() {
        if line.starts_with('[') {
            keep = !matches!(line, "[dev-dependencies]" | "[[bin]]" | "[[test]]" | "[[bench]]");
        }
        if keep {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Whether a vendored crate, or the provider, takes a dependency from the workspace.
fn used(dependency: &str) -> bool {
    let manifests = embedded::RUST.iter().filter(|(path, _)| path.ends_with("/Cargo.toml"));
    let manifests: Vec<String> = manifests.map(|(path, text)| vendored(path, text)).collect();
    let mut lines = manifests.iter().flat_map(|text| text.lines());
    DEPENDENCIES.iter().chain(&OF_TESTS).any(|own| *own == dependency)
        || lines.any(|line| {
            let rest = line.strip_prefix(dependency);
            rest.is_some_and(|rest| rest.starts_with(".workspace") || rest.starts_with(" = { workspace"))
        })
}

/// A section of our manifest, with its heading.
fn section(heading: &str) -> String {
    let from = WORKSPACE.find(heading).unwrap_or(WORKSPACE.len());
    let text = WORKSPACE.get(from..).unwrap_or_default();
    let end = text.get(1..).and_then(|rest| rest.find("\n[")).map_or(text.len(), |at| at + 2);
    text.get(..end).unwrap_or_default().trim_end().to_owned() + "\n"
}
