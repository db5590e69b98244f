//! The table of what things look like in a stack: path, and kind.

use super::kind::WaitKind::{self, *};

/// A function with this path, called with a leaf of one of these kinds inside of it, is of this kind.
pub(super) struct Rule {
    /// What was found so far, from the leaf outwards.
    pub(super) inner: &'static [WaitKind],
    /// Crate and module.
    pub(super) path: &'static str,
    /// A part of the function's path, if that is needed. One that begins with a capital or with `<` may stand among
    /// the type parameters: line tables name inlined methods without their type.
    pub(super) part: &'static str,
    /// What it is.
    pub(super) kind: WaitKind,
}

/// The first rule that fits counts.
#[rustfmt::skip]
pub(super) const RULES: &[Rule] = &[
    // What has nothing to wait for: the scheduler takes the waker, and whatever is outside of that would not have.
    rule(NEW, "tokio::runtime::scheduler::defer", "", Yield),

    // Where tokio's own leaves take the waker.
    rule(NEW, "tokio::runtime::time", "", Timer),
    rule(NEW, "tokio::time::sleep", "", Timer),
    rule(NEW, "tokio::sync::batch_semaphore", "", Semaphore),
    rule(NEW, "tokio::sync::mpsc", "", MpscRecv),
    rule(NEW, "tokio::sync::oneshot", "", Oneshot),
    rule(NEW, "tokio::sync::broadcast", "", Broadcast),
    rule(NEW, "tokio::sync::notify", "", Notify),
    rule(NEW, "tokio::runtime::io", "", Socket),
    rule(NEW, "tokio::runtime::task", "BlockingTask", BlockingJoin),
    rule(NEW, "tokio::runtime::task::join", "", Join),
    rule(NEW, "tokio::util::idle_notified_set", "", JoinNext),
    rule(NEW, "tokio::io::util::mem", "", Pipe),

    // What tokio builds of them.
    rule(&[Semaphore], "tokio::sync::mpsc", "", MpscSend),
    rule(&[Notify], "tokio::sync::mpsc", "", MpscClosed),
    rule(&[Oneshot], "tokio::sync::oneshot", "closed", OneshotClosed),
    rule(&[Notify], "tokio::sync::broadcast", "", BroadcastClosed),
    rule(&[Notify, Watch], "tokio::sync::watch", "closed", WatchClosed),
    rule(&[Notify], "tokio::sync::watch", "", Watch),
    rule(&[Semaphore], "tokio::sync::mutex", "", Mutex),
    rule(&[Semaphore, RwLock], "tokio::sync::rwlock", "::read", RwLockRead),
    rule(&[Semaphore, RwLock], "tokio::sync::rwlock", "::write", RwLockWrite),
    rule(&[Semaphore], "tokio::sync::rwlock", "", RwLock),
    rule(&[Semaphore], "tokio::sync::once_cell", "", OnceCell),
    rule(&[Notify], "tokio::sync::set_once", "", SetOnce),
    rule(&[Watch], "tokio::sync::barrier", "", Barrier),
    rule(&[Watch], "tokio::signal", "", Signal),
    rule(&[Pipe], "tokio::io::util::mem", "poll_read", PipeRead),
    rule(&[Pipe], "tokio::io::util::mem", "poll_write", PipeWrite),
    rule(SOCKETS, "tokio::process::imp::pidfd_reaper", "", Process),
    rule(SOCKETS, "tokio::process::unix::pidfd_reaper", "", Process),
    rule(&[Signal, Watch], "tokio::process", "", Process),
    rule(&[SocketRead], "tokio::process", "", SystemPipeRead),
    rule(&[SocketWrite], "tokio::process", "", SystemPipeWrite),
    rule(&[SocketRead], "tokio::net::unix::pipe", "", SystemPipeRead),
    rule(&[SocketWrite], "tokio::net::unix::pipe", "", SystemPipeWrite),
    rule(&[Socket, SystemPipe], "tokio::net::unix::pipe", "readable", SystemPipeRead),
    rule(&[Socket, SystemPipe], "tokio::net::unix::pipe", "writable", SystemPipeWrite),
    rule(&[Socket], "tokio::net::unix::pipe", "", SystemPipe),
    rule(SOCKETS, "tokio::net::tcp::listener", "", SocketAccept),
    rule(SOCKETS, "tokio::net::unix::listener", "", SocketAccept),
    rule(&[SocketRead], "tokio::io", "<tokio::net::unix::pipe::Receiver", SystemPipeRead),
    rule(&[SocketWrite], "tokio::io", "<tokio::net::unix::pipe::Sender", SystemPipeWrite),
    rule(&[SocketRead], "tokio::io", "<tokio::process::ChildStd", SystemPipeRead),
    rule(&[SocketWrite], "tokio::io", "<tokio::process::ChildStd", SystemPipeWrite),
    rule(SOCKETS, "tokio::runtime::io::registration", "<::accept", SocketAccept),
    rule(&[Socket], "tokio::runtime::io::registration", "<::recv", SocketRead),
    rule(&[Socket], "tokio::runtime::io::registration", "<::peek", SocketRead),
    rule(&[Socket], "tokio::runtime::io::registration", "<::send", SocketWrite),
    rule(SOCKETS, "tokio", "::connect", SocketConnect),
    rule(&[Socket], "tokio", "::poll_read_", SocketRead),
    rule(&[Socket], "tokio", "::poll_recv", SocketRead),
    rule(&[Socket], "tokio", "::recv", SocketRead),
    rule(&[Socket], "tokio", "::peek", SocketRead),
    rule(&[Socket], "tokio", "::readable", SocketRead),
    rule(&[Socket], "tokio", "::poll_write_", SocketWrite),
    rule(&[Socket], "tokio", "::poll_send", SocketWrite),
    rule(&[Socket], "tokio", "::send", SocketWrite),
    rule(&[Socket], "tokio", "::writable", SocketWrite),
    rule(JOINS, "tokio::fs", "", BlockingJoin),
    rule(JOINS, "tokio::net", "", BlockingJoin),
    rule(JOINS, "tokio::io", "", BlockingJoin),

    // tokio-util.
    rule(&[Notify], "tokio_util::sync::cancellation_token", "", Cancellation),
    rule(&[Notify], "tokio_util::task::task_tracker", "", JoinNext),
    rule(&[Other, Timer], "tokio_util::time::delay_queue", "", DelayQueue),

    // tokio-stream, where the channel's own functions are inlined and only symbols are left.
    rule(NEW, "tokio_stream::wrappers::mpsc_bounded", "", MpscRecv),
    rule(NEW, "tokio_stream::wrappers::mpsc_unbounded", "", MpscRecv),

    // futures, and the timers of those who have no runtime.
    rule(NEW, "futures_channel::oneshot", "", Oneshot),
    rule(&[Oneshot], "futures_channel::oneshot", "cancel", OneshotClosed),
    rule(NEW, "futures_channel::mpsc", "poll_next", MpscRecv),
    rule(NEW, "futures_channel::mpsc", "", MpscSend),
    rule(NEW, "futures_util::future::future::shared", "", Shared),
    rule(NEW, "futures_util::lock", "", Mutex),
    rule(NEW, "futures_util::stream::futures_unordered", "", FuturesUnordered),
    rule(NEW, "futures_util::abortable", "", Cancellation),
    rule(NEW, "futures_timer", "", Timer),
    rule(NEW, "async_io::Timer", "", Timer),
    rule(NEW, "async_io::reactor", "Readable", SocketRead),
    rule(NEW, "async_io::reactor", "Writable", SocketWrite),
    rule(&[SocketRead], "async_io", "accept", SocketAccept),

    // event-listener, and what is built on it.
    rule(NEW, "event_listener", "", Event),
    rule(EVENTS, "async_lock::mutex", "", Mutex),
    rule(LOCKS, "async_lock::rwlock", "Read", RwLockRead),
    rule(LOCKS, "async_lock::rwlock", "Write", RwLockWrite),
    rule(EVENTS, "async_lock::semaphore", "", Semaphore),
    rule(EVENTS, "async_lock::barrier", "", Barrier),
    rule(EVENTS, "async_lock::once_cell", "", OnceCell),

    // futures-intrusive.
    rule(NEW, "futures_intrusive::sync::mutex", "", Mutex),
    rule(NEW, "futures_intrusive::sync::semaphore", "", Semaphore),
    rule(NEW, "futures_intrusive::sync::manual_reset_event", "", Event),
    rule(NEW, "futures_intrusive::channel::oneshot", "", Oneshot),
    rule(NEW, "futures_intrusive::channel", "Receive", ChannelRecv),
    rule(NEW, "futures_intrusive::channel", "Send", ChannelSend),

    // Channels. Where an inlined method has lost its type, its direction is lost, too.
    rule(CHANNELS, "async_channel", "Recv", ChannelRecv),
    rule(CHANNELS, "async_channel", "poll_next", ChannelRecv),
    rule(CHANNELS, "async_channel", "Send", ChannelSend),
    rule(CHANNELS, "async_broadcast", "Recv", Broadcast),
    rule(CHANNELS, "async_broadcast", "poll_next", Broadcast),
    rule(CHANNELS, "async_broadcast", "Send", ChannelSend),
    rule(CHANNELS, "flume", "Recv", ChannelRecv),
    rule(CHANNELS, "flume", "Send", ChannelSend),
    rule(EVENTS, "flume", "", Channel),
    rule(CHANNELS, "kanal", "Receive", ChannelRecv),
    rule(CHANNELS, "kanal", "Send", ChannelSend),
    rule(EVENTS, "kanal", "", Channel),
    rule(CHANNELS, "loole", "Recv", ChannelRecv),
    rule(CHANNELS, "loole", "Send", ChannelSend),
    rule(EVENTS, "loole", "", Channel),
    rule(NEW, "async_event", "", Event),
    rule(&[Event], "tachyonix", "", MpscSend),
    rule(NEW, "tachyonix", "", MpscRecv),
    rule(NEW, "thingbuf::mpsc", "recv", MpscRecv),
    rule(NEW, "thingbuf::mpsc", "Send", MpscSend),
    rule(NEW, "postage", "poll_recv", ChannelRecv),
    rule(NEW, "postage", "poll_send", ChannelSend),
    rule(NEW, "crossfire", "Recv", ChannelRecv),
    rule(NEW, "crossfire", "Send", ChannelSend),
    rule(NEW, "oneshot", "", Oneshot),
    rule(NEW, "async_oneshot", "", Oneshot),

    // Pools and limits.
    rule(PERMITS, "deadpool", "", Pool),
    rule(PERMITS, "bb8", "", Pool),
    rule(PERMITS, "mobc", "", Pool),
    rule(PERMITS, "sqlx_core::pool", "", Pool),
    rule(TIMES, "governor", "", RateLimit),
    rule(TIMES, "tower::limit::rate", "", RateLimit),

    // Caches and WebSockets.
    rule(&[Event, RwLock, RwLockRead, Mutex, Notify], "moka", "", CacheLoad),
    rule(NEW, "tokio_tungstenite", "handshake", WebSocketHandshake),
    rule(NEW, "tokio_tungstenite", "poll_next", WebSocketRecv),
    rule(NEW, "tokio_tungstenite", "poll_ready", WebSocketSend),
    rule(NEW, "tokio_tungstenite", "poll_flush", WebSocketSend),
];

