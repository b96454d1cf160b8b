//! The tree against the definition of RFC 6962 and against its well-known vectors.

use proptest::prelude::*;
use rectify_audit::merkle::{Frontier, Hash, leaf, node};
use sha2::{Digest as _, Sha256};

/// Section 2.1, as it is written there.
fn defined(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [one] => leaf(one),
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            node(&defined(&leaves[..split]), &defined(&leaves[split..]))
        }
    }
}

fn hex(hash: Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn roots_are_those_of_certificate_transparency() {
    // Leaves and roots of the reference implementation's own test.
    let leaves: [&[u8]; 8] = [
        &[],
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::new();
    assert_eq!(hex(frontier.root()), roots[0]);
    for (data, root) in leaves.iter().zip(&roots[1..]) {
        frontier.push(leaf(data));
        assert_eq!(hex(frontier.root()), *root, "size {}", frontier.size());
    }
}

proptest! {
    #[test]
    fn the_frontier_gives_the_root_by_definition(count in 0_usize..200, cut in 0_usize..200) {
        let leaves: Vec<Vec<u8>> = (0..count).map(|n| n.to_le_bytes().to_vec()).collect();
        let mut frontier = Frontier::new();
        for (n, data) in leaves.iter().enumerate() {
            if n == cut {
                // As if it had been stored and read in between.
                frontier = Frontier::from_bytes(frontier.size(), &frontier.to_bytes()).unwrap();
            }
            frontier.push(leaf(data));
        }
        prop_assert_eq!(frontier.root(), defined(&leaves));
        prop_assert_eq!(frontier.to_bytes().len(), 32 * frontier.size().count_ones() as usize);
        prop_assert!(Frontier::from_bytes(frontier.size() * 2 + 1, &frontier.to_bytes()).is_none());
    }
}
