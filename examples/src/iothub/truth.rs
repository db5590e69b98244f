//! What the hub knows about its own faults, from its own bookkeeping: what a diagnosis is measured against.
//!
//! Nothing in it comes from the recorder. Only faults that are switched on have an entry, so the truth of the
//! healthy twin is an empty list.

use std::fmt;
use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use diag_analysis::human;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::hub::State;
use super::parts::Parts;
use super::session::Census;
use super::{fuse, journal, protocol, sensor};

/// The hub's own account of itself at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// `iothub.truth/2`.
    pub schema: String,
    /// Devices with a line.
    pub devices_online: u64,
    /// Sessions in the map.
    pub sessions: u64,
    /// Bytes of readings held by all sessions.
    pub readings_bytes: u64,
    /// Open fuses of the levels L1, L2 and L3, and attempts that any of them turned away.
    pub fuses: [u64; 4],
    /// One for each fault that is switched on.
    pub faults: Vec<FaultTruth>,
    /// The lines at fault.
    pub lines: Vec<String>,
    /// How many times the first of the mistakes was made so far.
    pub count: u64,
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
    /// What is counted, and what it does.
    pub what: String,
}

impl Truth {
    /// The entry of the fault that `rule` must find.
    pub fn of_rule(&self, rule: &str) -> Option<&FaultTruth> {
        self.faults.iter().find(|fault| fault.rule == rule)
    }

    pub(super) fn of(state: &State) -> Truth {
        let census = state.sessions.census(state.config.grace, state.config.ttl);
        let faults: Vec<FaultTruth> =
            state.config.faults.iter().filter_map(|fault| FaultTruth::of(fault, state, &census)).collect();
        Truth {
            schema: "iothub.truth/2".to_owned(),
            devices_online: census.online,
            sessions: census.sessions,
            readings_bytes: census.readings_bytes,
            fuses: state.parts.as_ref().map_or([0; 4], |parts| parts.archive.open_fuses()),
            lines: faults.iter().filter_map(|fault| fault.site.clone()).collect(),
            count: faults.first().map_or(0, |fault| fault.count),
            faults,
        }
    }
}

impl FaultTruth {
    /// None of a fault that this hub cannot make, as it is not whole.
    fn of(fault: Fault, state: &State, census: &Census) -> Option<FaultTruth> {
        let (rule, site, count, what) = match fault {
            Fault::GhostDevices => {
                ("task-leak", state.device_place.exactly(), census.overdue, "tasks will never end")
            }
            Fault::MapNoTtl => {
                ("heap-growth", state.sessions.readings_place.line(), census.expired, "sessions keep")
            }
            _ => of_part(fault, state.parts.as_ref()?, census),
        };
        let bytes = (fault == Fault::MapNoTtl).then_some(census.expired_bytes);
        let (rule, what) = (rule.to_owned(), what.to_owned());
        Some(FaultTruth { fault: fault.name(), rule, site, count, bytes, what })
    }
}

fn of_part(
    fault: Fault,
    parts: &Parts,
    census: &Census,
) -> (&'static str, Option<String>, u64, &'static str) {
    let [hand_over, again] = parts.archive.places();
    match fault {
        Fault::GhostDevices | Fault::MapNoTtl | Fault::ListenerNotClosed => {
            let gone = parts.commands.len().saturating_sub(census.online);
            ("task-leak", parts.commands.place(), gone, "listeners are of devices that have gone")
        }
        Fault::BigTaskLocal => ("heap-growth", journal::place(), census.online, "journals grow"),
        Fault::BufferPoolHoard => {
            let pool = &parts.archive.pool;
            ("heap-growth", pool.place(), pool.len(), "buffers are idle")
        }
        Fault::ClosureCapturesState => {
            ("heap-growth", parts.alarms.place(), parts.alarms.len(), "alarms own a calibration")
        }
        Fault::TickBurst => {
            let readings = parts.sensor_readings.load(Ordering::Relaxed);
            ("slow-polls", sensor::place(), readings, "ticks, also those that were missed")
        }
        Fault::FuseStuckOpen => {
            let open = parts.archive.open_fuses()[..3].iter().sum();
            ("resource-leak", fuse::OPEN_PLACE.line(), open, "fuses are open")
        }
        Fault::RetrySpawns => ("task-leak", again, parts.archive.again(), "tasks wait to try again"),
        Fault::BlockingHandler => {
            ("slow-polls", hand_over, parts.archive.blocked(), "calls blocked a thread")
        }
        Fault::SliceRetainsPacket => {
            let packet = protocol::PAYLOAD_PLACE.line();
            ("heap-growth", packet, parts.models.len(), "models keep a packet")
        }
    }
}

impl fmt::Display for FaultTruth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FaultTruth { fault, rule, site, count, bytes, what } = self;
        write!(f, "{fault}: {} {what}", human::count(*count))?;
        if let Some(bytes) = bytes {
            write!(f, " {} for ever", human::bytes(*bytes))?;
        }
        write!(f, ", from {} (rule {rule})", site.as_deref().unwrap_or("nowhere yet"))
    }
}

/// A place in the source, written down by the code that runs there: a line number kept by hand would lie.
#[derive(Default)]
pub(super) struct Place(OnceLock<&'static Location<'static>>);

impl Place {
    pub(super) const fn new() -> Self {
        Place(OnceLock::new())
    }

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
