//! A disk that is full: the oldest files of the series give way to the next, and when others take all of it,
//! one good file stays.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

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
    let builder = diag::Builder::new().service("series").agent(false).label("text", &text);
    let guard = builder.files(&dir, Duration::from_millis(100), 1_000).try_init().unwrap();
    let names = || -> Vec<String> {
        let Ok(entries) = fs::read_dir(&dir) else { return Vec::new() };
        let names = entries.flatten().map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".diag")).collect();
        names.sort();
        names
    };
    let first = wait_for(|| names().first().filter(|_| names().len() >= 6).cloned());
    // Something else takes what is left of it, and goes on to do so: a log, say.
    let log = fill(&disk.0.join("log"));
    wait_for(|| (!names().contains(&first)).then_some(()));
    let before = names();
    wait_for(|| {
        fill(&disk.0.join("log"));
        (names().len() == 1).then_some(())
    });
    let skipped = || diag::snapshot().capture.dropped.get("files_skipped").copied().unwrap_or(0);
    let skipped_before = skipped();
    wait_for(|| {
        fill(&disk.0.join("log"));
        (skipped() > skipped_before + 2).then_some(())
    });
    // The next one may be about to take its place.
    let last = wait_for(|| {
        let [last] = <[String; 1]>::try_from(names()).ok()?;
        diag_snapshot::file::read(&dir.join(&last)).is_ok_and(|(_, damage)| damage.is_empty()).then_some(last)
    });
    assert!(before.len() > 1 && last >= *before.last().unwrap(), "{last} of {before:?}");
    // And there is room again.
    drop(log);
    fs::remove_file(disk.0.join("log")).unwrap();
    wait_for(|| (names().len() >= 3).then_some(()));
    drop(guard);
}

/// Writes to a file until there is no room.
fn fill(path: &Path) -> fs::File {
    let mut file = fs::File::options().create(true).append(true).open(path).unwrap();
    while file.write_all(&[7; 512]).is_ok() {}
    file
}

fn wait_for<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < patience, "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}
