//! `diag memdiff` and `diag snap --pid` as they are typed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use diag_test_support::core_file::{CoreRegion, core_file};
use diag_test_support::folder::Folder;

fn diag(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_diag")).args(args).output().expect("it runs")
}

#[track_caller]
fn check(args: &[&str], code: i32, says: &str) {
    let output = diag(args);
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(says), "{said}");
}

/// A core with a heap behind the executable, and anonymous memory of so many pages of 2 MiB in all at most.
fn put(folder: &Path, name: &str, executable_pages: u64, anonymous_pages: u64) -> PathBuf {
    let content = |pages: u64, seed: u64| -> Vec<u8> {
        (0..pages)
            .flat_map(|page: u64| [page as u8, (page >> 8) as u8, seed as u8, 7].repeat(1_024))
            .collect()
    };
    let region = |start, flags, path: Option<&str>, pages, seed| CoreRegion {
        start,
        bytes: pages * 4_096,
        flags,
        path: path.map(str::to_owned),
        content: content(pages, seed),
    };
    let mut regions = vec![
        region(0x40_0000, 5, Some("/usr/bin/shop"), 1, 1),
        region(0x50_0000, 6, None, 300, 2),
        region(0x7f00_0000_0000, 6, None, anonymous_pages, 3),
    ];
    if executable_pages > 0 {
        regions.push(region(0x7f80_0000_0000, 7, None, executable_pages, 4));
    }
    let path = folder.join(name);
    fs::write(&path, core_file(&regions)).expect("a file");
    path
}

#[test]
fn cores_are_compared_and_filtered() {
    let folder = Folder::new("memdiff");
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let base = text(put(&folder, "base", 0, 100));
    let grown = text(put(&folder, "grown", 512, 100));
    let [base, grown] = [base.as_str(), grown.as_str()];
    let new = "GROWTH new anon-rwx 7f8000000000-7f8000200000: 2 MiB, 2 MiB filled";
    check(&["memdiff", "--base", base, "--target", grown], 1, new);
    check(&["memdiff", "--base", base, "--target", grown, "--filter", "heap|anon-rwx"], 1, new);
    // The whole name matches, or not.
    check(&["memdiff", "--base", base, "--target", grown, "--filter", "heap|anon-rw"], 0, "no region fills");
    check(&["memdiff", "--base", base, "--target", base], 0, "of 3 regions 3 matched");
    let healthy = ["memdiff", "--base", base, "--target", grown, "--healthy", base, "--healthy", grown];
    check(&healthy, 0, "no region fills");
    check(&["memdiff", "--base", base, "--target", grown, "--format", "json"], 1, r#""label":"anon-rwx""#);

    let cut = folder.join("cut");
    let bytes = fs::read(base).expect("a file");
    fs::write(&cut, &bytes[..bytes.len() - 8_192]).expect("a file");
    check(
        &["memdiff", "--base", base, "--target", &text(cut)],
        0,
        "note: the core is cut short: 8192 bytes are missing",
    );
    check(&["memdiff", "--base", base, "--target", "Cargo.toml"], 3, "Cargo.toml is no ELF core");
    check(&["memdiff", "--base", base, "--target", base, "--filter", "("], 2, "--filter (:");
    check(&["memdiff", "--base", base, "--target", base, "--healthy", base], 2, "twice or more");
}

/// A process that links nothing of ours, and does nothing.
#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::print_stderr, reason = "a test that proves less must say so")]
fn a_process_is_read_from_outside() {
    struct Process(std::process::Child);
    impl Drop for Process {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let sleeper = Process(Command::new("sleep").arg("600").spawn().expect("it runs"));
    let pid = sleeper.0.id().to_string();
    // Until it is what it will be, it is a copy of this test.
    diag_test_support::eventually::eventually(std::time::Duration::from_secs(60), "it sleeps", || {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if name == "sleep\n" { Ok(()) } else { Err(name) }
    });
    let folder = Folder::new("snap-pid");
    let file = folder.join("sleep.diag");
    check(
        &["snap", "--pid", &pid, "-o", &file.to_string_lossy()],
        0,
        "which need not link diag: no tasks, no heap",
    );
    let (snapshot, damages) = diag_snapshot::file::read(&file).expect("a snapshot");
    assert!(damages.is_empty() && snapshot.process.pid == sleeper.0.id() && snapshot.tasks.is_empty());
    assert!(snapshot.capture.dropped.contains_key("not_linked"));
    let resident = snapshot.capture.resources.resident.expect("smaps is told to its user");
    assert!(resident.rss_bytes > 0 && resident.mappings.is_some_and(|mappings| mappings > 5));
    assert!(!snapshot.mapped_files.is_empty() && snapshot.thread_cpu.len() == 1);
    check(&["show", &file.to_string_lossy()], 0, "read from outside");
    check(&["snap", "--pid", "4294967295", "-o", "never.diag"], 3, "cannot be read");

    if fs::File::open(format!("/proc/{pid}/mem")).is_err() {
        eprintln!("skipped: 1 comparison, as the memory of another process may not be read here");
        return;
    }
    check(&["memdiff", "--base", &pid, "--target", &pid], 0, "no region fills");
}
