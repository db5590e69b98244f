//! `/d/{a}..{b}/heap`: what changed in the heap between two snapshots, as a differential flamegraph.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use diag_analysis::views::Estimate;
use diag_diff::diff::StackFlows;
use diag_snapshot::SiteIndex;
use serde::Serialize;

use super::flame::{FlameView, with_script};
use super::{Ask, Page, diff, filters, heap, to_compact_json, to_json};
use crate::flame::choice::Choice;
use crate::flame::document::{Document, Of};
use crate::flame::drawn::Drawn;
use crate::flame::growth::{Growth, Moved};
use crate::flame::tree::Tree;
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary};

/// So many call paths stand in each table.
const LISTED: usize = 30;

pub(crate) async fn page(
    State(ask): State<Ask>,
    Path(pair): Path<String>,
    Query(choice): Query<Choice>,
) -> Response {
    let page = match open(&ask, &pair).await {
        Ok((before, after)) => {
            blocking(move || GrowthPage::new(&before, &after, &choice)).await.and_then(|page| page)
        }
        Err(absent) => Err(absent),
    };
    with_script(ask.answer(page))
}

/// The slice that the page draws.
pub(crate) async fn json(
    State(ask): State<Ask>,
    Path(pair): Path<String>,
    Query(choice): Query<Choice>,
) -> Response {
    let document = match open(&ask, &pair).await {
        Ok((before, after)) => {
            let document = blocking(move || {
                let heaps = Heaps::of(&before, &after, &choice)?;
                let drawn = heaps.drawn(&choice)?;
                let (same_process, changed) = (heaps.flows.same_process, drawn.measure.changed);
                let of = Of::Growth { mode: choice.mode, same_process, changed: changed.round() as i64 };
                Ok(to_compact_json(&Document::new(&drawn, of, "bytes")))
            });
            document.await.and_then(|document| document)
        }
        Err(absent) => Err(absent),
    };
    ask.json(document)
}

/// Two snapshots that can be compared; the report says whether.
async fn open(ask: &Ask, pair: &str) -> Result<(Arc<Loaded>, Arc<Loaded>), Absent> {
    let diff::Pair { before, after, .. } = diff::Pair::open(ask, pair).await?;
    Ok((before, after))
}

/// Both heaps in one tree.
struct Heaps {
    flows: StackFlows,
    tree: Tree,
    /// The spawn site that is asked for, where each snapshot has it.
    sites: Option<[Option<SiteIndex>; 2]>,
}

impl Heaps {
    fn of(before: &Loaded, after: &Loaded, choice: &Choice) -> Result<Self, Absent> {
        let not_sampled = || {
            let next =
                "link `diag::Alloc` as the global allocator (the README shows the line) and take them again";
            Absent::NotFound(format!("the heap is not sampled in both snapshots: {next}"))
        };
        let flows = StackFlows::of(&before.analysis, &after.analysis).ok_or_else(not_sampled)?;
        let stacks = [before, after].map(|side| &side.analysis.stacks().named);
        let tree = Tree::new(&stacks, choice.frames, flows.same_process);
        let sites = choice.site.map(|site| sites(before, after, SiteIndex(site))).transpose()?;
        Ok(Heaps { flows, tree, sites })
    }

    fn drawn<'a>(&'a self, choice: &'a Choice) -> Result<Drawn<'a, Growth>, Absent> {
        let weighed = Growth::weigh(&self.flows, &self.tree, choice.mode, self.sites);
        Drawn::new(&self.tree, weighed, choice).map_err(Absent::NotFound)
    }
}

/// A site of the second snapshot, and where the first has it.
fn sites(before: &Loaded, after: &Loaded, index: SiteIndex) -> Result<[Option<SiteIndex>; 2], Absent> {
    let missing = || Absent::NotFound(format!("no spawn site {} in the second snapshot", index.0));
    let site = after.site(index).ok_or_else(missing)?;
    Ok([before.site_index(&site), Some(index)])
}

