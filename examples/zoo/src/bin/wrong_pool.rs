//! The fault of bevy#23086: each thread has a pool of buffers of its own. One thread takes buffers, to encode into, and who sends
//! them drops them on other threads, into the pools of these, from which nobody takes. The twin has one pool for all.

use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod buffers {
    use std::cell::RefCell;
    use std::ops::{Deref, DerefMut};
    use std::sync::Mutex;

    const BYTES: usize = 12_000;

    thread_local! {
        static OF_THREAD: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    }

    static OF_ALL: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

    fn with_pool<T>(f: impl FnOnce(&mut Vec<Vec<u8>>) -> T) -> T {
        if zoo::healthy() {
            return f(&mut OF_ALL.lock().unwrap());
        }
        OF_THREAD.with_borrow_mut(f)
    }

    /// A buffer that goes back into a pool.
    pub(crate) struct Buffer(Vec<u8>);

    impl Buffer {
        pub(crate) fn take() -> Self {
            Buffer(with_pool(Vec::pop).unwrap_or_else(new)) // FAULT
        }
    }

    fn new() -> Vec<u8> {
        zoo::held(BYTES as i64);
        Vec::with_capacity(BYTES) // FAULT
    }

    impl Drop for Buffer {
        fn drop(&mut self) {
            let mut buffer = std::mem::take(&mut self.0);
            buffer.clear();
            with_pool(|pool| pool.push(buffer)); // FAULT
        }
    }

    impl Deref for Buffer {
        type Target = Vec<u8>;

        fn deref(&self) -> &Vec<u8> {
            &self.0
        }
    }

    impl DerefMut for Buffer {
        fn deref_mut(&mut self) -> &mut Vec<u8> {
            &mut self.0
        }
    }
}

/// A thread that encodes frames, one after the other.
mod encoder {
    use tokio::sync::{mpsc, oneshot};

    use crate::buffers::Buffer;

    pub(crate) type Encoder = mpsc::Sender<(u64, oneshot::Sender<Buffer>)>;

    pub(crate) fn start() -> Encoder {
        let (encoder, mut frames) = mpsc::channel::<(u64, oneshot::Sender<Buffer>)>(8);
        std::thread::spawn(move || {
            while let Some((frame, encoded)) = frames.blocking_recv() {
                let _ = encoded.send(encode(frame));
            }
        });
        encoder
    }

    fn encode(frame: u64) -> Buffer {
        let mut buffer = Buffer::take();
        buffer.resize(2_000 + (zoo::mix(frame) % 10_000) as usize, frame as u8);
        buffer
    }
}

async fn send_frame(encoder: encoder::Encoder, frame: u64) -> usize {
    let (to_us, encoded) = tokio::sync::oneshot::channel();
    if encoder.send((frame, to_us)).await.is_err() {
        return 0;
    }
    let Ok(buffer) = encoded.await else { return 0 };
    tokio::time::sleep(Duration::from_millis(5)).await;
    buffer.len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let encoder = encoder::start();
    zoo::every(12, |frame| {
        diag::spawn(send_frame(encoder.clone(), frame));
    })
    .await;
}
