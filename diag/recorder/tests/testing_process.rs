//! What belongs to the whole process: a test that has it to itself is held to it, each in a process of its own as nextest has it.

use std::process::{Child, Command, Output};

use diag::testing::leak_guard;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Tells this test's own child what to leave behind.
const LEAVE: &str = "DIAG_TEST_LEAVES";

/// What is left behind, and what is said of it.
const CASES: &[(&str, &str)] = &[
    ("nothing", ""),
    ("thread", "1 thread \"left alone\" (tid "),
    ("file", "1 open descriptor: "),
    ("socket", "which is a socket"),
    ("runtime", "the driver of a runtime, or another epoll"),
    ("child", "1 child process \"sleep\" (pid "),
    ("child_of_worker", "1 child process \"sleep\" (pid "),
    ("variable", "1 environment variable DIAG_TEST_VARIABLE was set to \"1\""),
    (
        "changed_variable",
        "1 environment variable DIAG_TEST_LEAVES was changed from \"changed_variable\" to \"\"",
    ),
    ("removed_variable", "1 environment variable DIAG_TEST_LEAVES was removed; it was \"removed_variable\""),
    ("folder", "it was "),
];

fn leave(what: &str, leaks: bool) {
    match what {
        "thread" => {
            let (tell, told) = std::sync::mpsc::channel::<()>();
            let thread = std::thread::Builder::new().name("left alone".into());
            let thread = thread.spawn(move || told.recv()).expect("a thread");
            if leaks {
                std::mem::forget(tell);
            } else {
                drop(tell);
                let _ = thread.join();
            }
        }
        "file" => end(std::fs::File::open("/dev/null").expect("there is one"), leaks),
        "socket" => end(std::net::TcpListener::bind("127.0.0.1:0").expect("a port"), leaks),
        "runtime" => {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let closure = async { tokio::task::spawn_blocking(|| ()).await };
            runtime.block_on(closure).expect("it ends");
            end(runtime, leaks);
        }
        "child" => end_child(sleeper(), leaks),
        "child_of_worker" => {
            end_child(std::thread::spawn(sleeper).join().expect("it starts"), leaks);
        }
        _ => leave_in_environment(what, leaks),
    }
}

fn leave_in_environment(what: &str, leaks: bool) {
    let folder = std::env::current_dir().expect("there is one");
    let value = std::env::var(LEAVE).unwrap_or_default();
    // SAFETY: no other thread of this process looks at the environment meanwhile.
    unsafe {
        match what {
            "variable" => std::env::set_var("DIAG_TEST_VARIABLE", "1"),
            "changed_variable" => std::env::set_var(LEAVE, ""),
            "removed_variable" => std::env::remove_var(LEAVE),
            "folder" => std::env::set_current_dir("/").expect("there is one"),
            _ => {}
        }
        if !leaks {
            std::env::remove_var("DIAG_TEST_VARIABLE");
            std::env::set_var(LEAVE, value);
            std::env::set_current_dir(folder).expect("it was there");
        }
    }
}

fn end<T>(what: T, leaks: bool) {
    if leaks { std::mem::forget(what) } else { drop(what) }
}

/// Ends by itself when the test is long over.
fn sleeper() -> Child {
    Command::new("sleep").arg("20").spawn().expect("there is such a program")
}

fn end_child(mut child: Child, leaks: bool) {
    if !leaks {
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }
}

#[test]
fn leaves_it() {
    let Ok(what) = std::env::var(LEAVE) else { return };
    let _guard = leak_guard().settle(std::time::Duration::from_millis(50));
    leave(&what, true);
}

#[test]
fn ends_it() {
    let Ok(what) = std::env::var(LEAVE) else { return };
    let _guard = leak_guard();
    leave(&what, false);
}

/// Runs one of these in a process of its own.
fn run(test: &str, what: &str, alone: bool) -> Output {
    let mut child = Command::new(std::env::current_exe().expect("this test has a path"));
    child.args(["--exact", test, "--nocapture"]).env(LEAVE, what);
    if alone {
        child.env("NEXTEST_EXECUTION_MODE", "process-per-test");
    }
    // To a file that is no pipe: what is left behind has its end too.
    child.stdin(std::process::Stdio::null());
    let (mut said, into) = tempfile();
    child.stdout(into.try_clone().expect("another one")).stderr(into);
    let status = child.status().expect("it runs");
    let mut text = Vec::new();
    std::io::Seek::rewind(&mut said).expect("a file");
    std::io::Read::read_to_end(&mut said, &mut text).expect("a file");
    Output { status, stdout: text, stderr: Vec::new() }
}

fn tempfile() -> (std::fs::File, std::fs::File) {
    let folder = diag_test_support::folder::Folder::new("testing-process");
    let path = folder.join("said");
    let into = std::fs::File::create(&path).expect("it can be made");
    (std::fs::File::open(&path).expect("it is there"), into)
}

#[test]
fn a_test_that_is_alone_is_held_to_its_process() {
    for &(what, says) in CASES {
        for (test, fails) in [("leaves_it", what != "nothing"), ("ends_it", false)] {
            let output = run(test, what, true);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.success(), !fails, "{test} {what}: {text}");
            assert!(
                !fails || text.contains(says) && text.contains("leaves 1 thing behind") || what == "runtime",
                "{test} {what}: {text}"
            );
        }
    }
}

#[test]
fn beside_others_it_is_not() {
    // Of these it is told whose they are.
    for &(what, _) in CASES.iter().filter(|(what, _)| !["child", "runtime"].contains(what)) {
        let output = run("leaves_it", what, false);
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stdout));
    }
    assert!(!run("leaves_it", "child", false).status.success(), "it is of the test's own thread");
}
