//! System calls that are refused, as by the profile of a sandbox.

/// Who is refused them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Who {
    /// All threads.
    #[allow(dead_code, reason = "not every test refuses all threads something")]
    Process,
    /// This one, and those that it starts.
    #[allow(dead_code, reason = "not every test starts threads so")]
    Thread,
}

/// Has these system calls fail with `errno` from now on; false if that is not permitted.
#[allow(dead_code, reason = "not every test refuses whole calls")]
pub(crate) fn refuse(who: Who, calls: &[libc::c_long], errno: libc::c_int) -> bool {
    let end = |action| step(libc::BPF_RET | libc::BPF_K, action, 0, 0);
    let mut code = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for (i, &call) in calls.iter().enumerate() {
        // Over those that follow, and the end that allows.
        let over = (calls.len() - i) as u8;
        code.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, over, 0));
    }
    code.push(end(libc::SECCOMP_RET_ALLOW));
    code.push(end(libc::SECCOMP_RET_ERRNO | errno as u32));
    install(who, &mut code)
}

/// A step that jumps tells how many steps it leaves out, if so and if not.
pub(crate) fn step(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Has every system call pass these steps from now on; false if that is not permitted.
pub(crate) fn install(who: Who, code: &mut [libc::sock_filter]) -> bool {
    let program = libc::sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
    let flags = match who {
        Who::Process => libc::SECCOMP_FILTER_FLAG_TSYNC,
        Who::Thread => 0,
    };
    // SAFETY: a program as the kernel defines them, which is there during the call; the kernel checks it.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) == 0
    }
}
