//! How much is left of a limit, how long that lasts, and when to take a snapshot: numbers in, numbers out.

use std::time::Duration;

/// What is used of a limit at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) used_bytes: u64,
    pub(super) limit_bytes: u64,
}

impl Reading {
    pub(super) fn gap_bytes(self) -> u64 {
        self.limit_bytes.saturating_sub(self.used_bytes)
    }
}

/// One snapshot when so small a part of the limit is left, each: the first is there if the last does not get done.
const PARTS: [u64; 4] = [2, 4, 8, 16];

/// Which of these parts were reached. One counts anew when half as much again was left in between.
#[derive(Debug, Default)]
pub(super) struct Rungs {
    reached: usize,
}

impl Rungs {
    /// True if another one is reached.
    pub(super) fn reach(&mut self, reading: Reading) -> bool {
        let gap = reading.gap_bytes();
        let within = |most: fn(u64) -> u64| {
            PARTS.iter().take_while(|part| gap <= most(reading.limit_bytes / **part)).count()
        };
        let (reached, near) = (within(|part| part), within(|part| part.saturating_add(part / 2)));
        let before = self.reached.min(near);
        self.reached = before.max(reached);
        reached > before
    }
}

/// So many readings say how fast memory grows.
const READINGS: usize = 64;
/// Older ones say nothing of now.
const WINDOW: Duration = Duration::from_secs(2);

/// How fast memory grows, by the last readings.
#[derive(Debug)]
pub(super) struct Growth {
    /// When, and what was used; a ring.
    readings: [(Duration, u64); READINGS],
    len: usize,
    next: usize,
}

impl Growth {
    pub(super) const fn new() -> Self {
        Growth { readings: [(Duration::ZERO, 0); READINGS], len: 0, next: 0 }
    }

    pub(super) fn add(&mut self, now: Duration, used_bytes: u64) {
        self.readings[self.next] = (now, used_bytes);
        self.next = (self.next + 1) % READINGS;
        self.len = (self.len + 1).min(READINGS);
    }

    /// Bytes a second, by the line that fits the last readings best; `None` if there are too few, or if it does not
    /// grow.
    pub(super) fn bytes_per_second(&self) -> Option<u64> {
        let latest = self.readings[(self.next + READINGS - 1) % READINGS].0;
        let recent = self.readings[..self.len].iter().filter(|(at, _)| latest.saturating_sub(*at) <= WINDOW);
        let points: [(f64, f64); READINGS] = {
            let mut points = [(0.0, 0.0); READINGS];
            for (point, (at, used)) in points.iter_mut().zip(recent.clone()) {
                *point = (at.as_secs_f64(), *used as f64);
            }
            points
        };
        let points = &points[..recent.count()];
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (mean_at, mean_used) = (mean(|point| point.0), mean(|point| point.1));
        let (mut above, mut below) = (0.0, 0.0);
        for (at, used) in points {
            above += (at - mean_at) * (used - mean_used);
            below += (at - mean_at) * (at - mean_at);
        }
        let slope = above / below;
        (points.len() >= 3 && slope.is_finite() && slope >= 1.0).then_some(slope as u64)
    }

    /// When nothing is left at that rate.
    pub(super) fn limit_in(&self, reading: Reading) -> Option<Duration> {
        let rate = self.bytes_per_second()?;
        Some(Duration::from_millis(
            u64::try_from(u128::from(reading.gap_bytes()) * 1_000 / u128::from(rate)).unwrap_or(u64::MAX),
        ))
    }
}

/// How long to wait for the next look: the less, the sooner the next rung may be reached.
pub(super) fn pause(reading: Reading, limit_in: Option<Duration>) -> Duration {
    const SHORTEST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_millis(250);
    const NEAR: Duration = Duration::from_millis(25);
    let is_near = reading.gap_bytes() <= reading.limit_bytes / 2;
    let most = if is_near { NEAR } else { LONGEST };
    limit_in.map_or(most, |left| (left / 64).clamp(SHORTEST, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1_600;

    fn reading(gap: u64) -> Reading {
        Reading { used_bytes: LIMIT - gap, limit_bytes: LIMIT }
    }

    #[test]
    fn each_rung_is_reached_once_until_there_is_room_again() {
        let mut rungs = Rungs::default();
        let reached = |rungs: &mut Rungs, gaps: &[u64]| -> Vec<u64> {
            gaps.iter().copied().filter(|&gap| rungs.reach(reading(gap))).collect()
        };
        let gaps = [1_000, 800, 401, 400, 399, 500, 400, 200, 199, 100, 1, 0];
        assert_eq!(reached(&mut rungs, &gaps), [800, 400, 200, 100]);
        assert_eq!(reached(&mut rungs, &[150, 100]), [] as [u64; 0], "not enough room yet");
        assert_eq!(reached(&mut rungs, &[601, 300, 100]), [300, 100]);
        // Two at once are one snapshot.
        assert_eq!(reached(&mut Rungs::default(), &[50, 40]), [50]);
    }

    #[test]
    fn a_constant_rate_is_found_among_noise_and_pauses() {
        let mut growth = Growth::new();
        for step in 0..200_u64 {
            growth.add(Duration::from_millis(25 * step), 1_000_000 * step + (step * 7_919 % 13) * 40_000);
        }
        let rate = growth.bytes_per_second().expect("it grows");
        assert!(rate.abs_diff(40_000_000) < 2_000_000, "{rate}");
        let left = growth.limit_in(Reading { used_bytes: 0, limit_bytes: 80_000_000 }).expect("it grows");
        assert!(left.abs_diff(Duration::from_secs(2)) < Duration::from_millis(100), "{left:?}");
    }

    #[test]
    fn what_does_not_grow_reaches_no_limit() {
        let mut growth = Growth::new();
        assert_eq!(growth.limit_in(reading(5)), None);
        (0..100).for_each(|step| growth.add(Duration::from_millis(step), 7_000 - step));
        assert_eq!(growth.bytes_per_second(), None);
        let mut still = Growth::new();
        (0..100).for_each(|_| still.add(Duration::ZERO, u64::MAX));
        assert_eq!(still.limit_in(reading(5)), None, "no time has passed");
    }

    #[test]
    fn looks_come_closer_as_the_limit_does() {
        let ms = Duration::from_millis;
        assert_eq!(pause(reading(1_500), None), ms(250));
        assert_eq!(pause(reading(700), None), ms(25));
        assert_eq!(pause(reading(1_500), Some(ms(6_400))), ms(100));
        assert_eq!(pause(reading(700), Some(ms(64))), ms(10));
    }
}
