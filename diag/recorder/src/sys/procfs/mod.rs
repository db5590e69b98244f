//! The files in which Linux tells of a process. They are read here, and functions of text, which know no files,
//! take them apart. Systems without such files tell nothing.
//!
//! All of it is asked by captures and preparations, never by the service's tasks.

mod cgroup;
mod cgroup_memory;
mod descriptor;
#[cfg(samples_heap)]
mod epoll;
mod maps;
mod memory_files;
mod page_map;
mod pressure;
mod stat;
mod status;
mod syscall;
mod thread;
mod throttled;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use diag_snapshot::{CgroupMemory, DescriptorKind, Pressure};

#[cfg(samples_heap)]
pub(crate) use epoll::Registered;
#[cfg(test)]
pub(crate) use maps::{MAPS, mapping};
pub(crate) use maps::{MappedFile, Mapping, mappings};
pub(crate) use memory_files::{GroupFiles, KeptFile, ResidentFile, pressure_ppm};
pub(crate) use page_map::{PageMap, Pages};
pub(crate) use status::{status_bytes, status_number, switches};
pub(crate) use syscall::waits_at;
pub(crate) use thread::{Facts, slices};
pub(crate) use throttled::Throttled;

use super::{clock, here};

/// What this process is told of itself lies there.
pub(crate) const FOLDER: &str = "/proc/self";

/// A link to the file of the executable, also if another one has its name by now.
pub(crate) const EXECUTABLE: &str = "/proc/self/exe";

/// The path from which this process was started. A deploy puts another file there, and the kernel says of the old one that it
/// is deleted: the service is still the same.
pub(crate) fn executable() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?;
    let was = path.to_str().and_then(|path| path.strip_suffix(" (deleted)"));
    Some(was.filter(|_| !path.exists()).map(PathBuf::from).unwrap_or(path))
}

/// The memory of this process as a file.
pub(crate) const MEMORY: &str = "/proc/self/mem";

/// Whether this system has such files.
pub(crate) const IS_HERE: bool = cfg!(target_os = "linux");

/// Which of the files that say something of this process cannot be read, and why.
pub(crate) fn unread() -> Vec<(&'static str, io::Error)> {
    let open = |name| (name, File::open(format!("/proc/self/{name}")).map(drop));
    let files = ["stat", "status", "maps", "fd"].map(open);
    let all = files.into_iter().chain([("pagemap", PageMap::open().map(drop))]);
    all.filter_map(|(name, read)| Some((name, read.err()?))).collect()
}

/// The status of this process.
pub(crate) fn status() -> io::Result<String> {
    fs::read_to_string("/proc/self/status")
}

/// When this process began, since the system did (10 ms steps).
pub(crate) fn start_ns() -> Option<u64> {
    clock::ticks_ns(stat::start_ticks(&fs::read_to_string("/proc/self/stat").ok()?)?)
}

/// The text with the address space of this process, for [`mappings`], in the order of its addresses.
pub(crate) fn maps() -> Option<String> {
    fs::read_to_string("/proc/self/maps").ok()
}

/// The upper end of the first thread's stack.
pub(crate) fn main_stack_top() -> Option<u64> {
    maps::main_stack_top(&maps()?)
}

/// What the kernel counted for our control group; `None` without one, or without a limit that counts.
pub(crate) fn throttled() -> Option<Throttled> {
    let stat = |folder: &String| fs::read_to_string(format!("{folder}/cpu.stat")).ok();
    cgroup_folders("cpu")?.iter().find_map(|folder| throttled::parse(&stat(folder)?))
}

/// Memory of the control group whose limit binds us; `None` without one.
pub(crate) fn cgroup_memory() -> Option<CgroupMemory> {
    cgroup_memory::find(&cgroup_folders("memory")?, |path| fs::read_to_string(path).ok())
}

/// The control group whose limit on memory binds us, with its files open.
pub(crate) fn group_files() -> io::Result<GroupFiles> {
    let none = || io::Error::other("no control group of this process is told");
    GroupFiles::find(&cgroup_folders("memory").ok_or_else(none)?)
}

/// The file of how long tasks waited for memory: our control group's, or the system's where that has none.
pub(crate) fn memory_pressure() -> io::Result<KeptFile> {
    let group = cgroup_folders("memory").and_then(|folders| folders.into_iter().next());
    let of_group = group.and_then(|folder| KeptFile::open(format!("{folder}/memory.pressure")).ok());
    of_group.map_or_else(|| KeptFile::open("/proc/pressure/memory".to_owned()), Ok)
}

/// Where our control group has the files of a controller, then those around it.
fn cgroup_folders(controller: &str) -> Option<Vec<String>> {
    let [groups, mounts] =
        ["cgroup", "mountinfo"].map(|name| fs::read_to_string(format!("{FOLDER}/{name}")).ok());
    Some(cgroup::folders(&groups?, &mounts?, controller))
}

/// How long tasks of our control group waited, or of the system where the group does not tell; empty if nobody does.
pub(crate) fn pressure() -> Vec<Pressure> {
    let group = cgroup_folders("memory").and_then(|folders| folders.into_iter().next());
    let of = |of: &str| {
        let of_group = group.iter().map(|folder| format!("{folder}/{of}.pressure"));
        let mut paths = of_group.chain([format!("/proc/pressure/{of}")]);
        paths.find_map(|path| pressure::parse(of, &path, &fs::read_to_string(&path).ok()?))
    };
    ["cpu", "memory", "io"].into_iter().filter_map(of).collect()
}

/// The name of the machine.
pub(crate) fn host() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/hostname").ok()?.lines().next()?.to_owned())
}

