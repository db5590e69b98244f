//! Test: a stack goes through a library that was loaded after the tables were.

use std::ffi::CString;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use diag_test_support::folder::Folder;

use super::testing::names;
use super::*;

/// Its function has no frame pointer, so that only its tables tell who called it.
const LIBRARY: &str = r#"
#[unsafe(no_mangle)]
pub extern "C" fn through(callback: extern "C" fn()) {
    let numbers = std::hint::black_box([1_u64; 32]);
    callback();
    std::hint::black_box(numbers);
}
"#;

static TAKEN: Mutex<Vec<u64>> = Mutex::new(Vec::new());

type Callback = extern "C" fn();

extern "C" fn take() {
    let mut frames = [0; MAX_FRAMES];
    let depth = capture_until(registers(), &mut frames, u64::MAX);
    *TAKEN.lock().expect("one thread only") = frames[..depth].to_vec();
}

#[inline(never)]
fn calls_the_library(through: extern "C" fn(Callback)) {
    black_box(through)(take);
    black_box(());
}

/// Builds the library; false if this machine has no compiler at hand.
fn build(library: &Path) -> bool {
    let source = library.with_extension("rs");
    std::fs::write(&source, LIBRARY).expect("the temporary folder can be written");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition=2024", "--crate-type=cdylib", "-O"]).arg("-o").args([library, &source]);
    if method() == "frame-pointers" {
        rustc.arg("-Cforce-frame-pointers=yes");
    }
    rustc.status().is_ok_and(|status| status.success())
}

fn load(library: &Path) -> extern "C" fn(Callback) {
    let path = CString::new(library.to_str().expect("an ordinary path")).expect("no zero in it");
    // SAFETY: our own library, whose only initializers are std's, and a symbol of it with this signature.
    unsafe {
        let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
        assert!(!handle.is_null(), "{}", library.display());
        let through = libc::dlsym(handle, c"through".as_ptr());
        assert!(!through.is_null(), "the library has its function");
        std::mem::transmute::<*mut libc::c_void, extern "C" fn(Callback)>(through)
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that proves nothing must say so")]
fn a_stack_goes_through_a_library_that_came_later() {
    prepare();
    let folder = Folder::new("late-library");
    let library = folder.join("libthrough.so");
    if !build(&library) {
        return eprintln!("skipped: no rustc");
    }
    let through = load(&library);
    prepare();
    calls_the_library(through);
    let names = names(&TAKEN.lock().expect("one thread only"));
    assert!(names.len() > 1 && names[0] == "through", "{names:#?}");
    assert!(names[1].ends_with("::calls_the_library"), "{names:#?}");
    assert!(names.iter().any(|name| name.contains("thread_start") || name.contains("::main")), "{names:#?}");
}
