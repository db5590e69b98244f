//! `diag show SNAP --request ID`: the live tasks of one request.

use diag_analysis::views::{RequestView, TaskView};
use diag_analysis::{Analysis, human};
use diag_diff::report::markdown::table;
use diag_diff::report::text::grid;
use serde::Serialize;

use super::super::exit::Failure;
use super::super::output::Format;
use super::json;

const HEADS: [&str; 6] = ["state", "idle", "age", "task", "spawn site", "waits for"];

#[derive(Serialize)]
struct View<'a> {
    schema: &'static str,
    service: &'a str,
    taken: String,
    #[serde(flatten)]
    request: RequestView,
}

/// All of them: nothing is left out on the command line.
pub(super) fn render(analysis: &Analysis, id: &str, format: Format) -> Result<String, Failure> {
    let missing = || {
        let id = human::name(id);
        Failure::Usage(format!(
            "no live task has `{id}` as its request_id or trace_id: `--tasks` shows all labels"
        ))
    };
    let request = analysis.request_view(id, usize::MAX).ok_or_else(missing)?;
    let snapshot = analysis.snapshot();
    let (service, taken) = (&*snapshot.process.service, human::time(snapshot.taken_unix_us()));
    let view = View { schema: "diag.request/1", service, taken, request };
    Ok(match format {
        Format::Text => text(&view),
        Format::Json => json(&view, serde_json::to_string_pretty),
        Format::Jsonl => view.request.tasks.iter().map(|task| json(task, serde_json::to_string)).collect(),
        Format::Markdown => table(&about(&view), &HEADS, view.request.tasks.iter().map(cells)),
    })
}

fn about(view: &View<'_>) -> String {
    let RequestView { id, live, request_ids, trace_ids, .. } = &view.request;
    let named = [("requests", request_ids), ("traces", trace_ids)].map(|(what, ids)| {
        let ids: Vec<_> = ids.iter().filter(|other| *other != id).map(|id| human::name(id)).collect();
        if ids.is_empty() { String::new() } else { format!("; {what} {}", ids.join(", ")) }
    });
    let (id, live) = (human::name(id), human::counted(*live, "live task"));
    format!("{}, taken {}: {live} of request {id}{}", human::name(view.service), view.taken, named.concat())
}

fn cells(task: &TaskView) -> [String; 6] {
    let known = |ns: Option<u64>| ns.map_or("-".to_owned(), human::duration);
    let task_name = match (&task.name, &task.tokio_id) {
        (Some(name), _) => human::name(name),
        (None, Some(id)) => format!("id {id}"),
        (None, None) => "-".to_owned(),
    };
    let site = format!("{}  {}", task.site.location, human::name(&task.site.name));
    let lost = if task.lost { ", nothing can wake it" } else { "" };
    let waits = task.waiting_at.clone().unwrap_or_else(|| "-".to_owned());
    [format!("{}{lost}", task.state), known(task.idle_ns), known(Some(task.age_ns)), task_name, site, waits]
}

fn text(view: &View<'_>) -> String {
    let rows = std::iter::once(HEADS.map(str::to_owned)).chain(view.request.tasks.iter().map(cells));
    format!("{}\n\n{}\n", about(view), grid(&rows.collect::<Vec<_>>()).join("\n"))
}
