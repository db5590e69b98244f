//! Takes the place of `blocks` where there is no census.

use std::collections::HashSet;

use super::found::Found;
use crate::current::CurrentTask;

/// There are none.
pub(super) enum LeftBlock {}

#[derive(Default)]
pub(super) struct Blocks {
    pub(super) left: Vec<LeftBlock>,
    pub(super) counted: usize,
    pub(super) are_young: bool,
}

pub(super) fn left(_: CurrentTask, _: &HashSet<u64>, _: bool) -> Blocks {
    Blocks::default()
}

pub(super) fn all_left(_: &HashSet<u64>) -> Blocks {
    Blocks::default()
}

pub(super) fn births() -> HashSet<u64> {
    HashSet::new()
}

impl LeftBlock {
    pub(super) fn birth(&self) -> u64 {
        match *self {}
    }

    pub(super) fn maker(&self) -> Option<u64> {
        match *self {}
    }

    pub(super) fn is_closure(&self) -> bool {
        match *self {}
    }

    pub(super) fn found(&self) -> Found {
        match *self {}
    }
}
