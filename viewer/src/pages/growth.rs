//! `/d/{a}..{b}/heap`: what changed in the heap between two snapshots, as a differential flamegraph.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use diag_analysis::views::Estimate;
use diag_snapshot::SiteIndex;
use serde::Serialize;

use super::flame::{About, FlameView};
use super::query::Query;
use super::{Ask, Page, diff, filters, heap, to_compact_json, to_json};
use crate::flame::choice::Choice;
use crate::flame::document::{Document, Of};
use crate::flame::drawn::Drawn;
use crate::flame::growth::{Growth, Moved};
use crate::flame::heaps::Heaps;
use crate::library::{Absent, Library, blocking};
use crate::loaded::{Loaded, Summary};

/// So many call paths stand in each table.
const LISTED: usize = 30;

pub(crate) async fn page(
    State(ask): State<Ask>,
    Path(pair): Path<String>,
    Query(choice): Query<Choice>,
) -> Response {
    ask.answer(seen(&ask, &pair, choice, |drawn, seen| Ok(GrowthPage::new(drawn, seen))).await)
}

/// The slice that the page draws.
pub(crate) async fn json(
    State(ask): State<Ask>,
    Path(pair): Path<String>,
    Query(choice): Query<Choice>,
) -> Response {
    let document = seen(&ask, &pair, choice, |drawn, seen| {
        let (same_process, changed) = (seen.heaps.flows.same_process, drawn.measure.changed);
        let of = Of::Growth { mode: seen.choice.mode, same_process, changed: changed.round() as i64 };
        Ok(to_compact_json(&Document::new(drawn, of, "bytes")))
    });
    ask.json(document.await)
}

/// Two heaps as they are asked for.
struct Seen<'a> {
    before: &'a Loaded,
    after: &'a Loaded,
    heaps: &'a Heaps,
    choice: &'a Choice,
}

/// Opens both snapshots and makes something of what changed. The report says whether they can be compared.
async fn seen<T: Send + 'static>(
    ask: &Ask,
    pair: &str,
    choice: Choice,
    make: impl FnOnce(&Drawn<'_, Growth>, &Seen<'_>) -> Result<T, Absent> + Send + 'static,
) -> Result<T, Absent> {
    let diff::Pair { before, after, .. } = diff::Pair::open(ask, pair).await?;
    let library = Arc::clone(&ask.library);
    blocking(move || {
        let heaps = library.heaps(&before, &after, choice.frames).ok_or_else(not_sampled)?;
        let seen = Seen { before: &before, after: &after, heaps: &heaps, choice: &choice };
        make(&seen.drawn()?, &seen)
    })
    .await?
}

fn not_sampled() -> Absent {
    let next = "link `diag::Alloc` as the global allocator (the README shows the line) and take them again";
    Absent::NotFound(format!("the heap is not sampled in both snapshots: {next}"))
}

impl Seen<'_> {
    fn drawn(&self) -> Result<Drawn<'_, Growth>, Absent> {
        let site = self.choice.site.map(SiteIndex);
        let sites = site.map(|site| sites(self.before, self.after, site)).transpose()?;
        let sides = [self.before, self.after].map(|side| side.analysis.stacks());
        let is_of_kind =
            |side: usize, stack| self.choice.kind.is_none_or(|kind| sides[side].kind(stack) == kind.0);
        let weighed = Growth::weigh(&self.heaps.flows, &self.heaps.tree, self.choice.mode, sites, is_of_kind);
        Drawn::new(&self.heaps.tree, weighed, self.choice).map_err(Absent::NotFound)
    }

    fn view(&self, drawn: &Drawn<'_, Growth>) -> FlameView {
        let pair = format!("/d/{}..{}", self.before.summary.id, self.after.summary.id);
        FlameView::new(drawn, format!("{pair}/heap"), format!("{pair}/flame.json"), About::Growth)
    }
}

/// A site of the second snapshot, and where the first has it.
fn sites(before: &Loaded, after: &Loaded, index: SiteIndex) -> Result<[Option<SiteIndex>; 2], Absent> {
    let missing = || Absent::NotFound(format!("no spawn site {} in the second snapshot", index.0));
    let site = after.site(index).ok_or_else(missing)?;
    Ok([before.site_index(&site), Some(index)])
}

/// The picture for the page of everything that changed; none if nothing did in the heap.
pub(super) fn picture(library: &Library, before: &Loaded, after: &Loaded) -> Option<FlameView> {
    let choice = &Choice::default();
    let heaps = &*library.heaps(before, after, choice.frames)?;
    let seen = Seen { before, after, heaps, choice };
    let view = seen.view(&seen.drawn().ok()?);
    (!view.is_empty).then_some(view)
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
    fn new(drawn: &Drawn<'_, Growth>, seen: &Seen<'_>) -> Self {
        let choices = seen.after.analysis.heap().map(|profile| heap::sites(profile));
        GrowthPage {
            schema: "diag.heap-growth/1",
            before: seen.before.summary.clone(),
            after: seen.after.summary.clone(),
            total: GrownPath::new(drawn, 0),
            new: paths(drawn, Moved::is_new, |moved| moved.after.sum),
            gone: paths(drawn, Moved::is_gone, |moved| moved.before.sum),
            flame: seen
                .view(drawn)
                .with_choices(choices.into_iter().flatten(), Vec::new())
                .with_kinds(kinds(seen)),
        }
    }
}

/// What blocks of the second snapshot are part of.
fn kinds(seen: &Seen<'_>) -> impl Iterator<Item = &'static str> {
    let profile = seen.after.analysis.heap().into_iter();
    profile.flat_map(|profile| profile.kinds.keys().map(|kind| kind.as_str()))
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
