//! A map by numbers of the recorder's own, or by addresses, for captures: they look thousands of things up, each of which
//! would take longer to hash against those who choose keys with care than all else that is done with it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// See the module.
pub(crate) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// One multiplication a number, and one to finish.
#[derive(Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(29) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        // A map takes its place from the low bits, which know little of the high ones of a number.
        (self.0 ^ self.0 >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, BuildHasherDefault};

    use super::*;

    #[test]
    fn numbers_in_a_row_and_addresses_spread_over_low_and_high_bits() {
        let build: BuildHasherDefault<NumberHasher> = BuildHasherDefault::default();
        for step in [1, 64, 128, 4096, 1 << 32] {
            let hashes: Vec<u64> = (0..1024_u64).map(|number| build.hash_one(number * step)).collect();
            for shift in [0, 54] {
                let places: HashSet<u64> = hashes.iter().map(|hash| hash >> shift & 1023).collect();
                // By chance two thirds are met.
                assert!(places.len() > 500, "{} of 1024 by {step}, bits from {shift} on", places.len());
            }
        }
        let mut map: NumberMap<(u32, u64), u32> = NumberMap::default();
        (0..1000).for_each(|number| _ = map.insert((number, 7), number));
        assert!((0..1000).all(|number| map.get(&(number, 7)) == Some(&number)));
        assert_eq!(map.get(&(7, 8)), None);
    }
}
