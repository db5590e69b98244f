//! The children of one thread of this process. The kernel keeps them by thread, so tests that run beside each other do
//! not see each other's.

use std::mem::MaybeUninit;

/// Whether the calling thread has a child that nobody has waited for, running or not.
pub(crate) fn thread_has_child() -> bool {
    is_there(libc::P_ALL, 0)
}

/// Whether this one is the calling thread's.
pub(crate) fn is_child_of_thread(pid: u32) -> bool {
    is_there(libc::P_PID, pid)
}

fn is_there(which: libc::idtype_t, pid: u32) -> bool {
    let mut told = MaybeUninit::<libc::siginfo_t>::uninit();
    // No child is waited for, and none is taken: the call fails if there is none.
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WNOTHREAD;
    // SAFETY: there is a place for what is told.
    unsafe { libc::waitid(which, pid, told.as_mut_ptr(), flags) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_that_of_its_thread_until_it_is_waited_for() {
        assert!(!thread_has_child());
        let mut child =
            std::process::Command::new("sleep").arg("60").spawn().expect("there is such a program");
        assert!(thread_has_child() && is_child_of_thread(child.id()));
        let elsewhere = std::thread::spawn(thread_has_child).join().expect("it only asks");
        assert!(!elsewhere, "another thread's");
        child.kill().expect("it runs");
        assert!(thread_has_child(), "it has ended, and is not waited for");
        child.wait().expect("it ends");
        assert!(!thread_has_child());
    }
}
