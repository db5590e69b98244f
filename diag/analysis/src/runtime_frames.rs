//! Which functions of a stack are nobody's of the service: the allocator's, the language's, the async runtime's
//! and the recorder's.
//!
//! Where the allocator ends is a fact and not a matter of names that one may know: all that is called from the
//! outermost function that only an allocator has belongs to it, whatever it is called and in whose file it
//! lies. `#[global_allocator]` puts the entry points into the file of the static, and a wrapper of the
//! service's own is as much the allocator as the one that it wraps.

use memchr::memmem;

use crate::source_location::{SourceLocation, is_in};

/// True of a function that only an allocator has, or the library's own door to it: what is called from here on
/// serves the allocation.
pub fn is_allocator(place: &SourceLocation) -> bool {
    /// What the compiler makes of `#[global_allocator]`, and calls to allocate.
    const ENTRIES: &[&str] = &["__rust_alloc", "__rust_realloc", "__rust_dealloc", "__rg_", "__rdl_"];
    const MODULES: &[&str] = &["alloc::alloc::", "core::alloc::global::", "diag::heap::"];
    const FILES: &[&str] = &["library/alloc/src/alloc.rs", "library/core/src/alloc/global.rs"];
    let function = &*place.function;
    let last = memmem::rfind(function.as_bytes(), b"::").map_or(function, |at| &function[at + 2..]);
    // A method of `impl GlobalAlloc for T`, in the words of either mangling.
    let is_method = || is_in(function, "::GlobalAlloc>::") || is_in(function, "::GlobalAlloc for ");
    ENTRIES.iter().any(|start| last.starts_with(start))
        || MODULES.iter().any(|module| place.path().starts_with(module))
        || is_method()
        || place.file.as_deref().is_some_and(|file| {
            FILES.iter().any(|part| is_in(file, part))
                || in_recorder(file).is_some_and(|file| file.starts_with("heap/"))
        })
}

/// The path below `src` of one of the recorder's own sources: an inlined function has a file, but its name often lacks the
/// path. They lie in a workspace, as they do today and did before, or in a folder of a registry.
pub(crate) fn in_recorder(file: &str) -> Option<&str> {
    let (folder, below) = file.rsplit_once("/src/")?;
    let package_folder = folder.rsplit('/').next().unwrap_or(folder);
    let is_recorder = package_folder == "diag"
        || package(package_folder) == Some("diag")
        || folder == "diag/recorder"
        || folder.ends_with("/diag/recorder");
    is_recorder.then_some(below)
}

/// How many of the innermost functions of a stack are the allocator's.
pub fn allocator_depth<'a>(stack: impl IntoIterator<Item = &'a SourceLocation>) -> usize {
    let marks = (1..).zip(stack).filter(|(_, place)| is_allocator(place));
    marks.map(|(depth, _)| depth).last().unwrap_or(0)
}

/// Crates whose functions name no place of the service: the language, the runtime, and collections that keep
/// what others give them.
pub(crate) const CRATES: &[&str] = &[
    "alloc",
    "core",
    "std",
    "__rustc",
    "tokio",
    "tokio_util",
    "futures_util",
    "diag",
    "allocator_api2",
    "arrayvec",
    "bytes",
    "concurrent_queue",
    "crossbeam_channel",
    "crossbeam_queue",
    "crossbeam_skiplist",
    "dashmap",
    "hashbrown",
    "indexmap",
    "lru",
    "moka",
    "papaya",
    "quick_cache",
    "scc",
    "slab",
    "slotmap",
    "smallvec",
    "thin_vec",
    "tinyvec",
    "triomphe",
];

/// How the names of functions begin that belong to no crate.
const SYMBOLS: &[&str] = &[
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
    // What calls `main`, of glibc and of musl.
    "_start",
    "__libc_start",
    "libc_start_main",
    // glibc's own names for its functions.
    "__GI_",
];

/// Where the sources of the standard library lie: an inlined function has a file, but its name often lacks the path.
const FILES: &[&str] = &["/rustc/", "/library/std/", "/library/core/", "/library/alloc/"];

