//! `bench converge`: files that all change, journal and before-images included, against a bare program
//! that writes them as a careful script would: a temporary file, fsync, rename.
//!
//! Both write the same bytes to the same layout on the same disk, with as many files in flight at once,
//! in whole processes that are timed from the outside; rounds are interleaved, and the ratio is of the
//! medians of one run.

use super::{Cost, measure};
use crate::run::{Outcome, cargo, executable, output, read, run, write};
use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

const FILES: usize = 10_000;
const ROUNDS: usize = 5;
/// Steps and writers in flight at once; the default of a project.
const WRITERS: usize = 4;
/// The ratio that must hold.
const RATIO_MAX: f64 = 3.0;

/// Measures, and says whether the ratio holds. Words: `[FILES [WRITERS]]`.
pub fn converge(words: &[&str]) -> Outcome {
    let number = |at: usize, default: usize| {
        words.get(at).map_or(Ok(default), |word| word.parse().map_err(|e| format!("{word}: {e}")))
    };
    let (files, writers) = (number(0, FILES)?, number(1, WRITERS)?);
    run(cargo(&["build", "--locked", "--release", "--quiet", "-p", "rectify-cli", "-p", "xtask"]))?;
    let scratch =
        tempfile::Builder::new().prefix("rectify-converge-").tempdir().map_err(|e| e.to_string())?;
    let at = scratch.path();
    let rectify = executable("release");
    let xtask = rectify.with_file_name("xtask");
    let rectify = |arguments: &[&str]| {
        let mut command = Command::new(&rectify);
        command
            .args(["-C", "project"])
            .args(arguments)
            .current_dir(at)
            .env("RECTIFY_TRUST", at.join("trust.yaml"))
            .env("RECTIFY_STATE", at.join("state"));
        command
    };
    project(at, writers)?;
    for directory in ["root", "bare"] {
        fill(&at.join(directory), files, 0)?;
    }
    remediation(at, files, 0)?;
    quietly(rectify(&["inventory", "adopt", "scratch"]), 0)?;
    trust(at, &rectify)?;
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        remediation(at, files, round)?;
        // A sealed plan is never written over.
        let plan = format!("{round}.plan.json");
        quietly(rectify(&["plan", "--out", &plan]), 0)?;
        quietly(rectify(&["seal", &plan, "--key", "author"]), 0)?;
        quietly(rectify(&["approve", &plan, "--key", "reviewer"]), 0)?;
        nix::unistd::sync();
        ours.push(measure(rectify(&["apply", &plan]))?);
        let mut floor = Command::new(&xtask);
        let words = [files, writers, round].map(|number| number.to_string());
        floor.args(["bench", "bare", "bare"]).args(&words).current_dir(at);
        nix::unistd::sync();
        floors.push(measure(floor)?);
        check(at, files, round)?;
    }
    let (our, floor) = (median(ours.clone()), median(floors.clone()));
    println!(
        "{files} files of 200 bytes, all to be changed, {writers} at once; medians of {ROUNDS} interleaved rounds\n"
    );
    println!(
        "| what | wall s | fastest and slowest | files/s | CPU s | peak MiB, all processes |\n|---|---|---|---|---|---|"
    );
    for (name, cost, all) in [
        ("bare: temporary file, fsync, rename", floor, floors),
        ("`rectify apply`, with before-images and journal", our, ours),
    ] {
        let walls = || all.iter().map(|cost| cost.wall_s);
        println!(
            "| {name} | {:.2} | {:.2} to {:.2} | {:.0} | {:.2} | {:.0} |",
            cost.wall_s,
            walls().fold(f64::MAX, f64::min),
            walls().fold(0.0, f64::max),
            files as f64 / cost.wall_s,
            cost.cpu_s,
            cost.peak_mib
        );
    }
    let ratio = our.wall_s / floor.wall_s;
    println!("\nWall time against the bare program: {ratio:.2} (at most {RATIO_MAX})");
    if ratio <= RATIO_MAX { Ok(()) } else { Err(format!("the ratio is {ratio:.2}, more than {RATIO_MAX}")) }
}

