//! "Did you mean": the closest of the words that would have been right.

/// Words longer than this are never compared.
const WORD_MAX_BYTES: usize = 64;

/// The closest candidate that differs by a third of the word at most; the first of equals.
#[must_use]
pub fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let count = word.chars().count();
    // Of a single letter any other is as close.
    if word.len() > WORD_MAX_BYTES || count < 2 {
        return None;
    }
    let allowed = (count / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate.len() > WORD_MAX_BYTES || candidate.len().abs_diff(word.len()) > allowed * 4 {
            continue;
        }
        let distance = distance(word, candidate);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Edit distance with insertion, deletion, replacement and exchange of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |line: &[usize], k: usize| line.get(k).copied().unwrap_or(usize::MAX - 1);
            let mut least =
                (at(&above, j) + usize::from(x != y)).min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_closest_word_and_no_stranger() {
        let words = ["after", "on_change", "verify"];
        assert_eq!(closest("aftre", words), Some("after"));
        assert_eq!(closest("onchange", words), Some("on_change"));
        assert_eq!(closest("because", words), None);
        assert_eq!(closest("", words), None);
        assert_eq!(closest("a", ["b"]), None);
    }

    #[test]
    fn an_exchange_counts_once() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
