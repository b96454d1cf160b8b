//! The order of versions is dpkg's own.

use proptest::prelude::*;
use rectify_provider_package::pure::{compare, is_version};
use std::{cmp::Ordering, process::Command};

/// What dpkg says; `None` where it takes one of them for no version.
fn dpkg(a: &str, b: &str) -> Option<Ordering> {
    for (relation, order) in [("lt", Ordering::Less), ("eq", Ordering::Equal), ("gt", Ordering::Greater)] {
        let output =
            Command::new("dpkg").args(["--compare-versions", "--", a, relation, b]).output().unwrap();
        if !output.stderr.is_empty() {
            return None;
        }
        if output.status.success() {
            return Some(order);
        }
    }
    panic!("dpkg has no order for `{a}` and `{b}`");
}

#[test]
fn known_versions_are_ordered() {
    for (a, b) in [
        ("1.0", "1.1"),
        ("1.0~rc1", "1.0"),
        ("1.0~~", "1.0~"),
        ("1.9", "1.10"),
        ("9.2p1-2+deb12u2", "9.2p1-2+deb12u10"),
        ("2.0", "1:1.0"),
        ("1.0-1", "1.0-1+b1"),
        ("1.0a", "1.0+"),
        ("1.0-1", "1.0-1.1"),
        ("1.0", "1.0-1"),
    ] {
        assert_eq!((compare(a, b), compare(b, a)), (Ordering::Less, Ordering::Greater), "{a} {b}");
    }
    for (a, b) in [("1.0", "0:1.0"), ("1.0", "1.00"), ("1.0-0", "1.0"), ("1.0-", "1.0")] {
        assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
    }
    for wrong in ["", "a", "1 2", "1:", ":1", "x:1", "1_2", "1.0-", "-1", "2147483648:1", "1.0-a:b"] {
        assert!(!is_version(wrong), "{wrong}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_order_is_that_of_dpkg(
        a in "([0-9]:)?[0-9][0-9a-b.+~]{0,6}(-[0-9a-b.+~]{1,4})?",
        b in "([0-9]:)?[0-9][0-9a-b.+~]{0,6}(-[0-9a-b.+~]{1,4})?",
    ) {
        if let Some(order) = dpkg(&a, &b) {
            prop_assert_eq!(compare(&a, &b), order);
            prop_assert_eq!(compare(&b, &a), order.reverse());
            prop_assert!(is_version(&a) && is_version(&b));
        }
    }

    #[test]
    fn what_is_no_version_for_dpkg_is_none_here(a in "[0-9a-z:.+~ -]{1,8}") {
        if is_version(&a) {
            prop_assert!(dpkg(&a, "1").is_some(), "{}", a);
        }
    }
}
