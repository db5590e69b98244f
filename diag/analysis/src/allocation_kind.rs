//! What kind of thing a sampled block is part of, read from the names of its stack.
//!
//! The innermost functions of an allocation are the allocator's, however far it reaches; then comes what asked
//! for the block. Going outwards from there, what wraps it says more: a vector inside of a string is a string's, a box inside of a
//! channel is the channel's. The walk ends at the first function that is the service's own.
//!
//! Only names are looked at, so a stack without debug info says less.

use std::sync::LazyLock;

use crate::runtime_frames::allocator_depth;
use crate::source_location::{SourceLocation, is_in};

/// The kinds of things that a block is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AllocationKind {
    /// The elements of a `Vec`, or of what is built on one.
    Vec,
    /// The elements of a `VecDeque`.
    VecDeque,
    /// The text of a `String`.
    String,
    /// The table of a `HashMap` or `HashSet`.
    HashMap,
    /// A node of a `BTreeMap` or `BTreeSet`.
    BTreeMap,
    /// What a `Box` holds.
    Box,
    /// What an `Arc` or `Rc` holds.
    Arc,
    /// Messages on their way, and what the ends of a channel share.
    Channel,
    /// A spawned task: its future and its state.
    TaskCell,
    /// A buffer of the `bytes` crate.
    Bytes,
    /// Something that is none of these.
    Other,
}

use AllocationKind::{Arc, BTreeMap, Box, Bytes, Channel, HashMap, Other, String, TaskCell, Vec, VecDeque};

impl AllocationKind {
    /// All of them.
    pub const ALL: [AllocationKind; 11] =
        [Vec, VecDeque, String, HashMap, BTreeMap, Box, Arc, Channel, TaskCell, Bytes, Other];

    /// Reads a stack, innermost function first.
    pub fn of<'a>(stack: impl IntoIterator<Item = &'a SourceLocation>) -> Self {
        let stack: std::vec::Vec<&SourceLocation> = stack.into_iter().collect();
        let outside = &stack[allocator_depth(stack.iter().copied())..];
        AllocationKind::of_outside(outside.iter().map(|place| Rules::of(place)))
    }

    /// Reads the part of a stack that is outside of the allocator, of which each function was asked.
    pub(crate) fn of_outside(functions: impl IntoIterator<Item = Option<Rules>>) -> Self {
        let libraries = functions.into_iter().map_while(|rules| rules);
        libraries.fold(Other, |inner, rules| rules.wrapped(inner))
    }

    /// The type's name, or a word or two for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Vec => "Vec",
            VecDeque => "VecDeque",
            String => "String",
            HashMap => "HashMap",
            BTreeMap => "BTreeMap",
            Box => "Box",
            Arc => "Arc",
            Channel => "channel",
            TaskCell => "task",
            Bytes => "BytesMut",
            Other => "other",
        }
    }
}

type Rule = (&'static [AllocationKind], &'static str, &'static str, AllocationKind);

/// The crates that the rules know.
pub(crate) fn crates() -> impl Iterator<Item = &'static str> {
    WRAPPED.iter().filter_map(|(_, module, ..)| module.split("::").next())
}

