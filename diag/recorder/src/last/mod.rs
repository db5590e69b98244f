//! The last snapshot before the end: what a service has that its memory's limit is about to kill, that is asked to end,
//! panics or exits, kept apart from the series that would push it out.
//!
//! One thread looks and waits; it captures on another, for which it waits ten seconds at the most. Nothing of this is
//! there unless somebody asks for it. A forked child has none of it.

mod aside;
mod ending;
mod folder;
mod fuse;
mod room;
mod signals;
mod trigger;
mod watch;
mod writer;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::ptr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicPtr, Ordering};

use diag_snapshot::{Cause, Date};

pub use trigger::Trigger;
pub(crate) use trigger::{list, shown};

use folder::LastFolder;
use signals::Signals;
use watch::Watch;
use writer::Writer;

use crate::health::{self, Status};
use crate::own_thread::OwnThread;
use crate::problem::{Problem, ProblemKind};
use crate::settings::Settings;
use crate::{clock, fork, messages, sys};

/// What the health calls it.
pub(crate) const PART: &str = "last snapshot";

/// Who keeps last snapshots.
pub(crate) struct Last {
    process: NonZeroU32,
    triggers: Vec<Trigger>,
    writer: Writer,
    signals: Signals,
    /// What works, and whether the last one could not be written.
    said: Mutex<(Status, bool)>,
}

/// Null for none. One that was is never freed: a handler may have it.
static RUNNING: AtomicPtr<Last> = AtomicPtr::new(ptr::null_mut());

/// That of this process. For handlers as well.
fn running() -> Option<&'static Last> {
    // Acquire: pairs with the Release of `start`.
    // SAFETY: null, or what `start` leaked.
    let last = unsafe { RUNNING.load(Ordering::Acquire).as_ref() }?;
    (last.process.get() == fork::known()).then_some(last)
}

/// Starts whatever can be started of it.
pub(crate) fn start(settings: &Settings) -> Result<Status, Problem> {
    if settings.last.is_empty() {
        return Ok(Status::Off("no DIAG_LAST".into()));
    }
    let Some(dir) = &settings.dir else {
        let text = "DIAG_LAST keeps its snapshots in DIAG_DIR, which is not set: there will be none";
        return Err(Problem::new(ProblemKind::LastSnapshot, text));
    };
    let service = crate::capture::service_name(settings);
    let start_unix_ms = clock::anchor().start_unix_us / 1_000;
    let last: &'static Last = Box::leak(Box::new(Last {
        process: fork::process(),
        triggers: settings.last.clone(),
        writer: Writer::new(LastFolder::new(dir, &service, std::process::id(), start_unix_ms)),
        signals: Signals::new(),
        said: Mutex::new((Status::Works, false)),
    }));
    let (watch, mut failed) = Watch::new(last);
    let problem = |error: std::io::Error| {
        let text = format!("the thread that keeps last snapshots could not start ({error})");
        Problem::new(ProblemKind::LastSnapshot, text).because(error)
    };
    // Release: pairs with `running`. Before the thread, whose work is that of this process.
    RUNNING.store(ptr::from_ref(last).cast_mut(), Ordering::Release);
    sys::start_thread(sys::USUAL_STACK_BYTES, move || last.run(watch)).map_err(problem)?;
    failed.extend(signals::notice_all(&last.triggers));
    if last.has(Trigger::Panic) {
        ending::notice_panics();
    }
    if last.has(Trigger::Exit) && !ending::notice_exit() {
        failed.push("exit: the C library has no room for one more handler".to_owned());
    }
    let status = if failed.is_empty() { Status::Works } else { Status::Failed(failed.join("; ").into()) };
    last.said.lock().unwrap_or_else(PoisonError::into_inner).0 = status.clone();
    Ok(status)
}

/// Takes one as the agent is asked to; `None` if it is not to.
#[cfg(feature = "agent")]
pub(crate) fn keep_for_http() -> Option<Result<PathBuf, String>> {
    let last = running().filter(|last| last.has(Trigger::Http))?;
    Some(last.keep(Trigger::Http, "POST /last".to_owned()))
}

impl Last {
    fn has(&self, trigger: Trigger) -> bool {
        self.triggers.contains(&trigger)
    }

    fn run(&'static self, mut watch: Watch) {
        sys::name_thread(c"diag-last");
        let _own = OwnThread::here();
        crate::hide_for_ever();
        loop {
            while let Some(signal) = self.signals.next() {
                self.answer(signal);
            }
            self.signals.wait(watch.read());
        }
    }

    fn answer(&'static self, signal: i32) {
        let is_end = signal == sys::chained::TERMINATE;
        let trigger = if is_end { Trigger::Terminate } else { Trigger::Signal(signal) };
        let _ = self.keep(trigger, format!("signal {signal}"));
        if is_end {
            sys::chained::end_by_default(signal);
        }
        self.signals.forget(signal);
    }

    fn cause(&self, trigger: Trigger, source: String) -> Cause {
        Cause { trigger: trigger.name().to_owned(), source, ..Cause::default() }
    }

    /// Takes one, and tells if that fails.
    fn keep(&'static self, trigger: Trigger, source: String) -> Result<PathBuf, String> {
        self.keep_for(self.cause(trigger, source), trigger)
    }

    fn keep_for(&'static self, cause: Cause, trigger: Trigger) -> Result<PathBuf, String> {
        self.keep_at(cause, self.writer.folder.last(trigger.name()))
    }

    fn keep_day(&'static self, cause: Cause, day: Date) {
        let _ = self.keep_at(cause, self.writer.folder.day(day));
    }

    /// The first of a day, for which nobody waits: the memory's limit is looked at meanwhile.
    fn keep_first(&'static self, day: Date) {
        let work = move || {
            let _own = OwnThread::here();
            crate::hide_for_ever();
            let cause =
                Cause { trigger: "first".to_owned(), source: "the clock".to_owned(), ..Cause::default() };
            self.keep_day(cause, day);
        };
        if sys::start_thread(sys::USUAL_STACK_BYTES, work).is_err() {
            self.tell(Some(&"no thread for the first of a day could be started".to_owned()));
        }
    }

    fn has_day(&self, day: Date) -> bool {
        self.writer.folder.day(day).exists()
    }

    fn keep_at(&'static self, cause: Cause, path: PathBuf) -> Result<PathBuf, String> {
        let written = self.writer.write(cause, path);
        self.tell(written.as_ref().err());
        written
    }

    /// Tells what became of one, once a spell of failures.
    fn tell(&self, failure: Option<&String>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let was_failing = std::mem::replace(&mut said.1, failure.is_some());
        let works = said.0.clone();
        drop(said);
        match failure {
            Some(why) if !was_failing => {
                let text = format!("a last snapshot could not be kept: {why}");
                health::report(PART, Status::Failed(text.clone().into()));
                messages::report(&Problem::new(ProblemKind::LastSnapshot, text));
            }
            None if was_failing => health::report(PART, works),
            _ => {}
        }
    }
}
