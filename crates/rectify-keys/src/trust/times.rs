//! Times and durations as people write them.

use jiff::Timestamp;

/// Unix seconds of `2026-11-21T09:00:00Z`. Whole seconds, in UTC, since 1970.
#[must_use]
pub fn parse_time(text: &str) -> Option<u64> {
    let timestamp: Timestamp = text.parse().ok()?;
    // One spelling: no offsets, no fractions of a second, no spaces.
    (timestamp.to_string() == text).then_some(())?;
    u64::try_from(timestamp.as_second()).ok()
}

pub(crate) fn render_time(seconds: u64) -> Option<String> {
    Some(Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?.to_string())
}

/// Seconds of `90s`, `30m`, `72h` or `31d`.
pub(crate) fn parse_duration(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return None,
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

pub(crate) fn render_duration(seconds: u64) -> String {
    match seconds {
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
