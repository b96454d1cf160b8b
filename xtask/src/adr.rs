//! `adr new`: the next decision record.

use crate::run::{Outcome, root, write};

/// Writes `docs/adr/NNNN-title.md` with the next free number and prints its path.
pub fn new(title: &str) -> Outcome {
    let directory = root().join("docs/adr");
    let names = std::fs::read_dir(&directory).map_err(|e| format!("cannot read docs/adr: {e}"))?;
    let last = names
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.split_once('-')?.0.parse::<u32>().ok())
        .max()
        .unwrap_or(0);
    let slug: String = title
        .to_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-");
    let number = last + 1;
    let path = directory.join(format!("{number:04}-{slug}.md"));
    write(
        &path,
        &format!(
            "# {number}. {title}\n\n## Context\n\n\n## Decision\n\n\n## Consequences\n\n\n## Roads not taken\n\n"
        ),
    )?;
    println!("{}", path.display());
    Ok(())
}
