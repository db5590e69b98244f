//! Tasks that wait for each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diag_snapshot::{TaskId, WaitFor};

use super::Certainty;
use super::graph::Graph;
use super::never::Never;
use super::servers::{Level, servers};

/// Tasks of which each waits, by way of the others, for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cycle {
    /// Each of them, with the one that it waits for behind it, and the last before the first where one round leads through all.
    pub members: Vec<TaskId>,
    /// Those that wait for one of them.
    pub behind: Vec<TaskId>,
    /// How sure it is that none of them goes on.
    pub certainty: Certainty,
    /// True if each waits for what one alone can give: a lock, an end, room. A message can come from any sender.
    pub is_exclusive: bool,
}

/// The surest and largest first.
pub(super) fn cycles(graph: &Graph, never: &BTreeMap<TaskId, Never>) -> Vec<Cycle> {
    let needs: BTreeMap<TaskId, Needs> =
        never.keys().map(|&task| (task, Needs::of(graph, never, task))).collect();
    let mut cycles: Vec<Cycle> = components(&needs)
        .into_iter()
        .filter(|members| is_cycle(&needs, members))
        .map(|members| Cycle {
            behind: behind(&needs, &members),
            certainty: certainty(never, &members),
            is_exclusive: members.iter().all(|task| needs.get(task).is_some_and(|needs| needs.is_exclusive)),
            members: round(&needs, members),
        })
        .collect();
    cycles.sort_by_key(|cycle| {
        (std::cmp::Reverse((cycle.certainty, cycle.members.len())), cycle.members.first().copied())
    });
    cycles
}

/// Whom a task waits for, of those that cannot go on either.
struct Needs {
    of: BTreeSet<TaskId>,
    is_exclusive: bool,
}

impl Needs {
    fn of(graph: &Graph, never: &BTreeMap<TaskId, Never>, task: TaskId) -> Self {
        let open = graph.waits_of(task).filter(|wait| !wait.is_granted() && !graph.is_left_over(wait));
        let (mut of, mut is_exclusive) = (BTreeSet::new(), true);
        for wait in open {
            is_exclusive &= matches!(wait.wait_for, WaitFor::Permits | WaitFor::Join | WaitFor::ChannelSend);
            let servers = servers(graph, wait, Level::Lax).unwrap_or_default();
            of.extend(servers.all.iter().map(|server| server.task).filter(|task| never.contains_key(task)));
        }
        Needs { of, is_exclusive }
    }
}

fn certainty(never: &BTreeMap<TaskId, Never>, members: &[TaskId]) -> Certainty {
    let each = members.iter().filter_map(|task| never.get(task)).map(|never| never.certainty);
    each.min().unwrap_or(Certainty::Possible)
}

fn is_cycle(needs: &BTreeMap<TaskId, Needs>, members: &[TaskId]) -> bool {
    match members {
        [one] => needs.get(one).is_some_and(|needs| needs.of.contains(one)),
        _ => members.len() > 1,
    }
}

/// All that wait for one of these, directly or not.
fn behind(needs: &BTreeMap<TaskId, Needs>, members: &[TaskId]) -> Vec<TaskId> {
    let mut found: BTreeSet<TaskId> = members.iter().copied().collect();
    let mut waiting: HashMap<TaskId, Vec<TaskId>> = HashMap::new();
    for (&task, needs) in needs {
        needs.of.iter().for_each(|&of| waiting.entry(of).or_default().push(task));
    }
    let mut left = members.to_vec();
    while let Some(task) = left.pop() {
        let next = waiting.get(&task).into_iter().flatten().copied();
        left.extend(next.filter(|task| found.insert(*task)));
    }
    members.iter().for_each(|task| _ = found.remove(task));
    found.into_iter().collect()
}

/// The members, each before one that it waits for, as far as that goes.
fn round(needs: &BTreeMap<TaskId, Needs>, members: Vec<TaskId>) -> Vec<TaskId> {
    let mut left: BTreeSet<TaskId> = members.into_iter().collect();
    let mut round = Vec::with_capacity(left.len());
    let mut next = left.first().copied();
    while let Some(task) = next {
        left.remove(&task);
        round.push(task);
        let of = needs.get(&task).into_iter().flat_map(|needs| &needs.of);
        next = of.copied().find(|task| left.contains(task)).or_else(|| left.first().copied());
    }
    round
}

/// The strongly connected components, as Tarjan has them, without recursion.
fn components(needs: &BTreeMap<TaskId, Needs>) -> Vec<Vec<TaskId>> {
    let tasks: Vec<TaskId> = needs.keys().copied().collect();
    let place: HashMap<TaskId, usize> = tasks.iter().copied().zip(0..).collect();
    let next: Vec<Vec<usize>> = needs
        .values()
        .map(|needs| needs.of.iter().filter_map(|task| place.get(task).copied()).collect())
        .collect();
    let mut walk =
        Walk { next: &next, met: vec![None; tasks.len()], low: vec![0; tasks.len()], ..Walk::default() };
    for start in 0..tasks.len() {
        walk.from(start);
    }
    let named = |component: Vec<usize>| component.into_iter().map(|at| tasks[at]).collect::<Vec<_>>();
    walk.components.into_iter().map(named).collect()
}

#[derive(Default)]
struct Walk<'a> {
    next: &'a [Vec<usize>],
    /// In which order each was met.
    met: Vec<Option<usize>>,
    /// The first that can be come back to.
    low: Vec<usize>,
    is_open: HashMap<usize, ()>,
    open: Vec<usize>,
    count: usize,
    components: Vec<Vec<usize>>,
}

impl Walk<'_> {
    fn from(&mut self, start: usize) {
        if self.met[start].is_some() {
            return;
        }
        self.meet(start);
        let mut path = vec![(start, 0)];
        while let Some((at, child)) = path.last_mut() {
            let at = *at;
            match self.next[at].get(*child).copied() {
                Some(to) => {
                    *child += 1;
                    match self.met[to] {
                        None => {
                            self.meet(to);
                            path.push((to, 0));
                        }
                        Some(order) if self.is_open.contains_key(&to) => {
                            self.low[at] = self.low[at].min(order);
                        }
                        Some(_) => {}
                    }
                }
                None => {
                    path.pop();
                    if let Some(&(caller, _)) = path.last() {
                        self.low[caller] = self.low[caller].min(self.low[at]);
                    }
                    self.close(at);
                }
            }
        }
    }

    fn meet(&mut self, at: usize) {
        self.met[at] = Some(self.count);
        self.low[at] = self.count;
        self.count += 1;
        self.open.push(at);
        self.is_open.insert(at, ());
    }

    /// What can come back to `at`, and to nothing before it, is one component.
    fn close(&mut self, at: usize) {
        if self.met[at] != Some(self.low[at]) {
            return;
        }
        let from = self.open.iter().rposition(|&open| open == at).unwrap_or(0);
        let component = self.open.split_off(from);
        component.iter().for_each(|at| _ = self.is_open.remove(at));
        self.components.push(component);
    }
}
