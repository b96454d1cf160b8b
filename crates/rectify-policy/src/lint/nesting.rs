//! Depth of brackets, before anything is parsed: the parser of the engine recurses, and gives up
//! on deep nesting only after trying every way to read it.

use crate::{PolicyError, codes, limits};

/// What the scanner is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Code,
    Comment,
    String,
    Escape,
    RawString,
}

/// Refuses a file whose brackets are nested too deeply.
pub(crate) fn check_nesting(path: &str, text: &str) -> Result<(), PolicyError> {
    let mut state = In::Code;
    let mut depth: usize = 0;
    let (mut line, mut column): (usize, usize) = (1, 0);
    for byte in text.bytes() {
        column = column.saturating_add(1);
        state = match (state, byte) {
            (In::Code, b'#') => In::Comment,
            (In::Code, b'"') | (In::Escape, _) => In::String,
            (In::Code, b'`') => In::RawString,
            (In::Comment, b'\n') | (In::String, b'"') | (In::RawString, b'`') => In::Code,
            (In::String, b'\\') => In::Escape,
            (In::Code, b'[' | b'{' | b'(') => {
                depth = depth.saturating_add(1);
                if depth > limits::NESTING_MAX {
                    let message = format!("more than {} brackets are nested", limits::NESTING_MAX);
                    let place = format!("{path}:{line}:{column}");
                    return Err(PolicyError::new(codes::POLICY_TOO_DEEP, place, message));
                }
                In::Code
            }
            (In::Code, b']' | b'}' | b')') => {
                depth = depth.saturating_sub(1);
                In::Code
            }
            (same, _) => same,
        };
        if byte == b'\n' {
            line = line.saturating_add(1);
            column = 0;
        }
    }
    Ok(())
}
