//! One function a command. They call the engine and write its answers.

mod ask;
mod auto;
mod diff;
mod editor;
mod graph;
mod locks;
mod page;
mod policy;
mod project;
mod provider;
mod recovery;
mod reference;
mod run;
mod signing;
mod trust;

pub use project::out;

use crate::{
    arguments::{Arguments, Command, Key},
    context,
    failure::Failure,
};
use rectify_base::RemediationName;
use std::collections::BTreeSet;

/// Runs the command; answers with the exit code.
pub fn run(arguments: Arguments) -> Result<u8, Failure> {
    // One thread: what it does is to wait for others, and handing a task to another thread costs more
    // than most tasks do.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::plain(format!("cannot start: {e}")))?;
    let engine = context::engine(&arguments);
    let at = arguments.project.clone();
    runtime.block_on(async {
        match arguments.command {
            Command::Init { list_templates: true, .. } => project::templates(),
            Command::Init { directory, name, solo, template, .. } => {
                project::init(&engine, &directory, name, solo, &template)
            }
            Command::Validate { format } => project::validate(&engine, &at, format).await,
            Command::Graph { plan: None, format } => graph::of_project(&engine, &at, format).await,
            Command::Graph { plan: Some(plan), format } => graph::of_plan(&plan, format),
            Command::Plan { remediations, out, format, page, details, detailed_exitcode } => {
                let wanted = project::Wanted { out, format, page, details, detailed_exitcode };
                project::plan(&engine, &at, select(&remediations)?.as_ref(), wanted).await
            }
            Command::Diff { subjects, since_approved, by, format, details, detailed_exitcode } => {
                let wanted = diff::Wanted { format, details, detailed_exitcode };
                match diff::subjects(&engine, &subjects, since_approved, by.as_deref())? {
                    Some(plans) => diff::of_plans(&plans, &wanted),
                    None => project::diff(&engine, &at, select(&subjects)?.as_ref(), &wanted).await,
                }
            }
            Command::Show { plan, format, details } => project::show(&engine, &plan, format, details),
            Command::Why { plan, address, target } => project::why(&plan, &address, target.as_deref()),
            Command::Seal { plan, key, author, requester, expires_in, again, expecting_override } => {
                let expecting = expecting_override;
                let lifetime_s = expires_in;
                let wanted = signing::Sealing { author, requester, lifetime_s, again, expecting };
                signing::seal(&engine, &at, &plan, &key, wanted).await
            }
            Command::Approve { plan, key, reason, expires_in } => {
                signing::approve(&engine, &plan, &key, reason, expires_in)
            }
            Command::Verify { plan, reproduce, source, executor, format } => {
                let source = source.as_deref();
                signing::verify(&engine, &at, &plan, reproduce, source, &executor, format).await
            }
            Command::Apply { plan: Some(plan), .. } => run::apply(&engine, &at, &plan).await,
            Command::Apply { plan: None, yes, key, passphrase_file, .. } => {
                let key = key.map(|key| Key { key, principal: None, passphrase_file });
                auto::apply(&engine, &at, key, yes).await
            }
            Command::Resume { run } => recovery::resume(&engine, &at, run.as_deref()).await,
            Command::Resolve { run, step, answer, reason, undo, key, passphrase_file } => {
                let key = Key { key, principal: None, passphrase_file };
                let said = recovery::Answer { answer, reason, undo };
                recovery::resolve(&engine, &run, &step, &key, said).await
            }
            Command::Undo { run, out, format, details } => {
                recovery::undo(&engine, &at, &run, out.as_deref(), format, details).await
            }
            Command::History { run: None, limit } => run::history(&engine, limit).await,
            Command::History { run: Some(id), .. } => run::one(&engine, &id).await,
            Command::Explain { code } => reference::explain(code.as_deref()),
            Command::Completions { shell } => reference::completions(shell),
            Command::Man { directory } => reference::man(&directory),
            Command::Editor { directory } => editor::editor(&engine, &at, &directory),
            Command::Keys(keys) => signing::keys(keys),
            Command::Trust(trust) => trust::trust(&engine, trust),
            Command::Policy(command) => policy::policy(&engine, &at, command).await,
            Command::Locks { command } => locks::locks(&engine, command).await,
            Command::Audit(command) => locks::audit(&engine, command).await,
            Command::Inventory(inventory) => reference::inventory(&engine, &at, inventory),
            Command::Provider(provider) => provider::provider(&engine, &at, provider).await,
        }
    })
}

fn select(names: &[String]) -> Result<Option<BTreeSet<RemediationName>>, Failure> {
    if names.is_empty() {
        return Ok(None);
    }
    names
        .iter()
        .map(|name| RemediationName::new(name.as_str()).map_err(|e| Failure::usage(e.to_string())))
        .collect::<Result<_, _>>()
        .map(Some)
}
