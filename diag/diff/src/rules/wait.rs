//! What tasks wait for.

use super::fact::facts;

facts! {
    /// What tasks wait for.
    pub enum Wait {
        /// All of those that were asked wait there: `mpsc recv at src/orders.rs:131`.
        All { at: String },
        /// Most of those that were asked wait there.
        Most { at: String, tasks: u64, asked: u64 },
    }
}
