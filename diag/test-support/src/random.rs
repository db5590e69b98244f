//! Chance that is the same in every run.

/// Numbers without a pattern, by the splitmix64 generator (Steele, Lea, Flood 2014).
#[derive(Debug)]
pub struct SplitMix(pub u64);

impl SplitMix {
    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Any number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// Most values small, some very large, as times are: any magnitude below `end` is as likely.
    pub fn log_below(&mut self, end: u64) -> u64 {
        let bits = self.below(u64::from(64 - end.leading_zeros()));
        self.below(2 << bits)
    }
}

/// Fractions without a pattern, by the xorshift64* generator (Vigna 2016).
#[derive(Debug)]
pub struct XorShift(u64);

impl XorShift {
    /// One seed, one sequence.
    pub fn new(seed: u64) -> Self {
        XorShift(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Uniform in (0, 1].
    pub fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.uniform().ln()
    }
}
