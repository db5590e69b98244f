//! Where the control group of this process has its files.

/// The folders of our group in the tree that has this controller, the group's own first, then those around it up to
/// the outermost that is mounted. Empty if there is none. `groups` is the text of `cgroup`, `mounts` of `mountinfo`.
///
/// Inside of a container the group's path may be the host's, of which only a part is mounted.
pub(super) fn folders(groups: &str, mounts: &str, controller: &str) -> Vec<String> {
    let group = |controller| groups.lines().find_map(|line| group(line, controller));
    // The second version, where the first has not got the controller, names none.
    let own = group(controller).map(|group| (group, Some(controller))).or_else(|| Some((group("")?, None)));
    let Some((group, of_first)) = own else { return Vec::new() };
    let mut mounts = mounts.lines().filter_map(|line| mount(line, of_first));
    let found = mounts.find_map(|mount| Some((below(group, &mount.root)?, mount.at)));
    let Some((path, at)) = found else { return Vec::new() };
    ancestors(path).map(|path| format!("{}{path}", at.trim_end_matches('/'))).collect()
}

/// The path of a group in a line of `cgroup`, if it is of the tree with this controller; none names the second version.
fn group<'a>(line: &'a str, controller: &str) -> Option<&'a str> {
    let mut parts = line.splitn(3, ':').skip(1);
    parts.next()?.split(',').any(|name| name == controller).then(|| parts.next())?
}

/// What of a tree is mounted, and where.
struct Mount {
    root: String,
    at: String,
}

/// A line of `mountinfo`, if it is of the first version's tree with this controller; of the second's, if it is none.
fn mount(line: &str, of_first: Option<&str>) -> Option<Mount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3).map(unescaped);
    let mut filesystem = filesystem.split(' ');
    let kind = filesystem.next()?;
    let is_ours = match of_first {
        Some(controller) => {
            kind == "cgroup" && filesystem.nth(1)?.split(',').any(|option| option == controller)
        }
        None => kind == "cgroup2",
    };
    is_ours.then_some(Mount { root: mount.next()?, at: mount.next()? })
}

/// The kernel writes blanks and backslashes of paths in octal.
fn unescaped(path: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(path.to_owned(), |path, (escape, char)| path.replace(escape, char))
}

/// The path of a group inside of a root, without a slash at its end; none if it is not in there.
fn below<'a>(group: &'a str, root: &str) -> Option<&'a str> {
    let path = group.strip_prefix(root.trim_end_matches('/'))?;
    let is_inside = path.is_empty() || path.starts_with('/');
    (is_inside && !path.split('/').any(|part| part == "..")).then(|| path.trim_end_matches('/'))
}

/// A path and all around it: `/a/b`, `/a` and the empty one.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| Some(path.rsplit_once('/')?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 /docker/ab\\040c /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    const V2: &str = "41 31 0:38 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    fn check(groups: &str, mounts: &str, controller: &str, expected: &[&str]) {
        assert_eq!(folders(groups, mounts, controller), expected, "{groups:?} {controller}");
    }

    #[test]
    fn the_own_group_comes_before_those_around_it() {
        check("0::/\n", V2, "memory", &["/sys/fs/cgroup"]);
        let nested = ["/sys/fs/cgroup/a/b.service", "/sys/fs/cgroup/a", "/sys/fs/cgroup"];
        check("0::/a/b.service\n", V2, "memory", &nested);
    }

    #[test]
    fn the_first_version_has_a_tree_for_each_controller() {
        let groups = "4:memory:/docker/ab c/d\n2:cpu,cpuacct:/\n3:cpuset:/x\n0::/y\n";
        check(groups, V1, "memory", &["/sys/fs/cgroup/memory/d", "/sys/fs/cgroup/memory"]);
        check(groups, V1, "cpu", &["/sys/fs/cgroup/cpu,cpuacct"]);
        check("4:memory:/docker/ab c\n", V1, "memory", &["/sys/fs/cgroup/memory"]);
        check("0::/y\n", V1, "memory", &["/sys/fs/cgroup/unified/y", "/sys/fs/cgroup/unified"]);
    }

    #[test]
    fn what_is_not_mounted_is_not_known() {
        check("4:memory:/docker/ab cd\n", V1, "memory", &[]);
        check("0::/../other\n", V2, "memory", &[]);
        check("0::/\n", "", "memory", &[]);
        check("", V2, "memory", &[]);
        check("no colons", "no dash", "memory", &[]);
    }
}
