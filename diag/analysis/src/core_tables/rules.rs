//! The rules by which a block is a task's or a channel's, as the service had learnt them from its own tokio.
//!
//! What the kernel keeps of a socket is not in a core. So a block is a socket's if it has the size, and the service had found
//! sockets that were opened there.

use std::collections::HashMap;

use super::blocks::Block;
use super::layout::{self, Layout, Table};
use super::memory::{Memory, Place};

/// What is no offset in a cell, and no count of references.
const LARGEST: u64 = 1 << 40;
/// Words that are looked at of a table of functions.
const TABLE: usize = 12;
/// Where a cell has the next one of a queue, and its owner.
const QUEUE_NEXT: u64 = 8;
const OWNER: u64 = 24;
/// Of a task's state word: bits, and above them the count of references.
const STATE_BITS: u32 = 6;
const RUNNING: u64 = 1;
const COMPLETE: u64 = 2;
const NOTIFIED: u64 = 4;
const JOIN_INTEREST: u64 = 8;

/// What was learnt; none of what was not.
pub(super) struct Rules<'m> {
    memory: &'m Memory<'m>,
    task: Option<TaskRule>,
    channel: Option<ChannelRule>,
    socket_bytes: Option<u64>,
    /// Tables of functions, with which of their words point at code, by address.
    tables: HashMap<u64, Option<([u64; TABLE], u64)>>,
}

struct TaskRule {
    table: u64,
    table_words: u64,
    code: u64,
    /// Words of the table that hold offsets.
    scheduler: usize,
    id: usize,
    trailer: usize,
    scheduler_at: u64,
    trailer_bytes: u64,
    true_bits: u64,
}

struct ChannelRule {
    forms: Vec<ChannelForm>,
    tail: u64,
}

struct ChannelForm {
    size: u64,
    received: u64,
    senders: u64,
    weak_senders: u64,
}

/// What a task's cell says of its task.
#[derive(Clone, Copy)]
pub(super) struct TaskFacts {
    state: u64,
    pub(super) owner: u64,
    pub(super) scheduler: u64,
    pub(super) tokio_id: u64,
}

impl TaskFacts {
    pub(super) fn has_ended(self) -> bool {
        self.state & COMPLETE != 0
    }

    pub(super) fn has_join_handle(self) -> bool {
        self.state & JOIN_INTEREST != 0
    }

    /// All that holds its cell.
    pub(super) fn references(self) -> u64 {
        self.state >> STATE_BITS
    }

    pub(super) fn is_running(self) -> bool {
        self.state & RUNNING != 0
    }

    pub(super) fn is_woken(self) -> bool {
        self.state & NOTIFIED != 0
    }

    /// It is a closure on a thread for blocking work.
    pub(super) fn is_blocking(self) -> bool {
        self.owner == 0
    }
}

/// What the shared part of a channel says of it, as far as it tells.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ChannelFacts {
    /// One more once the last sender has gone.
    tail: u64,
    received: Option<u64>,
    pub(super) senders: Option<u64>,
    pub(super) has_receiver: Option<bool>,
}

impl ChannelFacts {
    /// Messages sent so far.
    pub(super) fn sent(self) -> Option<u64> {
        self.senders.map(|senders| self.tail.saturating_sub(u64::from(senders == 0)))
    }

    /// Messages that are in it.
    pub(super) fn queued(self) -> Option<u64> {
        self.sent().zip(self.received).map(|(sent, received)| sent.saturating_sub(received))
    }
}

impl<'m> Rules<'m> {
    pub(super) fn of(memory: &'m Memory<'m>, layout: &Layout) -> Self {
        let task = layout.table("task_rule");
        let socket = layout.table("socket_rule");
        Rules {
            memory,
            task: task.only(memory).and_then(|record| TaskRule::of(&task, record)),
            channel: ChannelRule::of(memory, &layout.table("channel_forms")),
            socket_bytes: socket.only(memory).map(|record| socket.column("size").of(record)),
            tables: HashMap::new(),
        }
    }

    /// False before anything was learnt, which is at the first snapshot.
    pub(super) fn are_learnt(&self) -> bool {
        self.task.is_some() || self.channel.is_some() || self.socket_bytes.is_some()
    }

    /// What it says if it is a task's cell.
    pub(super) fn task(&mut self, block: &Block) -> Option<TaskFacts> {
        let address = block.word(self.memory, self.task.as_ref()?.table)?;
        let (words, code) = self.table(address)?;
        self.task.as_ref()?.facts(block, self.memory, &words, code)
    }

    /// What it says if it is the shared part of a channel.
    pub(super) fn channel(&self, block: &Block) -> Option<ChannelFacts> {
        self.channel.as_ref()?.facts(block, self.memory)
    }

    /// It has the size of a socket's registration.
    pub(super) fn may_be_socket(&self, block: &Block) -> bool {
        self.socket_bytes == Some(block.size) && block.align == 128
    }

    /// It may be a task's cell that is not written like one.
    pub(super) fn may_be_task(&self) -> bool {
        self.task.is_some()
    }

    /// It has the size of a channel.
    pub(super) fn may_be_channel(&self, block: &Block) -> bool {
        self.channel.as_ref().is_some_and(|rule| rule.is_of_size(block.size))
    }

