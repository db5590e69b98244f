//! Healthy services, each drawn from a seed: what their tasks and their memory do, and when snapshots are taken.
//!
//! Whatever fills up is full one window (a third of the series) before the last snapshot, or fills within 24 s: what fills
//! for longer is not to be told from a leak.

use diag_test_support::random::XorShift;
use diag_test_support::scenario::{Block, Churn, Service, Steady, Task, in_order};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// A service has about so many tasks of each sort in all its time, and so many blocks.
const EVENTS: f64 = 400.0;
/// What fills in this time, seconds, is a start and no growth.
const SHORT_S: f64 = 24.0;

/// A healthy service and when it is looked at.
pub(crate) struct Healthy {
    pub(crate) kind: &'static str,
    pub(crate) service: Service,
    /// Seconds since start, ascending.
    pub(crate) moments: Vec<f64>,
}

type Kind = fn(&mut Draw) -> (Vec<Task>, Vec<Block>);

const KINDS: [(&str, Kind); 15] = [
    ("churn", churning),
    ("churn with a long tail", long_tail),
    ("cache that fills", cache),
    ("cache with a time to live", ttl_cache),
    ("cache of random keys", random_keys),
    ("reconnect waves", waves),
    ("load steps", load_steps),
    ("ramp that ends", ramp),
    ("daily cycle", daily_cycle),
    ("worker pools", pools),
    ("table that doubles", table),
    ("connections with buffers", buffers),
    ("many connections of one task", of_one_task),
    ("cache that many functions fill", of_many_functions),
    ("heap that is compacted", compacted),
];

impl Healthy {
    /// The same for the same seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let (kind, make) = KINDS[(seed % KINDS.len() as u64) as usize];
        let (tasks, blocks) = make(&mut draw);
        let (background, in_flight) = requests(&mut draw, 7, "svc::handle");
        let mut service = joined([(tasks, blocks), (background, in_flight)]);
        service.sockets = sockets(&mut draw, kind, &service);
        Healthy { kind, service, moments: draw.moments }
    }
}

/// Where the dice are, and when snapshots are taken.
struct Draw {
    random: XorShift,
    seed: u64,
    moments: Vec<f64>,
}

impl Draw {
    fn new(seed: u64) -> Self {
        let mut random = XorShift::new(seed);
        let count = 3 + (random.uniform() * 57.99) as usize;
        let mut at = log_uniform(&mut random, 1.0, 600.0);
        let pause = log_uniform(&mut random, 2.0, 120.0);
        let jitter = random.uniform();
        let mut moments = Vec::with_capacity(count);
        for _ in 0..count {
            moments.push(at);
            at += pause * (1.0 + jitter * (random.uniform() - 0.5));
        }
        Draw { random, seed, moments }
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        log_uniform(&mut self.random, low, high)
    }

    fn first(&self) -> f64 {
        self.moments[0]
    }

    fn end(&self) -> f64 {
        self.moments[self.moments.len() - 1]
    }

    /// From when to when something fills, which is then full early enough.
    fn fill(&mut self) -> (f64, f64) {
        let (first, end) = (self.first(), self.end());
        let latest = end - (end - first) / 3.0;
        let from = latest * self.random.uniform() * self.random.uniform().round();
        if self.random.uniform() < 0.3 {
            return (from, from + self.between(1.0, SHORT_S));
        }
        (from, from + (latest - from) * self.random.uniform())
    }

    fn seed(&mut self) -> u64 {
        self.seed.wrapping_mul(31).wrapping_add((self.random.uniform() * 1e9) as u64)
    }
}

fn log_uniform(random: &mut XorShift, low: f64, high: f64) -> f64 {
    low * (high / low).powf(random.uniform())
}

