//! Which function an allocation is known by.
//!
//! The innermost frames of an allocation are always those of the allocator, of a collection or of
//! the runtime. The first function that is none of these names the site. Without names none can be told
//! from the others, so that the innermost few frames together are the site: by module and offset, which are
//! the same in every process of one build.

use diag_snapshot::names::{NamedStacks, Place};
use diag_snapshot::{FrameIndex, Snapshot, StackIndex};

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
    // glibc's own names for its functions.
    "__GI_",
];

/// Where the sources of the standard library and of the recorder lie: an inlined function has a
/// file, but its name often lacks the path.
const PLUMBING_FILES: &[&str] =
    &["/rustc/", "/library/std/", "/library/core/", "/library/alloc/", "diag/src/heap/", "diag/src/task/"];

/// True of the allocator, of collections and of the runtime: what names no place of the service.
pub fn is_plumbing(place: &Place) -> bool {
    let path = place.path();
    place.is_of_crate(PLUMBING_CRATES)
        || PLUMBING_SYMBOLS.iter().any(|start| path.starts_with(start) && !path.contains("::"))
        || place.file.as_deref().is_some_and(is_plumbing_file)
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

/// How many frames without names make a site. A release build has one to three of a collection's that
/// were not inlined; with more frames, one place that is reached in many ways would fall apart.
const FRAMES_WITHOUT_NAMES: usize = 4;

/// The stacks of one snapshot with the function that each allocation is known by.
pub struct AllocationSites<'a> {
    /// All functions.
    pub named: NamedStacks<'a>,
    /// What names each stack: the part of it that begins there, and which function of that frame. None if
    /// it is plumbing throughout.
    named_by: Vec<Option<(StackIndex, usize)>>,
}

impl<'a> AllocationSites<'a> {
    /// Names every stack of the snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let named = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
        let stacks = &snapshot.stacks.stacks;
        // A frame is in many stacks, and is asked once.
        let own = |frame| named.frame(FrameIndex(frame)).iter().position(|place| !is_plumbing(place));
        let own_of: Vec<Option<usize>> = (0..snapshot.stacks.frames.len() as u32).map(own).collect();
        let mut named_by: Vec<Option<(StackIndex, usize)>> = Vec::with_capacity(stacks.len());
        for (index, stack) in (0..).map(StackIndex).zip(stacks.iter()) {
            let own = own_of.get(stack.frame.0 as usize).copied().flatten();
            let caller =
                || stack.caller.and_then(|caller| named_by.get(caller.0 as usize).copied().flatten());
            named_by.push(own.map(|i| (index, i)).or_else(caller));
        }
        AllocationSites { named, named_by }
    }

    /// What names this stack: the innermost frame itself if all of it is plumbing.
    pub fn site(&self, stack: StackIndex) -> Place {
        let (part, i) = self.named_by.get(stack.0 as usize).copied().flatten().unwrap_or((stack, 0));
        let frame = self.named.frames(part).next();
        match frame.and_then(|frame| Some((frame, self.named.frame(frame).get(i)?))) {
            Some((frame, place)) if self.named.has_name(frame) => place.clone(),
            Some(_) => Place { function: self.without_names(part), file: None, line: None },
            None => Place { function: "(missing stack)".to_owned(), file: None, line: None },
        }
    }

    /// The innermost frames of a part of a stack, up to the first that has a name, callee first. The
    /// module is said once: `app+0x110a60 < +0x110dc1 < libc.so.6+0x88f4`.
    fn without_names(&self, part: StackIndex) -> String {
        let frames = self.named.frames(part).take_while(|&frame| !self.named.has_name(frame));
        let places = frames.take(FRAMES_WITHOUT_NAMES).flat_map(|frame| self.named.frame(frame));
        let (mut site, mut last_module) = (String::new(), "");
        for place in places {
            let (module, _) = place.function.rsplit_once('+').unwrap_or((&place.function, ""));
            let said = if module == last_module { module.len() } else { 0 };
            site += if site.is_empty() { "" } else { " < " };
            site += &place.function[said..];
            last_module = module;
        }
        site
    }
}

#[cfg(test)]
mod tests {
    use diag_snapshot::{FrameRow, ModuleIndex, ModuleRow, NameRow, StackRow};

    use super::*;

    fn check(function: &str, file: &str, plumbing: bool) {
        let file = (!file.is_empty()).then(|| file.to_owned());
        let place = Place { function: function.to_owned(), file, line: Some(1) };
        assert_eq!(is_plumbing(&place), plumbing, "{place}");
    }

    #[test]
    fn the_first_own_function_names_a_site() {
        check("alloc::raw_vec::RawVec<T>::grow_one", "", true);
        check("<alloc::vec::Vec<T> as core::clone::Clone>::clone", "", true);
        check("__rust_alloc", "", true);
        check("__GI___clone3", "clone3.S", true);
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

    /// A snapshot with one stack of these frames, innermost first: module and offset, or a name.
    fn snapshot(frames: &[&str]) -> (Snapshot, StackIndex) {
        let mut snapshot = Snapshot::default();
        let Snapshot { strings, stacks, .. } = &mut snapshot;
        for (i, path) in ["/srv/app", "/lib/libc.so.6"].into_iter().enumerate() {
            let path = strings.intern(path);
            stacks.modules.push(ModuleRow { path, build_id: None, base: 4096 << i, size_bytes: 1 });
        }
        let mut caller = None;
        for (i, text) in (0..).zip(frames.iter().rev()) {
            let frame = FrameIndex(i);
            let offset = text.split_once('+').and_then(|(_, offset)| u64::from_str_radix(offset, 16).ok());
            let module = ModuleIndex(u32::from(text.starts_with("libc")));
            stacks.frames.push(FrameRow { module: Some(module), offset: offset.unwrap_or(u64::from(i)) });
            if offset.is_none() {
                stacks.names.push(NameRow { frame, function: strings.intern(text), file: None, line: None });
            }
            stacks.stacks.push(StackRow { caller, frame });
            caller = Some(StackIndex(i));
        }
        (snapshot, caller.expect("a frame"))
    }

    fn check_site(frames: &[&str], expected: &str) {
        let (snapshot, stack) = snapshot(frames);
        assert_eq!(AllocationSites::new(&snapshot).site(stack).function, expected, "{frames:?}");
    }

    #[test]
    fn without_names_the_innermost_frames_are_the_site() {
        let shared = ["app+a0", "app+b0"];
        check_site(
            &[&shared[..], &["app+c0", "app+d0", "app+e0"]].concat(),
            "app+0xa0 < +0xb0 < +0xc0 < +0xd0",
        );
        check_site(
            &[&shared[..], &["app+c1", "app+d0", "app+e0"]].concat(),
            "app+0xa0 < +0xb0 < +0xc1 < +0xd0",
        );
        check_site(&["libc+a0", "app+b0", "libc+c0"], "libc.so.6+0xa0 < app+0xb0 < libc.so.6+0xc0");
        check_site(&["app+a0"], "app+0xa0");
    }

    #[test]
    fn names_end_what_is_told_by_offsets() {
        check_site(&["malloc", "app+a0", "shop::cart::add", "app+b0"], "app+0xa0");
        check_site(&["app+a0", "app+b0", "start_thread"], "app+0xa0 < +0xb0");
        check_site(&["__rust_alloc", "shop::cart::add", "app+b0"], "shop::cart::add");
        check_site(&["__rust_alloc", "start_thread"], "__rust_alloc");
    }
}
