//! `bench`: whole processes, CPU of the whole tree, ratios of one run. Never a test.

mod converge;

use crate::run::{Outcome, cargo, executable, run, write};
use nix::sys::resource::{UsageWho, getrusage};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

const FILES: usize = 10_000;
const ROUNDS: usize = 5;
/// As many as one project may well have.
const MANY_FILES: usize = 100_000;
/// Steps in one source file.
const FILE_STEPS: usize = 10_000;

/// What one process tree cost.
#[derive(Clone, Copy)]
struct Cost {
    /// User and system time, in seconds.
    cpu_s: f64,
    /// In seconds.
    wall_s: f64,
    /// Sum of the peaks of all processes, in MiB; an upper bound of the peak of the sum.
    peak_mib: f64,
}

/// Runs the benchmarks: all of planning, or `converge`, or `reads`. `floor DIR` and `bare …` are the bare programs
/// that the others are compared with.
pub fn bench(words: &[&str]) -> Outcome {
    match words {
        ["floor", directory] => return floor(Path::new(directory)),
        ["bare", rest @ ..] => return converge::bare(rest),
        ["converge", rest @ ..] => return converge::converge(rest),
        ["reads"] => {
            let words =
                ["run", "--locked", "--release", "--quiet", "-p", "rectify-host", "--example", "reads"];
            return run(cargo(&words));
        }
        _ => {}
    }
    run(cargo(&[
        "build",
        "--locked",
        "--release",
        "--quiet",
        "--package",
        "rectify-cli",
        "--package",
        "xtask",
    ]))?;
    let scratch = tempfile::Builder::new().prefix("rectify-bench-").tempdir().map_err(|e| e.to_string())?;
    let at = scratch.path();
    prepare(at, FILES)?;
    let rectify = executable("release");
    let xtask = rectify.with_file_name("xtask");
    let rectify = |arguments: &[&str]| {
        let mut command = Command::new(&rectify);
        command
            .args(["-C", "project"])
            .args(arguments)
            .current_dir(at)
            .env("RECTIFY_TRUST", at.join("none"))
            .env("RECTIFY_STATE", at.join("state"));
        command
    };
    measure(rectify(&["inventory", "adopt", "scratch"]))?;
    let mut floors = Vec::new();
    let mut plans = Vec::new();
    let mut compiles = Vec::new();
    for _ in 0..ROUNDS {
        let mut command = Command::new(&xtask);
        command.args(["bench", "floor", "root"]).current_dir(at);
        floors.push(measure(command)?);
        compiles.push(measure(rectify(&["validate"]))?);
        plans.push(measure(rectify(&["plan", "--detailed-exitcode"]))?);
    }
    let (floor, compile, plan) = (median(floors), median(compiles), median(plans));
    println!("{FILES} managed files of 200 bytes, nothing to do; medians of {ROUNDS} interleaved rounds\n");
    println!("| what | CPU s | wall s | peak MiB, all processes | CPU against the floor |");
    println!("|---|---|---|---|---|");
    for (name, cost) in [
        ("floor: lstat, read, blake3, compare", floor),
        ("`rectify validate`: YAML to graph", compile),
        ("`rectify plan`", plan),
    ] {
        println!(
            "| {name} | {:.3} | {:.3} | {:.0} | {:.1} |",
            cost.cpu_s,
            cost.wall_s,
            cost.peak_mib,
            cost.cpu_s / floor.cpu_s
        );
    }
    breakdown(rectify(&["-vv", "--log-json", "plan"]))?;
    prepare(at, MANY_FILES)?;
    let many = measure(rectify(&["plan", "--detailed-exitcode"]))?;
    println!("\nThe same with {MANY_FILES} files, one round:\n");
    println!("| files | CPU s | µs a file | peak MiB, all processes | KiB a file |\n|---|---|---|---|---|");
    for (files, cost) in [(FILES, plan), (MANY_FILES, many)] {
        println!(
            "| {files} | {:.2} | {:.1} | {:.0} | {:.1} |",
            cost.cpu_s,
            cost.cpu_s * 1e6 / files as f64,
            cost.peak_mib,
            cost.peak_mib * 1024.0 / files as f64
        );
    }
    println!("\nPlanning alone, from graph and observations in memory:");
    run(cargo(&["bench", "--locked", "--package", "rectify-plan", "--bench", "plan"]))?;
    println!("\nMemory of planning alone:");
    run(cargo(&["bench", "--locked", "--package", "rectify-plan", "--bench", "memory"]))
}

