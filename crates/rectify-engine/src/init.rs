//! `init`: a project that works as it stands.

use crate::{EngineError, error::FileVerb, project::PROJECT_FILE};
use rectify_base::ProjectName;
use std::{
    fs,
    path::{Path, PathBuf},
};

const PROJECT: &str = "\
apiVersion: rectify/v1
kind: Project
metadata: {name: NAME}
# What may be done is decided by policy; `standard` comes with Rectify.
policies: [standard]
";

const INVENTORY: &str = "\
apiVersion: rectify/v1
kind: Inventory
targets:
  localhost:
    environment: dev
    labels: {role: workstation}
    connection: local
";

const REMEDIATION: &str = r#"apiVersion: rectify/v1
kind: Remediation
metadata: {name: login-banner}
because: {text: "Says who may log in, before anybody does"}
parameters:
  organisation: {type: string, default: Example}
targets: {select: target.labels.role == "workstation"}
steps:
  banner:
    file.content:
      path: /etc/issue.net
      content: |
        Property of ${{ params.organisation }}. Authorised users only.
      mode: "0644"
verify:
  - file.matches: {path: /etc/issue.net, pattern: Authorised users only}
"#;

const IGNORE: &str =
    "# The key of this project: never to be shared with who may only read the project.\n.rectify/\n";

/// Makes a project in a directory, which is made if need be. Existing files are never overwritten.
/// Returns the files that were written.
///
/// # Errors
/// When there is a project already, the directory's name cannot be a project's, or writing fails.
pub fn init(directory: &Path, name: Option<&ProjectName>) -> Result<Vec<PathBuf>, EngineError> {
    if directory.join(PROJECT_FILE).exists() {
        return Err(EngineError::ProjectExists { directory: directory.to_owned() });
    }
    let name = name.map_or_else(|| name_of(directory), |name| Ok(name.clone()))?;
    let files = [
        (PROJECT_FILE, PROJECT.replace("NAME", name.as_str())),
        ("inventory/local.yaml", INVENTORY.to_owned()),
        ("remediations/login-banner.yaml", REMEDIATION.to_owned()),
        (".gitignore", IGNORE.to_owned()),
    ];
    let mut written = Vec::new();
    for (name, text) in files {
        let path = directory.join(name);
        if path.exists() {
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| EngineError::file(FileVerb::Write, parent, e))?;
        }
        crate::files::replace(&path, text.as_bytes())?;
        written.push(path);
    }
    Ok(written)
}

fn name_of(directory: &Path) -> Result<ProjectName, EngineError> {
    let absolute =
        std::path::absolute(directory).map_err(|e| EngineError::file(FileVerb::Read, directory, e))?;
    let last = absolute.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let spelled: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    ProjectName::new(spelled.trim_matches('-'))
        .map_err(|e| EngineError::ProjectName { message: e.to_string() })
}
