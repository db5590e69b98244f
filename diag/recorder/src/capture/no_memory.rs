//! Takes the place of `memory.rs` on other systems than Linux, whose memory is told in other ways.

use diag_snapshot::Resident;

/// Not known.
pub(super) fn resident(_: &str) -> Option<Resident> {
    None
}

/// Nothing to read.
pub(super) fn page_map() -> std::io::Result<()> {
    Ok(())
}
