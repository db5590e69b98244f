//! The rules by which a block is a task's, a channel's or a socket's: what was learnt, and all of it has to agree.
//!
//! A block may hold what its memory held before, where its owner writes nothing: the padding of a socket's registration
//! keeps the header of the task that lay there, with its table of functions. So no word decides by itself.

use super::address_map::{AddressMap, Place};
use super::channel_rule::{ChannelFacts, ChannelRule};
use super::kind::Kind;
use crate::census::Block;
use crate::census::Pinned;
use crate::number_map::NumberMap;
use crate::sys::own_memory;
use crate::task::tokio_id;

/// Words that are looked at of a table of functions.
pub(super) const TABLE: usize = 12;
/// What is no offset in a cell, and no count of references.
pub(super) const LARGEST: u64 = 1 << 40;

/// Bits of a task's state word below its count of references.
pub(super) const STATE_BITS: u32 = 6;
/// A poll is under way. The same in every version from 1.38 to 1.54, as the next three, which are checked when the rules are
/// learnt.
const RUNNING: u64 = 1;
/// The task has ended.
pub(super) const COMPLETE: u64 = 2;
/// It was woken, or never polled, and waits for its turn.
pub(super) const NOTIFIED: u64 = 4;
/// Its `JoinHandle` is there.
pub(super) const JOIN_INTEREST: u64 = 8;

/// A block that can be looked into.
pub(super) trait BlockWords {
    fn block(&self) -> &Block;
    fn word(&self, offset: usize) -> Option<u64>;
}

impl BlockWords for Pinned<'_> {
    fn block(&self) -> &Block {
        Pinned::block(self)
    }

    fn word(&self, offset: usize) -> Option<u64> {
        Pinned::word(self, offset)
    }
}

/// A table of functions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) words: [u64; TABLE],
    /// Which of the words point at code, one bit each.
    pub(super) code: u32,
}

/// What is looked up besides the block: mappings, and tables that were read before.
pub(super) struct Context {
    map: AddressMap,
    tables: NumberMap<u64, Option<Table>>,
}

impl Context {
    pub(super) fn new(map: AddressMap) -> Self {
        Context { map, tables: NumberMap::default() }
    }

    pub(super) fn place(&self, address: u64) -> Option<Place> {
        self.map.place(address)
    }

    pub(super) fn ranges(&self, kind: Place) -> impl Iterator<Item = std::ops::Range<u64>> {
        self.map.ranges(kind)
    }

    /// The constant words at an address; `None` if there are none. A library may be unloaded meanwhile, so the kernel
    /// reads them.
    pub(super) fn table(&mut self, address: u64) -> Option<Table> {
        if let Some(known) = self.tables.get(&address) {
            return *known;
        }
        let last = address.checked_add(8 * TABLE as u64 - 1)?;
        if !address.is_multiple_of(8) || self.place(address) != Some(Place::Constant) {
            return None;
        }
        let is_whole = self.place(last) == Some(Place::Constant);
        let words = if is_whole { own_memory::words(address) } else { None };
        let table = words.map(|words| Table { words, code: self.code(&words) });
        self.tables.insert(address, table);
        table
    }

    fn code(&self, words: &[u64; TABLE]) -> u32 {
        let is_code = |word: u64| u32::from(self.place(word) == Some(Place::Code));
        (0..).zip(words).fold(0, |mask, (bit, word)| mask | is_code(*word) << bit)
    }
}

/// How a task's cell is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TaskRule {
    /// Where its table's address is.
    pub(super) table: usize,
    /// Words of the table that count, and which of them are code.
    pub(super) table_words: usize,
    pub(super) code: u32,
    /// Words of the table that hold offsets: of the scheduler, the id and the trailer.
    pub(super) scheduler: usize,
    pub(super) id: usize,
    pub(super) trailer: usize,
    /// The offset of the scheduler, which is the same in all cells.
    pub(super) scheduler_offset: u64,
    /// The trailer has no more bytes.
    pub(super) trailer_bytes: u64,
    /// The bits of the state word that an ended task tells the truth by.
    pub(super) true_bits: u64,
}

/// Where a cell has the next one of a queue, and its owner: in every version from 1.38 to 1.54, and checked when learnt.
pub(super) const QUEUE_NEXT: usize = 8;
pub(super) const OWNER: usize = 24;

