//! Signals upon which a snapshot is taken: the handler notes them, the thread of last snapshots does the rest.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::running;
use super::trigger::Trigger;
use crate::sys::{self, chained};

const SIGNALS: usize = 65;
/// Without the pipe the thread looks so often.
const WITHOUT_PIPE: Duration = Duration::from_millis(50);

/// Which signals have come, and the pipe by which the thread is woken.
pub(super) struct Signals {
    came: [AtomicBool; SIGNALS],
    pipe: Option<(PipeReader, PipeWriter)>,
}

impl Signals {
    pub(super) fn new() -> Self {
        Signals { came: [const { AtomicBool::new(false) }; SIGNALS], pipe: io::pipe().ok() }
    }

    /// The next one that has come, which is still noted as long as [`forget`](Signals::forget) is not called.
    pub(super) fn next(&self) -> Option<i32> {
        // Acquire: pairs with the Release in `note`.
        let came = self.came.iter().position(|came| came.load(Ordering::Acquire))?;
        i32::try_from(came).ok()
    }

    pub(super) fn forget(&self, signal: i32) {
        if let Some(came) = usize::try_from(signal).ok().and_then(|signal| self.came.get(signal)) {
            came.store(false, Ordering::Release);
        }
    }

    /// Waits for so long, or until a signal has come.
    pub(super) fn wait(&self, time: Duration) {
        let Some((reader, _)) = &self.pipe else { return crate::clock::sleep(time.min(WITHOUT_PIPE)) };
        match sys::is_readable_within(reader, time) {
            Ok(true) => _ = (&mut &*reader).read(&mut [0; SIGNALS]),
            Ok(false) => {}
            Err(_) => crate::clock::sleep(time.min(WITHOUT_PIPE)),
        }
    }

    /// True if it was not noted before. For the handler.
    fn note(&self, signal: i32) -> bool {
        let Some(came) = usize::try_from(signal).ok().and_then(|signal| self.came.get(signal)) else {
            return false;
        };
        let is_new = !came.swap(true, Ordering::AcqRel);
        // One byte for each at the most, so the pipe is never full.
        if is_new && let Some((_, writer)) = &self.pipe {
            let _ = (&mut &*writer).write(&[1]);
        }
        is_new
    }
}

/// Runs in the handler. False where nobody looks, as in a forked child, and for who asks a second time to end.
fn notice(signal: i32) -> bool {
    let Some(last) = running() else { return false };
    last.signals.note(signal) || signal != chained::TERMINATE
}

/// Has the signals of these triggers noticed. What cannot be, and why.
pub(super) fn notice_all(triggers: &[Trigger]) -> Vec<String> {
    let signals = triggers.iter().filter_map(|trigger| match trigger {
        Trigger::Signal(number) => Some(*number),
        Trigger::Terminate => Some(chained::TERMINATE),
        _ => None,
    });
    let refused = |signal| {
        let error = chained::chain(signal, notice).err()?;
        Some(format!("signal {signal} cannot be noticed: {error}"))
    };
    signals.filter_map(refused).collect()
}
