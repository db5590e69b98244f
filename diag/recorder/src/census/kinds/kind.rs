//! What a block of the census is.

/// What it is, as far as the rules tell that were learnt ([`learn`](super::learn)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The cell of a task of tokio, or of a closure on a blocking thread.
    Task,
    /// What the two ends of an mpsc channel of tokio share.
    Channel,
    /// The registration of a socket, or of another descriptor, with a runtime's driver.
    Socket,
    /// Something else, or nothing that the rules are sure of.
    Unknown,
    /// Allocated a moment ago: its owner may not have written it yet, and it holds what lay there before.
    New,
}
