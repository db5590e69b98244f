//! Learns what tasks, channels and sockets of this build's tokio look like, from some that are made for that.
//!
//! On a runtime that runs nothing: two tasks of different sizes, a blocking closure, both kinds of channel, a pair of
//! sockets. What is true of them is compared with what tokio says of them: ids, references, ends, messages, descriptors.
//! Where anything differs from what the rules expect, there is no such rule, and whoever asks is told why. No thread is
//! started for it, and nothing is polled.

use std::cell::Cell;
use std::future::{Future, pending};

use tokio::net::UnixDatagram;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::address_map::{AddressMap, Place};
use super::channel_rule::{ChannelFacts, ChannelForm, ChannelRule};
use super::rules::{
    BlockWords, COMPLETE, Context, JOIN_INTEREST, NOTIFIED, OWNER, QUEUE_NEXT, Rules, STATE_BITS, SocketRule,
    TABLE, TaskRule,
};
use crate::census::Block;
use crate::census::each;
use crate::runtime;
use crate::sys::procfs;
use crate::task::tokio_id;

type Learnt<T> = Result<T, &'static str>;

const NOT_ONE_BLOCK: &str = "what is made is not one block that is aligned to 128 bytes";

thread_local! {
    static IS_LEARNING: Cell<bool> = const { Cell::new(false) };
}

/// True while this thread makes blocks to learn from, which are entered though they are the recorder's own.
pub(crate) fn is_learning() -> bool {
    IS_LEARNING.get()
}

/// Learns all rules; or why that cannot be done now. The calling thread may be inside of a runtime.
pub(crate) fn learn() -> Learnt<Rules> {
    let _learning = Learning::new();
    let bench = Bench::new().ok_or("diag::Alloc is not the allocator of this service")?;
    let map = AddressMap::now().ok_or("the system does not tell what is mapped")?;
    let runtime = Builder::new_current_thread().enable_io().build();
    let mut runtime = Own(Some(runtime.map_err(|_| "no runtime could be started to learn from")?));
    let context = &mut Context::new(map);
    // Channels are written at once, but their blocks may be mapped after the map was made.
    let channel = channel(&bench);
    let socket = runtime.enter(|| socket(&bench));
    let task = task(&bench, &mut runtime, context);
    Ok(Rules { task, channel, socket })
}

/// While it lives, the thread learns.
struct Learning;

impl Learning {
    fn new() -> Self {
        IS_LEARNING.set(true);
        Learning
    }
}

impl Drop for Learning {
    fn drop(&mut self) {
        IS_LEARNING.set(false);
    }
}

/// A runtime that can be dropped where another one is at work, too.
struct Own(Option<Runtime>);

