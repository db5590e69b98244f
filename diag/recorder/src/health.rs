//! Which part of diag works, and why another does not: what `/healthz?verbose` answers.
//!
//! Each part is off by itself where the system refuses what it needs; it says so here, when it starts and when
//! that changes, or when it is asked. What has failed is a note in every snapshot too. Never called from a hook.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::fork::Lock;
use crate::task::slab;
use crate::{capture, stack, thread};

/// What a part does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "not every build has a part that can be in each of these")]
pub(crate) enum Status {
    /// All of its work.
    Works,
    /// Nothing, as somebody chose: by a setting or a feature, which this names.
    Off(Cow<'static, str>),
    /// Less than it was asked for: what the system refused, and what is done without.
    Failed(Cow<'static, str>),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Works => f.write_str("works"),
            Status::Off(why) => write!(f, "off ({why})"),
            Status::Failed(why) => write!(f, "failed ({why})"),
        }
    }
}

static PARTS: Lock<BTreeMap<&'static str, Status>> = Lock::new(BTreeMap::new());

/// Says what the part of this name does now, in place of what was said of it before.
pub(crate) fn report(part: &'static str, status: Status) {
    PARTS.lock().insert(part, status);
}

/// Says what the part of this name does, unless it has said so itself since: its thread may be faster.
pub(crate) fn started(part: &'static str, status: Status) {
    PARTS.lock().entry(part).or_insert(status);
}

/// Nothing has started: what is known is a parent's.
pub(crate) fn forget() {
    PARTS.lock().clear();
}

/// Every part that reported, and those that start nothing and are tried now, as they may be refused at any time.
pub(crate) fn parts() -> BTreeMap<&'static str, Status> {
    let mut parts = PARTS.lock().clone();
    parts.extend([
        ("call stacks", stack::status()),
        ("stacks of held-up threads", thread::status()),
        ("process facts", capture::status()),
        ("task records", slab::status()),
    ]);
    parts
}
