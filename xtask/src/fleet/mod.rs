//! `fleet`: hosts to test on. Each is a whole Debian system (systemd, D-Bus, sshd, an address of its own)
//! in a container, over a cached base. See docs/testing.md.
//!
//! ```text
//! base (with mirror) ─▶ layers ─┐
//! repository ───────────────────┼─▶ life ─▶ node (with mounts, cgroup, network, keys)
//! place, record ────────────────┘
//! ```

mod base;
mod cgroup;
mod keys;
mod life;
mod matrix;
mod mirror;
mod network;
mod node;
mod nodetests;
mod place;
mod record;
mod repository;
mod selftest;

pub use base::Release;
pub use life::{Fleet, Wish};
pub use node::Node;

use crate::run::Outcome;
use place::Place;
use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
};

const USAGE: &str = "\
cargo xtask fleet up N [--release bookworm|bullseye|trixie] [--with PACKAGE]...
cargo xtask fleet list
cargo xtask fleet exec NODE -- COMMAND...
cargo xtask fleet down [FLEET]
cargo xtask fleet repository
cargo xtask fleet selftest
cargo xtask fleet test [--release RELEASE] [FILTER]...
cargo xtask fleet matrix [--release RELEASE[,RELEASE]...] [--only CASE]
cargo xtask fleet conform [--release RELEASE[,RELEASE]...]";

/// The task.
pub fn fleet(words: &[&str]) -> Outcome {
    match words {
        ["up", count, rest @ ..] => up(count, rest),
        ["down"] => down(None),
        ["down", id] => down(Some(id)),
        ["list"] => list(),
        ["exec", node, "--", argv @ ..] if !argv.is_empty() => exec(node, argv),
        ["repository"] => {
            println!("{}", repository()?.display());
            Ok(())
        }
        ["selftest"] => selftest::selftest(),
        ["test", "--release", release, filter @ ..] => nodetests::test(Release::read(release)?, filter),
        ["test", filter @ ..] => nodetests::test(Release::Bookworm, filter),
        ["matrix", rest @ ..] => on_each(matrix::MATRIX, rest),
        ["conform", rest @ ..] => on_each(matrix::CONFORM, rest),
        // What follows is called by this program itself.
        ["boot", directory, name] => node::boot(Path::new(directory), name),
        ["guard", directory] => life::guard(Path::new(directory)),
        ["install", base, upper, work, packages @ ..] => {
            base::install_inside(Path::new(base), Path::new(upper), Path::new(work), packages)
        }
        ["selftest-victim"] => selftest::victim(),
        _ => Err(USAGE.into()),
    }
}

/// The directory of the package repository, which is built if it is not there yet.
pub fn repository() -> Result<PathBuf, String> {
    repository::build(&Place::of_user()?)
}

fn up(count: &str, rest: &[&str]) -> Outcome {
    let nodes = count.parse().map_err(|_| USAGE)?;
    let (mut release, mut packages) = (Release::Bookworm, Vec::new());
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let value = *rest.next().ok_or(USAGE)?;
        match *word {
            "--release" => release = Release::read(value)?,
            "--with" => packages.push(value),
            _ => return Err(USAGE.into()),
        }
    }
    let fleet = Fleet::up(&Wish { nodes, release, packages: &packages })?;
    for node in fleet.nodes() {
        println!("{}  {}  {}", node.name(), node.address(), node.ssh_shown());
    }
    println!("\nto end it: cargo xtask fleet down {}", fleet.id());
    fleet.keep()
}

/// What is found on a host of each release, and kept.
fn on_each(part: matrix::Part, rest: &[&str]) -> Outcome {
    let (mut releases, mut only) = (vec![Release::Bookworm, Release::Trixie], None);
    for pair in rest.chunks(2) {
        match pair {
            ["--release", names] => {
                releases = names.split(',').map(Release::read).collect::<Result<_, _>>()?;
            }
            ["--only", case] => only = Some(*case),
            _ => return Err(USAGE.into()),
        }
    }
    matrix::run(part, &releases, only)
}

fn down(id: Option<&str>) -> Outcome {
    let told = life::down(id)?;
    for id in &told.ended {
        println!("fleet {id} has ended");
    }
    for kept in &told.kept {
        println!("fleet {kept}");
    }
    Ok(())
}

fn list() -> Outcome {
    let place = Place::of_user()?;
    for (id, record) in life::all(&place)? {
        let directory = place.running().join(&id);
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                println!("{id}: {e}");
                continue;
            }
        };
        let whose = match record.owner {
            None => "stays",
            Some(owner) if owner.lives() => "in use",
            Some(_) => "left over",
        };
        for node in Node::all(&directory, &record)? {
            let state = if node.is_up() { "up" } else { "down" };
            println!("{}  {state}  {}  {}  {whose}", node.name(), record.release, node.address());
        }
    }
    Ok(())
}

/// The node of that name; a number is enough where there is one fleet.
fn find(name: &str) -> Result<Node, String> {
    let place = Place::of_user()?;
    let mut nodes = Vec::new();
    for (id, record) in life::all(&place)? {
        if let Ok(record) = record {
            nodes.extend(Node::all(&place.running().join(id), &record)?);
        }
    }
    let ends = format!("-{name}");
    let mut found = nodes.iter().filter(|node| node.name() == name || node.name().ends_with(&ends));
    match (found.next(), found.next()) {
        (Some(node), None) => Ok(node.clone()),
        (None, _) => Err(format!("there is no node {name}")),
        (Some(_), Some(_)) => Err(format!("there are several nodes {name}; write the whole name")),
    }
}

/// Becomes the command, so that its input, output and exit code are those of the task.
fn exec(name: &str, argv: &[&str]) -> Outcome {
    let error = find(name)?.command(argv)?.exec();
    Err(format!("cannot start nsenter: {error}"))
}
