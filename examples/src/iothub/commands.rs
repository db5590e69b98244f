//! Commands for devices: each device on its line has a channel, and a task that listens to it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::fault::Fault;
use super::hub::State;
use super::protocol::DeviceId;
use super::truth::Place;

/// Commands that may wait for a device.
const WAITING: usize = 4;
/// The operator has a command so often, for one device after the other.
const EVERY: Duration = Duration::from_millis(4);

static LISTENER_PLACE: Place = Place::new();

/// What a device is to measure with from now on.
pub(super) type Setting = u64;

/// The channels of all devices.
#[derive(Default)]
pub(super) struct Commands(Mutex<BTreeMap<DeviceId, mpsc::Sender<Setting>>>);

impl Commands {
    fn channels(&self) -> MutexGuard<'_, BTreeMap<DeviceId, mpsc::Sender<Setting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many devices have a channel.
    pub(super) fn len(&self) -> u64 {
        self.channels().len() as u64
    }

    pub(super) fn place(&self) -> Option<String> {
        LISTENER_PLACE.line()
    }

    /// The channel of the device behind this one, the first behind the last.
    fn next(&self, last: DeviceId) -> Option<(DeviceId, mpsc::Sender<Setting>)> {
        let channels = self.channels();
        let behind = channels.range((Bound::Excluded(last), Bound::Unbounded)).next();
        behind.or_else(|| channels.first_key_value()).map(|(id, channel)| (*id, channel.clone()))
    }
}

/// A device that is listened for, until this is dropped.
pub(super) struct Listening {
    state: Arc<State>,
    id: DeviceId,
}

impl Listening {
    pub(super) fn new(state: &Arc<State>, id: DeviceId) -> Option<Self> {
        let commands = &state.parts.as_ref()?.commands;
        let (tell, settings) = mpsc::channel(WAITING);
        commands.channels().insert(id, tell);
        LISTENER_PLACE.note(diag::scope("device", id.0).spawn(listen(state.clone(), id, settings)));
        Some(Listening { state: state.clone(), id })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Fault `listener-not-closed`: the device is gone, its channel is not.
        if self.state.config.faults.has(Fault::ListenerNotClosed) {
            return;
        }
        if let Some(parts) = &self.state.parts {
            parts.commands.channels().remove(&self.id);
        }
    }
}

async fn listen(state: Arc<State>, id: DeviceId, mut settings: mpsc::Receiver<Setting>) {
    while let Some(setting) = settings.recv().await {
        state.sessions.set(id, setting);
    }
}

/// The operator, who has something for one device after the other.
pub(super) async fn operate(state: Arc<State>) {
    let mut rounds = interval(EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last = DeviceId(0);
    for setting in 0.. {
        rounds.tick().await;
        let next = state.parts.as_ref().and_then(|parts| parts.commands.next(last));
        let Some((device, channel)) = next else { continue };
        // A device that has four commands waiting is told the next time.
        let _ = channel.try_send(setting);
        last = device;
    }
}
