//! Threads of our own, made without std. One of std's takes a lock that std has for starting threads: a fork in that
//! moment leaves it held in the child, which then waits for ever with its own first thread.
//!
//! It also allocates first of all. For a thread that allocates or frees, glibc reserves 64 MiB of address space, so
//! nothing here does that on a new thread before its work is done.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{io, ptr};

/// What a thread of std's has, and what one needs that reads files and names stacks.
pub(crate) const USUAL_STACK_BYTES: usize = 2 << 20;

/// Starts a thread that nobody joins. Its stack is as large as the system likes if thread-local variables, which lie
/// there too, leave too little of what is asked for.
///
/// For work that owns nothing, nothing is allocated. A panic ends the thread.
pub(crate) fn start_thread<F: FnOnce() + Send + 'static>(stack_bytes: usize, work: F) -> io::Result<()> {
    let work = Box::into_raw(Box::new(work));
    create(Some(stack_bytes), enter::<F>, work.cast(), Ending::Alone)
        .or_else(|_| create(None, enter::<F>, work.cast(), Ending::Alone))
        .map(drop)
        .inspect_err(
            // SAFETY: made from a box above, and no thread has it.
            |_| drop(unsafe { Box::from_raw(work) }),
        )
}

extern "C" fn enter<F: FnOnce()>(work: *mut c_void) -> *mut c_void {
    let place = work.cast::<MaybeUninit<F>>();
    // SAFETY: made from a box by `start_thread`, which leaves it to this thread; what is in it is taken once.
    let work = unsafe { place.read().assume_init() };
    // It has been told by the hook for panics, and beyond this function there is nobody to catch it.
    let _ = catch_unwind(AssertUnwindSafe(work));
    // SAFETY: as above; nothing is in the box any more.
    drop(unsafe { Box::from_raw(place) });
    ptr::null_mut()
}

/// Runs this on a thread of its own and waits for its end. The work is not begun where no thread can be had.
///
/// This thread allocates nothing for it. A panic ends the other.
pub(crate) fn run_on_thread<F: FnMut() + Send>(stack_bytes: usize, work: &mut F) -> io::Result<()> {
    let argument = ptr::from_mut(work).cast();
    let thread = create(Some(stack_bytes), run_borrowed::<F>, argument, Ending::Joined)
        .or_else(|_| create(None, run_borrowed::<F>, argument, Ending::Joined))?;
    // SAFETY: it can be joined, and is only here.
    unsafe { libc::pthread_join(thread, ptr::null_mut()) };
    Ok(())
}

extern "C" fn run_borrowed<F: FnMut()>(work: *mut c_void) -> *mut c_void {
    // SAFETY: lent by `run_on_thread`, which waits for the end of this thread.
    let work = unsafe { &mut *work.cast::<F>() };
    let _ = catch_unwind(AssertUnwindSafe(work));
    ptr::null_mut()
}

/// How a thread is done with.
#[derive(Clone, Copy)]
enum Ending {
    /// By itself.
    Alone,
    /// By whoever waits for it.
    Joined,
}

fn create(
    stack_bytes: Option<usize>,
    entry: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
    ends: Ending,
) -> io::Result<libc::pthread_t> {
    let mut thread = MaybeUninit::uninit();
    let mut wanted = MaybeUninit::uninit();
    // SAFETY: the attributes are initialized by the first call and destroyed by the last; the argument is what `entry`
    // takes, by the caller.
    let result = unsafe {
        let mut result = libc::pthread_attr_init(wanted.as_mut_ptr());
        if result != 0 {
            return Err(io::Error::from_raw_os_error(result));
        }
        if let Ending::Alone = ends {
            libc::pthread_attr_setdetachstate(wanted.as_mut_ptr(), libc::PTHREAD_CREATE_DETACHED);
        }
        if let Some(bytes) = stack_bytes {
            result = libc::pthread_attr_setstacksize(wanted.as_mut_ptr(), bytes);
        }
        if result == 0 {
            result = libc::pthread_create(thread.as_mut_ptr(), wanted.as_ptr(), entry, argument);
        }
        libc::pthread_attr_destroy(wanted.as_mut_ptr());
        result
    };
    // SAFETY: it was filled in if there is a thread.
    if result == 0 { Ok(unsafe { thread.assume_init() }) } else { Err(io::Error::from_raw_os_error(result)) }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn work_is_done_on_another_thread_and_dropped_there() {
        let (tell, told) = mpsc::channel();
        let caller = crate::sys::thread_id();
        start_thread(64 << 10, move || tell.send(crate::sys::thread_id()).expect("somebody listens"))
            .expect("a thread can be had");
        let worker = told.recv_timeout(Duration::from_secs(60)).expect("it tells");
        assert!(worker.is_none() || worker != caller);
        // The sender goes with the work, also where that panics.
        assert!(told.recv_timeout(Duration::from_secs(60)).is_err());
        let (held, dropped) = mpsc::channel::<()>();
        start_thread(USUAL_STACK_BYTES, move || {
            let _held = held;
            panic!("as a test");
        })
        .expect("a thread can be had");
        assert_eq!(dropped.recv_timeout(Duration::from_secs(60)), Err(mpsc::RecvTimeoutError::Disconnected));
    }

    #[test]
    fn work_is_lent_to_another_thread_and_waited_for() {
        let (own, mut others) = (crate::sys::thread_id(), Vec::new());
        let mut work = || {
            others.push(crate::sys::thread_id());
            assert!(others.len() < 2, "as a test");
        };
        for _ in 0..2 {
            run_on_thread(64 << 10, &mut work).expect("a thread can be had");
        }
        assert_eq!(others.len(), 2);
        assert!(own.is_none() || others.iter().all(|other| *other != own));
    }
}
