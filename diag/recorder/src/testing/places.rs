//! Names for stacks: which line of the test, or of the code under test, something is of.

#[cfg(all(takes_stacks, any(feature = "agent", feature = "heap")))]
pub(super) use named::{named, own_places, waits};

/// What a stack says in this build: nothing, as there are no stacks or no names.
#[cfg(not(all(takes_stacks, any(feature = "agent", feature = "heap"))))]
pub(super) fn waits(_number: u32, _spawned_at: &str) -> Option<(String, Vec<String>)> {
    None
}

#[cfg(all(takes_stacks, any(feature = "agent", feature = "heap")))]
mod named {
    use diag_analysis::await_point::{AwaitPoint, describe};
    use diag_analysis::runtime_frames::{is_allocator, is_library_file, is_runtime};
    use diag_analysis::source_location::SourceLocation;

    use crate::symbols;
    use crate::task::await_point;

    /// What the task waits for whose last poll left the stacks of this number, and their functions.
    pub(in super::super) fn waits(number: u32, spawned_at: &str) -> Option<(String, Vec<String>)> {
        let stacks: Vec<Vec<SourceLocation>> =
            await_point::stacks_of(number).iter().map(|stack| named(stack)).collect();
        let waits: Vec<AwaitPoint> = stacks.iter().map(AwaitPoint::of).collect();
        waits.first()?;
        let functions = stacks.iter().flatten().map(|place| place.function.to_string()).collect();
        Some((describe(&waits, spawned_at), functions))
    }

    /// The functions at these return addresses, the innermost first.
    pub(in super::super) fn named(addresses: &[u64]) -> Vec<SourceLocation> {
        let mut places = Vec::new();
        symbols::at(addresses, |at, function| {
            let file = function.file.map(Into::into);
            places.push((at, SourceLocation { function: function.name.into(), file, line: function.line }));
        });
        // Stable: those of one address keep their order.
        places.sort_by_key(|(at, _)| *at);
        places.into_iter().map(|(_, place)| place).collect()
    }

    /// Those that are the test's or the code's under test; if none is, those of libraries.
    pub(in super::super) fn own_places(stack: &[SourceLocation]) -> Vec<&SourceLocation> {
        let is_foreign = |place: &SourceLocation| place.file.as_deref().is_some_and(is_library_file);
        let own = |place: &&SourceLocation| !is_allocator(place) && !is_runtime(place);
        let all: Vec<_> = stack.iter().filter(own).collect();
        let nearest: Vec<_> = all.iter().copied().filter(|place| !is_foreign(place)).collect();
        if nearest.is_empty() { all } else { nearest }
    }
}
