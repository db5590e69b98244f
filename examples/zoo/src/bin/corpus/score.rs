//! Says of recorded runs how right `diag` is about them: by the whole series, by every pair, at every moment.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;

use diag_analysis::Analysis;
use diag_diff::Confidence;

use crate::answer::{Answer, Finding};
use crate::recorded::{DONE, Recorded};
use crate::runs::{self, Run, Wanted};
use crate::totals::Totals;

/// A healthy run must be clean in every window of 20 s, which captures meet to some hundredths of a second.
const WINDOW_S: f64 = 19.9;
/// So many findings are shown besides the one that is looked for.
const OTHERS: usize = 3;
/// So many false alarms are shown of a run.
const ALARMS: usize = 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only runs whose name begins so; may be given again
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// All findings with their evidence
    #[arg(long)]
    verbose: bool,
    /// What `corpus record` has written
    dir: PathBuf,
}

pub(crate) fn score(args: &Args) -> anyhow::Result<ExitCode> {
    let mut totals = Totals::default();
    for run in runs::read(&crate::home().join("truth.toml"), &args.only)? {
        let dir = args.dir.join(run.name());
        if !dir.join(DONE).exists() {
            println!("{:<28} not recorded", run.name());
            totals.missing += 1;
            continue;
        }
        let recorded = Recorded::read(&dir, run.program())?;
        match &run.wanted {
            Some(wanted) => fault(&run, wanted, &recorded, args.verbose, &mut totals)?,
            None => healthy(&run, &recorded, args.verbose, &mut totals)?,
        }
    }
    print!("{totals}");
    Ok(ExitCode::from(u8::from(!totals.pass())))
}

/// Scores a fault.
fn fault(
    run: &Run,
    wanted: &Wanted,
    recorded: &Recorded,
    verbose: bool,
    totals: &mut Totals,
) -> anyhow::Result<()> {
    let answer = Answer::of(&recorded.snapshots)?;
    let best = best_pair(&recorded.snapshots, wanted)?;
    let found = answer.found(wanted);
    // What is no fault of the code has no line there.
    let at_fault = found.filter(|_| wanted.exit == 1);
    let site = at_fault.map(|finding| finding.names_site(&recorded.faults));
    let cause = found.is_some_and(|finding| finding.names_cause(&wanted.cause));
    let weaker = answer.confidence(wanted) < best && !answer.tells_of_an_end();
    let (right, enough) = (answer.is_as_wanted(wanted), answer.is_enough_today(wanted));
    totals.fault(right, enough, site, cause, weaker);
    println!(
        "{:<28} {} exit {} ({}), {} ({} {}), best pair {}{}{}{}{}{}",
        run.name(),
        if right {
            "ok   "
        } else if enough {
            "today"
        } else {
            "MISS "
        },
        answer.exit,
        wanted.exit,
        found.map_or_else(|| "nothing of the kind".to_owned(), Finding::to_string),
        wanted.category.iter().map(|category| category.as_str()).collect::<Vec<_>>().join(" or "),
        wanted.confidence.as_str(),
        word(best),
        if weaker { ", SERIES WEAKER" } else { "" },
        if site == Some(false) { ", SITE wrong" } else { "" },
        if found.is_some() && !cause { ", cause not named" } else { "" },
        since(&recorded.snapshots, wanted)?.map_or(String::new(), |s| format!(", since {s:.0} s")),
        wanted
            .today
            .as_ref()
            .filter(|_| !right)
            .map_or(String::new(), |today| format!(", lacks {}", today.lacks)),
    );
    others(&answer, found, verbose);
    Ok(())
}

/// Scores a healthy run.
fn healthy(run: &Run, recorded: &Recorded, verbose: bool, totals: &mut Totals) -> anyhow::Result<()> {
    let snapshots = &recorded.snapshots;
    let answer = Answer::of(snapshots)?;
    let (mut windows, mut clean, mut alarms) = (0, 0, Vec::new());
    for span in spans(snapshots.len()) {
        let window = Answer::of(&snapshots[span.clone()])?;
        let pair = Answer::of([&snapshots[*span.start()], &snapshots[*span.end()]])?;
        if uptime_s(snapshots, *span.end()) - uptime_s(snapshots, *span.start()) >= WINDOW_S {
            windows += 1;
            clean += usize::from(window.exit == 0);
        }
        for (kind, answer) in [("window", &window), ("pair", &pair)] {
            let alarm = answer.findings.iter().find(|finding| finding.fails());
            let between = || {
                format!(
                    "{kind} {:.0} to {:.0} s",
                    uptime_s(snapshots, *span.start()),
                    uptime_s(snapshots, *span.end())
                )
            };
            alarms.extend(alarm.map(|finding| format!("{}: {}", between(), finding)));
        }
    }
    totals.healthy(windows, clean, alarms.len());
    println!(
        "{:<28} {} exit {} (0), {clean} of {windows} windows exit 0, {} false alarms{}",
        run.name(),
        if alarms.is_empty() && clean == windows && windows > 0 { "ok   " } else { "MISS " },
        answer.exit,
        alarms.len(),
        alarms.first().map_or(String::new(), |first| format!(", first {first}")),
    );
    others(&answer, None, verbose);
    if verbose {
        alarms.iter().take(ALARMS).for_each(|alarm| println!("    {alarm}"));
    }
    Ok(())
}

/// Prints the findings besides the one that was looked for: a few, or all that is known of all.
fn others(answer: &Answer, found: Option<&Finding>, verbose: bool) {
    if verbose {
        return answer.findings.iter().for_each(in_full);
    }
    for finding in answer.findings.iter().filter(|finding| Some(*finding) != found).take(OTHERS) {
        println!("    {}", finding);
    }
}

fn in_full(finding: &Finding) {
    println!("    {finding}");
    finding.in_full().iter().for_each(|line| println!("        {line}"));
}

/// How sure the best of all pairs is.
fn best_pair(snapshots: &[Analysis], wanted: &Wanted) -> anyhow::Result<Option<Confidence>> {
    let mut best = None;
    for span in spans(snapshots.len()) {
        let pair = Answer::of([&snapshots[*span.start()], &snapshots[*span.end()]])?;
        best = best.max(pair.confidence(wanted));
    }
    Ok(best)
}

/// The second of the first snapshot from which on the series so far gives the wanted answer, to its end.
fn since(snapshots: &[Analysis], wanted: &Wanted) -> anyhow::Result<Option<f64>> {
    let mut since = None;
    for end in 1..snapshots.len() {
        let is_right = Answer::of(&snapshots[..=end])?.is_as_wanted(wanted);
        since = is_right.then(|| since.unwrap_or(uptime_s(snapshots, end)));
    }
    Ok(since)
}

/// All stretches of a series of so many that have two members at least.
fn spans(members: usize) -> impl Iterator<Item = RangeInclusive<usize>> {
    (0..members).flat_map(move |start| (start + 1..members).map(move |end| start..=end))
}

/// The age of the process in seconds.
fn uptime_s(snapshots: &[Analysis], at: usize) -> f64 {
    snapshots[at].snapshot().capture.to_us as f64 / 1e6
}

fn word(confidence: Option<Confidence>) -> &'static str {
    confidence.map_or("nothing", Confidence::as_str)
}
