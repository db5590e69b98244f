//! The system refuses the timers of a CPU profile: whoever asks for one is told, and all else goes on.
#![cfg(all(feature = "cpu-profile", target_os = "linux", target_arch = "x86_64"))]

mod filter;

use diag_test_support::http;

#[expect(clippy::print_stderr, reason = "a test that proves nothing must say so")]
#[test]
fn who_asks_for_a_profile_is_told() {
    // All of this process is refused them: it has no other test.
    if !filter::refuse(filter::Who::Process, &[libc::SYS_timer_create], libc::EPERM) {
        return eprintln!("skipped: no filter of system calls is allowed here");
    }
    let guard = diag::Builder::new().addr(([127, 0, 0, 1], 0)).start();
    let addr = guard.agent_addr().expect("it listens");
    for _ in 0..2 {
        let answer = http::get(addr, "/debug/pprof/profile?seconds=1");
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert!(
            answer.text().contains("the system allows no profile (Operation not permitted"),
            "{}",
            answer.text()
        );
    }
    assert_eq!(http::get(addr, "/dump").status, 200);
}
