//! Laws that hold for the renderings of every plan.

use crate::generate;
use proptest::prelude::*;
use rectify_review::{Judgement, Options, markdown, text};

proptest! {
    #[test]
    fn renderings_are_within_bounds(seeds in generate::seeds(), size in 2_000..20_000_usize) {
        let plan = generate::documents(&seeds).plan().unwrap().plan;
        let options = Options { details: true, width: 80, size_max_chars: size };
        let text = text(&plan, &options);
        for step in &plan.steps {
            prop_assert!(text.contains(step.address.as_str()));
        }
        prop_assert!(crate::page::length(&markdown(&plan, Judgement::NotAsked, &options)) <= size);
    }
}
