//! Lines of source code around a place that a snapshot names, from a folder that a person named.
//!
//! A snapshot is hostile until shown otherwise, so nothing is opened by its paths: they are compared with those of the files
//! that lie below the folder, and one that is like them is shown if there is but one. Links are not followed, and only text of
//! the language is read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

/// Lines before and after the place.
const AROUND: u32 = 4;
/// Larger files are made by programs.
const MAX_FILE_BYTES: u64 = 2 << 20;
const MAX_LINE_CHARS: usize = 200;
/// A folder of more is not what was meant.
const MAX_FILES: usize = 50_000;
const MAX_DEPTH: usize = 24;
/// Where libraries lie when a service is built: files of the same name in the folder are others.
const LIBRARIES: [&str; 6] =
    ["/registry/src/", "/git/checkouts/", "/vendor/", "/rustc/", "/rust/deps/", "/library/"];

/// A folder with source code, and how an editor is told to open it.
#[derive(Debug)]
pub(crate) struct Code {
    root: PathBuf,
    editor: Option<Editor>,
    /// By their names; listed when the first is looked for.
    files: OnceLock<BTreeMap<String, Vec<PathBuf>>>,
}

/// How an address looks that an editor opens: `vscode://file/{path}:{line}:{column}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Editor(String);

/// Lines of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The file, below the folder.
    pub(crate) path: String,
    pub(crate) line: u32,
    /// Where an editor opens it.
    pub(crate) href: Option<String>,
    pub(crate) lines: Vec<Line>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: u32,
    pub(crate) text: String,
    pub(crate) is_meant: bool,
}

/// A place as a snapshot has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place<'a> {
    file: &'a str,
    line: u32,
    column: u32,
}

impl Editor {
    /// An editor by its name, or the form of its addresses with `{path}` and, if it can, `{line}` and `{column}`.
    ///
    /// # Errors
    /// What is wrong with it, and what is known.
    pub fn parse(text: &str) -> Result<Self, String> {
        let template = match text {
            "vscode" => "vscode://file{path}:{line}:{column}",
            "vscodium" => "vscodium://file{path}:{line}:{column}",
            "cursor" => "cursor://file{path}:{line}:{column}",
            "zed" => "zed://file{path}:{line}:{column}",
            "idea" => "idea://open?file={path}&line={line}",
            "rustrover" => "rustrover://open?file={path}&line={line}",
            "emacs" => "org-protocol://open-file?url=file://{path}&line={line}",
            other => other,
        };
        let scheme = template.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
        let is_scheme = scheme.starts_with(|char: char| char.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        // Browsers run what these say.
        let runs = ["javascript", "data", "vbscript"].iter().any(|bad| scheme.eq_ignore_ascii_case(bad));
        if !is_scheme || runs || !template.contains("{path}") {
            return Err(format!(
                "`{text}` is no editor: give vscode, vscodium, cursor, zed, idea, rustrover or emacs, or an address with {{path}} and {{line}}, \
                 such as `vscode://file{{path}}:{{line}}`"
            ));
        }
        Ok(Editor(template.to_owned()))
    }

    fn href(&self, path: &Path, place: Place<'_>) -> String {
        let mut encoded = String::new();
        for byte in path.to_string_lossy().replace('\\', "/").bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b':' => {
                    encoded.push(byte.into());
                }
                _ => encoded += &format!("%{byte:02X}"),
            }
        }
        // A drive begins with no slash.
        let encoded = if encoded.starts_with('/') { encoded } else { format!("/{encoded}") };
        let numbers = self.0.replace("{line}", &place.line.to_string());
        numbers.replace("{column}", &place.column.to_string()).replace("{path}", &encoded)
    }
}

impl<'a> Place<'a> {
    /// Each `file:line` and `file:line:column` of a text such as `oneshot at src/device.rs:67`.
    fn all(text: &'a str) -> impl Iterator<Item = Self> {
        text.split(' ').filter_map(|word| Place::parse(word.trim_matches(['(', ')', ',', ';'])))
    }

    fn parse(word: &'a str) -> Option<Self> {
        let (rest, last) = word.rsplit_once(':')?;
        let last: u32 = last.parse().ok()?;
        let with_column = rest.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?)));
        let (file, line, column) = match with_column {
            Some((file, line)) => (file, line, last),
            None => (rest, last, 1),
        };
        (line > 0 && file.ends_with(".rs")).then_some(Place { file, line, column })
    }
}

impl Code {
    /// The source code below a folder.
    ///
    /// # Errors
    /// If it is no folder that can be read.
    pub(crate) fn new(root: &Path, editor: Option<Editor>) -> Result<Self, String> {
        let unusable = |error| format!("cannot read source code below {}: {error}", root.display());
        let root = root.canonicalize().map_err(unusable)?;
        fs::read_dir(&root).map_err(unusable)?;
        Ok(Code { root, editor, files: OnceLock::new() })
    }

    /// The lines around each of these places, each place once; what is not found is left out.
    pub(crate) fn excerpts<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Vec<Excerpt> {
        let mut excerpts: Vec<Excerpt> = Vec::new();
        let places = texts.into_iter().flat_map(Place::all);
        for excerpt in places.filter_map(|place| self.excerpt(place)) {
            if !excerpts.iter().any(|other| (&other.path, other.line) == (&excerpt.path, excerpt.line)) {
                excerpts.push(excerpt);
            }
        }
        excerpts
    }

