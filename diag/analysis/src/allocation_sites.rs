//! Which function an allocation is known by.
//!
//! The innermost frames of an allocation are always those of the allocator, of a collection or of
//! the runtime, and often those of a library. The first function of the service itself names the site: that is
//! where its owner can do something. Without names none can be told
//! from the others, so that the innermost few frames together are the site: by module and offset, which are
//! the same in every process of one build.

use std::sync::OnceLock;

use crate::allocation_kind::{AllocationKind, Rules};
use crate::named_stacks::NamedStacks;
use crate::runtime_frames::{Owner, allocator_depth};
use crate::source_location::SourceLocation;
use diag_snapshot::{FrameIndex, Snapshot, StackIndex};

/// How many frames without names make a site. A release build has one to three of a collection's that
/// were not inlined; with more frames, one place that is reached in many ways would fall apart.
const FRAMES_WITHOUT_NAMES: usize = 4;

/// A function of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Part {
    /// The stack from the function's frame outwards.
    pub stack: StackIndex,
    /// Which function of that frame: so many are inlined into it.
    pub function: usize,
}

/// The stacks of one snapshot with the function that each allocation is known by.
pub struct AllocationSites {
    /// All functions.
    pub named: NamedStacks,
    /// Of each stack.
    seen: Vec<Seen>,
    /// Of the functions of each frame that was asked for its kind.
    rules: Vec<OnceLock<Box<[Option<Rules>]>>>,
}

/// What names a stack, the best first: none of it is the allocator's.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// The innermost function of the service.
    own: Option<Part>,
    /// The innermost of a library that does more than keep what it is given.
    library: Option<Part>,
    /// The innermost that is not the language's: of tokio for a block that its worker took for itself.
    runtime: Option<Part>,
    /// The innermost of all.
    outside: Option<Part>,
    /// What is called from here is the allocator's.
    is_allocator: bool,
}

