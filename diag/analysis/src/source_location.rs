//! Where something is in the source code, and what a function's name tells of its crate.

use std::fmt;
use std::sync::Arc;

use memchr::memmem;

use crate::human;

/// A function, and where in it. To clone it is cheap: a function stands in thousands of stacks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceLocation {
    /// Demangled name; module and offset if there is none.
    pub function: Arc<str>,
    /// Source file, if known.
    pub file: Option<Arc<str>>,
    /// Line, if known.
    pub line: Option<u32>,
}

impl SourceLocation {
    /// `file:line`, or the function where that is not known; safe to print. A file of a library is told by the
    /// library's name and version, or by std's own folder, and not by where it lay when it was compiled.
    pub fn location(&self) -> String {
        match (self.file.as_deref().map(without_registry), self.line) {
            (Some(file), Some(line)) => format!("{}:{line}", human::name(file)),
            (Some(file), None) => human::name(file),
            (None, _) => human::name(&self.function),
        }
    }

    /// The file as [`location`](SourceLocation::location) has it; the function where it is not known.
    pub(crate) fn location_in_file(&self) -> String {
        self.file.as_deref().map_or(&*self.function, without_registry).to_owned()
    }

    /// The function's path from its crate on. It may stand in a qualified form, `<alloc::vec::Vec<T> as
    /// ..>::clone`, from which the type's path on is given, or the trait's if the type is a parameter.
    pub fn path(&self) -> &str {
        let Some(Qualified { of, .. }) = Qualified::of(&self.function) else { return &self.function };
        let start = of.as_ptr() as usize - self.function.as_ptr() as usize;
        &self.function[start..]
    }

    /// The crate that the function's path begins with.
    pub fn crate_name(&self) -> Option<&str> {
        let path = self.path();
        let first = &path[..memmem::find(path.as_bytes(), b"::")?];
        first.chars().all(is_word).then_some(first)
    }

    /// True if the path begins in one of these crates.
    pub fn is_of_crate(&self, crates: &[&str]) -> bool {
        self.crate_name().is_some_and(|first| crates.contains(&first))
    }
}

/// The path of a function as the source has it: `tokio::sync::mpsc::bounded::Receiver::recv` of
/// `<tokio::sync::mpsc::bounded::Receiver<T>>::recv::{closure#0}`, without type parameters and closures.
pub fn plain_path(function: &str) -> String {
    let text = match Qualified::of(function) {
        Some(Qualified { of, method }) => without_brackets(of) + &without_brackets(method),
        None => without_brackets(function),
    };
    let words: Vec<&str> = text.split("::").map(str::trim).filter(|word| !word.is_empty()).collect();
    words.join("::")
}

/// `<type as trait>::method`, or `<type>::method`.
struct Qualified<'a> {
    /// The type, or the trait if the type has no path of its own.
    of: &'a str,
    /// All that follows.
    method: &'a str,
}

impl<'a> Qualified<'a> {
    fn of(function: &'a str) -> Option<Self> {
        let inside = function.strip_prefix('<')?;
        let end = outside_brackets(inside).find(|(_, rest)| rest.starts_with('>')).map(|(at, _)| at)?;
        let (inside, method) = (&inside[..end], &inside[end + 1..]);
        let (of_type, of_trait) =
            match outside_brackets(inside).find(|(_, rest)| rest.starts_with(" as ")).map(|(at, _)| at) {
                Some(at) => (&inside[..at], Some(&inside[at + " as ".len()..])),
                None => (inside, None),
            };
        let of_type = without_pointers(of_type);
        let word = of_type.find(|char| !is_word(char)).unwrap_or(of_type.len());
        let of = if of_type[word..].starts_with("::") { of_type } else { of_trait.unwrap_or(of_type) };
        Some(Qualified { of, method })
    }
}

/// A type without what stands in front of its name.
fn without_pointers(mut text: &str) -> &str {
    const IN_FRONT: [&str; 7] = ["&", "*", "mut ", "const ", "dyn ", "[", "("];
    while let Some(rest) = IN_FRONT.iter().find_map(|word| text.strip_prefix(word)) {
        text = rest;
    }
    text
}

/// Without all that stands in brackets, whatever they are.
fn without_brackets(text: &str) -> String {
    outside_brackets(text)
        .filter_map(|(_, rest)| rest.chars().next())
        .filter(|char| !is_bracket(*char))
        .collect()
}

