//! `editor`: schemas of the project at hand, and where an editor finds them.

use crate::{
    exit,
    failure::Failure,
    say::{say, tell},
};
use rectify_compile::editor;
use rectify_engine::{Engine, Providers, files, project::Project};
use serde_json::json;
use std::{fs, path::Path};

/// Which files each schema is for.
const FILES: [(&str, &str); 4] = [
    ("project", "rectify.yaml"),
    ("inventory", "inventory/*.yaml"),
    ("remediation", "remediations/*.yaml"),
    ("module", "modules/*.yaml"),
];
/// Where they lie, below the directory of settings.
const SCHEMAS: &str = "schemas";

/// `editor`.
pub fn editor(engine: &Engine, project: &Path, directory: &Path) -> Result<u8, Failure> {
    let sources = Project::read(project)?;
    let providers = Providers::of_project(engine, &sources)?;
    let schemas = editor::of_project(&sources.files, &providers.manifests());
    let settings = project.join(directory);
    let below = settings.join(SCHEMAS);
    fs::create_dir_all(&below)
        .map_err(|e| Failure::plain(format!("cannot make {}: {e}", below.display())))?;
    let mut mapping = serde_json::Map::new();
    for (name, files_of) in FILES {
        let Some((_, schema)) = schemas.iter().find(|(known, _)| *known == name) else { continue };
        let file = format!("{name}.schema.json");
        let text = format!("{schema:#}\n");
        files::replace(&below.join(&file), text.as_bytes())?;
        mapping.insert(directory.join(SCHEMAS).join(file).display().to_string(), files_of.into());
    }
    say!("wrote {} schemas to {}", mapping.len(), below.display());
    let wanted = json!({"yaml.schemas": mapping});
    let path = settings.join("settings.json");
    if path.exists() {
        tell!("{} is there already; it needs:", path.display());
        tell!("{wanted:#}");
    } else {
        files::replace(&path, format!("{wanted:#}\n").as_bytes())?;
        say!("wrote {}", path.display());
    }
    Ok(exit::DONE)
}
