//! What the modules of this package know of each other, read from its sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each module at the top, and those that it may name. Facts come before rules, rules before reports.
const ARROWS: [(&str, &[&str]); 14] = [
    ("stats", &[]),
    ("time", &[]),
    ("merge", &[]),
    ("baseline", &[]),
    ("memdiff", &[]),
    ("flow", &["stats"]),
    ("diff", &["flow", "merge", "stats"]),
    ("trend", &["diff", "flow", "merge", "stats", "time"]),
    ("series", &["diff"]),
    ("rules", &["diff", "stats", "time", "trend"]),
    ("policy", &["diff", "rules", "time"]),
    ("outcome", &["diff", "policy", "rules"]),
    ("report", &["diff", "outcome", "policy", "rules", "time", "trend"]),
    ("check", &["diff", "outcome", "policy", "report", "rules", "series", "time", "trend"]),
];

type Arrows = BTreeMap<String, BTreeSet<String>>;

fn arrows(drawn: &[(&str, &[&str])]) -> Arrows {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    drawn.iter().map(|&(module, named)| (module.to_owned(), owned(named))).collect()
}

/// The modules after each `crate::` in the code of a source; its comments and its tests do not count.
fn named(source: &str) -> BTreeSet<String> {
    let lines = source.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    let paths = code.flat_map(|line| line.split("crate::").skip(1));
    let word = |path: &str| {
        path.split(|char: char| !char.is_alphanumeric() && char != '_').next().map(str::to_owned)
    };
    paths.filter_map(word).filter(|word| !word.is_empty()).collect()
}

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).expect("the folder is there");
    entries.flat_map(|entry| sources(&entry.expect("it can be listed").path())).collect()
}

/// What the code says: `lib.rs` aside, every file and folder of `src` is a module.
fn read() -> Arrows {
    let mut read = Arrows::new();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for source in sources(&src).iter().filter(|source| !source.ends_with("src/lib.rs")) {
        let within = source.strip_prefix(&src).expect("it is in there");
        let top = within.iter().next().and_then(|name| Path::new(name).file_stem()).expect("a name");
        let module = top.to_str().expect("text").to_owned();
        let mut others = named(&fs::read_to_string(source).expect("a source is text"));
        others.remove(&module);
        read.entry(module).or_default().extend(others);
    }
    read
}

/// The modules that stay when again and again those are taken away that name none of the rest: each of them reaches
/// a circle.
fn in_circles(arrows: &Arrows) -> Vec<&str> {
    let mut rest: BTreeSet<&str> = arrows.keys().map(String::as_str).collect();
    loop {
        let is_free = |module: &&str| !arrows[*module].iter().any(|other| rest.contains(other.as_str()));
        let free: Vec<&str> = rest.iter().copied().filter(is_free).collect();
        if free.is_empty() {
            return rest.into_iter().collect();
        }
        free.iter().for_each(|module| {
            rest.remove(module);
        });
    }
}

#[test]
fn modules_know_each_other_as_drawn() {
    assert_eq!(
        read(),
        arrows(&ARROWS),
        "draw the new arrow, if it leads back to nothing that knows its module"
    );
}

#[test]
fn no_module_knows_one_that_knows_it() {
    let read = read();
    assert_eq!(in_circles(&read), Vec::<&str>::new());
}

#[test]
fn a_circle_is_found() {
    let drawn = arrows(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])]);
    assert_eq!(in_circles(&drawn), ["a", "b", "c"]);
    let source = "//! See crate::report.\nuse crate::diff::Now;\nlet x = crate::time::timestamp;\n#[cfg(test)]\nuse crate::stats;";
    assert_eq!(named(source).iter().map(String::as_str).collect::<Vec<_>>(), ["diff", "time"]);
}
