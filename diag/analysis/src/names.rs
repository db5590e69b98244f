//! Call stacks in words: which functions a stack passes through, and where in them.
//!
//! Looking names up is not done here: a snapshot carries them, or shows modules and offsets.

use std::fmt;

use crate::human;
use diag_snapshot::{FrameIndex, FrameRow, ModuleRow, Snapshot, StackIndex, StackRow, Stacks, Strings};

/// A function, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Demangled name; module and offset if there is none.
    pub function: String,
    /// Source file, if known.
    pub file: Option<String>,
    /// Line, if known.
    pub line: Option<u32>,
}

impl Place {
    /// `file:line`, or the function where that is not known; safe to print. A file of a library is told by the
    /// library's name and version, or by std's own folder, and not by where it lay when it was compiled.
    pub fn location(&self) -> String {
        match (self.file.as_deref().map(without_registry), self.line) {
            (Some(file), Some(line)) => format!("{}:{line}", human::name(file)),
            (Some(file), None) => human::name(file),
            (None, _) => human::name(&self.function),
        }
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
        let (first, _) = self.path().split_once("::")?;
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
fn outside_brackets(text: &str) -> impl Iterator<Item = (usize, &str)> {
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

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn is_bracket(char: char) -> bool {
    matches!(char, '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}')
}

/// `function (file:line)`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&human::name(&self.function))?;
        if self.file.is_some() { write!(f, " ({})", self.location()) } else { Ok(()) }
    }
}

/// The stacks of one snapshot with names.
pub struct NamedStacks {
    /// The frame of each stack, and the stack that called it.
    stacks: Vec<StackRow>,
    /// Functions of each frame, innermost first; never empty.
    frames: Vec<Vec<Place>>,
    /// Which frames have a name, and not only module and offset.
    has_name: Vec<bool>,
    addresses: Vec<FrameRow>,
    modules: Vec<Module>,
}

/// An executable or a shared library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its file.
    pub path: String,
    /// Lower-case hex, if it has one.
    pub build_id: Option<String>,
    /// Where it is loaded.
    pub base: u64,
    /// How much of the address space it takes.
    pub size_bytes: u64,
}

impl NamedStacks {
    /// Names every frame; `strings` are those of the stacks' snapshot.
    pub fn new(stacks: &Stacks, strings: &Strings) -> Self {
        NamedStacks {
            stacks: stacks.stacks.iter().collect(),
            frames: frames(stacks, strings),
            has_name: has_name(stacks),
            addresses: stacks.frames.iter().collect(),
            modules: stacks.modules.iter().map(|row| Module::new(&row, strings)).collect(),
        }
    }

    /// The functions of one frame, innermost first: several if they are inlined into each other.
    pub fn frame(&self, frame: FrameIndex) -> &[Place] {
        self.frames.get(frame.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// True if a function of the frame is known by name.
    pub fn has_name(&self, frame: FrameIndex) -> bool {
        self.has_name.get(frame.0 as usize).copied().unwrap_or(false)
    }

    /// The modules that frames lie in.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The return address of a frame, and the place of its module among the [`modules`](Self::modules).
    pub fn address(&self, frame: FrameIndex) -> Option<(u64, Option<usize>)> {
        let frame = self.addresses.get(frame.0 as usize)?;
        let module = frame.module.map(|module| module.0 as usize);
        let base = module.and_then(|module| self.modules.get(module)).map_or(0, |module| module.base);
        Some((base.saturating_add(frame.offset), module))
    }

    /// All frames of a stack, innermost first.
    pub fn frames(&self, stack: StackIndex) -> impl Iterator<Item = FrameIndex> {
        let mut next = Some(stack);
        // A caller's row comes before its callee's, so this ends even in a file that lies.
        std::iter::from_fn(move || {
            let index = next?;
            let row = self.stacks.get(index.0 as usize)?;
            next = row.caller.filter(|caller| caller.0 < index.0);
            Some(row.frame)
        })
    }

    /// The innermost frame of each stack, in the order of the snapshot, and the stack of its caller.
    pub fn calls(&self) -> impl ExactSizeIterator<Item = (FrameIndex, Option<StackIndex>)> {
        self.stacks.iter().map(|row| (row.frame, row.caller))
    }

    /// All functions of a stack, innermost first.
    pub fn stack(&self, stack: StackIndex) -> impl Iterator<Item = &Place> {
        self.frames(stack).flat_map(|frame| self.frame(frame))
    }
}

impl Module {
    fn new(row: &ModuleRow, strings: &Strings) -> Self {
        Module {
            path: strings.show(row.path).to_owned(),
            build_id: row.build_id.map(|build_id| strings.show(build_id).to_owned()),
            base: row.base,
            size_bytes: row.size_bytes,
        }
    }
}

/// A module many of whose frames have no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unnamed {
    /// Its file, without folders.
    pub module: String,
    /// Lower-case hex, if it has one.
    pub build_id: Option<String>,
    /// Frames in it without a name.
    pub frames: u64,
    /// All frames in it.
    pub of: u64,
}

/// What is missing, and what to do about it.
impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (frames, of) = (human::count(self.frames), human::count(self.of));
        write!(f, "names are missing for {frames} of {of} frames of {} ", human::name(&self.module))?;
        match &self.build_id {
            Some(id) => write!(f, "(build id {}): give its debug file with --debug-dir", human::name(id)),
            None => f.write_str("(no build id, so that none can be looked up: link it with --build-id)"),
        }
    }
}