impl Own {
    fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.0.as_ref().map(Runtime::enter);
        work()
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) -> Learnt<JoinHandle<()>> {
        self.0.as_ref().map(|runtime| runtime.spawn(future)).ok_or("the runtime has ended")
    }

    /// Ends all tasks.
    fn shut_down(&mut self) {
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// A block as it was at one moment.
struct Seen {
    block: Block,
    words: Vec<u64>,
}

impl BlockWords for Seen {
    fn block(&self) -> &Block {
        &self.block
    }

    fn word(&self, offset: usize) -> Option<u64> {
        self.words.get(offset / 8).copied()
    }
}

impl Seen {
    /// The block at this address as it is now.
    fn at(address: usize) -> Learnt<Self> {
        seen(|block| block.address == address).pop().ok_or("a block was not found again")
    }

    fn again(&self) -> Learnt<Self> {
        Seen::at(self.block.address)
    }

    fn offsets(&self) -> impl Iterator<Item = usize> {
        (0..self.words.len()).map(|word| word * 8)
    }
}

fn seen(is_it: impl Fn(&Block) -> bool) -> Vec<Seen> {
    let mut found = Vec::new();
    each(|pinned| {
        if is_it(pinned.block()) {
            let words = (0..pinned.block().layout.size()).step_by(8).map_while(|offset| pinned.word(offset));
            found.push(Seen { block: *pinned.block(), words: words.collect() });
        }
    });
    found
}

/// Where blocks are made one at a time.
struct Bench {
    thread: u32,
}

impl Bench {
    /// `None` if blocks of this thread do not come into the census.
    fn new() -> Option<Self> {
        #[repr(align(128))]
        struct Aligned([u8; 128]);
        let block = Box::new(Aligned([0; 128]));
        let address = std::hint::black_box(&*block).0.as_ptr().addr();
        Some(Bench { thread: seen(|block| block.address == address).first()?.block.thread })
    }

    /// What `make` makes, and the one block of the census that it takes.
    fn make<T>(&self, make: impl FnOnce() -> Learnt<T>) -> Learnt<(T, Seen)> {
        let (made, mut found) = self.make_all(make)?;
        match (found.pop(), found.len()) {
            (Some(seen), 0) => Ok((made, seen)),
            _ => Err(NOT_ONE_BLOCK),
        }
    }

    fn make_all<T>(&self, make: impl FnOnce() -> Learnt<T>) -> Learnt<(T, Vec<Seen>)> {
        let before: Vec<u64> =
            seen(|block| block.thread == self.thread).iter().map(|seen| seen.block.birth).collect();
        let made = make()?;
        let is_new = |block: &Block| block.thread == self.thread && !before.contains(&block.birth);
        Ok((made, seen(is_new)))
    }
}

/// A task that was made to learn from, while it lives and has not ended.
struct Cells {
    handle: JoinHandle<()>,
    cell: Seen,
}

impl Cells {
    fn id_bits(&self) -> u64 {
        tokio_id::bits(self.handle.id())
    }
}

fn task(bench: &Bench, runtime: &mut Own, context: &mut Context) -> Learnt<TaskRule> {
    let spawn = |made: Learnt<(JoinHandle<()>, Seen)>| made.map(|(handle, cell)| Cells { handle, cell });
    let small = spawn(bench.make(|| runtime.spawn(pending())))?;
    let held = [1_u64; 40];
    let large = spawn(bench.make(|| {
        runtime.spawn(async move {
            pending::<()>().await;
            std::hint::black_box(held);
        })
    }))?;
    let rule = TaskRule::of(&small, &large, context)?;
    let state = |cells: &Cells| Ok::<_, &'static str>(cells.cell.again()?.words[0]);
    for cells in [&small, &large] {
        if rule.facts(&cells.cell.again()?, context).is_none_or(|facts| facts.id_bits != cells.id_bits()) {
            return Err("the rule for tasks does not hold for one");
        }
        let before = state(cells)?;
        let another = cells.handle.abort_handle();
        let after = state(cells)?;
        drop(another);
        if after != before + (1 << STATE_BITS) || before & (COMPLETE | NOTIFIED) != NOTIFIED {
            return Err("references of a task are not counted where they were expected");
        }
    }
    // Both belong to one runtime, and a closure on a blocking thread to none.
    let owner = small.cell.again()?.words[OWNER / 8];
    if owner == 0 || large.cell.again()?.words[OWNER / 8] != owner {
        return Err("a task does not say which runtime it belongs to");
    }
    let handle = runtime.0.as_ref().map(|runtime| runtime.handle().clone()).ok_or("the runtime has ended")?;
    let scheduler = rule.facts(&small.cell.again()?, context).map_or(0, |facts| facts.scheduler);
    if !runtime::words_of(&handle).contains(&scheduler) {
        return Err("a task does not say what runs it");
    }
    runtime.shut_down();
    if state(&small)? & COMPLETE == 0 || state(&large)? & COMPLETE == 0 {
        return Err("a task that has ended does not say so");
    }
    let with_handle = state(&large)?;
    let another = large.handle.abort_handle();
    drop(large.handle);
    let without = large.cell.again()?.words[0];
    drop(another);
    // Before some version the bit stays when the handle of an ended task goes.
    let tells_handle = with_handle & JOIN_INTEREST != 0 && without & JOIN_INTEREST == 0;
    let rule = TaskRule { true_bits: if tells_handle { u64::MAX } else { !JOIN_INTEREST }, ..rule };
    // No thread is started for it any more, and it ends at once.
    let blocking =
        bench.make(|| Ok(handle.spawn_blocking(|| ()))).map(|(handle, cell)| Cells { handle, cell })?;
    match rule.facts(&blocking.cell.again()?, context) {
        Some(facts) if facts.id_bits == blocking.id_bits() && facts.owner == 0 => Ok(rule),
        _ => Err("the rule for tasks does not hold for a closure on a blocking thread"),
    }
}

impl TaskRule {
    fn of(small: &Cells, large: &Cells, context: &mut Context) -> Learnt<Self> {
        let cells = [&small.cell, &large.cell];
        if cells.iter().any(|cell| cell.words[QUEUE_NEXT / 8] % 128 != 0) {
            return Err("a task's cell is not linked where it was expected");
        }
        let mut table_of = |cell: &Seen| {
            cell.offsets().take(8).find_map(|offset| {
                let table = context.table(cell.word(offset)?)?;
                let code = table.code & ((1 << 10) - 1);
                (code.count_ones() == 7).then_some((offset, table.words, code))
            })
        };
        let (Some((table, small_table, code)), Some((other, large_table, other_code))) =
            (table_of(&small.cell), table_of(&large.cell))
        else {
            return Err("a task's cell has no table of seven functions");
        };
        if (table, code) != (other, other_code) || small_table == large_table {
            return Err("the tables of two tasks differ in their form, or are one");
        }
        let is_offset = |word: &usize| {
            code & 1 << word == 0 && small_table[*word] < small.cell.block.layout.size() as u64
        };
        let offsets = || (0..TABLE).filter(is_offset);
        let holds_id = |table: &[u64; TABLE], cells: &Cells, word: usize| {
            cells.cell.word(table[word] as usize) == Some(cells.id_bits())
        };
        let id = offsets()
            .find(|&word| holds_id(&small_table, small, word) && holds_id(&large_table, large, word))
            .ok_or("a task's cell has no id where its table says")?;
        let trailer = (0..10)
            .filter(is_offset)
            .max_by_key(|&word| small_table[word])
            .filter(|&word| word != id && large_table[word] > small_table[word])
            .ok_or("a task's table does not say where its trailer is")?;
        let scheduler = (0..10)
            .filter(is_offset)
            .find(|&word| word != id && word != trailer && small_table[word] == large_table[word])
            .ok_or("a task's table does not say where its scheduler is")?;
        let left =
            |table: &[u64; TABLE], cell: &Seen| (cell.block.layout.size() as u64).checked_sub(table[trailer]);
        let trailer_bytes =
            left(&small_table, &small.cell).min(left(&large_table, &large.cell)).filter(|&bytes| bytes > 0);
        let trailer_bytes = trailer_bytes.ok_or("a task's trailer is not in its cell")?;
        let scheduler_offset = small_table[scheduler];
        let table_words = id.max(trailer).max(scheduler).max(9) + 1;
        Ok(TaskRule {
            table,
            table_words,
            code,
            scheduler,
            id,
            trailer,
            scheduler_offset,
            trailer_bytes,
            // Until that is known.
            true_bits: !JOIN_INTEREST,
        })
    }
}

fn channel(bench: &Bench) -> Learnt<ChannelRule> {
    let ((sender, mut receiver), with_bound) = bench.make(|| Ok(mpsc::channel::<u8>(4)))?;
    let ((unbounded_sender, mut unbounded_receiver), without) =
        bench.make(|| Ok(mpsc::unbounded_channel::<[u64; 9]>()))?;
    // Blocks of messages that were mapped for these are in it.
    let context = &Context::new(AddressMap::now().ok_or("the system does not tell what is mapped")?);
    let tails = [
        tail(&with_bound, context, || _ = sender.try_send(1))?,
        tail(&without, context, || _ = unbounded_sender.send([2; 9]))?,
    ];
    if tails[0] != tails[1] {
        return Err("the two kinds of channel count their messages at different places");
    }
    let bounded =
        form(&with_bound, || receiver.try_recv().is_ok(), || sender.clone(), || sender.downgrade())?;
    let unbounded = form(
        &without,
        || unbounded_receiver.try_recv().is_ok(),
        || unbounded_sender.clone(),
        || unbounded_sender.downgrade(),
    )?;
    let rule = ChannelRule { forms: [bounded, unbounded], tail: tails[0] };
    let facts = |seen: &Seen| {
        rule.facts(&seen.again()?, context).ok_or("the rule for channels does not hold for one")
    };
    let another = (sender.clone(), unbounded_sender.clone());
    let with_another = [facts(&with_bound)?, facts(&without)?];
    drop(another);
    drop((sender, unbounded_sender));
    let closed = [facts(&with_bound)?, facts(&without)?];
    let is_told = |facts: &ChannelFacts, senders| {
        let counted = [facts.sent(), facts.queued(), facts.senders];
        counted == [Some(1), Some(0), Some(senders)] && facts.has_receiver == Some(true)
    };
    if with_another.iter().all(|facts| is_told(facts, 2)) && closed.iter().all(|facts| is_told(facts, 0)) {
        Ok(rule)
    } else {
        Err("a channel does not count what was done to it")
    }
}

/// Where a channel counts what these do, of which each is done once.
fn form<S, W>(
    made: &Seen,
    receive: impl FnOnce() -> bool,
    sender: impl FnOnce() -> S,
    weak_sender: impl FnOnce() -> W,
) -> Learnt<ChannelForm> {
    let (_, received) = counter(made, receive)?;
    let (sender, senders) = counter(made, sender)?;
    let (weak_sender, weak_senders) = counter(made, weak_sender)?;
    drop((sender, weak_sender));
    Ok(ChannelForm { size: made.block.layout.size(), received, senders, weak_senders })
}

/// What `act` makes, and the one word that has become one more by it, besides the first, which counts all ends.
fn counter<T>(made: &Seen, act: impl FnOnce() -> T) -> Learnt<(T, usize)> {
    let before = made.again()?;
    let done = act();
    let after = made.again()?;
    let counts = |offset: &usize| {
        *offset > 0 && after.word(*offset) == before.word(*offset).map(|word| word.wrapping_add(1))
    };
    let mut counters = before.offsets().filter(counts);
    match (counters.next(), counters.next()) {
        (Some(offset), None) => Ok((done, offset)),
        _ => Err("the ends of a channel are not counted where they were expected"),
    }
}

/// Where the address of the last block of messages is: before the one word that counts a message more.
fn tail(before: &Seen, context: &Context, send: impl FnOnce()) -> Learnt<usize> {
    send();
    let after = before.again()?;
    let counts = |offset: &usize| {
        let at = *offset / 8;
        at > 0
            && after.words[at] == before.words[at] + 1
            && after.words[at - 1] == before.words[at - 1]
            && context.place(after.words[at - 1]) == Some(Place::Writable)
    };
    let mut tails = before.offsets().filter(counts);
    match (tails.next(), tails.next()) {
        (Some(offset), None) => Ok(offset - 8),
        _ => Err("a channel does not count its messages where that was expected"),
    }
}

fn socket(bench: &Bench) -> Learnt<SocketRule> {
    let (sockets, found) =
        bench.make_all(|| UnixDatagram::pair().map_err(|_| "no socket could be made to learn from"))?;
    let registered = procfs::registered().ok_or("the system does not tell what is registered with epoll")?;
    let [one, other] = &found[..] else { return Err(NOT_ONE_BLOCK) };
    let offset = |seen: &Seen| {
        let block = &seen.block;
        let is_inside =
            |data: &u64| (block.address as u64..).zip(0..block.layout.size()).any(|(at, _)| at == *data);
        let mut inside = registered.iter().map(|registered| registered.data).filter(is_inside);
        inside.next().map(|data| data as usize - block.address)
    };
    let layout = |seen: &Seen| seen.block.layout;
    drop(sockets);
    match (offset(one), offset(other)) {
        (Some(offset), Some(same)) if offset == same && layout(one) == layout(other) => {
            Ok(SocketRule { size: layout(one).size(), offset })
        }
        _ => Err("the kernel keeps something else than the address of a socket's registration"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests of the library have another global allocator.
    #[test]
    fn without_the_allocator_nothing_is_learnt_and_that_is_said() {
        assert_eq!(learn().err(), Some("diag::Alloc is not the allocator of this service"));
    }
}
