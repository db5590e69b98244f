//! The stock tokio-console before a service of 20,000 tasks that come and go, as `diag console` shows it: how many tasks its
//! screen has, which lints fire, and what the questions cost the service.
//!
//! Without a tokio-console, which is told by `TOKIO_CONSOLE` or found in the path, it says so and is skipped.

use std::io::{self, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use diag_examples::console::service::{self, LINTS};
use diag_examples::console::terminal::Terminal;
use diag_examples::{agent, args, progress};

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
}

/// Tasks that may come or go between two looks, and some that stay that the service has besides.
const CHURN: u64 = 500;
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
    let mut serve = vec!["--serve".to_owned(), "--tasks".to_owned(), args.tasks.to_string()];
    serve.extend(args.healthy.then(|| "--healthy".to_owned()));
    let mut service = Ended::start(Command::new(&this).args(serve).stdout(Stdio::piped()))?;
    let mut from_service = BufReader::new(service.0.stdout.take().context("it has an output")?);
    let agent = first_line(&mut from_service)?;
    let bridge = ["console", agent.trim(), "--addr", "127.0.0.1:0"];
    let mut bridge =
        Ended::start(Command::new(this.with_file_name("diag")).args(bridge).stderr(Stdio::piped()))?;
    // It stays open, for what is said later.
    let mut from_bridge = BufReader::new(bridge.0.stderr.take().context("it has an output")?);
    let said = first_line(&mut from_bridge)?;
    let url = said.split_whitespace().find(|word| word.starts_with("http")).context("it says where")?;

    let cost = cost_of_a_question(service.0.id(), agent.trim())?;
    let terminal = Terminal::run(&format!("{} --ascii-only true --retain-for 0s {url}", client.display()))?;
    let counts = watch(&terminal, &args, agent.trim())?;
    let screen = terminal.text();
    if args.show {
        writeln!(io::stdout(), "{screen}")?;
    }
    let expected: &[&str] = if args.healthy { &[] } else { &LINTS };
    let lints: Vec<&str> =
        screen.lines().filter(|line| line.contains(" tasks ha") || line.contains(" tasks are ")).collect();
    let are_right = lints.len() == expected.len()
        && expected.iter().all(|lint| lints.iter().any(|line| line.contains(lint)));
    let good = are_right && cost <= MOST_PERCENT && counts.wrong == 0;
    writeln!(
        io::stdout(),
        "{}: {} of {} looks at the screen had as many tasks as the service, {} in the last; lints {lints:?}, expected \
         {}; a question a second costs the service {cost:.2} % of a core, bar {MOST_PERCENT} %",
        if good { "right" } else { "WRONG" },
        counts.right,
        counts.right + counts.wrong,
        counts.last,
        expected.len(),
    )?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How often the screen had as many tasks as the service.
#[derive(Default)]
struct Counts {
    right: u64,
    wrong: u64,
    last: u64,
}

fn watch(terminal: &Terminal, args: &Args, agent: &str) -> anyhow::Result<Counts> {
    let until = Instant::now() + PATIENCE;
    while tasks_on(&terminal.text()).is_none_or(|tasks| tasks < args.tasks) {
        ensure!(Instant::now() < until, "the client does not show them:\n{}", terminal.text());
        sleep(Duration::from_millis(100));
    }
    let (started, mut counts) = (Instant::now(), Counts::default());
    while started.elapsed() < args.seconds {
        let file = agent::snapshot_file(agent.parse()?, PATIENCE)?;
        let Ok((snapshot, _)) = diag_snapshot::read(&file) else { bail!("the agent gave no snapshot") };
        counts.last = tasks_on(&terminal.text()).context("the screen has no number of tasks")?;
        let is_right = counts.last.abs_diff(snapshot.live_tasks()) <= CHURN;
        *(if is_right { &mut counts.right } else { &mut counts.wrong }) += 1;
        progress::show(&format!(
            "{} tasks on the screen, {} in the service",
            counts.last,
            snapshot.live_tasks()
        ));
        sleep(Duration::from_secs(2));
    }
    progress::show("");
    Ok(counts)
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
fn cost_of_a_question(pid: u32, agent: &str) -> anyhow::Result<f64> {
    const QUESTIONS: u32 = 20;
    let ask = || agent::file(agent.parse()?, "/snapshot?only=tasks", PATIENCE);
    // The first has names to look up.
    ask()?;
    let (ran, began) = (ticks(pid)?, Instant::now());
    for _ in 0..QUESTIONS {
        ask()?;
    }
    let (asked, span) = (ticks(pid)? - ran, began.elapsed());
    let ran = ticks(pid)?;
    sleep(span);
    let by_itself = ticks(pid)? - ran;
    Ok((asked - by_itself) / f64::from(QUESTIONS) / TICKS_PER_S * 100.0)
}

/// How long a process ran so far.
fn ticks(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after) = stat.rsplit_once(')').context("it has a name")?;
    let times = after.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(times.sum::<Result<f64, _>>()?)
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