    fn excerpt(&self, place: Place<'_>) -> Option<Excerpt> {
        let path = self.find(place.file)?;
        let text = self.read(path)?;
        let first = place.line.saturating_sub(AROUND).max(1);
        let all = (1..).zip(text.lines());
        let lines: Vec<Line> = all
            .skip(first as usize - 1)
            .take((place.line - first + AROUND + 1) as usize)
            .map(|(number, text)| Line { number, text: shown(text), is_meant: number == place.line })
            .collect();
        // The file is another than the one that was built if it has no such line.
        lines.iter().any(|line| line.is_meant).then(|| Excerpt {
            path: path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned(),
            line: place.line,
            href: self.editor.as_ref().map(|editor| editor.href(path, place)),
            lines,
        })
    }

    /// The one file that a path of a snapshot may mean.
    fn find(&self, path: &str) -> Option<&Path> {
        let path = path.replace('\\', "/");
        let wanted: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if wanted.contains(&"..") {
            return None;
        }
        let named = self.files.get_or_init(|| listed(&self.root)).get(*wanted.last()?)?;
        let is_absolute = path.starts_with('/') || wanted.first().is_some_and(|first| first.ends_with(':'));
        let is_library = LIBRARIES.iter().any(|folder| path.contains(folder));
        let is_meant = |file: &&PathBuf| {
            let whole = parts(file);
            let below = parts(file.strip_prefix(&self.root).unwrap_or(file));
            // Where it was built, the folder may have lain elsewhere; a name alone is too little to know it by.
            let moved = is_absolute && !is_library && below.len() > 1 && wanted.ends_with(&below);
            if is_absolute { whole == wanted || moved } else { whole.ends_with(&wanted) }
        };
        let at_root =
            (!is_absolute).then(|| named.iter().find(|file| **file == self.root.join(&path))).flatten();
        let mut meant = named.iter().filter(is_meant);
        match (at_root, meant.next(), meant.next()) {
            (Some(file), ..) | (None, Some(file), None) => Some(file),
            _ => None,
        }
    }

    /// The text of a file that still lies below the folder.
    fn read(&self, path: &Path) -> Option<String> {
        if !path.canonicalize().ok()?.starts_with(&self.root) {
            return None;
        }
        let file = File::open(path).ok()?;
        let facts = file.metadata().ok()?;
        if !facts.is_file() || facts.len() > MAX_FILE_BYTES {
            return None;
        }
        let mut text = String::new();
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
        Some(text)
    }
}

/// The names that a path goes through.
fn parts(path: &Path) -> Vec<&str> {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    names.collect()
}

/// The source files below a folder, by their names; not what is hidden, built, or linked to.
fn listed(root: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut files: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let (mut folders, mut count) = (vec![(root.to_owned(), 0)], 0);
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
            if kind.is_dir() && !name.starts_with('.') && name != "target" && depth < MAX_DEPTH {
                folders.push((entry.path(), depth + 1));
            } else if kind.is_file() && name.ends_with(".rs") && count < MAX_FILES {
                count += 1;
                files.entry(name).or_default().push(entry.path());
            }
        }
    }
    files
}

/// A line as it may be shown: nothing in it changes the direction or the place of what is read.
fn shown(line: &str) -> String {
    let is_odd = |char: char| {
        let turns =
            matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        (char.is_control() && char != '\t') || turns
    };
    line.chars().take(MAX_LINE_CHARS).map(|char| if is_odd(char) { '\u{fffd}' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_files_with_lines() {
        for (text, expected) in [
            ("src/hub.rs:144:15", &[("src/hub.rs", 144, 15)][..]),
            ("oneshot at src/device.rs:67", &[("src/device.rs", 67, 1)]),
            ("mutex at src/a.rs:1; also timer (src/b.rs:3)", &[("src/a.rs", 1, 1), ("src/b.rs", 3, 1)]),
            ("C:\\shop\\src\\a.rs:7:1", &[("C:\\shop\\src\\a.rs", 7, 1)]),
            ("src/a.rs:0:1", &[]),
            ("src/a.rs:99999999999", &[]),
            ("/etc/passwd:1", &[]),
            ("(no place)", &[]),
            ("", &[]),
        ] {
            let places: Vec<_> =
                Place::all(text).map(|place| (place.file, place.line, place.column)).collect();
            assert_eq!(places, expected, "{text}");
        }
    }

    #[test]
    fn editors_are_known_or_given_as_an_address() {
        let place = Place { file: "", line: 7, column: 3 };
        let href =
            |editor: &str| Editor::parse(editor).map(|editor| editor.href(Path::new("/a b/\"x\".rs"), place));
        assert_eq!(href("vscode").as_deref(), Ok("vscode://file/a%20b/%22x%22.rs:7:3"));
        assert_eq!(href("idea").as_deref(), Ok("idea://open?file=/a%20b/%22x%22.rs&line=7"));
        assert_eq!(href("edit:{path}#{line}").as_deref(), Ok("edit:/a%20b/%22x%22.rs#7"));
        for bad in [
            "ed",
            "javascript:alert('{path}')",
            "JavaScript:{path}",
            "data:{path}",
            "vscode://file",
            "{path}",
            "7:{path}",
        ] {
            assert!(href(bad).is_err_and(|error| error.contains("is no editor")), "{bad}");
        }
    }

    #[test]
    fn what_would_mislead_a_reader_is_not_shown() {
        assert_eq!(shown("a\tb\u{1b}[31m\u{202e}c"), "a\tb\u{fffd}[31m\u{fffd}c");
        assert_eq!(shown(&"x".repeat(500)).len(), MAX_LINE_CHARS);
    }
}
