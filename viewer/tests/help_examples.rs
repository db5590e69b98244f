//! Each `--help` has an example, and each example does what it says or finds that nothing answers.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use std::{fs, thread};

use diag_analysis::pprof::{CpuFacts, CpuSample, cpu};
use diag_snapshot::StackIndex;
use diag_test_support::core_file::core_file;
use diag_test_support::folder::Folder;

const DIAG: &str = env!("CARGO_BIN_EXE_diag");

fn diag(folder: &Path, args: &[&str]) -> Output {
    Command::new(DIAG).args(args).current_dir(folder).output().expect("diag runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder with all that the examples name.
fn folder() -> Folder {
    let folder = Folder::new("help");
    fs::create_dir_all(folder.join("snapshots")).expect("a folder");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/snapshots/v1.6.diag");
    for name in ["now.diag", "before.diag", "after.diag", "snapshots/a.diag", "snapshots/b.diag"] {
        fs::copy(&golden, folder.join(name)).expect("the golden file");
    }
    label(&folder.join("now.diag"), "7f3a");
    for run in 1..=5 {
        let run = folder.join(format!("run-{run}"));
        fs::create_dir_all(&run).expect("a folder");
        fs::write(run.join("junit.xml"), "<testcase name='takes' time='0.1'/>").expect("test events");
    }
    fs::write(folder.join("diag.toml"), "fail_on = \"likely\"\n").expect("a policy");
    let made = diag(&folder, &["export", "pprof", "now.diag", "-o", "before.pb.gz"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    for name in ["core.1", "core.2", "core.a", "core.b"] {
        fs::write(folder.join(name), core_file(&[])).expect("a core");
    }
    fs::write(folder.join("cpu.pb.gz"), cpu_profile(&folder.join("now.diag"))).expect("a profile");
    folder
}

/// A CPU profile with some stacks of a snapshot.
fn cpu_profile(path: &Path) -> Vec<u8> {
    let (snapshot, _) = diag_snapshot::read(&fs::read(path).expect("a snapshot")).expect("a snapshot");
    let sample = CpuSample { stack: StackIndex(0), task_site: None, samples: 3 };
    let facts = CpuFacts { taken_unix_us: 1, for_us: 1_000, period_ns: 1_000, cpu_ns: 3_000 };
    cpu(&snapshot.stacks, &snapshot.strings, &[sample], facts)
}

/// Has the first task of a snapshot be of this request.
fn label(path: &Path, id: &str) {
    let (mut snapshot, _) = diag_snapshot::read(&fs::read(path).expect("a file")).expect("a snapshot");
    let [key, value] = ["request_id", id].map(|text| snapshot.strings.intern(text));
    let task = snapshot.tasks.get(0).expect("a task").id;
    snapshot.labels.push(diag_snapshot::LabelRow { task, key, value });
    fs::write(path, diag_snapshot::write(&snapshot)).expect("a file");
}

/// Names of the subcommands, as `diag --help` lists them.
fn subcommands(folder: &Path) -> Vec<String> {
    let help = text(&diag(folder, &["--help"]).stdout);
    let (_, list) = help.split_once("Commands:\n").expect("it lists its commands");
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    names.filter(|name| name != "help").collect()
}

/// The examples in a help text: what a shell would give to `diag`, without what follows a pipe or goes into a file.
fn examples(help: &str) -> Vec<Vec<String>> {
    let (_, after) = help.split_once("\nExample").unwrap_or_default();
    let lines =
        after.lines().flat_map(|line| line.split("&&")).filter_map(|part| part.trim().strip_prefix("diag "));
    let ours = lines.map(|line| line.split([' ']).take_while(|word| !["|", ">"].contains(word)));
    // Nobody listens there, whoever may listen at the usual port.
    let own = std::process::id().to_string();
    let word = |word: &str| match word {
        // The process of the examples is this one, for which nothing has to be waited.
        "4711" => own.clone(),
        "60" => "0".to_owned(),
        word => word.replace(":9797", ":1"),
    };
    ours.map(|words| words.map(word).collect()).collect()
}

/// The exit code; of a command that serves, 0 if it still does so after a moment.
fn code(folder: &Path, example: &[String]) -> (i32, String) {
    let mut command = Command::new(DIAG);
    command.args(example).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    if example[0] != "serve" {
        let output = command.output().expect("diag runs");
        return (output.status.code().expect("a code"), text(&output.stderr));
    }
    let mut child = command.args(["--addr", "127.0.0.1:0"]).spawn().expect("diag runs");
    thread::sleep(Duration::from_millis(300));
    let ended = child.try_wait().expect("a child");
    child.kill().expect("it is ours");
    let output = child.wait_with_output().expect("a child");
    (ended.map_or(0, |status| status.code().unwrap_or(-1)), text(&output.stderr))
}

#[test]
fn every_help_has_examples_that_work() {
    let folder = folder();
    let names = subcommands(&folder);
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        let help = text(&diag(&folder, &[&name, "--help"]).stdout);
        let examples = examples(&help);
        assert!(!examples.is_empty(), "`diag {name} --help` has no example");
        for example in examples {
            let (code, said) = code(&folder, &example);
            // Nobody answers at that address; otherwise every file is there.
            let asks = example.iter().any(|word| word.starts_with("http://")) && name != "serve";
            let fine: &[i32] = match name.as_str() {
                _ if asks => &[3],
                // The memory of a process that is none's child may not be read everywhere.
                "memdiff" => &[0, 1, 3],
                // The one that is imported is of another service here.
                "import" => &[0, 1, 4, 5],
                // No core is here that has tables of diag.
                "snap" if example.iter().any(|word| word == "--core") => &[3],
                // Neither a service nor its load is here.
                "ci" => &[2],
                _ => &[0, 1, 5],
            };
            assert!(fine.contains(&code), "diag {}: exit code {code}: {said}", example.join(" "));
        }
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = diag(Path::new("."), &["completions", shell]);
        assert!(output.status.success(), "{shell}");
        assert!(text(&output.stdout).contains("watch"), "{shell}");
    }
    assert_eq!(diag(Path::new("."), &["completions", "no-shell"]).status.code(), Some(2));
}
