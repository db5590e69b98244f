//! Call stacks in words: which functions a stack passes through, and where in them.
//!
//! Looking names up is not done here: a snapshot carries them, or shows modules and offsets.

use std::fmt;

use crate::human;
use crate::model::{FrameIndex, ModuleRow, Snapshot, StackIndex, Stacks};
use crate::strings::Strings;

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

    /// The function's path from its crate on. It may stand in a qualified form,
    /// `<alloc::vec::Vec<T> as ..>::clone`.
    pub fn path(&self) -> &str {
        self.function.trim_start_matches(['<', '&'])
    }

    /// True if the path begins in one of these crates.
    pub fn is_of_crate(&self, crates: &[&str]) -> bool {
        let first = self.path().split_once("::").map(|(first, _)| first);
        first.is_some_and(|first| crates.contains(&first))
    }
}

/// `function (file:line)`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&human::name(&self.function))?;
        if self.file.is_some() { write!(f, " ({})", self.location()) } else { Ok(()) }
    }
}

/// The stacks of one snapshot with names.
pub struct NamedStacks<'a> {
    stacks: &'a Stacks,
    /// Functions of each frame, innermost first; never empty.
    frames: Vec<Vec<Place>>,
    /// Which frames have a name, and not only module and offset.
    has_name: Vec<bool>,
}

impl<'a> NamedStacks<'a> {
    /// Names every frame; `strings` are those of the stacks' snapshot.
    pub fn new(stacks: &'a Stacks, strings: &Strings) -> Self {
        NamedStacks { stacks, frames: frames(stacks, strings), has_name: has_name(stacks) }
    }

    /// The functions of one frame, innermost first: several if they are inlined into each other.
    pub fn frame(&self, frame: FrameIndex) -> &[Place] {
        self.frames.get(frame.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// True if a function of the frame is known by name.
    pub fn has_name(&self, frame: FrameIndex) -> bool {
        self.has_name.get(frame.0 as usize).copied().unwrap_or(false)
    }

    /// All frames of a stack, innermost first.
    pub fn frames(&self, stack: StackIndex) -> impl Iterator<Item = FrameIndex> {
        let mut next = Some(stack);
        // A caller's row comes before its callee's, so this ends even in a file that lies.
        std::iter::from_fn(move || {
            let index = next?;
            let row = self.stacks.stacks.get(index.0 as usize)?;
            next = row.caller.filter(|caller| caller.0 < index.0);
            Some(row.frame)
        })
    }

    /// All functions of a stack, innermost first.
    pub fn stack(&self, stack: StackIndex) -> impl Iterator<Item = &Place> {
        self.frames(stack).flat_map(|frame| self.frame(frame))
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

/// `mio-1.2.4/src/event.rs` of a path below cargo's registry, `library/alloc/src/vec/mod.rs` of one of std.
fn without_registry(path: &str) -> &str {
    let of_registry = path.split_once("/registry/src/").map(|(_, rest)| rest);
    let below = of_registry.or_else(|| path.strip_prefix("/rustc/"));
    below.and_then(|rest| rest.split_once('/')).map_or(path, |(_, rest)| rest)
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
    fn a_library_is_told_by_its_name_and_not_by_where_it_lay() {
        let check = |file: Option<&str>, line, expected: &str| {
            let file = file.map(str::to_owned);
            assert_eq!(Place { function: "f".to_owned(), file, line }.location(), expected);
        };
        let mio = "/home/me/.cargo/registry/src/some.index-0123/mio-1.2.4/src/lib.rs";
        check(Some(mio), Some(94), "mio-1.2.4/src/lib.rs:94");
        check(Some("/rustc/0123/library/std/src/thread/mod.rs"), None, "library/std/src/thread/mod.rs");
        check(Some("src/main.rs"), Some(7), "src/main.rs:7");
        check(Some("/registry/src/odd"), Some(7), "/registry/src/odd:7");
        check(None, None, "f");
    }
}
