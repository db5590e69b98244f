//! What one client has been told, and what it has to be told next.

use std::collections::BTreeSet;
use std::mem;

use console_api::instrument::Update;
use console_api::{RegisterMetadata, async_ops, resources, tasks};
use prost::Message;
use prost_types::Timestamp;

use super::moment::{End, Known, Moment};
use super::task::in_use_bytes;
use super::wire::Target;

/// A message is no larger: the client takes 4 MiB, and one that would be larger ends its connection.
const LARGEST_MESSAGE_BYTES: usize = 3 << 20;
/// Around what is counted of an entry: its number, twice, and its lengths.
const ENTRY_BYTES: usize = 40;
/// The bytes of a task are told anew when they are so many times as many, or as few.
const TOLD_BYTES_FACTOR: u64 = 2;

/// All that one client knows.
#[derive(Debug, Default)]
pub(super) struct Told {
    tasks: Known<tasks::Task, tasks::Stats>,
    resources: Known<resources::Resource, resources::Stats>,
    operations: Known<async_ops::AsyncOp, async_ops::Stats>,
    has_metadata: bool,
}

/// Something of which a client is to hear: that it is there, if that is news, and its figures.
struct News<New, Stats> {
    id: u64,
    new: Option<New>,
    stats: Stats,
}

impl Told {
    /// The messages that bring the client from what it knows to this moment: at least one, for its clock.
    ///
    /// The client shows fields as they were when it heard of a task. It is told of a task again when they have changed, unless
    /// the task is among the `watched`: its page would stay with the task as it was.
    pub(super) fn updates(&mut self, moment: &Moment, watched: &BTreeSet<u64>) -> Vec<Update> {
        let mut messages = Messages::new(moment.at, (!self.has_metadata).then(Target::register));
        self.has_metadata = true;
        let is_kept = |id: u64| watched.contains(&id);
        let end = |id: u64, stats: &tasks::Stats| ended(stats, moment.ends.get(&id), moment.at);
        for news in news(&mut self.tasks, &moment.tasks, is_about_the_same, is_kept, end) {
            messages.task(news);
        }
        let end = |_, stats: &resources::Stats| with(stats, |stats| stats.dropped_at = Some(moment.at));
        for news in news(&mut self.resources, &moment.resources, PartialEq::eq, |_| false, end) {
            messages.resource(news);
        }
        let end = |_, stats: &async_ops::Stats| with(stats, |stats| stats.dropped_at = Some(moment.at));
        for news in news(&mut self.operations, &moment.operations, PartialEq::eq, |_| false, end) {
            messages.operation(news);
        }
        messages.finish()
    }
}

/// What is to be said of things of one kind, which is taken to be said. What is not there any more is told its end once.
fn news<New: Clone, Stats: Clone + PartialEq>(
    told: &mut Known<New, Stats>,
    now: &Known<New, Stats>,
    is_same: impl Fn(&New, &New) -> bool,
    is_kept: impl Fn(u64) -> bool,
    end: impl Fn(u64, &Stats) -> Stats,
) -> Vec<News<New, Stats>> {
    let gone: Vec<u64> = told.keys().filter(|id| !now.contains_key(id)).copied().collect();
    let mut news: Vec<News<New, Stats>> = Vec::new();
    for id in gone {
        let last = told.remove(&id).map(|(_, stats)| end(id, &stats));
        news.extend(last.map(|stats| News { id, new: None, stats }));
    }
    for (&id, (new, stats)) in now {
        match told.get_mut(&id) {
            Some((told, figures)) if is_same(told, new) || is_kept(id) => {
                if figures != stats {
                    *figures = stats.clone();
                    news.push(News { id, new: None, stats: stats.clone() });
                }
            }
            _ => {
                told.insert(id, (new.clone(), stats.clone()));
                news.push(News { id, new: Some(new.clone()), stats: stats.clone() });
            }
        }
    }
    news
}

