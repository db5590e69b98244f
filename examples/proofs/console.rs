//! The stock tokio-console before a service of 20,000 tasks that come and go, as `diag console` shows it: how many tasks its
//! screen has and what it says of each, which lints fire, and what the questions cost the service.
//!
//! Another service may be given after `--`, and a command that loads it, with the programs of this repository:
//!
//! ```text
//! console -- target/release/iothub --devices 200 --seconds 600
//! console --load 'while sleep 0.05; do curl -s 127.0.0.1:3000/report; done' -- target/release/examples/axum
//! ```
//!
//! Without a tokio-console, which is told by `TOKIO_CONSOLE` or found in the path, it says so and is skipped.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use diag_examples::console::history::{History, Verdict};
use diag_examples::console::service::{self, LINTS};
use diag_examples::console::table;
use diag_examples::console::terminal::Terminal;
use diag_examples::{agent, args, progress};
use diag_snapshot::Snapshot;

/// With it sockets, channels and tasks of libraries are seen.
#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Looks at the screen of tokio-console.
#[derive(Parser)]
#[command(after_help = "Exit code 0: the screen is right, or there is no tokio-console. 1: it is not.")]
struct Args {
    /// Tasks that stay; others come and go.
    #[arg(long, default_value_t = 20_000)]
    tasks: u64,
    /// How long to look.
    #[arg(long, default_value = "60", value_parser = args::seconds)]
    seconds: Duration,
    /// Be the service instead.
    #[arg(long, hide = true)]
    serve: bool,
    /// Without the planted tasks.
    #[arg(long)]
    healthy: bool,
    /// Print the screen at the end.
    #[arg(long)]
    show: bool,
    /// A command for the shell that loads the service; it is ended at the end.
    #[arg(long)]
    load: Option<String>,
    /// Another service, which is healthy, and its arguments.
    #[arg(last = true)]
    service: Vec<String>,
}

impl Args {
    /// What tokio-console has to say of the service.
    fn expected_lints(&self) -> &'static [(&'static str, &'static str)] {
        if self.healthy || !self.service.is_empty() { &[] } else { &LINTS }
    }

    /// Tasks that the screen has before it is looked at.
    fn least_tasks(&self) -> u64 {
        if self.service.is_empty() { self.tasks } else { 1 }
    }

    fn command(&self, this: &Path) -> Command {
        if let [program, arguments @ ..] = &self.service[..] {
            let mut command = Command::new(program);
            command.args(arguments);
            return command;
        }
        let mut command = Command::new(this);
        command.args(["--serve", "--tasks", &self.tasks.to_string()]);
        command.args(self.healthy.then_some("--healthy"));
        command
    }
}

/// Tasks that may come or go between two looks, and some that stay that the service has besides.
const CHURN: u64 = 500;
/// Pages of tasks that are looked at.
const PAGES: usize = 10;
/// Of a core, in the service, with 20,000 tasks.
const MOST_PERCENT: f64 = 1.0;
const PATIENCE: Duration = Duration::from_secs(120);
/// Of what `/proc` counts time in, a second has so many.
const TICKS_PER_S: f64 = 100.0;

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if args.serve {
        service::run(args.tasks, !args.healthy)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(client) = client() else {
        writeln!(io::stdout(), "skipped: there is no tokio-console, whose screen was to be looked at")?;
        return Ok(ExitCode::SUCCESS);
    };
    let this = std::env::current_exe().context("cannot find this program to run it again")?;
    let mut service = args.command(&this);
    service.env("DIAG_ADDR", "127.0.0.1:0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut service = Ended::start(&mut service)?;
    let agent = agent_said(service.0.stderr.take().context("it has an output")?)?;
    let load = args.load.as_ref().map(|load| {
        let mut shell = Command::new("sh");
        Ended::start(shell.args(["-c", load]).stdout(Stdio::null()).stderr(Stdio::null()))
    });
    let _load = load.transpose()?;
    let bridge = ["console", &agent, "--addr", "127.0.0.1:0"];
    let mut bridge =
        Ended::start(Command::new(this.with_file_name("diag")).args(bridge).stderr(Stdio::piped()))?;
    // It stays open, for what is said later.
    let mut from_bridge = BufReader::new(bridge.0.stderr.take().context("it has an output")?);
    let said = first_line(&mut from_bridge)?;
    let url = said.split_whitespace().find(|word| word.starts_with("http")).context("it says where")?;

    let until = Instant::now() + PATIENCE;
    while snapshot(&agent)?.live_tasks() < args.least_tasks() {
        ensure!(Instant::now() < until, "the service does not have its tasks");
        sleep(Duration::from_millis(100));
    }
    let cost = cost_of_a_question(service.0.id(), &agent)?;
    let mut terminal =
        Terminal::run(&format!("{} --ascii-only true --retain-for 0s {url}", client.display()))?;
    let (counts, history) = watch(&terminal, &args, &agent)?;
    if args.show {
        writeln!(io::stdout(), "{}", terminal.text())?;
    }
    let wakers = wakers(&mut terminal, history, &agent)?;
    let expected = args.expected_lints();
    let lints = lints(&mut terminal, expected)?;
    let is_compared = counts.same + counts.between > 0;
    let is_told = counts.wrong == 0 && counts.differ.is_empty() && is_compared && wakers.is_right();
    let good = lints.are_right && cost.percent <= MOST_PERCENT && is_told;
    for differs in counts.differ.iter().chain(&wakers.differ).take(10) {
        writeln!(io::stdout(), "{differs}")?;
    }
    writeln!(
        io::stdout(),
        "{}: {} of {} looks at the screen had as many tasks as the service, {} in the last; of its lines {} were the same in each \
         field, {} of tasks that worked lay between two snapshots, {} were of tasks that no snapshot has, {} differed; {} of {} \
         pages had as many wakers; lints {:?} at {:?}, expected {}; a question a second costs the service {:.2} % of a core, bar \
         {MOST_PERCENT} %, and {:.0} page faults",
        if good { "right" } else { "WRONG" },
        counts.right,
        counts.right + counts.wrong,
        counts.last,
        counts.same,
        counts.between,
        counts.unseen,
        counts.differ.len(),
        wakers.same,
        wakers.same + wakers.differ.len(),
        lints.said,
        lints.warned,
        expected.len(),
        cost.percent,
        cost.faults,
    )?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How often the screen had as many tasks as the service, and what became of its lines.
#[derive(Default)]
struct Counts {
    right: u64,
    wrong: u64,
    last: u64,
    same: u64,
    between: u64,
    unseen: u64,
    differ: Vec<String>,
}

impl Counts {
    fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Same => self.same += 1,
            Verdict::Between => self.between += 1,
            Verdict::Unseen => self.unseen += 1,
            Verdict::Differs(how) => self.differ.push(how),
        }
    }
}