/// The modules that keep a snapshot from being read by names. A C library lacks a few names always, so
/// that less than one frame in twenty of the snapshot is not worth a word.
pub fn unnamed(snapshot: &Snapshot) -> Vec<Unnamed> {
    const WORTH_A_WORD: usize = 20;
    let stacks = &snapshot.stacks;
    let mut counts = vec![(0, 0); stacks.modules.len()];
    for (row, named) in stacks.frames.iter().zip(has_name(stacks)) {
        if let Some((frames, of)) = row.module.and_then(|module| counts.get_mut(module.0 as usize)) {
            *frames += u64::from(!named);
            *of += 1;
        }
    }
    let least = stacks.frames.len().div_ceil(WORTH_A_WORD).max(1) as u64;
    let many = stacks.modules.iter().zip(counts).filter(|(_, (frames, _))| *frames >= least);
    let unnamed = |(module, (frames, of)): (ModuleRow, (u64, u64))| Unnamed {
        module: file_name(snapshot.strings.show(module.path)).to_owned(),
        build_id: module.build_id.and_then(|id| snapshot.strings.get(id)).map(str::to_owned),
        frames,
        of,
    };
    many.map(unnamed).collect()
}

fn has_name(stacks: &Stacks) -> Vec<bool> {
    let mut named = vec![false; stacks.frames.len()];
    for row in stacks.names.iter() {
        if let Some(named) = named.get_mut(row.frame.0 as usize) {
            *named = true;
        }
    }
    named
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

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn frames(stacks: &Stacks, strings: &Strings) -> Vec<Vec<Place>> {
    let mut frames = vec![Vec::new(); stacks.frames.len()];
    for name in stacks.names.iter() {
        if let Some(places) = frames.get_mut(name.frame.0 as usize) {
            places.push(Place {
                function: strings.show(name.function).to_owned(),
                file: name.file.and_then(|file| strings.get(file)).map(str::to_owned),
                line: name.line,
            });
        }
    }
    for (places, frame) in frames.iter_mut().zip(stacks.frames.iter()).filter(|(places, _)| places.is_empty())
    {
        let module = frame.module.and_then(|module| stacks.modules.get(module.0 as usize));
        let module = module.map_or("(no module)", |module| file_name(strings.show(module.path)));
        places.push(Place { function: format!("{module}+{:#x}", frame.offset), file: None, line: None });
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_without_types() {
        let check = |function: &str, expected: &str, expected_crate: &str| {
            assert_eq!(plain_path(function), expected, "{function}");
            let place = Place { function: function.to_owned(), file: None, line: None };
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
            let file = file.map(str::to_owned);
            assert_eq!(Place { function: "f".to_owned(), file, line }.location(), expected);
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
