//! How much memory the process may use, where its container has a limit.

use serde::Serialize;

use crate::Analysis;
use crate::human::{bytes, name};

/// The limit on memory that binds the process, and what is used of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MemoryLimitView {
    /// What all processes of the control group may use together.
    pub limit_bytes: u64,
    /// What they use, with the files that the kernel has cached for them; none if it is not known.
    pub used_bytes: Option<u64>,
    /// What they use beyond the cached files that the kernel takes back before it kills.
    pub working_set_bytes: Option<u64>,
    /// The folder where that was read.
    pub folder: String,
}

impl Analysis {
    /// Returns the limit on memory; none if there is none, or none is known.
    pub fn memory_limit_view(&self) -> Option<MemoryLimitView> {
        let group = self.snapshot().capture.resources.cgroup_memory.as_ref()?;
        let beyond_cache = |used: u64| used.saturating_sub(group.inactive_file_bytes.unwrap_or(0));
        Some(MemoryLimitView {
            limit_bytes: group.limit_bytes?,
            used_bytes: group.used_bytes,
            working_set_bytes: group.used_bytes.map(beyond_cache),
            folder: group.folder.clone(),
        })
    }
}

impl MemoryLimitView {
    /// All of it in a sentence.
    pub fn sentence(&self) -> String {
        let used = match self.used_bytes.zip(self.working_set_bytes) {
            Some((used, kept)) if kept < used => {
                format!(", {} used, {} of it without reclaimable file cache", bytes(used), bytes(kept))
            }
            Some((used, _)) => format!(", {} used", bytes(used)),
            None => String::new(),
        };
        format!("memory limit {}{used} ({})", bytes(self.limit_bytes), name(&self.folder))
    }
}

#[cfg(test)]
mod tests {
    use diag_snapshot::{CgroupMemory, Snapshot};

    use super::*;

    fn view(group: CgroupMemory) -> Option<MemoryLimitView> {
        let mut snapshot = Snapshot::default();
        snapshot.capture.resources.cgroup_memory = Some(group);
        Analysis::new(snapshot).memory_limit_view()
    }

    #[test]
    fn cached_files_are_told_apart() {
        let folder = || "/sys/fs/cgroup/a".to_owned();
        let group = CgroupMemory { limit_bytes: Some(1 << 30), folder: folder(), ..Default::default() };
        let of = |group| view(group).expect("there is a limit").sentence();
        assert_eq!(of(group.clone()), "memory limit 1 GiB (/sys/fs/cgroup/a)");
        let group = CgroupMemory { used_bytes: Some(900 << 20), ..group };
        assert_eq!(of(group.clone()), "memory limit 1 GiB, 900 MiB used (/sys/fs/cgroup/a)");
        let group = CgroupMemory { inactive_file_bytes: Some(70 << 20), ..group };
        let expected = "memory limit 1 GiB, 900 MiB used, 830 MiB of it without reclaimable file cache (/sys/fs/cgroup/a)";
        assert_eq!(of(group.clone()), expected);
        assert_eq!(view(CgroupMemory { limit_bytes: None, ..group }), None);
    }
}
