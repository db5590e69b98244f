//! One concept has one word: no package declares anything by a word that it has given up, see `retired_words.txt`.

use std::fs;
use std::path::{Path, PathBuf};

const LIST: &str = include_str!("retired_words.txt");

/// Where the code of each package lies.
const PACKAGES: [(&str, &str); 10] = [
    ("diag", "diag/recorder"),
    ("diag-snapshot", "diag/snapshot"),
    ("diag-symbols", "diag/symbols"),
    ("diag-analysis", "diag/analysis"),
    ("diag-diff", "diag/diff"),
    ("diag-tracing", "diag/tracing"),
    ("diag-viewer", "viewer"),
    ("diag-examples", "examples"),
    ("diag-test-support", "diag/test-support"),
    ("diag-peers", "diag/peers"),
];

/// What a word has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Type,
    Function,
    Module,
    Constant,
    Field,
    Key,
    Screen,
}

impl Kind {
    const ALL: [(&str, Kind); 7] = [
        ("type", Kind::Type),
        ("function", Kind::Function),
        ("module", Kind::Module),
        ("constant", Kind::Constant),
        ("field", Kind::Field),
        ("key", Kind::Key),
        ("screen", Kind::Screen),
    ];

    /// What stands before the name where such a thing is declared.
    fn keywords(self) -> &'static [&'static str] {
        match self {
            Kind::Type => &["struct", "enum", "union", "trait", "type"],
            Kind::Function => &["fn"],
            Kind::Module => &["mod"],
            Kind::Constant => &["const", "static"],
            Kind::Field | Kind::Key | Kind::Screen => &[],
        }
    }
}

/// A line of the list.
struct Retired {
    word: &'static str,
    package: &'static str,
    kind: Kind,
    now: &'static str,
}

fn list() -> Vec<Retired> {
    let lines = LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let retired = lines.map(|line| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [word, package, kind, now] = columns[..] else { panic!("four columns: {line}") };
        let (_, kind) = *Kind::ALL.iter().find(|(name, _)| *name == kind).expect(line);
        assert!(PACKAGES.iter().any(|(name, _)| *name == package), "no such package: {line}");
        Retired { word, package, kind, now }
    });
    retired.collect()
}

/// A source: a file of Rust, or a page.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn is_page(&self) -> bool {
        self.path.extension().is_some_and(|kind| kind != "rs")
    }

    /// The lines in which this declares, or shows, the word as this kind of thing; 0 is the file itself.
    fn uses(&self, word: &str, kind: Kind) -> Vec<usize> {
        let lines = self.text.lines().zip(1..).filter(|(line, _)| line.contains(word));
        let code = lines.filter(|(line, _)| self.is_page() || !line.trim_start().starts_with("//"));
        let uses = code.filter(|(line, _)| match kind {
            Kind::Key => line.contains(&format!("\"{word}\"")),
            Kind::Screen if self.is_page() => line.contains(word),
            Kind::Screen => line.split('"').skip(1).step_by(2).any(|text| text.contains(word)),
            _ if self.is_page() => false,
            Kind::Field => is_field(line, word),
            _ => kind.keywords().iter().any(|keyword| declares(line, keyword, word)),
        });
        let is_module = kind == Kind::Module && !self.is_page() && self.is_module(word);
        is_module.then_some(0).into_iter().chain(uses.map(|(_, number)| number)).collect()
    }

    /// True if the file is that of a module of this name, or lies in its folder.
    fn is_module(&self, name: &str) -> bool {
        self.path.file_stem().is_some_and(|stem| stem == name)
            || self.path.parent().and_then(Path::file_name).is_some_and(|folder| folder == name)
    }
}

/// True if the keyword stands in this line with the word right behind it.
fn declares(line: &str, keyword: &str, word: &str) -> bool {
    let words = line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    words.windows(2).any(|pair| pair == [keyword, word])
}

