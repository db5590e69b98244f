//! `diag snap --core` as it is typed: what a core has of diag's tables is a snapshot for all other commands.

use std::fs;
use std::process::Command;

use diag_test_support::core_file::core_file;
use diag_test_support::core_with_tables::core_with_tables;
use diag_test_support::folder::Folder;

/// Runs `diag ARGS` in the folder.
#[track_caller]
fn check(folder: &Folder, args: &str, code: i32, says: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diag"));
    let output = command.current_dir(folder).args(args.split_whitespace()).output().expect("it runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(code), "diag {args}: {said}");
    assert!(said.contains(says), "diag {args}: {said}");
}

#[test]
fn reports_work_on_a_core_as_on_a_live_service() {
    let folder = Folder::new("snap-core");
    let put = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("a file");
    put("core", &core_with_tables(300, 2));
    check(&folder, "snap --core core -o dead.diag", 0, "dead.diag: 301 tasks of shop, ");
    check(&folder, "show dead.diag", 0, "src/main.rs:7");
    check(&folder, "show dead.diag", 0, "it was read out of a core");
    put("core.grown", &core_with_tables(3_000, 2));
    check(&folder, "snap --core core.grown -o grown.diag", 0, "3,001 tasks of shop");
    // Between the two no time has passed, so nothing is judged.
    check(&folder, "diff dead.diag grown.diag --format json", 5, "src/main.rs");
}

#[test]
fn a_core_that_cannot_be_read_is_refused_by_name() {
    let folder = Folder::new("snap-core-refused");
    let put = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("a file");
    put("newer", &core_with_tables(3, 3));
    put("bare", &core_file(&[]));
    put("core", &core_with_tables(3, 2));
    let refused = "newer: the tables in the core are of version 3, of diag 0.9.9, and this reads version 2";
    check(&folder, "snap --core newer -o never.diag", 3, refused);
    check(&folder, "snap --core bare -o never.diag", 3, "bare: no tables of diag are in the core");
    check(&folder, "snap --core none -o never.diag", 3, "none is no ELF core");
    check(&folder, "snap --core core --service other -o never.diag", 2, "of `shop`, not of `other`");
    check(&folder, "snap --exe core -o never.diag", 2, "--core");
    assert!(!folder.join("never.diag").exists());
}
