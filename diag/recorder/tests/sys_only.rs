//! Only `src/sys` knows which system and which processor this is, and where the kernel tells what. Whoever reads
//! another file of the recorder reads it for all of them.

use std::fs;
use std::path::Path;

/// What names a system, a processor, or a file of the kernel's.
const WORDS: [&str; 5] = ["cfg(target_", "target_os", "target_arch", "/proc/", "/sys/fs/"];

/// The lines of a source that know too much, by their numbers.
fn knowing(source: &str) -> Vec<usize> {
    let lines = source.lines().enumerate();
    let knows = |line: &str| WORDS.iter().any(|word| line.contains(word));
    lines.filter(|(_, line)| knows(line)).map(|(at, _)| at + 1).collect()
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
fn only_sys_names_systems_and_files_of_the_kernel() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sys = sources.join("sys");
    let (mut seen, mut found) = (0, Vec::new());
    each_source(&sources, &sys, &mut |path, source| {
        seen += 1;
        found.extend(knowing(source).iter().map(|line| format!("{}:{line}", path.display())));
    });
    assert!(found.is_empty(), "belongs into src/sys: {found:#?}");
    assert!(seen > 50, "{seen} files: are these the sources?");
    let mut inside = 0;
    each_source(&sys, Path::new(""), &mut |_, source| inside += knowing(source).len());
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
        let target = target.next_multiple_of(8); // a process of /procedures\n";
    assert_eq!(knowing(source), [2, 3, 4, 5, 6]);
}
