//! Where the wakers of tasks lie: who waits in what.

use super::node::{Node, NodeKind};
use super::task::TaskId;
use crate::schema::{codes, table};

codes! {
    /// What a task waits for, as far as the memory shows it. Its await point tells more, where that is known.
    WaitFor {
        /// A message of a channel.
        ChannelRecv = "channel recv",
        /// Room in a bounded channel.
        ChannelSend = "channel send",
        /// Permits: a lock, a semaphore.
        Permits = "permits",
        /// A `Notify`.
        Notify = "notify",
        /// The end of another task.
        Join = "join",
        /// A socket, a pipe or another descriptor.
        Io = "io",
        /// A moment.
        Timer = "timer",
    }
}

codes! {
    /// What the others would have to do, so that the task goes on.
    WaitDirection {
        /// Give something: a message, a value, an end.
        Receive = "receive",
        /// Take something, or give it back: a message out of a full channel, a lock, a permit.
        Give = "give",
    }
}

table! {
    /// A waker of a task that lies in something, which so may wake the task. A task has as many rows as wakers were found.
    WaitRow in waits, since 1.13 {
        /// Who waits.
        task: TaskId as Delta;
        /// In what: what of it is a node.
        node_kind: NodeKind as Plain;
        /// Which one. It is the task itself if a future inside of it has the waker, and nothing was found that leads to it.
        node_id: u64 as Plain;
        /// Where in it: of a queue, of the word that has its first waiter, else of the waker. Two locks in one block differ in that.
        offset: Option<u64> as Plain;
        /// For what.
        wait_for: WaitFor as Plain;
        /// What others would have to do.
        direction: Option<WaitDirection> as Plain;
        /// Its place in the queue, from 0, which is the one to be served next.
        place: Option<u32> as Plain;
        /// Permits that are free there; none if that is not known.
        permits: Option<u64> as Plain;
        /// Permits that it still lacks; 0 of one that has them and was not polled since.
        lacks: Option<u64> as Plain;
        /// False if its last poll did not touch where the waker lies: a branch that nobody polls. None if that is not known.
        touched: Option<bool> as Plain;
        /// True if it was there in both looks.
        held: bool as Plain;
    }
}

impl WaitRow {
    /// In what it waits.
    pub fn node(&self) -> Node {
        Node { kind: self.node_kind, id: self.node_id }
    }
}
