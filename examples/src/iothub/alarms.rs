//! Alarms: what is to be called when a device measures too much, for as long as the device is here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::fault::{Fault, Faults};
use super::truth::Place;

/// A calibration has so many points.
const POINTS: usize = 4 << 10;

static CALIBRATION_PLACE: Place = Place::new();

/// What the readings of one device are measured by.
pub(super) struct Calibration(Box<[u32]>);

impl Calibration {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Calibration(CALIBRATION_PLACE.note(vec![1; POINTS].into_boxed_slice())))
    }

    fn is_too_much(&self, value: u8) -> bool {
        self.0.get(usize::from(value)).is_some_and(|point| *point == 0)
    }
}

/// Whether a value is too much; `None` once the device has gone.
type Alarm = Box<dyn Fn(u8) -> Option<bool> + Send>;

/// The alarms of all devices.
#[derive(Default)]
pub(super) struct Alarms {
    faults: Faults,
    all: Mutex<Vec<Alarm>>,
}

impl Alarms {
    pub(super) fn new(faults: Faults) -> Self {
        Alarms { faults, all: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Alarm>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the alarm of a device.
    pub(super) fn add(&self, calibration: &Arc<Calibration>) {
        let alarm: Alarm = if self.faults.has(Fault::ClosureCapturesState) {
            // Fault `closure-captures-state`: it was easier to have the calibration itself at hand.
            let calibration = calibration.clone();
            Box::new(move |value| Some(calibration.is_too_much(value)))
        } else {
            let calibration: Weak<Calibration> = Arc::downgrade(calibration);
            Box::new(move |value| Some(calibration.upgrade()?.is_too_much(value)))
        };
        self.all().push(alarm);
    }

    /// Tries all of them, and forgets those whose device has gone.
    pub(super) fn sweep(&self) {
        self.all().retain(|alarm| alarm(0).is_some());
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.all().len() as u64
    }

    pub(super) fn place(&self) -> Option<String> {
        CALIBRATION_PLACE.line()
    }
}
