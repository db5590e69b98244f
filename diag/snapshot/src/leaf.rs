//! What a parked task waits for, read from the names of its stack.
//!
//! The innermost functions of a parked stack are those of the thing that took the waker. Going
//! outwards from there, what wraps it says more: a semaphore inside of a mutex is a mutex. The first
//! function outside of libraries is the service's own, and its line that of the `.await`.
//!
//! Only names are looked at, so a stack without debug info says less, and what a library made of its
//! own is [`LeafKind::Other`].

use crate::names::Place;

/// The kinds of things that a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeafKind {
    /// A sleep, an interval, a timeout's own end.
    Timer,
    /// A message of an mpsc channel.
    MpscRecv,
    /// Room in a bounded mpsc channel.
    MpscSend,
    /// The value of a oneshot channel, or its other end.
    Oneshot,
    /// A message of a broadcast channel.
    Broadcast,
    /// A change of a watch channel.
    Watch,
    /// A `Notify`.
    Notify,
    /// A `Mutex`.
    Mutex,
    /// An `RwLock`; debug info of release builds often does not tell reading from writing.
    RwLock,
    /// An `RwLock`, to read.
    RwLockRead,
    /// An `RwLock`, to write.
    RwLockWrite,
    /// Permits of a `Semaphore`.
    Semaphore,
    /// The other tasks at a `Barrier`.
    Barrier,
    /// A socket or file descriptor, for either direction.
    Socket,
    /// Bytes or a datagram to read.
    SocketRead,
    /// Room to write.
    SocketWrite,
    /// A connection to accept.
    SocketAccept,
    /// The other side of a new connection.
    SocketConnect,
    /// The end of a task.
    Join,
    /// The end of any task of a `JoinSet` or `TaskTracker`.
    JoinNext,
    /// The end of a closure on the threads for blocking work, files and host names included.
    BlockingJoin,
    /// The end of a child process.
    Process,
    /// A signal.
    Signal,
    /// A `CancellationToken`.
    Cancellation,
    /// The other half of an in-memory pipe.
    Pipe,
    /// Any future of a `FuturesUnordered`, which hides what these wait for.
    FuturesUnordered,
    /// Something that is none of these.
    Other,
}

impl LeafKind {
    /// One or two words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            LeafKind::Timer => "timer",
            LeafKind::MpscRecv => "mpsc recv",
            LeafKind::MpscSend => "mpsc send",
            LeafKind::Oneshot => "oneshot",
            LeafKind::Broadcast => "broadcast",
            LeafKind::Watch => "watch",
            LeafKind::Notify => "notify",
            LeafKind::Mutex => "mutex",
            LeafKind::RwLock => "rwlock",
            LeafKind::RwLockRead => "rwlock read",
            LeafKind::RwLockWrite => "rwlock write",
            LeafKind::Semaphore => "semaphore",
            LeafKind::Barrier => "barrier",
            LeafKind::Socket => "socket",
            LeafKind::SocketRead => "socket read",
            LeafKind::SocketWrite => "socket write",
            LeafKind::SocketAccept => "socket accept",
            LeafKind::SocketConnect => "socket connect",
            LeafKind::Join => "join",
            LeafKind::JoinNext => "join next",
            LeafKind::BlockingJoin => "blocking join",
            LeafKind::Process => "process",
            LeafKind::Signal => "signal",
            LeafKind::Cancellation => "cancellation",
            LeafKind::Pipe => "in-memory pipe",
            LeafKind::FuturesUnordered => "futures unordered",
            LeafKind::Other => "other",
        }
    }
}

/// One thing that a parked task waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiting {
    /// What kind of thing.
    pub kind: LeafKind,
    /// The service's own line that waits for it, or the outermost function if all are of libraries;
    /// `None` of an empty stack.
    pub at: Option<Place>,
    /// The innermost function that is not of the language's or a runtime's crates: what an
    /// [`Other`](LeafKind::Other) is.
    pub leaf: Option<Place>,
}

