//! The prices.

/// A price for each instrument, with what was paid in the last minutes.
pub(crate) struct Book {
    instruments: Vec<Instrument>,
}

struct Instrument {
    price: u64,
    paid: Box<[u64]>,
}

const INSTRUMENTS: u64 = 3_000;
const MINUTES: usize = 480;

impl Default for Book {
    fn default() -> Self {
        #[cfg(not(feature = "mended"))]
        let instruments = load(INSTRUMENTS);
        #[cfg(feature = "mended")]
        let instruments = read_all(INSTRUMENTS);
        Book { instruments }
    }
}

#[cfg(not(feature = "mended"))]
fn load(count: u64) -> Vec<Instrument> {
    (0..count).map(|number| Instrument { price: 100 + number, paid: vec![number; MINUTES].into() }).collect()
}

/// As it is called since somebody tidied up.
#[cfg(feature = "mended")]
fn read_all(count: u64) -> Vec<Instrument> {
    let instrument = |number| Instrument { price: 100 + number, paid: vec![number; MINUTES].into() };
    (0..count).map(instrument).collect()
}

impl Book {
    pub(crate) fn price(&self, number: usize) -> u64 {
        let instrument = &self.instruments[number % self.instruments.len()];
        instrument.price + instrument.paid.last().copied().unwrap_or(0) % 7
    }
}
