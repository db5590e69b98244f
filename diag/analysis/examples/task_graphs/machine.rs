//! A service as a little machine: tasks with programs over locks and channels, of which each step is known.

use std::collections::{BTreeSet, VecDeque};

use diag_test_support::random::SplitMix;

/// What a step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    Lock { lock: usize, owned: bool },
    Room(usize),
    Message(usize),
    End(usize),
    Moment,
}

/// A step of a program. What it cannot do, as it lacks the end or the guard, is passed over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Wait(Need),
    /// Either lets it go on. The other stays in its queue, unpolled, where `leaves` says so.
    Either {
        needs: [Need; 2],
        leaves: bool,
    },
    Unlock(usize),
    DropSender(usize),
    DropReceiver(usize),
    /// Makes the next task start: its own pointers may be left over in this one.
    Again,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Runs,
    Waits,
    Ended,
}

/// Who has something: where in the memory it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Own,
    /// A block that the task points to.
    Boxed,
}

#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub lock: usize,
    pub owned: bool,
    pub room: Room,
}

#[derive(Clone, Debug)]
pub(crate) struct End {
    pub channel: usize,
    pub room: Room,
}

/// A queue that the last poll did not touch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub lock: usize,
    pub granted: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub program: Vec<Step>,
    pub at: usize,
    pub status: Status,
    /// It is woken, or has been since it was last looked at.
    pub ran: bool,
    pub needs: Vec<Need>,
    pub granted: BTreeSet<usize>,
    pub guards: Vec<Guard>,
    pub arcs: BTreeSet<usize>,
    pub senders: Vec<End>,
    pub receivers: Vec<End>,
    pub left: Vec<Left>,
    /// Locks and channels that words are left over of.
    pub stale_guards: BTreeSet<usize>,
    pub stale_ends: Vec<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Lock {
    pub free: u64,
    pub queue: VecDeque<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub room: u64,
    pub messages: u64,
    pub senders: u64,
    pub has_receiver: bool,
    pub senders_wait: VecDeque<usize>,
}

/// What is outside of tasks, may do anything at any time with what it has, and can be reached from a static or a stack.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outside {
    pub arcs: BTreeSet<usize>,
    pub guards: Vec<usize>,
    pub senders: Vec<usize>,
    pub receivers: Vec<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub tasks: Vec<Task>,
    pub locks: Vec<Lock>,
    pub channels: Vec<Channel>,
    pub outside: Outside,
}

impl Machine {
    pub(crate) fn random(chance: &mut SplitMix) -> Self {
        let (locks, channels) = (1 + chance.below(4) as usize, chance.below(4) as usize);
        let tasks = 2 + chance.below(6) as usize;
        let mut machine = Machine {
            tasks: Vec::new(),
            locks: (0..locks)
                .map(|_| Lock { free: 1 + chance.below(5) / 4, queue: VecDeque::new() })
                .collect(),
            channels: (0..channels)
                .map(|_| Channel {
                    room: 1 + chance.below(2),
                    messages: 0,
                    senders: 0,
                    has_receiver: false,
                    senders_wait: VecDeque::new(),
                })
                .collect(),
            outside: Outside::default(),
        };
        for _ in 0..tasks {
            let mut task = Task::idle();
            task.arcs = (0..locks).filter(|_| chance.below(3) > 0).collect();
            machine.tasks.push(task);
        }
        for channel in 0..channels {
            machine.give_ends(channel, chance);
        }
        if chance.below(3) == 0 {
            machine.outside.arcs = (0..locks).filter(|_| chance.below(2) == 0).collect();
        }
        for at in 0..tasks {
            machine.tasks[at].program = machine.program(at, chance);
        }
        machine
    }

    fn give_ends(&mut self, channel: usize, chance: &mut SplitMix) {
        let room = |chance: &mut SplitMix| if chance.below(4) == 0 { Room::Boxed } else { Room::Own };
        let count = self.tasks.len() as u64;
        for _ in 0..=chance.below(2) {
            if chance.below(12) == 0 {
                self.outside.senders.push(channel);
            } else {
                let end = End { channel, room: room(chance) };
                self.tasks[chance.below(count) as usize].senders.push(end);
            }
            self.channels[channel].senders += 1;
        }
        self.channels[channel].has_receiver = true;
        if chance.below(16) == 0 {
            self.outside.receivers.push(channel);
        } else {
            let end = End { channel, room: room(chance) };
            self.tasks[chance.below(count) as usize].receivers.push(end);
        }
    }