/// Whose a function is, from what tells its owner least to what tells most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// See [`is_allocator`].
    Allocator,
    /// The standard library.
    Language,
    /// See [`is_runtime`].
    Runtime,
    /// Other crates, told by where their sources lie.
    Library,
    /// The service.
    Service,
}

impl Owner {
    pub(crate) fn of(place: &SourceLocation) -> Self {
        if is_allocator(place) {
            Owner::Allocator
        } else if is_language(place) {
            Owner::Language
        } else if is_of_runtime(place) {
            Owner::Runtime
        } else if place.file.as_deref().is_some_and(is_library_file) {
            Owner::Library
        } else {
            Owner::Service
        }
    }
}

/// True of the allocator, of collections and of the runtime. Of a wrapper of the service's own around the
/// allocator only [`allocator_depth`] knows.
pub fn is_runtime(place: &SourceLocation) -> bool {
    Owner::of(place) <= Owner::Runtime
}

/// What `thread_local!` makes of an initialiser: the code in it is the service's.
const INITIALISER: &str = "__rust_std_internal_init_fn";

fn is_of_runtime(place: &SourceLocation) -> bool {
    let path = place.path();
    if path == INITIALISER {
        return place.file.as_deref().is_some_and(is_runtime_file);
    }
    place.is_of_crate(CRATES)
        || SYMBOLS.iter().any(|start| path.starts_with(start) && !is_in(path, "::"))
        || place.file.as_deref().is_some_and(is_runtime_file)
}

/// Where cargo and rustup keep the sources of others: of registries, of git repositories, of std, and copies beside
/// the service's own.
const LIBRARY_FOLDERS: &[&str] = &["/registry/src/", "/git/checkouts/", "/rustc/", "/rustlib/", "/vendor/"];

/// True of what lies where the sources of others are kept.
pub fn is_library_file(file: &str) -> bool {
    LIBRARY_FOLDERS.iter().any(|folder| is_in(file, folder) || file.starts_with(&folder[1..]))
}

/// True of the standard library, whose functions tell less than those of any other.
fn is_language(place: &SourceLocation) -> bool {
    place.is_of_crate(&["alloc", "core", "std", "__rustc"])
        || place.file.as_deref().is_some_and(|file| FILES.iter().any(|part| is_in(file, part)))
}

/// A registry keeps a crate in a folder `name-1.2.3`.
fn is_runtime_file(file: &str) -> bool {
    FILES.iter().any(|part| is_in(file, part))
        || in_recorder(file).is_some_and(|file| file.starts_with("heap/") || file.starts_with("task/"))
        || file.split('/').filter_map(package).any(|name| CRATES.iter().any(|known| is_same(known, name)))
}

/// `tokio-util` of a folder `tokio-util-0.7.20`.
pub(crate) fn package(folder: &str) -> Option<&str> {
    let has_version = |at: &usize| folder[at + 1..].starts_with(|char: char| char.is_ascii_digit());
    folder.match_indices('-').map(|(at, _)| at).find(has_version).map(|at| &folder[..at])
}