/// What a task's cell says of its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskFacts {
    /// The state word: bits, and above them the count of references.
    pub(crate) state: u64,
    /// The runtime or `LocalSet` that the task belongs to; 0 for a closure on a blocking thread.
    pub(crate) owner: u64,
    /// What runs it: the address of its runtime's scheduler, or of its `LocalSet`.
    pub(crate) scheduler: u64,
    /// Of its type's functions.
    pub(crate) table: u64,
    /// Bits of its id (`task/tokio_id.rs`).
    pub(crate) id_bits: u64,
}

impl TaskFacts {
    /// The task has ended, and somebody still holds its cell.
    pub(crate) fn has_ended(self) -> bool {
        self.state & COMPLETE != 0
    }

    /// Its `JoinHandle` is there; false as well where this tokio does not tell it of an ended task.
    pub(crate) fn has_join_handle(self) -> bool {
        self.state & JOIN_INTEREST != 0
    }

    /// All that holds its cell: handles, wakers, and before it has ended, its runtime.
    pub(crate) fn references(self) -> u64 {
        self.state >> STATE_BITS
    }

    /// A poll is under way.
    pub(crate) fn is_running(self) -> bool {
        self.state & RUNNING != 0
    }

    /// It was woken, or never polled, and waits for its turn.
    pub(crate) fn is_woken(self) -> bool {
        self.state & NOTIFIED != 0
    }

    /// It is a closure on a thread for blocking work.
    pub(crate) fn is_blocking(self) -> bool {
        self.owner == 0
    }

    /// The number of its id, as tokio prints it.
    pub(crate) fn id(self) -> Option<u64> {
        // SAFETY: read where the rule, which was learnt with ids of this process, has a task's id.
        unsafe { tokio_id::number(self.id_bits) }
    }
}

impl TaskRule {
    pub(super) fn facts(&self, look: &impl BlockWords, context: &mut Context) -> Option<TaskFacts> {
        let address = look.word(self.table)?;
        let Table { words, code } = context.table(address)?;
        let block = look.block();
        let (size, align) = (block.layout.size() as u64, block.layout.align() as u64);
        let [scheduler, id, trailer] = [self.scheduler, self.id, self.trailer].map(|word| words[word]);
        let is_table = (code ^ self.code) & ((1 << self.table_words) - 1) == 0
            && scheduler == self.scheduler_offset
            && (scheduler..trailer).contains(&id)
            && trailer < size
            && size <= (trailer + self.trailer_bytes).next_multiple_of(align);
        // A cell in no queue has 0 there, and one in a queue the next one's address. What has another task's header in
        // its padding has not.
        if !is_table || !look.word(QUEUE_NEXT)?.is_multiple_of(128) {
            return None;
        }
        let (state, id_bits) = (look.word(0)? & self.true_bits, look.word(id as usize)?);
        let (owner, scheduler) = (look.word(OWNER)?, look.word(scheduler as usize)?);
        let is_plausible = (1..LARGEST).contains(&(state >> STATE_BITS)) && (1..LARGEST).contains(&id_bits);
        is_plausible.then_some(TaskFacts { state, owner, scheduler, table: address, id_bits })
    }
}

/// What a block says of what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Facts {
    Task(TaskFacts),
    Channel(ChannelFacts),
    Socket { descriptor: u32 },
}

/// How a socket's registration is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SocketRule {
    pub(super) size: usize,
    /// Where in its block the address lies that the kernel keeps for it.
    pub(super) offset: usize,
}

/// What was learnt: each rule, or why there is none.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(super) task: Result<TaskRule, &'static str>,
    pub(super) channel: Result<ChannelRule, &'static str>,
    pub(super) socket: Result<SocketRule, &'static str>,
}

impl Rules {
    /// What a block is by itself, if its owner has written it.
    pub(super) fn kind(
        &self,
        look: &impl BlockWords,
        context: &mut Context,
        registered: impl Fn(u64) -> Option<u32>,
    ) -> (Kind, Option<Facts>) {
        let block = look.block();
        if let Ok(rule) = &self.socket
            && block.layout.size() == rule.size
            && block.layout.align() == 128
            && let Some(descriptor) = registered((block.address + rule.offset) as u64)
        {
            return (Kind::Socket, Some(Facts::Socket { descriptor }));
        }
        if let Ok(rule) = &self.task
            && let Some(facts) = rule.facts(look, context)
        {
            return (Kind::Task, Some(Facts::Task(facts)));
        }
        if let Ok(rule) = &self.channel
            && let Some(facts) = rule.facts(look, context)
        {
            return (Kind::Channel, Some(Facts::Channel(facts)));
        }
        (Kind::Unknown, None)
    }