/// What a descriptor stands for; `None` if it is not open. Opens none, and asks nobody behind it.
#[cfg(samples_heap)]
fn descriptor_kind(descriptor: u32) -> Option<DescriptorKind> {
    Some(descriptor::kind(&descriptor_target(descriptor)?))
}

/// The same with the path, or whatever the kernel calls it.
pub(crate) fn descriptor(descriptor: u32) -> Option<(DescriptorKind, String)> {
    let target = descriptor_target(descriptor)?;
    Some((descriptor::kind(&target), target))
}

/// Where the targets of descriptors are read.
pub(crate) const DESCRIPTORS: &str = "/proc/self/fd";

/// What a descriptor stands for, as the kernel has it: the path of a file, or `socket:[53812]`; `None` if it is not open.
fn descriptor_target(descriptor: u32) -> Option<String> {
    Some(fs::read_link(format!("/proc/self/fd/{descriptor}")).ok()?.to_string_lossy().into_owned())
}

/// The numbers of the descriptors that are open, and of the list itself; `None` if they are not told.
fn descriptors_listed() -> Option<Vec<u32>> {
    let descriptor = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    Some(fs::read_dir("/proc/self/fd").ok()?.filter_map(descriptor).collect())
}

/// All descriptors that are open, with what they stand for; none if they are not told.
pub(crate) fn descriptors() -> BTreeMap<u32, String> {
    let all = descriptors_listed().into_iter().flatten();
    all.filter_map(|number| Some((number, descriptor_target(number)?))).collect()
}

/// A child of this process that nobody has waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) pid: u32,
    pub(crate) name: String,
    /// It has ended.
    pub(crate) has_ended: bool,
}

/// The ids of the children of all threads, ascending, without a look at other processes; `None` where the kernel keeps no such list.
pub(crate) fn child_ids() -> Option<Vec<u32>> {
    let mut is_told = false;
    let mut ids: Vec<u32> = Vec::new();
    for thread in threads().ok()?.flatten() {
        let Ok(text) = of_thread(thread, "children") else { continue };
        is_told = true;
        ids.extend(text.split_ascii_whitespace().filter_map(|id| id.parse::<u32>().ok()));
    }
    ids.sort_unstable();
    is_told.then_some(ids)
}

/// The file that says so.
pub(crate) fn stat_of(pid: u32) -> String {
    format!("/proc/{pid}/stat")
}

/// What the kernel says of a child; `None` if there is no such process any more.
pub(crate) fn child(pid: u32) -> Option<Child> {
    let stat = fs::read_to_string(stat_of(pid)).ok()?;
    Some(Child { pid, name: stat::name(&stat)?.to_owned(), has_ended: stat::state(&stat) == Some('Z') })
}

/// All of them, in the order of their ids. Looks at every process that the system shows.
pub(crate) fn children() -> Vec<Child> {
    let own = u64::from(std::process::id());
    let child = |entry: io::Result<fs::DirEntry>| {
        let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let child = || {
            Some(Child {
                pid,
                name: stat::name(&stat)?.to_owned(),
                has_ended: stat::state(&stat) == Some('Z'),
            })
        };
        if stat::parent(&stat)? == own { child() } else { None }
    };
    let mut children: Vec<Child> = fs::read_dir("/proc").into_iter().flatten().filter_map(child).collect();
    children.sort_by_key(|child| child.pid);
    children
}

/// What is registered with any epoll of this process; `None` if its descriptors are not told.
#[cfg(samples_heap)]
pub(crate) fn registered() -> Option<Vec<Registered>> {
    let is_epoll = |&descriptor: &u32| descriptor_kind(descriptor) == Some(DescriptorKind::Eventpoll);
    let epolls = descriptors_listed()?.into_iter().filter(is_epoll);
    let told = epolls.filter_map(|epoll| fs::read_to_string(format!("/proc/self/fdinfo/{epoll}")).ok());
    Some(told.flat_map(|text| epoll::registered(&text)).collect())
}

/// Opens the [memory](MEMORY) of this process: where nothing is, reading fails.
pub(crate) fn memory() -> io::Result<File> {
    File::open(MEMORY)
}

/// The ids of the threads of this process.
pub(crate) fn threads() -> io::Result<impl Iterator<Item = io::Result<u32>>> {
    let id = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    Ok(fs::read_dir("/proc/self/task")?.filter_map(move |entry| entry.map(id).transpose()))
}

/// The signals that a thread blocks, signal 1 in bit 0; `None` if there is no such thread.
pub(crate) fn blocked_signals(tid: u32) -> Option<u64> {
    status::blocked_signals(&of_thread(tid, "status").ok()?)
}

/// The text of a thread's file: of `status` for [`switches`], of `syscall` for [`waits_at`], of `schedstat` for
/// [`slices`].
pub(crate) fn of_thread(tid: u32, file: &str) -> io::Result<String> {
    fs::read_to_string(format!("/proc/self/task/{tid}/{file}"))
}

/// What the kernel says of a thread; `None` if this process has none of this id.
pub(crate) fn facts(tid: u32) -> Option<Facts> {
    let read = |file| of_thread(tid, file).ok();
    let Some(stat) = read("stat") else { return here::thread_lives(tid).then(Facts::default) };
    Some(Facts::parse(&stat, read("schedstat").as_deref()))
}

/// The pages of each mapping, counted by walking them: for a test to compare with.
#[cfg(test)]
pub(crate) fn smaps() -> io::Result<String> {
    fs::read_to_string("/proc/self/smaps")
}
