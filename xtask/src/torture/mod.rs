//! `torture`: runs that are killed, fail and are delivered twice, and what must be true afterwards.
//! See `docs/reliability.md`.

mod area;
mod counts;
mod ending;
mod graphs;
mod journal;
mod kills;
mod machine;
mod matrix;
mod scenario;

use crate::run::{Outcome, cargo, executable, run};
use area::Area;
use ending::Way;
use scenario::Provider;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Condvar, Mutex, PoisonError},
    time::Instant,
};

const USAGE: &str = "cargo xtask torture [--full] [--rounds N] [--seed N] [--only PART[:TEXT]]
PART is journal, matrix, kills, graphs, simulation, power or audit; TEXT is in the names of the cells";
/// Jobs at a time: half of the time of each is spent waiting.
const WORKERS: usize = 4;
/// From so many jobs on, and so many times, it is told how many are done.
const TOLD_FROM: usize = 1_000;
const TOLD: usize = 20;
/// Violations that are printed at length.
const SHOWN: usize = 5;

/// What the parts need.
pub struct Settings {
    /// The executable under test.
    pub program: PathBuf,
    /// The providers that can be tried here.
    pub providers: Vec<Provider>,
}

impl Settings {
    /// To be called before there are threads: this process is parted from the mounts of the machine.
    fn new(program: PathBuf, options: &Options) -> Result<Self, String> {
        let Err(why) = machine::possible() else {
            return Ok(Self { program, providers: Provider::ALL.into() });
        };
        if options.full {
            return Err(why);
        }
        let (machines, providers): (Vec<Provider>, _) =
            Provider::ALL.into_iter().partition(|provider| provider.watch().is_some());
        let names: Vec<String> = machines.iter().map(ToString::to_string).collect();
        eprintln!("NOT TRIED: {}: {why}", names.join(", "));
        Ok(Self { program, providers })
    }
}

/// What a job does, in an area that it makes.
type Run<'a> = dyn Fn(&mut Option<Area>) -> Result<Way, Vec<String>> + Send + Sync + 'a;

/// One thing to try. The area is left where somebody can look at it if something is wrong.
pub struct Job<'a> {
    name: String,
    /// What it is a copy of. Copies of one sealed plan have the same operations, and an engine ends what is left of
    /// an operation wherever it runs on this machine; so no two of them are tried at a time.
    of: String,
    run: Box<Run<'a>>,
}

/// One row of the table.
struct Row {
    part: &'static str,
    what: String,
    count: usize,
    seconds: f32,
    violations: usize,
    note: String,
}

/// How much is tried.
struct Options {
    full: bool,
    rounds: Option<usize>,
    seed: u64,
    only: Option<(String, String)>,
}

impl Options {
    fn read(words: &[&str]) -> Result<Self, String> {
        let mut options = Self { full: false, rounds: None, seed: 20_261_121, only: None };
        let mut words = words.iter();
        let number = |word: Option<&&str>| {
            word.and_then(|word| word.parse::<u64>().ok()).ok_or_else(|| USAGE.to_owned())
        };
        while let Some(word) = words.next() {
            match *word {
                "--full" => options.full = true,
                "--rounds" => options.rounds = usize::try_from(number(words.next())?).ok(),
                "--seed" => options.seed = number(words.next())?,
                "--only" => {
                    let part = words.next().ok_or(USAGE)?;
                    let (part, text) = part.split_once(':').unwrap_or((part, ""));
                    options.only = Some((part.into(), text.into()));
                }
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }

    fn wants(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|(only, _)| only == part)
    }

    /// What is built: in full, what users have, which is also quicker; else what is built already.
    const fn profile(&self) -> &'static str {
        if self.full { "release" } else { "debug" }
    }

    /// Quick or full, or as was asked for.
    fn count(&self, quick: usize, full: usize) -> usize {
        self.rounds.unwrap_or(if self.full { full } else { quick })
    }
}

