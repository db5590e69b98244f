//! A core of a service has what it uses, not the address space that diag has reserved: told by the flags of its mappings,
//! which the kernel and gdb go by, and by gdb's `gcore` where there is one.
#![cfg(target_os = "linux")]

use std::fs;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use diag_test_support::again::again;
use diag_test_support::folder::Folder;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// What the child is to do.
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

/// glibc reserves 64 MiB of address space for a thread that allocates or frees, which a core of gdb's has as zeros, and
/// keeps it when the thread ends. The service's threads have theirs; ours need none until there is something to do.
#[test]
fn threads_that_wait_reserve_no_memory_of_malloc() {
    const TEST: &str = "threads_that_wait_reserve_no_memory_of_malloc";
    if let Ok(child) = std::env::var(CHILD) {
        return told_arenas(&child);
    }
    let arenas = |child: &str| {
        let run = again(TEST).env(CHILD, child).output().expect("it runs");
        let text = String::from_utf8_lossy(&run.stdout);
        let said =
            text.lines().find_map(|line| line.split_once("arenas: ")).map(|(_, arenas)| arenas.parse());
        let Some(Ok(arenas)) = said else {
            panic!("{child}: {text} {}", String::from_utf8_lossy(&run.stderr))
        };
        arenas
    };
    let [without, asked]: [usize; 2] = ["off", "asked"].map(arenas);
    // One run in twelve has one more, from a thread of ours that met another in malloc while it started.
    let waiting = (0..4).map(|_| arenas("waiting")).min().expect("some runs");
    assert!(without >= WORKERS, "each worker has one: {without}");
    assert_eq!(waiting, without, "none is ours");
    assert!(asked > without, "who answers has one, or this looks at nothing: {asked}");
}

const WORKERS: usize = 2;

#[expect(clippy::print_stdout, reason = "that is how it answers")]
fn told_arenas(child: &str) {
    let dir = std::env::temp_dir().join(format!("diag-arenas-{}", std::process::id()));
    let agent = (child != "off").then(|| {
        let diag = diag::Builder::new().addr(([127, 0, 0, 1], 0)).dir(&dir).every(Duration::from_secs(3_600));
        diag.start().agent_addr().expect("there is an agent")
    });
    // Each worker allocates, so that none may have the memory of a thread that has ended.
    let allocated = Arc::new(Barrier::new(1 + WORKERS));
    let on_start = {
        let allocated = Arc::clone(&allocated);
        move || {
            drop(black_box(vec![0_u8; 100]));
            allocated.wait();
        }
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(WORKERS).on_thread_start(on_start).build().expect("a runtime");
    allocated.wait();
    runtime.block_on(async { diag::spawn(async {}).await.expect("it ends") });
    if let Some(agent) = agent.filter(|_| child == "asked") {
        let mut stream = TcpStream::connect(agent).expect("it listens");
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    } else {
        // Our threads have gone to where they wait.
        std::thread::sleep(Duration::from_millis(300));
    }
    println!("arenas: {}", mappings().iter().filter(|mapping| mapping.begins_arena()).count());
}

fn idle_service() {
    diag::Builder::new().addr(([127, 0, 0, 1], 0)).init();
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
    is_private_memory: bool,
    is_of_file: bool,
    resident_bytes: u64,
    flags: Vec<String>,
}

impl Mapping {
    fn bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// As glibc lays them out: at a multiple of 64 MiB, and the first word is the address of what is kept of it, which
    /// lies in the same page.
    fn begins_arena(&self) -> bool {
        let start = self.range.start;
        if !self.is_private_memory || !start.is_multiple_of(64 << 20) {
            return false;
        }
        // SAFETY: memory of this process that can be read and stays while no thread of it ends.
        let word = unsafe { std::ptr::with_exposed_provenance::<u64>(start as usize).read_volatile() };
        (start..start + 4_096).contains(&word)
    }

    /// What is a file's, and was never written, is read from that file: neither the kernel nor gdb writes it into a core unless
    /// told to (`/proc/PID/coredump_filter`).
    fn is_dumped(&self) -> bool {
        let has = |flag: &str| self.flags.iter().any(|known| known == flag);
        !has("dd") && (!self.is_of_file || has("wr") || has("ac"))
    }
}

fn mappings() -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in fs::read_to_string("/proc/self/smaps").expect("Linux").lines() {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().expect("no line is empty");
        if let Some((start, end)) = first.split_once('-') {
            let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).expect("an address"));
            let is_writable = words.next().is_some_and(|rights| rights.starts_with("rw"));
            // Behind offset, device and inode stands a name.
            let name = words.nth(3);
            let (is_private_memory, range) = (is_writable && name.is_none(), start..end);
            let is_of_file = name.is_some_and(|name| name.starts_with('/'));
            let (resident_bytes, flags) = (0, Vec::new());
            mappings.push(Mapping { range, is_private_memory, is_of_file, resident_bytes, flags });
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
    let folder = Folder::new("core");
    let prefix = folder.join("core");
    // SAFETY: no preconditions; lets a process that is no ancestor attach, where that is otherwise not allowed.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    let pid = std::process::id().to_string();
    let run = Command::new("gcore").arg("-o").arg(&prefix).arg(&pid).output();
    let core = PathBuf::from(format!("{}.{pid}", prefix.display()));
    let size = fs::metadata(&core).map(|core| core.len());
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
