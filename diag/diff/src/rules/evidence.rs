//! What speaks for a finding, or against it.
//!
//! A new kind is a variant here and its arm in [`report::words`](crate::report::words).

use diag_analysis::allocation_kind::AllocationKind;
use diag_analysis::gauge::Gauge;
use diag_analysis::holders::Certainty;
use diag_analysis::holding::{Behind, HolderOfWaiters, tasks_of};
use diag_analysis::site::Site;
use diag_analysis::source_location::SourceLocation;
use diag_analysis::task_labels::Labels;
use diag_analysis::views::AgeAtFree;
use diag_snapshot::{Bytes, Micros};
use jiff::Timestamp;

use super::fact::{AskedBy, BytesPerSecond, PerSecond, Percent, Probability, Ratio, facts};
use crate::trend::{Rise, Steady};

facts! {
    /// What speaks for a finding, or against it.
    #[non_exhaustive]
    pub enum Evidence {
        // Of a poll under way and its thread.
        /// One poll has not returned for so long.
        PollUnderWay { lasted: Micros },
        /// One poll has been in a blocking call for so long.
        PollAsleep { lasted: Micros },
        /// Of the time that a thread was watched it ran.
        ThreadOnCpu { thread: u32, on_cpu: Micros, watched: Micros },
        /// Of the time that a thread was watched it was ready and did not run.
        ThreadWithoutCpu { thread: u32, waited: Micros, watched: Micros },
        /// Of a time, some task of the system or of the control group was ready and did not run for so long at most.
        CpuWasShort { waited: Micros, of: Micros },
        /// Nobody looked at the thread.
        ThreadNotSeen,
        /// Tasks were woken and no worker has come.
        TasksAwaitWorker { tasks: u64, longest: Micros },
        /// So many polls took so long at least, and all of them together that much of a time.
        SlowPolls { polls: u64, least: Micros, together: Micros, window: Micros },
        /// So often a woken task waited for its poll for so long at least.
        WokenTasksWaited { times: u64, least: Micros },
        /// The cgroup kept the process off the CPUs since start.
        Throttled { since_start: Micros },

        // Of tasks that wake themselves.
        /// A task is polled so often, for the most part by its own wakes.
        SelfWakes { polls: PerSecond, own_wakes: Ratio },
        /// Honest work that yields does the same.
        LooksLikeYielding,

        /// A task is polled so often, and for so large a part of the time.
        PolledOften { polls: PerSecond, busy: Ratio },
        /// No other task woke it last.
        WokenByNoTask,
        /// Another task woke it last.
        WokenByOthers,

        /// It stands at a yield: it asked to be polled again at once.
        ParkedAtYield,
        /// A thread ran, or was ready and without a CPU, nearly all of the time.
        ThreadNeverSlept { ran: Micros, waited: Micros, window: Micros },
        /// All tracked polls together, on whichever thread.
        AllTrackedPollsTook { busy: Micros, polls: u64 },
        /// Where a thread is.
        ThreadIsAt { at: String },
        /// A thread that has much to compute rests no more.
        ComputingLooksTheSame,

        // Of tasks that wait for what others have.
        /// They wait in both snapshots; usual is a pause, or a life of so long.
        WaitsInBoth { tasks: u64, idle: Micros, usual: Micros },
        /// A task waits for the end of one whose peers ended as soon as they were waited for.
        PeersEndedWhenAsked { waited: Micros, spawned_at: Site, age: Micros, ended: u64, most: Micros },
        /// The last piece of work may be longer than all before it.
        LastWorkLooksTheSame,
        /// Of them, woken and not run since.
        WokenAndNotRun { tasks: u64 },
        /// More tasks wait for what others have, and may wait for these.
        WaitBehind { tasks: u64, spawned_at: Site },
        /// Who waits for whom is told by the order of time alone.
        OrderOfTimeOnly,
        /// Whoever has it may rest for long now and then.
        LongPauseLooksTheSame,
        /// Closures hold threads in both snapshots.
        ThreadsHeld { threads: u64 },
        /// Closures that have not begun.
        ClosuresWait { closures: u64, longest: Micros },

        // Of what a sweep of the memory shows.
        /// A task has what so many others wait for, and waits itself.
        HasAndWaits { task: u64, what: String, at: Option<String>, idle: Micros, behind: u64 },
        /// Tasks wait for those that this is about.
        Behind { tasks: u64, spawned_at: Site },
        /// A task waits for another one, which waits as well.
        WaitsForOneThatWaits {
            task: u64,
            spawned_at: Site,
            at: Option<String>,
            what: Option<String>,
            holder: u64,
            idle: Micros,
        },
        /// Nothing that runs can reach a waker of these.
        NoWakerReached { tasks: u64, what: Option<String>, longest_idle: Micros },
        /// A future that a task no longer polls is first in a queue.
        NobodyPollsFirst { task: u64, what: String, at: Option<String> },
        /// The same, and it was given what it waits for.
        NobodyPollsGranted { task: u64, what: String, at: Option<String> },
        /// A task waits for what it has itself.
        WaitsForItself { task: u64 },
        /// All blocks were looked at twice.
        AllBlocksKnown,
        /// Of the blocks that are known nothing else leads there.
        KnownBlocksOnly,
        /// Others may have it or do it as well.
        OthersCouldToo,
        /// So many others point there in the same way.
        OthersMayHaveIt { others: u64 },
        /// A handle may end one of them, and so free the others.
        HandleMayEnd,
        /// Its task may poll that future again.
        MayPollItAgain,
        /// What leads to so many of the sampled blocks that were asked, the outermost first.
        KeptBy { path: Vec<String>, samples: u64, of: u64 },

        // Of tasks that were asked to stop.
        /// They are still there.
        AskedToStop { longest: Micros, asked: Vec<AskedBy> },
        /// Of them, in one poll that began before.
        InOnePoll { tasks: u64 },
        /// Of them, polled again since.
        PolledAgain { tasks: u64 },
        /// Of them, in no poll.
        OutsideOfPolls { tasks: u64 },

        // Of members of groups that were cancelled.
        /// Of so many groups of a kind, asked so long ago.
        MembersGoOn { members: u64, kind: String, groups: u64, least: Micros, longest: Micros },
        /// Others took so long to end.
        EndedAfterCancel { ended: u64, usual: Micros },
        /// One of them, with how many others of its group have ended.
        MemberGoesOn { member: String, group: String, reason: Option<String>, ended: u64, joined: u64 },
        /// Nothing has woken them since.
        NotPolledSinceCancel { members: u64 },
        /// Hardly any have ended, so that nobody knows how long it takes.
        FewEndedAfterCancel { ended: u64, least: u64 },

        // Of tasks that nothing wakes.
        /// Nobody holds a waker of these tasks.
        NobodyWakes { tasks: u64, longest_idle: Micros },
        /// The runtime will not poll them by itself.
        NoPollOwed,
        /// The runtime may poll them once more.
        PollMayBeOwed,
        /// A single task that gave its waker to nothing may wait for ever on purpose.
        PendingOnPurpose,
        /// Nothing can end them.
        NoHandleLeft,
        /// Their last waker went in a poll of a task of this place.
        WakerDroppedBy { tasks: u64, spawned_at: String },
        /// A poll that somebody asked for found them ready.
        FoundReady { tasks: u64, longest_idle: Option<Micros> },
        /// These wakers were there and were not used.
        WakersUnused { wakers: u64 },

        // Of tasks that ended and are held.
        /// The last and the first of them ended so long ago.
        HeldSinceEnd { youngest: Micros, oldest: Micros },
        /// The last and the first of them were first found ended so long ago, and nobody saw the ends.
        HeldSinceFound { youngest: Micros, oldest: Micros },
        /// In how many equal parts of the time they ended.
        EndedInParts { parts: u64, of: u64 },
        /// In how many equal parts of the time those were spawned whose ends nobody saw, and that live shortly.
        SpawnedInParts { parts: u64, of: u64 },
        /// They became more, and so many were released.
        HeldGrew { before: u64, released: u64, after: u64 },
        /// The outputs are not measured.
        OnlyCellsCounted,

        // Of tasks that are idle and stay.
        /// Idle for at least this.
        StaleTasks { tasks: u64, idle: Micros },
        /// Idle for at least this, while nearly all others of the site ended within their usual lifetime.
        StaleAmongEnded { tasks: u64, idle: Micros, ended: u64, usual_lifetime: Micros },
        /// What those did that were stale already.
        CohortStayed { cohort: u64, untouched: u64, window: Micros },
        /// What they are for, by the labels of one key: some values, and how many others there are.
        Labelled { key: String, values: Vec<String>, others: u64 },
        /// Some of those moved on.
        CohortMoved { cohort: u64, ended: u64, polled: u64 },
        /// There were few of those.
        CohortSmall { cohort: u64, least: u64 },
        /// Stale tasks then and now.
        StaleGrew { before: u64, after: u64 },
        /// Tasks of one site spawned all of them, went on, and spawned none since the first snapshot.
        ParentsSpawnNone { parents: Site, spawned: u64, children: u64, spawned_since: u64, window: Micros },
        /// In how many equal parts of the time they went idle.
        WentIdleInParts { parts: u64, of: u64 },
        /// What became of all tasks of the site.
        SinceStart { spawned: u64, ended: u64 },
        /// So many of the tasks that ended since the first snapshot panicked.
        Panicked { tasks: u64, ended: u64 },
        /// Of so many of these panics nobody was told.
        PanicsUnobserved { tasks: u64 },
        /// None of the site lives, and none was spawned since the first snapshot.
        NoneLeft,
        /// Most others ended without a panic.
        OthersEndWell,
        /// None of the site ever ended.
        NoneEnded,
        /// Too few of the site ended to know how long they live.
        FewEnded { ended: u64 },
        /// A task of the site may live for longer than was watched.
        WindowShorterThanLife { usual_lifetime: Micros },
        /// Older than nearly all others of the site lived.
        OutlivedPeers { tasks: u64, ended: u64, usual_lifetime: Micros },
        /// What became of those that were older already.
        OlderStayed { older: u64, ended: u64, window: Micros },
        /// Live tasks then and now, and that they became more in each of so many windows.
        CrowdGrew { before: u64, after: u64, windows: u64, lasted: Micros },
        /// So many of the live tasks were spawned by tasks of the same site.
        SpawnedByOwn { tasks: u64, of: u64 },
        /// No more are spawned than before; half of those that ended first lived within this, nearly all of the last at least that.
        TakeLonger { half: Micros, at_least: Micros },
        /// Nearly all of those that ended before lived within this, and nearly all since at least that.
        LivedLonger { before: u64, within: Micros, since: u64, at_least: Micros },
        /// Work of another kind may take longer.
        OtherWorkLooksTheSame,
        /// None of them is old.
        NoneIsOld,
        /// In how many equal parts of the time since the first of them they were spawned.
        BornInParts { tasks: u64, parts: u64, of: u64, lasted: Micros },
        /// Their last poll was not long ago: they go on, or are new.
        PolledLately { tasks: u64 },
        /// They are of a library, or of code without the recorder, and run this.
        SpawnedByLibrary { runs: String },
        /// The process used so much of a CPU in the first and in the last third of the time: they do nothing.
        CpuUseStayed { first: Percent, last: Percent },
        /// More tasks, too young to judge: younger than so many usual lifetimes, or new where none is known.
        TooYoung { tasks: u64, usual_lifetimes: Option<f64> },

        // Of sockets.
        /// Open and silent for at least this, while nearly all others of the place were closed within their usual lifetime.
        SocketsLeft { sockets: u64, silent: Micros, closed: u64, usual_lifetime: Micros },
        /// What became of those that were left already.
        SocketsStayed { sockets: u64, untouched: u64, window: Micros },
        /// Some of those moved on.
        LeftMoved { sockets: u64, moved: u64 },
        /// There were few of those.
        FewLeftBefore { sockets: u64, least: u64 },
        /// In how many equal parts of the time they were opened.
        OpenedInParts { parts: u64, of: u64 },
        /// Of values that live at a place: so many are to be dropped within so long, and live for so much longer.
        BeyondTheirTime { values: u64, live: u64, within: Micros, least: Micros, longest: Micros },
        /// In use for at least this, while nearly all others of the place were given back within the usual time.
        StillInUse { count: u64, in_use: Micros, given_back: u64, usual: Micros },
        /// What became of those that were in use for long already.
        NotGivenBack { count: u64, untouched: u64, window: Micros },
        /// So many are left for longer than others were open, and so many others that were closed had been open for as long.
        NoneGivenBackLate { kept: u64, longer: Micros, late: u64 },
        /// Only the other side has closed them, for the whole time.
        HalfClosedStayed { sockets: u64, window: Micros },
        /// Most are opened by tasks of this site.
        OpenedBy { spawned_at: Site },

        // Of tasks that are not tracked.
        /// Their number then and now.
        UntrackedGrew { before: u64, after: u64 },
        /// So many more may be a library's.
        OnlyTheirNumber { more: u64 },

        // Of the sampled heap.
        /// New samples against gone ones, and how likely that is by chance.
        SamplesGrew { new_samples: u64, gone_samples: u64, churn: Probability },
        /// What became of old samples.
        OldSamples { samples: u64, usual_lifetimes: f64, freed: u64, window: Micros },
        /// There were few old samples.
        FewOldSamples { samples: u64, least: u64 },
        /// New samples in either half of the time.
        SlowsDown { first_half: u64, second_half: u64 },
        /// A part of the live heap, and what most of it is.
        PartOfHeap { share: Percent, mostly: AllocationKind },
        /// Allocated through a function of a library.
        AllocatedThrough { library: SourceLocation },
        /// A part of a live heap of this size.
        ShareOfHeap { share: Percent, heap: Bytes },
        /// The limit lies in the interval of the share.
        ShareNearLimit { samples: u64, low: Percent, high: Percent, limit: Percent },
        /// What went through a function.
        Allocated { allocated: Bytes, freed: Bytes },
        /// So much of it was allocated by a function.
        AllocatedBy { function: SourceLocation, size: Bytes },
        /// So much is allocated a second, and for each second that the process ran.
        AllocatesPerCpu { rate: BytesPerSecond, per_cpu: BytesPerSecond },
        /// Data that is copied needs memory as fast.
        CopyingLooksTheSame,
        /// How old blocks were when they were freed, and how old the oldest is.
        FreedAtAge { freed: AgeAtFree, oldest: Micros },
        /// None was freed.
        NoneFreed { oldest: Micros },
        /// Of the growth, allocated by tasks that ended.
        OfEndedTasks { allocated: Bytes },
        /// Of all that lives there, allocated by tasks that ended.
        LiveOfEndedTasks { allocated: Bytes },
        /// Messages are queued in the channels of one place, then and now.
        ChannelFills { opened_at: SourceLocation, before: u64, after: u64 },
        /// Allocated by tasks of one site.
        OfSpawnSite { allocated: Bytes, spawned_at: Site },
        /// A look tells no growth.
        OneSnapshot,

        // Of a series.
        /// Growth in each of several windows.
        GrewInWindows { windows: u64, lasted: Micros, growth: Vec<Bytes> },
        /// Growth by steps of large blocks.
        GrewInSteps { steps: u64, lasted: Micros, from: Bytes, to: Bytes },
        /// Resident memory outside of files rose evenly for so long, while there was no more to do; what stayed at the ends of its
        /// windows.
        ResidentRose { lasted: Micros, floors: Vec<Bytes> },
        /// In so many snapshots it was never much smaller than before; its sizes at the ends of the windows.
        NeverFell { snapshots: u64, lasted: Micros, sizes: Vec<Bytes> },
        /// The allocator's own count is all that is known of it.
        HeapNotSampledAtAll,
        /// Another line of the function grew as well.
        AlsoGrew { place: SourceLocation, growth: Bytes, kind: AllocationKind },
        /// A table grew by as much as so many blocks more need in it.
        FitTable { blocks: u64, kind: AllocationKind, place: SourceLocation, growth: Bytes },
        /// The policy says how large it is meant to become.
        AboveBound { bound: Bytes },
        /// The policy says how many are meant to live at once.
        AboveTaskBound { tasks: u64, bound: u64 },
        /// A cache that takes longer to fill does the same.
        SlowCacheLooksTheSame,
        /// It has not gone on for long enough.
        GrowthIsShort { lasted: Micros, least: Micros },
        /// Some windows did not grow.
        GrowthIsUneven,
        /// Two snapshots do not tell whether it goes on.
        PairOnly { windows: u64 },
        /// An earlier pair of the series showed it, and no later one does.
        Ended { until: Timestamp },

        // Of resident memory outside of the Rust heap.
        /// A part of it grew, so much of all.
        PartGrew { from: Bytes, to: Bytes, resident: Bytes },
        /// A part of it is so large.
        PartIsLarge { size: Bytes, share: Percent, resident: Bytes },
        /// A mapped file of this name grew.
        FileGrew { file: String, from: Bytes, to: Bytes },
        /// Threads became more.
        ThreadsGrew { before: u64, after: u64 },
        /// Runtimes are built at a place, and what they have stays: so many new samples, and none gone.
        RuntimesStay { built_at: SourceLocation, samples: u64 },
        /// What the allocator keeps free is in there, and not known.
        AllocatorNotKnown,
        /// The heap is in there, since it is not sampled.
        HeapNotSampled,

        // Of what is counted.
        /// It rose in each of several windows; what stayed at their ends.
        GaugeRose { gauge: Gauge, lasted: Micros, floors: Vec<u64> },
        /// So many tasks for what is counted, where so many are expected for each, and may be off by a share.
        RatioOff { tasks: u64, load: u64, gauge: Gauge, expected: Ratio, limit: Percent },
        /// Tasks of connections that came again may end a little later.
        ReconnectsLookTheSame,
        /// There may be more to do, or a pool may be on its way to its size.
        MoreLoadLooksTheSame,

        // Of two processes.
        /// So many tasks are alive there in either.
        TasksInEither { before: u64, after: u64 },
        /// So many bytes live there in either.
        BytesInEither { before: Bytes, after: Bytes },
        /// They had been up for about as long, and as many tasks had been spawned in them.
        AlikeProcesses { uptime_before: Micros, uptime_after: Micros, spawned_before: u64, spawned_after: u64 },
        /// Nothing tells whether they had as much to do.
        LoadNotKnown,
        /// A pair shows one moment of each.
        OneMomentOfEach,
        /// What is larger may be meant to be.
        MayBeMeant,
    }
}

