//! Which function a stack is known by.
//!
//! The innermost frames of an allocation are always those of the allocator, of a collection or of
//! the runtime. The first function that is none of these names the site. Looking names up is not
//! done here: a snapshot carries them or shows modules and offsets.

use std::fmt;

use diag_snapshot::{FrameIndex, Heap, StackIndex, Strings, human};

/// Crates whose functions do not name an allocation site, as their paths begin.
const PLUMBING: &[&str] = &[
    "alloc::",
    "core::",
    "std::",
    "hashbrown::",
    "bytes::",
    "tokio::",
    "tokio_util::",
    "diag::",
    "futures_util::",
    "__rust",
    "__rdl",
    "__rg",
    "_rjem",
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "start_thread",
    "clone3",
];

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

    /// The path may stand in a qualified form: `<alloc::vec::Vec<T> as ..>::clone`.
    fn is_plumbing(&self) -> bool {
        let path = self.function.trim_start_matches(['<', '&']);
        PLUMBING.iter().any(|start| path.starts_with(start))
    }
}

/// `function (file:line)`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&human::name(&self.function))?;
        if self.file.is_some() { write!(f, " ({})", self.location()) } else { Ok(()) }
    }
}

/// The stacks of one heap with names.
pub(super) struct Stacks<'a> {
    heap: &'a Heap,
    /// Functions of each frame, innermost first; never empty.
    frames: Vec<Vec<Place>>,
    /// What names each stack; none if it is plumbing throughout.
    named_by: Vec<Option<(FrameIndex, usize)>>,
}

impl<'a> Stacks<'a> {
    pub(super) fn new(heap: &'a Heap, strings: &Strings) -> Self {
        let frames = frames(heap, strings);
        let mut named_by: Vec<Option<(FrameIndex, usize)>> = Vec::with_capacity(heap.stacks.len());
        for stack in heap.stacks.iter() {
            let own = frames.get(stack.frame.0 as usize).and_then(|places| first_named(places));
            let caller =
                || stack.caller.and_then(|caller| named_by.get(caller.0 as usize).copied().flatten());
            named_by.push(own.map(|i| (stack.frame, i)).or_else(caller));
        }
        Stacks { heap, frames, named_by }
    }

    /// What names this stack: the innermost frame itself if all of it is plumbing.
    pub(super) fn site(&self, stack: StackIndex) -> Place {
        let named = self.named_by.get(stack.0 as usize).copied().flatten();
        let leaf = || Some((self.heap.stacks.get(stack.0 as usize)?.frame, 0));
        let place = named.or_else(leaf).and_then(|(frame, i)| self.frames.get(frame.0 as usize)?.get(i));
        place.cloned().unwrap_or_else(|| Place {
            function: "(missing stack)".to_owned(),
            file: None,
            line: None,
        })
    }

    /// All functions of a stack, innermost first.
    pub(super) fn stack(&self, stack: StackIndex) -> Vec<Place> {
        let mut places = Vec::new();
        let mut next = Some(stack);
        // A caller's row comes before its callee's, so this ends even in a file that lies.
        while let Some((index, row)) =
            next.and_then(|index| Some((index, self.heap.stacks.get(index.0 as usize)?)))
        {
            places.extend(self.frames.get(row.frame.0 as usize).into_iter().flatten().cloned());
            next = row.caller.filter(|caller| caller.0 < index.0);
        }
        places
    }
}

fn first_named(places: &[Place]) -> Option<usize> {
    places.iter().position(|place| !place.is_plumbing())
}

fn frames(heap: &Heap, strings: &Strings) -> Vec<Vec<Place>> {
    let mut frames = vec![Vec::new(); heap.frames.len()];
    for name in heap.names.iter() {
        if let Some(places) = frames.get_mut(name.frame.0 as usize) {
            places.push(Place {
                function: strings.show(name.function).to_owned(),
                file: name.file.and_then(|file| strings.get(file)).map(str::to_owned),
                line: name.line,
            });
        }
    }
    for (places, frame) in frames.iter_mut().zip(heap.frames.iter()).filter(|(places, _)| places.is_empty()) {
        let module = frame.module.and_then(|module| heap.modules.get(module.0 as usize));
        let path = module.map_or("(no module)", |module| strings.show(module.path));
        let module = path.rsplit('/').next().unwrap_or(path);
        places.push(Place { function: format!("{module}+{:#x}", frame.offset), file: None, line: None });
    }
    frames
}