/// Nothing is known yet.
const NEW: &[WaitKind] = &[Other];
const SOCKETS: &[WaitKind] = &[Socket, SocketRead, SocketWrite];
const JOINS: &[WaitKind] = &[Join, BlockingJoin];
const EVENTS: &[WaitKind] = &[Other, Event];
const CHANNELS: &[WaitKind] = &[Other, Event, Channel];
const LOCKS: &[WaitKind] = &[Event, Mutex, RwLock];
const PERMITS: &[WaitKind] = &[Semaphore, Notify, Event, Oneshot, MpscRecv, Mutex];
const TIMES: &[WaitKind] = &[Timer];

const fn rule(inner: &'static [WaitKind], path: &'static str, part: &'static str, kind: WaitKind) -> Rule {
    Rule { inner, path, part, kind }
}

impl Rule {
    /// True if the rule speaks of this function: its path without type parameters, and its whole name.
    pub(super) fn fits(&self, inner: WaitKind, path: &str, function: &str) -> bool {
        let is_within = |rest: &str| rest.is_empty() || rest.starts_with("::");
        let has_part = match self.part.strip_prefix('<') {
            Some(part) => function.contains(part),
            None if self.part.starts_with(|first: char| first.is_ascii_uppercase()) => {
                function.contains(self.part)
            }
            None => path.contains(self.part),
        };
        self.inner.contains(&inner) && path.strip_prefix(self.path).is_some_and(is_within) && has_part
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::source_location::plain_path;

    /// The rules that these functions need, innermost first, and the kind that comes of them.
    fn needed<'a>(functions: impl Iterator<Item = &'a str>, needed: &mut BTreeSet<usize>) -> WaitKind {
        functions.fold(Other, |kind, function| {
            let path = plain_path(function);
            let rule = RULES.iter().position(|rule| rule.fits(kind, &path, function));
            needed.extend(rule);
            rule.map_or(kind, |rule| RULES[rule].kind)
        })
    }

