//! Who waits for whom as a picture, and what keeps memory as a tree; `POST /holders`.
//!
//! The picture is drawn here and needs no script. Each of its edges stands beside it as a line of text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use diag_analysis::Analysis;
use diag_analysis::holders::retainers::Retainers;
use diag_analysis::holding::Behind;
use diag_analysis::views::{HolderGraph, HolderNode};
use diag_diff::Finding;
use diag_snapshot::{SiteIndex, TaskId};
use serde::Serialize;

use super::Ask;

/// So many tasks of a finding are begun from.
const BEGIN: usize = 8;
/// Of a node, and what lies between two columns and two rows, in pixels.
const BOX: (f64, f64) = (196.0, 44.0);
const GAP: (f64, f64) = (64.0, 16.0);
/// So many characters of a name fit in.
const FIT: usize = 26;

/// What a sweep shows of a task or a finding.
#[derive(Default, Serialize)]
pub(super) struct HoldersView {
    /// Who waits for whom; none if that is not known.
    pub(super) graph: Option<HolderGraph>,
    /// What keeps its memory; none if that is not known.
    pub(super) kept_by: Option<Retainers>,
    /// Its picture, with links into this snapshot.
    #[serde(skip)]
    pub(super) picture: Option<String>,
}

/// `POST /holders`: has the memory of the services swept for who holds what.
pub(crate) async fn sweep(State(ask): State<Ask>) -> Response {
    match ask.library.sweep().await {
        Ok(newest) => Redirect::to(&format!("/s/{newest}/tasks")).into_response(),
        Err(absent) => ask.absent(absent),
    }
}

impl HoldersView {
    pub(super) fn of_task(analysis: &Analysis, snapshot: &str, task: TaskId) -> Self {
        let heap = analysis.snapshot().heap.as_ref();
        let samples = heap.into_iter().flat_map(|heap| heap.samples.iter());
        let own = samples.filter(|sample| sample.task == Some(task)).map(|sample| sample.birth);
        HoldersView::new(snapshot, analysis.holder_graph(&[task]), analysis.retainers(own))
    }

    pub(super) fn of_finding(
        analysis: &Analysis,
        snapshot: &str,
        finding: &Finding,
        site: Option<SiteIndex>,
    ) -> Self {
        let tasks = tasks_of(analysis, finding, site);
        let kept_by = finding.subject.function().and_then(|place| analysis.retainers_of(place));
        HoldersView::new(snapshot, analysis.holder_graph(&tasks), kept_by)
    }

    fn new(snapshot: &str, graph: Option<HolderGraph>, kept_by: Option<Retainers>) -> Self {
        let picture = graph.as_ref().map(|graph| picture(graph, snapshot));
        HoldersView { graph, kept_by, picture }
    }

    /// The tree as lines: how far in, what it is, and how many blocks are kept by it.
    pub(super) fn tree(&self) -> Vec<(usize, String, u64)> {
        let lines = self.kept_by.iter().flat_map(Retainers::lines);
        lines.map(|(depth, step)| (depth, step.name.clone(), step.samples)).collect()
    }
}

/// The tasks that a finding is about, as far as a sweep tells of them, or some that wait of its spawn site.
fn tasks_of(analysis: &Analysis, finding: &Finding, site: Option<SiteIndex>) -> Vec<TaskId> {
    let (Some(subject), Some(index)) = (finding.subject.site(), site) else { return Vec::new() };
    let holding = &analysis.now().holding;
    let is_behind = |behind: &Behind| behind.contains_key(subject);
    let cycle = holding
        .cycles
        .iter()
        .find(|cycle| cycle.members.iter().any(|member| member.site == *subject) || is_behind(&cycle.behind));
    if let Some(cycle) = cycle {
        return cycle.members.iter().map(|member| member.task).collect();
    }
    let unreachable = holding.unreachable.iter().map(|one| &one.task);
    let left = holding.left.iter().map(|one| &one.task);
    let holders = holding.holders.iter().map(|one| &one.task);
    let told = unreachable.chain(left).chain(holders).filter(|task| task.site == *subject);
    let told: Vec<TaskId> = told.map(|task| task.task).take(BEGIN).collect();
    if !told.is_empty() {
        return told;
    }
    let Some(holders) = analysis.holders() else { return Vec::new() };
    let snapshot = analysis.snapshot();
    let is_of_site = |task: &TaskId| snapshot.task(*task).is_some_and(|task| task.site == index);
    let mut waiting: Vec<TaskId> = holders.waits().iter().map(|wait| wait.task).filter(is_of_site).collect();
    waiting.dedup();
    waiting.truncate(BEGIN);
    waiting
}

