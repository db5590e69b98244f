//! Children of this process that go on without `exec`.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

/// A child, to be waited for.
#[must_use = "it is waited for by `end`"]
pub struct Forked(libc::pid_t);

/// What became of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It did all it had to.
    Well,
    /// It panicked, or a signal ended it.
    Died(ExitStatus),
    /// It was not done in time and has been killed.
    Hung,
}

/// Forks. The child ends when `child` returns, and runs nothing else of this process.
///
/// Where this process has other threads, the child may find what they have locked locked for ever: nothing but
/// what is known to be usable then should be called in it.
///
/// # Errors
/// If the system gives no child.
pub fn fork(child: impl FnOnce()) -> io::Result<Forked> {
    // SAFETY: the child has this thread only, and leaves by `_exit`; a lock of another thread may let it wait.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let done = catch_unwind(AssertUnwindSafe(child));
            // SAFETY: leaves without anything of the parent's being run.
            unsafe { libc::_exit(libc::c_int::from(done.is_err())) }
        }
        pid => Ok(Forked(pid)),
    }
}

impl Forked {
    /// Waits for the end of the child, for so long.
    ///
    /// # Errors
    /// If somebody else has waited for it.
    pub fn end(self, patience: Duration) -> io::Result<End> {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.wait(libc::WNOHANG)? {
                return Ok(if status.success() { End::Well } else { End::Died(status) });
            }
            if Instant::now() > until {
                // SAFETY: our own child, which nobody has waited for.
                unsafe { libc::kill(self.0, libc::SIGKILL) };
                self.wait(0)?;
                return Ok(End::Hung);
            }
            thread::sleep(Duration::from_micros(500));
        }
    }

    /// How it ended, if it has.
    fn wait(&self, flags: libc::c_int) -> io::Result<Option<ExitStatus>> {
        let mut status = 0;
        // SAFETY: our own child, and there is a place for the answer.
        match unsafe { libc::waitpid(self.0, &raw mut status, flags) } {
            -1 => Err(io::Error::last_os_error()),
            0 => Ok(None),
            _ => Ok(Some(ExitStatus::from_raw(status))),
        }
    }
}
