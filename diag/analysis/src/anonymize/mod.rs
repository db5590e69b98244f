//! A snapshot without what its owner may not hand on: no name, path, label or host of the service is left, and every
//! number and every finding is.
//!
//! Each word becomes another one, the same wherever it stands, so that call paths, sites and who spawned whom are as they
//! were. What std, tokio and well-known crates call their functions and files stays, as the rules read it. The one
//! number that changes is the [instance](diag_snapshot::Process::instance), which is what the words are made with: the
//! snapshots of one process have the same words and can be compared.
//!
//! A field that is forgotten here does not compile; a column that is points to a name that is not there.

mod facts;
mod names;
mod paths;
mod words;

use std::collections::HashMap;

use diag_snapshot::{
    GroupRow, GroupSiteRow, Heap, LabelRow, MappedFileRow, MemberRow, ModuleRow, NameRow, ResourceRow,
    ResourceSiteRow, SiteRow, Snapshot, Stacks, StaticRow, StringIndex, Strings, TaskRow, ThreadCpuRow,
    ThreadRow,
};

use names::rename;
use paths::rename_path;
pub use words::Key;

/// Returns the snapshot with other words in the place of the service's.
///
/// ```
/// use diag_analysis::anonymize::{Key, anonymize};
/// # let mut snapshot = diag_snapshot::Snapshot::default();
/// # snapshot.process.service = "orders".to_owned();
/// let key = Key::of_process(&snapshot);
/// let anonymous = anonymize(snapshot, &key);
/// assert_ne!(anonymous.process.service, "orders");
/// ```
pub fn anonymize(snapshot: Snapshot, key: &Key) -> Snapshot {
    let Snapshot {
        process,
        capture,
        strings,
        sites,
        lifetimes,
        poll_times,
        poll_delays,
        tasks,
        ends,
        zombies,
        parked,
        labels,
        threads,
        thread_cpu,
        cpu_samples,
        mapped_files,
        descriptors,
        resource_sites,
        resources,
        resource_ages,
        group_sites,
        groups,
        members,
        cancel_latencies,
        blocks,
        statics,
        waits,
        points,
        stacks,
        heap,
    } = snapshot;
    let mut to = Renamed { key, from: &strings, to: Strings::default(), known: HashMap::new() };
    let sites =
        sites.iter().map(|row| SiteRow { file: to.path(row.file), type_name: to.name(row.type_name), ..row });
    let sites = sites.collect();
    let tasks = tasks.iter().map(|row| TaskRow { name: row.name.map(|name| to.text(name)), ..row }).collect();
    let labels =
        labels.iter().map(|row| LabelRow { key: to.label_key(row.key), value: to.text(row.value), ..row });
    let labels = labels.collect();
    let threads =
        threads.iter().map(|row| ThreadRow { name: row.name.map(|name| to.thread(name)), ..row }).collect();
    let thread_cpu = thread_cpu
        .iter()
        .map(|row| ThreadCpuRow { name: row.name.map(|name| to.thread(name)), ..row })
        .collect();
    let mapped_files = mapped_files
        .iter()
        .map(|row| MappedFileRow { path: row.path.map(|path| to.path(path)), ..row })
        .collect();
    let resource_sites = resource_sites.iter().map(|row| ResourceSiteRow {
        name: row.name.map(|name| to.text(name)),
        file: row.file.map(|file| to.path(file)),
        function: row.function.map(|function| to.name(function)),
        ..row
    });
    let resource_sites = resource_sites.collect();
    let resources = resources.iter().map(|row| ResourceRow {
        local: row.local.map(|address| to.address(address)),
        peer: row.peer.map(|address| to.address(address)),
        ..row
    });
    let resources = resources.collect();
    let group_sites = group_sites.iter().map(|row| GroupSiteRow {
        kind: to.text(row.kind),
        file: to.path(row.file),
        ..row
    });
    let group_sites = group_sites.collect();
    let groups = groups.iter().map(|row| GroupRow {
        name: to.text(row.name),
        cancel_reason: row.cancel_reason.map(|reason| to.text(reason)),
        ..row
    });
    let groups = groups.collect();
    let members = members.iter().map(|row| MemberRow { name: to.text(row.name), ..row }).collect();
    let statics = statics
        .iter()
        .map(|row| StaticRow { symbol: row.symbol.map(|symbol| to.name(symbol)), ..row })
        .collect();
    let stacks = Stacks {
        names: stacks
            .names
            .iter()
            .map(|row| NameRow {
                function: to.function(row.function, row.file),
                file: row.file.map(|file| to.path(file)),
                ..row
            })
            .collect(),
        modules: stacks
            .modules
            .iter()
            .map(|row| ModuleRow {
                path: to.path(row.path),
                build_id: row.build_id.map(|id| to.build_id(id)),
                ..row
            })
            .collect(),
        stacks: stacks.stacks,
        frames: stacks.frames,
    };
    let heap = heap.map(|heap| {
        let Heap { facts, samples, stack_totals, stack_ages, site_totals, site_ages } = heap;
        Heap { facts: facts::heap(facts, key), samples, stack_totals, stack_ages, site_totals, site_ages }
    });
    Snapshot {
        process: facts::process(process, key),
        capture: facts::capture(capture, key),
        strings: to.to,
        sites,
        lifetimes,
        poll_times,
        poll_delays,
        tasks,
        ends,
        zombies,
        parked,
        labels,
        threads,
        thread_cpu,
        cpu_samples,
        mapped_files,
        descriptors,
        resource_sites,
        resources,
        resource_ages,
        group_sites,
        groups,
        members,
        cancel_latencies,
        blocks,
        statics,
        waits,
        points,
        stacks,
        heap,
    }
}

