//! The hub's own sensor, which is read at each tick and told to whoever publishes it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::fault::Fault;
use super::hub::State;
use super::truth::Place;

/// It is read so often.
const EVERY: Duration = Duration::from_millis(20);
/// Reading it takes so long, on a slow bus.
const READING: Duration = Duration::from_millis(8);
/// After so many readings it is calibrated, which takes so long.
const CALIBRATED_EVERY: u64 = 50;
const CALIBRATION: Duration = Duration::from_secs(1);

static SENSOR_PLACE: Place = Place::new();

/// Starts to read it.
pub(super) fn start(state: &Arc<State>) {
    let (tell, mut told) = mpsc::channel(1);
    SENSOR_PLACE.note(diag::spawn(watch(state.clone(), tell)));
    diag::spawn(async move {
        let temperature = diag::gauge("hub_temperature");
        while let Some(value) = told.recv().await {
            temperature.set(value);
        }
    });
}

async fn watch(state: Arc<State>, tell: mpsc::Sender<i64>) {
    let mut ticks = interval(EVERY);
    // Fault `tick-burst`: nobody asked what is to become of ticks that are missed, and all of them are made up for.
    if !state.config.faults.has(Fault::TickBurst) {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    }
    for number in 1u64.. {
        ticks.tick().await;
        std::thread::sleep(READING);
        state.sensor_was_read();
        // The newest one that is not published yet is enough.
        let _ = tell.try_send(20 + (number % 3) as i64);
        if number.is_multiple_of(CALIBRATED_EVERY) {
            sleep(CALIBRATION).await;
        }
    }
}

pub(super) fn place() -> Option<String> {
    SENSOR_PLACE.line()
}