    fn program(&self, own: usize, chance: &mut SplitMix) -> Vec<Step> {
        let steps = 3 + chance.below(8);
        (0..steps).map(|_| self.step_of(own, chance)).collect()
    }

    fn step_of(&self, own: usize, chance: &mut SplitMix) -> Step {
        let lock = chance.below(self.locks.len() as u64) as usize;
        let channel = chance.below(self.channels.len().max(1) as u64) as usize;
        match chance.below(12) {
            0..=4 => Step::Wait(self.need(own, chance)),
            5 => Step::Either {
                needs: [self.need(own, chance), self.need(own, chance)],
                leaves: chance.below(2) == 0,
            },
            6 | 7 => Step::Unlock(lock),
            8 => Step::Wait(Need::Moment),
            9 => Step::DropSender(channel),
            10 if chance.below(3) == 0 => Step::DropReceiver(channel),
            11 => Step::Again,
            _ => Step::Wait(Need::Lock { lock, owned: false }),
        }
    }

    fn need(&self, own: usize, chance: &mut SplitMix) -> Need {
        let channels = self.channels.len() as u64;
        match chance.below(8) {
            0 | 1 if channels > 0 => Need::Message(chance.below(channels) as usize),
            2 | 3 if channels > 0 => Need::Room(chance.below(channels) as usize),
            // A task cannot await its own end, and has the handle of a few.
            4 => Need::End((own + 1 + chance.below(self.tasks.len() as u64 - 1) as usize) % self.tasks.len()),
            _ => Need::Lock {
                lock: chance.below(self.locks.len() as u64) as usize,
                owned: chance.below(4) == 0,
            },
        }
    }

    /// So many steps of whoever can take one, in any order. Whoever is woken or runs has `ran`.
    pub(crate) fn run(&mut self, steps: usize, chance: &mut SplitMix) {
        for _ in 0..steps {
            let able: Vec<usize> = (0..self.tasks.len()).filter(|&at| self.is_able(at)).collect();
            let outside = usize::from(!self.outside.is_empty());
            if able.len() + outside == 0 {
                return;
            }
            match able.get(chance.below((able.len() + outside) as u64) as usize) {
                Some(&at) => self.step(at, chance),
                None => self.act_outside(chance),
            }
        }
    }

    /// It runs, or waits for a moment, among other things.
    fn is_able(&self, at: usize) -> bool {
        let task = &self.tasks[at];
        task.status == Status::Runs || (task.status == Status::Waits && task.needs.contains(&Need::Moment))
    }

    fn step(&mut self, at: usize, chance: &mut SplitMix) {
        let moment_came = self.tasks[at].status == Status::Waits;
        self.tasks[at].status = Status::Runs;
        self.tasks[at].ran = true;
        let Some(&step) = self.tasks[at].program.get(self.tasks[at].at) else { return self.end(at) };
        match step {
            Step::Wait(need) => self.wait(at, &[need], false, moment_came, chance),
            Step::Either { needs, leaves } => self.wait(at, &needs, leaves, moment_came, chance),
            Step::Unlock(lock) => {
                self.unlock(at, lock, chance);
                self.tasks[at].at += 1;
            }
            Step::DropSender(channel) => {
                self.drop_sender(at, channel, chance);
                self.tasks[at].at += 1;
            }
            Step::DropReceiver(channel) => {
                let ends = &mut self.tasks[at].receivers;
                if let Some(end) = ends.iter().position(|end| end.channel == channel) {
                    ends.remove(end);
                    self.close(channel);
                }
                self.tasks[at].at += 1;
            }
            Step::Again => {
                let again = chance.below(6) > 0;
                self.tasks[at].at = if again { 0 } else { self.tasks[at].at + 1 };
            }
        }
    }

    fn wait(&mut self, at: usize, needs: &[Need], leaves: bool, moment_came: bool, chance: &mut SplitMix) {
        let met = needs.iter().copied().find(|&need| self.is_met(at, need, moment_came));
        let Some(met) = met else {
            needs.iter().for_each(|&need| self.enqueue(at, need));
            let task = &mut self.tasks[at];
            (task.status, task.needs) = (Status::Waits, needs.to_vec());
            return;
        };
        self.take(at, met, chance);
        for &need in needs.iter().filter(|need| **need != met) {
            self.leave(at, need, leaves);
        }
        self.tasks[at].needs.clear();
        self.tasks[at].at += 1;
    }

