//! The hub itself: accepts devices, gives each a task, sweeps the session map.
//!
//! The only place that spawns. It keeps no handle of a device's task: the session map reaches every task that
//! anybody has to reach.

use std::sync::Arc;
use std::time::Duration;

use super::device;
use super::protocol::DeviceId;
use super::session::{Resume, Sessions};
use super::transport::{Line, Listener};
use super::truth::{FaultTruth, Place, Truth};

/// After a connection that could not be accepted (no descriptor is free, say), wait for some to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a hub behaves.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How long a device that lost its line may be away before its session ends.
    pub grace: Duration,
    /// How long the readings of a device are kept after it left.
    pub ttl: Duration,
    /// Mistakes to make.
    pub faults: Faults,
}

impl Default for Config {
    fn default() -> Self {
        Config { grace: Duration::from_millis(400), ttl: Duration::from_secs(1), faults: Faults::default() }
    }
}

/// Mistakes to make. Each stands alone: neither needs the other, and each shows without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Tasks of devices that lost their line wait for ever, for want of a grace time.
    pub ghost_devices: bool,
    /// The session map keeps the readings of departed devices for ever, for want of a sweeper.
    pub map_no_ttl: bool,
}

/// The name of a mistake, for the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// [`Faults::ghost_devices`].
    GhostDevices,
    /// [`Faults::map_no_ttl`].
    MapNoTtl,
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(names: I) -> Self {
        let mut faults = Faults::default();
        for name in names {
            match name {
                Fault::GhostDevices => faults.ghost_devices = true,
                Fault::MapNoTtl => faults.map_no_ttl = true,
            }
        }
        faults
    }
}

/// A running hub. Clones are the same hub; it runs until its runtime ends.
#[derive(Clone)]
pub struct Hub(Arc<State>);

/// What every device's task shares.
pub(super) struct State {
    pub(super) config: Config,
    pub(super) sessions: Sessions,
    pub(super) devices_online: diag::Gauge,
    device_place: Place,
}

impl Hub {
    /// Starts serving whoever calls at `listener`. Must be called inside a runtime.
    pub fn start(listener: Listener, config: Config) -> Hub {
        let state = Arc::new(State {
            config,
            sessions: Sessions::default(),
            devices_online: diag::gauge("devices_online"),
            device_place: Place::default(),
        });
        diag::spawn(accept(state.clone(), listener));
        // Fault `map-no-ttl`: the time to live is configured, but nothing enforces it.
        if !config.faults.map_no_ttl {
            diag::spawn(sweep(state.clone()));
        }
        Hub(state)
    }

    /// What the hub knows about itself and its faults at this moment.
    pub fn truth(&self) -> Truth {
        let Config { grace, ttl, faults } = self.0.config;
        let census = self.0.sessions.census(grace, ttl);
        let ghost_devices = faults.ghost_devices.then(|| FaultTruth {
            fault: "ghost-devices".to_owned(),
            rule: "task-leak".to_owned(),
            site: self.0.device_place.exactly(),
            count: census.overdue,
            bytes: None,
        });
        let map_no_ttl = faults.map_no_ttl.then(|| FaultTruth {
            fault: "map-no-ttl".to_owned(),
            rule: "heap-growth".to_owned(),
            site: self.0.sessions.readings_place.line(),
            count: census.expired,
            bytes: Some(census.expired_bytes),
        });
        Truth {
            schema: "iothub.truth/1".to_owned(),
            devices_online: census.online,
            sessions: census.sessions,
            readings_bytes: census.readings_bytes,
            faults: ghost_devices.into_iter().chain(map_no_ttl).collect(),
        }
    }
}

impl State {
    /// Gives a device its task, which says whose it is, and writes down where, for the truth.
    #[track_caller]
    fn spawn_device(self: &Arc<Self>, id: DeviceId, line: Line, resume: Resume) {
        let task = device::serve(self.clone(), id, line, resume);
        self.device_place.note(diag::scope("device", id.0).spawn(task));
    }
}

async fn accept(state: Arc<State>, mut listener: Listener) {
    while let Some(call) = listener.accept().await {
        match call {
            Ok(line) => drop(diag::spawn(greet(state.clone(), line))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Which device it is is known when it has said so.
async fn greet(state: Arc<State>, line: Line) {
    if let Some((id, line, resume)) = device::hello(&state, line).await {
        state.spawn_device(id, line, resume);
    }
}

async fn sweep(state: Arc<State>) {
    let ttl = state.config.ttl;
    let mut rounds = tokio::time::interval(ttl / 4);
    loop {
        rounds.tick().await;
        state.sessions.sweep(ttl);
    }
}
