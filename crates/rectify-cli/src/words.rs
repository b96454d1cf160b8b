//! Small words.

/// A number with its noun: `1 change`, `2 changes`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
