//! The kinds of things that a task waits for, and what has to happen before it goes on.

/// The kinds of things that a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum WaitKind {
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
    /// Nothing: its turn after the others, as it called `yield_now`, or as its budget of a poll was used up while all
    /// that it awaits was ready.
    Yield,
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

impl WaitKind {
    /// One or two words for people.
    pub fn as_str(self) -> &'static str {
        self.told().0
    }

    /// What the wait needs of others; `None` if time ends it, or if that cannot be told.
    pub fn direction(self) -> Option<Direction> {
        self.told().1
    }

    /// True of what one part of a service has to take, or to give back, so that another goes on: room in a channel, a
    /// lock, a permit, a connection of a pool, the turn to fill a cell. What the other end of a socket does is no part of it.
    pub fn is_give_back(self) -> bool {
        use WaitKind::*;
        matches!(
            self,
            MpscSend | ChannelSend | Mutex | RwLock | RwLockRead | RwLockWrite | Semaphore | Pool | OnceCell
        )
    }

    /// True of one value that another part of the service is to give, once: a reply, the content of a cache.
    pub fn is_for_an_answer(self) -> bool {
        use WaitKind::*;
        matches!(self, Oneshot | SetOnce | CacheLoad)
    }

    fn told(self) -> (&'static str, Option<Direction>) {
        const RECEIVE: Option<Direction> = Some(Direction::Receive);
        const GIVE: Option<Direction> = Some(Direction::Give);
        match self {
            WaitKind::Timer => ("timer", None),
            WaitKind::DelayQueue => ("delay queue", None),
            WaitKind::RateLimit => ("rate limit", None),
            WaitKind::MpscRecv => ("mpsc recv", RECEIVE),
            WaitKind::MpscSend => ("mpsc send", GIVE),
            WaitKind::MpscClosed => ("mpsc closed", RECEIVE),
            WaitKind::Channel => ("channel", None),
            WaitKind::ChannelRecv => ("channel recv", RECEIVE),
            WaitKind::ChannelSend => ("channel send", GIVE),
            WaitKind::Oneshot => ("oneshot", RECEIVE),
            WaitKind::OneshotClosed => ("oneshot closed", RECEIVE),
            WaitKind::Broadcast => ("broadcast", RECEIVE),
            WaitKind::BroadcastClosed => ("broadcast closed", RECEIVE),
            WaitKind::Watch => ("watch", RECEIVE),
            WaitKind::WatchClosed => ("watch closed", RECEIVE),
            WaitKind::Notify => ("notify", RECEIVE),
            WaitKind::Event => ("event", RECEIVE),
            WaitKind::Mutex => ("mutex", GIVE),
            WaitKind::RwLock => ("rwlock", GIVE),
            WaitKind::RwLockRead => ("rwlock read", GIVE),
            WaitKind::RwLockWrite => ("rwlock write", GIVE),
            WaitKind::Semaphore => ("semaphore", GIVE),
            WaitKind::Pool => ("pool", GIVE),
            WaitKind::Barrier => ("barrier", RECEIVE),
            WaitKind::OnceCell => ("once cell", RECEIVE),
            WaitKind::SetOnce => ("set once", RECEIVE),
            WaitKind::CacheLoad => ("cache load", RECEIVE),
            WaitKind::Socket => ("socket", None),
            WaitKind::SocketRead => ("socket read", RECEIVE),
            WaitKind::SocketWrite => ("socket write", GIVE),
            WaitKind::SocketAccept => ("socket accept", RECEIVE),
            WaitKind::SocketConnect => ("socket connect", RECEIVE),
            WaitKind::WebSocket => ("websocket", None),
            WaitKind::WebSocketRecv => ("websocket recv", RECEIVE),
            WaitKind::WebSocketSend => ("websocket send", GIVE),
            WaitKind::WebSocketHandshake => ("websocket handshake", RECEIVE),
            WaitKind::Join => ("join", RECEIVE),
            WaitKind::JoinNext => ("join next", RECEIVE),
            WaitKind::BlockingJoin => ("blocking join", RECEIVE),
            WaitKind::Process => ("process", RECEIVE),
            WaitKind::Signal => ("signal", RECEIVE),
            WaitKind::Cancellation => ("cancellation", RECEIVE),
            WaitKind::Pipe => ("in-memory pipe", None),
            WaitKind::PipeRead => ("in-memory pipe read", RECEIVE),
            WaitKind::PipeWrite => ("in-memory pipe write", GIVE),
            WaitKind::SystemPipe => ("pipe", None),
            WaitKind::SystemPipeRead => ("pipe read", RECEIVE),
            WaitKind::SystemPipeWrite => ("pipe write", GIVE),
            WaitKind::Shared => ("shared future", RECEIVE),
            WaitKind::FuturesUnordered => ("futures unordered", None),
            WaitKind::Yield => ("yield", None),
            WaitKind::Other => ("other", None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_tell_who_has_to_act() {
        use WaitKind::*;
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