fn watch(terminal: &Terminal, args: &Args, agent: &str) -> anyhow::Result<(Counts, History)> {
    let until = Instant::now() + PATIENCE;
    while tasks_on(&terminal.text()).is_none_or(|tasks| tasks < args.least_tasks()) {
        ensure!(Instant::now() < until, "the client does not show them:\n{}", terminal.text());
        sleep(Duration::from_millis(100));
    }
    let (started, mut counts, mut history) = (Instant::now(), Counts::default(), History::default());
    while started.elapsed() < args.seconds {
        let screen = terminal.text();
        let snapshot = snapshot(agent)?;
        counts.last = tasks_on(&screen).context("the screen has no number of tasks")?;
        let is_right = counts.last.abs_diff(snapshot.live_tasks()) <= CHURN;
        *(if is_right { &mut counts.right } else { &mut counts.wrong }) += 1;
        progress::show(&format!(
            "{} tasks on the screen, {} in the service",
            counts.last,
            snapshot.live_tasks()
        ));
        history.push(snapshot);
        if history.is_full() {
            table::lines(&screen).iter().for_each(|line| counts.add(history.check(line)));
        }
        sleep(Duration::from_secs(1));
    }
    progress::show("");
    Ok((counts, history))
}

fn snapshot(agent: &str) -> anyhow::Result<Snapshot> {
    let file = agent::snapshot_file(agent.parse()?, PATIENCE)?;
    match diag_snapshot::read(&file) {
        Ok((snapshot, _)) => Ok(snapshot),
        Err(error) => bail!("the agent gave no snapshot: {error}"),
    }
}

/// Pages of tasks, and what they say of wakers.
#[derive(Default)]
struct Wakers {
    same: usize,
    differ: Vec<String>,
}

impl Wakers {
    /// True if some were compared and none differed.
    fn is_right(&self) -> bool {
        self.same > 0 && self.differ.is_empty()
    }
}

/// Opens the pages of the first tasks of the table, one after the other.
fn wakers(terminal: &mut Terminal, mut history: History, agent: &str) -> anyhow::Result<Wakers> {
    let mut wakers = Wakers::default();
    for _ in 0..PAGES {
        // One down, and its page; the table again.
        terminal.press("j\r")?;
        let (id, shown) = until(terminal, "the page of a task", table::wakers_on_page)?;
        history.push(snapshot(agent)?);
        match history.wakers(id) {
            Some(count) if count != shown => {
                wakers.differ.push(format!("task {id}: {shown} wakers and not {count}"));
            }
            Some(_) => wakers.same += 1,
            None => {}
        }
        terminal.press("\u{1b}")?;
        until(terminal, "the table again", tasks_on)?;
    }
    Ok(wakers)
}

/// What the client says of tasks, and at which.
struct Lints {
    said: Vec<String>,
    warned: Vec<String>,
    are_right: bool,
}

