//! Switched off, nothing comes into the census, and what is in it goes out as ever.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::hint::black_box;

use diag::heap::testing::census;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

#[repr(align(128))]
struct Line([u8; 128]);

fn line() -> Box<Line> {
    black_box(Box::new(Line([1; 128])))
}

fn is_in(line: &Line) -> bool {
    census().iter().any(|block| block.address == line.0.as_ptr().addr())
}

#[test]
fn nothing_comes_into_it() {
    let before = line();
    assert!(is_in(&before), "nobody has chosen yet");
    let diag = diag::Builder::new().env(false).census(false).agent(false).stderr(false).start();
    assert!(diag.problems().is_empty(), "{:?}", diag.problems());
    let after = line();
    assert!(is_in(&before) && !is_in(&after));
    let address = before.0.as_ptr().addr();
    drop(before);
    assert!(census().iter().all(|block| block.address != address));
}
