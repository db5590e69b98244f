//! The hub itself: accepts devices, gives each a task, sweeps the session map.
//!
//! The only place that spawns. It keeps no handle of a device's task: the session map reaches every task that
//! anybody has to reach.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::device;
use super::fault::{Fault, Faults};
use super::fuse::Times;
use super::parts::Parts;
use super::protocol::DeviceId;
use super::session::{Resume, Sessions};
use super::transport::{Line, Listener};
use super::truth::{Place, Truth};

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
    /// With commands, alarms, models, a sensor and an archive; the faults of these show in such a hub only.
    pub is_whole: bool,
    /// The times of the fuses before the archive.
    pub fuses: Times,
    /// Is told of each heartbeat, where it is heard.
    pub heard: fn(DeviceId),
}

impl Default for Config {
    fn default() -> Self {
        Config {
            grace: Duration::from_millis(400),
            ttl: Duration::from_secs(1),
            faults: Faults::default(),
            is_whole: false,
            fuses: Times::default(),
            heard: |_| {},
        }
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
    /// What only a whole hub has.
    pub(super) parts: Option<Parts>,
    pub(super) device_place: Place,
}

impl Hub {
    /// Starts serving whoever calls at `listener`. Must be called inside a runtime.
    pub fn start(listener: Listener, config: Config) -> Hub {
        let state = Arc::new(State {
            config,
            sessions: Sessions::default(),
            devices_online: diag::gauge("devices_online"),
            parts: config.is_whole.then(|| Parts::new(&config)),
            device_place: Place::new(),
        });
        diag::spawn(accept(state.clone(), listener));
        // Fault `map-no-ttl`: the time to live is configured, but nothing enforces it.
        if !config.faults.has(Fault::MapNoTtl) {
            diag::spawn(sweep(state.clone()));
        }
        if config.is_whole {
            Parts::start(&state);
        }
        Hub(state)
    }

    /// What the hub knows about itself and its faults at this moment.
    pub fn truth(&self) -> Truth {
        Truth::of(&self.0)
    }
}

impl State {
    pub(super) fn sensor_was_read(&self) {
        if let Some(parts) = &self.parts {
            parts.sensor_readings.fetch_add(1, Ordering::Relaxed);
        }
    }

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
        if let Some(parts) = &state.parts {
            parts.alarms.sweep();
        }
    }
}
