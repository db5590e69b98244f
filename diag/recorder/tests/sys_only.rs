//! Only `src/sys` knows which system and which processor this is, and where the kernel tells what. Whoever reads
//! another file of the recorder reads it for all of them.

use std::fs;
use std::path::Path;

/// What names a system, a processor, or a file of the kernel's.
const WORDS: [&str; 8] = [
    "cfg(target_",
    "cfg(unix",
    "cfg(not(unix",
    "cfg(windows",
    "target_os",
    "target_arch",
    "/proc/",
    "/sys/fs/",
];

/// What asks the system past std. Tests do so as the services whose part they play.
const CALLS: &str = "libc::";

/// Modules that are tests as a whole.
const TESTS: [&str; 2] = ["thread/tests.rs", "stack/late_library.rs"];

/// The lines of a source that know too much, by their numbers.
fn knowing(source: &str, is_test: bool) -> Vec<usize> {
    let lines: Vec<&str> = source.lines().collect();
    let module = lines.iter().position(|line| *line == "mod tests {").unwrap_or(lines.len());
    let tests = if is_test { 0 } else { module };
    let knows = |&at: &usize| {
        WORDS.iter().any(|word| lines[at].contains(word)) || at < tests && lines[at].contains(CALLS)
    };
    (0..lines.len()).filter(knows).map(|at| at + 1).collect()
}

/// Hands over each source in a folder and below, but for those in `except`.
fn each_source(folder: &Path, except: &Path, see: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).expect("the sources are here") {
        let path = entry.expect("a file").path();
        if path.is_dir() && path != except {
            each_source(&path, except, see);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            see(&path, &fs::read_to_string(&path).expect("a text"));
        }
    }
}

#[test]
fn only_sys_names_systems_and_asks_them() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sys = sources.join("sys");
    let (mut seen, mut found) = (0, Vec::new());
    each_source(&sources, &sys, &mut |path, source| {
        seen += 1;
        let is_test = TESTS.iter().any(|test| path.ends_with(test));
        found.extend(knowing(source, is_test).iter().map(|line| format!("{}:{line}", path.display())));
    });
    assert!(found.is_empty(), "belongs into src/sys: {found:#?}");
    assert!(seen > 50, "{seen} files: are these the sources?");
    let mut inside = 0;
    each_source(&sys, Path::new(""), &mut |_, source| inside += knowing(source, false).len());
    assert!(inside > 10, "{inside} lines in sys: does the test see anything?");
}

#[test]
fn whatever_names_one_is_found() {
    let source = "\
        #[cfg(takes_stacks)]\n\
        #[cfg(target_env = \"gnu\")]\n\
        #[cfg(all(feature = \"heap\", target_os = \"linux\"))]\n\
        let bits = if cfg!(target_arch = \"x86_64\") { 48 } else { 32 };\n\
        fs::read(\"/proc/self/stat\")\n\
        fs::read(\"/sys/fs/cgroup/cpu.stat\")\n\
        let target = target.next_multiple_of(8); // a process of /procedures\n\
        unsafe { libc::getpid() }\n\
        #[cfg(not(unix))]\n\
        #[cfg(all(test, not(diag_loom)))]\n\
        mod tests {\n\
        unsafe { libc::fork() }\n\
        fs::read(\"/proc/self/maps\")\n";
    assert_eq!(knowing(source, false), [2, 3, 4, 5, 6, 8, 9, 13]);
    assert_eq!(knowing(source, true), [2, 3, 4, 5, 6, 9, 13]);
}
