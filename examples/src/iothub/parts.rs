//! What a whole hub has beside its sessions: commands, alarms, models, an archive, a sensor.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::alarms::{Alarms, Calibration};
use super::archive::Archive;
use super::commands::{self, Commands, Listening};
use super::hub::{Config, State};
use super::models::Models;
use super::protocol::DeviceId;
use super::sensor;

/// The parts of a whole hub.
pub(super) struct Parts {
    pub(super) commands: Commands,
    pub(super) alarms: Alarms,
    pub(super) models: Models,
    pub(super) archive: Arc<Archive>,
    /// How often the sensor was read.
    pub(super) sensor_readings: AtomicU64,
}

impl Parts {
    pub(super) fn new(config: &Config) -> Self {
        Parts {
            commands: Commands::default(),
            alarms: Alarms::new(config.faults),
            models: Models::new(config.faults),
            archive: Archive::new(config.fuses, config.faults),
            sensor_readings: AtomicU64::new(0),
        }
    }

    /// Starts what runs as long as the hub.
    pub(super) fn start(state: &Arc<State>) {
        diag::spawn(commands::operate(state.clone()));
        sensor::start(state);
    }
}

/// What a device has while it is on its line.
pub(super) struct Attended {
    _listening: Option<Listening>,
    _calibration: Arc<Calibration>,
}

impl Attended {
    /// Of a whole hub.
    pub(super) fn new(state: &Arc<State>, id: DeviceId) -> Option<Self> {
        let parts = state.parts.as_ref()?;
        let calibration = Calibration::new();
        parts.alarms.add(&calibration);
        Some(Attended { _listening: Listening::new(state, id), _calibration: calibration })
    }
}
