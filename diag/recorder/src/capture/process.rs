//! What the system says of this process. Whatever cannot be read is absent, never 0.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;

use diag_snapshot::{AddressSpace, Child, DescriptorRow, MappedFileRow, Process, Resources, Strings, Table};

use super::descriptors::Targets;
use super::mapped_files::Files;
use super::{descriptors, memory};
use crate::allocator::AllocatorStats;
use crate::clock::{self, Anchor};
use crate::core_layout::CORE_LAYOUT;
use crate::fork::{self, Lock};
use crate::health::Status;
use crate::settings::Settings;
use crate::sys::procfs::{self, status_bytes, status_number};
use crate::{allocator, settings, sys};

/// Facts that do not change while the process lives.
pub(super) fn facts(anchor: &Anchor) -> Process {
    let settings = settings::current();
    let exe = procfs::executable();
    Process {
        service: service_name(&settings),
        instance: instance(anchor),
        pid: std::process::id(),
        host: procfs::host(),
        exe: exe.as_ref().map(|exe| exe.to_string_lossy().into_owned()),
        build_id: None,
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        diag_version: env!("CARGO_PKG_VERSION").to_owned(),
        debug_build: cfg!(debug_assertions),
        started_unix_us: anchor.start_unix_us,
        resource_attributes: settings.resource_attributes,
    }
}

/// What the service is called: by its settings, else by its executable.
pub(crate) fn service_name(settings: &Settings) -> String {
    let name = || procfs::executable()?.file_name()?.to_str().map(str::to_owned);
    settings.service.clone().or_else(name).unwrap_or_else(|| "unnamed".to_owned())
}

/// Writes down for readers of cores what these facts are.
pub(crate) fn tell_cores(settings: &Settings) {
    instance(&clock::anchor());
    let tables = &CORE_LAYOUT.tables;
    tables.service.enter_text(&service_name(settings));
    tables.host.enter_text(&procfs::host().unwrap_or_default());
    let attributes = settings.resource_attributes.iter();
    tables
        .attributes
        .enter_text(&attributes.map(|(key, value)| format!("{key}\0{value}\0")).collect::<String>());
}

/// The same number as long as the process lives, and a new one in a forked child.
fn instance(anchor: &Anchor) -> u64 {
    static OF_PROCESS: Lock<Option<(NonZeroU32, u64)>> = Lock::new(None);
    let mut of_process = OF_PROCESS.lock();
    let (process, pid) = (fork::process(), std::process::id());
    // The standard library's random keys. Children of one parent have the same, hence the id.
    let new = || (process, RandomState::new().hash_one((anchor.start_unix_us, pid)));
    let (_, instance) =
        of_process.filter(|(of, _)| *of == process).unwrap_or_else(|| *of_process.insert(new()));
    CORE_LAYOUT.facts.instance.set(instance);
    instance
}

fn allocator_row(stats: AllocatorStats) -> diag_snapshot::AllocatorStats {
    let AllocatorStats { name, in_use_bytes, held_bytes } = stats;
    diag_snapshot::AllocatorStats { name, in_use_bytes, held_bytes }
}

/// What the process uses.
#[derive(Default)]
pub(super) struct Usage {
    pub(super) resources: Resources,
    pub(super) mapped_files: Table<MappedFileRow>,
    pub(super) descriptors: Table<DescriptorRow>,
}

/// What the process uses now; `diag_bytes` is what the recorder has mapped for itself.
pub(super) fn usage(diag_bytes: u64, wanted: Files, strings: &mut Strings) -> Usage {
    let throttled = procfs::throttled();
    let status = procfs::status().unwrap_or_default();
    let cpu_ns = sys::cpu_times_ns();
    let (resident, files) = memory::resident(&status, wanted, strings).unzip();
    let limit = sys::most_descriptors();
    // Where none is left to read the status with, there are as many numbers as the limit has.
    let descriptors = descriptors::open(status_number(&status, "FDSize:").or(limit));
    let resources = Resources {
        rss_bytes: status_bytes(&status, "VmRSS:"),
        threads: status_number(&status, "Threads:"),
        cpu_user_ns: cpu_ns.map(|[user, _]| user),
        cpu_system_ns: cpu_ns.map(|[_, system]| system),
        open_fds: descriptors.as_ref().map(|open| open.len() as u64),
        open_fds_limit: limit,
        diag_bytes: Some(diag_bytes),
        address_space: Some(address_space()),
        throttled_us: throttled.map(|throttled| throttled.us),
        throttled_periods: throttled.map(|throttled| throttled.periods),
        cgroup_memory: procfs::cgroup_memory(),
        resident,
        allocator: allocator::stats().map(allocator_row),
        ..Resources::default()
    };
    let descriptors = descriptors.filter(|_| wanted == Files::All);
    let targets = descriptors.map(|open| descriptors::targets(&open));
    let resources = if wanted == Files::All { around(resources, targets.as_ref()) } else { resources };
    Usage {
        resources,
        mapped_files: files.filter(|_| wanted == Files::All).unwrap_or_default(),
        descriptors: targets.map(|targets| targets.rows).unwrap_or_default(),
    }
}

/// So many children are told.
const MAX_CHILDREN: usize = 64;

/// What the process has around it, each with the file that says so.
fn around(resources: Resources, targets: Option<&Targets>) -> Resources {
    let children = procfs::child_ids();
    let child = |pid: &u32| {
        let procfs::Child { pid, name, has_ended } = procfs::child(*pid)?;
        Some(Child { pid, name, has_ended, source: procfs::stat_of(pid) })
    };
    Resources {
        descriptor_targets: targets.map(|targets| targets.listed.clone()).unwrap_or_default(),
        other_targets: targets.map_or(0, |targets| targets.others),
        child_processes: children.as_ref().map(|ids| ids.len() as u64),
        children: children.map(|ids| ids.iter().take(MAX_CHILDREN).filter_map(child).collect()),
        pressure: procfs::pressure(),
        ..resources
    }
}

fn address_space() -> AddressSpace {
    let taken_bytes = crate::memory::reserved_bytes();
    let room = Some(crate::memory::room()).filter(|&room| room != u64::MAX);
    AddressSpace {
        taken_bytes,
        limit_bytes: room.map(|room| room.saturating_add(taken_bytes)),
        refused: crate::memory::refused(),
        tasks: crate::task::slab::capacity(),
        #[cfg(feature = "heap")]
        samples: crate::heap::capacity(),
        #[cfg(not(feature = "heap"))]
        samples: None,
    }
}

/// Whether the system tells of this process.
pub(crate) fn status() -> Status {
    if !procfs::IS_HERE {
        return Status::Off("read on Linux only".into());
    }
    let unread = procfs::unread();
    let Some((_, error)) = unread.first() else { return Status::Works };
    let names = unread.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    Status::Failed(
        format!(
            "of {}, {names} cannot be read ({error}): figures that come from there are absent",
            procfs::FOLDER
        )
        .into(),
    )
}
