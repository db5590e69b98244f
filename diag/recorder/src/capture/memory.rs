//! Where the resident memory of this process is: mapped files, stacks of threads, our own tables.
//!
//! The kernel counts files by itself, and for the other parts its page map is asked for just the ranges
//! in question. The cost follows the number of mappings and threads, never the size of the heap: `smaps`,
//! and `smaps_rollup` too, walk every page of it with the address space locked, 5 ms a GiB.

use std::ops::Range;

use diag_snapshot::{MappedFileRow, Resident, Strings, Table};

use super::mapped_files::{Files, MappedFiles};
use crate::memory;
use crate::sys::procfs::{self, Mapping, PageMap, status_bytes};

/// Stack pointers that are asked for: some 10 µs each.
const MAX_THREADS: usize = 4_096;
/// Guards below stacks are not larger.
const MAX_GUARD_BYTES: u64 = 2 << 20;

/// Resident memory by what is mapped, and the files among that; `status` is the process's. `None` if the system does
/// not tell.
pub(super) fn resident(
    status: &str,
    wanted: Files,
    strings: &mut Strings,
) -> Option<(Resident, Table<MappedFileRow>)> {
    let maps = procfs::maps()?;
    let mappings = procfs::mappings(&maps)?;
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
    let files = MappedFiles::read(&mappings, &pages, wanted);
    let bytes = |key| status_bytes(status, key);
    let resident = Resident {
        rss_bytes: bytes("VmRSS:")?,
        files_bytes: bytes("RssFile:")? + bytes("RssShmem:")? + files.private_dirty_bytes(),
        stacks_bytes: stacks(&mappings, &stack_pointers()).into_iter().map(stack_bytes).sum(),
        diag_bytes: diag_bytes_in(&(0..u64::MAX)),
        anonymous_bytes: bytes("RssAnon:"),
        swapped_bytes: bytes("VmSwap:"),
        mappings: Some(mappings.len() as u64),
    };
    Some((resident, files.rows(strings)))
}

/// What of the range can be read; the rest has no pages.
fn usable(mappings: &[Mapping<'_>], range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let first = mappings.partition_point(|mapping| mapping.range.end <= range.start);
    let end = range.end;
    let here = mappings[first..].iter().take_while(move |mapping| mapping.range.start < end);
    here.filter(|mapping| mapping.is_readable).map(move |mapping| common(&mapping.range, &range))
}

/// Which of the mappings are stacks: those that a thread's stack pointer is in, and those with a guard below
/// them that are as large as one of these, for threads that run just now. The size tells them from pools of
/// other allocators, which have guards as well. The pointers ascend.
fn stacks<'a>(mappings: &'a [Mapping<'_>], pointers: &[u64]) -> Vec<&'a Range<u64>> {
    let is_stack = |mapping: &Mapping<'_>| mapping.is_writable && mapping.file.is_none();
    let has_pointer = |mapping: &Mapping<'_>| {
        let next = pointers.partition_point(|&pointer| pointer < mapping.range.start);
        mapping.is_main_stack || pointers.get(next).is_some_and(|pointer| mapping.range.contains(pointer))
    };
    let guarded = |i: usize| {
        let guard = mappings.get(i.checked_sub(1)?)?;
        let is_guard = !guard.is_readable && guard.file.is_none() && guard.bytes() <= MAX_GUARD_BYTES;
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
    let threads = procfs::threads().into_iter().flatten().flatten().take(MAX_THREADS);
    let calls = threads.filter_map(|thread| procfs::of_thread(thread, "syscall").ok());
    pointers.extend(calls.filter_map(|call| Some(procfs::waits_at(&call)?.1)));
    pointers.sort_unstable();
    pointers
}

fn common(a: &Range<u64>, b: &Range<u64>) -> Range<u64> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::procfs::MAPS;

    #[test]
    fn a_thread_that_runs_has_a_stack_like_the_others() {
        let mappings = procfs::mappings(MAPS).expect("a list of mappings");
        let starts = |pointers: &[u64]| -> Vec<u64> {
            stacks(&mappings, pointers).iter().map(|range| range.start).collect()
        };
        // The one at 7f1000403000 has a guard too, but is smaller than the stack that is known.
        assert_eq!(starts(&[0x7f10_0010_0000]), [0x7f10_0000_1000, 0x7f10_0020_2000, 0x7ffd_0000_0000]);
        assert_eq!(starts(&[]), [0x7ffd_0000_0000]);
        // A stack pointer in a file is none.
        assert_eq!(starts(&[0x55d8_393f_d800]), [0x7ffd_0000_0000]);
    }

    /// Of all parts, files are those that `smaps` tells as well: the test is a program with libraries.
    #[test]
    fn files_are_as_large_as_smaps_says() {
        let status = procfs::status().expect("Linux");
        let found = resident(&status, Files::All, &mut Strings::default()).expect("all of it can be read");
        let found = found.0.files_bytes as f64;
        let smaps = procfs::smaps().expect("Linux");
        let (mut is_file, mut kib) = (false, 0.0);
        for line in smaps.lines() {
            match procfs::mapping(line) {
                Some(mapping) => is_file = mapping.file.is_some(),
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
