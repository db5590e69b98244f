//! A profile of another tool is imported by the program, and shown and compared as any snapshot.

use std::path::Path;
use std::process::Command;

use diag_analysis::pprof;
use diag_snapshot::{SampleRow, Snapshot, file};
use diag_test_support::folder::Folder;

/// A folder to run the program in.
struct Work(Folder);

impl Work {
    fn new(test: &str) -> Self {
        Work(Folder::new(&format!("import-{test}")))
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).expect("a file");
    }

    /// Runs `diag ARGS` in the folder, and gives its exit code with all that it says.
    fn diag(&self, args: &str) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_diag"));
        let output =
            command.current_dir(&self.0).args(args.split_whitespace()).output().expect("the program runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    #[track_caller]
    fn check(&self, args: &str, codes: &[i32], says: &str) {
        let (code, said) = self.diag(args);
        assert!(code.is_some_and(|code| codes.contains(&code)), "diag {args}: {code:?}\n{said}");
        assert!(said.contains(says), "diag {args} does not say {says:?}\n{said}");
    }
}

fn golden() -> Snapshot {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/snapshots/v1.6.diag");
    file::read(&path).expect("readable").0
}

/// The same service with 500 blocks more of one function, of a mebibyte each.
fn grown() -> Snapshot {
    let mut snapshot = golden();
    let heap = snapshot.heap.as_mut().expect("a heap");
    let last = heap.samples.iter().last().expect("samples");
    for birth in (last.birth + 1..).take(500) {
        heap.samples.push(SampleRow { birth, size_bytes: 1 << 20, ..last });
    }
    snapshot
}

#[test]
fn a_profile_becomes_a_snapshot_that_can_be_shown_and_compared() {
    let folder = Work::new("whole");
    folder.put("before.pb.gz", &pprof::heap(&golden().into()));
    folder.put("after.pb.gz", &pprof::heap(&grown().into()));
    folder.check("import before.pb.gz -o before.diag", &[0], "before.diag: iothub, 15 MiB live in ");
    folder.check("import after.pb.gz --from pprof -o after.diag", &[0], "after.diag: iothub, ");
    folder.check("show before.diag", &[0], "heap: 15 MiB");
    folder.check("show before.diag", &[0], "this is a profile of pprof");
    // Two profiles are two processes, of which no ages are known: growth is shown, and may be too little to judge.
    folder.check("diff before.diag after.diag", &[0, 1, 5], "iothub::layer");
    let (_, said) = folder.diag("diff before.diag after.diag --format json");
    let report: serde_json::Value = serde_json::from_str(&said).expect("a document");
    let growth = report.pointer("/heap/total/growth/estimate_bytes").and_then(serde_json::Value::as_f64);
    let live = |snapshot: Snapshot| snapshot.heap.map_or(0.0, |heap| heap.live_bytes());
    let expected = live(grown()) - live(golden());
    assert!(growth.is_some_and(|growth| (growth - expected).abs() < 100.0), "{growth:?} {expected}");
    folder.check("import before.pb.gz -o other.diag --service other", &[0], "other.diag: other, ");
    folder.check("diff before.diag other.diag", &[4], "two services");
}

#[test]
fn what_cannot_be_imported_is_said_with_its_file_and_place() {
    let folder = Work::new("wrong");
    folder.put("cut.pb.gz", &pprof::heap(&golden().into())[..500]);
    folder.put("wrong.pb", &[0x0a, 4, 8, 1, 16, 2, 0x12, 100, 1]);
    folder.put("text", b"hello\n");
    folder.check("import cut.pb.gz -o x.diag", &[3], "cut.pb.gz: cannot be unpacked: ");
    folder.check(
        "import wrong.pb -o x.diag",
        &[3],
        "wrong.pb: damaged at byte 8 of what is unpacked: cut off",
    );
    folder.check("import text -o x.diag", &[3], "text: looks like none of the formats");
    folder.check("import text -o x.diag --from pprof", &[3], "text: damaged at byte ");
    folder.check("import text -o x.diag --from gif", &[2], "there is no format `gif` to import");
    folder.check("import nothing -o x.diag", &[3], "nothing: ");
    folder.check("import --help", &[0], "heap and CPU profiles");
    folder.check("import --help", &[0], "diag import before.pb.gz -o before.diag");
    assert!(!folder.0.join("x.diag").exists());
}