/// A package may write with hyphens what its crate writes with underscores.
fn is_same(name: &str, package: &str) -> bool {
    let same = |(of_crate, of_package)| of_crate == of_package || (of_crate == b'_' && of_package == b'-');
    name.len() == package.len() && name.bytes().zip(package.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(function: &str, file: &str) -> SourceLocation {
        let file = (!file.is_empty()).then(|| file.into());
        SourceLocation { function: function.into(), file, line: Some(1) }
    }

    #[test]
    fn runtime_frames_are_told_from_own_ones() {
        let check = |function: &str, file: &str, expected: bool| {
            let place = place(function, file);
            assert_eq!(is_runtime(&place), expected, "{place}");
        };
        check("alloc::raw_vec::RawVec<T>::grow_one", "", true);
        check("<alloc::vec::Vec<T> as core::clone::Clone>::clone", "", true);
        check("__rust_alloc", "", true);
        check("__rust_std_internal_init_fn", "shop/src/main.rs", false);
        check("__rust_std_internal_init_fn", "/r/index-1/tokio-1.54.1/src/runtime/context.rs", true);
        check("__GI___clone3", "clone3.S", true);
        check("_start", "", true);
        check("__libc_start_call_main", "", true);
        check("shop::_start", "", false);
        check("__rustc::__rust_alloc", "shop/src/main.rs", true);
        check("shop::__rust_alloc", "src/main.rs", true);
        check("with_capacity<u8>", "/rustc/0123/library/alloc/src/vec/mod.rs", true);
        check("{closure#0}", "/home/me/diag/src/heap/hook.rs", true);
        check("{closure#0}", "diag/recorder/src/task/future.rs", true);
        check("{closure#0}", "/home/me/my-diag/src/heap/hook.rs", false);
        check("{closure#0}", "/r/index-1/tokio-1.54.1/src/runtime/task/core.rs", true);
        check("{closure#0}", "/r/index-1/tokio-util-0.7.20/src/codec.rs", true);
        check("dashmap::DashMap<K,V,S>::insert", "/r/index-1/dashmap-6.1.0/src/lib.rs", true);
        check("shop::cart::add", "/home/me/shop/src/cart.rs", false);
        check("{async_fn#0}", "/home/me/shop/src/cart.rs", false);
        check("tokio_postgres::connect", "/r/index-1/tokio-postgres-0.7.1/src/lib.rs", false);
        check("shop::clone", "", false);
        check("diag_examples::hub::accept", "", false);
    }

    #[test]
    fn an_allocator_is_told_by_what_only_allocators_have() {
        let check = |function: &str, file: &str, expected: bool| {
            let place = place(function, file);
            assert_eq!(is_allocator(&place), expected, "{place}");
        };
        check("mini::__rust_alloc", "src/main.rs", true);
        check("__rustc::__rust_alloc_zeroed", "src/main.rs", true);
        check("__rust_realloc", "", true);
        check("__rustc::__rdl_alloc", "", true);
        check("__rg_realloc", "", true);
        check("alloc::alloc::alloc_impl_runtime", "", true);
        check("alloc", "/rustc/01/library/alloc/src/alloc.rs", true);
        check("core::alloc::global::alloc_zeroed<shop::Count>", "", true);
        check("<shop::Count as core::alloc::global::GlobalAlloc>::alloc", "src/count.rs", true);
        check("<shop::Count<std::alloc::System> as core::alloc::GlobalAlloc>::realloc", "", true);
        check("shop::<impl core::alloc::global::GlobalAlloc for shop::Count<A>>::alloc", "", true);
        check("alloc<std::alloc::System>", "/home/me/diag/src/heap/mod.rs", true);
        check("alloc<std::alloc::System>", "/home/me/diag/recorder/src/heap/mod.rs", true);
        check("alloc<std::alloc::System>", "/r/index-1/diag-0.1.0/src/heap/mod.rs", true);
        check("alloc<std::alloc::System>", "/home/me/diagram/src/heap/mod.rs", false);
        // An arena of the service's own asks the allocator, and is none.
        check("shop::Arena::alloc", "src/arena.rs", false);
        check("bumpalo::Bump::alloc", "/r/index-1/bumpalo-3.0.0/src/lib.rs", false);
        check("alloc::raw_vec::finish_grow", "/rustc/01/library/alloc/src/raw_vec/mod.rs", false);
        check("shop::rust_alloc", "src/main.rs", false);
    }

    #[test]
    fn the_allocator_reaches_to_its_outermost_function() {
        let depth = |functions: &[&str]| {
            let stack: Vec<SourceLocation> =
                functions.iter().map(|function| place(function, "src/main.rs")).collect();
            allocator_depth(&stack)
        };
        let [ours, wrapper, entry] = ["diag::heap::alloc", "shop::alloc", "shop::__rust_alloc"];
        assert_eq!(depth(&[ours, wrapper, entry, "shop::cart::add"]), 3);
        assert_eq!(depth(&[ours, wrapper, "alloc::alloc::alloc", "alloc::raw_vec::grow", "shop::add"]), 3);
        // What the wrapper itself allocates, as text for its log, serves the allocation that called for it.
        assert_eq!(depth(&[ours, entry, "alloc::fmt::format", "shop::log", wrapper, entry, "shop::add"]), 6);
        assert_eq!(depth(&["shop::cart::add", "shop::main"]), 0);
    }
}
