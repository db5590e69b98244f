//! The work behind the answers: one piece at a time, whoever asks and however many.
//!
//! A caller that hangs up costs nothing more, but of what is done for it only a sweep can be stopped half-way. So there is
//! one piece at work, and all who ask the same meanwhile wait for one and the same next piece; when its turn
//! comes and nobody waits any more, it is not begun. Memory and threads are thus bounded by the work, and
//! callers need no limit of their own.
//!
//! A question that comes while an equal one is *at work* does not share that one's result: it would be
//! answered by a moment before it was asked.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::{Response, StatusCode};
use tokio::sync::watch;

use super::http::Whole;
use super::routes::plain;
use crate::sys;

/// What is at work and what waits.
#[derive(Default)]
pub(super) struct Work {
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    /// A thread works, and will look for more before it ends.
    is_manned: bool,
    /// In the order in which they were first asked for; of each question at most one.
    waiting: VecDeque<Piece>,
}

/// What is done for a caller; it is told whether anybody still waits.
type Job = Box<dyn FnOnce(&dyn Fn() -> bool) -> Response<Whole> + Send>;

struct Piece {
    /// Pieces with the same question have the same answer.
    question: Option<&'static str>,
    work: Job,
    /// Those who wait are its receivers.
    answer: watch::Sender<Option<Response<Whole>>>,
}

impl Work {
    /// The answer to `question`, shared with all who ask the same while it waits for its turn.
    pub(super) async fn shared(
        self: &Arc<Self>,
        question: &'static str,
        work: impl FnOnce() -> Response<Whole> + Send + 'static,
    ) -> Response<Whole> {
        self.wait(Some(question), Box::new(|_: &dyn Fn() -> bool| work())).await
    }

    /// The same for work that can be given up half-way: it is told whether anybody still waits for it.
    pub(super) async fn shared_while_wanted(
        self: &Arc<Self>,
        question: &'static str,
        work: impl FnOnce(&dyn Fn() -> bool) -> Response<Whole> + Send + 'static,
    ) -> Response<Whole> {
        self.wait(Some(question), Box::new(work)).await
    }

    /// What nobody else asks for, in its turn.
    #[cfg_attr(
        not(any(profiles_cpu, feature = "heap")),
        allow(dead_code, reason = "each profile of some time has its own answer")
    )]
    pub(super) async fn alone(
        self: &Arc<Self>,
        work: impl FnOnce() -> Response<Whole> + Send + 'static,
    ) -> Response<Whole> {
        self.wait(None, Box::new(|_: &dyn Fn() -> bool| work())).await
    }

    async fn wait(self: &Arc<Self>, question: Option<&'static str>, work: Job) -> Response<Whole> {
        let (mut answer, is_to_man) = self.stand_in_line(question, work);
        if is_to_man {
            self.man();
        }
        match answer.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().unwrap_or_else(failed),
            Err(_) => failed(),
        }
    }

    /// Where the answer will be, and whether somebody has to be put to work.
    fn stand_in_line(
        &self,
        question: Option<&'static str>,
        work: Job,
    ) -> (watch::Receiver<Option<Response<Whole>>>, bool) {
        let mut line = self.line();
        // What nobody waits for any more may hold a whole CPU profile.
        line.waiting.retain(|piece| !piece.answer.is_closed());
        let equal = |piece: &&Piece| piece.question.is_some() && piece.question == question;
        let answer = match line.waiting.iter().find(equal) {
            Some(piece) => piece.answer.subscribe(),
            None => {
                let (sender, answer) = watch::channel(None);
                line.waiting.push_back(Piece { question, work, answer: sender });
                answer
            }
        };
        (answer, !std::mem::replace(&mut line.is_manned, true))
    }

    /// Puts a thread to work until nothing waits. Where the system has no thread left, the agent's own works.
    fn man(self: &Arc<Self>) {
        let work = Arc::clone(self);
        let run = move || {
            let _own = crate::background_thread(c"diag-capture");
            work.run();
        };
        if sys::start_thread(sys::USUAL_STACK_BYTES, run).is_err() {
            self.run();
        }
    }

    fn run(&self) {
        while let Some(piece) = self.next() {
            let Piece { work, answer, .. } = piece;
            let is_wanted = || !answer.is_closed();
            let done = catch_unwind(AssertUnwindSafe(|| work(&is_wanted))).unwrap_or_else(|_| failed());
            answer.send_replace(Some(done));
        }
    }

    /// The next piece that somebody waits for.
    fn next(&self) -> Option<Piece> {
        let mut line = self.line();
        while let Some(piece) = line.waiting.pop_front() {
            if !piece.answer.is_closed() {
                return Some(piece);
            }
        }
        line.is_manned = false;
        None
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed() -> Response<Whole> {
    plain(StatusCode::INTERNAL_SERVER_ERROR, "the capture failed; the service is unharmed\n")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// A piece that works until it is told to end, and says when it begins.
    fn long() -> (impl FnOnce() -> Response<Whole> + Send, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (begins, has_begun) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let work = move || {
            begins.send(()).unwrap();
            let _ = ends.recv();
            plain(StatusCode::OK, "long")
        };
        (work, has_begun, end)
    }

    #[test]
    fn all_who_wait_share_one_result_and_nothing_is_done_for_who_left() {
        let (work, counts) = (Arc::new(Work::default()), Arc::new([const { AtomicUsize::new(0) }; 3]));
        let count = |i: usize| {
            let counts = Arc::clone(&counts);
            move || {
                counts[i].fetch_add(1, Ordering::Relaxed);
                plain(StatusCode::OK, "counted")
            }
        };
        block_on(async {
            let (first, has_begun, end) = long();
            let at_work = tokio::spawn({
                let work = Arc::clone(&work);
                async move { work.shared("dump", first).await }
            });
            tokio::task::yield_now().await;
            has_begun.recv().unwrap();
            // The one at work is not shared; those that wait are one, whatever was asked in between.
            let asked = |question, i| {
                let (work, count) = (Arc::clone(&work), count(i));
                tokio::spawn(async move { work.shared(question, count).await })
            };
            let waiting: Vec<_> = (0..100).map(|_| asked("dump", 0)).collect();
            let other = asked("snapshot", 1);
            let gone: Vec<_> = (0..100).map(|_| asked("metrics", 2)).collect();
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert_eq!(work.line().waiting.len(), 3);
            for caller in gone {
                caller.abort();
                assert!(caller.await.is_err());
            }
            end.send(()).unwrap();
            assert_eq!(at_work.await.unwrap().status(), 200);
            for caller in waiting {
                assert_eq!(caller.await.unwrap().status(), 200);
            }
            assert_eq!(other.await.unwrap().status(), 200);
        });
        let counts = [0, 1, 2].map(|i| counts[i].load(Ordering::Relaxed));
        assert_eq!(counts, [1, 1, 0]);
    }

    #[test]
    fn a_panic_ends_one_piece_only() {
        let work = Arc::new(Work::default());
        block_on(async {
            assert_eq!(work.shared("dump", || panic!("as a test")).await.status(), 500);
            assert_eq!(work.shared("dump", || plain(StatusCode::OK, "")).await.status(), 200);
        });
    }
}