/// Puts tasks and blocks in order. What a block says of its task is its place in its own part.
fn joined<const N: usize>(parts: [(Vec<Task>, Vec<Block>); N]) -> Service {
    let mut tasks: Vec<(usize, usize, Task)> = Vec::new();
    let mut blocks: Vec<(usize, Block)> = Vec::new();
    for (part, (of_part, held)) in parts.into_iter().enumerate() {
        tasks.extend(of_part.into_iter().enumerate().map(|(place, task)| (part, place, task)));
        blocks.extend(held.into_iter().map(|block| (part, block)));
    }
    tasks.sort_by(|a, b| a.2.spawned.total_cmp(&b.2.spawned));
    let places: std::collections::HashMap<(usize, usize), usize> =
        tasks.iter().enumerate().map(|(at, &(part, place, _))| ((part, place), at)).collect();
    let mut blocks: Vec<Block> = (blocks.into_iter())
        .map(|(part, block)| Block {
            task: block.task.and_then(|place| places.get(&(part, place)).copied()),
            ..block
        })
        .collect();
    blocks.sort_by(|a, b| a.born.total_cmp(&b.born));
    Service { blocks, ..Service::new(tasks.into_iter().map(|(_, _, task)| task).collect()) }
}

fn block(function: &'static str, size_bytes: u64, born: f64, freed: Option<f64>) -> Block {
    Block { function, size_bytes, born, freed, task: None }
}

/// A buffer of each task that ends with it.
fn held(tasks: &[Task], function: &'static str, size_bytes: u64) -> Vec<Block> {
    let of_task = |(place, task): (usize, &Task)| Block {
        task: Some(place),
        ..block(function, size_bytes, task.spawned, task.ended)
    };
    tasks.iter().enumerate().map(of_task).collect()
}

/// Requests that come by chance all the time, each with a buffer.
fn requests(draw: &mut Draw, line: u32, function: &'static str) -> (Vec<Task>, Vec<Block>) {
    let end = draw.end();
    let per_s = draw.between(0.1, 1.0) * EVENTS / end;
    let lifetime = draw.between(0.02, end / 10.0);
    let pause = draw.between(0.01, 10.0);
    let tasks =
        Churn { seed: draw.seed(), line, until: end, per_s, lifetime, pause, ..Churn::default() }.tasks();
    let size = draw.between(1e3, 1e6) as u64;
    let blocks = held(&tasks, function, size);
    (tasks, blocks)
}

fn churning(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    requests(draw, 9, "svc::parse")
}

/// Most are short, and some wait long without a poll.
fn long_tail(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    let end = draw.end();
    let per_s = draw.between(0.2, 1.0) * EVENTS / end;
    let lifetime = draw.between(0.02, end / 50.0);
    let short =
        Churn { seed: draw.seed(), line: 9, until: end, per_s, lifetime, pause: 0.5, ..Churn::default() }
            .tasks();
    let times = draw.between(3.0, 20.0);
    let long = Churn {
        seed: draw.seed(),
        line: 9,
        until: end,
        per_s: per_s / 4.0,
        lifetime: lifetime * times,
        pause: 1e9,
        ..Churn::default()
    }
    .tasks();
    let tasks = in_order([short, long].concat());
    let blocks = held(&tasks, "svc::parse", 100 * KIB);
    (tasks, blocks)
}

/// Entries come until it is full; from then on each drives the oldest out.
fn cache(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    let (from, full) = draw.fill();
    let entries = draw.between(20.0, EVENTS) as usize;
    let size = draw.between(1e4, 2e6) as u64;
    let pause = (full - from).max(0.1) / entries as f64;
    // Misses are as many as while it filled, or fewer.
    let misses = ((draw.end() - full) / (pause * draw.between(1.0, 50.0))).min(EVENTS * 3.0) as usize;
    let between = (draw.end() - full).max(0.0) / misses.max(1) as f64;
    let born = |place: usize| match place.checked_sub(entries) {
        None => from + pause * place as f64,
        Some(miss) => full + between * miss as f64,
    };
    let entry = |place: usize| {
        let freed = (place < misses).then(|| born(place + entries));
        block("svc::Cache::insert", size, born(place), freed)
    };
    (Vec::new(), (0..entries + misses).map(entry).collect())
}

/// Entries come all the time, each for its time to live.
fn ttl_cache(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    let (from, full) = draw.fill();
    let ttl = full - from;
    let per_s = draw.between(50.0, 1e3) / (draw.end() - from).max(1.0);
    let size = draw.between(1e4, 1e6) as u64;
    let mut blocks = Vec::new();
    let mut at = from;
    while at < draw.end() {
        blocks.push(block("svc::Sessions::open", size, at, Some(at + ttl)));
        at += draw.random.exponential(1.0 / per_s);
    }
    (Vec::new(), blocks)
}