/// What a block of these kinds is, asked for by a function of this module. Where the name lacks the module,
/// the file of the standard library tells it, such as `/alloc/src/vec/`.
const WRAPPED: &[Rule] = &[
    (&[Other], "alloc::raw_vec", "/alloc/src/raw_vec", Vec),
    (&[Other], "alloc::boxed", "/alloc/src/boxed", Box),
    (&[Other], "hashbrown", "/hashbrown-", HashMap),
    (&[Vec], "alloc::collections::vec_deque", "/collections/vec_deque/", VecDeque),
    (&[Vec], "alloc::string", "/alloc/src/string.rs", String),
    (&[Vec], "alloc::str", "/alloc/src/str.rs", String),
    (&[Vec], "alloc::fmt", "/alloc/src/fmt.rs", String),
    (&[Other, Box], "alloc::collections::btree", "/collections/btree/", BTreeMap),
    (&[Other, Box], "alloc::sync", "/alloc/src/sync.rs", Arc),
    (&[Other, Box], "alloc::rc", "/alloc/src/rc.rs", Arc),
    (&[Vec, Box], "bytes", "/bytes-", Bytes),
    (&[Box], "tokio::runtime::task", "/src/runtime/task/", TaskCell),
    (&[Other, Vec, Box, Arc], "tokio::sync::mpsc", "/src/sync/mpsc/", Channel),
    (&[Vec, Box, Arc], "tokio::sync::oneshot", "/src/sync/oneshot.rs", Channel),
    (&[Vec, Box, Arc], "tokio::sync::broadcast", "/src/sync/broadcast.rs", Channel),
    (&[Vec, Box, Arc], "tokio::sync::watch", "/src/sync/watch.rs", Channel),
    (&[Vec, Box, Arc], "std::sync::mpmc", "/std/src/sync/mpmc/", Channel),
    (&[Vec, Box, Arc], "std::sync::mpsc", "/std/src/sync/mpsc.rs", Channel),
    (&[Vec, VecDeque, Box, Arc], "futures_channel", "/futures-channel-", Channel),
    (&[Vec, VecDeque, Box, Arc], "async_channel", "/async-channel-", Channel),
    (&[Vec, VecDeque, Box, Arc], "concurrent_queue", "/concurrent-queue-", Channel),
    (&[Vec, VecDeque, Box, Arc], "crossbeam_channel", "/crossbeam-channel-", Channel),
    (&[Vec, VecDeque, Box, Arc], "flume", "/flume-", Channel),
    (&[Vec, VecDeque, Box, Arc], "kanal", "/kanal-", Channel),
];

/// Crates, and parts of files, of all that a block passes through before it gets to the service.
const LANGUAGE_CRATES: &[&str] = &["alloc", "core", "std", "__rustc"];
const LANGUAGE_FILES: &[&str] = &["/rustc/", "/rustlib/", "/rust/deps/"];

/// Which rules of the table a function fits, a bit each.
#[derive(Clone, Copy)]
pub(crate) struct Rules(u32);

const _: () = assert!(WRAPPED.len() <= u32::BITS as usize);

impl Rules {
    /// None of a function of the service, at which the walk ends.
    pub(crate) fn of(place: &SourceLocation) -> Option<Self> {
        let fits = |rule: &Rule| is_within(place, rule.1) || lies_in(place, rule.2);
        let bits = || WRAPPED.iter().rev().fold(0, |bits, rule| bits << 1 | u32::from(fits(rule)));
        is_library(place).then(|| Rules(bits()))
    }

    fn wrapped(self, inner: AllocationKind) -> AllocationKind {
        let fits = |(bit, rule): &(u32, &Rule)| self.0 >> bit & 1 == 1 && rule.0.contains(&inner);
        (0..).zip(WRAPPED).find(fits).map_or(inner, |(_, rule)| rule.3)
    }
}

/// True of the language and of the crates in the table. What has no path is the compiler's.
fn is_library(place: &SourceLocation) -> bool {
    static CRATES: LazyLock<std::vec::Vec<&str>> = LazyLock::new(|| {
        let mut crates: std::vec::Vec<&str> =
            WRAPPED.iter().map(|rule| rule.1.split("::").next().unwrap_or(rule.1)).collect();
        crates.extend(LANGUAGE_CRATES);
        crates.sort_unstable();
        crates.dedup();
        crates
    });
    let is_symbol = !is_in(&place.function, "::");
    is_symbol
        || place.crate_name().is_some_and(|name| CRATES.binary_search(&name).is_ok())
        || LANGUAGE_FILES.iter().any(|part| lies_in(place, part))
}

fn is_within(place: &SourceLocation, module: &str) -> bool {
    place.path().strip_prefix(module).is_some_and(|rest| rest.starts_with("::"))
}

fn lies_in(place: &SourceLocation, part: &str) -> bool {
    place.file.as_deref().is_some_and(|file| is_in(file, part))
}