/// Runs the parts; fails if anything was violated.
pub fn torture(words: &[&str]) -> Outcome {
    let options = Options::read(words)?;
    let mut rows = Vec::new();
    // First, while nothing else has written to the disk. A figure is no test, so a quick run does without.
    if options.wants("journal") && (options.full || options.only.is_some()) {
        let begin = Instant::now();
        let (what, good) = counts::journal()?;
        let (seconds, violations) = (begin.elapsed().as_secs_f32(), usize::from(!good));
        rows.push(Row { part: "journal", what, count: 1, seconds, violations, note: String::new() });
    }
    if options.wants("matrix") || options.wants("graphs") {
        let settings = Settings::new(with_points(options.profile())?, &options)?;
        if options.wants("matrix") {
            rows.push(matrix(&settings, &options)?);
        }
        if options.wants("graphs") {
            for provider in settings.providers.iter().copied() {
                let begin = Instant::now();
                let graphs = options.count(1, 20);
                let jobs = graphs::jobs(&settings, provider, graphs, options.seed)?;
                let what = format!(
                    "{provider}: {graphs} random graphs: each node fails once, actions and undo twice, pairs"
                );
                rows.push(work("graphs", what, jobs, &options, begin));
            }
        }
    }
    if options.wants("kills") {
        rows.push(kills(&options)?);
    }
    for part in counts::PARTS {
        // The quick numbers are those of the tests.
        if options.wants(part.name) && (options.full || options.rounds.is_some() || options.only.is_some()) {
            let begin = Instant::now();
            let (what, count, result) = part.run(options.full, options.rounds)?;
            if let Err(message) = &result {
                eprintln!("{message}");
            }
            let seconds = begin.elapsed().as_secs_f32();
            let violations = usize::from(result.is_err());
            rows.push(Row { part: part.name, what, count, seconds, violations, note: String::new() });
        }
    }
    print(&rows);
    let violations: usize = rows.iter().map(|row| row.violations).sum();
    if violations == 0 { Ok(()) } else { Err(format!("{violations} violations")) }
}

/// Builds the executable with crash points, beside the ordinary one of the profile.
pub fn with_points(profile: &str) -> Result<PathBuf, String> {
    build(profile, &["--features", "rectify-cli/crash-points"])?;
    let built = executable(profile);
    let program = built.with_file_name("rectify-with-crash-points");
    drop(std::fs::remove_file(&program));
    // The next build makes a new file and leaves this one alone.
    std::fs::hard_link(&built, &program).map_err(|e| e.to_string())?;
    std::fs::remove_file(&built).map_err(|e| e.to_string())?;
    Ok(program)
}

fn build(profile: &str, more: &[&str]) -> Outcome {
    let mut words = vec!["build", "--locked", "--quiet", "--package", "rectify-cli"];
    words.extend((profile == "release").then_some("--release"));
    words.extend(more);
    run(cargo(&words))
}

/// By provider and kind.
pub type Templates = BTreeMap<(String, matrix::Kind), Result<matrix::Template, String>>;

fn templates(settings: &Settings) -> Result<Templates, String> {
    let made = std::thread::scope(|scope| {
        let make = |provider| (provider, scope.spawn(move || matrix::templates(&settings.program, provider)));
        let threads: Vec<_> = settings.providers.iter().copied().map(make).collect();
        let ended = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err("making what is copied broke off".into()))
        };
        threads.into_iter().map(|(provider, thread)| (provider, ended(thread))).collect::<Vec<_>>()
    });
    let mut all = BTreeMap::new();
    for (provider, templates) in made {
        all.extend(templates?.into_iter().map(|(kind, template)| ((provider.to_string(), kind), template)));
    }
    Ok(all)
}

fn matrix(settings: &Settings, options: &Options) -> Result<Row, String> {
    let begin = Instant::now();
    let templates = templates(settings)?;
    let rounds = options.count(1, 25);
    let jobs = matrix::jobs(settings, &templates, rounds);
    let what = format!("kill matrix, each cell {rounds} times");
    Ok(work("matrix", what, jobs, options, begin))
}