/// The bare program: `DIR FILES WRITERS ROUND`.
pub fn bare(words: &[&str]) -> Outcome {
    let [directory, numbers @ ..] = words else { return Err("expected DIR FILES WRITERS ROUND".into()) };
    let numbers: Result<Vec<usize>, _> = numbers.iter().map(|word| word.parse()).collect();
    let Ok([files, writers, round]) = numbers.as_deref() else { return Err("expected three numbers".into()) };
    let directory = Path::new(directory);
    let one = |index: usize| -> std::io::Result<()> {
        let path = directory.join(format!("etc/many/{index:05}"));
        let temporary = path.with_extension("tmp");
        let mut file = File::options().write(true).create_new(true).open(&temporary)?;
        file.write_all(content(index, *round).as_bytes())?;
        file.set_permissions(fs::Permissions::from_mode(0o640))?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..*writers)
            .map(|writer| scope.spawn(move || (writer..*files).step_by(*writers).try_for_each(one)))
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result.map_err(|e| e.to_string()),
            Err(_) => Err("a writer panicked".into()),
        })
    })
}

fn content(index: usize, round: usize) -> String {
    format!("{index:05} {round:03} {}\n", "x".repeat(189))
}

fn fill(root: &Path, files: usize, round: usize) -> Outcome {
    for index in 0..files {
        let path = root.join(format!("etc/many/{index:05}"));
        write(&path, &content(index, round))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Both did what they were asked for.
fn check(at: &Path, files: usize, round: usize) -> Outcome {
    for directory in ["root", "bare"] {
        for index in 0..files {
            let path = at.join(directory).join(format!("etc/many/{index:05}"));
            if read(&path)? != content(index, round) {
                return Err(format!("{} was not written", path.display()));
            }
        }
    }
    Ok(())
}

fn project(at: &Path, writers: usize) -> Outcome {
    write(
        &at.join("project/rectify.yaml"),
        &format!(
            "apiVersion: rectify/v1\nkind: Project\nmetadata: {{name: bench}}\nlimits: {{changes_max: 20000, parallel_steps: {writers}}}\npolicies: [standard, policies/bench]\n"
        ),
    )?;
    // More than the standard bundle accepts in one plan.
    write(
        &at.join("project/policies/bench/data.json"),
        "{\"override\": {\"limits\": {\"changes_per_target\": 20000, \"changes_total\": 20000}}}\n",
    )?;
    write(
        &at.join("project/inventory/local.yaml"),
        &format!(
            "apiVersion: rectify/v1\nkind: Inventory\ntargets:\n  scratch: {{environment: dev, connection: local, root: {}}}\n",
            at.join("root").display()
        ),
    )
}

fn remediation(at: &Path, files: usize, round: usize) -> Outcome {
    let mut text = String::from(
        "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: files}\nbecause: {text: bench}\ntargets: {select: 'true'}\nsteps:\n",
    );
    for index in 0..files {
        let content = content(index, round);
        text.push_str(&format!(
            "  f{index:05}:\n    file.content: {{path: /etc/many/{index:05}, content: \"{}\\n\", mode: \"0640\"}}\n",
            content.trim_end()
        ));
    }
    write(&at.join("project/remediations/files.yaml"), &text)
}

fn trust(at: &Path, rectify: &dyn Fn(&[&str]) -> Command) -> Outcome {
    let home = at.display();
    let mut keys = Vec::new();
    for name in ["author", "reviewer"] {
        quietly(rectify(&["keys", "new", &format!("{home}/{name}"), "--comment", name]), 0)?;
        keys.push(read(&at.join(format!("{name}.pub")))?.trim().to_owned());
    }
    let bundle = output(rectify(&["policy", "digest"]))?;
    let path = at.join("trust.yaml");
    write(
        &path,
        &format!(
            "format: rectify.trust/v1\nprincipals:\n  author: {{kind: person, keys: [{{public: '{}'}}]}}\n  reviewer: {{kind: person, keys: [{{public: '{}'}}]}}\nroles:\n  sealer: [author]\n  approver: [reviewer]\napprovals: {{default: 1}}\npolicy_bundles: ['{}']\n",
            keys[0],
            keys[1],
            String::from_utf8_lossy(&bundle).trim()
        ),
    )?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(|e| e.to_string())
}

fn quietly(mut command: Command, expected: i32) -> Outcome {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("cannot start {shown}: {e}"))?;
    if output.status.code() == Some(expected) {
        return Ok(());
    }
    Err(format!("{shown} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by(|a, b| a.wall_s.total_cmp(&b.wall_s));
    costs[costs.len() / 2]
}
