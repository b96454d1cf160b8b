//! What all targets share: half of the mutations keep the structure of the input.

pub use libfuzzer_sys;

use libfuzzer_sys::fuzzer_mutate;
use rectify_fuzz::{mutate, rng::Rng};

/// Calls a target of `rectify-fuzz` from libFuzzer.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        use $crate::libfuzzer_sys;
        libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            static CHECK: std::sync::LazyLock<fn(&[u8])> =
                std::sync::LazyLock::new(|| rectify_fuzz::target($name).unwrap().check);
            CHECK(data)
        });
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            $crate::mutated(data, size, max_size, seed)
        });
    };
}

/// Changes an input in place; the result is its new length.
pub fn mutated(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    if seed % 2 == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let changed = mutate::mutate(&data[..size], &mut Rng::new(u64::from(seed)));
    let len = changed.len().min(max_size);
    data[..len].copy_from_slice(&changed[..len]);
    len
}
