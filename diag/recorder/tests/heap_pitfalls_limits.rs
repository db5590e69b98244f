//! Pitfall 5: limits on address space, locked memory, huge pages. Each in a process of its own.

use std::alloc::{GlobalAlloc, Layout};
use std::process::Output;

use diag::heap::EnableError;
use diag_test_support::again::again;

static ALLOC: diag::Alloc = diag::Alloc::system();

const CHILD: &str = "HEAP_PITFALLS_CHILD";
const MIB: u64 = 1 << 20;

/// Runs the test `name` of this file again, in a process where [`CHILD`] has this value.
fn child(name: &str, value: &str) -> Output {
    let mut run = again(name);
    run.env(CHILD, value);
    run.output().expect("it runs")
}

#[track_caller]
fn passes(name: &str, value: &str) {
    let run = child(name, value);
    assert!(run.status.success(), "{name} {value}: {}", String::from_utf8_lossy(&run.stderr));
}

fn is_child() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// Lowers a limit to so many bytes, if it is not lower already.
fn limit(what: libc::__rlimit_resource_t, bytes: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid limit for the call to fill, and then to read.
    unsafe {
        assert_eq!(libc::getrlimit(what, &mut limit), 0);
        limit = libc::rlimit { rlim_cur: limit.rlim_max.min(bytes), rlim_max: limit.rlim_max.min(bytes) };
        assert_eq!(libc::setrlimit(what, &limit), 0, "a limit can be lowered");
    }
}

/// The number of bytes that the process's status has behind `key`.
fn status(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("the key is there");
    line.split_ascii_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1_024
}

/// Allocates and frees blocks of all kinds; gives how many of them were live samples.
fn blocks_are_blocks() -> usize {
    let layouts: Vec<Layout> =
        [40, 5_000, 100_000].map(|size| Layout::from_size_align(size, 8).expect("a layout")).into();
    // SAFETY: non-zero sizes, every block written within its size and freed once.
    unsafe {
        let blocks: Vec<*mut u8> = layouts.iter().map(|layout| ALLOC.alloc(*layout)).collect();
        blocks.iter().zip(&layouts).for_each(|(block, layout)| block.write_bytes(7, layout.size()));
        let live = diag::snapshot().into_model().heap.map_or(0, |heap| heap.samples.len());
        blocks.iter().zip(&layouts).for_each(|(block, layout)| ALLOC.dealloc(*block, *layout));
        live
    }
}

/// With so much address space left, in MiB: a smaller region down to none, and the service lives.
#[test]
fn little_address_space() {
    let name = "little_address_space";
    let Some(left_mib) = is_child().map(|mib| mib.parse::<u64>().expect("a number")) else {
        return [8_000, 1_000, 200, 10].iter().for_each(|left_mib: &u64| passes(name, &left_mib.to_string()));
    };
    limit(libc::RLIMIT_AS, status("VmSize:") + left_mib * MIB);
    // At the rate of services, whose tables are what counts; then every block, in the same tables.
    let enabled = diag::heap::enable(diag::heap::DEFAULT_RATE_BYTES);
    if left_mib == 10 {
        assert_eq!(enabled, Err(EnableError::NoAddressSpace));
        assert_eq!(blocks_are_blocks(), 0);
    } else {
        assert_eq!(enabled, Ok(()));
        diag::heap::enable(0).expect("the tables are there");
        assert_eq!(blocks_are_blocks(), 3, "{left_mib} MiB are enough to sample");
    }
}

/// With all future memory locked, only what is in use is resident, not the reserved range.
#[test]
fn locked_memory() {
    if is_child().is_none() {
        return passes("locked_memory", "1");
    }
    // SAFETY: no preconditions.
    if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } != 0 {
        return skipped("mlockall is not allowed here");
    }
    let before = status("VmRSS:");
    diag::heap::enable(diag::heap::DEFAULT_RATE_BYTES).expect("address space");
    diag::heap::enable(0).expect("the tables are there");
    assert_eq!(blocks_are_blocks(), 3);
    let grown_mib = (status("VmRSS:") - before) / MIB;
    assert!(grown_mib < 160, "{grown_mib} MiB became resident");
}

/// Where little may be locked, the sampler is smaller or off, and the service lives.
#[test]
fn little_may_be_locked() {
    if is_child().is_none() {
        return passes("little_may_be_locked", "1");
    }
    limit(libc::RLIMIT_MEMLOCK, status("VmSize:") + 60 * MIB);
    // SAFETY: no preconditions; without the rights of root the limit counts.
    if unsafe { libc::setuid(65_534) != 0 || libc::mlockall(libc::MCL_FUTURE) != 0 } {
        return skipped("no other user, or mlockall is not allowed here");
    }
    match diag::heap::enable(diag::heap::DEFAULT_RATE_BYTES) {
        Ok(()) => {
            diag::heap::enable(0).expect("the tables are there");
            assert_eq!(blocks_are_blocks(), 3);
        }
        Err(error) => {
            assert_eq!((error, blocks_are_blocks()), (EnableError::NoAddressSpace, 0));
        }
    }
}

/// A sampled block of 40 bytes must not make 2 MiB resident.
#[test]
fn no_huge_pages() {
    if is_child().is_none() {
        return passes("no_huge_pages", "1");
    }
    diag::heap::enable(0).expect("address space");
    let layout = Layout::from_size_align(40, 8).expect("a layout");
    // SAFETY: non-zero size; freed once.
    let block = unsafe { ALLOC.alloc(layout) };
    let maps = std::fs::read_to_string("/proc/self/smaps").expect("Linux");
    let mut inside = false;
    let flags = maps.lines().find(|line| {
        if let Some((range, _)) = line.split_once(' ')
            && let Some((from, to)) = range.split_once('-')
            && let (Ok(from), Ok(to)) = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16))
        {
            inside = (from..to).contains(&block.addr());
        }
        inside && line.starts_with("VmFlags:")
    });
    assert!(flags.is_some_and(|flags| flags.contains(" nh")), "{flags:?}");
    // SAFETY: as above.
    unsafe { ALLOC.dealloc(block, layout) };
}

#[expect(clippy::print_stderr, reason = "a test that proves nothing must say so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
