//! Who holds what a finding is about.

use super::fact::facts;

facts! {
    /// Who holds what a finding is about.
    #[non_exhaustive]
    pub enum Holder {
        /// A thread, at a function if that is known.
        Thread { thread: u32, at: Option<String> },
        /// Handles, entries of sets, and wakers.
        Handles { handles: u64, wakers: u64 },
        /// `JoinHandle`s, and handles or wakers which nothing tells apart.
        References { handles: u64, references: u64 },
    }
}
