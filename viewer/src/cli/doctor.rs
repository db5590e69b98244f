//! `diag doctor URL|FILE`: whether a service is set up so that its snapshots show what they could. What is said of a snapshot is
//! made by [`diag_analysis::doctor`].

mod nearby;

use std::fmt::Write as _;
use std::path::Path;

use diag_analysis::doctor::{Checkup, CheckupView, Complaint, ComplaintView, SCHEMA};
use diag_analysis::symbols::{DebugFiles, fill_in};
use diag_analysis::{Analysis, human};
use diag_viewer::agent::{Agent, Presence};
use serde::Serialize;

use super::asking::AskingArgs;
use super::exit::{End, Failure};
use super::load::{self, DebugDirs};
use super::output::{Format, Output, note, print};
use super::snap::{Asked, take};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  diag doctor http://127.0.0.1:9797\n  diag doctor now.diag --debug-dir ."
)]
pub(crate) struct Args {
    /// The agent's address, `http://127.0.0.1:9797`, or a snapshot of the service
    #[arg(value_name = "URL|FILE")]
    place: String,
    #[command(flatten)]
    asking: AskingArgs,
    #[command(flatten)]
    debug: DebugDirs,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let debug = args.debug.files()?;
    let path = Path::new(&args.place);
    // A name without a colon is more likely a file that is not there.
    if path.exists() || !args.place.contains(':') {
        let (analysis, damages) = load::all_there_is(path, &debug)?;
        for damage in &damages {
            note(&format!("{}: {damage}", path.display()));
        }
        show(&Checkup::of(&analysis), output.format)?;
        return Ok(if damages.is_empty() { End::Clean } else { End::Damaged });
    }
    let agent = Agent::parse(&args.place).map_err(Failure::Usage)?;
    match unreachable(args, &agent)? {
        complaints if !complaints.is_empty() => {
            show_complaints(&complaints, output.format)?;
            Err(Failure::Unreadable(format!("no snapshot of {}", agent.authority())))
        }
        _ => {
            show(&Checkup::of(&analysis(args, &agent, &debug)?), output.format)?;
            Ok(End::Clean)
        }
    }
}

fn analysis(args: &Args, agent: &Agent, debug: &DebugFiles) -> Result<Analysis, Failure> {
    let within = args.asking.within();
    let (mut snapshot, _) = take(
        agent,
        &Asked { token: args.asking.token.as_deref(), within, ask: false, holders: false, cpu_seconds: None },
    )?;
    for told in fill_in(&mut snapshot, debug) {
        note(&told.to_string());
    }
    Ok(Analysis::new(snapshot))
}

/// Why no agent answers, and who may answer instead; empty if one does.
fn unreachable(args: &Args, agent: &Agent) -> Result<Vec<Complaint>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Unreadable(format!("cannot start: {error}")))?;
    let address = agent.authority().to_owned();
    let within = args.asking.within();
    Ok(match runtime.block_on(agent.presence(args.asking.token.as_deref(), within)) {
        Presence::Agent => Vec::new(),
        Presence::WantsToken => {
            vec![Complaint::TokenMissing { address, was_given: args.asking.token.is_some() }]
        }
        Presence::Other(answer) => vec![Complaint::NoAgent { address, answer }],
        Presence::Nobody => {
            let mut complaints = runtime.block_on(nearby::agents(agent));
            if complaints.is_empty() {
                complaints.push(Complaint::NothingListens { address });
            }
            if agent.is_local() {
                complaints.extend(nearby::processes_off());
            }
            complaints
        }
    })
}

fn show(checkup: &Checkup, format: Format) -> Result<(), Failure> {
    print(&match format {
        Format::Text => text(checkup),
        Format::Markdown => markdown(checkup),
        Format::Json => json(&CheckupView::from(checkup), serde_json::to_string_pretty),
        Format::Jsonl => json(&CheckupView::from(checkup), serde_json::to_string),
    })
}