    /// Whether a block of this size can be of that kind: what the majority of its stack's are, it may be as well.
    pub(super) fn may_be(&self, kind: Kind, block: &Block) -> bool {
        match kind {
            Kind::Task => self.task.is_ok(),
            Kind::Channel => self.channel.as_ref().is_ok_and(|rule| rule.is_of_size(block.layout.size())),
            Kind::Socket => self.socket.as_ref().is_ok_and(|rule| rule.size == block.layout.size()),
            Kind::Unknown | Kind::New => false,
        }
    }

    /// Rules for tasks of any size, and for channels and sockets of these.
    #[cfg(test)]
    pub(super) fn of_sizes(channel: usize, socket: usize) -> Self {
        let (scheduler_offset, trailer_bytes) = (32, 40);
        let (table, table_words, code, scheduler, id, trailer) = (16, 10, 0x7F, 8, 9, 7);
        let task = TaskRule {
            table,
            table_words,
            code,
            scheduler,
            id,
            trailer,
            scheduler_offset,
            trailer_bytes,
            true_bits: u64::MAX,
        };
        let form = super::channel_rule::ChannelForm {
            size: channel,
            received: 432,
            senders: 496,
            weak_senders: 504,
        };
        let channel = ChannelRule { forms: [form; 2], tail: 128 };
        Rules { task: Ok(task), channel: Ok(channel), socket: Ok(SocketRule { size: socket, offset: 128 }) }
    }