/// The places of a text that are in no brackets, with the text from there on; a bracket that closes nothing is
/// one of them.
pub(crate) fn outside_brackets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut depth = 0_usize;
    text.char_indices().filter_map(move |(at, char)| {
        // The arrow of a function's type closes nothing.
        let is_arrow = char == '>' && text[..at].ends_with('-');
        let is_closing = !is_arrow && matches!(char, '>' | ')' | ']' | '}');
        let is_outside = depth == 0;
        depth = depth.saturating_sub(usize::from(is_closing));
        depth += usize::from(matches!(char, '<' | '(' | '[' | '{'));
        is_outside.then(|| (at, &text[at..]))
    })
}

/// True if `part` stands in `text`. Each frame is asked for dozens of short ones, for which the search of std takes longer to
/// be prepared than to be done.
pub(crate) fn is_in(text: &str, part: &str) -> bool {
    memmem::find(text.as_bytes(), part.as_bytes()).is_some()
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn is_bracket(char: char) -> bool {
    matches!(char, '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}')
}

/// `function (file:line)`.
impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&human::name(&self.function))?;
        if self.file.is_some() { write!(f, " ({})", self.location()) } else { Ok(()) }
    }
}

/// `mio-1.2.4/src/event.rs` of a path below cargo's registry, the like of what came from git or is vendored,
/// `library/alloc/src/vec/mod.rs` of one of std.
fn without_registry(path: &str) -> &str {
    let below = |folder: &str| path.split_once(folder).map(|(_, rest)| rest);
    if let Some(fetched) = below("/git/checkouts/").or_else(|| below("/vendor/")) {
        return fetched;
    }
    let of_registry = below("/registry/src/").or_else(|| path.strip_prefix("/rustc/"));
    of_registry.and_then(|rest| rest.split_once('/')).map_or(path, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_without_types() {
        let check = |function: &str, expected: &str, expected_crate: &str| {
            assert_eq!(plain_path(function), expected, "{function}");
            let place = SourceLocation { function: function.into(), file: None, line: None };
            assert_eq!(place.crate_name().unwrap_or(""), expected_crate, "{function}");
        };
        check("tokio::sync::mpsc::Rx<T,S>::recv::{{closure}}", "tokio::sync::mpsc::Rx::recv", "tokio");
        check("<tokio::sync::mpsc::Rx<T>>::recv::{closure#0}", "tokio::sync::mpsc::Rx::recv", "tokio");
        check("<a::B<T> as core::future::Future>::poll", "a::B::poll", "a");
        check("<&mut a::B<fn() -> u8> as x::Y>::poll", "a::B::poll", "a");
        check("<&mut T as tokio::io::AsyncRead>::poll_read", "tokio::io::AsyncRead::poll_read", "tokio");
        check("<F as core::future::Future>::poll", "core::future::Future::poll", "core");
        check("<[T] as alloc::Clone<u8>>::clone", "alloc::Clone::clone", "alloc");
        check("<dyn core::fmt::Write as x::Y>::z", "core::fmt::Write::z", "core");
        check("flume::<impl flume::Hook<T,a::B>>::wake", "flume::wake", "flume");
        check("a::{closure#1}<&core::task::Waker>", "a", "a");
        check("a::FnOnce::call_once{{vtable.shim}}", "a::FnOnce::call_once", "a");
        check("alloc<std::alloc::System>", "alloc", "");
        check("__rust_alloc", "__rust_alloc", "");
        check("<unclosed::T", "", "");
        check("shop+0x1234", "shop+0x1234", "");
        check("", "", "");
    }

    #[test]
    fn a_library_is_told_by_its_name_and_not_by_where_it_lay() {
        let check = |file: Option<&str>, line, expected: &str| {
            let file = file.map(Arc::from);
            assert_eq!(SourceLocation { function: "f".into(), file, line }.location(), expected);
        };
        let mio = "/home/me/.cargo/registry/src/some.index-0123/mio-1.2.4/src/lib.rs";
        check(Some(mio), Some(94), "mio-1.2.4/src/lib.rs:94");
        check(Some("/rustc/0123/library/std/src/thread/mod.rs"), None, "library/std/src/thread/mod.rs");
        check(Some("/home/me/.cargo/git/checkouts/a-01/2b/src/lib.rs"), Some(7), "a-01/2b/src/lib.rs:7");
        check(Some("/app/vendor/mio/src/lib.rs"), Some(7), "mio/src/lib.rs:7");
        check(Some("src/main.rs"), Some(7), "src/main.rs:7");
        check(Some("/registry/src/odd"), Some(7), "/registry/src/odd:7");
        check(None, None, "f");
    }
}
