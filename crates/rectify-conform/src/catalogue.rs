//! The checks, in the order of their names.

use crate::{bed::Subject, checks as c, kit::Scene, outcome::Check};

/// What a check is about.
#[derive(Clone, Copy)]
pub(crate) enum Scope {
    /// The provider as a whole.
    Provider(fn(&Scene<'_>) -> Check),
    /// Each of its types.
    Type(fn(&Scene<'_>, &Subject<'_>) -> Check),
}

/// One check.
pub struct Entry {
    /// Its name, which is never given to another check.
    pub id: &'static str,
    /// What is done.
    pub stimulus: &'static str,
    /// What must come of it.
    pub expected: &'static str,
    pub(crate) scope: Scope,
}

impl Entry {
    /// Whether it runs for each type.
    #[must_use]
    pub fn is_for_types(&self) -> bool {
        matches!(self.scope, Scope::Type(_))
    }
}

const fn whole(
    id: &'static str,
    stimulus: &'static str,
    expected: &'static str,
    run: fn(&Scene<'_>) -> Check,
) -> Entry {
    Entry { id, stimulus, expected, scope: Scope::Provider(run) }
}

const fn each(
    id: &'static str,
    stimulus: &'static str,
    expected: &'static str,
    run: fn(&Scene<'_>, &Subject<'_>) -> Check,
) -> Entry {
    Entry { id, stimulus, expected, scope: Scope::Type(run) }
}

/// All checks. Names and meanings are those of the design's table, as far as the wire has them.
pub const CHECKS: &[Entry] = &[
    each("C01", "cancel a slow operation", "one answer; `mutated: no` only if nothing changed", c::time::c01),
    whole(
        "C02",
        "cancel what was answered and what was never asked",
        "ignored; the session is well",
        c::time::c02,
    ),
    each(
        "C03",
        "a slow operation with a deadline, cancelled there",
        "answered within 5 s, as `TIMEOUT` or `CANCELLED`",
        c::time::c03,
    ),
    each(
        "C04",
        "end of input in a slow operation",
        "ends within 10 s, nothing left; a ledger knows how",
        c::time::c04,
    ),
    each("C05", "`ping` in a slow operation", "answered within 1 s", c::time::c05),
    each(
        "C06",
        "the number of a request under way, again",
        "refused without id; one answer in all",
        c::time::c06,
    ),
    each(
        "D01",
        "two processes, other `TZ`, `LANG`, `HOME`, variables",
        "equal answers, byte for byte",
        c::exact::d01,
    ),
    each("D02", "a permuted batch, with a bad item in it, and single items", "equal answers", c::exact::d02),
    each("I01", "apply A, then plan A", "unchanged", c::again::i01),
    each("I02", "ten reads", "one fingerprint", c::again::i02),
    each("I03", "take back to nothing, twice", "the second time `already`", c::again::i03),
    each(
        "I04",
        "A over A, and A over something of somebody else",
        "unchanged; seen or refused, never overwritten unseen",
        c::again::i04,
    ),
    each(
        "I05",
        "an operation again, then with other parameters",
        "the stored result, done once; `OP_MISMATCH`",
        c::again::i05,
    ),
    each(
        "I06",
        "ledgers written by the kit, and by the provider",
        "read and written as specified",
        c::ledger::i06,
    ),
    whole(
        "K01",
        "a secret in properties, also of a failing operation",
        "its value is nowhere in any form",
        c::secret::k01,
    ),
    each(
        "K02",
        "read what others may not, with a digest key",
        "the keyed digest; neither text nor plain digest",
        c::secret::k02,
    ),
    each(
        "K03",
        "change, capture and store in sessions that may not",
        "`MODE`, and nothing changed",
        c::secret::k03,
    ),
    each(
        "K04",
        "operations, captures and failures",
        "private files 0600, nothing unfinished left",
        c::secret::k04,
    ),
    whole("K05", "a content in chunks, again, wrong, missing", "stored and checked by digest", c::blob::k05),
    whole(
        "N01",
        "a banner, a prompt without line end, a script that eats ten bytes",
        "the greeting succeeds",
        c::protocol::n01,
    ),
    whole(
        "P01",
        "`initialize` 1.0 to 1.0",
        "greeted in 10 s, after an empty line, with the session's number",
        c::protocol::p01,
    ),
    whole(
        "P02",
        "`initialize` 1.0 to 1.9, and 9.0 to 9.9",
        "1.0; `-32011` with both ranges and an end within 1 s",
        c::protocol::p02,
    ),
    whole("P03", "requests before `initialize` and before `configure`", "`-32010`", c::protocol::p03),
    whole(
        "P04",
        "unknown methods, members, notifications; twice what comes once",
        "`-32601`; ignored; `-32600`",
        c::protocol::p04,
    ),
    whole(
        "P05",
        "`manifest` twice, `schema.get`, `version`",
        "the same bytes, value and digest",
        c::protocol::p05,
    ),
    whole(
        "P06",
        "64 batches of many sizes under way",
        "each answered once, with as many items",
        c::protocol::p06,
    ),
    each("P07", "everything that may print", "every line is a message", c::protocol::p07),
    whole(
        "P08",
        "`shutdown`, another request, end of input",
        "refused; ends with 0, nothing left",
        c::protocol::p08,
    ),
    whole("P09", "no cookie; unknown arguments", "help on standard error, 64", c::protocol::p09),
    whole(
        "R01",
        "random bytes and a line end",
        "`-32700` without id; the next request is served",
        c::robust::r01,
    ),
    whole(
        "R02",
        "a line 32 times the limit",
        "`-32012`, memory bounded; the next request is served",
        c::robust::r02,
    ),
    whole("R03", "one byte a write; 1,000 requests a write", "the same answers", c::robust::r03),
    whole("R04", "hostile JSON", "each refused, nothing rounded; the session is well", c::robust::r04),
    whole(
        "R05",
        "nobody reads its output; its output is closed",
        "memory bounded, ends on TERM; ends by itself",
        c::robust::r05,
    ),
    each(
        "R06",
        "killed in an operation; a fresh process is asked",
        "begun or done, and not done again",
        c::ledger::r06,
    ),
    whole("R07", "an environment with nothing but the cookie", "works, or `DEPENDENCY`", c::robust::r07),
    whole("R08", "10,000 reads", "memory and descriptors stay", c::robust::r08),
    whole(
        "R09",
        "an answer longer than a frame",
        "`-32012` with its id; the next request is served",
        c::robust::r09,
    ),
    each("S01", "the manifest", "closed schemas, known words, places that exist", c::schema::s01),
    each(
        "S02",
        "invalid fixtures, an unknown property",
        "`SCHEMA` with the place; nothing changed",
        c::schema::s02,
    ),
    each("S03", "read A and B", "an object or nothing; the same, whatever is desired", c::schema::s03),
    each("S04", "normalize twice", "its own fixed point, meaning the same; nothing changed", c::schema::s04),
    each(
        "S05",
        "a state's fingerprint under another version of the type",
        "`STALE`; nothing changed",
        c::schema::s05,
    ),
    each(
        "S06",
        "a type that it does not have, between others",
        "`UNSUPPORTED`; its neighbours as without it",
        c::schema::s06,
    ),
    each(
        "X01",
        "an operation whose result is there already",
        "`already`; not even times change",
        c::exact::x01,
    ),
    each("X02", "A to B", "no member changes that was not planned", c::exact::x02),
    each("X03", "A to B, read and planned again", "as planned, as answered, unchanged", c::exact::x03),
    each(
        "X04",
        "validate, normalize, read and plan",
        "the sandbox is as it was, times included",
        c::exact::x04,
    ),
    each(
        "X05",
        "changed between plan and operation; another expectation",
        "`STALE`; the other change stays",
        c::exact::x05,
    ),
    each(
        "X06",
        "A to C, which has to be made anew",
        "as planned, or refused with nothing changed",
        c::exact::x06,
    ),
    each("X07", "A to B, taken back", "the fingerprint of A", c::exact::x07),
    each(
        "X08",
        "an operation that fails",
        "`mutated` is true; whole old or whole new; the session is well",
        c::exact::x08,
    ),
    each(
        "X09",
        "a lower fence, here and in another process",
        "`CONFLICT`; nothing done; the file as specified",
        c::ledger::x09,
    ),
];
