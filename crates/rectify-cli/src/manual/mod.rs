//! Manual pages: what the grammar of the command line says, and what it cannot say.

mod text;

use crate::arguments::Arguments;
use clap::{Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, roman},
};
use std::{collections::BTreeMap, io};

/// Every page by file name: one of the whole, one a command.
///
/// # Errors
/// None that is to be expected: memory is written to.
pub fn pages() -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut command = Arguments::command();
    command.build();
    let mut pages = BTreeMap::new();
    add(&command, &[], &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, above: &[&str], pages: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    let path: Vec<&str> = above.iter().copied().chain([command.get_name()]).collect();
    let name = path.join("-");
    let page = page(command, &name, &path)?;
    pages.insert(format!("{name}.1"), page);
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        add(below, &path, pages)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str, path: &[&str]) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone().display_name(name))
        .title(name)
        .source(concat!("rectify ", env!("CARGO_PKG_VERSION")))
        .manual("Rectify");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    // Names and paths are copied from a page: they must not be cut at the end of a line.
    Roff::default().control("nh", []).to_writer(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    let mut roff = Roff::default();
    let whole = path.len() == 1;
    list(&mut roff, "EXIT STATUS", text::EXIT);
    if whole {
        list(&mut roff, "FILES", text::FILES);
        list(&mut roff, "ENVIRONMENT", text::ENVIRONMENT);
    }
    examples(&mut roff, &path.get(1..).unwrap_or_default().join(" "));
    roff.control("SH", ["SEE ALSO"]);
    roff.text(see_also(command, name, path));
    roff.to_writer(&mut out)?;
    Ok(out)
}

fn list(roff: &mut Roff, heading: &str, entries: &[(&str, &str)]) {
    roff.control("SH", [heading]);
    for (term, meaning) in entries {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*meaning)]);
    }
}

fn examples(roff: &mut Roff, command: &str) {
    let mut found = text::EXAMPLES.iter().filter(|example| example.command == command).peekable();
    if found.peek().is_none() {
        return;
    }
    roff.control("SH", ["EXAMPLES"]);
    for example in found {
        roff.control("PP", []);
        roff.text([roman(format!("{}:", example.what))]);
        roff.control("PP", []);
        roff.control("RS", ["4"]);
        roff.control("nf", []);
        for line in example.lines {
            roff.text([roman(*line)]);
        }
        roff.control("fi", []);
        roff.control("RE", []);
    }
}

/// The commands below, or beside.
fn see_also(command: &Command, name: &str, path: &[&str]) -> Vec<Inline> {
    let mut names: Vec<String> = Vec::new();
    if let Some((_, above)) = path.split_last()
        && !above.is_empty()
    {
        names.push(above.join("-"));
    }
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    names.extend(below.map(|below| format!("{name}-{}", below.get_name())));
    let mut out = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.push(roman(", "));
        }
        out.push(bold(name.as_str()));
        out.push(roman("(1)"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{text, *};
    use clap::Parser;
    use std::collections::BTreeSet;

    /// Commands that do something themselves, as they are typed.
    fn leaves(command: &Command, above: &str, found: &mut BTreeSet<String>) {
        let name = format!("{above}{}", command.get_name());
        let mut below = command.get_subcommands().filter(|below| !below.is_hide_set()).peekable();
        // Some do something of their own without the commands below them.
        if below.peek().is_none() || !command.is_subcommand_required_set() {
            found.insert(name.clone());
        }
        for command in below {
            leaves(command, &format!("{name} "), found);
        }
    }

    #[test]
    fn every_command_has_an_example_and_every_example_is_understood() {
        let mut commands = BTreeSet::new();
        for command in Arguments::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            leaves(command, "", &mut commands);
        }
        let shown: BTreeSet<String> = text::EXAMPLES.iter().map(|e| e.command.to_owned()).collect();
        let missing: Vec<_> = commands.difference(&shown).collect();
        assert!(missing.is_empty(), "give these an example in manual/text.rs: {missing:?}");
        for example in text::EXAMPLES {
            assert!(example.command.is_empty() || commands.contains(example.command), "{}", example.command);
            let mut own = 0;
            for line in example.lines {
                let line = line.trim_start_matches("sudo ");
                let Some(words) = line.strip_prefix("rectify ") else { continue };
                let words = words.split(['>', '|', '<', '&']).next().unwrap_or_default();
                // What stands in quotes is one word.
                let words = words.split('\'').enumerate().flat_map(|(place, text)| match place % 2 {
                    0 => text.split_whitespace().collect::<Vec<_>>(),
                    _ => vec![text],
                });
                let arguments = std::iter::once("rectify").chain(words);
                if let Err(error) = Arguments::try_parse_from(arguments) {
                    panic!("`{line}`: {error}");
                }
                own += usize::from(format!("{line} ").contains(&format!(" {} ", example.command)));
            }
            assert!(example.command.is_empty() || own > 0, "`{}` is not in its example", example.command);
        }
    }

    #[test]
    fn every_variable_is_described() {
        let told: BTreeSet<&str> = text::ENVIRONMENT.iter().map(|(name, _)| *name).collect();
        let mut open = vec![Arguments::command()];
        let mut seen = 0;
        while let Some(command) = open.pop() {
            for variable in command.get_arguments().filter_map(clap::Arg::get_env) {
                let variable = variable.to_string_lossy();
                assert!(told.contains(variable.as_ref()), "ENVIRONMENT lacks {variable}");
                seen += 1;
            }
            open.extend(command.get_subcommands().cloned());
        }
        assert!(seen >= 4, "{seen}");
    }

    #[test]
    fn every_exit_code_is_described() {
        use crate::exit;
        use rectify_model::journal::RunOutcome;
        let told: BTreeSet<u8> =
            text::EXIT.iter().map(|(code, _)| code.parse().unwrap_or_default()).collect();
        let ours = [exit::DONE, exit::ERROR, exit::CHANGES, exit::DENIED, exit::LOCKED, exit::USAGE];
        let all: BTreeSet<u8> = ours.into_iter().chain(RunOutcome::ALL.map(RunOutcome::exit_code)).collect();
        assert_eq!(told, all);
    }
}
