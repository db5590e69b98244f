//! Who woke a task, as bits in its record.

use crate::current::CurrentTask;

/// Who woke a task: a task, or a thread outside of any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WakeSource {
    ByTask(CurrentTask),
    ByThread(u32),
    /// Nobody did, and in this task's poll the last waker was dropped.
    Displaced(CurrentTask),
}

impl WakeSource {
    const THREAD: u64 = 1 << 63;
    /// No task's id comes as high.
    const DISPLACED: u64 = 1 << 62;

    #[inline]
    pub(super) fn bits(self) -> u64 {
        match self {
            WakeSource::ByTask(task) => task.word(),
            WakeSource::ByThread(thread) => WakeSource::THREAD | u64::from(thread),
            WakeSource::Displaced(by) => WakeSource::DISPLACED | by.word(),
        }
    }

    #[inline]
    pub(super) fn is_displaced(bits: u64) -> bool {
        bits & (WakeSource::THREAD | WakeSource::DISPLACED) == WakeSource::DISPLACED
    }

    pub(super) fn from_bits(bits: u64) -> Option<Self> {
        match bits {
            0 => None,
            bits if bits & WakeSource::THREAD != 0 => Some(WakeSource::ByThread(bits as u32)),
            bits if bits & WakeSource::DISPLACED != 0 => {
                Some(WakeSource::Displaced(CurrentTask::from_word(bits & !WakeSource::DISPLACED)))
            }
            bits => Some(WakeSource::ByTask(CurrentTask::from_word(bits))),
        }
    }
}
