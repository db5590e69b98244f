//! The lines of names and values that `status` holds, of a process and of each thread.

/// The size after `key`, which the kernel counts in KiB.
pub(crate) fn status_bytes(status: &str, key: &str) -> Option<u64> {
    status_number(status, key)?.checked_mul(1_024)
}

/// The first number after `key`.
pub(crate) fn status_number(status: &str, key: &str) -> Option<u64> {
    value(status, key)?.split_ascii_whitespace().next()?.parse().ok()
}

/// The signals that a thread blocks, signal 1 in bit 0.
pub(super) fn blocked_signals(status: &str) -> Option<u64> {
    u64::from_str_radix(value(status, "SigBlk:")?.trim(), 16).ok()
}

/// How often a thread has left its core, by its own will and by force.
pub(crate) fn switches(status: &str) -> Vec<u64> {
    let lines = status.lines().filter(|line| line.contains("voluntary_ctxt_switches"));
    lines.filter_map(|line| line.split_ascii_whitespace().nth(1)?.parse().ok()).collect()
}

fn value<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "\
        Name:\tx\n\
        VmRSS:\t     150 kB\n\
        Threads:\t7\n\
        SigBlk:\t0000000000000201\n\
        voluntary_ctxt_switches:\t150\n\
        nonvoluntary_ctxt_switches:\t7\n";

    #[test]
    fn values_are_found_by_their_names() {
        assert_eq!(status_bytes(STATUS, "VmRSS:"), Some(150 << 10));
        assert_eq!(status_number(STATUS, "Threads:"), Some(7));
        assert_eq!(blocked_signals(STATUS), Some(0x201));
        assert_eq!(switches(STATUS), [150, 7]);
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        let status = "Name:\tx\nThreads:\tmany\n";
        assert_eq!(status_bytes(status, "VmRSS:"), None);
        assert_eq!(status_number(status, "Threads:"), None);
        assert_eq!(blocked_signals(status), None);
        assert_eq!(switches(status), [0_u64; 0]);
    }
}
