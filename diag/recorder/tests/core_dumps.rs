//! A core of a service has what it uses, not the address space that diag has reserved: told by the flags of its mappings,
//! which the kernel and gdb go by, and by gdb's `gcore` where there is one.
#![cfg(target_os = "linux")]

#[path = "common/again.rs"]
mod again;

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;

use again::again;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const CHILD: &str = "CORE_DUMPS_CHILD";
const TEST: &str = "a_core_is_no_larger_than_what_is_in_use";
/// What a core may have beyond resident memory.
const SPARE_BYTES: u64 = 64 << 20;

#[test]
fn a_core_is_no_larger_than_what_is_in_use() {
    if std::env::var_os(CHILD).is_some() {
        return idle_service();
    }
    let mut run = again(TEST);
    run.env(CHILD, "1");
    // Of which glibc reserves 64 MiB each, with or without diag.
    let run = run.env("MALLOC_ARENA_MAX", "1").output().expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

fn idle_service() {
    diag::Builder::new().agent(false).init();
    diag::heap::enable(0).expect("address space");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let _in_runtime = runtime.enter();
    let task = diag::spawn(std::future::pending::<()>());
    let small = vec![7_u8; 5_000];
    let mappings = mappings();
    let reserved = |mapping: &&Mapping| mapping.bytes() > 1 << 30;
    assert_eq!(mappings.iter().filter(reserved).count(), 2, "of tasks and of samples: {mappings:#?}");
    let dumped: u64 = mappings.iter().filter(|mapping| mapping.is_dumped()).map(Mapping::bytes).sum();
    let resident: u64 = mappings.iter().map(|mapping| mapping.resident_bytes).sum();
    assert!(dumped <= resident + SPARE_BYTES, "{dumped} of which {resident} are resident: {mappings:#?}");
    // What is in use is there for whoever reads the core.
    let of_block = mappings.iter().find(|mapping| mapping.range.contains(&(small.as_ptr().addr() as u64)));
    assert!(of_block.is_some_and(|mapping| mapping.is_dumped() && mapping.bytes() < 1 << 30), "{of_block:?}");
    check_gcore(resident);
    task.abort();
}

/// One entry of the list, and the flags below it.
#[derive(Debug)]
struct Mapping {
    range: Range<u64>,
    resident_bytes: u64,
    flags: Vec<String>,
}

impl Mapping {
    fn bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn is_dumped(&self) -> bool {
        !self.flags.iter().any(|flag| flag == "dd")
    }
}

fn mappings() -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in fs::read_to_string("/proc/self/smaps").expect("Linux").lines() {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().expect("no line is empty");
        if let Some((start, end)) = first.split_once('-') {
            let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).expect("an address"));
            mappings.push(Mapping { range: start..end, resident_bytes: 0, flags: Vec::new() });
            continue;
        }
        let mapping = mappings.last_mut().expect("a range comes first");
        match first {
            "Rss:" => {
                let kib = words.next().and_then(|kib| kib.parse::<u64>().ok());
                mapping.resident_bytes = kib.expect("a size") << 10;
            }
            "VmFlags:" => mapping.flags = words.map(str::to_owned).collect(),
            _ => {}
        }
    }
    mappings
}

fn check_gcore(resident: u64) {
    let prefix = std::env::temp_dir().join(format!("diag-core-{}", std::process::id()));
    // SAFETY: no preconditions; lets a process that is no ancestor attach, where that is otherwise not allowed.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    let pid = std::process::id().to_string();
    let run = Command::new("gcore").arg("-o").arg(&prefix).arg(&pid).output();
    let core = PathBuf::from(format!("{}.{pid}", prefix.display()));
    let size = fs::metadata(&core).map(|core| core.len());
    let _ = fs::remove_file(&core);
    match (run, size) {
        (Ok(run), Ok(size)) if run.status.success() => {
            assert!(size <= resident + SPARE_BYTES, "a core of {size} bytes, of {resident} resident");
        }
        (run, _) => skipped(&format!("no core by gdb: {:?}", run.map(|run| run.status))),
    }
}

#[expect(clippy::print_stderr, reason = "a test that proves less must say so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