/// What a string is, which decides what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    /// A type or a function.
    Name,
    /// A function of this file.
    FunctionOf(Option<StringIndex>),
    Path,
    Text,
    LabelKey,
    Thread,
    Address,
    BuildId,
}

/// The strings of the new snapshot.
struct Renamed<'a> {
    key: &'a Key,
    from: &'a Strings,
    to: Strings,
    known: HashMap<(Role, StringIndex), StringIndex>,
}

impl Renamed<'_> {
    fn put(&mut self, role: Role, index: StringIndex) -> StringIndex {
        if let Some(&known) = self.known.get(&(role, index)) {
            return known;
        }
        let text = self.from.show(index);
        let key = self.key;
        let renamed = match role {
            Role::Name => rename(text, None, key),
            Role::FunctionOf(file) => rename(text, file.and_then(|file| self.from.get(file)), key),
            Role::Path => rename_path(text, key),
            Role::Text => key.text(text),
            Role::LabelKey => words::label_key(text, key),
            Role::Thread => words::thread(text, key),
            Role::Address => words::address(text, key),
            Role::BuildId => key.hex(text),
        };
        let new = self.to.intern(&renamed);
        self.known.insert((role, index), new);
        new
    }

    fn name(&mut self, index: StringIndex) -> StringIndex {
        self.put(Role::Name, index)
    }

    fn function(&mut self, index: StringIndex, file: Option<StringIndex>) -> StringIndex {
        self.put(Role::FunctionOf(file), index)
    }

    fn path(&mut self, index: StringIndex) -> StringIndex {
        self.put(Role::Path, index)
    }

    fn text(&mut self, index: StringIndex) -> StringIndex {
        self.put(Role::Text, index)
    }

    fn label_key(&mut self, index: StringIndex) -> StringIndex {
        self.put(Role::LabelKey, index)
    }

    fn thread(&mut self, index: StringIndex) -> StringIndex {
        self.put(Role::Thread, index)
    }

    fn address(&mut self, index: StringIndex) -> StringIndex {
        self.put(Role::Address, index)
    }

    fn build_id(&mut self, index: StringIndex) -> StringIndex {
        self.put(Role::BuildId, index)
    }
}
