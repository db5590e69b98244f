//! Which part of diag works, and why another does not: what `/healthz?verbose` answers.
//!
//! Each part is off by itself where the system refuses what it needs; it says so here, when it starts and when
//! that changes. Never called from a hook.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::fork::Lock;
use crate::settings;
use crate::thread::{self, Choice};

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

/// Says what the stacks of held-up threads depend on: handlers of the service may come at any time.
pub(crate) fn report_signal() {
    let status = match (thread::signal_usable(), settings::current().signal) {
        (Ok(()), _) => Status::Works,
        (Err(why), Choice::Off) => Status::Off(why.to_string().into()),
        (Err(why), _) => Status::Failed(why.to_string().into()),
    };
    report("stacks of held-up threads", status);
}

/// Every part that reported, by name.
#[allow(dead_code, reason = "asked by the agent")]
pub(crate) fn parts() -> Vec<(&'static str, Status)> {
    PARTS.lock().iter().map(|(part, status)| (*part, status.clone())).collect()
}
