//! Many devices that only send heartbeats, each at its own moment of a period: what is late is late by the clock, and not by the one
//! before it.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::time::{MissedTickBehavior, interval};

use super::driver::call_all;
use super::protocol::{DeviceId, Frame};
use super::transport::{Connector, Line};

/// Heartbeats that are due are sent so often.
const EVERY: Duration = Duration::from_millis(1);

/// When which device is due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// When the period of the first device begins.
    pub start: Instant,
    /// Between two heartbeats of a device.
    pub period: Duration,
    /// So many devices.
    pub devices: u64,
}

impl Schedule {
    /// How much later than it was due a heartbeat of a device is at a moment: less than a period.
    pub fn late(&self, id: DeviceId, now: Instant) -> Duration {
        let period_ns = (self.period.as_nanos() as u64).max(1);
        let since_ns = now.saturating_duration_since(self.start).as_nanos() as u64 % period_ns;
        Duration::from_nanos((since_ns + period_ns - self.phase_ns(id.0) % period_ns) % period_ns)
    }

    /// When in the period it is due.
    fn phase_ns(&self, device: u64) -> u64 {
        let part = u128::from(device) * self.period.as_nanos() / u128::from(self.devices.max(1));
        part as u64
    }

    /// When the heartbeat with this number is due, of all devices in turn.
    fn due(&self, number: u64) -> Instant {
        let (round, device) = (number / self.devices.max(1), number % self.devices.max(1));
        let rounds = self.period * u32::try_from(round).unwrap_or(u32::MAX);
        self.start + rounds + Duration::from_nanos(self.phase_ns(device))
    }

    /// The number of the first heartbeat that is not due yet.
    fn next(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start).as_nanos();
        let number = since * u128::from(self.devices) / self.period.as_nanos().max(1);
        number as u64 + 1
    }
}

/// The lines of all devices.
pub struct Lines(Vec<Line>);

impl Lines {
    /// Calls for so many devices. None if the hub does not welcome all of them.
    pub async fn call(connector: &Connector, devices: usize) -> Option<Lines> {
        let lines = call_all(connector, 0..devices).await;
        (lines.len() == devices).then_some(Lines(lines))
    }

    /// Sends each heartbeat when it is due, for so long. Returns how many were sent.
    pub async fn beat(&mut self, schedule: &Schedule, time: Duration) -> u64 {
        let end = Instant::now() + time;
        let first = schedule.next(Instant::now());
        let mut next = first;
        let heartbeat = Frame::Heartbeat.encode();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while Instant::now() < end {
            ticks.tick().await;
            while schedule.due(next) <= Instant::now() {
                if let Some(line) = self.0.get_mut((next % schedule.devices.max(1)) as usize) {
                    // A line that is lost is missed by who counts what is heard.
                    let _ = line.write_all(&heartbeat).await;
                }
                next += 1;
            }
        }
        next - first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_due_at_its_devices_moment_and_late_by_what_has_passed() {
        let start = Instant::now();
        let schedule = Schedule { start, period: Duration::from_secs(30), devices: 100_000 };
        for (number, device) in [(1, 1), (99_999, 99_999), (100_000, 0), (250_000, 50_000)] {
            let due = schedule.due(number);
            let at = |us| schedule.late(DeviceId(device), due + Duration::from_micros(us));
            assert_eq!((at(0), at(70)), (Duration::ZERO, Duration::from_micros(70)), "{number}");
            assert_eq!(schedule.next(due), number + 1);
            assert_eq!(schedule.next(due - Duration::from_nanos(1)), number);
        }
    }
}
