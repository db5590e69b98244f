//! The kind of fault of grafton-ndi#18 and arapuca#31: what a library of C is to call back with goes to it as a raw pointer, by
//! `Box::into_raw`, and comes back by `from_raw` when it calls. When it has no room it says so and never calls, and the
//! context is lost: nobody has it. One call in eight is refused. The twin takes the context back.

use std::sync::Arc;

use tokio::sync::oneshot;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// The library: an encoder with a thread and a queue of its own.
mod encoder {
    use std::ffi::c_void;
    use std::sync::mpsc::{SyncSender, sync_channel};
    use std::time::Duration;

    /// Called once for each frame that was taken.
    pub(crate) type Done = extern "C" fn(context: *mut c_void, bytes: usize);

    struct Job {
        frame: (usize, usize),
        done: Done,
        context: usize,
    }

    pub(crate) struct Encoder {
        jobs: SyncSender<Job>,
    }

    impl Encoder {
        pub(crate) fn start() -> Self {
            let (jobs, queue) = sync_channel::<Job>(64);
            std::thread::spawn(move || {
                for job in queue {
                    std::thread::sleep(Duration::from_micros(800));
                    // SAFETY: who submits keeps the frame until it is called back.
                    let frame = unsafe { std::slice::from_raw_parts(job.frame.0 as *const u8, job.frame.1) };
                    let distinct = frame.chunk_by(|one, other| one == other).count();
                    (job.done)(job.context as *mut c_void, distinct);
                }
            });
            Encoder { jobs }
        }

        /// Takes a frame, or says that it does not and never will call back: every eighth comes too late to be shown.
        pub(crate) fn submit(&self, number: u64, frame: &[u8], done: Done, context: *mut c_void) -> bool {
            let frame = (frame.as_ptr() as usize, frame.len());
            !number.is_multiple_of(8)
                && self.jobs.try_send(Job { frame, done, context: context as usize }).is_ok()
        }
    }
}

mod call {
    use std::ffi::c_void;

    use tokio::sync::oneshot;

    use crate::encoder::Encoder;

    /// What the library keeps for us until it is done.
    struct Context {
        frame: Vec<u8>,
        answer: oneshot::Sender<usize>,
    }

    extern "C" fn done(context: *mut c_void, bytes: usize) {
        // SAFETY: it is the pointer of `submit`, and the library calls once.
        let context = unsafe { Box::from_raw(context.cast::<Context>()) };
        let _ = context.answer.send(bytes);
    }

    /// Gives a frame to the library, and says whether it was taken.
    pub(crate) fn submit(
        encoder: &Encoder,
        number: u64,
        frame: Vec<u8>,
        answer: oneshot::Sender<usize>,
    ) -> bool {
        let context = Box::into_raw(Box::new(Context { frame, answer })); // FAULT
        // SAFETY: the library has not been given the pointer yet.
        let frame = unsafe { &(*context).frame };
        let taken = encoder.submit(number, frame, done, context.cast()); // FAULT
        if !taken && zoo::healthy() {
            // SAFETY: it was not taken, so that it is still ours.
            drop(unsafe { Box::from_raw(context) });
        }
        taken
    }
}

/// Renders a frame and has it encoded.
async fn frame(encoder: Arc<encoder::Encoder>, number: u64) -> usize {
    let size = 1_500 + (zoo::mix(number) % 3_000) as usize;
    let pixels: Vec<u8> = (0..size).map(|at| ((at as u64 * number) >> 5) as u8).collect(); // FAULT
    let (answer, encoded) = oneshot::channel(); // FAULT
    if !call::submit(&encoder, number, pixels, answer) {
        return 0;
    }
    encoded.await.unwrap_or(0)
}

#[tokio::main]
async fn main() {
    zoo::start();
    let encoder = Arc::new(encoder::Encoder::start());
    let mut number = 0;
    zoo::pace(300, || {
        number += 1;
        diag::spawn(frame(encoder.clone(), number));
    })
    .await;
}
