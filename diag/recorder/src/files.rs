//! A snapshot into a folder every so often, on a thread of its own: trends live on such series.
//!
//! A full disk or a folder that hangs holds up this thread and nobody else; what was skipped is
//! counted and stands in the next snapshot that can be written.
//!
//! The order of a series is that of its numbers, and a new number is larger than all that are there: a clock
//! that was wrong once, or differs between hosts, moves no file before another.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diag_snapshot::Keep;
use diag_snapshot::file::{self, FileError};

use crate::dropped::Dropped;
use crate::health::{self, Status};
use crate::messages;
use crate::problem::{Problem, ProblemKind};
use crate::settings::Settings;
use crate::sys;

/// Larger numbers in names are not of ours: milliseconds do not get there, and one more must be a number still.
const LARGEST_NUMBER: u64 = 1 << 62;

static SKIPPED: Dropped = Dropped::new(
    "files_skipped",
    "a snapshot is missing in the folder: it could not be written, or another took until after its turn",
);

/// Starts the thread.
pub(crate) fn start(settings: &Settings) -> io::Result<()> {
    let Some(dir) = settings.dir.clone() else { return Ok(()) };
    let (every, writer) =
        (settings.every, Writer { dir, keep: settings.keep, own: Own::default(), is_failing: false });
    sys::start_thread(sys::USUAL_STACK_BYTES, move || run(every, writer))
}

fn run(every: Duration, mut writer: Writer) {
    let _own = crate::own_thread(c"diag-files");
    let mut next = Instant::now() + every;
    loop {
        crate::clock::sleep(next.saturating_duration_since(Instant::now()));
        write_on_a_thread(&mut writer);
        next += every;
        while next < Instant::now() {
            SKIPPED.count();
            next += every;
        }
    }
}

/// Writes the next file on a thread that ends with it: malloc keeps for each thread what it freed last, and with that
/// some MiB of what lies below, and glibc reserves 64 MiB of address space for each that allocates. On this one where
/// the system has no thread left.
fn write_on_a_thread(writer: &mut Writer) {
    let mut is_done = false;
    let mut write = || {
        let _own = crate::background_thread(c"diag-capture");
        writer.write();
        is_done = true;
    };
    match sys::run_on_thread(sys::USUAL_STACK_BYTES, &mut write) {
        Ok(()) if is_done => {}
        Ok(()) => writer.tell(Err("the capture for a file failed".to_owned())),
        Err(_) => {
            crate::hide_for_ever();
            writer.write();
        }
    }
}

/// Who writes a series.
struct Writer {
    dir: PathBuf,
    keep: usize,
    own: Own,
    /// The last turn brought no file.
    is_failing: bool,
}

/// What a process wrote, as far as it stays there.
#[derive(Default)]
struct Own {
    first: Option<PathBuf>,
    last: Option<PathBuf>,
}

impl Writer {
    /// Writes the next file of the series, or tells why not.
    fn write(&mut self) {
        let written = self.try_write();
        self.tell(written);
    }

    fn try_write(&mut self) -> Result<(), String> {
        let snapshot = crate::capture::snapshot(crate::capture::Scope::Whole);
        let series = Series::new(&self.dir, &snapshot.process.service);
        let (pid, unix_ms) = (snapshot.process.pid, snapshot.taken_unix_us() / 1_000);
        let bytes = diag_snapshot::write(&snapshot);
        drop(snapshot);
        // The folder may have been made away with since the start; a failure shows in the write.
        let _ = fs::create_dir_all(&self.dir);
        let put = |path: &Path| put(path, &bytes);
        let size = bytes.len() as u64;
        series.add(pid, unix_ms, self.keep, size, &mut self.own, put).map_err(|error| error.to_string())
    }

    /// Tells what became of a turn, once a spell of failures: a full disk must not fill the log too.
    fn tell(&mut self, written: Result<(), String>) {
        let was_failing = std::mem::replace(&mut self.is_failing, written.is_err());
        match written {
            Err(why) => {
                SKIPPED.count();
                if !was_failing {
                    messages::report(&Problem::new(ProblemKind::Files, &why));
                    health::report("files", Status::Failed(why.into()));
                }
            }
            Ok(()) if was_failing => health::report("files", Status::Works),
            Ok(()) => {}
        }
    }
}

/// Puts a snapshot at `path`, whole or not at all.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    put_by(path, bytes, file::write)
}