    /// What is not told apart, and why.
    pub(crate) fn missing(&self) -> Vec<String> {
        let of = |what, why: Option<&&'static str>| why.map(|why| format!("{what} are not told: {why}"));
        [
            of("tasks", self.task.as_ref().err()),
            of("channels", self.channel.as_ref().err()),
            of("sockets", self.socket.as_ref().err()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::Layout;

    use super::super::channel_rule::ChannelForm;
    use super::*;
    use crate::census::Origin;

    /// A table as tokio has one for each type of task.
    #[repr(C)]
    struct Functions {
        code: [fn(); 7],
        offsets: [usize; 3],
        rest: [usize; TABLE],
    }

    fn function() {}

    static TABLE_OF_TASKS: Functions =
        Functions { code: [function; 7], offsets: [80, 32, 40], rest: [0; TABLE] };

    const TASK: TaskRule = TaskRule {
        table: 16,
        table_words: 10,
        code: 0x7F,
        scheduler: 8,
        id: 9,
        trailer: 7,
        scheduler_offset: 32,
        trailer_bytes: 40,
        true_bits: u64::MAX,
    };

    struct Memory {
        block: Block,
        words: [u64; 64],
    }

    impl BlockWords for Memory {
        fn block(&self) -> &Block {
            &self.block
        }

        fn word(&self, offset: usize) -> Option<u64> {
            (offset < self.block.layout.size()).then(|| self.words[offset / 8])
        }
    }

    fn memory(size: usize, words: &[(usize, u64)]) -> Memory {
        let layout = Layout::from_size_align(size, 128).expect("a layout");
        let block = Block {
            address: 4096,
            layout,
            birth: 1,
            origin: Origin::Outside,
            born_ns: 0,
            stack: 0,
            thread: 0,
        };
        let mut memory = Memory { block, words: [0; 64] };
        words.iter().for_each(|(offset, word)| memory.words[offset / 8] = *word);
        memory
    }

    fn table() -> u64 {
        std::ptr::from_ref(&TABLE_OF_TASKS).addr() as u64
    }

    /// An idle task with the id 7, which its runtime and a handle hold.
    fn cell() -> Memory {
        memory(128, &[(0, 2 << STATE_BITS), (16, table()), (OWNER, 3), (32, 0x5000), (40, 7)])
    }

    fn context() -> Option<Context> {
        AddressMap::now().map(Context::new)
    }

    #[test]
    fn a_task_is_one_only_if_all_agree() {
        let Some(mut context) = context() else { return };
        let expected =
            TaskFacts { state: 2 << STATE_BITS, owner: 3, scheduler: 0x5000, table: table(), id_bits: 7 };
        assert_eq!(TASK.facts(&cell(), &mut context), Some(expected));
        let queued = Memory {
            words: {
                let mut words = cell().words;
                words[1] = 0x7F00_0000_1280;
                words
            },
            ..cell()
        };
        assert_eq!(TASK.facts(&queued, &mut context), Some(expected), "it is in a queue");
        // An `Arc` whose padding holds what the task has left, which lay there before: the second word counts it.
        let wrong = [(0, 1), (8, 1), (8, 64), (16, 0), (16, table() + 8), (16, table() + 1), (40, 0)];
        for (offset, word) in wrong {
            let mut cell = cell();
            cell.words[offset / 8] = word;
            assert_eq!(TASK.facts(&cell, &mut context), None, "{word} at {offset}");
        }
        for size in [64, 256, 512] {
            let cell = Memory { words: cell().words, ..memory(size, &[]) };
            assert_eq!(
                TASK.facts(&cell, &mut context),
                None,
                "its trailer ends elsewhere than a block of {size}"
            );
        }
        let others = [
            TaskRule { code: 0x3F, ..TASK },
            TaskRule { code: 0xFF, ..TASK },
            TaskRule { scheduler_offset: 40, ..TASK },
            TaskRule { id: 7, ..TASK },
        ];
        assert!(others.iter().all(|other| other.facts(&cell(), &mut context).is_none()));
    }

    #[test]
    fn a_channel_is_one_only_if_all_agree() {
        let Some(context) = context() else { return };
        let block = Box::new([0_u64; 40]);
        let last = block.as_ptr().addr() as u64;
        let bounded = ChannelForm { size: 512, received: 432, senders: 496, weak_senders: 504 };
        let unbounded = ChannelForm { senders: 456, weak_senders: 464, ..bounded };
        let rule = ChannelRule { forms: [bounded, unbounded], tail: 128 };
        let counts = [(0, 4), (8, 1), (128, last), (136, 9), (432, 7), (496, 3), (504, 0)];
        let shared = || memory(512, &counts);
        let told = |shared: &Memory| rule.facts(shared, &context);
        let facts = told(&shared()).expect("a channel");
        assert_eq!((facts.sent(), facts.queued()), (Some(9), Some(2)));
        assert_eq!((facts.senders, facts.has_receiver), (Some(3), Some(true)));
        for (offset, word) in [(0, 0), (8, 0), (8, 2), (128, 0), (128, table()), (128, last + 4), (136, last)]
        {
            let mut shared = shared();
            shared.words[offset / 8] = word;
            assert_eq!(told(&shared), None, "{word} at {offset}");
        }
        assert_eq!(told(&Memory { words: shared().words, ..memory(384, &[]) }), None);

        let with = |words: &[(usize, u64)]| {
            let mut shared = shared();
            words.iter().for_each(|(offset, word)| shared.words[offset / 8] = *word);
            told(&shared).expect("a channel")
        };
        let closed = with(&[(0, 1), (496, 0)]);
        assert_eq!((closed.sent(), closed.queued(), closed.has_receiver), (Some(8), Some(1), Some(true)));
        let gone = with(&[(0, 4), (496, 3), (504, 1)]);
        assert_eq!((gone.senders, gone.has_receiver), (Some(3), Some(false)), "one is weak");
        let either = with(&[(456, 4), (464, 0)]);
        assert_eq!((either.senders, either.queued()), (None, None), "it adds up in both ways, and differs");
        let neither = with(&[(496, 9)]);
        assert_eq!((neither.senders, neither.queued()), (None, None));
    }

    #[test]
    fn what_is_registered_is_a_socket_whatever_its_padding_holds() {
        let Some(mut context) = context() else { return };
        let socket = Ok(SocketRule { size: 256, offset: 128 });
        let rules = Rules { task: Ok(TASK), channel: Err("as a test"), socket };
        let registration = Memory { words: cell().words, ..memory(256, &[]) };
        let mut kind =
            |data: u64| rules.kind(&registration, &mut context, |address| (address == data).then_some(3)).0;
        assert_eq!([kind(4096 + 128), kind(4096)], [Kind::Socket, Kind::Unknown]);
        assert_eq!(rules.missing(), ["channels are not told: as a test"]);
    }
}
