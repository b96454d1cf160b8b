//! `explain`, `completions`, `man` and `inventory`.

use super::project::out;
use crate::{
    arguments::{Arguments, Inventory},
    exit,
    failure::Failure,
    pages::PAGES,
    say::say,
    words::count,
};
use clap::CommandFactory;
use rectify_base::TargetName;
use rectify_engine::{Engine, EngineError, Providers, identity, validate::validate};
use std::path::Path;

/// `explain`.
pub fn explain(code: Option<&str>) -> Result<u8, Failure> {
    match code {
        None => {
            let list: String =
                PAGES.iter().map(|(code, page)| format!("{code:<32}  {}\n", summary(page))).collect();
            out(list.as_bytes())?;
        }
        Some(code) => match PAGES.iter().find(|(name, _)| *name == code) {
            Some((_, page)) => out(page.as_bytes())?,
            None => {
                let close = rectify_compile::closest(code, PAGES.iter().map(|(name, _)| *name));
                let close = close.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
                return Err(Failure::usage(format!(
                    "there is no code `{code}`; {close}`rectify explain` lists them"
                )));
            }
        },
    }
    Ok(exit::DONE)
}

/// `completions`.
pub fn completions(shell: clap_complete::Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "rectify", &mut script);
    out(&script)?;
    Ok(exit::DONE)
}

/// `man`.
pub fn man(directory: &Path) -> Result<u8, Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::plain(format!("cannot write {}: {error}", path.display()))
    };
    let pages = crate::manual::pages().map_err(|error| failed(directory, error))?;
    std::fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    for (name, page) in &pages {
        let path = directory.join(name);
        std::fs::write(&path, page).map_err(|error| failed(&path, error))?;
    }
    say!("wrote {} to {}", count(pages.len() as u64, "page"), directory.display());
    Ok(exit::DONE)
}

fn summary(page: &str) -> String {
    page.split("\n\n").nth(1).unwrap_or_default().replace('\n', " ")
}

/// `inventory`.
pub fn inventory(engine: &Engine, directory: &Path, command: Inventory) -> Result<u8, Failure> {
    let project = rectify_engine::project::Project::read(directory)?;
    let providers = Providers::of_project(engine, &project)?;
    let (manifests, locked) = (providers.manifests(), providers.locked());
    let (files, manifests) = (&project.files, &manifests);
    let input = rectify_engine::compiler::Input { files, manifests, locked: &locked, select: None };
    let output = rectify_engine::compiler::compile(&input);
    match command {
        Inventory::List => {
            validate(engine, directory, None)?;
            let text: String = output
                .connections
                .iter()
                .map(|(name, connection)| match identity::root_of(connection, directory) {
                    None => format!("{name}  this machine\n"),
                    Some(root) => format!("{name}  {}\n", root.display()),
                })
                .collect();
            out(text.as_bytes())?;
        }
        Inventory::Adopt { target } => {
            let target = TargetName::new(target).map_err(|e| Failure::usage(e.to_string()))?;
            let connection = output
                .connections
                .get(&target)
                .ok_or_else(|| EngineError::UnknownTarget { target: target.clone() })?;
            let path = identity::adopt(&target, connection, directory)?;
            say!("{target} is now told apart by {}", path.display());
        }
    }
    Ok(exit::DONE)
}