/// The same for a process that may be killed before the disk has it.
pub(crate) fn put_soon(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    put_by(path, bytes, file::write_soon)
}

fn put_by(
    path: &Path,
    bytes: &[u8],
    write: fn(&Path, &[u8]) -> Result<(), FileError>,
) -> Result<(), FileError> {
    // Beyond this limit the system does not refuse a write, it kills the process (SIGXFSZ).
    if bytes.len() as u64 > sys::largest_file_bytes() {
        let error = io::ErrorKind::FileTooLarge.into();
        return Err(FileError::Io { action: "write", path: path.to_owned(), error });
    }
    write(path, bytes)
}

/// The name of a service, as a file's name can have it.
pub(crate) fn name_part(service: &str) -> String {
    let is_kept = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    service.chars().map(|c| if is_kept(c) { c } else { '_' }).collect()
}

/// The files of one service in a folder: `SERVICE-PID-NUMBER.diag`. The number is the time in milliseconds since the
/// Unix epoch, or one more than the largest in the folder, if that is more: so it is their order, whatever the
/// clock does.
struct Series<'a> {
    dir: &'a Path,
    /// The service, as a file's name can have it.
    service: String,
}

impl<'a> Series<'a> {
    fn new(dir: &'a Path, service: &str) -> Self {
        Series { dir, service: name_part(service) }
    }

    fn path(&self, pid: u32, number: u64) -> PathBuf {
        self.dir.join(format!("{}-{pid}-{number:013}.diag", self.service))
    }

    /// Writes one more file and keeps `keep`, the first and the last of this process among them.
    ///
    /// Room is made first, by files beyond `keep` and by what killed processes left half written. On a full
    /// disk the oldest files give way as well, though no more than this one needs, and never the last good one.
    fn add(
        &self,
        pid: u32,
        unix_ms: u64,
        keep: usize,
        bytes: u64,
        own: &mut Own,
        put: impl Fn(&Path) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        file::remove_abandoned(self.dir, |name| self.number_of(name).is_some());
        let mut files = self.files();
        let after_all = files.last().map_or(0, |(number, _)| number + 1);
        let free =
            (after_all.max(unix_ms)..).map(|number| self.path(pid, number)).find(|path| !path.exists());
        let path = free.unwrap_or_else(|| self.path(pid, after_all));
        // Of two, the last good one goes when the next one is written.
        thin(&mut files, keep.saturating_sub(1).max(keep.min(2)), own);
        let mut freed = 0;
        loop {
            match put(&path) {
                Ok(()) => break,
                // As much again, since others write to that disk as well.
                Err(error) if is_full(&error) && freed < 2 * bytes => {
                    let good =
                        own.last.clone().filter(|last| last.exists()).or_else(|| newest_with_bytes(&files));
                    let one_less = files.len().saturating_sub(1);
                    match prune(&mut files, one_less, good.as_deref()) {
                        0 => return Err(error),
                        more => freed += more,
                    }
                }
                Err(error) => return Err(error),
            }
        }
        own.first.get_or_insert_with(|| path.clone());
        own.last = Some(path);
        thin(&mut self.files(), keep, own);
        Ok(())
    }

    /// The files that are there, in their order.
    fn files(&self) -> Vec<(u64, PathBuf)> {
        let Ok(entries) = fs::read_dir(self.dir) else { return Vec::new() };
        let numbered = entries.flatten().filter_map(|entry| {
            let name = entry.file_name();
            Some((self.number_of(name.to_str()?)?, self.dir.join(name)))
        });
        let mut files: Vec<_> = numbered.collect();
        files.sort();
        files
    }

    /// The number in a file's name; none for files that are not of the series.
    fn number_of(&self, name: &str) -> Option<u64> {
        let rest = name.strip_prefix(&self.service)?.strip_prefix('-')?.strip_suffix(".diag")?;
        let (pid, number) = rest.split_once('-')?;
        pid.parse::<u32>().ok()?;
        number.parse().ok().filter(|number| *number < LARGEST_NUMBER)
    }
}

/// Removes files until `keep` are left: those that a series misses least. What cannot be removed stays.
fn thin(files: &mut Vec<(u64, PathBuf)>, keep: usize, own: &Own) {
    if keep == 1 {
        prune(files, keep, own.last.as_deref());
        return;
    }
    let stays =
        |(_, path): &(u64, PathBuf)| [&own.first, &own.last].into_iter().flatten().any(|own| own == path);
    for (_, gone) in Keep::new(keep / 2, keep).thin_besides(files, |&(number, _)| number, stays) {
        let _ = fs::remove_file(gone);
    }
}

