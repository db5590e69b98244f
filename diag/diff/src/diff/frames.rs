//! Which function a stack is known by.
//!
//! The innermost frames of an allocation are always those of the allocator, of a collection or of
//! the runtime. The first function that is none of these names the site. Looking names up is not
//! done here: a snapshot carries them or shows modules and offsets.

use std::fmt;

use diag_snapshot::{FrameIndex, StackIndex, Stacks, Strings, human};

/// Crates whose functions do not name an allocation site.
const PLUMBING_CRATES: &[&str] = &[
    "alloc",
    "core",
    "std",
    "hashbrown",
    "bytes",
    "tokio",
    "tokio_util",
    "tokio-util",
    "futures_util",
    "diag",
    "__rustc",
];

/// How the names of functions begin that belong to no crate.
const PLUMBING_SYMBOLS: &[&str] = &[
    "__rust",
    "__rdl",
    "__rg",
    "_rjem",
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "start_thread",
    "clone",
];

/// Where the sources of the standard library and of the recorder lie: an inlined function has a
/// file, but its name often lacks the path.
const PLUMBING_FILES: &[&str] =
    &["/rustc/", "/library/std/", "/library/core/", "/library/alloc/", "diag/src/heap/", "diag/src/task/"];

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

    /// True of the allocator, of collections and of the runtime: what names no place of the service.
    pub fn is_plumbing(&self) -> bool {
        // The path may stand in a qualified form: `<alloc::vec::Vec<T> as ..>::clone`.
        let path = self.function.trim_start_matches(['<', '&']);
        let of_crate = |name: &str| path.strip_prefix(name).is_some_and(|rest| rest.starts_with("::"));
        PLUMBING_CRATES.iter().any(|name| of_crate(name))
            || PLUMBING_SYMBOLS.iter().any(|start| path.starts_with(start) && !path.contains("::"))
            || self.file.as_deref().is_some_and(is_plumbing_file)
    }
}

/// A registry keeps a crate in a folder `name-1.2.3`.
fn is_plumbing_file(file: &str) -> bool {
    let of_crate = |folder: &str, name: &str| {
        let version = folder.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
        version.is_some_and(|version| version.starts_with(|char: char| char.is_ascii_digit()))
    };
    PLUMBING_FILES.iter().any(|part| file.contains(part))
        || file.split('/').any(|folder| PLUMBING_CRATES.iter().any(|name| of_crate(folder, name)))
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
    /// What names each stack; none if it is plumbing throughout.
    named_by: Vec<Option<(FrameIndex, usize)>>,
}

impl<'a> NamedStacks<'a> {
    /// Names every frame; `strings` are those of the stacks' snapshot.
    pub fn new(stacks: &'a Stacks, strings: &Strings) -> Self {
        let frames = frames(stacks, strings);
        let mut named_by: Vec<Option<(FrameIndex, usize)>> = Vec::with_capacity(stacks.stacks.len());
        for stack in stacks.stacks.iter() {
            let own = frames.get(stack.frame.0 as usize).and_then(|places| first_named(places));
            let caller =
                || stack.caller.and_then(|caller| named_by.get(caller.0 as usize).copied().flatten());
            named_by.push(own.map(|i| (stack.frame, i)).or_else(caller));
        }
        NamedStacks { stacks, frames, named_by }
    }

    /// What names this stack: the innermost frame itself if all of it is plumbing.
    pub fn site(&self, stack: StackIndex) -> Place {
        let named = self.named_by.get(stack.0 as usize).copied().flatten();
        let leaf = || Some((self.stacks.stacks.get(stack.0 as usize)?.frame, 0));
        let place = named.or_else(leaf).and_then(|(frame, i)| self.frames.get(frame.0 as usize)?.get(i));
        place.cloned().unwrap_or_else(|| Place {
            function: "(missing stack)".to_owned(),
            file: None,
            line: None,
        })
    }

    /// The functions of one frame, innermost first: several if they are inlined into each other.
    pub fn frame(&self, frame: FrameIndex) -> &[Place] {
        self.frames.get(frame.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// All functions of a stack, innermost first.
    pub fn stack(&self, stack: StackIndex) -> Vec<Place> {
        let mut places = Vec::new();
        let mut next = Some(stack);
        // A caller's row comes before its callee's, so this ends even in a file that lies.
        while let Some((index, row)) =
            next.and_then(|index| Some((index, self.stacks.stacks.get(index.0 as usize)?)))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(function: &str, file: &str, plumbing: bool) {
        let file = (!file.is_empty()).then(|| file.to_owned());
        let place = Place { function: function.to_owned(), file, line: Some(1) };
        assert_eq!(place.is_plumbing(), plumbing, "{place}");
    }

    #[test]
    fn the_first_own_function_names_a_site() {
        check("alloc::raw_vec::RawVec<T>::grow_one", "", true);
        check("<alloc::vec::Vec<T> as core::clone::Clone>::clone", "", true);
        check("__rust_alloc", "", true);
        check("__rustc::__rust_alloc", "shop/src/main.rs", true);
        check("with_capacity<u8>", "/rustc/0123/library/alloc/src/vec/mod.rs", true);
        check("{closure#0}", "/home/me/diag/src/heap/hook.rs", true);
        check("{closure#0}", "/r/index-1/tokio-1.54.1/src/runtime/task/core.rs", true);
        check("shop::cart::add", "/home/me/shop/src/cart.rs", false);
        check("{async_fn#0}", "/home/me/shop/src/cart.rs", false);
        check("tokio_postgres::connect", "/r/index-1/tokio-postgres-0.7.1/src/lib.rs", false);
        check("shop::clone", "", false);
        check("diag_examples::hub::accept", "", false);
    }
}
