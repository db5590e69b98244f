//! What the hub knows about its own faults, from its own bookkeeping: what a diagnosis is measured against.
//!
//! Nothing in it comes from the recorder. Only faults that are switched on have an entry, so the truth of the
//! healthy twin is an empty list.

use std::fmt;
use std::panic::Location;
use std::sync::OnceLock;

use diag_analysis::human;
use serde::{Deserialize, Serialize};

/// The hub's own account of itself at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// `iothub.truth/1`.
    pub schema: String,
    /// Devices with a line.
    pub devices_online: u64,
    /// Sessions in the map.
    pub sessions: u64,
    /// Bytes of readings held by all sessions.
    pub readings_bytes: u64,
    /// One for each fault that is switched on.
    pub faults: Vec<FaultTruth>,
}

/// What one fault did so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultTruth {
    /// Its name on the command line.
    pub fault: String,
    /// The rule that must find it.
    pub rule: String,
    /// Where the tasks are spawned (`file:line:column`), or the memory is allocated (`file:line`). `None`
    /// until it happened once.
    pub site: Option<String>,
    /// How many: tasks that will never end, or sessions kept for ever.
    pub count: u64,
    /// Bytes kept for ever, if the fault is about bytes.
    pub bytes: Option<u64>,
}

impl Truth {
    /// The entry of the fault that `rule` must find.
    pub fn of_rule(&self, rule: &str) -> Option<&FaultTruth> {
        self.faults.iter().find(|fault| fault.rule == rule)
    }
}

impl fmt::Display for FaultTruth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FaultTruth { fault, rule, site, count, bytes } = self;
        write!(f, "{fault}: {} ", human::count(*count))?;
        match bytes {
            None => write!(f, "tasks will never end")?,
            Some(bytes) => write!(f, "sessions keep {} for ever", human::bytes(*bytes))?,
        }
        write!(f, ", from {} (rule {rule})", site.as_deref().unwrap_or("nowhere yet"))
    }
}

/// A place in the source, written down by the code that runs there: a line number kept by hand would lie.
#[derive(Default)]
pub(super) struct Place(OnceLock<&'static Location<'static>>);

impl Place {
    /// Writes down the caller's place, and passes the value on.
    #[track_caller]
    pub(super) fn note<T>(&self, value: T) -> T {
        let here = Location::caller();
        self.0.get_or_init(|| here);
        value
    }

    /// `file:line:column`.
    pub(super) fn exactly(&self) -> Option<String> {
        self.0.get().map(|place| place.to_string())
    }

    /// `file:line`: debug info and the compiler do not count columns alike.
    pub(super) fn line(&self) -> Option<String> {
        self.0.get().map(|place| format!("{}:{}", place.file(), place.line()))
    }
}
