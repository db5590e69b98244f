//! For how much of a poll its thread had no CPU.
//!
//! A poll that takes long on a machine that is short of CPUs need not do anything that takes long. What the kernel counts for a
//! thread tells that from one snapshot to the next; of one alone there is only how many waited in the whole system.

use std::collections::HashMap;

use diag_snapshot::Snapshot;

/// Who waited for a CPU, in one snapshot or since an earlier one of the same process.
pub(crate) struct CpuShortage {
    /// Time since the earlier snapshot; none without one.
    window_us: Option<u64>,
    /// By thread, for how long it was ready and did not run since then.
    waited_us: HashMap<u32, u64>,
    /// Part of the time in which some task of the system, or of the group, waited.
    pressed: Option<f64>,
}

impl CpuShortage {
    pub(crate) fn of(snapshot: &Snapshot, earlier: Option<&Snapshot>) -> Self {
        let now_us = snapshot.capture.to_us;
        let window_us = earlier.map(|earlier| now_us.saturating_sub(earlier.capture.to_us));
        let window_us = window_us.filter(|&us| us > 0);
        CpuShortage {
            window_us,
            waited_us: earlier.map(|earlier| waited_us(snapshot, earlier)).unwrap_or_default(),
            pressed: pressed(snapshot),
        }
    }

    /// The most of the last `lasted_us` that a thread may have been ready without a CPU. Of a time that is longer than what was
    /// counted, as large a part.
    pub(crate) fn of_thread_us(&self, thread: u32, lasted_us: u64) -> Option<u64> {
        let (window_us, &waited_us) = (self.window_us?, self.waited_us.get(&thread)?);
        let longer = (lasted_us as f64 / window_us as f64).max(1.0);
        Some(((waited_us as f64 * longer) as u64).min(lasted_us))
    }

    /// The most of the last `lasted_us` that any thread may have been ready without a CPU, as the kernel's pressure has it for the
    /// last ten seconds.
    pub(crate) fn of_any_us(&self, lasted_us: u64) -> Option<u64> {
        let among_us = lasted_us.max(PRESSURE_US);
        self.pressed.map(|pressed| ((among_us as f64 * pressed) as u64).min(lasted_us))
    }
}

/// The time of which the kernel tells the pressure.
const PRESSURE_US: u64 = 10_000_000;

fn waited_us(snapshot: &Snapshot, earlier: &Snapshot) -> HashMap<u32, u64> {
    let was: HashMap<u32, _> = earlier.thread_cpu.iter().map(|thread| (thread.tid, thread)).collect();
    let waited = snapshot.thread_cpu.iter().filter_map(|thread| {
        // Another thread may have got the number.
        let was = was.get(&thread.tid).filter(|was| was.started_us == thread.started_us);
        let before_ns = was.and_then(|was| was.wait_ns).unwrap_or(0);
        Some((thread.tid, thread.wait_ns?.saturating_sub(before_ns) / 1_000))
    });
    waited.collect()
}

/// Of the system and of groups in it the least, since the thread is of both.
fn pressed(snapshot: &Snapshot) -> Option<f64> {
    let of_cpu = snapshot.capture.resources.pressure.iter().filter(|pressure| pressure.of == "cpu");
    of_cpu.map(|pressure| pressure.some_ppm).min().map(|ppm| (ppm as f64 / 1e6).min(1.0))
}

#[cfg(test)]
mod tests {
    use diag_snapshot::{Pressure, ThreadCpuRow};

    use super::*;

    const SECOND: u64 = 1_000_000;

    /// At 30 s, with a thread that began at a time and has waited for so long.
    fn snapshot(at_s: u64, started_us: u64, waited_s: u64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.capture.to_us = at_s * SECOND;
        let wait_ns = Some(waited_s * 1_000_000_000);
        let row = ThreadCpuRow { tid: 7, started_us: Some(started_us), wait_ns, ..ThreadCpuRow::default() };
        snapshot.thread_cpu.push(row);
        snapshot
    }

    #[test]
    fn a_thread_waited_for_no_longer_than_the_poll_lasted() {
        let shortage = CpuShortage::of(&snapshot(30, 0, 14), Some(&snapshot(20, 0, 10)));
        assert_eq!(shortage.of_thread_us(7, 2 * SECOND), Some(2 * SECOND), "it may all be in there");
        assert_eq!(shortage.of_thread_us(7, 6 * SECOND), Some(4 * SECOND));
        assert_eq!(
            shortage.of_thread_us(7, 20 * SECOND),
            Some(8 * SECOND),
            "as large a part of what came before"
        );
        assert_eq!(shortage.of_thread_us(8, SECOND), None);
        let alone = CpuShortage::of(&snapshot(30, 0, 14), None);
        assert_eq!(alone.of_thread_us(7, SECOND), None, "it may have waited an hour ago");
        let other = CpuShortage::of(&snapshot(30, 25 * SECOND, 1), Some(&snapshot(20, 0, 10)));
        assert_eq!(other.of_thread_us(7, 6 * SECOND), Some(SECOND), "another thread by the same number");
    }

    #[test]
    fn pressure_is_of_the_last_ten_seconds() {
        let mut snapshot = snapshot(30, 0, 0);
        let pressure = |of: &str, some_ppm| Pressure { of: of.to_owned(), some_ppm, ..Pressure::default() };
        snapshot.capture.resources.pressure =
            vec![pressure("memory", 10), pressure("cpu", 900_000), pressure("cpu", 100_000)];
        let shortage = CpuShortage::of(&snapshot, None);
        assert_eq!(shortage.of_any_us(SECOND / 2), Some(SECOND / 2));
        assert_eq!(shortage.of_any_us(5 * SECOND), Some(SECOND));
        assert_eq!(shortage.of_any_us(50 * SECOND), Some(5 * SECOND));
        assert_eq!(CpuShortage::of(&Snapshot::default(), None).of_any_us(SECOND), None);
    }
}
