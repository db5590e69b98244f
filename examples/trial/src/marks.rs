//! The lines of a service that are marked as those of faults: `// FAULT NAME` stands at their end, with one name or more.

/// Files below `src`, by name and text.
pub type Sources = [(&'static str, &'static str)];

/// The lines of a fault, as `src/store.rs:17`.
pub fn lines(sources: &Sources, fault: &str) -> Vec<String> {
    let marked = |&(file, text): &(&str, &str)| {
        let lines = text.lines().zip(1..).filter(|(line, _)| names(line).any(|name| name == fault));
        lines.map(|(_, number)| format!("src/{file}.rs:{number}")).collect::<Vec<_>>()
    };
    sources.iter().flat_map(marked).collect()
}

/// The faults that a line is marked with.
fn names(line: &str) -> impl Iterator<Item = &str> {
    line.split_once("// FAULT ").into_iter().flat_map(|(_, names)| names.split(' '))
}

/// For a test of the service: each of these faults has a line, and each mark names one of them.
///
/// # Panics
/// If that is not so.
pub fn check(sources: &Sources, faults: &[String]) {
    for fault in faults {
        assert!(!lines(sources, fault).is_empty(), "{fault} has no line");
    }
    for name in sources.iter().flat_map(|(_, text)| text.lines()).flat_map(names) {
        assert!(faults.iter().any(|fault| fault == name), "a mark names {name}, which is no fault");
    }
}