fn kills(options: &Options) -> Result<Row, String> {
    let profile = options.profile();
    build(profile, &[])?;
    let settings = Settings::new(executable(profile), options)?;
    let begin = Instant::now();
    let templates = templates(&settings)?;
    let jobs = kills::jobs(&settings, &templates, options.count(20, 200), options.seed)?;
    Ok(work("kills", format!("kills at random times, {profile} build, no points"), jobs, options, begin))
}

/// Jobs that wait, and what those at work are copies of.
struct Line<'j, 'a> {
    waiting: Vec<&'j Job<'a>>,
    at_work: Vec<&'j str>,
    done: usize,
}

impl Line<'_, '_> {
    /// A job is done. Now and then somebody who waits for an hour is told how far it has come.
    fn ended(&mut self, job: &Job<'_>, part: &str, all: usize) {
        self.at_work.retain(|of| *of != job.of);
        self.done += 1;
        if all >= TOLD_FROM && self.done * TOLD / all > (self.done - 1) * TOLD / all {
            eprintln!("{part}: {} of {all}", self.done);
        }
    }
}

/// The first job that may begin now, once there is one; `None` if none waits any more.
fn next<'j, 'a>(line: &Mutex<Line<'j, 'a>>, ended: &Condvar) -> Option<&'j Job<'a>> {
    let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let free = line.waiting.iter().position(|job| !line.at_work.contains(&job.of.as_str()));
        if let Some(place) = free {
            let job = line.waiting.remove(place);
            line.at_work.push(&job.of);
            return Some(job);
        }
        if line.waiting.is_empty() {
            return None;
        }
        line = ended.wait(line).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Does the jobs, a few at a time.
fn work(part: &'static str, what: String, jobs: Vec<Job<'_>>, options: &Options, begin: Instant) -> Row {
    let text = options.only.as_ref().map_or("", |(_, text)| text.as_str());
    let jobs: Vec<&Job<'_>> = jobs.iter().filter(|job| job.name.contains(text)).collect();
    let (line, ended) =
        (Mutex::new(Line { waiting: jobs.clone(), at_work: Vec::new(), done: 0 }), Condvar::new());
    let (ways, wrong) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(job) = next(&line, &ended) {
                    let mut area = None;
                    match (job.run)(&mut area) {
                        Ok(way) => ways.lock().unwrap_or_else(PoisonError::into_inner).push(way),
                        Err(violations) => {
                            let kept = area.as_mut().map(Area::keep);
                            let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                            tell(&job.name, &violations, kept, wrong.len());
                            wrong.push(violations);
                        }
                    }
                    drop(area);
                    line.lock().unwrap_or_else(PoisonError::into_inner).ended(job, part, jobs.len());
                    ended.notify_all();
                }
            });
        }
    });
    let ways = ways.into_inner().unwrap_or_else(PoisonError::into_inner);
    let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
    let sum = |of: fn(&Way) -> u32| ways.iter().map(of).sum::<u32>();
    let note = format!(
        "{} resumes, {} decided by a person, {} begun anew",
        sum(|way| way.resumes),
        sum(|way| way.resolved),
        sum(|way| u32::from(way.anew))
    );
    let litter = ways.iter().filter(|way| way.litter > 0).count();
    let note = if litter > 0 { format!("{note}, {litter} left files in TMPDIR") } else { note };
    let seconds = begin.elapsed().as_secs_f32();
    Row { part, what, count: jobs.len(), seconds, violations: wrong.len(), note }
}

fn tell(name: &str, violations: &[String], kept: Option<PathBuf>, before: usize) {
    eprintln!("VIOLATION [{name}]");
    // One violation may be long, and one cause may violate much.
    for violation in violations.iter().take(if before < SHOWN { usize::MAX } else { 1 }) {
        eprintln!("  {violation}");
    }
    if let Some(kept) = kept {
        eprintln!("  everything is in {}", kept.display());
    }
}

fn print(rows: &[Row]) {
    println!("{:<11} {:>8} {:>8} {:>10}  what", "part", "count", "seconds", "violations");
    for Row { part, what, count, seconds, violations, note } in rows {
        println!("{part:<11} {count:>8} {seconds:>8.1} {violations:>10}  {what}");
        if !note.is_empty() {
            println!("{:<41}  {note}", "");
        }
    }
}
