//! A disk that is full: the oldest files of the series give way to the next, and when others take all of it,
//! one good file stays.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diag_test_support::eventually::eventually;

const PATIENCE: Duration = Duration::from_secs(60);

/// A small disk in memory, which is there as long as this is.
struct Disk(PathBuf);

impl Disk {
    fn mount() -> Option<Self> {
        let path = std::env::temp_dir().join(format!("diag-disk-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let arguments = ["-t", "tmpfs", "-o", "size=256k", "diag-test"];
        let mounted = Command::new("mount").args(arguments).arg(&path).output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        if !is_mounted {
            let _ = fs::remove_dir(&path);
        }
        is_mounted.then_some(Disk(path))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn the_series_goes_on_and_keeps_one_good_file() {
    let Some(disk) = Disk::mount() else {
        let _ = writeln!(std::io::stderr(), "skipped: 1 test, no disk of its own to be had");
        return;
    };
    let dir = disk.0.join("series");
    // Some 10 KiB a file, which cannot be compressed: far fewer than a thousand find room.
    let mut random = 1_u32;
    let mut digit = || {
        random = random.wrapping_mul(747_796_405).wrapping_add(1);
        char::from_digit(random >> 28, 16).unwrap()
    };
    let text: String = (0..20_000).map(|_| digit()).collect();
    let builder = diag::Builder::new().service("series").agent(false).resource_attribute("text", &text);
    let guard = builder.dir(&dir).every(Duration::from_millis(100)).keep(1_000).start();
    let names = || -> Vec<String> {
        let Ok(entries) = fs::read_dir(&dir) else { return Vec::new() };
        let names = entries.flatten().map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".diag")).collect();
        names.sort();
        names
    };
    let first = eventually(PATIENCE, "six files", || {
        let names = names();
        if names.len() >= 6 { Ok(names[0].clone()) } else { Err(names) }
    });
    // Something else takes what is left of it: a log, say.
    let log = disk.0.join("log");
    fill(&log);
    eventually(PATIENCE, "the oldest file gives way", || {
        let names = names();
        if names.contains(&first) { Err(names) } else { Ok(()) }
    });
    let before = names();
    // And goes on to do so, faster than the series can take the room it makes.
    let is_logging = AtomicBool::new(true);
    let last = std::thread::scope(|threads| {
        threads.spawn(|| {
            while is_logging.load(Ordering::Relaxed) {
                fill(&log);
            }
        });
        // Ends the log also when a wait is in vain: the scope joins it.
        let _end = OnDrop(|| is_logging.store(false, Ordering::Relaxed));
        eventually(PATIENCE, "one file is left", || {
            let names = names();
            if names.len() == 1 { Ok(()) } else { Err(names) }
        });
        let skipped =
            || diag::snapshot().into_model().capture.dropped.get("files_skipped").copied().unwrap_or(0);
        let skipped_before = skipped();
        eventually(PATIENCE, "more are skipped", || {
            let skipped = skipped();
            if skipped > skipped_before + 2 { Ok(()) } else { Err(skipped) }
        });
        // The next one may be about to take its place, and gets no room either.
        eventually(PATIENCE, "one good file", || {
            let [last] = <[String; 1]>::try_from(names())?;
            let read = diag_snapshot::file::read(&dir.join(&last));
            if read.is_ok_and(|(_, damage)| damage.is_empty()) { Ok(last) } else { Err(vec![last]) }
        })
    });
    assert!(before.len() > 1 && last >= *before.last().unwrap(), "{last} of {before:?}");
    // And there is room again.
    fs::remove_file(&log).unwrap();
    eventually(PATIENCE, "three files", || {
        let names = names();
        if names.len() >= 3 { Ok(()) } else { Err(names) }
    });
    drop(guard);
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Writes to a file until there is no room.
fn fill(path: &Path) {
    let mut file = fs::File::options().create(true).append(true).open(path).unwrap();
    while file.write_all(&[7; 512]).is_ok() {}
}
