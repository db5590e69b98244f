//! When snapshots of a run are taken.

use std::time::Duration;

/// The first snapshot is taken at this second, when all that begins has begun.
const FIRST: u64 = 2;

/// When snapshots are taken.
#[derive(Clone, Debug, clap::Args)]
pub struct Moments {
    /// Seconds to the last snapshot.
    #[arg(long, default_value_t = 18)]
    pub seconds: u64,
    /// Seconds between two of them; the first is of the second second.
    #[arg(long, default_value_t = 4)]
    pub every: u64,
}

impl Moments {
    /// The times since the start, with numbers from 1 on.
    pub fn all(&self) -> impl Iterator<Item = (u32, Duration)> {
        let seconds = (FIRST..=self.seconds).step_by(self.every.max(1) as usize);
        (1..).zip(seconds.map(Duration::from_secs))
    }
}
