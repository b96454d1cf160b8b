//! `init`: a project that works as it stands, from one of several templates.

use crate::{EngineError, error::FileVerb, project::PROJECT_FILE};
use rectify_base::ProjectName;
use std::{
    fs,
    path::{Path, PathBuf},
};

const PROJECT: &str = include_str!("../templates/rectify.yaml");
const INVENTORY: &str = include_str!("../templates/inventory.yaml");
const IGNORE: &str = include_str!("../templates/gitignore");

/// A project to begin from. All have an inventory with this machine as `localhost`.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// Its name.
    pub name: &'static str,
    /// What its remediations do, in one line.
    pub summary: &'static str,
    /// Paths and texts, beside those that every project has.
    files: &'static [(&'static str, &'static str)],
}

/// The templates; the first is taken unless another is named.
pub const TEMPLATES: &[Template] = &[
    Template {
        name: "minimal",
        summary: "one file with a banner",
        files: &[(
            "remediations/login-banner.yaml",
            include_str!("../templates/minimal/remediations/login-banner.yaml"),
        )],
    },
    Template {
        name: "sshd",
        summary: "three lines of sshd_config, one after the other",
        files: &[("remediations/sshd.yaml", include_str!("../templates/sshd/remediations/sshd.yaml"))],
    },
    Template {
        name: "hardening",
        summary: "house rules with a module, `for_each` and `when`",
        files: &[
            ("modules/sysctl-file.yaml", include_str!("../templates/hardening/modules/sysctl-file.yaml")),
            ("remediations/baseline.yaml", include_str!("../templates/hardening/remediations/baseline.yaml")),
        ],
    },
    Template {
        name: "disk",
        summary: "bounds for the journal and rotated logs, with parameters",
        files: &[(
            "remediations/log-space.yaml",
            include_str!("../templates/disk/remediations/log-space.yaml"),
        )],
    },
];

/// What `init` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Initialised {
    /// Files that were written.
    pub written: Vec<PathBuf>,
    /// Files of the template that were there already, and were left as they are.
    pub kept: Vec<PathBuf>,
}

/// Makes a project in a directory, which is made if need be. Existing files are never overwritten.
///
/// # Errors
/// When there is a project already, the directory's name cannot be a project's, or writing fails.
pub fn init(
    directory: &Path,
    name: Option<&ProjectName>,
    template: &Template,
) -> Result<Initialised, EngineError> {
    if directory.join(PROJECT_FILE).exists() {
        return Err(EngineError::ProjectExists { directory: directory.to_owned() });
    }
    let name = name.map_or_else(|| name_of(directory), |name| Ok(name.clone()))?;
    let project = PROJECT.replace("NAME", name.as_str());
    let files = [(PROJECT_FILE, project.as_str()), ("inventory/local.yaml", INVENTORY)];
    let mut done = Initialised::default();
    for (name, text) in files.iter().chain(template.files).chain(&[(".gitignore", IGNORE)]) {
        let path = directory.join(name);
        // A link that leads nowhere is somebody's, too.
        if fs::symlink_metadata(&path).is_ok() {
            done.kept.push(path);
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| EngineError::file(FileVerb::Write, parent, e))?;
        }
        crate::files::replace(&path, text.as_bytes())?;
        done.written.push(path);
    }
    Ok(done)
}

fn name_of(directory: &Path) -> Result<ProjectName, EngineError> {
    let absolute =
        std::path::absolute(directory).map_err(|e| EngineError::file(FileVerb::Read, directory, e))?;
    let last = absolute.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let spelled: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    ProjectName::new(spelled.trim_matches('-'))
        .map_err(|e| EngineError::ProjectName { message: e.to_string() })
}
