//! Kills at random times, of an executable that has no points for it.

use super::{
    Job, Settings,
    area::Area,
    ending::kill_after,
    matrix::{Kind, Template},
};
use crate::random::Random;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The jobs of this part: so many kills, one after the other in a run of the templates.
pub fn jobs<'a>(
    settings: &'a Settings,
    templates: &'a BTreeMap<(String, Kind), Result<Template, String>>,
    count: usize,
    seed: u64,
) -> Result<Vec<Job<'a>>, String> {
    // How long each takes when nobody disturbs it.
    let mut lengths = Vec::new();
    for (key, template) in templates {
        let template = template.as_ref().map_err(Clone::clone)?;
        let area = template.copy(&settings.program)?;
        let begin = Instant::now();
        area.rectify(&template.apply())?;
        lengths.push((key.clone(), template, begin.elapsed()));
    }
    let job = |number: u64| {
        let lengths = lengths.clone();
        let seed = seed.wrapping_add(number);
        let mut random = Random::new(seed);
        let chosen = random.below(lengths.len());
        let name = lengths
            .get(chosen)
            .map_or_else(String::new, |((provider, kind), ..)| format!("seed {seed}: {provider}, {kind}"));
        let run = move |kept: &mut Option<Area>| {
            let one = |message: String| vec![message];
            let mut random = random.clone();
            let (_, template, length) =
                lengths.get(chosen).ok_or_else(|| vec!["nothing to kill".to_owned()])?;
            let area = kept.insert(template.copy(&settings.program).map_err(one)?);
            let longest = u64::try_from(length.as_micros()).unwrap_or(u64::MAX).saturating_mul(11) / 10;
            let pause = Duration::from_micros(random.next() % longest.max(1));
            let child = area.start(&template.apply(), &[]).map_err(one)?;
            let first = kill_after(area, child, pause, &mut random).map_err(one)?;
            template.judge(area, first, true, Some(&mut random))
        };
        Job { name, run: Box::new(run) }
    };
    Ok((0..u64::try_from(count).unwrap_or(0)).map(job).collect())
}