impl AllocationSites {
    /// Names every stack of the snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        let named = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
        let stacks = &snapshot.stacks.stacks;
        // A frame is in many stacks, and is asked once.
        let frames = (0..snapshot.stacks.frames.len() as u32).map(FrameIndex);
        let frames: Vec<Frame> = frames.map(|frame| Frame::new(named.frame(frame))).collect();
        let mut seen: Vec<Seen> = Vec::with_capacity(stacks.len());
        for (stack, row) in (0..).map(StackIndex).zip(stacks.iter()) {
            let caller = row.caller.and_then(|caller| seen.get(caller.0 as usize)).copied();
            let frame = frames.get(row.frame.0 as usize).copied().unwrap_or_default();
            seen.push(caller.unwrap_or_default().then(stack, frame));
        }
        let rules = frames.iter().map(|_| OnceLock::new()).collect();
        AllocationSites { named, seen, rules }
    }

    /// What a block of this stack is part of.
    pub fn kind(&self, stack: StackIndex) -> AllocationKind {
        let part = self.outside(stack);
        let frames = self.named.frames(part.stack);
        let functions = frames.flat_map(|frame| self.rules(frame)).copied();
        AllocationKind::of_outside(functions.skip(part.function))
    }

    /// The innermost function that is not the allocator's; beyond the last of the stack if all are.
    fn outside(&self, stack: StackIndex) -> Part {
        let is_allocator =
            |stack: StackIndex| self.seen.get(stack.0 as usize).is_some_and(|seen| seen.is_allocator);
        let mut of_allocator = self.named.stacks(stack).take_while(|&stack| is_allocator(stack));
        of_allocator.by_ref().last().map_or(Part { stack, function: 0 }, |outermost| {
            let frame = self.named.frames(outermost).next();
            Part {
                stack: outermost,
                function: frame.map_or(0, |frame| allocator_depth(self.named.frame(frame))),
            }
        })
    }

    fn rules(&self, frame: FrameIndex) -> &[Option<Rules>] {
        let Some(rules) = self.rules.get(frame.0 as usize) else { return &[] };
        rules.get_or_init(|| self.named.frame(frame).iter().map(Rules::of).collect())
    }

    /// The function that this stack is known by: of the service, else of a library, else the innermost outside
    /// of the allocator.
    pub fn part(&self, stack: StackIndex) -> Part {
        let seen = self.seen.get(stack.0 as usize).copied().unwrap_or_default();
        seen.own.or(seen.library).or(seen.runtime).or(seen.outside).unwrap_or(Part { stack, function: 0 })
    }

    /// What names this stack.
    pub fn site(&self, stack: StackIndex) -> SourceLocation {
        let part = self.part(stack);
        let frame = self.named.frames(part.stack).next();
        match frame.and_then(|frame| Some((frame, self.named.frame(frame).get(part.function)?))) {
            Some((frame, place)) if self.named.has_name(frame) => place.clone(),
            Some(_) => {
                SourceLocation { function: self.without_names(part.stack).into(), file: None, line: None }
            }
            None => SourceLocation { function: "(missing stack)".into(), file: None, line: None },
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

impl Seen {
    /// What names the stack of a function that is called from here.
    fn then(self, stack: StackIndex, frame: Frame) -> Seen {
        if self.is_allocator {
            return self;
        }
        let part = |function: Option<usize>| function.map(|function| Part { stack, function });
        Seen {
            own: part(frame.own).or(self.own),
            library: part(frame.library).or(self.library),
            runtime: part(frame.runtime).or(self.runtime),
            outside: part(frame.outside).or(self.outside),
            is_allocator: frame.is_allocator,
        }
    }
}

/// The innermost functions of a frame, among those outside of the allocator.
#[derive(Clone, Copy, Default)]
struct Frame {
    own: Option<usize>,
    library: Option<usize>,
    runtime: Option<usize>,
    outside: Option<usize>,
    is_allocator: bool,
}

impl Frame {
    fn new(places: &[SourceLocation]) -> Self {
        let owners: Vec<Owner> = places.iter().map(Owner::of).collect();
        let allocator = owners.iter().rposition(|owner| *owner == Owner::Allocator);
        let start = allocator.map_or(0, |last| last + 1);
        let first = |least: Owner| {
            owners[start..].iter().position(|owner| *owner >= least).map(|function| start + function)
        };
        Frame {
            own: first(Owner::Service),
            library: first(Owner::Library),
            runtime: first(Owner::Runtime),
            outside: first(Owner::Language),
            is_allocator: allocator.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diag_snapshot::{FrameRow, ModuleIndex, ModuleRow, NameRow, StackRow};

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
        let sites = AllocationSites::new(&snapshot);
        assert_eq!(sites.site(stack).function.as_ref(), expected, "{frames:?}");
        assert_eq!(sites.kind(stack), AllocationKind::of(sites.named.stack(stack)), "{frames:?}");
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
    }

    #[test]
    fn the_allocator_names_no_site() {
        let entry = ["diag::heap::alloc", "shop::alloc", "shop::__rust_alloc"];
        let check = |outside: &[&str], expected: &str| check_site(&[&entry[..], outside].concat(), expected);
        check(&["alloc::raw_vec::grow", "shop::cart::add", "shop::main"], "shop::cart::add");
        check(
            &["alloc::boxed::new", "tokio::runtime::task::new", "std::thread::start"],
            "tokio::runtime::task::new",
        );
        check(&["alloc::raw_vec::grow", "std::thread::start"], "alloc::raw_vec::grow");
        check(
            &["alloc::raw_vec::grow", "alloc::vec::Vec<T>::push", "__rust_alloc", "shop::add"],
            "shop::add",
        );
        check(&["alloc::raw_vec::grow", "alloc::string::push", "shop::add"], "shop::add");
        check(&["start_thread"], "start_thread");
        check(&["app+a0", "app+b0"], "app+0xa0 < +0xb0");
        check(&[], "diag::heap::alloc");
    }

    #[test]
    fn own_code_comes_before_libraries() {
        let check = |frames: &[(&str, &str)], expected: &str| {
            let functions: Vec<&str> = frames.iter().map(|(function, _)| *function).collect();
            let (mut snapshot, stack) = snapshot(&functions);
            let files: Vec<_> = frames.iter().rev().map(|(_, file)| snapshot.strings.intern(file)).collect();
            for (i, &file) in files.iter().enumerate() {
                let mut row = snapshot.stacks.names.get(i).expect("a name");
                row.file = Some(file);
                let names = &mut snapshot.stacks.names;
                *names =
                    names.iter().enumerate().map(|(j, other)| if i == j { row } else { other }).collect();
            }
            assert_eq!(AllocationSites::new(&snapshot).site(stack).function.as_ref(), expected, "{frames:?}");
        };
        let registry = "/home/me/.cargo/registry/src/index-1/governor-0.8.0/src/state.rs";
        let checkout = "/home/me/.cargo/git/checkouts/governor-1a2b/3c4d/src/state.rs";
        let [own, outer] = [("shop::admit", "/srv/shop/src/main.rs"), ("shop::main", "src/main.rs")];
        check(&[("governor::state::check", registry), own, outer], "shop::admit");
        check(&[("governor::state::check", checkout), own, outer], "shop::admit");
        check(&[("governor::state::check", "vendor/governor/src/state.rs"), own], "shop::admit");
        // A program that was installed from a registry has no frames of its own.
        check(
            &[("hashbrown::insert", registry), ("governor::state::check", registry)],
            "governor::state::check",
        );
    }
}
