//! No `/proc`: an empty folder in its place. What comes from there is absent, never 0, and said to be; the tasks, the
//! heap and who is held up are told all the same.
#![cfg(all(feature = "agent", feature = "heap", target_os = "linux", target_arch = "x86_64"))]

use std::os::unix::process::CommandExt as _;
use std::{fs, io, ptr};

mod service;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const TEST: &str = "what_proc_tells_is_absent";

#[test]
fn what_proc_tells_is_absent() {
    if service::child_of().is_some() {
        return check();
    }
    let is_permitted = service::child(TEST, "no /proc", |child| {
        // SAFETY: runs in a child before its exec, and makes system calls only.
        unsafe { child.pre_exec(hide_proc) };
    });
    if !is_permitted {
        service::skipped(1);
    }
}

/// In a namespace of its own, for which one has to be root there at least.
fn hide_proc() -> io::Result<()> {
    let done = |answer| if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: system calls with C strings, or with null where there is none.
    unsafe {
        done(libc::unshare(libc::CLONE_NEWNS))
            .or_else(|_| done(libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS)))?;
        let private = libc::MS_REC | libc::MS_PRIVATE;
        done(libc::mount(ptr::null(), c"/".as_ptr(), ptr::null(), private, ptr::null()))?;
        done(libc::mount(
            c"none".as_ptr(),
            c"/proc".as_ptr(),
            c"tmpfs".as_ptr(),
            libc::MS_RDONLY,
            ptr::null(),
        ))
    }
}

fn check() {
    assert_eq!(fs::read_dir("/proc").expect("a folder").count(), 0);
    let seen = service::serve(|| true).expect("it is so already");
    let (notes, snapshot) = (seen.notes(), &seen.snapshot);
    for part in ["stacks of held-up threads", "process facts"] {
        assert!(seen.part(part).starts_with("failed ("), "{}", seen.health);
        assert!(notes.contains(&format!("not recorded: {part}: ")), "{notes}");
    }
    for part in ["agent", "call stacks", "heap sampler", "parked stacks", "task records", "ticker"] {
        assert_eq!(seen.part(part), "works");
        assert!(!notes.contains(&format!("not recorded: {part}: ")), "{notes}");
    }

    let resources = &snapshot.capture.resources;
    assert_eq!((resources.rss_bytes, resources.threads), (None, None));
    assert_eq!((&resources.resident, resources.throttled_us), (&None, None));
    assert_eq!(resources.cgroup_memory, None);
    // The kernel tells it by a call.
    assert!(resources.open_fds.is_some_and(|open| open > 0) && snapshot.descriptors.is_empty());
    assert!(resources.cpu_user_ns.is_some_and(|ns| ns > 0) && snapshot.thread_cpu.is_empty());
    assert_eq!((&snapshot.process.host, &snapshot.process.exe), (&None, &None));
    assert!(resources.diag_bytes.is_some_and(|bytes| bytes > 0));

    let dropped = &snapshot.capture.dropped;
    let without_stack: u64 =
        dropped.iter().filter(|(what, _)| what.starts_with("thread_stacks (")).map(|(_, n)| n).sum();
    assert_eq!(without_stack, 2, "{dropped:?}");
    for row in snapshot.threads.iter() {
        assert!(row.task.is_some() && row.tid > 0);
        assert_eq!((row.name, row.cpu_us, row.wait_us, row.state, row.stack), (None, None, None, None, None));
    }
    assert!(snapshot.tasks.len() >= 52 && !snapshot.parked.is_empty());
    assert!(seen.stacks_of_samples() > 0);
}
