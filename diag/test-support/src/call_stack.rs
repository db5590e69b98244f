//! Call stacks for made-up snapshots.

use diag_snapshot::{FrameIndex, FrameRow, NameRow, Snapshot, StackIndex, StackRow};

/// A function, and the file and line in it if these are known.
pub type Call<'a> = (&'a str, Option<(&'a str, u32)>);

/// Adds a stack of these calls, innermost first, each a frame of its own.
pub fn call_stack<'a, I>(snapshot: &mut Snapshot, calls: I) -> StackIndex
where
    I: IntoIterator<Item = Call<'a>, IntoIter: DoubleEndedIterator>,
{
    let Snapshot { stacks: tree, strings, .. } = snapshot;
    let mut caller = None;
    for (function, place) in calls.into_iter().rev() {
        let frame = FrameIndex(tree.frames.len() as u32);
        tree.frames.push(FrameRow { module: None, offset: frame.0.into() });
        let (file, line) = place.map(|(file, line)| (strings.intern(file), line)).unzip();
        tree.names.push(NameRow { frame, function: strings.intern(function), file, line });
        tree.stacks.push(StackRow { caller, frame });
        caller = Some(StackIndex(tree.stacks.len() as u32 - 1));
    }
    caller.expect("a stack has functions")
}
