//! A file every so often, the first and the newest kept, and a guard that writes the last one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use diag_test_support::eventually::eventually;
use diag_test_support::folder::Folder;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn files_come_and_go_and_the_last_one_stays() {
    let folder = Folder::new("files");
    let dir = folder.join("series");
    let last = dir.join("last.diag");
    // Three files of a clock that is far ahead, and what a process that was killed left half written.
    fs::create_dir_all(&dir).unwrap();
    for i in 0..3 {
        fs::write(dir.join(format!("series-1-990000000000{i}.diag")), "of a wrong clock").unwrap();
    }
    let left = dir.join(".series-1-9900000000003.diag.1-0.tmp");
    fs::write(&left, "half").unwrap();
    let guard = diag::Builder::new()
        .service("series")
        .agent(false)
        .dir(&dir)
        .every(Duration::from_millis(100))
        .keep(3)
        .start()
        .snapshot_on_drop(&last);
    let names = || -> Vec<String> {
        let Ok(entries) = fs::read_dir(&dir) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name.starts_with("series-") && name.ends_with(".diag"));
        names.sort();
        names
    };
    // They go one after the other, but for the first of all, as others come that are newer.
    let three = eventually(PATIENCE, "three files, one of them of a wrong clock", || {
        let names = names();
        let of_another = names.iter().filter(|name| name.starts_with("series-1-9")).count();
        if of_another == 1 && names.len() == 3 { Ok(names) } else { Err(names) }
    });
    assert!(!left.exists());
    let [_, first, newest] = &three[..] else { panic!("three files: {three:?}") };
    let three = eventually(PATIENCE, "the newest goes again", || {
        let names = names();
        if !names.contains(newest) && names.len() == 3 { Ok(names) } else { Err(names) }
    });
    assert!(three.contains(first), "the first of this process stays");
    let (snapshot, damage) = diag_snapshot::file::read(&dir.join(&names()[1])).unwrap();
    assert_eq!((snapshot.process.service.as_str(), damage.len()), ("series", 0));

    let newest = || fs::metadata(dir.join(names().last()?)).ok();
    let newest = eventually(PATIENCE, "a file that is not about to go", || newest().ok_or_else(names));
    let mode = newest.permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only the owner reads it");

    drop(guard);
    assert!(diag_snapshot::file::read(&last).is_ok());

    // The folder becomes a file: nothing can be written, the service goes on, what was skipped is told.
    eventually(PATIENCE, "the folder goes", || fs::remove_dir_all(&dir));
    eventually(PATIENCE, "a file takes its place", || {
        let _ = fs::remove_dir_all(&dir);
        fs::write(&dir, "in the way")
    });
    eventually(PATIENCE, "a file is skipped", || {
        let dropped = diag::snapshot().into_model().capture.dropped;
        if dropped.contains_key("files_skipped") { Ok(()) } else { Err(dropped) }
    });
    let capture = diag::snapshot().into_model().capture;
    assert!(
        diag_analysis::not_recorded(&capture)
            .any(|note| note.contains("a snapshot is missing in the folder"))
    );
    assert!(capture.dropped.keys().eq(capture.dropped_sentences.keys()), "each in words: {capture:?}");
}
