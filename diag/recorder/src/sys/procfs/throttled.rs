//! Whether the container's CPU limit holds the process up: `cpu.stat` of its control group.

/// How often and for how long the group of this process was denied the CPU, since the group was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Throttled {
    /// Periods of its quota, 100 ms as a rule, in which it was stopped.
    pub(crate) periods: u64,
    /// The sum of the times that its threads were stopped.
    pub(crate) us: u64,
}

/// From the text of `cpu.stat`.
pub(super) fn parse(stat: &str) -> Option<Throttled> {
    let number = |key| {
        let line = stat.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
        line.trim().parse::<u64>().ok()
    };
    // Version 2 counts microseconds, version 1 nanoseconds.
    let us = number("throttled_usec").or_else(|| Some(number("throttled_time")? / 1_000))?;
    Some(Throttled { periods: number("nr_throttled")?, us })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read() {
        let v2 = "usage_usec 9\nnr_periods 40\nnr_throttled 7\nthrottled_usec 1234\n";
        let v1 = "nr_periods 40\nnr_throttled 7\nthrottled_time 1234567\n";
        assert_eq!(parse(v2), Some(Throttled { periods: 7, us: 1_234 }));
        assert_eq!(parse(v1), Some(Throttled { periods: 7, us: 1_234 }));
        assert_eq!(parse("usage_usec 9\nuser_usec 5\n"), None, "the root group has no limit");
    }
}