impl Waiting {
    /// Reads a stack, innermost function first.
    pub fn of<'a>(stack: impl IntoIterator<Item = &'a Place>) -> Self {
        let mut waiting = Waiting { kind: LeafKind::Other, at: None, leaf: None };
        for place in stack {
            waiting.kind = kind(waiting.kind, &place.function, place.path());
            if waiting.leaf.is_none() && !is_base(place) {
                waiting.leaf = Some(place.clone());
            }
            waiting.at = Some(place.clone());
            if !is_library(place) {
                break;
            }
        }
        waiting
    }

    /// `mpsc recv`; of another kind the function itself, `other: async_channel::Recv::poll`, or `own
    /// future` if the service's own code took the waker.
    pub fn what(&self) -> String {
        match (&self.leaf, self.kind) {
            (Some(_), LeafKind::Other) if self.leaf == self.at => "own future".to_owned(),
            (Some(leaf), LeafKind::Other) => format!("other: {}", crate::human::name(&leaf.function)),
            _ => self.kind.as_str().to_owned(),
        }
    }
}

/// All that one task waits for, as one line: `mpsc recv at src/orders.rs:131`, or
/// `select of mpsc recv, timer at ..`.
pub fn describe(waits: &[Waiting]) -> String {
    let mut kinds: Vec<String> = waits.iter().map(Waiting::what).collect();
    kinds.sort();
    kinds.dedup();
    let what = match (&kinds[..], waits.len()) {
        ([], _) => return "not known".to_owned(),
        ([one], 1) => one.clone(),
        ([one], count) => format!("{one} (x{count})"),
        (several, _) => format!("select of {}", several.join(", ")),
    };
    let at = waits.iter().find_map(|waiting| waiting.at.as_ref());
    match at {
        Some(at) => format!("{what} at {}", at.location()),
        None => what,
    }
}

/// How a leaf begins: module, a part of the name or nothing, kind.
const INNERMOST: &[(&str, &str, LeafKind)] = &[
    ("tokio::runtime::time", "", LeafKind::Timer),
    ("tokio::time", "", LeafKind::Timer),
    ("tokio::sync::batch_semaphore", "", LeafKind::Semaphore),
    ("tokio::sync::mpsc", "", LeafKind::MpscRecv),
    ("tokio::sync::oneshot", "", LeafKind::Oneshot),
    ("tokio::sync::broadcast", "", LeafKind::Broadcast),
    ("tokio::sync::watch", "", LeafKind::Watch),
    ("tokio::sync::notify", "", LeafKind::Notify),
    ("tokio::runtime::io", "", LeafKind::Socket),
    ("tokio::runtime::task", "BlockingTask", LeafKind::BlockingJoin),
    ("tokio::runtime::task::join", "", LeafKind::Join),
    ("tokio::util::idle_notified_set", "", LeafKind::JoinNext),
    ("tokio::io::util::mem", "", LeafKind::Pipe),
    ("diag::task", "blocking", LeafKind::BlockingJoin),
    ("futures_channel::oneshot", "", LeafKind::Oneshot),
    ("futures_channel::mpsc", "poll_next", LeafKind::MpscRecv),
    ("futures_channel::mpsc", "", LeafKind::MpscSend),
    ("futures_util::stream::futures_unordered", "", LeafKind::FuturesUnordered),
];

const SOCKETS: &[LeafKind] = &[LeafKind::Socket, LeafKind::SocketRead, LeafKind::SocketWrite];
const JOINS: &[LeafKind] = &[LeafKind::Join, LeafKind::BlockingJoin];

