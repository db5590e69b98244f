//! What documents name is there: paths, macros, and the targets of their commands, which `.ci/run` builds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of the tree whose names end so, outside of folders of builds and data.
fn files(ends: &[&str]) -> Vec<PathBuf> {
    let mut folders = vec![root()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if entry.is_dir() && !["target", ".git", "testdata"].contains(&name.as_str()) {
                folders.push(entry);
            } else if ends.iter().any(|end| name.ends_with(end)) {
                found.push(entry);
            }
        }
    }
    found.sort();
    assert!(found.len() > 3, "the tree is read");
    found
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Paths that a document names from the root, or as links from where it lies.
fn paths(document: &Path, text: &str) -> Vec<PathBuf> {
    let folders = ["diag/", "viewer/", "examples/", "testdata/", ".ci/"];
    let is_path = |word: &&str| {
        folders.iter().any(|folder| word.starts_with(folder))
            && !word.contains([' ', '*', '<', '{', ',', ':'])
    };
    let named = quoted(text).filter(is_path).map(|path| root().join(path));
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let links = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
    let folder = document.parent().expect("a folder");
    named.chain(links.map(|link| folder.join(link.split('#').next().unwrap_or(link)))).collect()
}

#[test]
fn paths_in_documents_exist() {
    let mut named = 0;
    let mut missing = Vec::new();
    for document in files(&[".md"]) {
        for path in paths(&document, &read(&document)) {
            named += 1;
            if !path.exists() {
                missing.push(format!("{}: {}", document.display(), path.display()));
            }
        }
    }
    assert!(named > 100, "{named} paths only: they are looked for in the wrong way");
    assert!(missing.is_empty(), "no such file:\n{}", missing.join("\n"));
}

#[test]
fn macros_in_recipes_exist() {
    let sources: String = files(&[".rs"]).iter().map(|path| read(path)).collect();
    let text = read(&root().join("CONTRIBUTING.md"));
    let macros: BTreeSet<&str> = quoted(&text).filter_map(|word| word.strip_suffix('!')).collect();
    assert!(macros.contains("rules") && macros.contains("table"), "{macros:?}");
    for name in macros {
        assert!(sources.contains(&format!("macro_rules! {name} ")), "no macro {name}!");
    }
}

/// Everything that cargo can build in the workspace: (package, kind of target, name).
fn targets() -> BTreeSet<(String, String, String)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo's JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut targets = BTreeSet::new();
    for package in list(&metadata["packages"]) {
        for target in list(&package["targets"]) {
            for kind in list(&target["kind"]) {
                targets.insert((text(&package["name"]), text(&kind), text(&target["name"])));
            }
        }
    }
    targets
}

/// Why nothing in `.ci/run` builds what a command asks for, if that is so.
fn unbuilt(command: &[&str], targets: &BTreeSet<(String, String, String)>, ci: &str) -> Option<String> {
    let value = |flag: &str| command.iter().position(|word| *word == flag).and_then(|i| command.get(i + 1));
    if let Some(manifest) = value("--manifest-path") {
        return (!ci.contains(*manifest)).then(|| format!("{manifest} is no part of .ci/run"));
    }
    if let Some(package) = value("-p")
        && !targets.iter().any(|(name, ..)| name == package)
    {
        return Some(format!("no package {package}"));
    }
    for (flag, kind) in [("--bin", "bin"), ("--example", "example"), ("--test", "test")] {
        let Some(name) = value(flag) else { continue };
        let of = |package: &str| value("-p").is_none_or(|asked| *asked == package);
        if !targets.iter().any(|(package, k, n)| of(package) && k == kind && n == name) {
            return Some(format!("no {kind} {name}"));
        }
    }
    None
}

/// The commands of cargo in a text, in backticks or on a line of their own.
fn commands(text: &str) -> Vec<Vec<&str>> {
    let starts = ["cargo run", "cargo test", "cargo build", "cargo bench"];
    let lines = text.lines().map(|line| line.trim_start_matches(['/', '!', ' ', '#', '$']));
    let all = quoted(text).chain(lines);
    let after_variables = all.map(|line| line.trim_start_matches("DIAG_BLESS=1 "));
    let ours = after_variables.filter(|line| starts.iter().any(|start| line.starts_with(start)));
    ours.map(|line| line.split('`').next().unwrap_or(line).split_whitespace().collect()).collect()
}

#[test]
fn commands_in_documents_are_built() {
    let (targets, ci) = (targets(), read(&root().join(".ci/run")));
    let mut seen = 0;
    let mut faults = Vec::new();
    for document in files(&[".md", ".rs", "justfile"]) {
        let text = read(&document);
        for command in commands(&text) {
            seen += 1;
            if let Some(why) = unbuilt(&command, &targets, &ci) {
                faults.push(format!("{}: {}: {why}", document.display(), command.join(" ")));
            }
        }
    }
    assert!(seen > 20, "{seen} commands only: they are looked for in the wrong way");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(unbuilt(&["cargo", "run", "--bin", "nothing"], &targets, &ci).is_some());
}

/// What stands under a heading of the second level.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, from) = text.split_once(&format!("\n## {heading}\n")).expect(heading);
    from.split("\n## ").next().unwrap_or(from)
}

#[test]
fn linking_is_told_alike_on_both_front_pages() {
    let table = |name: &str| {
        let text = read(&root().join(name));
        let lines: Vec<String> = section(&text, "Linking it").lines().map(str::to_owned).collect();
        let end = lines.iter().rposition(|line| line.starts_with('|')).expect("a table");
        lines[..=end].to_vec()
    };
    assert_eq!(table("README.md"), table("diag/recorder/README.md"));
}