/// The picture for the page of everything that changed; none if nothing did in the heap.
pub(super) fn picture(before: &Loaded, after: &Loaded) -> Option<FlameView> {
    let choice = Choice::default();
    let heaps = Heaps::of(before, after, &choice).ok()?;
    let view = view(&heaps.drawn(&choice).ok()?, before, after);
    (!view.is_empty).then_some(view)
}

fn view(drawn: &Drawn<'_, Growth>, before: &Loaded, after: &Loaded) -> FlameView {
    let pair = format!("/d/{}..{}", before.summary.id, after.summary.id);
    FlameView::new(drawn, format!("{pair}/heap"), format!("{pair}/flame.json"), true)
}

#[derive(Template, Serialize)]
#[template(path = "growth.html")]
struct GrowthPage {
    schema: &'static str,
    before: Summary,
    after: Summary,
    #[serde(flatten)]
    total: GrownPath,
    /// Call paths that only the second snapshot has, those with most first.
    new: Vec<GrownPath>,
    /// Call paths that only the first has.
    gone: Vec<GrownPath>,
    #[serde(skip)]
    flame: FlameView,
}

/// A call path in both snapshots.
#[derive(Serialize)]
struct GrownPath {
    /// Where the path ends, and the place of that in the tree.
    name: String,
    root: usize,
    before_bytes: i64,
    after_bytes: i64,
    growth: Estimate,
    #[serde(skip)]
    query: String,
}

impl GrowthPage {
    fn new(before: &Loaded, after: &Loaded, choice: &Choice) -> Result<Self, Absent> {
        let heaps = Heaps::of(before, after, choice)?;
        let drawn = heaps.drawn(choice)?;
        let view = view(&drawn, before, after);
        let choices = after.analysis.heap().map(|profile| heap::sites(profile));
        Ok(GrowthPage {
            schema: "diag.heap-growth/1",
            before: before.summary.clone(),
            after: after.summary.clone(),
            total: GrownPath::new(&drawn, 0),
            new: paths(&drawn, Moved::is_new, |moved| moved.after.sum),
            gone: paths(&drawn, Moved::is_gone, |moved| moved.before.sum),
            flame: view.with_choices(choices.into_iter().flatten(), Vec::new()),
        })
    }
}

impl GrowthPage {
    /// Heading of each table, what it says if it is empty, its rows.
    fn lists(&self) -> [(&'static str, &'static str, &[GrownPath]); 2] {
        [("New", "No call path is new.", &self.new), ("Gone", "No call path is gone.", &self.gone)]
    }
}

impl Page for GrowthPage {
    fn json(&self) -> String {
        to_json(self)
    }
}

/// The outermost nodes of which `is` is true, not of their callers, the largest first.
fn paths(drawn: &Drawn<'_, Growth>, is: fn(&Moved) -> bool, bytes: fn(&Moved) -> f64) -> Vec<GrownPath> {
    let total = &drawn.weights.total;
    let is_outermost = |node: &usize| {
        let parent = drawn.tree.nodes[*node].parent.0;
        is(&total[*node]) && (parent == 0 || !is(&total[parent]))
    };
    let mut nodes: Vec<usize> = (1..total.len()).filter(is_outermost).collect();
    nodes.sort_by(|&a, &b| bytes(&total[b]).total_cmp(&bytes(&total[a])).then(a.cmp(&b)));
    nodes.truncate(LISTED);
    nodes.into_iter().map(|node| GrownPath::new(drawn, node)).collect()
}

impl GrownPath {
    fn new(drawn: &Drawn<'_, Growth>, node: usize) -> Self {
        let moved = &drawn.weights.total[node];
        let interval = drawn.measure.interval(moved);
        let frame = &drawn.tree.frames[drawn.tree.nodes[node].frame.0];
        GrownPath {
            name: frame.label(),
            root: node,
            before_bytes: moved.before.sum.round() as i64,
            after_bytes: moved.after.sum.round() as i64,
            growth: Estimate {
                estimate_bytes: moved.bytes(),
                low_bytes: interval.low,
                high_bytes: interval.high,
            },
            query: drawn.choice.whole(|choice| choice.root = node.to_string()),
        }
    }
}
