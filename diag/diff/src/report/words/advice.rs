//! [`Advice`] in words.

use std::fmt;

use diag_analysis::await_point::{Direction, WaitKind};
use diag_analysis::gauge::Gauge;
use diag_snapshot::{DescriptorKind, Micros};

use super::{count, time};
use crate::rules::advice::Advice;

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Advice::*;
        f.write_str(match self {
            MoveWorkAway => "move the work to `spawn_blocking` or a thread of its own, or let it yield",
            BlockElsewhere => {
                "use the async form of the call, or `spawn_blocking`; do not hold std locks across long work"
            }
            GiveCpu => "give the process more CPU, or fewer busy threads, before looking at the task",
            LookAtThread => "look at the thread: take a snapshot with the stacks of threads switched on",
            WaitForSomething => {
                "let it wait for something: a `Notify`, a channel or a timer in place of `yield_now` or of waking \
                 itself"
            }
            SeeWhyItNeverRests => {
                "look at its loop: a `recv` that returns `None` at once after the last sender is gone has to end it, and \
                 `try_recv` with `yield_now` should be an awaited `recv`"
            }
            ProfileTheCpu => {
                "take a CPU profile (`/debug/pprof/profile?seconds=10` of the agent, with the feature `cpu-profile`): it \
                 shows in which function the thread is; spawn your own tasks with `diag::spawn`, so that theirs is known"
            }
            FindWhoHasIt { waits } => return f.write_str(who_has(*waits)),
            OneOrderOfLocks => {
                "take what each of them needs in one order everywhere, or give the first back before waiting for the next; a \
                 full channel whose receiver waits for its senders is such a need, too"
            }
            GiveBackOwn => {
                "see what this task has of it already: a guard that lives across this wait, or a future that `select!` by `&mut` left \
                 in the queue unpolled; drop that first"
            }
            LeaveTheCycle => {
                "let one of them not wait: answer from a task of its own, send with `try_send`, or drop the end that nobody \
                 uses before waiting for the others"
            }
            KeepOneThatWakes => {
                "see who was to wake it: keep the sender or the `Notify` where it is used, drop the last sender so that the \
                 receiver ends, or wait with a timeout"
            }
            DropTheFuture => {
                "drop the future before the task waits for something else, or go on polling it: `select!` by `&mut` leaves it in \
                 its queue; a `Mutex` that is not kept across an `.await` has no such queue"
            }
            GiveBackFirst { what } => {
                return write!(
                    f,
                    "give the {} back before that wait, or bound the wait: what needs no lock can be awaited outside of it",
                    diag_analysis::human::name(what)
                );
            }
            EvictFrom { keeper } => {
                return write!(
                    f,
                    "let {} give up what is no longer needed: evict by age or number, remove what ends, or keep a `Weak`",
                    diag_analysis::human::name(keeper)
                );
            }
            BreakTheCycle => {
                "break the cycle of `Arc`s with a `Weak` for the way back, or take it apart when its owner ends"
            }
            FreeBlockingThreads => {
                "look at what these closures wait for: one that blocks on a future which itself needs a thread of the \
                 pool waits for ever; await first and move only the computation to the pool"
            }
            BoundTheClosure => {
                "a running closure cannot be aborted: give it a flag to look at, or bound what it does"
            }
            LetItYield => "let it yield: await something, or `yield_now`, inside of its long loops",
            SeeItsWorker => {
                "see which worker should run them: its thread may be blocked, or the LocalSet is not driven any more"
            }
            PassTheCancel { kind } => {
                return write!(
                    f,
                    "let these members hear of it: a branch of `select!` that waits for `cancelled()` of their {} beside what \
                     they await, or a timeout of their clean-up; `abort` ends those that have nothing to take back",
                    diag_analysis::human::name(kind)
                );
            }
            LookAtLastAwait => {
                "look at what these tasks awaited last: a future that returned `Pending` without keeping the waker, \
                 or whose waker was dropped without a wake"
            }
            WakeEveryWaker => {
                "look at what wakes these tasks: whoever makes that ready has to wake every waker that it was given"
            }
            TakeHandles => {
                "await or drop the handles of tasks that ended: `JoinSet::join_next` takes them out of the set, \
                 `TaskTracker` keeps none"
            }
            CompareTasksAgain { after } => {
                return write!(
                    f,
                    "take a third snapshot {} after the second and compare the second with it: if these tasks are \
                     still there, they leak",
                    time(after)
                );
            }
            EndTheWait { spawned_at, needs: Some(Direction::Give) } => {
                return write!(
                    f,
                    "look at who has what the future spawned at {spawned_at} waits for: a receiver that takes nothing \
                     more, or a guard, permit or connection that is never given back; a timeout would only hide it"
                );
            }
            EndTheWait { spawned_at, needs: Some(Direction::Receive) | None } => {
                return write!(
                    f,
                    "look at what the future spawned at {spawned_at} awaits after its work is done, and give it an \
                     end: a timeout, a cancellation, or drop the sender that it waits on"
                );
            }
            EndWhenAsked { spawned_at } => {
                return write!(
                    f,
                    "see that the future spawned at {spawned_at} hears that it is to end wherever it waits, between two tries \
                     as well, or give whoever waits for it a timeout after which it is aborted"
                );
            }
            EndTheOtherWait { spawned_at, tasks, at } => {
                return write!(
                    f,
                    "look first at the {} of those spawned at {spawned_at} that wait elsewhere, for {at}: they may have what \
                     the others wait for, who go on once that wait has an end, a timeout or a cancellation",
                    count(tasks)
                );
            }
            EndWithOwner { spawned_at } => {
                return write!(
                    f,
                    "end the future spawned at {spawned_at} with whoever needs it: abort its handle when that is dropped, \
                     or give it a cancellation; dropping the handle only detaches it"
                );
            }
            ShareWhatSpawns { spawned_at } => {
                return write!(
                    f,
                    "look at what {spawned_at} asks the library for each time, as a client, a pool or a connection of \
                     its own: share one, or give it a limit and an idle timeout, and end what is done with"
                );
            }
            CompareBuilds => {
                "see what changed there between the two builds or their settings; a series of the second tells whether \
                 it grows, and `fail_on = \"possible\"` in the policy makes a check fail by this pair"
            }
            BoundWhatSpawns { spawned_at } => {
                return write!(
                    f,
                    "bound what tasks spawned at {spawned_at} spawn: count the tries and pause ever longer, leave out what was \
                     seen, limit how many run at once"
                );
            }
            KeepUp { spawned_at } => {
                return write!(
                    f,
                    "look at what tasks spawned at {spawned_at} wait for: it serves fewer than come; serve several at once, or \
                     let no more in than it serves"
                );
            }
            SeeWhoIsTold { spawned_at } => {
                return write!(
                    f,
                    "read the panic in the log, and see who is told of it: await the `JoinHandle` of what is spawned at \
                     {spawned_at}, and start it anew or end the service"
                );
            }
            FindWhatTheyWaitFor { spawned_at } => {
                return write!(
                    f,
                    "look at what tasks spawned at {spawned_at} wait for before they end: a pool, a lock or a peer, and \
                     the timeout that ends them now"
                );
            }
            TrackOwnTasks => {
                "spawn your own tasks with `diag::spawn`, so that the rest is what libraries spawn; then take a third \
                 snapshot and see whether the rest still grows"
            }
            WatchHeap { times, after } => {
                let looks = more_looks(*times, after);
                return write!(f, "{looks}: a cache stops growing at its limit, a leak does not");
            }
            SampleTheHeap => {
                "sample the heap (`Alloc` as the global allocator): the functions whose memory grows are then named"
            }
            TrimAllocator => {
                "it is no leak: bursts on many threads leave free memory in each arena. Set `MALLOC_ARENA_MAX=2` or \
                 `M_ARENA_MAX`, call `malloc_trim(0)` after a burst, or use jemalloc or mimalloc with decay; \
                 `allocator_stats(diag::glibc_stats)` tells how much it is"
            }
            FindWhoMaps => {
                "look at C libraries and at `mmap` without `munmap`; switch on `allocator_stats` to tell free memory of the \
                 allocator from it"
            }
            UnmapFiles => "look at who maps these files and keeps the mapping: unmap, or reopen after a rotation",
            EndThreads => {
                "look at who starts threads, or blocking closures that never return: join them, or give them an end"
            }
            ShareTheRuntime { built_at } => {
                return write!(
                    f,
                    "build one runtime and share it in place of one each time at {}, or drop each or call its \
                     `shutdown_timeout`",
                    built_at.location()
                );
            }
            WatchMemory { times, after } => {
                return write!(f, "{}: what fills once stops growing", more_looks(*times, after));
            }
            FindWhoOpens { gauge, after } => {
                return write!(
                    f,
                    "look at {}; one more snapshot {} after the last tells whether it goes on",
                    who_opens(gauge),
                    time(after)
                );
            }
            BoundTheChannel { opened_at } => {
                return write!(
                    f,
                    "bound the channel that is made at {}, so that who sends waits or drops; or find out why its receiver is slower \
                     than its senders",
                    opened_at.location()
                );
            }
            GiveBack { opened_at, what: Some(what) } => {
                return write!(
                    f,
                    "look at what keeps each {} that is acquired at {} after its last use: drop it, or give it back on every path, \
                     errors included, or bound how long one may be kept",
                    diag_analysis::human::name(what),
                    opened_at.location()
                );
            }
            DropInTime { made_at } => {
                return write!(
                    f,
                    "look at what keeps the values that are made at {} beyond their time: a map without an end of its entries, a task \
                     that goes on, a cycle of `Arc`; or say a longer time where that is meant",
                    made_at.location()
                );
            }
            GiveBack { opened_at, what: None } => {
                return write!(
                    f,
                    "look at what keeps the connections that are opened at {} after their last use: drop them, give them back to \
                     their pool on every path, errors included, or bound how long one may be silent",
                    opened_at.location()
                );
            }
            DropWhenClosed { opened_at } => {
                return write!(
                    f,
                    "look at who reads from the sockets that are opened at {}: a read of 0 bytes, or an error, is their end, and \
                     the socket is to be dropped then",
                    opened_at.location()
                );
            }
            FindTasksWithout { gauge } => {
                return write!(
                    f,
                    "see which spawn site has more tasks than there are {gauge}, and end each with what it is there for"
                );
            }
            FindMissingTasks { gauge } => {
                return write!(
                    f,
                    "see which {gauge} have no task: one that panicked or was cancelled is not started again by itself"
                );
            }
            FindTheKeeper { function } => {
                return write!(
                    f,
                    "look at what keeps the memory of {} after its task is done, often a map without a limit or an \
                     expiry",
                    function.location()
                );
            }
            ReuseTheMemory { function } => {
                return write!(
                    f,
                    "look at what {} makes anew each time: keep the buffer and clear it, or look into the data in place of a \
                     clone of it",
                    function.location()
                );
            }
            FindTheBound { function } => {
                return write!(
                    f,
                    "look at what bounds it: a limit, an expiry, a size that {} asks for; two snapshots tell whether \
                     it grows",
                    function.location()
                );
            }
        })
    }
}

