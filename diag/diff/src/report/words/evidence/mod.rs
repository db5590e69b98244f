//! [`Evidence`] in words: those of some nouns are in files of their own, and none is forgotten here.

mod heap;
mod holding;
mod idle_tasks;
mod series;

use std::fmt;

use diag_analysis::human;
use diag_analysis::source_location::plain_path;

use super::{count, size, tasks, time};
use crate::report::Change;
use crate::rules::evidence::Evidence;
use crate::rules::fact::{AskedBy, PerSecond, Percent, Ratio};

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Evidence::*;
        match self {
            PollUnderWay { lasted } => write!(f, "one poll has been under way for {}", time(lasted)),
            PollAsleep { lasted } => {
                write!(f, "one poll has been asleep in a blocking call for {}", time(lasted))
            }
            ThreadOnCpu { thread, on_cpu, watched } => {
                write!(f, "thread {thread} ran on a CPU for {} of {}", time(on_cpu), time(watched))
            }
            ThreadWithoutCpu { thread, waited, watched } => {
                write!(
                    f,
                    "thread {thread} was ready and got no CPU for {} of {}",
                    time(waited),
                    time(watched)
                )
            }
            CpuWasShort { waited, of } => write!(
                f,
                "ready tasks, of this process or of others, got no CPU for up to {} of {}",
                time(waited),
                time(of)
            ),
            ThreadNotSeen => f.write_str("its thread was not looked at: it may have been without a CPU"),
            TasksAwaitWorker { tasks, longest } => write!(
                f,
                "woken tasks that wait for a worker: {}, the longest for {}",
                count(tasks),
                time(longest)
            ),
            SlowPolls { polls, least, together, window } => write!(
                f,
                "{} polls took {} or longer, together at least {} of {}",
                count(polls),
                time(least),
                time(together),
                time(window)
            ),
            WokenTasksWaited { times: 0, least } => {
                write!(f, "no woken task waited for its poll for {} or longer", time(least))
            }
            WokenTasksWaited { times, least } => {
                write!(f, "woken tasks waited for their poll for {} or longer {} times", time(least), count(times))
            }
            Throttled { since_start } => {
                write!(f, "its cgroup kept the process off the CPUs for {} since start", time(since_start))
            }

            SelfWakes { polls: PerSecond(polls), own_wakes: Ratio(own) } => write!(
                f,
                "{} polls a second, {:.0} % of them asked for by the task itself",
                human::count(*polls as u64),
                (own * 100.0).floor()
            ),
            LooksLikeYielding => f.write_str(
                "work that yields between small pieces looks the same: see whether it gets anything done",
            ),
            PolledOften { polls: PerSecond(polls), busy: Ratio(busy) } => write!(
                f,
                "{} polls a second, inside of them for about {:.0} % of the time",
                human::count(*polls as u64),
                busy * 100.0
            ),
            WokenByNoTask => f.write_str("no other task woke it last"),
            WokenByOthers => f.write_str("another task woke it last, so it may have work"),

            ParkedAtYield => f.write_str("it stands at a yield, which asks for the next poll at once"),
            ThreadNeverSlept { ran, waited, window } => write!(
                f,
                "in {} it ran for {} and was ready, without a CPU, for {}: it slept hardly ever",
                time(window),
                time(ran),
                time(waited)
            ),
            AllTrackedPollsTook { busy, polls } => write!(
                f,
                "all tracked polls together, {}, took {} in that time, on whichever thread",
                count(polls),
                time(busy)
            ),
            ThreadIsAt { at } => write!(f, "it is at {}", human::name(at)),
            ComputingLooksTheSame => f.write_str("a thread that computes all the time looks the same"),

            WaitsInBoth { tasks: stuck, idle, usual } => write!(
                f,
                "{} in this wait in both snapshots, idle for up to {}; their pauses, or lives if \
                 this is the first, are of some {} otherwise",
                tasks(stuck, ["is", "are"]),
                time(idle),
                time(usual)
            ),
            PeersEndedWhenAsked { waited, spawned_at, age, ended, most } => write!(
                f,
                "it waits for the end of the task spawned at {spawned_at} for {}, since that was {} old; the {} before it \
                 ended at about that age, none after more than {}",
                time(waited),
                time(age),
                count(ended),
                time(most)
            ),
            LastWorkLooksTheSame => f.write_str("work that takes longer than all before it looks the same"),
            WokenAndNotRun { tasks } => {
                write!(f, "{} of them woken and not run since", count(tasks))
            }
            WaitBehind { tasks: behind, spawned_at } => write!(
                f,
                "{} spawned at {spawned_at} and waiting for what others have: they may be its victims",
                tasks(behind, ["is", "are"])
            ),
            OrderOfTimeOnly => {
                f.write_str("that the others wait for these is told by the order of time alone")
            }
            LongPauseLooksTheSame => {
                f.write_str("whoever has what they wait for may rest for long now and then")
            }
            ThreadsHeld { threads } => write!(
                f,
                "{} for blocking work held by closures that ran in both snapshots and did not return",
                human::counted(*threads, "thread")
            ),
            ClosuresWait { closures, longest } => write!(
                f,
                "{} not begun, the first waits for {}; none began in between",
                match closures {
                    1 => "1 closure has".to_owned(),
                    many => format!("{} closures have", count(many)),
                },
                time(longest)
            ),

            AskedToStop { longest, asked } => {
                write!(f, "asked to stop up to {} ago ({}), and still there", time(longest), by(asked))
            }
            InOnePoll { tasks } => {
                write!(f, "{} of them inside a poll that began before and has not returned", count(tasks))
            }
            PolledAgain { tasks } => {
                write!(f, "{} of them being polled again after it was asked", count(tasks))
            }
            OutsideOfPolls { tasks } => {
                write!(f, "{} of them outside of a poll: no worker has come to drop them", count(tasks))
            }

            MembersGoOn { members, kind, groups, least, longest } => write!(
                f,
                "{} of {} {} on, asked to end {} ago",
                human::counted(*members, "member"),
                human::counted(*groups, &human::name(kind)),
                if *members == 1 { "goes" } else { "go" },
                if time(least) == time(longest) {
                    time(longest)
                } else {
                    format!("{} to {}", time(least), time(longest))
                }
            ),
            EndedAfterCancel { ended, usual } => write!(
                f,
                "99 % of the {} members that ended after they were asked took no longer than {}",
                count(ended),
                time(usual)
            ),
            MemberGoesOn { member, group, reason, ended, joined } => {
                write!(f, "{} of {}", human::name(member), human::name(group))?;
                if let Some(reason) = reason {
                    write!(f, " ({})", human::name(reason))?;
                }
                write!(f, ": {} of {} have ended", count(ended), human::counted(*joined, "member"))
            }
            NotPolledSinceCancel { members } => write!(
                f,
                "{} of them not polled since: nothing that they wait for was told of the cancel",
                count(members)
            ),
            FewEndedAfterCancel { ended, least } => write!(
                f,
                "{} ended after they were asked, fewer than {}: how long it takes is not known",
                human::counted(*ended, "member"),
                count(least)
            ),

            NobodyWakes { tasks: lost, longest_idle } => write!(
                f,
                "{} idle, not scheduled, and nobody holds a waker: nothing can wake them; idle for up to {}",
                tasks(lost, ["is", "are"]),
                time(longest_idle)
            ),
            NoPollOwed => f.write_str("the runtime owes them no poll either"),
            PollMayBeOwed => f.write_str("not proven: the runtime may still owe them a poll"),
            PendingOnPurpose => f.write_str(
                "a single task that gave its waker to nothing may mean to wait for ever: `std::future::pending()` does",
            ),
            NoHandleLeft => f.write_str("no handle is left, so nothing can end them before the process does"),
            WakerDroppedBy { tasks, spawned_at } => write!(
                f,
                "the last waker of {} of them was dropped in a poll of a task spawned at {}, and nobody had woken {}",
                count(tasks),
                human::name(spawned_at),
                if *tasks == 1 { "it" } else { "them" }
            ),
            FoundReady { tasks: ready, longest_idle } => {
                let ready = tasks(ready, ["was", "were"]);
                write!(
                    f,
                    "{ready} found ready by a poll that somebody asked for since the process started, though nothing \
                     had woken them"
                )?;
                longest_idle.map_or(Ok(()), |idle| write!(f, "; idle for up to {} before", time(&idle)))
            }
            WakersUnused { wakers: 0 } => f.write_str("nobody held a waker of them"),
            WakersUnused { wakers: 1 } => f.write_str("somebody held 1 waker of them, and had not used it"),
            WakersUnused { wakers } => {
                write!(f, "somebody held {} wakers of them, and had not used them", count(wakers))
            }

            HeldSinceEnd { youngest, oldest } => {
                write!(f, "they ended {} to {} ago, and none was dropped", time(youngest), time(oldest))
            }
            EndedInParts { parts, of } => {
                write!(f, "they ended in {parts} of {of} equal parts of the time since the first of them")
            }
            HeldSinceFound { youngest, oldest } => write!(
                f,
                "they were first found ended {} to {} ago, and none was dropped; nobody saw them end",
                time(youngest),
                time(oldest)
            ),
            SpawnedInParts { parts, of } => write!(
                f,
                "they were spawned, and live shortly, in {parts} of {of} equal parts of the time since the first of them"
            ),
            HeldGrew { before, released, after } => write!(
                f,
                "held ones went from {} to {}, and {} of the first were released",
                count(before),
                count(after),
                if *released == 0 { "none".to_owned() } else { count(released) }
            ),
            OnlyCellsCounted => f.write_str("what they hold besides their own cell is not counted"),

            StaleTasks { tasks, idle } => {
                write!(f, "{} tasks have done nothing for at least {}", count(tasks), time(idle))
            }
            StaleAmongEnded { tasks, idle, ended, usual_lifetime } => idle_tasks::stale_among_ended(f, tasks, idle, ended, usual_lifetime),
            CohortStayed { cohort, untouched, window } => idle_tasks::cohort_stayed(f, cohort, untouched, window),
            Labelled { key, values, others } => idle_tasks::labelled(f, key, values, others),
            CohortMoved { cohort, ended, polled } => idle_tasks::cohort_moved(f, cohort, ended, polled),
            CohortSmall { cohort, least } => idle_tasks::cohort_small(f, cohort, least),
            StaleGrew { before, after } => {
                write!(f, "resting tasks went from {} to {}", count(before), count(after))
            }
            ParentsSpawnNone { parents, spawned, children, spawned_since, window } => {
                idle_tasks::parents_spawn_none(f, parents, [*spawned, *children, *spawned_since], window)
            }
            WentIdleInParts { parts, of } => write!(
                f,
                "they came to rest one after the other, in {parts} of {of} equal parts of the time since the first of \
                 them"
            ),
            SinceStart { spawned, ended } => {
                write!(f, "since start {} were spawned and {} ended", count(spawned), count(ended))
            }
            Panicked { tasks, ended } => {
                write!(f, "of {} that ended since the first snapshot, {} panicked", count(ended), count(tasks))
            }
            PanicsUnobserved { tasks } => {
                let panics = if *tasks == 1 { "panic" } else { "panics" };
                write!(f, "of {} {panics} nobody was told: no handle was awaited", count(tasks))
            }
            NoneLeft => f.write_str("none of them is left, and none was spawned since"),
            OthersEndWell => f.write_str("most of the others ended without a panic: one piece of work fails alone"),
            NoneEnded => f.write_str("no task of this site ever ended: they may be meant to stay"),
            FewEnded { ended } => write!(
                f,
                "only {} tasks of this site ended, too few to know how long they usually live",
                count(ended)
            ),
            WindowShorterThanLife { usual_lifetime } => write!(
                f,
                "the time between the snapshots is shorter than a usual lifetime ({})",
                time(usual_lifetime)
            ),
            OutlivedPeers { tasks, ended, usual_lifetime } => idle_tasks::outlived_peers(f, tasks, ended, usual_lifetime),
            OlderStayed { older, ended, window } => idle_tasks::older_stayed(f, older, ended, window),
            CrowdGrew { before, after, windows, lasted } => idle_tasks::crowd_grew(f, before, after, windows, lasted),
            SpawnedByOwn { tasks, of } => idle_tasks::spawned_by_own(f, tasks, of),
            TakeLonger { half, at_least } => idle_tasks::take_longer(f, half, at_least),
            LivedLonger { before, within, since, at_least } => {
                idle_tasks::lived_longer(f, [before, since], within, at_least)
            }
            OtherWorkLooksTheSame => f.write_str("work of another kind that takes longer looks the same"),
            NoneIsOld => f.write_str("none of them is older than usual: more load looks the same"),
            BornInParts { tasks, parts, of, lasted } => idle_tasks::born_in_parts(f, tasks, parts, of, lasted),
            PolledLately { tasks } => write!(f, "{} of them were polled lately", count(tasks)),
            SpawnedByLibrary { runs } => {
                write!(f, "they run {}, spawned without `diag::spawn`: what they wait for is not known", human::name(runs))
            }
            CpuUseStayed { first: Percent(first), last: Percent(last) } => {
                f.write_str("there is no more work: the process used ")?;
                write!(f, "{first:.1} % of a CPU in the first third of the time and {last:.1} % in the last")
            }
            TooYoung { tasks, usual_lifetimes: Some(factor) } => {
                write!(f, "{} more are younger than {factor} usual lifetimes: too early to say", count(tasks))
            }
            TooYoung { tasks, usual_lifetimes: None } => {
                write!(f, "{} more were spawned between the snapshots: too early to say", count(tasks))
            }

            ChannelFills { opened_at, before, after } => write!(
                f,
                "messages queued in the channel that is made at {}: {} to {}",
                opened_at.location(),
                count(before),
                count(after)
            ),
            SocketsLeft { sockets, silent, closed, usual_lifetime } => write!(
                f,
                "nothing was sent on {} sockets for at least {}; 99 % of the {} that were closed had been open no longer than {}",
                count(sockets),
                time(silent),
                count(closed),
                time(usual_lifetime)
            ),
            SocketsStayed { sockets, untouched, window } => write!(
                f,
                "of {} that were left in the first snapshot, {} were neither used nor closed in {}",
                count(sockets),
                if untouched == sockets { "all".to_owned() } else { count(untouched) },
                time(window)
            ),
            BeyondTheirTime { values, live, within, least, longest } => write!(
                f,
                "{} of the {} that live were to be dropped within {}, and live on for {} more",
                count(values),
                count(live),
                time(within),
                if time(least) == time(longest) {
                    time(longest)
                } else {
                    format!("{} to {}", time(least), time(longest))
                }
            ),
            StillInUse { count: number, in_use, given_back, usual } => write!(
                f,
                "{} have been in use for at least {}; 99 % of the {} that were given back were in use no longer than {}",
                count(number),
                time(in_use),
                count(given_back),
                time(usual)
            ),
            NotGivenBack { count: number, untouched, window } => write!(
                f,
                "of {} that were in use for long in the first snapshot, {} were not given back in {}",
                count(number),
                if untouched == number { "all".to_owned() } else { count(untouched) },
                time(window)
            ),
            NoneGivenBackLate { kept, longer, late } => write!(
                f,
                "{} of them are left for {} more than that takes; of those that were closed meanwhile {} had been open for as long",
                count(kept),
                time(longer),
                if *late == 0 { "none".to_owned() } else { count(late) },
            ),
            LeftMoved { sockets, moved } => write!(
                f,
                "of {} that were left in the first snapshot, {} were used or closed since",
                count(sockets),
                count(moved)
            ),
            FewLeftBefore { sockets, least } => write!(
                f,
                "only {} were left in the first snapshot already, fewer than {}",
                count(sockets),
                count(least)
            ),
            OpenedInParts { parts, of } => write!(
                f,
                "they were opened one after the other, in {parts} of {of} equal parts of the time since the first of them"
            ),
            HalfClosedStayed { sockets, window } => write!(
                f,
                "the other side had closed {} of them before the first snapshot, and this side did not in {}",
                count(sockets),
                time(window)
            ),
            OpenedBy { spawned_at } => write!(f, "opened by tasks that are spawned at {spawned_at}"),

            UntrackedGrew { before, after } => write!(
                f,
                "tasks that the runtime counts and the recorder does not follow: {}",
                Change { before: *before, after: *after }
            ),
            OnlyTheirNumber { more } => write!(
                f,
                "only their number is known: {} new connections of a library would look the same",
                count(more)
            ),

            SamplesGrew { new_samples, gone_samples, churn } => heap::samples_grew(f, new_samples, gone_samples, churn),
            OldSamples { samples, usual_lifetimes, freed, window } => heap::old_samples(f, samples, usual_lifetimes, freed, window),
            FewOldSamples { samples, least } => heap::few_old_samples(f, samples, least),
            SlowsDown { first_half, second_half } => heap::slows_down(f, first_half, second_half),
            PartOfHeap { share, mostly } => heap::part_of_heap(f, share, mostly),
            AllocatedThrough { library } => {
                let (function, place) = (plain_path(&library.function), library.location());
                write!(f, "most of it through {} ({place})", human::name(&function))
            },
            ShareOfHeap { share, heap } => heap::share_of_heap(f, share, heap),
            ShareNearLimit { samples, low, high, limit } => heap::share_near_limit(f, samples, low, high, limit),
            Allocated { allocated, freed } => heap::allocated(f, allocated, freed),
            AllocatedBy { function, size: of } => {
                write!(f, "{} of it was allocated in {}", size(of), function.location())
            }
            AllocatesPerCpu { rate, per_cpu } => heap::allocates_per_cpu(f, rate, per_cpu),
            CopyingLooksTheSame => f.write_str("a service that copies much data looks the same"),
            FreedAtAge { freed, oldest } => heap::freed_at_age(f, freed, oldest),
            NoneFreed { oldest } => heap::none_freed(f, oldest),
            OfEndedTasks { allocated } => {
                write!(f, "{} of it was allocated by tasks that ended", size(allocated))
            }
            LiveOfEndedTasks { allocated } => {
                write!(f, "{} of what lives there was allocated by tasks that ended", size(allocated))
            }
            OfSpawnSite { allocated, spawned_at } => {
                write!(f, "{} of it was allocated by tasks spawned at {spawned_at}", size(allocated))
            }
            OneSnapshot => f.write_str("one snapshot does not tell whether it grows"),

            GrewInWindows { windows, lasted, growth } => series::grew_in_windows(f, windows, lasted, growth),
            GrewInSteps { steps, lasted, from, to } => series::grew_in_steps(f, steps, lasted, from, to),
            ResidentRose { lasted, floors } => series::resident_rose(f, lasted, floors),
            NeverFell { snapshots, lasted, sizes } => series::never_fell(f, snapshots, lasted, sizes),
            HeapNotSampledAtAll => {
                f.write_str("the heap is not sampled: only the allocator's own count of it is known")
            }
            AlsoGrew { place, growth, kind } => series::also_grew(f, place, growth, kind),
            FitTable { blocks, kind, place, growth } => series::fit_table(f, blocks, kind, place, growth),
            AboveBound { bound } => write!(f, "the policy bounds it at {}", size(bound)),
            AboveTaskBound { tasks, bound } => series::above_task_bound(f, tasks, bound),
            SlowCacheLooksTheSame => f.write_str("a cache that fills for longer looks the same"),
            GrowthIsShort { lasted, least } => series::growth_is_short(f, lasted, least),
            GrowthIsUneven => f.write_str("it did not grow all the time"),
            PairOnly { windows } => write!(
                f,
                "whether it goes on shows after {windows} windows: what fills once looks the same in two snapshots"
            ),
            Ended { until } => {
                write!(f, "it was so until {until:.0}, and the snapshots since then do not show it")
            }

            PartGrew { from, to, resident } => {
                write!(f, "from {} to {}, of {} resident memory", size(from), size(to), size(resident))
            }
            PartIsLarge { size: part, share: Percent(share), resident } => {
                write!(f, "{}, {share:.0} % of {} resident memory", size(part), size(resident))
            }
            FileGrew { file, from, to } => {
                write!(f, "{} went from {} to {} resident", human::name(file), size(from), size(to))
            }
            ThreadsGrew { before, after } => {
                write!(f, "threads went from {} to {}", count(before), count(after))
            }
            RuntimesStay { built_at, samples } => write!(
                f,
                "runtimes are built at {}, and what they have stays: {} new samples of it, 0 freed",
                built_at.location(),
                count(samples)
            ),
            AllocatorNotKnown => f.write_str(
                "what the allocator keeps free is not told, and may be most of it (`allocator_stats` tells)",
            ),
            HeapNotSampled => f.write_str("the Rust heap is in there, since it is not sampled"),

            GaugeRose { gauge, lasted, floors } => series::gauge_rose(f, gauge, lasted, floors),
            RatioOff { tasks, load, gauge, expected, limit } => {
                series::ratio_off(f, [tasks, load], gauge, expected, limit)
            }
            ReconnectsLookTheSame => f.write_str(
                "after many have connected again, the tasks of their old connections may end a little later",
            ),
            MoreLoadLooksTheSame => f.write_str(
                "more load, or a pool that grows to its size, looks the same where a connection has no task of its own",
            ),

            TasksInEither { before, after } => {
                write!(f, "{} tasks are alive there, and {} in the first process", count(after), count(before))
            }
            BytesInEither { before, after } => {
                write!(f, "{} live there, and {} in the first process", size(after), size(before))
            }
            AlikeProcesses { uptime_before, uptime_after, spawned_before, spawned_after } => write!(
                f,
                "both had been up for about as long, {} and {}, and about as many tasks had been spawned, {} and {}",
                time(uptime_before),
                time(uptime_after),
                count(spawned_before),
                count(spawned_after)
            ),
            LoadNotKnown => f.write_str("too few tasks were spawned to tell whether both had as much to do"),
            OneMomentOfEach => f.write_str(
                "it is one moment of each: a wave of work, or a cache that is emptied now and then, looks the same",
            ),
            MayBeMeant => f.write_str("the second may be meant to hold more"),

            HasAndWaits { .. }
            | Behind { .. }
            | WaitsForOneThatWaits { .. }
            | NoWakerReached { .. }
            | NobodyPollsFirst { .. }
            | NobodyPollsGranted { .. }
            | WaitsForItself { .. }
            | AllBlocksKnown
            | KnownBlocksOnly
            | OthersCouldToo
            | OthersMayHaveIt { .. }
            | HandleMayEnd
            | MayPollItAgain
            | KeptBy { .. } => holding::write(self, f),
        }
    }
}

/// `3 by abort, 1 by runtime shutdown`.
fn by(asked: &[AskedBy]) -> String {
    let each = asked.iter().map(|AskedBy { by, tasks }| format!("{} by {}", count(tasks), by.words()));
    each.collect::<Vec<_>>().join(", ")
}
