//! What a limit of the system leaves to this process.

/// A limit, if there is one. The type of its name is another in each C library, so the call is handed over.
pub(super) fn soft_limit(get: impl FnOnce(&mut libc::rlimit) -> libc::c_int) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: 0 };
    let told = get(&mut limit) == 0;
    (told && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}