/// Where the wall time of one plan goes, from the spans that `-vv` tells of.
fn breakdown(mut command: Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    println!("\nWhere the wall time of one plan goes:\n\n| span | busy | idle |\n|---|---|---|");
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        let Ok(record) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        if record["fields"]["message"] == "close" {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let [name, busy, idle] = [
                text(&record["span"]["name"]),
                text(&record["fields"]["time.busy"]),
                text(&record["fields"]["time.idle"]),
            ];
            println!("| {name} | {busy} | {idle} |");
        }
    }
    Ok(())
}

/// A project with so many managed files, all of them as they should be.
fn prepare(at: &Path, files: usize) -> Outcome {
    write(
        &at.join("project/rectify.yaml"),
        "apiVersion: rectify/v1\nkind: Project\nmetadata: {name: bench}\nlimits: {changes_max: 20000}\npolicies: [standard]\n",
    )?;
    write(
        &at.join("project/inventory/local.yaml"),
        &format!(
            "apiVersion: rectify/v1\nkind: Inventory\ntargets:\n  scratch: {{environment: dev, connection: local, root: {}}}\n",
            at.join("root").display()
        ),
    )?;
    fs::create_dir_all(at.join("root/etc/many")).map_err(|e| e.to_string())?;
    for part in 0..files.div_ceil(FILE_STEPS) {
        let mut text = format!(
            "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {{name: files-{part}}}\nbecause: {{text: bench}}\ntargets: {{select: 'true'}}\nsteps:\n"
        );
        for index in (part * FILE_STEPS)..((part + 1) * FILE_STEPS).min(files) {
            let content = format!("{index:05} {}", "x".repeat(193));
            text.push_str(&format!(
                "  f{index:05}:\n    file.content:\n      path: /etc/many/{index:05}\n      content: \"{content}\\n\"\n      mode: \"0640\"\n"
            ));
            let path = at.join(format!("root/etc/many/{index:05}"));
            write(&path, &format!("{content}\n"))?;
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640))
                .map_err(|e| e.to_string())?;
        }
        write(&at.join(format!("project/remediations/files-{part}.yaml")), &text)?;
    }
    Ok(())
}

/// The bare program: for each file lstat, read, hash, compare.
fn floor(directory: &Path) -> Outcome {
    let mut changed = 0;
    for index in 0..FILES {
        let path = directory.join(format!("etc/many/{index:05}"));
        let want = blake3::hash(format!("{index:05} {}\n", "x".repeat(193)).as_bytes());
        let metadata = fs::symlink_metadata(&path).map_err(|e| e.to_string())?;
        let bytes = fs::read(&path).map_err(|e| e.to_string())?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
        if blake3::hash(&bytes) != want || mode != 0o640 {
            changed += 1;
        }
    }
    if changed == 0 { Ok(()) } else { Err(format!("{changed} files differ")) }
}

fn measure(mut command: Command) -> Result<Cost, String> {
    // A file, because a pipe that nobody reads would stop what is measured.
    let mut errors = tempfile::tempfile().map_err(|e| e.to_string())?;
    let before = used()?;
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors.try_clone().map_err(|e| e.to_string())?)
        .spawn()
        .map_err(|e| format!("cannot start {command:?}: {e}"))?;
    let mut peaks = std::collections::BTreeMap::new();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            break status;
        }
        sample(child.id(), &mut peaks);
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    let wall_s = start.elapsed().as_secs_f64();
    if !status.success() {
        let mut text = String::new();
        drop(std::io::Seek::rewind(&mut errors));
        drop(std::io::Read::read_to_string(&mut errors, &mut text));
        return Err(format!("{command:?} ended with {status}: {text}"));
    }
    let peak_kib: u64 = peaks.values().sum();
    Ok(Cost { cpu_s: used()? - before, wall_s, peak_mib: peak_kib as f64 / 1024.0 })
}

/// CPU of all children that were waited for, in seconds.
fn used() -> Result<f64, String> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|e| e.to_string())?;
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// Notes the peak resident size of a process and everything below it, in KiB.
fn sample(pid: u32, peaks: &mut std::collections::BTreeMap<u32, u64>) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    if let Some(kib) = peak.and_then(|text| text.split_whitespace().next()?.parse().ok()) {
        peaks.insert(pid, kib);
    }
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|word| word.parse().ok()) {
            sample(child, peaks);
        }
    }
}

fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s));
    let middle = costs[costs.len() / 2];
    Cost { peak_mib: costs.iter().map(|c| c.peak_mib).fold(0.0, f64::max), ..middle }
}