impl Evidence {
    /// A task has what others wait for, and waits itself.
    pub(super) fn has_and_waits(held: &HolderOfWaiters) -> Self {
        Evidence::HasAndWaits {
            task: held.task.task.0,
            what: held.what.clone(),
            at: held.task.at.clone(),
            idle: Micros(held.task.idle_us),
            behind: tasks_of(&held.behind).count() as u64,
        }
    }

    /// Those that wait behind what a finding is about, by spawn site.
    pub(super) fn victims(behind: &Behind) -> impl Iterator<Item = Evidence> + '_ {
        behind
            .iter()
            .map(|(site, tasks)| Evidence::Behind { tasks: tasks.len() as u64, spawned_at: site.clone() })
    }

    /// Why something is so sure as it is.
    pub(super) fn of_certainty(certainty: Certainty) -> Self {
        match certainty {
            Certainty::Proven => Evidence::AllBlocksKnown,
            Certainty::Likely => Evidence::KnownBlocksOnly,
            _ => Evidence::OthersCouldToo,
        }
    }

    /// Growth in each window of a series.
    pub(super) fn grew_in_windows(growth: &Steady) -> Self {
        Evidence::GrewInWindows {
            windows: growth.windows.len() as u64,
            lasted: Micros(growth.lasted_us),
            growth: growth.windows.iter().map(|flow| Bytes(flow.bytes().max(0.0) as u64)).collect(),
        }
    }

    /// Resident memory that rises evenly.
    pub(super) fn resident_rose(rise: &Rise) -> Self {
        Evidence::ResidentRose {
            lasted: Micros(rise.lasted_us),
            floors: rise.floors.iter().copied().map(Bytes).collect(),
        }
    }
}

/// What tasks are for, as far as they say it.
pub(super) fn labelled(labels: &Labels) -> impl Iterator<Item = Evidence> {
    labels.iter().map(|(key, values)| Evidence::Labelled {
        key: key.clone(),
        values: values.named.clone(),
        others: values.others,
    })
}