/// From who waits on the left to who has it on the right; what leads back is drawn below.
fn picture(graph: &HolderGraph, snapshot: &str) -> String {
    let first = graph.nodes.iter().map(|node| node.column).min().unwrap_or(0);
    let mut rows: BTreeMap<i32, u32> = BTreeMap::new();
    let places: Vec<(f64, f64)> = graph
        .nodes
        .iter()
        .map(|node| {
            let row = rows.entry(node.column).or_default();
            let at = (f64::from(node.column - first) * (BOX.0 + GAP.0), f64::from(*row) * (BOX.1 + GAP.1));
            *row += 1;
            at
        })
        .collect();
    let width = places.iter().map(|place| place.0 + BOX.0).fold(0.0, f64::max);
    let height = places.iter().map(|place| place.1 + BOX.1).fold(0.0, f64::max) + GAP.1 * 2.0;
    let mut svg = format!(
        "<svg class=\"holders\" viewBox=\"-2 -2 {:.0} {:.0}\" width=\"{:.0}\" role=\"img\" \
         aria-label=\"Who waits for whom\">",
        width + 4.0,
        height + 4.0,
        width + 4.0
    );
    for edge in &graph.edges {
        let (Some(from), Some(to)) = (places.get(edge.from), places.get(edge.to)) else { continue };
        let class = if edge.in_cycle { "edge cycle" } else { "edge" };
        let doubt = if edge.word == "may have" { " doubt" } else { "" };
        let _ = write!(
            svg,
            "<path class=\"{class}{doubt}\" d=\"{}\"><title>{}</title></path>",
            curve(*from, *to),
            edge.word
        );
    }
    for (node, place) in graph.nodes.iter().zip(&places) {
        draw(&mut svg, node, *place, snapshot);
    }
    svg + "</svg>"
}

fn curve(from: (f64, f64), to: (f64, f64)) -> String {
    let middle = BOX.1 / 2.0;
    let (x, y) = (from.0 + BOX.0, from.1 + middle);
    let (to_x, to_y) = (to.0, to.1 + middle);
    if to_x > x {
        let half = (to_x - x) / 2.0;
        return format!(
            "M{x:.0} {y:.0}C{:.0} {y:.0} {:.0} {to_y:.0} {to_x:.0} {to_y:.0}",
            x + half,
            to_x - half
        );
    }
    // Back: from the lower edge to the lower edge.
    let (x, y) = (from.0 + BOX.0 * 0.7, from.1 + BOX.1);
    let (to_x, to_y) = (to.0 + BOX.0 * 0.3, to.1 + BOX.1);
    let low = y.max(to_y) + GAP.1 * 2.0;
    format!("M{x:.0} {y:.0}C{x:.0} {low:.0} {to_x:.0} {low:.0} {to_x:.0} {to_y:.0}")
}

fn draw(svg: &mut String, node: &HolderNode, (x, y): (f64, f64), snapshot: &str) {
    let kind = if node.task.is_some() { "task" } else { "place" };
    let cycle = if node.in_cycle { " cycle" } else { "" };
    let href = node.task.as_ref().map(|task| format!("/s/{snapshot}/task/{task}"));
    if let Some(href) = &href {
        let _ = write!(svg, "<a href=\"{}\">", escaped(href));
    }
    let told = [Some(&node.title), Some(&node.place), node.at.as_ref()];
    let told: Vec<&str> =
        told.into_iter().flatten().map(String::as_str).filter(|text| !text.is_empty()).collect();
    let _ = write!(
        svg,
        "<g class=\"{kind}{cycle}\"><title>{}</title><rect x=\"{x:.0}\" y=\"{y:.0}\" width=\"{:.0}\" height=\"{:.0}\" \
         rx=\"4\"/><text x=\"{:.0}\" y=\"{:.0}\">{}</text><text class=\"at\" x=\"{:.0}\" y=\"{:.0}\">{}</text></g>",
        escaped(&told.join(", ")),
        BOX.0,
        BOX.1,
        x + 8.0,
        y + 18.0,
        escaped(&node.title),
        x + 8.0,
        y + 35.0,
        escaped(&fitted(&node.place))
    );
    if href.is_some() {
        svg.push_str("</a>");
    }
}

/// The end of a place says more than its beginning.
fn fitted(place: &str) -> String {
    let length = place.chars().count();
    match length > FIT {
        true => format!("…{}", place.chars().skip(length - FIT + 1).collect::<String>()),
        false => place.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_their_ends_are_kept() {
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
        assert_eq!(fitted("src/a.rs:1"), "src/a.rs:1");
        let long = format!("{}src/orders.rs:131", "deep/".repeat(20));
        assert_eq!(fitted(&long).chars().count(), FIT);
        assert!(fitted(&long).ends_with("src/orders.rs:131"));
    }
}
