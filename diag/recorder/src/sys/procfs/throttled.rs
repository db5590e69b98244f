//! Whether the container's CPU limit holds the process up: `cpu.stat` of its control group.

/// How often and for how long the group of this process was denied the CPU, since the group was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Throttled {
    /// Periods of its quota, 100 ms as a rule, in which it was stopped.
    pub(crate) periods: u64,
    /// The sum of the times that its threads were stopped.
    pub(crate) us: u64,
}

/// Where the statistics may be, the likeliest first. Inside of a container the group's path is often the
/// host's, and its folder is mounted as if it were the root.
pub(super) fn candidates(groups: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let root = match controllers {
            "" => "/sys/fs/cgroup".to_owned(),
            // Version 1 has a tree for each set of controllers.
            _ if controllers.split(',').any(|name| name == "cpu") => format!("/sys/fs/cgroup/{controllers}"),
            _ => continue,
        };
        let group = group.trim_end_matches('/');
        paths.push(format!("{root}{group}/cpu.stat"));
        if !group.is_empty() {
            paths.push(format!("{root}/cpu.stat"));
        }
    }
    paths
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

    #[test]
    fn the_own_group_comes_before_the_root() {
        let check = |groups, expected: &[&str]| assert_eq!(candidates(groups), expected);
        check("0::/\n", &["/sys/fs/cgroup/cpu.stat"]);
        check("0::/a/b\n", &["/sys/fs/cgroup/a/b/cpu.stat", "/sys/fs/cgroup/cpu.stat"]);
        check("3:cpuset:/x\n2:cpu,cpuacct:/\n", &["/sys/fs/cgroup/cpu,cpuacct/cpu.stat"]);
        check("no colons", &[]);
    }
}
