//! Which part of diag works, and why another does not: what `/healthz?verbose` answers.
//!
//! Each part is off by itself where the system refuses what it needs; it says so here, when it starts and when
//! that changes, or when it is asked. What has failed is a note in every snapshot too. Never called from a hook.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::core_layout::CORE_LAYOUT;
use crate::fork::{self, Lock};
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

impl Status {
    /// The word for it, and why, for readers of cores.
    fn words(&self) -> (&'static str, &str) {
        match self {
            Status::Works => ("works", ""),
            Status::Off(why) => ("off", why),
            Status::Failed(why) => ("failed", why),
        }
    }
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

/// What a part said, and the number of the process that it said it in.
struct Said {
    process: u32,
    status: Status,
}

static PARTS: Lock<BTreeMap<&'static str, Said>> = Lock::new(BTreeMap::new());

/// Parts that lie in memory: a child has them as its parent had them, and of the others, which have threads, none until
/// it starts its own.
const IN_MEMORY: [&str; 3] = ["census", "heap sampler", "parked stacks"];

/// Says what the part of this name does now, in place of what was said of it before.
pub(crate) fn report(part: &'static str, status: Status) {
    let mut parts = PARTS.lock();
    parts.insert(part, Said::here(status));
    tell_cores(&of_this_process(&parts));
}

/// Says what the part of this name does, unless it has said so itself since: its thread may be faster.
pub(crate) fn started(part: &'static str, status: Status) {
    let mut parts = PARTS.lock();
    if !parts.get(part).is_some_and(Said::is_own) {
        parts.insert(part, Said::here(status));
    }
    tell_cores(&of_this_process(&parts));
}

/// Tells readers of cores what the parts do.
fn tell_cores(parts: &BTreeMap<&'static str, Status>) {
    /// Kept until something else is told.
    static TOLD: Lock<String> = Lock::new(String::new());
    let text: String = parts
        .iter()
        .map(|(part, status)| {
            let (state, why) = status.words();
            format!("{part}\0{state}\0{why}\0")
        })
        .collect();
    let mut told = TOLD.lock();
    CORE_LAYOUT.tables.parts.enter_kept(&text);
    *told = text;
}

impl Said {
    fn here(status: Status) -> Self {
        Said { process: fork::process().get(), status }
    }

    fn is_own(&self) -> bool {
        self.process == fork::process().get()
    }
}

/// Every part that reported, and those that start nothing and are tried now, as they may be refused at any time.
pub(crate) fn parts() -> BTreeMap<&'static str, Status> {
    let mut parts = of_this_process(&PARTS.lock());
    parts.extend([
        ("call stacks", stack::status()),
        ("stacks of held-up threads", thread::status()),
        ("process facts", capture::status()),
        ("task records", slab::status()),
    ]);
    tell_cores(&parts);
    parts
}

/// What was said that holds in this process.
fn of_this_process(said: &BTreeMap<&'static str, Said>) -> BTreeMap<&'static str, Status> {
    let holds = |(part, said): &(&&str, &Said)| said.is_own() || IN_MEMORY.contains(part);
    said.iter().filter(holds).map(|(part, said)| (*part, said.status.clone())).collect()
}

#[cfg(all(test, not(diag_loom)))]
mod tests {
    use super::*;
    use crate::sys;

    fn status(part: &str) -> Option<Status> {
        parts().remove(part)
    }

    #[test]
    fn a_child_has_no_thread_of_its_parent_s_and_what_lies_in_memory() {
        let failed = || Status::Failed("as a test".into());
        report("agent", failed());
        started("agent", Status::Works);
        report("parked stacks", failed());
        assert_eq!(status("agent"), Some(failed()), "its thread was faster");
        let is_so = || {
            let inherited = status("agent").is_none() && status("parked stacks") == Some(failed());
            started("agent", Status::Works);
            started("parked stacks", Status::Works);
            inherited
                && status("agent") == Some(Status::Works)
                && status("parked stacks") == Some(Status::Works)
        };
        assert_ne!(sys::forked(is_so), Some(false));
        assert_eq!(status("agent"), Some(failed()), "the parent is as it was");
        PARTS.lock().clear();
    }
}
