//! The file descriptors that are open, by kind.

use crate::schema::{codes, table};

codes! {
    /// What a file descriptor stands for.
    DescriptorKind {
        /// Something with a path: a file, a folder, a device, a named pipe.
        File = "file",
        /// A socket of any family.
        Socket = "socket",
        /// An end of a pipe without a name.
        Pipe = "pipe",
        /// A counter that is waited for, `eventfd(2)`.
        Eventfd = "eventfd",
        /// A set of descriptors that are waited for, `epoll(7)`.
        Eventpoll = "eventpoll",
        /// A timer, `timerfd_create(2)`.
        Timerfd = "timerfd",
        /// A watch of files, `inotify(7)`.
        Inotify = "inotify",
        /// Memory that is shared as a file, `memfd_create(2)`.
        Memfd = "memfd",
        /// Anything else.
        Other = "other",
    }
}

table! {
    /// How many of the open file descriptors are of a kind; a kind without any has no row.
    ///
    /// Of more than 16,384 descriptors some are read, spread evenly and the same ones each time: all rows together are
    /// then less than `capture.resources.open_fds`.
    DescriptorRow in descriptors, since 1.6 {
        /// The kind.
        kind: DescriptorKind as Plain;
        /// How many are open.
        open: u64 as Plain;
    }
}