    /// The constant words at an address, and which of them point at code.
    fn table(&mut self, address: u64) -> Option<([u64; TABLE], u64)> {
        let memory = self.memory;
        *self.tables.entry(address).or_insert_with(|| {
            let last = address.checked_add(8 * TABLE as u64 - 1)?;
            let is_constant = |address| memory.place(address) == Some(Place::Constant);
            if !address.is_multiple_of(8) || !is_constant(address) || !is_constant(last) {
                return None;
            }
            let bytes = memory.bytes(address, 8 * TABLE)?;
            let mut words = [0; TABLE];
            words
                .iter_mut()
                .zip(bytes.chunks(8))
                .for_each(|(to, bytes)| *to = layout::word(bytes).unwrap_or(0));
            let is_code = |word: u64| u64::from(memory.place(word) == Some(Place::Code));
            let code = (0..).zip(words).fold(0, |mask, (bit, word)| mask | is_code(word) << bit);
            Some((words, code))
        })
    }
}

impl TaskRule {
    fn of(table: &Table, record: &[u8]) -> Option<Self> {
        let of = |name| table.column(name).of(record);
        // The word of a table: absurd ones are damage.
        let word = |name| usize::try_from(of(name)).ok().filter(|&word| word < TABLE);
        Some(TaskRule {
            table: of("table"),
            table_words: of("table_words").min(TABLE as u64),
            code: of("code"),
            scheduler: word("scheduler")?,
            id: word("id")?,
            trailer: word("trailer")?,
            scheduler_at: of("scheduler_at"),
            trailer_bytes: of("trailer_bytes"),
            true_bits: of("true_bits"),
        })
    }

    fn facts(
        &self,
        block: &Block,
        memory: &Memory<'_>,
        words: &[u64; TABLE],
        code: u64,
    ) -> Option<TaskFacts> {
        let [scheduler, id, trailer] = [self.scheduler, self.id, self.trailer].map(|word| words[word]);
        let most = trailer.checked_add(self.trailer_bytes)?.checked_next_multiple_of(block.align)?;
        let is_table = (code ^ self.code) & ((1 << self.table_words) - 1) == 0
            && scheduler == self.scheduler_at
            && (scheduler..trailer).contains(&id)
            && trailer < block.size
            && block.size <= most;
        if !is_table || !block.word(memory, QUEUE_NEXT)?.is_multiple_of(128) {
            return None;
        }
        let (state, tokio_id) = (block.word(memory, 0)? & self.true_bits, block.word(memory, id)?);
        let (owner, scheduler) = (block.word(memory, OWNER)?, block.word(memory, scheduler)?);
        let is_plausible = (1..LARGEST).contains(&(state >> STATE_BITS)) && (1..LARGEST).contains(&tokio_id);
        is_plausible.then_some(TaskFacts { state, owner, scheduler, tokio_id })
    }
}

impl ChannelRule {
    fn of(memory: &Memory<'_>, table: &Table) -> Option<Self> {
        let of = |record: &[u8], name| table.column(name).of(record);
        let form = |record: &[u8]| ChannelForm {
            size: of(record, "size"),
            received: of(record, "received"),
            senders: of(record, "senders"),
            weak_senders: of(record, "weak_senders"),
        };
        // With a bound, and without.
        let forms: Vec<ChannelForm> = table.records(memory).take(2).map(|(_, record)| form(record)).collect();
        Some(ChannelRule { tail: table.mark(memory)?, forms }).filter(|rule| !rule.forms.is_empty())
    }

    fn is_of_size(&self, size: u64) -> bool {
        self.forms.iter().any(|form| form.size == size)
    }

    fn facts(&self, block: &Block, memory: &Memory<'_>) -> Option<ChannelFacts> {
        if block.align != 128 || !self.is_of_size(block.size) {
            return None;
        }
        let (handles, weak) = (block.word(memory, 0)?, block.word(memory, 8)?);
        let (last, tail) = (block.word(memory, self.tail)?, block.word(memory, self.tail.checked_add(8)?)?);
        let is_channel = (1..LARGEST).contains(&handles)
            && weak == 1
            && last.is_multiple_of(8)
            && memory.place(last) == Some(Place::Writable)
            && tail < LARGEST;
        let of_size = self.forms.iter().filter(|form| form.size == block.size);
        let mut read: Vec<ChannelFacts> =
            of_size.filter_map(|form| form.facts(block, memory, handles)).collect();
        read.dedup();
        // Both kinds may be of one size: what does not tell which it is tells no more.
        let only = read.pop().filter(|_| read.is_empty());
        is_channel.then(|| ChannelFacts { tail, ..only.unwrap_or_default() })
    }
}

impl ChannelForm {
    /// None if it does not add up.
    fn facts(&self, block: &Block, memory: &Memory<'_>, handles: u64) -> Option<ChannelFacts> {
        let [received, senders, weak_senders] =
            [self.received, self.senders, self.weak_senders].map(|offset| block.word(memory, offset));
        let (received, senders) = (received?, senders?);
        let receivers = handles.checked_sub(senders.checked_add(weak_senders?)?)?;
        (receivers <= 1 && received < LARGEST).then_some(ChannelFacts {
            tail: 0,
            received: Some(received),
            senders: Some(senders),
            has_receiver: Some(receivers == 1),
        })
    }
}
