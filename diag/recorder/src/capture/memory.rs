//! Where the resident memory of this process is: mapped files, stacks of threads, our own tables.
//!
//! The kernel counts files by itself, and for the other parts its page map is asked for just the ranges
//! in question. The cost follows the number of mappings and threads, never the size of the heap: `smaps`,
//! and `smaps_rollup` too, walk every page of it with the address space locked, 5 ms a GiB.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use diag_snapshot::Resident;

use super::process::status_bytes;
use crate::memory;

/// Stack pointers that are asked for: some 10 µs each.
const MAX_THREADS: usize = 4_096;
/// Guards below stacks are not larger.
const MAX_GUARD_BYTES: u64 = 2 << 20;
/// Pages of larger files that were changed in memory are not looked for.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Resident memory by what is mapped; `status` is the process's. `None` if the system does not tell.
pub(super) fn resident(status: &str) -> Option<Resident> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let mappings = mappings(&maps)?;
    let pages = PageMap::open().ok()?;
    let own: Vec<Range<u64>> = memory::own_ranges().collect();
    let diag_bytes_in = |range: &Range<u64>| -> u64 {
        own.iter()
            .flat_map(|own| usable(&mappings, common(own, range)))
            .map(|own| pages.own_bytes(&own))
            .sum()
    };
    // The kernel may have made one mapping of a stack and a table beside it.
    let stack_bytes = |stack: &Range<u64>| pages.own_bytes(stack).saturating_sub(diag_bytes_in(stack));
    let files = mappings.iter().filter(|mapping| mapping.is_changeable_file());
    let changed_bytes: u64 = files.map(|file| pages.own_bytes(&file.range)).sum();
    Some(Resident {
        rss_bytes: status_bytes(status, "VmRSS:")?,
        files_bytes: status_bytes(status, "RssFile:")? + status_bytes(status, "RssShmem:")? + changed_bytes,
        stacks_bytes: stacks(&mappings, &stack_pointers()).into_iter().map(stack_bytes).sum(),
        diag_bytes: diag_bytes_in(&(0..u64::MAX)),
    })
}

/// An error if the system does not tell which pages are resident.
pub(super) fn page_map() -> io::Result<()> {
    PageMap::open().map(drop)
}

/// A line of the list of mappings.
#[derive(Clone, Debug, PartialEq)]
struct Mapping {
    range: Range<u64>,
    is_readable: bool,
    is_writable: bool,
    is_shared: bool,
    is_file: bool,
    is_main_stack: bool,
}

impl Mapping {
    /// One whose pages become anonymous when they are written: data and relocations of a program.
    fn is_changeable_file(&self) -> bool {
        self.is_file && !self.is_shared && self.bytes() <= MAX_FILE_BYTES
    }

    fn bytes(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// The mappings in the text of `/proc/<pid>/maps`; `None` if it is something else.
fn mappings(maps: &str) -> Option<Vec<Mapping>> {
    maps.lines().map(mapping).collect()
}

fn mapping(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).ok());
    let access = words.next()?;
    let mut words = words.skip(2);
    let is_file = words.next()?.parse::<u64>().ok()? > 0;
    let name = words.next();
    let range = start?..end.filter(|&end| Some(end) > start)?;
    Some(Mapping {
        range,
        is_readable: access.starts_with('r'),
        is_writable: access.get(1..2) == Some("w"),
        is_shared: access.ends_with('s'),
        is_file,
        is_main_stack: name == Some("[stack]"),
    })
}

/// What of the range can be read; the rest has no pages.
fn usable(mappings: &[Mapping], range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let first = mappings.partition_point(|mapping| mapping.range.end <= range.start);
    let end = range.end;
    let here = mappings[first..].iter().take_while(move |mapping| mapping.range.start < end);
    here.filter(|mapping| mapping.is_readable).map(move |mapping| common(&mapping.range, &range))
}