/// One entry for each key that is ever asked for: 95 % of them are there when it is said to be full.
fn random_keys(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    let (from, full) = draw.fill();
    let keys = draw.between(20.0, EVENTS) as usize;
    let size = draw.between(1e4, 2e6) as u64;
    let mean = (full - from).max(0.1) / 20f64.ln();
    // The first time that a key is asked for comes by chance.
    let blocks = (0..keys).map(|_| block("svc::Names::of", size, from + draw.random.exponential(mean), None));
    (Vec::new(), blocks.collect())
}

/// Devices that stay connected, and all come again within seconds, now and then.
fn waves(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    let end = draw.end();
    let period = draw.between(end / 8.0, end);
    let devices = draw.between(10.0, EVENTS / 2.0) as u32;
    let (takes, pause) = (draw.between(0.1, 5.0), draw.between(0.5, 30.0));
    let mut tasks = Vec::new();
    let mut from = 0.0;
    while from < end {
        let mut wave = Steady { line: 9, count: devices, from, until: from + takes, pause }.tasks();
        from += period;
        wave.iter_mut().for_each(|task| task.ended = Some(from + takes * draw.random.uniform()));
        tasks.extend(wave);
    }
    let tasks = in_order(tasks);
    let blocks = held(&tasks, "svc::Device::connect", 256 * KIB);
    (tasks, blocks)
}

/// Load changes in steps, up and down.
fn load_steps(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    let end = draw.end();
    let lifetime = draw.between(0.02, end / 20.0);
    let steps = 2 + (draw.random.uniform() * 4.0) as usize;
    let mut tasks = Vec::new();
    for step in 0..steps {
        let (from, to) = (end * step as f64 / steps as f64, end * (step + 1) as f64 / steps as f64);
        let per_s = draw.between(0.1, 1.5) * EVENTS / end;
        tasks.extend(
            Churn { seed: draw.seed(), line: 9, from, until: to, per_s, lifetime, pause: 0.2 }.tasks(),
        );
    }
    let tasks = in_order(tasks);
    let size = draw.between(1e4, 1e6) as u64;
    let blocks = held(&tasks, "svc::parse", size);
    (tasks, blocks)
}

/// Connections come until they are all there, and stay with a heartbeat.
fn ramp(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    let (from, full) = draw.fill();
    let connections = draw.between(10.0, EVENTS) as u32;
    let pause = draw.between(0.1, 20.0);
    let tasks = Steady { line: 9, count: connections, from, until: full, pause }.tasks();
    let size = draw.between(1e3, 1e6) as u64;
    let blocks = held(&tasks, "svc::Connection::accept", size);
    (tasks, blocks)
}

/// Load that rises and falls, of which the series may see a part only.
fn daily_cycle(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    let (first, end) = (draw.first(), draw.end());
    let period = (end - first) * draw.between(0.25, 4.0);
    let phase = draw.random.uniform();
    let lifetime = draw.between(0.02, end / 20.0);
    let per_s = 2.0 * EVENTS / end;
    let mut tasks =
        Churn { seed: draw.seed(), line: 9, until: end, per_s, lifetime, pause: 0.2, ..Churn::default() }
            .tasks();
    let load = |at: f64| 0.5 + 0.45 * (std::f64::consts::TAU * (at / period + phase)).sin();
    tasks.retain(|task| draw.random.uniform() < load(task.spawned));
    let size = draw.between(1e4, 1e6) as u64;
    let blocks = held(&tasks, "svc::parse", size);
    (tasks, blocks)
}

/// Workers that were started with the service, or later in one go, and have little to do.
fn pools(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    let pools = 1 + (draw.random.uniform() * 3.0) as u32;
    let mut tasks = Vec::new();
    for pool in 0..pools {
        let from = draw.end() * draw.random.uniform() * draw.random.uniform().round();
        let workers = draw.between(2.0, 200.0) as u32;
        let pause = if draw.random.uniform() < 0.5 { 1e9 } else { draw.between(1.0, 100.0) };
        tasks.extend(
            Steady { line: 9 + pool, count: workers, from, until: from + draw.random.uniform(), pause }
                .tasks(),
        );
    }
    let tasks = in_order(tasks);
    let blocks = held(&tasks, "svc::Worker::new", 64 * KIB);
    (tasks, blocks)
}

