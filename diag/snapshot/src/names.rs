//! Call stacks in words: which functions a stack passes through, and where in them.
//!
//! Looking names up is not done here: a snapshot carries them, or shows modules and offsets.

use std::fmt;

use crate::human;
use crate::model::{FrameIndex, StackIndex, Stacks};
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
    /// `file:line`, or the function where that is not known; safe to print.
    pub fn location(&self) -> String {
        match (&self.file, self.line) {
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
}

impl<'a> NamedStacks<'a> {
    /// Names every frame; `strings` are those of the stacks' snapshot.
    pub fn new(stacks: &'a Stacks, strings: &Strings) -> Self {
        NamedStacks { stacks, frames: frames(stacks, strings) }
    }

    /// The functions of one frame, innermost first: several if they are inlined into each other.
    pub fn frame(&self, frame: FrameIndex) -> &[Place] {
        self.frames.get(frame.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// All functions of a stack, innermost first.
    pub fn stack(&self, stack: StackIndex) -> impl Iterator<Item = &Place> {
        let mut next = Some(stack);
        // A caller's row comes before its callee's, so this ends even in a file that lies.
        let rows = std::iter::from_fn(move || {
            let index = next?;
            let row = self.stacks.stacks.get(index.0 as usize)?;
            next = row.caller.filter(|caller| caller.0 < index.0);
            Some(row)
        });
        rows.flat_map(|row| self.frame(row.frame))
    }
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
        let path = module.map_or("(no module)", |module| strings.show(module.path));
        let module = path.rsplit('/').next().unwrap_or(path);
        places.push(Place { function: format!("{module}+{:#x}", frame.offset), file: None, line: None });
    }
    frames
}
