//! In a library that is loaded at run time, thread-locals are reached another way and the allocator is not the
//! process's own: samples are taken all the same.

mod beside;

use std::ffi::CString;
use std::path::Path;

use diag_test_support::folder::Folder;

const LIBRARY: &str = r#"
#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// How many of 100 blocks are known while they live, and how many afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn samples() -> u64 {
    diag::heap::enable(0).expect("address space");
    let known = || {
        let heap = diag::snapshot().into_model().heap.expect("the sampler is on");
        heap.samples.iter().filter(|sample| sample.size_bytes == 4_321).count() as u64
    };
    let blocks: Vec<Vec<u8>> = (0..100).map(|_| std::hint::black_box(vec![0; 4_321])).collect();
    let before = known();
    drop(std::thread::spawn(move || drop(blocks)).join());
    before << 32 | known()
}
"#;

fn build(library: &Path) -> bool {
    let Some(mut rustc) = beside::rustc() else { return false };
    let source = library.with_extension("rs");
    std::fs::write(&source, LIBRARY).expect("the temporary folder can be written");
    rustc.arg("--crate-type=cdylib").arg("-o").args([library, &source]);
    rustc.status().is_ok_and(|status| status.success())
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that proves nothing must say so")]
fn a_library_that_is_loaded_samples_its_own_blocks() {
    let folder = Folder::new("cdylib");
    let library = folder.join("libsampled.so");
    if !build(&library) {
        return eprintln!("skipped: no rustc, or another build of diag");
    }
    let path = CString::new(library.to_str().expect("an ordinary path")).expect("no zero in it");
    // SAFETY: our own library, whose only initializers are std's, and a symbol of it with this signature.
    let samples = unsafe {
        let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
        assert!(!handle.is_null(), "{}", library.display());
        let samples = libc::dlsym(handle, c"samples".as_ptr());
        assert!(!samples.is_null(), "the library has its function");
        std::mem::transmute::<*mut libc::c_void, extern "C" fn() -> u64>(samples)
    };
    assert_eq!(samples(), 100 << 32);
}
