//! A snapshot into a folder every so often, on a thread of its own: trends live on such series.
//!
//! A full disk or a folder that hangs holds up this thread and nobody else; what was skipped is
//! counted and stands in the next snapshot that can be written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::settings::Settings;

/// A temporary file that was not written to for so long has no writer any more.
const LEFT_OVER: Duration = Duration::from_secs(600);

static SKIPPED: AtomicU64 = AtomicU64::new(0);

/// Files that could not be written, or whose turn passed while another was written.
pub(crate) fn skipped() -> u64 {
    SKIPPED.load(Ordering::Relaxed)
}

/// Starts the thread.
pub(crate) fn start(settings: &Settings) -> io::Result<()> {
    let Some(dir) = settings.dir.clone() else { return Ok(()) };
    let (every, keep) = (settings.every, settings.keep);
    let run = move || run(&dir, every, keep);
    thread::Builder::new().name("diag-files".to_owned()).spawn(run).map(drop)
}

fn run(dir: &Path, every: Duration, keep: usize) {
    crate::background_thread();
    let mut failing = false;
    let mut next = Instant::now() + every;
    loop {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        let failed = write(dir, keep).err();
        if let Some(error) = &failed {
            SKIPPED.fetch_add(1, Ordering::Relaxed);
            // Once a spell of failures: a full disk must not fill the log too.
            if !failing {
                crate::warn(error);
            }
        }
        failing = failed.is_some();
        next += every;
        while next < Instant::now() {
            SKIPPED.fetch_add(1, Ordering::Relaxed);
            next += every;
        }
    }
}

fn write(dir: &Path, keep: usize) -> Result<(), crate::SnapshotError> {
    let snapshot = crate::capture::snapshot(crate::capture::Scope::Whole);
    let series = Series::new(dir, &snapshot.process.service);
    let path = series.path(snapshot.process.pid, snapshot.taken_unix_us() / 1_000);
    // The folder may have been made away with since the start; a failure shows in the write.
    let _ = fs::create_dir_all(dir);
    diag_snapshot::file::write(&path, &diag_snapshot::write(&snapshot)).map_err(crate::SnapshotError)?;
    series.prune(keep);
    Ok(())
}

/// The files of one service in a folder: `SERVICE-PID-MILLISECONDS.diag`, so that the last part is
/// their order in time.
struct Series<'a> {
    dir: &'a Path,
    prefix: String,
}

impl<'a> Series<'a> {
    fn new(dir: &'a Path, service: &str) -> Self {
        let name: String = service
            .chars()
            .map(|c| if c.is_alphanumeric() || c == '_' || c == '.' { c } else { '_' })
            .collect();
        Series { dir, prefix: format!("{name}-") }
    }

    fn path(&self, pid: u32, unix_ms: u64) -> PathBuf {
        self.dir.join(format!("{}{pid}-{unix_ms:013}.diag", self.prefix))
    }

    /// Removes the oldest files of the series beyond `keep`, and what a killed process left half
    /// written. What cannot be removed stays.
    fn prune(&self, keep: usize) {
        let Ok(entries) = fs::read_dir(self.dir) else { return };
        let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        let mut files: Vec<(u64, &PathBuf)> =
            paths.iter().filter_map(|path| Some((self.time_of(path)?, path))).collect();
        files.sort();
        let surplus = files.len().saturating_sub(keep);
        let surplus = files.drain(..surplus).map(|(_, path)| path);
        for path in surplus.chain(paths.iter().filter(|path| self.is_left_over(path))) {
            let _ = fs::remove_file(path);
        }
    }

    /// True for a temporary file of the series that nobody has written to for long.
    fn is_left_over(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_ours = name.strip_prefix('.').is_some_and(|name| name.starts_with(&self.prefix));
        let untouched = || fs::metadata(path).ok()?.modified().ok()?.elapsed().ok();
        is_ours && name.ends_with(".tmp") && untouched().is_some_and(|time| time > LEFT_OVER)
    }

    /// The time in a file's name; none for files that are not of the series.
    fn time_of(&self, path: &Path) -> Option<u64> {
        let rest = path.file_name()?.to_str()?.strip_prefix(&self.prefix)?.strip_suffix(".diag")?;
        let (pid, time) = rest.split_once('-')?;
        pid.parse::<u32>().ok()?;
        time.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_files_of_its_own_series() {
        let dir = std::env::temp_dir().join(format!("diag-files-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let series = Series::new(&dir, "or/ders");
        let [old, new] =
            [".or_ders-5-9.diag.5-0.tmp", ".or_ders-8-9.diag.8-0.tmp"].map(|name| dir.join(name));
        fs::write(&old, "half").unwrap();
        let long_ago = std::time::SystemTime::now() - 2 * LEFT_OVER;
        fs::File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
        let kept = [series.path(7, 20), series.path(6, 30), new];
        let foreign = [dir.join("orders-7-10.diag"), dir.join("or_ders-notes.diag"), dir.join("x.diag")];
        for path in kept.iter().chain(&foreign).chain(&[series.path(9, 10)]) {
            fs::write(path, "").unwrap();
        }
        series.prune(2);
        assert!(!series.path(9, 10).exists(), "one too many");
        assert!(!old.exists(), "a leftover");
        assert!(kept.iter().chain(&foreign).all(|path| path.exists()));
        fs::remove_dir_all(&dir).unwrap();
    }
}