/// True unless something about a task has changed that is worth telling: the sampled bytes of a task that works do with each
/// snapshot.
fn is_about_the_same(told: &tasks::Task, now: &tasks::Task) -> bool {
    let bytes = |task: &tasks::Task| task.fields.iter().find_map(in_use_bytes);
    let others = |task: &tasks::Task| {
        let mut others = task.clone();
        others.fields.retain(|field| in_use_bytes(field).is_none());
        others
    };
    told == now || (are_about_as_many(bytes(told), bytes(now)) && others(told) == others(now))
}

fn are_about_as_many(one: Option<u64>, other: Option<u64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.max(other) / TOLD_BYTES_FACTOR <= one.min(other),
        (one, other) => one == other,
    }
}

/// The last figures of a task. Where nobody saw its end, it is taken to have ended just now.
fn ended(stats: &tasks::Stats, end: Option<&End>, now: Timestamp) -> tasks::Stats {
    let at = end.map_or(now, |end| end.at);
    let polls = end.and_then(|end| end.polls);
    with(stats, |stats| {
        stats.dropped_at = Some(at);
        let Some(poll_stats) = &mut stats.poll_stats else { return };
        poll_stats.polls = polls.unwrap_or(poll_stats.polls);
        poll_stats.last_poll_ended =
            poll_stats.last_poll_ended.or(poll_stats.last_poll_started.and(Some(at)));
    })
}

fn with<T: Clone>(value: &T, change: impl FnOnce(&mut T)) -> T {
    let mut value = value.clone();
    change(&mut value);
    value
}

/// Messages under way: a thing and its figures are in one, as the client wants them.
struct Messages {
    at: Timestamp,
    full: Vec<Update>,
    last: Update,
    last_bytes: usize,
}

impl Messages {
    fn new(at: Timestamp, new_metadata: Option<RegisterMetadata>) -> Self {
        let last = Update { now: Some(at), new_metadata, ..Update::default() };
        Messages { at, full: Vec::new(), last_bytes: last.encoded_len(), last }
    }

    fn task(&mut self, News { id, new, stats }: News<tasks::Task, tasks::Stats>) {
        self.make_room(encoded_len(&new) + stats.encoded_len());
        let update = self.last.task_update.get_or_insert_default();
        update.new_tasks.extend(new);
        update.stats_update.insert(id, stats);
    }

    fn resource(&mut self, News { id, new, stats }: News<resources::Resource, resources::Stats>) {
        self.make_room(encoded_len(&new) + stats.encoded_len());
        let update = self.last.resource_update.get_or_insert_default();
        update.new_resources.extend(new);
        update.stats_update.insert(id, stats);
    }

    fn operation(&mut self, News { id, new, stats }: News<async_ops::AsyncOp, async_ops::Stats>) {
        self.make_room(encoded_len(&new) + stats.encoded_len());
        let update = self.last.async_op_update.get_or_insert_default();
        update.new_async_ops.extend(new);
        update.stats_update.insert(id, stats);
    }

    fn make_room(&mut self, bytes: usize) {
        let bytes = bytes + ENTRY_BYTES;
        if self.last_bytes + bytes > LARGEST_MESSAGE_BYTES {
            let next = Update { now: Some(self.at), ..Update::default() };
            self.last_bytes = next.encoded_len();
            self.full.push(mem::replace(&mut self.last, next));
        }
        self.last_bytes += bytes;
    }

    fn finish(mut self) -> Vec<Update> {
        self.full.push(self.last);
        self.full
    }
}

