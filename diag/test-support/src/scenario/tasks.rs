//! What tasks do in their lives: one by one, and crowds of a kind.

use crate::random::XorShift;

/// What one task does in its life.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// Line of its spawn site in `svc.rs`.
    pub line: u32,
    /// Seconds since start, as all times here.
    pub spawned: f64,
    /// It is polled at its spawn and then once in so many seconds,
    pub pause: f64,
    /// until it rests for ever,
    pub rests: Option<f64>,
    /// or ends.
    pub ended: Option<f64>,
}

/// When a socket is opened, and when it is closed if it ever is.
pub type Socket = (f64, Option<f64>);

/// Tasks that come by chance. By default those of a healthy service: some 17 live at any time, for 40 s.
#[derive(Clone, Copy, Debug)]
pub struct Churn {
    /// Decides when each comes and goes.
    pub seed: u64,
    /// Line of their spawn site.
    pub line: u32,
    /// The first may come now,
    pub from: f64,
    /// and the last before.
    pub until: f64,
    /// How many a second, on average.
    pub per_s: f64,
    /// How long one lives, on average.
    pub lifetime: f64,
    /// Each is polled once in so many seconds.
    pub pause: f64,
}

impl Default for Churn {
    fn default() -> Self {
        Churn { seed: 1, line: 7, from: 0.0, until: 40.0, per_s: 50.0, lifetime: 0.33, pause: 0.05 }
    }
}

impl Churn {
    /// The tasks, by their spawn.
    pub fn tasks(self) -> Vec<Task> {
        let Churn { line, pause, .. } = self;
        let mut random = XorShift::new(self.seed);
        let mut tasks = Vec::new();
        let mut spawned = self.from + random.exponential(1.0 / self.per_s);
        while spawned < self.until {
            let ended = Some(spawned + random.exponential(self.lifetime));
            tasks.push(Task { line, spawned, pause, rests: None, ended });
            spawned += random.exponential(1.0 / self.per_s);
        }
        tasks
    }

    /// Sockets that are open while these tasks live.
    pub fn sockets(self) -> Vec<Socket> {
        self.tasks().iter().map(Task::socket).collect()
    }
}

/// Tasks that come at equal distances, are polled ten times in half a second, and then rest for ever.
#[derive(Clone, Copy, Debug)]
pub struct Ghosts {
    /// Line of their spawn site.
    pub line: u32,
    /// The first comes now.
    pub from: f64,
    /// None comes from here on.
    pub until: f64,
    /// How many a second.
    pub per_s: f64,
}

impl Ghosts {
    /// The tasks, by their spawn.
    pub fn tasks(self) -> Vec<Task> {
        let Ghosts { line, from, until, per_s } = self;
        let count = ((until - from) * per_s).floor() as u32;
        let spawned = (0..count).map(|i| from + f64::from(i) / per_s);
        let ghost = |at| Task { line, spawned: at, pause: 0.05, rests: Some(at + 0.5), ended: None };
        spawned.map(ghost).collect()
    }

    /// Sockets that are never closed.
    pub fn sockets(self) -> Vec<Socket> {
        self.tasks().iter().map(Task::socket).collect()
    }
}

/// So many tasks that never end, spawned at equal distances.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    /// Line of their spawn site.
    pub line: u32,
    /// How many.
    pub count: u32,
    /// The first comes now.
    pub from: f64,
    /// None comes from here on.
    pub until: f64,
    /// Each is polled once in so many seconds.
    pub pause: f64,
}

impl Steady {
    /// The tasks, by their spawn.
    pub fn tasks(self) -> Vec<Task> {
        let Steady { line, count, from, until, pause } = self;
        let spawned = (0..count).map(|i| from + (until - from) * f64::from(i) / f64::from(count));
        spawned.map(|at| Task { line, spawned: at, pause, rests: None, ended: None }).collect()
    }
}

impl Task {
    fn socket(&self) -> Socket {
        (self.spawned, self.ended)
    }
}

/// `tasks` in the order of their spawn, as ids are.
pub fn in_order(mut tasks: Vec<Task>) -> Vec<Task> {
    tasks.sort_by(|a, b| a.spawned.total_cmp(&b.spawned));
    tasks
}