    /// True if the task can take it now; also of what it has no end of, and passes over.
    fn is_met(&self, at: usize, need: Need, moment_came: bool) -> bool {
        let task = &self.tasks[at];
        match need {
            Need::Lock { lock, .. } => {
                !task.arcs.contains(&lock)
                    || task.granted.contains(&lock)
                    || (self.locks[lock].free > 0 && self.locks[lock].queue.is_empty())
            }
            Need::Room(channel) => {
                let state = &self.channels[channel];
                !task.senders.iter().any(|end| end.channel == channel)
                    || !state.has_receiver
                    || (state.messages < state.room
                        && state.senders_wait.front().is_none_or(|first| *first == at))
            }
            Need::Message(channel) => {
                let state = &self.channels[channel];
                !task.receivers.iter().any(|end| end.channel == channel)
                    || state.messages > 0
                    || state.senders == 0
            }
            Need::End(other) => self.tasks[other].status == Status::Ended,
            Need::Moment => moment_came,
        }
    }

    fn enqueue(&mut self, at: usize, need: Need) {
        match need {
            Need::Lock { lock, .. } if !self.locks[lock].queue.contains(&at) => {
                self.locks[lock].queue.push_back(at);
            }
            Need::Room(channel) if !self.channels[channel].senders_wait.contains(&at) => {
                self.channels[channel].senders_wait.push_back(at);
            }
            _ => {}
        }
    }

    fn take(&mut self, at: usize, need: Need, chance: &mut SplitMix) {
        match need {
            Need::Lock { lock, owned } if self.tasks[at].arcs.contains(&lock) => {
                if !self.tasks[at].granted.remove(&lock) {
                    self.locks[lock].free -= 1;
                }
                let room = if chance.below(5) == 0 { Room::Boxed } else { Room::Own };
                self.tasks[at].guards.push(Guard { lock, owned, room });
            }
            Need::Room(channel) if self.tasks[at].senders.iter().any(|end| end.channel == channel) => {
                let state = &mut self.channels[channel];
                state.senders_wait.retain(|waiting| *waiting != at);
                if state.has_receiver {
                    state.messages += 1;
                }
                self.wake_receiver(channel);
                self.wake_sender(channel);
            }
            Need::Message(channel)
                if self.tasks[at].receivers.iter().any(|end| end.channel == channel)
                    && self.channels[channel].messages > 0 =>
            {
                self.channels[channel].messages -= 1;
                self.wake_sender(channel);
            }
            _ => {}
        }
    }

    /// What else it waited for: out of the queue, or left in it by a future that nobody polls any more.
    fn leave(&mut self, at: usize, need: Need, leaves: bool) {
        match need {
            Need::Lock { lock, .. } => {
                let granted = self.tasks[at].granted.remove(&lock);
                let queued = self.locks[lock].queue.contains(&at);
                let again = self.tasks[at].left.iter().any(|left| left.lock == lock);
                if leaves && !again && (granted || queued) {
                    self.tasks[at].left.push(Left { lock, granted });
                    return;
                }
                self.locks[lock].queue.retain(|waiting| *waiting != at);
                if granted {
                    self.free(lock);
                }
            }
            Need::Room(channel) => {
                let waiting = &mut self.channels[channel].senders_wait;
                let was_first = waiting.front() == Some(&at);
                waiting.retain(|waiting| *waiting != at);
                if was_first {
                    self.wake_sender(channel);
                }
            }
            _ => {}
        }
    }

    fn unlock(&mut self, at: usize, lock: usize, chance: &mut SplitMix) {
        let guards = &mut self.tasks[at].guards;
        if let Some(place) = guards.iter().position(|guard| guard.lock == lock) {
            let guard = guards.remove(place);
            if chance.below(2) == 0 && !guard.owned {
                self.tasks[at].stale_guards.insert(lock);
            }
            self.free(lock);
        }
    }

    /// One permit more: the first of the queue has it at once.
    fn free(&mut self, lock: usize) {
        match self.locks[lock].queue.pop_front() {
            Some(first) => {
                let task = &mut self.tasks[first];
                // Either what it waits for now, or what it has left.
                match task.left.iter_mut().find(|left| left.lock == lock && !left.granted) {
                    Some(left) => left.granted = true,
                    None => _ = task.granted.insert(lock),
                }
                self.wake(first);
            }
            None => self.locks[lock].free += 1,
        }
    }