fn encoded_len(message: &Option<impl Message>) -> usize {
    message.as_ref().map_or(0, Message::encoded_len)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use diag_snapshot::{Snapshot, TaskId, TaskRow, TaskState};
    use diag_test_support::scenario::{Churn, Service};
    use diag_test_support::{crowd, iothub};

    use super::super::process::ProcessNumbers;
    use super::*;

    /// A client that keeps what it is told, by the rules of tokio-console.
    #[derive(Default)]
    struct Client {
        tasks: BTreeMap<u64, (tasks::Task, tasks::Stats)>,
        resources: BTreeMap<u64, (resources::Resource, resources::Stats)>,
        metadata: BTreeSet<u64>,
        now: Timestamp,
    }

    impl Client {
        /// Hears messages, and returns how many tasks were new in them.
        fn hear(&mut self, updates: Vec<Update>) -> usize {
            let mut new = 0;
            for update in updates {
                assert!(update.encoded_len() < 4 << 20, "{} bytes", update.encoded_len());
                self.now = update.now.expect("the client's clock");
                let metadata = update.new_metadata.into_iter().flat_map(|new| new.metadata);
                self.metadata.extend(metadata.filter_map(|new| Some(new.id?.id)));
                let mut told = update.task_update.unwrap_or_default();
                for task in told.new_tasks {
                    assert!(self.metadata.contains(&task.metadata.expect("it names one").id));
                    let id = task.id.expect("it has one").id;
                    // The client drops a task whose figures are not in the same message.
                    let stats = told.stats_update.remove(&id).expect("its figures");
                    self.tasks.insert(id, (task, stats));
                    new += 1;
                }
                for (id, stats) in told.stats_update {
                    self.tasks.get_mut(&id).expect("it was told of").1 = stats;
                }
                let mut told = update.resource_update.unwrap_or_default();
                for resource in told.new_resources {
                    let id = resource.id.expect("it has one").id;
                    let stats = told.stats_update.remove(&id).expect("its figures");
                    self.resources.insert(id, (resource, stats));
                }
                for (id, stats) in told.stats_update {
                    self.resources.get_mut(&id).expect("it was told of").1 = stats;
                }
            }
            new
        }

        fn live(&self) -> BTreeMap<u64, (tasks::Task, tasks::Stats)> {
            let mut live = self.tasks.clone();
            live.retain(|_, (_, stats)| stats.dropped_at.is_none());
            live
        }
    }

    /// A client, what it was told, and the processes that it saw.
    #[derive(Default)]
    struct Session {
        numbers: ProcessNumbers,
        told: Told,
        client: Client,
    }

    impl Session {
        /// The client is told of a snapshot; how many messages, and how many tasks were new.
        fn show(&mut self, snapshot: Snapshot) -> (Moment, usize, usize) {
            let moment = Moment::of(snapshot, &mut self.numbers);
            let updates = self.told.updates(&moment, &BTreeSet::new());
            let messages = updates.len();
            let new = self.client.hear(updates);
            (moment, messages, new)
        }
    }

    #[test]
    fn after_each_snapshot_the_client_has_its_live_tasks_and_figures() {
        let service = Service::new(Churn { until: 60.0, ..Churn::default() }.tasks());
        let mut session = Session::default();
        let mut ended = 0;
        for second in 10..40 {
            let (moment, ..) = session.show(service.at(f64::from(second)));
            assert!(!moment.tasks.is_empty());
            assert_eq!(session.client.live(), moment.tasks, "at {second} s");
            assert_eq!(session.client.now, moment.at);
            ended = session.client.tasks.len() - moment.tasks.len();
        }
        assert!(ended > 30, "nothing came and went: {ended}");
        let early = |stats: &tasks::Stats| {
            stats.dropped_at.is_some_and(|at| at.seconds < stats.created_at.unwrap().seconds)
        };
        assert!(!session.client.tasks.values().any(|(_, stats)| early(stats)));
    }

    #[test]
    fn what_did_not_change_is_not_told_again() {
        let service = Service::new(Churn { until: 60.0, ..Churn::default() }.tasks());
        let mut session = Session::default();
        assert!(session.show(service.at(20.0)).2 > 0);
        let moment = Moment::of(service.at(20.0), &mut session.numbers);
        let updates = session.told.updates(&moment, &BTreeSet::new());
        let [update] = &updates[..] else { panic!("{updates:?}") };
        assert_eq!(*update, Update { now: Some(moment.at), ..Update::default() }, "the clock alone");
    }

    #[test]
    fn twenty_thousand_tasks_are_split_and_nothing_is_lost() {
        let mut session = Session::default();
        let (moment, messages, new) = session.show(iothub::service(20_000, 2_000));
        assert!(messages > 1, "{messages}");
        assert_eq!((new, session.client.live()), (20_000, moment.tasks));
        assert_eq!(session.client.resources, moment.resources);
        assert!(session.client.resources.len() > 10);
        let (moment, ..) = session.show(crowd::crowd(12_000, 40, 30));
        assert_eq!(session.client.live(), moment.tasks, "another process, as it happens");
    }

    #[test]
    fn a_process_that_comes_back_has_other_tasks() {
        let service = |instance| Service {
            instance,
            ..Service::new(Churn { until: 60.0, ..Churn::default() }.tasks())
        };
        let mut session = Session::default();
        let (first, ..) = session.show(service(1).at(20.0));
        let gone = first.after_the_end();
        let updates = session.told.updates(&gone, &BTreeSet::new());
        session.client.hear(updates);
        assert!(session.client.live().is_empty());
        let (second, _, new) = session.show(service(2).at(20.0));
        assert_eq!(new, second.tasks.len());
        assert_eq!(session.client.live(), second.tasks);
        assert_eq!(session.client.tasks.len(), first.tasks.len() + second.tasks.len());
        // The agent could not be reached for a while: the tasks are the same.
        session.client.hear(session.told.updates(&second.after_the_end(), &BTreeSet::new()));
        session.show(service(2).at(20.0));
        assert_eq!(session.client.live(), second.tasks);
        assert_eq!(session.client.tasks.len(), first.tasks.len() + second.tasks.len());
    }

    #[test]
    fn snapshots_of_every_format_are_told_whole() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/snapshots");
        let mut session = Session::default();
        let mut files = 0;
        for entry in std::fs::read_dir(folder).expect("the golden files") {
            let bytes = std::fs::read(entry.expect("a file").path()).expect("it is read");
            let Ok((snapshot, _)) = diag_snapshot::read(&bytes) else { continue };
            let tasks = snapshot.tasks.len();
            let (moment, ..) = session.show(snapshot);
            assert_eq!((moment.tasks.len(), session.client.live()), (tasks, moment.tasks));
            files += 1;
        }
        assert!(files > 5, "{files} were read");
    }

    /// A snapshot of one task that waits and has allocated so many bytes.
    fn waiting(name: &str, bytes: Option<u64>) -> Moment {
        let mut snapshot = Snapshot::default();
        let name = Some(snapshot.strings.intern(name));
        let state = TaskState::Idle;
        snapshot.tasks.push(TaskRow { id: TaskId(1), name, state, ..TaskRow::default() });
        let mut moment = Moment::of(snapshot, &mut ProcessNumbers::default());
        for (task, _) in moment.tasks.values_mut() {
            task.fields.extend(bytes.map(|bytes| super::super::wire::number("in_use.bytes", bytes)));
        }
        moment
    }

    #[test]
    fn a_task_is_told_again_when_its_fields_have_changed_and_nobody_looks_at_it() {
        let check = |before: &Moment, now: &Moment, is_watched: bool| {
            let mut told = Told::default();
            told.updates(before, &BTreeSet::new());
            let watched = if is_watched { now.tasks.keys().copied().collect() } else { BTreeSet::new() };
            Client { metadata: (1..6).collect(), ..Client::default() }.hear(told.updates(now, &watched))
        };
        assert_eq!(check(&waiting("a", None), &waiting("b", None), false), 1);
        assert_eq!(check(&waiting("a", None), &waiting("b", None), true), 0);
        assert_eq!(check(&waiting("a", Some(10)), &waiting("a", Some(19)), false), 0);
        assert_eq!(check(&waiting("a", Some(10)), &waiting("a", Some(22)), false), 1);
        assert_eq!(check(&waiting("a", Some(10)), &waiting("a", None), false), 1);
        assert_eq!(check(&waiting("a", Some(10)), &waiting("a", Some(4)), false), 1);
    }
}
