//! Mapped files are told by name, with what of them is resident and what was written.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::ptr;

use diag_snapshot::{MappedFileRow, Snapshot};
use diag_test_support::folder::Folder;

const MIB: usize = 1 << 20;

/// Maps so much of a file. It stays mapped.
fn map(file: &File, bytes: usize, flags: libc::c_int) -> *mut u8 {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, which is never unmapped.
    let start = unsafe { libc::mmap(ptr::null_mut(), bytes, access, flags, file.as_raw_fd(), 0) };
    assert_ne!(start, libc::MAP_FAILED);
    // Else the kernel may map large pages at once.
    // SAFETY: our own mapping.
    unsafe { libc::madvise(start, bytes, libc::MADV_RANDOM) };
    start.cast()
}

/// Writes to each page of the first `bytes`.
fn touch(start: *mut u8, bytes: usize) {
    for at in (0..bytes).step_by(4_096) {
        // SAFETY: inside of a mapping of ours that nobody else uses.
        unsafe { start.add(at).write_volatile(1) };
    }
}

fn row(snapshot: &Snapshot, path: &Path) -> Option<MappedFileRow> {
    let path = path.to_str().expect("a name of ours");
    snapshot.mapped_files.iter().find(|row| row.path.is_some_and(|own| snapshot.strings.show(own) == path))
}

#[test]
fn mapped_files_are_told_by_name() {
    let dir = Folder::new("mapped files");
    let path = dir.join("a file");
    let file = File::options().read(true).write(true).create_new(true).open(&path).expect("a new file");
    file.set_len(8 * MIB as u64).expect("room");
    assert_eq!(row(&diag::snapshot().into_model(), &path), None);

    touch(map(&file, 8 * MIB, libc::MAP_SHARED), 4 * MIB);
    touch(map(&file, 2 * MIB, libc::MAP_PRIVATE), MIB);
    let expected = MappedFileRow {
        path: None,
        is_deleted: false,
        files: 1,
        mappings: 2,
        mapped_bytes: 10 * MIB as u64,
        resident_bytes: Some(5 * MIB as u64),
        private_dirty_bytes: Some(MIB as u64),
    };
    let snapshot = diag::snapshot().into_model();
    let found = row(&snapshot, &path).expect("it is mapped");
    assert_eq!(MappedFileRow { path: None, ..found }, expected);

    std::fs::remove_dir_all(&dir).expect("it is ours");
    let snapshot = diag::snapshot().into_model();
    let found = row(&snapshot, &path).expect("it is mapped still");
    assert_eq!(MappedFileRow { path: None, ..found }, MappedFileRow { is_deleted: true, ..expected });

    // Among the others is this program.
    let exe = std::env::current_exe().expect("a path");
    assert!(row(&snapshot, &exe).expect("it runs").resident_bytes > Some(100_000));
    let resident = snapshot.capture.resources.resident.as_ref().expect("Linux tells");
    let files_bytes: u64 = snapshot.mapped_files.iter().filter_map(|row| row.resident_bytes).sum();
    let differ = files_bytes.abs_diff(resident.files_bytes);
    assert!(differ < resident.files_bytes / 10 + 512_000, "{files_bytes} {resident:?}");
    let mappings: u64 = snapshot.mapped_files.iter().map(|row| row.mappings).sum();
    assert!(resident.mappings > Some(mappings) && resident.anonymous_bytes > Some(0));
}
