//! What is opened and closed beside tasks: sockets and channels, and what the service says of itself, each with where and by whom.

use super::site::SiteIndex;
use super::stack::StackIndex;
use super::task::TaskId;
use crate::schema::{codes, index, table};
use crate::strings::StringIndex;
use crate::units::{Bytes, Micros};

index! {
    /// Index of a place in [`Snapshot::resource_sites`](crate::Snapshot::resource_sites).
    ResourceSiteIndex of ResourceSites
}

codes! {
    /// What a resource is.
    ResourceKind {
        /// A socket, a pipe or another descriptor that a runtime waits for.
        Socket = "socket",
        /// A channel of `tokio::sync::mpsc`, bounded or not.
        Channel = "channel",
        /// Something that the service says it has acquired, until it gives it back.
        InUse = "in use",
        /// A value of a type that the service has counted, until it is dropped.
        Value = "value",
    }
}

codes! {
    /// What the service says that it does with a resource.
    ResourceState {
        /// Made, and not in use yet.
        Created = "created",
        /// Somebody has acquired it.
        InUse = "in use",
        /// Given back, to be acquired again.
        Idle = "idle",
        /// Gone.
        Closed = "closed",
    }
}

codes! {
    /// By what a socket talks.
    Protocol {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// A socket of the Unix family.
        Unix = "unix",
        /// Anything else, a pipe for instance.
        Other = "other",
    }
}

codes! {
    /// State of a TCP socket, by the names of `tcp(7)`; a state of closing is one of four there.
    SocketState {
        /// It takes connections.
        Listen = "listen",
        /// It calls, and nobody has answered.
        SynSent = "syn-sent",
        /// Both sides may send.
        Established = "established",
        /// The other side has closed, and this one has not.
        CloseWait = "close-wait",
        /// This side has closed.
        Closing = "closing",
        /// It has no connection.
        Closed = "closed",
    }
}

table! {
    /// A place in the code where resources of one kind are opened, with its totals since start.
    ResourceSiteRow in resource_sites, since 1.8 {
        /// What is opened here.
        kind: ResourceKind as Plain;
        /// What it is, as the service calls it.
        name: Option<StringIndex> as Plain;
        /// Source file. None of sockets and channels in a snapshot that was written: who reads it finds the place in the stack, or in that of the opener.
        file: Option<StringIndex> as Plain;
        /// Line, from 1; none as before.
        line: Option<u32> as Plain;
        /// The function of that line; none as before.
        function: Option<StringIndex> as Plain;
        /// The call stack of who opened. None if it was not taken.
        stack: Option<StackIndex> as Plain;
        /// Where most of the tasks were spawned that open here, as far as that is known.
        opener: Option<SiteIndex> as Plain;
        /// Resources opened, as far as they were seen: those that were open at a capture, and all that were opened since.
        opened: u64 as Plain;
        /// Resources closed.
        closed: u64 as Plain;
    }
}

table! {
    /// A resource that is open.
    ResourceRow in resources, since 1.8 {
        /// Never reused in this process; no task's id either.
        id: u64 as Ascending;
        /// Where it was opened. Of one that is acquired again and again, where it was acquired, or where it was made while nobody has it.
        site: ResourceSiteIndex as Plain;
        /// Opened at; of one that is acquired again and again, in its state since.
        opened_us: u64 as Delta of Micros;
        /// The task in whose poll it was opened; it may have ended, or given it away.
        opener: Option<TaskId> as Plain;
        /// Its file descriptor, if it has one.
        descriptor: Option<u32> as Plain;
        /// By what it talks, of a socket that was looked at.
        protocol: Option<Protocol> as Plain;
        /// State of a TCP socket.
        state: Option<SocketState> as Plain;
        /// Its own address, as `address:port` or a path.
        local: Option<StringIndex> as Plain;
        /// The address of the other side.
        peer: Option<StringIndex> as Plain;
        /// How long neither side has sent anything, of a TCP connection; in steps of a millisecond or more.
        idle_us: Option<u64> as Plain of Option<Micros>;
        /// What has come and was not read.
        unread_bytes: Option<u64> as Plain of Option<Bytes>;
        /// What was written and the other side has not taken.
        unsent_bytes: Option<u64> as Plain of Option<Bytes>;
        /// Messages sent into a channel since it was made.
        sent: Option<u64> as Plain;
        /// Messages in a channel.
        queued: Option<u64> as Plain;
        /// Senders of a channel.
        senders: Option<u64> as Plain;
        /// True if the receiver of a channel lives; not known while it has weak senders.
        has_receiver: Option<bool> as Plain;
        /// What is done with it, of one that is acquired again and again.
        in_state: Option<ResourceState> as Plain, since 1.10;
        /// When such a one was made.
        made_us: Option<u64> as Plain of Option<Micros>, since 1.10;
        /// Where such a one was made.
        made_at: Option<ResourceSiteIndex> as Plain, since 1.10;
        /// To be dropped by then, as the service says.
        due_us: Option<u64> as Plain of Option<Micros>, since 1.10;
    }
}

table! {
    /// How many closed resources of a site were open for a time in `[2^bucket, 2^(bucket+1))` milliseconds;
    /// bucket 0 also holds everything under a millisecond.
    ResourceAgeRow in resource_ages, since 1.8 {
        /// Whose.
        site: ResourceSiteIndex as Delta;
        /// Power of two of milliseconds; the last one that the recorder has is open above.
        bucket: u32 as Plain;
        /// How many are in it.
        count: u64 as Plain;
    }
}

impl ResourceSiteRow {
    /// How many are open.
    pub fn open(&self) -> u64 {
        self.opened.saturating_sub(self.closed)
    }
}