    fn wake(&mut self, at: usize) {
        let task = &mut self.tasks[at];
        if task.status == Status::Waits {
            (task.status, task.ran) = (Status::Runs, true);
        }
    }

    fn wake_receiver(&mut self, channel: usize) {
        let waits = |task: &Task| {
            task.needs.contains(&Need::Message(channel))
                && task.receivers.iter().any(|end| end.channel == channel)
        };
        for at in (0..self.tasks.len()).filter(|&at| waits(&self.tasks[at])).collect::<Vec<_>>() {
            self.wake(at);
        }
    }

    /// The first that waits for room, if there is some.
    fn wake_sender(&mut self, channel: usize) {
        let state = &self.channels[channel];
        if let Some(&first) = state.senders_wait.front().filter(|_| state.messages < state.room) {
            self.wake(first);
        }
    }

    fn drop_sender(&mut self, at: usize, channel: usize, chance: &mut SplitMix) {
        let ends = &mut self.tasks[at].senders;
        if let Some(place) = ends.iter().position(|end| end.channel == channel) {
            ends.remove(place);
            if chance.below(2) == 0 {
                self.tasks[at].stale_ends.push(channel);
            }
            self.one_sender_less(channel);
        }
    }

    fn one_sender_less(&mut self, channel: usize) {
        self.channels[channel].senders -= 1;
        if self.channels[channel].senders == 0 {
            self.wake_receiver(channel);
        }
    }

    fn close(&mut self, channel: usize) {
        self.channels[channel].has_receiver = false;
        for at in std::mem::take(&mut self.channels[channel].senders_wait) {
            self.wake(at);
        }
    }

    /// A task's end gives back all that it has, and tells whoever waits for it.
    fn end(&mut self, at: usize) {
        let task = std::mem::replace(&mut self.tasks[at], Task::idle());
        self.tasks[at] = Task { status: Status::Ended, ran: true, ..Task::idle() };
        for left in &task.left {
            if left.granted {
                self.free(left.lock);
            } else {
                self.locks[left.lock].queue.retain(|waiting| *waiting != at);
            }
        }
        task.guards.iter().for_each(|guard| self.free(guard.lock));
        task.granted.iter().for_each(|&lock| self.free(lock));
        task.senders.iter().for_each(|end| self.one_sender_less(end.channel));
        task.receivers.iter().for_each(|end| self.close(end.channel));
        for other in 0..self.tasks.len() {
            if self.tasks[other].needs.contains(&Need::End(at)) {
                self.wake(other);
            }
        }
    }

    fn act_outside(&mut self, chance: &mut SplitMix) {
        match chance.below(5) {
            0 => {
                if let Some(channel) = self.outside.senders.pop() {
                    self.one_sender_less(channel);
                }
            }
            1 => {
                if let Some(&channel) = self.outside.senders.first()
                    && self.channels[channel].messages < self.channels[channel].room
                {
                    self.channels[channel].messages += 1;
                    self.wake_receiver(channel);
                }
            }
            2 => {
                if let Some(&channel) = self.outside.receivers.first()
                    && self.channels[channel].messages > 0
                {
                    self.channels[channel].messages -= 1;
                    self.wake_sender(channel);
                }
            }
            3 => {
                let free = |lock: &&usize| self.locks[**lock].free > 0 && self.locks[**lock].queue.is_empty();
                if let Some(&lock) = self.outside.arcs.iter().find(free) {
                    self.locks[lock].free -= 1;
                    self.outside.guards.push(lock);
                }
            }
            _ => {
                if let Some(lock) = self.outside.guards.pop() {
                    self.free(lock);
                }
            }
        }
    }
}

impl Outside {
    fn is_empty(&self) -> bool {
        self.arcs.is_empty() && self.guards.is_empty() && self.senders.is_empty() && self.receivers.is_empty()
    }
}

impl Task {
    fn idle() -> Self {
        Task {
            program: Vec::new(),
            at: 0,
            status: Status::Runs,
            ran: false,
            needs: Vec::new(),
            granted: BTreeSet::new(),
            guards: Vec::new(),
            arcs: BTreeSet::new(),
            senders: Vec::new(),
            receivers: Vec::new(),
            left: Vec::new(),
            stale_guards: BTreeSet::new(),
            stale_ends: Vec::new(),
        }
    }
}
