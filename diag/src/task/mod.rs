//! Task recorder.

/// Number of a spawn site in this process: an index of the recorder's site table, 20 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SiteId(pub(crate) u32);