/// A table of large blocks, twice as large each time it is full, until all that it is for is in there, which leaves some
/// room in the last of them.
fn table(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    let (from, full) = draw.fill();
    let doublings = 2 + (draw.random.uniform() * 7.0) as i32;
    let least = draw.between(64.0 * 1024.0, 8.0 * MIB as f64) as u64;
    let in_all = 2f64.powi(doublings) * (1.0 + draw.random.uniform()) - 1.0;
    let at = |step: i32| from + (full - from) * (2f64.powi(step) - 1.0) / in_all;
    let size = |step: i32| {
        let freed = (step < doublings).then(|| at(step + 1));
        block("svc::Index::add", least << step, at(step), freed)
    };
    (Vec::new(), (0..=doublings).map(size).collect())
}

/// A cache that fills and stays, in blocks of many functions, none of which has much of it.
fn of_many_functions(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    const FUNCTIONS: [&str; 8] = [
        "svc::Key::new",
        "svc::Key::clone",
        "svc::Row::read",
        "svc::Row::clone",
        "svc::Index::add",
        "svc::Index::link",
        "svc::Text::of",
        "svc::Text::join",
    ];
    let (_, mut blocks) = cache(draw);
    blocks.iter_mut().zip(FUNCTIONS.iter().cycle()).for_each(|(block, function)| block.function = function);
    (Vec::new(), blocks)
}

/// Entries come all the time and are all thrown away now and then: a sawtooth.
fn compacted(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    let (first, end) = (draw.first(), draw.end());
    // Two teeth at least: of one alone only its rise may be seen.
    let period = (end - first) * draw.between(0.05, 0.4);
    let phase = period * draw.random.uniform();
    let pause = period / draw.between(5.0, 60.0);
    let size = draw.between(1e4, 2e6) as u64;
    let count = (end / pause) as usize;
    let entry = |place: usize| {
        let born = pause * place as f64;
        let thrown_away = ((born + phase) / period).floor().mul_add(period, period - phase);
        block("svc::Log::append", size, born, Some(thrown_away))
    };
    (Vec::new(), (0..count.min(20_000)).map(entry).collect())
}

/// A task that serves all connections by itself, of which no task and no memory tells.
fn of_one_task(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    (Steady { line: 9, count: 1, from: 0.0, until: 1.0, pause: draw.between(0.01, 1.0) }.tasks(), Vec::new())
}

/// A socket of each task of a service that has connections, and those of clients that no task stands for: some that come
/// and go, and some that stay once they are there.
fn sockets(draw: &mut Draw, kind: &str, service: &Service) -> Vec<(f64, Option<f64>)> {
    let end = draw.end();
    let clients = draw.between(2.0, EVENTS);
    let lifetime = draw.between(end / 300.0, end / 10.0);
    let mut sockets = Churn {
        seed: draw.seed(),
        line: 0,
        until: end,
        per_s: clients / lifetime,
        lifetime,
        pause: 1.0,
        ..Churn::default()
    }
    .sockets();
    let of_tasks =
        service.tasks.iter().filter(|task| task.line == 9 && kind != "many connections of one task");
    sockets.extend(of_tasks.map(|task| (task.spawned, task.ended)));
    let ((from, full), count) = (draw.fill(), draw.between(1.0, EVENTS) as u32);
    sockets.extend(
        Steady { line: 0, count, from, until: full, pause: 1.0 }
            .tasks()
            .iter()
            .map(|task| (task.spawned, None)),
    );
    sockets
}

/// Connections that come and go, and whose buffers grow with what they are first sent.
fn buffers(draw: &mut Draw) -> (Vec<Task>, Vec<Block>) {
    let end = draw.end();
    let per_s = draw.between(0.2, 1.0) * EVENTS / end;
    let lifetime = draw.between(0.1, end / 10.0);
    let tasks =
        Churn { seed: draw.seed(), line: 9, until: end, per_s, lifetime, pause: 0.1, ..Churn::default() }
            .tasks();
    let mut blocks = Vec::new();
    for (place, task) in tasks.iter().enumerate() {
        let ended = task.ended.unwrap_or(end);
        let mut from = task.spawned;
        for step in 0..5 {
            let to = if step < 4 { (from + draw.random.exponential(0.5)).min(ended) } else { ended };
            blocks.push(Block {
                task: Some(place),
                ..block("svc::Buffer::reserve", (32 * KIB) << step, from, Some(to))
            });
            from = to;
        }
    }
    (tasks, blocks)
}