/// Has the table begin with the tasks of which the client says something, and waits until these are as expected: a task has to do
/// something before it can be told.
fn lints(terminal: &mut Terminal, expected: &[(&str, &str)]) -> anyhow::Result<Lints> {
    // From the column `Total`, by which it is sorted at first, to the leftmost.
    terminal.press("hhhh")?;
    let rises =
        |screen: &str| [RISING, FALLING].iter().position(|head| screen.contains(head)).map(|at| at == 0);
    if until(terminal, "the table by its warnings", rises)? {
        terminal.press("i")?;
        until(terminal, "those with the most of them first", |screen| {
            screen.contains(FALLING).then_some(())
        })?;
    }
    let began = Instant::now();
    loop {
        let lints = Lints::on(&terminal.text(), expected);
        if lints.are_right || began.elapsed() > PATIENCE {
            return Ok(lints);
        }
        sleep(Duration::from_millis(100));
    }
}

/// The head of the column of warnings while the table is sorted by it, by its least and by its most first.
const RISING: &str = "Warn+";
const FALLING: &str = "Warn-";

impl Lints {
    fn on(screen: &str, expected: &[(&str, &str)]) -> Self {
        let is_lint = |line: &&str| line.contains(" tasks ha") || line.contains(" tasks are ");
        let said: Vec<String> = screen.lines().filter(is_lint).map(str::to_owned).collect();
        let mut warned: Vec<String> =
            table::lines(screen).into_iter().filter(|line| line.is_warned).map(|line| line.name).collect();
        warned.sort();
        let mut names: Vec<&str> = expected.iter().map(|(_, name)| *name).collect();
        names.sort_unstable();
        let are_said = expected.iter().all(|(lint, _)| said.iter().any(|line| line.contains(lint)));
        let are_right = said.len() == expected.len() && are_said && warned == names;
        Lints { said, warned, are_right }
    }
}

/// What is found on the screen, once it is there.
fn until<T>(terminal: &Terminal, what: &str, find: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        let screen = terminal.text();
        if let Some(found) = find(&screen) {
            return Ok(found);
        }
        ensure!(Instant::now() < until, "the client does not show {what}:\n{screen}");
        sleep(Duration::from_millis(20));
    }
}

/// Of `Tasks (20034) BUSY Running (1) ..`.
fn tasks_on(screen: &str) -> Option<u64> {
    let (_, rest) = screen.split_once("Tasks (")?;
    rest.split_once(')')?.0.parse().ok()
}

fn client() -> Option<PathBuf> {
    let named = std::env::var_os("TOKIO_CONSOLE").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join("tokio-console"));
    named.or_else(|| found.find(|program| program.is_file()))
}

/// How much of a core a question a second takes: what the service runs for each, whoever else keeps the machine busy and them
/// apart.
fn cost_of_a_question(pid: u32, agent: &str) -> anyhow::Result<Cost> {
    const QUESTIONS: u32 = 20;
    let ask = || agent::file(agent.parse()?, "/snapshot?only=tasks", PATIENCE);
    // The first has names to look up.
    ask()?;
    let (before, began) = (ran(pid)?, Instant::now());
    for _ in 0..QUESTIONS {
        ask()?;
    }
    let (asked, span) = (ran(pid)?, began.elapsed());
    sleep(span);
    let by_itself = ran(pid)?;
    let of_questions = |at: fn(&Ran) -> f64| {
        ((at(&asked) - at(&before)) - (at(&by_itself) - at(&asked))) / f64::from(QUESTIONS)
    };
    Ok(Cost {
        percent: of_questions(|ran| ran.ticks) / TICKS_PER_S * 100.0,
        faults: of_questions(|ran| ran.faults).max(0.0),
    })
}

/// Of a question: of a core if there is one a second, and pages that the system had to find.
struct Cost {
    percent: f64,
    faults: f64,
}

/// How long a process ran so far, and its page faults.
struct Ran {
    ticks: f64,
    faults: f64,
}

fn ran(pid: u32) -> anyhow::Result<Ran> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after) = stat.rsplit_once(')').context("it has a name")?;
    let numbers: Vec<&str> = after.split_whitespace().collect();
    let number =
        |at: usize| Ok::<f64, anyhow::Error>(numbers.get(at).context("a figure is missing")?.parse()?);
    Ok(Ran { ticks: number(11)? + number(12)?, faults: number(7)? })
}

/// Where the agent of a service listens, of all that it says; the rest is read for as long as it runs.
fn agent_said(output: impl Read + Send + 'static) -> anyhow::Result<String> {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let said = lines.by_ref().find_map(|line| {
        let (_, address) = line.split_once("the agent listens on http://")?;
        Some(address.trim().to_owned())
    });
    thread::spawn(move || lines.for_each(drop));
    said.context("the service does not say where its agent listens")
}

fn first_line(output: &mut impl io::BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    Ok(line)
}

/// A program that ends with this one.
struct Ended(Child);

impl Ended {
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let named = format!("cannot start {:?}", command.get_program());
        Ok(Ended(command.spawn().context(named)?))
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