/// What a leaf of these kinds is, wrapped into this: module, a part of the name or nothing, kind.
const WRAPPED: &[(&[LeafKind], &str, &str, LeafKind)] = &[
    (&[LeafKind::Semaphore], "tokio::sync::mpsc", "", LeafKind::MpscSend),
    (&[LeafKind::Semaphore], "tokio::sync::mutex", "", LeafKind::Mutex),
    (&[LeafKind::Semaphore, LeafKind::RwLock], "tokio::sync::rwlock", "::read", LeafKind::RwLockRead),
    (&[LeafKind::Semaphore, LeafKind::RwLock], "tokio::sync::rwlock", "::write", LeafKind::RwLockWrite),
    (&[LeafKind::Semaphore], "tokio::sync::rwlock", "", LeafKind::RwLock),
    (&[LeafKind::Notify], "tokio::sync::watch", "", LeafKind::Watch),
    (&[LeafKind::Notify], "tokio_util::sync::cancellation_token", "", LeafKind::Cancellation),
    (&[LeafKind::Notify], "tokio_util::task::task_tracker", "", LeafKind::JoinNext),
    (&[LeafKind::Watch], "tokio::sync::barrier", "", LeafKind::Barrier),
    (&[LeafKind::Watch], "tokio::signal", "", LeafKind::Signal),
    (SOCKETS, "tokio::process", "", LeafKind::Process),
    (SOCKETS, "tokio::net::tcp::listener", "", LeafKind::SocketAccept),
    (SOCKETS, "tokio::net::unix::listener", "", LeafKind::SocketAccept),
    (SOCKETS, "tokio", "::accept", LeafKind::SocketAccept),
    (SOCKETS, "tokio", "::connect", LeafKind::SocketConnect),
    (&[LeafKind::Socket], "tokio", "::poll_read_", LeafKind::SocketRead),
    (&[LeafKind::Socket], "tokio", "::poll_recv", LeafKind::SocketRead),
    (&[LeafKind::Socket], "tokio", "::recv", LeafKind::SocketRead),
    (&[LeafKind::Socket], "tokio", "::readable", LeafKind::SocketRead),
    (&[LeafKind::Socket], "tokio", "::poll_write_", LeafKind::SocketWrite),
    (&[LeafKind::Socket], "tokio", "::poll_send", LeafKind::SocketWrite),
    (&[LeafKind::Socket], "tokio", "::send", LeafKind::SocketWrite),
    (&[LeafKind::Socket], "tokio", "::writable", LeafKind::SocketWrite),
    (JOINS, "tokio::fs", "", LeafKind::BlockingJoin),
    (JOINS, "tokio::net", "", LeafKind::BlockingJoin),
    (JOINS, "diag::task", "blocking", LeafKind::BlockingJoin),
];

/// The kind of a leaf of kind `inner` that is called by this function.
fn kind(inner: LeafKind, function: &str, path: &str) -> LeafKind {
    let within = |module| path.strip_prefix(module).is_some_and(|rest: &str| rest.starts_with("::"));
    let fits = |module, part| within(module) && function.contains(part);
    let found = match inner {
        LeafKind::Other => INNERMOST.iter().find(|rule| fits(rule.0, rule.1)).map(|rule| rule.2),
        _ => WRAPPED.iter().find(|rule| rule.0.contains(&inner) && fits(rule.1, rule.2)).map(|rule| rule.3),
    };
    found.unwrap_or(inner)
}

/// Crates of the language, of the runtime and of ours: what wakers pass through on every way.
const BASE_CRATES: &[&str] =
    &["std", "core", "alloc", "tokio", "futures_core", "futures_util", "diag", "__rustc"];

/// Crates that many services are built on, for stacks without debug info.
const LIBRARIES: &[&str] = &[
    "tokio_util",
    "tokio_stream",
    "futures",
    "futures_channel",
    "hyper",
    "hyper_util",
    "h2",
    "tower",
    "tower_http",
    "axum",
    "axum_core",
    "tonic",
    "reqwest",
];

/// Where packages that cargo has fetched lie, and the sources of the language.
const LIBRARY_FOLDERS: &[&str] = &["/registry/src/", "/git/checkouts/", "/rustc/", "/rustlib/"];

/// True of a function that the service's owner did not write.
fn is_library(place: &Place) -> bool {
    let of_library = |file: &str| LIBRARY_FOLDERS.iter().any(|folder| file.contains(folder));
    is_base(place) || place.is_of_crate(LIBRARIES) || place.file.as_deref().is_some_and(of_library)
}

/// True of the language, of the runtime and of the recorder, whose own sources a workspace may have
/// beside the service. What has neither a path nor a file is the compiler's.
fn is_base(place: &Place) -> bool {
    let is_symbol = place.file.is_none() && !place.function.contains("::");
    let is_ours = place.file.as_deref().is_some_and(|file| file.contains("diag/src/task/"));
    is_symbol || is_ours || place.is_of_crate(BASE_CRATES)
}
