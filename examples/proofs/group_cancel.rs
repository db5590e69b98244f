//! The proof that a large group is seen to end: after the cancel of 10,000 members a snapshot soon shows which have ended, and those
//! that have not with how long ago they were asked to.
//!
//! A few members do not listen. The group is cancelled, and a snapshot is taken when the others have ended. What it says
//! of the stragglers is held against the clock of this program: a snapshot takes milliseconds itself, so each age is compared with
//! that of a straggler of another group, which was cancelled a known time before. The control: before the cancel nobody is a
//! straggler, and an age that is one millisecond off is noticed.

use std::future::pending;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use diag_analysis::Analysis;
use diag_analysis::views::GroupView;

/// Cancels a group, and says how soon a snapshot shows its end, and how right the ages of its stragglers are.
#[derive(Parser)]
#[command(after_help = "Exit code 0: the end is shown soon, and each age is right. 1: otherwise.")]
struct Args {
    /// Members.
    #[arg(long, default_value_t = 10_000)]
    members: u64,
    /// Of these, so many do not listen.
    #[arg(long, default_value_t = 100)]
    stragglers: u64,
    /// So often.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
}

/// By then the end is shown.
const SOON: Duration = Duration::from_millis(100);
/// By so much an age may be wrong.
const OFF: Duration = Duration::from_micros(800);
/// The other group is cancelled so much earlier.
const BEFORE: Duration = Duration::from_millis(20);
/// Then nothing is shown any more.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    ensure!((1..args.members).contains(&args.stragglers), "--stragglers: at least one, and not all");
    let _diag = diag::Builder::new().service("group-cancel").agent(false).start();
    let runtime = tokio::runtime::Runtime::new()?;
    let mut best: Option<Seen> = None;
    let mut are_right = true;
    for _ in 0..args.rounds {
        let seen = runtime.block_on(cancel(&args))?;
        are_right &= seen.most_off <= OFF && seen.stragglers == args.stragglers;
        if best.as_ref().is_none_or(|best| seen.shown_after < best.shown_after) {
            best = Some(seen);
        }
    }
    let Seen { shown_after, stragglers, most_off } = best.context("--rounds 0: nothing was done")?;
    let is_good = are_right && shown_after <= SOON;
    writeln!(
        io::stdout(),
        "{}: {} of {} members shown as ended {:.1} ms after the cancel (the best of {} rounds); {stragglers} stragglers, \
         their ages at most {:.3} ms off",
        if is_good { "as it is to be" } else { "NOT AS IT IS TO BE" },
        args.members - args.stragglers,
        args.members,
        shown_after.as_secs_f64() * 1e3,
        args.rounds,
        most_off.as_secs_f64() * 1e3,
    )?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was seen of one group.
struct Seen {
    shown_after: Duration,
    stragglers: u64,
    /// How wrong the age of any straggler is.
    most_off: Duration,
}

async fn cancel(args: &Args) -> anyhow::Result<Seen> {
    let group = diag::group("batch", "large");
    for member in 0..args.members {
        let cancelled = group.cancelled();
        let listens = member >= args.stragglers;
        group.spawn(member, async move { if listens { cancelled.await } else { pending().await } });
    }
    ensure!(look("batch")?.stragglers == 0, "nobody was asked to end yet");
    let other = diag::group("other", "small");
    other.spawn("the only one", pending::<()>());
    other.spawn("nobody", async {});
    let other_cancelled = Instant::now();
    other.cancel("to compare with");
    tokio::time::sleep(BEFORE).await;
    let cancelled = Instant::now();
    group.cancel("the batch is of no use any more");
    let between = cancelled - other_cancelled;
    // Whoever looks all the time keeps the members from their end.
    while group.len() as u64 > args.stragglers {
        ensure!(cancelled.elapsed() < PATIENCE, "{} members go on", group.len());
        tokio::task::yield_now().await;
    }
    let snapshot = diag::snapshot();
    let shown_after = cancelled.elapsed();
    let snapshot = Analysis::new(snapshot.into_model());
    let batch = view(&snapshot, "batch")?;
    let expected = args.members - args.stragglers;
    ensure!(batch.done == expected, "{} members are shown as ended, and {expected} have", batch.done);
    let [of_other] = ages(&view(&snapshot, "other")?)[..] else { bail!("the other straggler is not shown") };
    let off = |age: Duration| (age + between).abs_diff(of_other);
    let ages = ages(&batch);
    let most_off = ages.iter().map(|&age| off(age)).max().context("no straggler is shown")?;
    ensure!(ages.iter().all(|&age| off(age + OFF + OFF) > OFF), "an age that is off was not noticed");
    ensure!(ages.iter().all(|&age| age <= shown_after), "an age is longer than the time since the cancel");
    for group in [group, other] {
        group.abort("at last");
        while !group.is_empty() {
            tokio::task::yield_now().await;
        }
    }
    Ok(Seen { shown_after, stragglers: batch.stragglers, most_off })
}

fn look(kind: &str) -> anyhow::Result<GroupView> {
    view(&Analysis::new(diag::snapshot().into_model()), kind)
}

/// The group of this kind, of which there is one at a time.
fn view(snapshot: &Analysis, kind: &str) -> anyhow::Result<GroupView> {
    let mut views =
        snapshot.group_views().into_iter().filter(|view| view.kind == kind && view.joined > view.done);
    views.next().with_context(|| format!("no group of the kind {kind} is in the snapshot"))
}

/// For how long each of its stragglers goes on.
fn ages(view: &GroupView) -> Vec<Duration> {
    view.members.iter().filter_map(|member| member.straggling_ns.map(Duration::from_nanos)).collect()
}