/// Who opens what becomes more.
fn who_opens(gauge: &Gauge) -> &'static str {
    match gauge {
        Gauge::Descriptors(DescriptorKind::Socket) => {
            "who opens sockets and keeps them: a client or a pool for each call, a connection that is taken and never \
             given back, a server without an idle timeout"
        }
        Gauge::Descriptors(DescriptorKind::Eventfd | DescriptorKind::Eventpoll) => {
            "who builds runtimes or reactors and keeps them: one for each call or test"
        }
        Gauge::Descriptors(_) | Gauge::OpenFiles => "who opens them and does not close them",
        Gauge::EndedChildren => {
            "who starts processes and does not wait for them: std's `Child` is not waited for when it is dropped; await \
             `wait`, or let tokio's `Child` do so"
        }
        Gauge::Published(_) => "who counts it up and not down again",
    }
}

fn more_looks(times: u64, after: &Micros) -> String {
    let after = time(after);
    if times == 1 {
        return format!("take one more snapshot {after} after the last and judge it with the others");
    }
    format!(
        "take {} more snapshots, one every {after}, and judge them with the others (`diag watch` does)",
        count(&times)
    )
}

/// Who has what a task waits for.
fn who_has(waits: WaitKind) -> &'static str {
    use WaitKind::*;
    match waits {
        MpscSend | ChannelSend => {
            "look at the receiver of this channel: it takes nothing more, often because it waits for a send of its own; \
             break the circle (`try_send`, an unbounded reply, or one task less), a timeout would only hide it"
        }
        Semaphore => {
            "look at who has the permits: one that is kept across another wait, or in a future that nobody polls, is \
             never given back; a timeout would only hide it"
        }
        Pool => {
            "look at who has the connections: one that is kept across another wait, or in a future that nobody polls, \
             is never given back; a timeout would only hide it"
        }
        OnceCell => {
            "look at who fills this cell: it waits for something itself, often for what waits for the cell; a timeout would \
             only hide it"
        }
        kind if kind.is_for_an_answer() => {
            "look at who is to answer: the other end is kept and neither used nor dropped (an early return, a list that \
             nobody looks at); what waits behind goes on as soon as it is"
        }
        _ => {
            "look at who has this lock: a guard that is kept across another wait, or a future first in the queue that \
             nobody polls (`select!` by `&mut`), means that it is never given back; a timeout would only hide it"
        }
    }
}
