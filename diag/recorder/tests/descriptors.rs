//! Open descriptors are told by kind, with their limit, and a capture opens none of its own while it counts.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use diag_snapshot::{DescriptorKind, Snapshot};

fn kinds(snapshot: &Snapshot) -> BTreeMap<DescriptorKind, u64> {
    snapshot.descriptors.iter().map(|row| (row.kind, row.open)).collect()
}

/// The descriptor of a call that succeeded.
fn opened(descriptor: libc::c_int) -> OwnedFd {
    assert!(descriptor >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: it is new, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// That is when they are asked for.
fn all_are_counted_where_none_is_left() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a place for the answer.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    let fill: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).take(64).collect();
    let last = fill.last().expect("one at least").as_raw_fd();
    let full = libc::rlimit { rlim_cur: last as libc::rlim_t + 1, ..limit };
    // One may lie beyond, as whoever started the test left it.
    let listed = std::fs::read_dir("/proc/self/fd").expect("Linux");
    let numbers = listed.map(|entry| entry.expect("a name").file_name().into_string().expect("a number"));
    let all = numbers.filter(|number| number.parse().is_ok_and(|number: i32| number <= last)).count() as u64;
    // SAFETY: limits as they are read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &full) }, 0);
    assert!(File::open("/dev/null").is_err(), "none is left");
    let snapshot = diag::snapshot().into_model();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    let resources = &snapshot.capture.resources;
    assert_eq!((resources.open_fds, resources.open_fds_limit), (Some(all), Some(full.rlim_cur)));
    assert_eq!(kinds(&snapshot).values().sum::<u64>(), all);
}

#[test]
fn descriptors_are_told_by_kind() {
    let before = diag::snapshot().into_model();
    let exe = std::env::current_exe().expect("a path");
    let files: Vec<File> = (0..7).map(|_| File::open(&exe).expect("it can be read")).collect();
    let sockets: Vec<TcpListener> =
        (0..5).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let pipes: Vec<_> = (0..3).map(|_| std::io::pipe().expect("a pipe")).collect();
    // SAFETY: calls that make a descriptor each, from numbers and a C string.
    let others = unsafe {
        [
            opened(libc::eventfd(0, 0)),
            opened(libc::epoll_create1(0)),
            opened(libc::timerfd_create(libc::CLOCK_MONOTONIC, 0)),
            opened(libc::inotify_init1(0)),
            opened(libc::memfd_create(c"ring".as_ptr(), 0)),
            opened(libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) as libc::c_int),
        ]
    };
    let during = diag::snapshot().into_model();
    let added = kinds(&during)
        .into_iter()
        .map(|(kind, open)| (kind, open - kinds(&before).get(&kind).copied().unwrap_or(0)));
    let expected = [
        (DescriptorKind::File, 7),
        (DescriptorKind::Socket, 5),
        (DescriptorKind::Pipe, 6),
        (DescriptorKind::Eventfd, 1),
        (DescriptorKind::Eventpoll, 1),
        (DescriptorKind::Timerfd, 1),
        (DescriptorKind::Inotify, 1),
        (DescriptorKind::Memfd, 1),
        (DescriptorKind::Other, 1),
    ];
    assert_eq!(added.collect::<Vec<_>>(), expected);

    let resources = &during.capture.resources;
    let all: u64 = kinds(&during).values().sum();
    assert_eq!(resources.open_fds, Some(all));
    let listed = std::fs::read_dir("/proc/self/fd").expect("Linux").count() as u64 - 1;
    assert_eq!(all, listed, "one of them is the reader of the folder");
    assert!(resources.open_fds_limit.is_none_or(|limit| limit >= all));
    all_are_counted_where_none_is_left();
    drop((files, sockets, pipes, others));
    assert_eq!(kinds(&diag::snapshot().into_model()), kinds(&before));
}
