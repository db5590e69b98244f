//! Whether a thread would take a signal.

use std::fs;

/// The signals that the thread blocks, signal 1 in bit 0; `None` if there is no such thread.
pub(super) fn blocked_signals(tid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/self/task/{tid}/status")).ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}