/// True if this is the line of a field of a struct: `word: Type,`. That of a value has no line of its own, or a value that
/// is no type.
fn is_field(line: &str, word: &str) -> bool {
    let line = line.trim();
    let line = line.strip_prefix("pub").map_or(line, |rest| match rest.strip_prefix('(') {
        Some(rest) => rest.split_once(')').map_or("", |(_, rest)| rest),
        None => rest,
    });
    let declared = line.trim_start().strip_prefix(word).and_then(|rest| rest.strip_prefix(": "));
    let is_type =
        |text: &str| text.starts_with(|c: char| c.is_uppercase() || "&[(".contains(c)) || is_plain(text);
    declared.and_then(|rest| rest.strip_suffix(',')).is_some_and(|text| is_type(text) && !text.contains('.'))
}

fn is_plain(text: &str) -> bool {
    const PLAIN: [&str; 13] =
        ["bool", "char", "f32", "f64", "i32", "i64", "u8", "u16", "u32", "u64", "usize", "isize", "i8"];
    PLAIN.contains(&text)
}

/// Sources in a folder and below.
fn sources(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("the sources are here") {
        let path = entry.expect("a file").path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if name != "target" && name != "testdata" {
                sources(&path, found);
            }
        } else if name != "retired_words.rs"
            && path.extension().is_some_and(|kind| kind == "rs" || kind == "html")
        {
            let text = fs::read_to_string(&path).expect("a text");
            found.push(Source { path, text });
        }
    }
}

#[test]
fn no_retired_word_names_anything() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut found = Vec::new();
    for (package, folder) in PACKAGES {
        let mut of_package = Vec::new();
        sources(&root.join(folder), &mut of_package);
        assert!(of_package.len() > 3, "{package}: are these its sources?");
        for retired in list().iter().filter(|retired| retired.package == package) {
            for source in &of_package {
                let path = source.path.strip_prefix(root).unwrap_or(&source.path).display();
                found.extend(source.uses(retired.word, retired.kind).iter().map(|line| {
                    format!("{path}:{line}: the {:?} {} is {} now", retired.kind, retired.word, retired.now)
                }));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(list().len() > 30, "{} words: is this the list?", list().len());
}

#[test]
fn a_word_is_found_where_it_is_declared_and_nowhere_else() {
    let rust = |text: &str| Source { path: "src/a.rs".into(), text: text.to_owned() };
    let declared = [
        (Kind::Type, "pub(crate) struct tally<T> {"),
        (Kind::Type, "type tally = u64;"),
        (Kind::Function, "    pub(super) unsafe fn tally(&self) {"),
        (Kind::Module, "pub(crate) mod tally;"),
        (Kind::Constant, "static tally: Dropped = Dropped::new("),
        (Kind::Field, "    pub(crate) tally: Option<u64>,"),
        (Kind::Field, "    tally: u64,"),
        (Kind::Key, "    row.insert(\"tally\", 7);"),
        (Kind::Screen, "    println!(\"the tally of {x}\");"),
    ];
    for (kind, line) in declared {
        let source = rust(&format!(
            "//! The tally.\n{line}\n/// mod tally, fn tally, struct tally\nlet tally = tally(x);\n"
        ));
        assert_eq!(source.uses("tally", kind), [2], "{kind:?}: {line}");
        let others = Kind::ALL.map(|(_, kind)| kind).into_iter().filter(|other| *other != kind);
        // A key is a text, too.
        let others = others.filter(|other| (kind, *other) != (Kind::Key, Kind::Screen));
        for other in others {
            assert!(source.uses("tally", other).is_empty(), "{line} is no {other:?}");
        }
        assert!(source.uses("tall", kind).is_empty() || kind == Kind::Screen, "another word: {line}");
    }
    let in_folder = Source { path: "src/tally/mod.rs".into(), text: String::new() };
    let file = Source { path: "src/tally.rs".into(), text: String::new() };
    assert_eq!([in_folder.uses("tally", Kind::Module), file.uses("tally", Kind::Module)], [[0], [0]]);
    let page =
        Source { path: "templates/tally.html".into(), text: "<p>the tally</p>\nmod tally;".to_owned() };
    assert_eq!(page.uses("the tally", Kind::Screen), [1]);
    assert!(page.uses("tally", Kind::Module).is_empty());
    let value = rust("    tally: self.tally.load(Ordering::Relaxed),\n    tally: tally,\n");
    assert!(value.uses("tally", Kind::Field).is_empty());
}
