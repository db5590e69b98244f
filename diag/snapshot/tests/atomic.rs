//! Files on disk: whole or not there, whoever dies on the way.
//!
//! The child that is killed is this test program itself, told by `DIAG_TEST_WRITE_TO` to run the
//! writing "test" alone.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use diag_snapshot::{Snapshot, file, write};
use diag_test_support::folder::Folder;
use diag_test_support::iothub;
use diag_test_support::random::SplitMix;

const CHILD: &str = "DIAG_TEST_WRITE_TO";

/// Two snapshots whose files differ in every part and in length.
fn contents() -> [Snapshot; 2] {
    [iothub::service(4_000, 500), iothub::service(3_000, 100)]
}

#[test]
fn a_file_is_replaced_in_one_step_and_nothing_else_is_left() {
    let folder = Folder::new("replace");
    let path = folder.join("last.diag");
    for snapshot in contents() {
        file::write(&path, &write(&snapshot)).expect("the folder takes it");
        assert_eq!(file::read(&path).expect("whole"), (snapshot, vec![]));
    }
    assert_eq!(folder.names(), ["last.diag"]);
}

#[test]
fn a_failed_write_leaves_nothing_and_names_the_file() {
    let folder = Folder::new("fail");
    let path = folder.join("taken");
    fs::create_dir(&path).expect("the folder takes a folder");
    let error = file::write(&path, b"bytes").expect_err("a folder has that name").to_string();
    assert!(error.starts_with("cannot rename ") && error.contains("taken"), "{error}");
    assert_eq!(folder.names(), ["taken"]);
    let error = file::write(&folder.join("no/such.diag"), b"bytes").expect_err("no such folder").to_string();
    assert!(error.starts_with("cannot create ") && error.contains("no/.such.diag"), "{error}");
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = Folder::new("read");
    let path = folder.join("text.diag");
    let error = file::read(&path).expect_err("no such file").to_string();
    assert!(error.starts_with("cannot read ") && error.contains("text.diag"), "{error}");
    fs::write(&path, "hello").expect("the folder takes it");
    let error = file::read(&path).expect_err("no snapshot").to_string();
    assert!(error.contains("text.diag: header at byte 0: not a diag snapshot"), "{error}");
}

#[test]
fn what_a_dead_writer_left_goes_with_the_next_write_and_what_has_a_writer_stays() {
    let folder = Folder::new("left");
    let path = folder.join("last.diag");
    let [dead, alive, other, no_temporary] =
        [".last.diag.5-0.tmp", ".last.diag.6-12.tmp", ".next.diag.5-0.tmp", ".last.diag.x-0.tmp"]
            .map(|name| folder.join(name));
    for path in [&dead, &other, &no_temporary] {
        fs::write(path, "half").expect("the folder takes it");
    }
    let writer = fs::File::create(&alive).expect("the folder takes it");
    writer.lock().expect("nobody else knows of it");
    file::write(&path, &write(&contents()[0])).expect("the folder takes it");
    assert!(!dead.exists());
    assert!(alive.exists() && other.exists() && no_temporary.exists());
    drop(writer);
    file::write(&path, &write(&contents()[1])).expect("the folder takes it");
    assert!(!alive.exists());
    assert_eq!(folder.names(), [".last.diag.x-0.tmp", ".next.diag.5-0.tmp", "last.diag"]);
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("mode");
    let path = folder.join("last.diag");
    fs::write(&path, "for all to read").expect("the folder takes it");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("it is ours");
    file::write(&path, &write(&contents()[0])).expect("the folder takes it");
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
}

/// Many writers to one path at once, who look for abandoned files at each other's: none loses its own.
#[test]
fn writers_do_not_take_each_other_for_dead() {
    let folder = Folder::new("many");
    let path = folder.join("last.diag");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope
                .spawn(|| (0..200).for_each(|_| file::write(&path, b"bytes").expect("it is not taken away")));
        }
    });
    assert_eq!(folder.names(), ["last.diag"]);
}

/// Not a test of its own: the child of the test below, which writes until it is killed.
#[test]
fn writes_until_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let files = contents().map(|snapshot| write(&snapshot));
    for i in 0.. {
        file::write(Path::new(&path), &files[i % 2]).expect("the folder takes it");
        if i == 0 {
            writeln!(io::stderr(), "written once").expect("the parent reads it");
        }
    }
}

#[test]
fn a_writer_killed_at_any_moment_leaves_a_whole_file() {
    let folder = Folder::new("kill");
    let path = folder.join("last.diag");
    let contents = contents();
    let mut random = SplitMix(Instant::now().elapsed().as_nanos() as u64 ^ u64::from(std::process::id()));
    let mut killed_in_between = 0;
    // A kill is worth something only if a write was under way, which its temporary file shows.
    for kill in 1.. {
        let mut writer = start_writer(&path);
        spin(Duration::from_micros(random.below(10_000)));
        writer.kill().expect("it runs until it is killed");
        writer.wait().expect("it was killed");
        let (read, damage) = file::read(&path).expect("a file that was there stays");
        assert!(contents.contains(&read) && damage.is_empty(), "kill {kill}: {damage:?}");
        let left = folder.names().iter().filter(|name| name.ends_with(".tmp")).count();
        assert!(left <= 1, "the next writer removes what the one before left");
        killed_in_between += left as u32;
        if kill >= 24 && killed_in_between >= 12 {
            return;
        }
        assert!(kill < 200, "only {killed_in_between} of {kill} kills came in a write");
    }
}

/// A child that has written the file at least once.
fn start_writer(path: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "writes_until_killed", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program runs");
    let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let written = lines.map_while(Result::ok).any(|line| line == "written once");
    assert!(written, "the child ended before it wrote");
    child
}

/// Sleeping would wake at the same moments of the scheduler's clock.
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}
