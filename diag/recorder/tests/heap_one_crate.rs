//! A service of one crate, whose `#[global_allocator]` lies in the file of the code that allocates: each block is
//! known by the function that asked for it, and none by the allocator. Also with an allocator of the service's
//! own around ours, in builds of every kind that `rustc` makes against the library beside this test.

mod beside;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use diag_analysis::allocation_sites::AllocationSites;
use diag_test_support::folder::Folder;

/// The five lines of the README.
const PLAIN: &str = "#[global_allocator]\nstatic ALLOC: diag::Alloc = diag::Alloc::system();";

/// What counts bytes, as services do that had no profiler.
const WRAPPED: &str = r#"
struct Count(diag::Alloc);
static BYTES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
unsafe impl std::alloc::GlobalAlloc for Count {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        self.count(layout);
        unsafe { self.0.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: std::alloc::Layout) {
        unsafe { self.0.dealloc(block, layout) }
    }
}
impl Count {
    fn count(&self, layout: std::alloc::Layout) {
        BYTES.fetch_add(layout.size(), std::sync::atomic::Ordering::Relaxed);
    }
}
#[global_allocator]
static ALLOC: Count = Count(diag::Alloc::system());
"#;

/// Each function keeps 1,000 blocks of about 1,000 bytes.
const SERVICE: &str = r#"
#[inline(never)]
fn buffers(kept: &mut Vec<Vec<u8>>) { for i in 0..1_000 { kept.push(Vec::with_capacity(1_000 + i % 7)); } }
#[inline(never)]
fn texts(kept: &mut Vec<String>) { for i in 0..1_000 { kept.push(format!("{i} {}", "x".repeat(990))); } }
#[inline(never)]
fn slices(kept: &mut Vec<Box<[u8]>>) { for i in 0..1_000 { kept.push(vec![1; 1_000 + i % 5].into()); } }
#[inline(never)]
fn zeros(kept: &mut Vec<Vec<u8>>) { for i in 0..1_000 { kept.push(vec![0; 1_000 + i % 5]); } }
#[inline(never)]
fn nodes(kept: &mut Vec<Box<[u64; 128]>>) { for i in 0..1_000 { kept.push(Box::new([i; 128])); } }
struct Arena(Vec<usize>);
impl Arena {
    #[inline(never)]
    fn alloc(&mut self) {
        let layout = std::alloc::Layout::from_size_align(1_000, 8).expect("a layout");
        self.0.push(unsafe { std::alloc::alloc(layout) } as usize);
    }
}
fn main() {
    diag::heap::enable(0).expect("address space");
    let (mut a, mut b, mut c, mut d, mut e) = (vec![], vec![], vec![], vec![], vec![]);
    (buffers(&mut a), texts(&mut b), slices(&mut c), zeros(&mut d), nodes(&mut e));
    let mut arena = Arena(Vec::new());
    for _ in 0..1_000 { arena.alloc(); }
    diag::snapshot_to(std::env::args().nth(1).expect("a path")).expect("written");
    std::hint::black_box((&a, &b, &c, &d, &e, &arena.0));
}
"#;

const OWNERS: [&str; 6] = ["buffers", "texts", "slices", "zeros", "nodes", "alloc"];

/// The service, built with these flags; `None` without a compiler.
fn build(folder: &Path, name: &str, allocator: &str, flags: &[&str]) -> Option<PathBuf> {
    let program = folder.join(name);
    let source = program.with_extension("rs");
    std::fs::write(&source, format!("{allocator}{SERVICE}")).expect("the temporary folder can be written");
    let mut rustc = beside::rustc()?;
    rustc.args(["--crate-name=shop", "-o"]).args([&program, &source]).args(flags).current_dir(folder);
    rustc.status().is_ok_and(|status| status.success()).then_some(program)
}

/// Live bytes by the function that they are known by.
fn by_function(program: &Path) -> BTreeMap<Arc<str>, f64> {
    let file = program.with_extension("diag");
    let status = Command::new(program).arg(&file).status().expect("it was built");
    assert!(status.success(), "{}", program.display());
    let (snapshot, _) = diag_snapshot::file::read(&file).expect("it was written");
    let sites = AllocationSites::new(&snapshot);
    let mut by_function = BTreeMap::new();
    for sample in snapshot.heap.as_ref().expect("the sampler is on").samples.iter() {
        let function = sites.site(sample.stack).function;
        *by_function.entry(function).or_default() += sample.weight_bytes();
    }
    by_function
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that proves nothing must say so")]
fn each_block_is_known_by_who_asked_for_it() {
    let builds: [(&str, &str, &[&str]); 5] = [
        ("debug", PLAIN, &["-Cdebuginfo=2"]),
        ("release", PLAIN, &["-Copt-level=3", "-Cdebuginfo=line-tables-only"]),
        ("symbols", PLAIN, &["-Copt-level=3", "-Cdebuginfo=0"]),
        ("wrapped", WRAPPED, &["-Copt-level=3", "-Cdebuginfo=line-tables-only", "-Ccodegen-units=1"]),
        ("v0", WRAPPED, &["-Copt-level=3", "-Cdebuginfo=2", "-Csymbol-mangling-version=v0"]),
    ];
    let folder = Folder::new("one-crate");
    for (name, allocator, flags) in builds {
        let Some(program) = build(&folder, name, allocator, flags) else {
            return eprintln!("skipped: no rustc, or another build of diag");
        };
        let found = by_function(&program);
        for owner in OWNERS {
            let is_owner = |function: &str| function.contains("shop::") && function.contains(owner);
            let owned = found.iter().filter(|(function, _)| is_owner(function)).map(|(_, bytes)| bytes);
            let owned: f64 = owned.sum();
            assert!(owned > 900_000.0, "{name}: {owner} has {owned} bytes of {found:#?}");
        }
        let is_entry = |function: &str| function.contains("__rust") || function.contains("Count");
        let of_allocator: Vec<_> = found.keys().filter(|function| is_entry(function)).collect();
        assert!(of_allocator.is_empty(), "{name}: {of_allocator:?}");
    }
}
