//! The kinds of things that a task waits for, and what has to happen before it goes on.

/// The kinds of things that a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeafKind {
    /// A sleep, an interval, a timeout's own end.
    Timer,
    /// The next item of a `DelayQueue`.
    DelayQueue,
    /// Its turn at a limit of so many in so much time.
    RateLimit,
    /// A message of an mpsc channel.
    MpscRecv,
    /// Room in a bounded mpsc channel.
    MpscSend,
    /// The end of an mpsc channel's receiver.
    MpscClosed,
    /// A channel whose receivers share its messages, for either direction.
    Channel,
    /// A message of such a channel.
    ChannelRecv,
    /// Room in such a channel.
    ChannelSend,
    /// The value of a oneshot channel, or its other end.
    Oneshot,
    /// The end of a oneshot channel's receiver.
    OneshotClosed,
    /// A message of a broadcast channel.
    Broadcast,
    /// The end of a broadcast channel's receivers.
    BroadcastClosed,
    /// A change of a watch channel.
    Watch,
    /// The end of a watch channel's receivers.
    WatchClosed,
    /// A `Notify`.
    Notify,
    /// An event of a library's, as `event_listener` has them.
    Event,
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
    /// A connection, or another thing of which a pool has so many.
    Pool,
    /// The other tasks at a `Barrier`.
    Barrier,
    /// Another task that fills a `OnceCell`.
    OnceCell,
    /// The value of a `SetOnce`.
    SetOnce,
    /// Another task that loads the same entry of a cache.
    CacheLoad,
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
    /// A WebSocket, for either direction.
    WebSocket,
    /// A message of a WebSocket.
    WebSocketRecv,
    /// Room to send one.
    WebSocketSend,
    /// The other side of a WebSocket's handshake.
    WebSocketHandshake,
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
    /// Bytes of an in-memory pipe.
    PipeRead,
    /// Room in an in-memory pipe.
    PipeWrite,
    /// A pipe of the system's, as child processes have them.
    SystemPipe,
    /// Bytes of a pipe of the system's.
    SystemPipeRead,
    /// Room in a pipe of the system's.
    SystemPipeWrite,
    /// A `Shared` future that another task drives, too.
    Shared,
    /// Any future of a `FuturesUnordered`, which hides what these wait for.
    FuturesUnordered,
    /// Something that is none of these.
    Other,
}

/// What a wait needs of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Somebody has to give something: a message, a value, an event, an end.
    Receive,
    /// Somebody has to take something, or to give it back: a message out of a full channel, a lock, a permit.
    Give,
}

impl LeafKind {
    /// One or two words for people.
    pub fn as_str(self) -> &'static str {
        self.told().0
    }

    /// What the wait needs of others; `None` if time ends it, or if that cannot be told.
    pub fn direction(self) -> Option<Direction> {
        self.told().1
    }

    fn told(self) -> (&'static str, Option<Direction>) {
        const RECEIVE: Option<Direction> = Some(Direction::Receive);
        const GIVE: Option<Direction> = Some(Direction::Give);
        match self {
            LeafKind::Timer => ("timer", None),
            LeafKind::DelayQueue => ("delay queue", None),
            LeafKind::RateLimit => ("rate limit", None),
            LeafKind::MpscRecv => ("mpsc recv", RECEIVE),
            LeafKind::MpscSend => ("mpsc send", GIVE),
            LeafKind::MpscClosed => ("mpsc closed", RECEIVE),
            LeafKind::Channel => ("channel", None),
            LeafKind::ChannelRecv => ("channel recv", RECEIVE),
            LeafKind::ChannelSend => ("channel send", GIVE),
            LeafKind::Oneshot => ("oneshot", RECEIVE),
            LeafKind::OneshotClosed => ("oneshot closed", RECEIVE),
            LeafKind::Broadcast => ("broadcast", RECEIVE),
            LeafKind::BroadcastClosed => ("broadcast closed", RECEIVE),
            LeafKind::Watch => ("watch", RECEIVE),
            LeafKind::WatchClosed => ("watch closed", RECEIVE),
            LeafKind::Notify => ("notify", RECEIVE),
            LeafKind::Event => ("event", RECEIVE),
            LeafKind::Mutex => ("mutex", GIVE),
            LeafKind::RwLock => ("rwlock", GIVE),
            LeafKind::RwLockRead => ("rwlock read", GIVE),
            LeafKind::RwLockWrite => ("rwlock write", GIVE),
            LeafKind::Semaphore => ("semaphore", GIVE),
            LeafKind::Pool => ("pool", GIVE),
            LeafKind::Barrier => ("barrier", RECEIVE),
            LeafKind::OnceCell => ("once cell", RECEIVE),
            LeafKind::SetOnce => ("set once", RECEIVE),
            LeafKind::CacheLoad => ("cache load", RECEIVE),
            LeafKind::Socket => ("socket", None),
            LeafKind::SocketRead => ("socket read", RECEIVE),
            LeafKind::SocketWrite => ("socket write", GIVE),
            LeafKind::SocketAccept => ("socket accept", RECEIVE),
            LeafKind::SocketConnect => ("socket connect", RECEIVE),
            LeafKind::WebSocket => ("websocket", None),
            LeafKind::WebSocketRecv => ("websocket recv", RECEIVE),
            LeafKind::WebSocketSend => ("websocket send", GIVE),
            LeafKind::WebSocketHandshake => ("websocket handshake", RECEIVE),
            LeafKind::Join => ("join", RECEIVE),
            LeafKind::JoinNext => ("join next", RECEIVE),
            LeafKind::BlockingJoin => ("blocking join", RECEIVE),
            LeafKind::Process => ("process", RECEIVE),
            LeafKind::Signal => ("signal", RECEIVE),
            LeafKind::Cancellation => ("cancellation", RECEIVE),
            LeafKind::Pipe => ("in-memory pipe", None),
            LeafKind::PipeRead => ("in-memory pipe read", RECEIVE),
            LeafKind::PipeWrite => ("in-memory pipe write", GIVE),
            LeafKind::SystemPipe => ("pipe", None),
            LeafKind::SystemPipeRead => ("pipe read", RECEIVE),
            LeafKind::SystemPipeWrite => ("pipe write", GIVE),
            LeafKind::Shared => ("shared future", RECEIVE),
            LeafKind::FuturesUnordered => ("futures unordered", None),
            LeafKind::Other => ("other", None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_tell_who_has_to_act() {
        use LeafKind::*;
        let given = [
            MpscRecv, Oneshot, Broadcast, Watch, Notify, Event, OnceCell, SocketRead, Join, Signal, PipeRead,
        ];
        assert!(given.iter().all(|kind| kind.direction() == Some(Direction::Receive)));
        let taken =
            [MpscSend, ChannelSend, Mutex, RwLock, RwLockWrite, Semaphore, Pool, SocketWrite, PipeWrite];
        assert!(taken.iter().all(|kind| kind.direction() == Some(Direction::Give)));
        let neither = [Timer, DelayQueue, RateLimit, Socket, Channel, FuturesUnordered, Other];
        assert!(neither.iter().all(|kind| kind.direction().is_none()));
    }
}