/// Which of the mappings are stacks: those that a thread's stack pointer is in, and those with a guard below
/// them that are as large as one of these, for threads that run just now. The size tells them from pools of
/// other allocators, which have guards as well. The pointers ascend.
fn stacks<'a>(mappings: &'a [Mapping], pointers: &[u64]) -> Vec<&'a Range<u64>> {
    let is_stack = |mapping: &Mapping| mapping.is_writable && !mapping.is_file;
    let has_pointer = |mapping: &Mapping| {
        let next = pointers.partition_point(|&pointer| pointer < mapping.range.start);
        mapping.is_main_stack || pointers.get(next).is_some_and(|pointer| mapping.range.contains(pointer))
    };
    let guarded = |i: usize| {
        let guard = mappings.get(i.checked_sub(1)?)?;
        let is_guard = !guard.is_readable && !guard.is_file && guard.bytes() <= MAX_GUARD_BYTES;
        (is_guard && guard.range.end == mappings[i].range.start).then(|| mappings[i].bytes())
    };
    let known = (0..mappings.len()).filter(|&i| is_stack(&mappings[i]) && has_pointer(&mappings[i]));
    let sizes: Vec<u64> = known.filter_map(guarded).collect();
    let is_like_known = |i: usize| guarded(i).is_some_and(|bytes| sizes.contains(&bytes));
    let all = mappings.iter().enumerate().filter(|(_, mapping)| is_stack(mapping));
    all.filter(|(i, mapping)| has_pointer(mapping) || is_like_known(*i))
        .map(|(_, mapping)| &mapping.range)
        .collect()
}

/// The stack pointers of the threads that wait in the kernel, and that of this one.
fn stack_pointers() -> Vec<u64> {
    let here = 0_u8;
    let mut pointers = vec![std::ptr::from_ref(&here).addr() as u64];
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten().take(MAX_THREADS);
    let calls = threads.filter_map(|thread| fs::read_to_string(thread.path().join("syscall")).ok());
    pointers.extend(calls.filter_map(|call| stack_pointer(&call)));
    pointers.sort_unstable();
    pointers
}