/// Removes the oldest of `files` until `keep` are left, but not `kept`, and tells how many bytes that was, at least
/// one for each file. What cannot be removed stays.
fn prune(files: &mut Vec<(u64, PathBuf)>, keep: usize, kept: Option<&Path>) -> u64 {
    let (mut surplus, mut freed) = (files.len().saturating_sub(keep), 0);
    files.retain(|(_, path)| {
        if surplus == 0 || kept == Some(path) {
            return true;
        }
        surplus -= 1;
        let bytes = fs::metadata(path).map_or(0, |file| file.len());
        let is_removed = fs::remove_file(path).is_ok();
        freed += if is_removed { bytes.max(1) } else { 0 };
        !is_removed
    });
    freed
}

fn newest_with_bytes(files: &[(u64, PathBuf)]) -> Option<PathBuf> {
    let has_bytes = |path: &&PathBuf| fs::metadata(path).is_ok_and(|file| file.len() > 0);
    files.iter().rev().map(|(_, path)| path).find(has_bytes).cloned()
}

fn is_full(error: &FileError) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error, FileError::Io { error, .. } if matches!(error.kind(), StorageFull | QuotaExceeded))
}

#[cfg(test)]
mod tests {
    use diag_test_support::folder;

    use super::*;

    struct Folder(folder::Folder);

    impl Folder {
        fn new(test: &str) -> Self {
            Folder(folder::Folder::new(&format!("files-{test}")))
        }

        fn names(&self) -> Vec<String> {
            self.0.names()
        }

        fn put(&self, names: &[&str]) {
            names.iter().for_each(|name| fs::write(self.0.join(name), "of another time").unwrap());
        }

        fn bytes(&self) -> usize {
            self.names().iter().map(|name| fs::read(self.0.join(name)).unwrap().len()).sum()
        }
    }

