//! Cores are read as the kernel writes them, and no bytes make that panic.

use std::fs;

use diag_symbols::CoreFile;
use diag_test_support::core_file::{CoreRegion, core_file};
use diag_test_support::folder::Folder;

fn example() -> Vec<u8> {
    let region = |start, flags, path: Option<&str>, content: Vec<u8>| CoreRegion {
        start,
        bytes: 8_192,
        flags,
        path: path.map(str::to_owned),
        content,
    };
    core_file(&[
        region(0x7000_0000, 6, None, vec![7; 8_192]),
        region(0x1000, 5, Some("/usr/bin/shop"), Vec::new()),
        region(0x3000, 6, Some("/usr/bin/shop"), vec![1; 4_096]),
    ])
}

#[test]
fn regions_have_their_files_access_and_bytes() {
    let folder = Folder::new("core");
    let path = folder.join("core");
    fs::write(&path, example()).expect("a file");
    let core = CoreFile::open(&path).expect("a core");
    let told: Vec<_> = core
        .regions()
        .iter()
        .map(|region| (region.start, region.write, region.execute, region.path.clone(), region.bytes.len()))
        .collect();
    let shop = || Some("/usr/bin/shop".to_owned());
    assert_eq!(
        told,
        [
            (0x1000, false, true, shop(), 0),
            (0x3000, true, false, shop(), 4_096),
            (0x7000_0000, true, false, None, 8_192)
        ]
    );
    assert!(core.regions()[2].bytes.iter().all(|byte| *byte == 7));
    fs::write(folder.join("text"), "no core at all").expect("a file");
    assert!(CoreFile::open(&folder.join("text")).is_none());
    assert!(CoreFile::open(&std::env::current_exe().expect("a path")).is_none(), "an executable is no core");
}

/// Cut at each place in the head, and with each of its bytes made absurd.
#[test]
fn damaged_cores_give_what_they_have() {
    let folder = Folder::new("core-damaged");
    let path = folder.join("core");
    let whole = example();
    let check = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("a file");
        let Some(core) = CoreFile::open(&path) else { return 0 };
        let given: usize = core.regions().iter().map(|region| region.bytes.len()).sum();
        assert!(given <= bytes.len(), "no byte twice");
        given
    };
    let head = 64 + 4 * 56 + 200;
    for at in 0..head {
        check(&whole[..at]);
        for byte in [0, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] = byte;
            check(&damaged);
        }
    }
    assert_eq!(check(&whole), 12_288);
    let cut = &whole[..whole.len() - 5_000];
    assert!((1..12_288).contains(&check(cut)));
    fs::write(&path, cut).expect("a file");
    let core = CoreFile::open(&path).expect("a core");
    let expected: u64 = core.regions().iter().map(|region| region.expected_bytes).sum();
    assert_eq!(expected, 12_288, "it is told what is missing");
}