/// The stack pointer in the text of `/proc/<pid>/task/<tid>/syscall`: the last word but one. A thread that
/// runs has none.
fn stack_pointer(call: &str) -> Option<u64> {
    let word = call.split_ascii_whitespace().rev().nth(1)?;
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

fn common(a: &Range<u64>, b: &Range<u64>) -> Range<u64> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

/// The kernel's word on each page of this process: 8 bytes a page.
struct PageMap {
    file: File,
    page_bytes: u64,
}

impl PageMap {
    /// The page is in memory.
    const PRESENT: u64 = 1 << 63;
    /// It belongs to a file, or is shared.
    const OF_FILE: u64 = 1 << 61;
    /// Nobody else has it. The page of zeros that the kernel maps where memory was only read is everybody's,
    /// and does not count as resident.
    const EXCLUSIVE: u64 = 1 << 56;

    /// Opens it, and makes sure that it can be read.
    fn open() -> io::Result<Self> {
        // SAFETY: reads a constant of the system.
        let page_bytes = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) });
        let page_bytes = page_bytes.map_err(|_| io::ErrorKind::Unsupported)?;
        let pages = PageMap { file: File::open("/proc/self/pagemap")?, page_bytes };
        let here = [0_u8; 8];
        pages.file.read_exact_at(&mut here.clone(), here.as_ptr().addr() as u64 / page_bytes * 8)?;
        Ok(pages)
    }

    /// Resident bytes of the range that are the process's own, not a file's.
    fn own_bytes(&self, range: &Range<u64>) -> u64 {
        let is_own = |word: u64| {
            word & (Self::PRESENT | Self::OF_FILE | Self::EXCLUSIVE) == Self::PRESENT | Self::EXCLUSIVE
        };
        let (mut page, end) = (range.start / self.page_bytes, range.end.div_ceil(self.page_bytes));
        let (mut counted, mut words) = (0, [0; 512 * 8]);
        while page < end {
            let room = words.len().min((end - page) as usize * 8);
            // The range may be gone meanwhile; then it holds nothing.
            let Ok(read @ 8..) = self.file.read_at(&mut words[..room], page * 8) else { break };
            let words = words[..read].as_chunks().0;
            counted += words.iter().filter(|word| is_own(u64::from_ne_bytes(**word))).count() as u64;
            page += words.len() as u64;
        }
        counted * self.page_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
        55d8393fb000-55d8393fd000 r--p 00000000 fe:00 247030   /usr/bin/service with spaces\n\
        55d8393fd000-55d8393fe000 rw-p 00002000 fe:00 247030   /usr/bin/service\n\
        55d839a00000-55d839a21000 rw-p 00000000 00:00 0        [heap]\n\
        7f0000000000-7f0000021000 rw-p 00000000 00:00 0 \n\
        7f0000021000-7f0004000000 ---p 00000000 00:00 0 \n\
        7f1000000000-7f1000001000 ---p 00000000 00:00 0 \n\
        7f1000001000-7f1000201000 rw-p 00000000 00:00 0 \n\
        7f1000201000-7f1000202000 ---p 00000000 00:00 0 \n\
        7f1000202000-7f1000402000 rw-p 00000000 00:00 0 \n\
        7f1000402000-7f1000403000 ---p 00000000 00:00 0 \n\
        7f1000403000-7f1000503000 rw-p 00000000 00:00 0 \n\
        7f2000000000-7f2000010000 rw-s 00000000 00:01 12       /dev/shm/ring (deleted)\n\
        7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0        [stack]\n\
        ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";

    #[test]
    fn every_kind_of_mapping_is_read() {
        let mappings = mappings(MAPS).expect("a list of mappings");
        assert_eq!(mappings.len(), 14);
        let changeable = mappings.iter().filter(|mapping| mapping.is_changeable_file()).count();
        assert_eq!((changeable, mappings[11].is_shared, mappings[11].is_file), (2, true, true));
        assert_eq!(mappings[5].range, 0x7f10_0000_0000..0x7f10_0000_1000);
        assert!(!mappings[5].is_readable && mappings[6].is_readable && mappings[12].is_main_stack);
    }

    #[test]
    fn a_thread_that_runs_has_a_stack_like_the_others() {
        let mappings = mappings(MAPS).expect("a list of mappings");
        let starts = |pointers: &[u64]| -> Vec<u64> {
            stacks(&mappings, pointers).iter().map(|range| range.start).collect()
        };
        // The one at 7f1000403000 has a guard too, but is smaller than the stack that is known.
        assert_eq!(starts(&[0x7f10_0010_0000]), [0x7f10_0000_1000, 0x7f10_0020_2000, 0x7ffd_0000_0000]);
        assert_eq!(starts(&[]), [0x7ffd_0000_0000]);
        // A stack pointer in a file is none.
        assert_eq!(starts(&[0x55d8_393f_d800]), [0x7ffd_0000_0000]);
    }

    #[test]
    fn garbage_is_no_list() {
        for text in ["x", "12-", "5-4 rw-p 0 0:0 0", "1-2 rw-p 0 0:0", "g-h rw-p 0 0:0 0", "1-2 é 0 0:0 0 "]
        {
            assert!(mappings(text).is_none_or(|found| !found[0].is_readable), "{text:?}");
        }
        assert_eq!(mappings(""), Some(Vec::new()));
    }

    #[test]
    fn a_stack_pointer_is_the_last_word_but_one() {
        let waiting = "202 0x7f 0x80 0x0 0x0 0x0 0x0 0x7ffc10 0x7f77\n";
        assert_eq!(stack_pointer(waiting), Some(0x7f_fc10));
        assert_eq!(stack_pointer("-1 0x7ffc10 0x7f77\n"), Some(0x7f_fc10));
        for text in ["running\n", "", "1 2", "0xq 0x1"] {
            assert_eq!(stack_pointer(text), None);
        }
    }

    /// Of all parts, files are those that `smaps` tells as well: the test is a program with libraries.
    #[test]
    fn files_are_as_large_as_smaps_says() {
        let status = fs::read_to_string("/proc/self/status").expect("Linux");
        let found = resident(&status).expect("all of it can be read").files_bytes as f64;
        let smaps = fs::read_to_string("/proc/self/smaps").expect("Linux");
        let (mut is_file, mut kib) = (false, 0.0);
        for line in smaps.lines() {
            match mapping(line) {
                Some(mapping) => is_file = mapping.is_file,
                None if is_file => {
                    let rss = line.strip_prefix("Rss:").and_then(|rest| rest.trim().split(' ').next());
                    kib += rss.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0);
                }
                None => {}
            }
        }
        let truth = kib * 1_024.0;
        // Other tests run meanwhile and touch more code.
        assert!((found - truth).abs() < 0.1 * truth + 512_000.0, "found {found}, smaps says {truth}");
    }
}
