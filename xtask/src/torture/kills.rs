//! Kills at random times, of an executable that has no points for it.

use super::{
    Job, Settings, Templates,
    area::{Area, Ran},
    ending::kill_after,
    matrix::Template,
};
use crate::random::Random;
use std::{
    process::Child,
    time::{Duration, Instant},
};

/// Of a hundred runs, so many are killed after their permission was taken: before that, where a run
/// spends most of its time, nothing can be lost.
const BEGUN: u64 = 80;

/// How long a run takes when nobody disturbs it.
#[derive(Clone, Copy)]
struct Lengths {
    /// In all.
    all: Duration,
    /// From the moment when its directory is there.
    begun: Duration,
}

/// The jobs of this part: so many kills, each in a run of one of the templates.
pub fn jobs<'a>(
    settings: &'a Settings,
    templates: &'a Templates,
    count: usize,
    seed: u64,
) -> Result<Vec<Job<'a>>, String> {
    let mut lengths = Vec::new();
    for (key, template) in templates {
        let template = template.as_ref().map_err(Clone::clone)?;
        lengths.push((key.clone(), template, measure(settings, template)?));
    }
    let job = |number: u64| {
        let lengths = lengths.clone();
        let seed = seed.wrapping_add(number);
        let mut random = Random::new(seed);
        let chosen = random.below(lengths.len());
        let of = lengths.get(chosen).map_or_else(String::new, |((p, kind), ..)| format!("{p}, {kind}"));
        let name = format!("seed {seed}: {of}");
        let run = move |kept: &mut Option<Area>| {
            let one = |message: String| vec![message];
            let mut random = random.clone();
            let (_, template, length) =
                lengths.get(chosen).ok_or_else(|| vec!["nothing to kill".to_owned()])?;
            let area = kept.insert(template.copy(&settings.program).map_err(one)?);
            let first = disturbed(area, template, *length, &mut random).map_err(one)?;
            template.judge(area, first, (true, true), Some(&mut random))
        };
        Job { name, of, run: Box::new(run) }
    };
    Ok((0..u64::try_from(count).unwrap_or(0)).map(job).collect())
}

fn measure(settings: &Settings, template: &Template) -> Result<Lengths, String> {
    let area = template.copy(&settings.program)?;
    let before = directories(&area);
    let start = Instant::now();
    let mut child = area.start(&template.apply(), &[])?;
    wait_for_run(&area, &mut child, before);
    let begun = Instant::now();
    area.end(child)?;
    Ok(Lengths { all: start.elapsed(), begun: begun.elapsed() })
}

fn disturbed(area: &Area, template: &Template, length: Lengths, random: &mut Random) -> Result<Ran, String> {
    let before = directories(area);
    let late = random.chance(BEGUN);
    let longest = if late { length.begun } else { length.all };
    // A little longer than it takes, so that its very end is hit too.
    let longest = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX).saturating_mul(11) / 10;
    let pause = Duration::from_micros(random.next() % longest.max(1));
    let mut child = area.start(&template.apply(), &[])?;
    if late {
        wait_for_run(area, &mut child, before);
    }
    kill_after(area, child, pause, random)
}

/// How many runs have a directory.
fn directories(area: &Area) -> usize {
    std::fs::read_dir(area.path("state/runs")).map_or(0, Iterator::count)
}

fn wait_for_run(area: &Area, child: &mut Child, before: usize) {
    while directories(area) == before && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_micros(500));
    }
}
