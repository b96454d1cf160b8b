//! Asking whoever sits at the terminal.

use crate::failure::Failure;
use std::io::{IsTerminal, Write};

/// Asks a question. Only a whole `yes` is one. `otherwise` is what to do where nobody can be asked.
pub fn agreed(question: &str, otherwise: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!("nobody can be asked here; {otherwise}")));
    }
    let mut stderr = std::io::stderr();
    drop(write!(stderr, "{question} only `yes` goes on: "));
    drop(stderr.flush());
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|e| Failure::plain(format!("cannot read the answer: {e}")))?;
    Ok(answer.trim() == "yes")
}
