//! Finding expressions in a text, and their places in the source.

use super::Problem;
use crate::{
    codes,
    tree::{Node, Span},
};
use std::{borrow::Cow, ops::Range};

const OPEN: &str = "${{";
/// Writes `${{` itself.
const ESCAPED: &str = "$${{";

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part<'x> {
    Text(Cow<'x, str>),
    /// The source of an expression, and its place in the text.
    Expression(&'x str, Range<usize>),
}

/// Splits a text. Empty pieces of text are left out.
pub(crate) fn parts(text: &str) -> Result<Vec<Part<'_>>, Problem> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find(OPEN)) {
        let open = at + found;
        let before = text.get(at..open).unwrap_or("");
        let inner = open + OPEN.len();
        if text.get(..inner).is_some_and(|t| t.ends_with(ESCAPED)) && before.ends_with('$') {
            literal.push_str(before.get(..before.len() - 1).unwrap_or(""));
            literal.push_str(OPEN);
            at = inner;
            continue;
        }
        literal.push_str(before);
        let Some(length) = text.get(inner..).and_then(end) else {
            return Err(Problem::new(codes::EXPR_UNTERMINATED, "`${{` without `}}`")
                .at(Some(open..inner))
                .help("close the expression; write `$${{` to mean the characters themselves"));
        };
        if !literal.is_empty() {
            parts.push(Part::Text(Cow::Owned(std::mem::take(&mut literal))));
        }
        let range = inner..inner + length;
        parts.push(Part::Expression(text.get(range.clone()).unwrap_or(""), range));
        at = inner + length + 2;
    }
    literal.push_str(text.get(at..).unwrap_or(""));
    if !literal.is_empty() {
        parts.push(Part::Text(Cow::Owned(literal)));
    }
    Ok(parts)
}

/// Where the `}}` of an expression begins: not within a string, not within a map literal.
fn end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut quote, mut at) = (0_usize, None, 0);
    while let Some(byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(q), b) if q == *b => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b'{') => depth += 1,
            (None, b'}') if depth > 0 => depth -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, _) => {}
        }
        at += 1;
    }
    None
}

/// The place in the source of a range of a scalar's text.
pub(crate) fn locate(node: &Node<'_>, text: &str, range: Range<usize>, source: &str) -> Span {
    let outer = node.span.range();
    let Some(written) = source.get(outer.clone()) else { return node.span };
    let shifted = |by: usize| Span::new(outer.start + by + range.start, outer.start + by + range.end);
    if written == text {
        return shifted(0);
    }
    if written.len() == text.len() + 2 && written.get(1..written.len() - 1) == Some(text) {
        return shifted(1);
    }
    // Escapes, folding or a block: look for the same expression, counted from the front.
    let before = text.get(..range.start).unwrap_or("");
    let opened = before.matches(OPEN).count();
    let Some((found, _)) = written.match_indices(OPEN).nth(opened.saturating_sub(1)) else {
        return node.span;
    };
    let inside = range.start.saturating_sub(before.rfind(OPEN).map_or(range.start, |o| o + OPEN.len()));
    let start = found + OPEN.len() + inside;
    let wanted = text.get(range).unwrap_or("");
    if opened > 0 && written.get(start..).is_some_and(|rest| rest.starts_with(wanted)) {
        return Span::new(outer.start + start, outer.start + start + wanted.len());
    }
    Span::new(outer.start + found, outer.start + found + OPEN.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sources(text: &str) -> Vec<&str> {
        let parts = parts(text).unwrap();
        parts
            .into_iter()
            .filter_map(|p| match p {
                Part::Expression(source, _) => Some(source),
                Part::Text(_) => None,
            })
            .collect()
    }

    #[test]
    fn finds_the_end_outside_of_strings_and_maps() {
        assert_eq!(sources("a ${{ x }} b ${{y}}"), [" x ", "y"]);
        assert_eq!(sources("${{ '}}' + \"}}\" }}"), [" '}}' + \"}}\" "]);
        assert_eq!(sources("${{ {'a': {'b': 1}}}}"), [" {'a': {'b': 1}}"]);
        assert_eq!(sources(r"${{ 'it\'s }}' }}"), [r" 'it\'s }}' "]);
    }

    #[test]
    fn an_escaped_opening_is_text() {
        assert_eq!(parts("a $${{ b").unwrap(), [Part::Text("a ${{ b".into())]);
        assert_eq!(parts("plain").unwrap(), [Part::Text("plain".into())]);
        assert_eq!(parts("").unwrap(), []);
    }

    #[test]
    fn an_open_expression_is_an_error() {
        assert_eq!(parts("a ${{ 'x }}").unwrap_err().range, Some(2..5));
    }
}