    /// Stacks of what is not in `testdata/await_points`, as the sources have them: innermost function first, and the kind.
    const MORE: &[(&[&str], WaitKind)] = &[
        // Where the kernel has no descriptors for processes.
        (
            &["tokio::sync::notify::x", "tokio::sync::watch::x", "tokio::signal::x", "tokio::process::x"],
            Process,
        ),
        (&["tokio::runtime::io::x", "tokio::net::udp::UdpSocket::poll_send_to"], SocketWrite),
        (
            &["tokio::runtime::task::join::JoinHandle::poll", "tokio::io::stdin::Stdin::poll_read"],
            BlockingJoin,
        ),
        (&["tokio_stream::wrappers::mpsc_unbounded::UnboundedReceiverStream::poll_next"], MpscRecv),
        (&["<async_io::reactor::Writable<T> as core::future::future::Future>::poll"], SocketWrite),
        (&["kanal::signal::Signal::register_waker", "kanal::future::SendFuture::poll"], ChannelSend),
    ];

    #[test]
    fn each_rule_is_needed_by_a_stack() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/await_points");
        let mut all = BTreeSet::new();
        for file in std::fs::read_dir(folder).expect("the stacks are there") {
            let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
            for stack in text.split("-\n").skip(1) {
                let functions = stack.lines().take_while(|line| !line.is_empty());
                needed(functions.filter_map(|line| line.split(" | ").next()), &mut all);
            }
        }
        for (functions, expected) in MORE {
            assert_eq!(needed(functions.iter().copied(), &mut all), *expected, "{functions:?}");
        }
        let idle: Vec<_> = (0..RULES.len()).filter(|rule| !all.contains(rule)).collect();
        let idle: Vec<_> = idle.iter().map(|&i| (RULES[i].path, RULES[i].part, RULES[i].kind)).collect();
        assert!(idle.is_empty(), "no stack needs {idle:#?}");
    }
}
