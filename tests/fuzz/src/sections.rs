//! Several named texts in one input: each begins with a line `%% name`. An input that does not begin
//! so is one text without a name.

const MARK: &[u8] = b"%% ";

/// A name, and what stands below it without the last newline before the next mark.
pub type Section<'a> = (&'a [u8], &'a [u8]);

/// Splits an input; [`join`] gives it back.
#[must_use]
pub fn split(input: &[u8]) -> Vec<Section<'_>> {
    let Some(mut rest) = input.strip_prefix(MARK) else { return vec![(b"", input)] };
    let mut sections = Vec::new();
    loop {
        let end = rest.windows(MARK.len() + 1).position(|at| at[0] == b'\n' && &at[1..] == MARK);
        let (section, next) = match end {
            Some(end) => (&rest[..end], Some(&rest[end + 1 + MARK.len()..])),
            None => (rest, None),
        };
        let line = section.iter().position(|b| *b == b'\n').unwrap_or(section.len());
        sections.push((&section[..line], section.get(line + 1..).unwrap_or_default()));
        match next {
            Some(next) => rest = next,
            None => return sections,
        }
    }
}

/// Writes sections as one input.
#[must_use]
pub fn join(sections: &[(impl AsRef<[u8]>, impl AsRef<[u8]>)]) -> Vec<u8> {
    if let [(name, body)] = sections
        && name.as_ref().is_empty()
    {
        return body.as_ref().to_vec();
    }
    let mut out = Vec::new();
    for (name, body) in sections {
        if !out.is_empty() {
            out.push(b'\n');
        }
        out.extend_from_slice(MARK);
        out.extend_from_slice(name.as_ref());
        out.push(b'\n');
        out.extend_from_slice(body.as_ref());
    }
    out
}

/// The first section of this name.
#[must_use]
pub fn find<'a>(sections: &[Section<'a>], name: &str) -> Option<&'a [u8]> {
    sections.iter().find(|section| section.0 == name.as_bytes()).map(|section| section.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_come_back() {
        for sections in [vec![("", "a\n%% b")], vec![("a", ""), ("b", "x\n"), ("a", "\n\ny")]] {
            let input = join(&sections);
            let again: Vec<_> = split(&input).iter().map(|(n, b)| (n.to_vec(), b.to_vec())).collect();
            let wanted: Vec<_> =
                sections.iter().map(|(n, b)| (n.as_bytes().to_vec(), b.as_bytes().to_vec())).collect();
            assert_eq!(again, wanted);
        }
    }
}