/// Without a snapshot there is nothing else to say.
fn show_complaints(complaints: &[Complaint], format: Format) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct View {
        schema: &'static str,
        complaints: Vec<ComplaintView>,
    }
    let view = || View { schema: SCHEMA, complaints: complaints.iter().map(ComplaintView::from).collect() };
    print(&match format {
        Format::Text => lines(complaints),
        Format::Markdown => bullets(complaints),
        Format::Json => json(&view(), serde_json::to_string_pretty),
        Format::Jsonl => json(&view(), serde_json::to_string),
    })
}

/// Serialising to a string fails only for maps whose keys are not strings; there are none.
fn json<T: Serialize>(view: &T, write: fn(&T) -> serde_json::Result<String>) -> String {
    write(view).unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string()) + "\n"
}

fn text(checkup: &Checkup) -> String {
    let mut out = about(checkup).join("\n") + "\n\n";
    // Writing to a string does not fail.
    for setting in &checkup.settings {
        let (value, from) = (human::name(&setting.value), setting.from.as_str());
        let _ = writeln!(out, "{:<15} {value:<22} {from}", human::name(&setting.variable));
    }
    for part in &checkup.parts {
        let why = part.why.as_deref().map(|why| format!(" ({})", human::name(why))).unwrap_or_default();
        let _ = writeln!(out, "{}: {}{why}", human::name(&part.name), part.state.as_str());
    }
    out + "\n" + &lines(&checkup.complaints)
}

/// Whose it is, how much is covered, how good the names are.
fn about(checkup: &Checkup) -> Vec<String> {
    let symbols = checkup.symbols;
    let version = match checkup.diag_version.as_str() {
        "" => "not taken by diag".to_owned(),
        version => format!("diag {}", human::name(version)),
    };
    vec![
        format!("{}, {version}", human::name(&checkup.service)),
        format!(
            "coverage: {}, {} tracked, the runtimes count {}",
            checkup.coverage_percent.map_or("unknown".to_owned(), |percent| format!("{percent:.0} %")),
            human::counted(checkup.tracked_tasks, "task"),
            checkup.alive_tasks.map_or("an unknown number".to_owned(), human::count),
        ),
        format!(
            "names: {} of {} have one; {} of {} have a line",
            human::count(symbols.named_frames),
            human::counted(symbols.frames, "frame"),
            human::count(symbols.with_line),
            human::counted(symbols.functions, "function"),
        ),
    ]
}

fn lines(complaints: &[Complaint]) -> String {
    if complaints.is_empty() {
        return "nothing to mend\n".to_owned();
    }
    let line = |complaint: &Complaint| {
        format!("{}: {complaint}\n  mend: {}\n", complaint.severity().as_str(), complaint.mend())
    };
    complaints.iter().map(line).collect()
}

fn markdown(checkup: &Checkup) -> String {
    use diag_diff::report::markdown::{escape, table};
    let about: Vec<String> = about(checkup).iter().map(|line| escape(line)).collect();
    let settings = checkup.settings.iter().map(|setting| {
        [setting.from.as_str().to_owned(), human::name(&setting.value), human::name(&setting.variable)]
    });
    format!(
        "## diag doctor\n\n{}\n\n{}\n{}",
        about.join("  \n"),
        bullets(&checkup.complaints),
        table("Settings in force:", &["from", "value", "setting"], settings)
    )
}

fn bullets(complaints: &[Complaint]) -> String {
    use diag_diff::report::markdown::escape;
    if complaints.is_empty() {
        return "- nothing to mend\n".to_owned();
    }
    let bullet = |complaint: &Complaint| {
        let (text, mend) = (escape(&complaint.to_string()), escape(&complaint.mend()));
        format!("- **{}**: {text}. **Mend:** {mend}\n", complaint.severity().as_str())
    };
    complaints.iter().map(bullet).collect()
}