    /// A process that writes 100 bytes at these times, and keeps three files.
    struct Writer<'a>(Series<'a>, u32, Own);

    impl Writer<'_> {
        fn add(&mut self, unix_ms: u64) {
            self.0.add(self.1, unix_ms, 3, 100, &mut self.2, |path| put(path, &[7; 100])).unwrap();
        }
    }

    fn writer(folder: &Folder, pid: u32) -> Writer<'_> {
        Writer(Series::new(&folder.0, "orders"), pid, Own::default())
    }

    #[test]
    fn keeps_the_first_and_the_last_files_of_its_own_series() {
        let folder = Folder::new("own");
        let foreign = [
            "orders-notes.diag",
            "x.diag",
            "or_ders-7-1.diag",
            "orders-7-18446744073709551615.diag",
            ".x.tmp",
        ];
        folder.put(&foreign);
        folder.put(&["orders-9-0000000000010.diag", ".orders-9-0000000000011.diag.9-0.tmp"]);
        let mut writer = writer(&folder, 7);
        for unix_ms in [20, 30, 40] {
            writer.add(unix_ms);
        }
        let mut expected: Vec<String> = foreign.map(str::to_owned).into();
        expected.push("orders-9-0000000000010.diag".to_owned());
        expected.extend([20, 40].map(|number| format!("orders-7-{number:013}.diag")));
        expected.sort();
        assert_eq!(folder.names(), expected);
    }

    #[test]
    fn of_two_files_one_is_the_first_and_one_the_last() {
        let folder = Folder::new("two");
        let (series, mut own) = (Series::new(&folder.0, "orders"), Own::default());
        for (unix_ms, keep) in [(1, 2), (2, 2), (3, 2), (4, 2)] {
            series.add(7, unix_ms, keep, 100, &mut own, |path| put(path, &[7; 100])).unwrap();
        }
        assert_eq!(folder.names(), ["orders-7-0000000000001.diag", "orders-7-0000000000004.diag"]);
        series.add(7, 5, 1, 100, &mut own, |path| put(path, &[7; 100])).unwrap();
        assert_eq!(folder.names(), ["orders-7-0000000000005.diag"]);
    }

    #[test]
    fn files_of_the_future_do_not_push_out_new_ones() {
        let folder = Folder::new("future");
        folder.put(&[
            "orders-1-9900000000000.diag",
            "orders-2-9900000000001.diag",
            "orders-2-9900000000002.diag",
        ]);
        let mut now = writer(&folder, 7);
        now.add(1_000);
        assert!(folder.names().contains(&"orders-7-9900000000003.diag".to_owned()), "{:?}", folder.names());
        // The clock steps, both ways; each is later than all before it.
        for unix_ms in [5_000, 1_000, 9_900_000_000_000, 2_000] {
            now.add(unix_ms);
        }
        let expected = ["orders-1-9900000000000", "orders-7-9900000000003", "orders-7-9900000000007"];
        assert_eq!(folder.names(), expected.map(|name| format!("{name}.diag")));
    }

    #[test]
    fn processes_that_share_a_folder_keep_their_last_file_and_take_no_other_s_name() {
        let folder = Folder::new("shared");
        // As in containers, where every process is the first one.
        let mut writers = [writer(&folder, 1), writer(&folder, 1), writer(&folder, 1), writer(&folder, 1)];
        for unix_ms in [1_000, 1_000, 10, 500] {
            for writer in &mut writers {
                writer.add(unix_ms);
                assert!(writer.2.last.as_ref().unwrap().exists());
            }
        }
        let newest = folder.names().pop().unwrap();
        assert!(
            writers[3].2.last.as_ref().unwrap().ends_with(newest),
            "the last that was written is the last in order"
        );
        assert_eq!(folder.names().len(), 3);
        // Others write on and on; the last file of one that writes no more goes, as its time has passed.
        let own = writers[0].2.last.clone().unwrap();
        (1..=3).for_each(|unix_ms| writers[1].add(unix_ms));
        assert!(!own.exists());
    }

    #[test]
    fn a_full_disk_gives_up_the_oldest_and_never_the_last_good_one() {
        let folder = Folder::new("full");
        let disk = |room: usize, bytes: usize| {
            let folder = &folder;
            move |path: &Path| {
                if folder.bytes() + bytes > room {
                    let error = io::ErrorKind::StorageFull.into();
                    return Err(FileError::Io { action: "write", path: path.to_owned(), error });
                }
                file::write(path, &vec![7; bytes])
            }
        };
        let series = Series::new(&folder.0, "orders");
        let mut own = Own::default();
        let mut add = |unix_ms, keep, room, bytes: usize| {
            series.add(7, unix_ms, keep, bytes as u64, &mut own, disk(room, bytes)).is_ok()
        };
        assert!((1..=10).all(|unix_ms| add(unix_ms, 10, 1_000, 100)));
        // Full: as many go as the next one needs.
        assert!(add(11, 10, 1_000, 100));
        assert_eq!(folder.names().len(), 10);
        assert!(add(12, 10, 1_000, 250));
        assert_eq!((folder.names().len(), folder.bytes()), (8, 950));
        // Somebody else takes the disk: a few of ours go in each turn, for nothing, but not all.
        assert!(!add(13, 10, 100, 100));
        assert!(folder.names().len() >= 6, "{:?}", folder.names());
        while folder.names().len() > 1 {
            let before = folder.names().len();
            assert!(!add(14, 10, 100, 100));
            assert!(folder.names().len() < before);
        }
        assert!(!add(15, 1, 100, 100));
        assert_eq!(folder.names(), ["orders-7-0000000000012.diag"]);
        // To keep fewer frees at once what is too many, before anything is written.
        assert!((20..=25).all(|unix_ms| add(unix_ms, 10, 10_000, 100)));
        assert!(!add(26, 3, 0, 10_000));
        assert!(
            folder.names().len() <= 2 && folder.names().contains(&"orders-7-0000000000025.diag".to_owned())
        );
        assert!(add(27, 3, 10_000, 100));
    }

    #[test]
    fn an_empty_file_is_not_the_good_one() {
        let folder = Folder::new("empty");
        folder.put(&["orders-7-1.diag"]);
        fs::write(folder.0.join("orders-7-2.diag"), "").unwrap();
        let full = |path: &Path| {
            let error = io::ErrorKind::StorageFull.into();
            Err(FileError::Io { action: "write", path: path.to_owned(), error })
        };
        let series = Series::new(&folder.0, "orders");
        assert!((0..3).all(|_| series.add(7, 3, 5, 1_000, &mut Own::default(), full).is_err()));
        assert_eq!(folder.names(), ["orders-7-1.diag"]);
    }
}
