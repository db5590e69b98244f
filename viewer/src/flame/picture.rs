//! A slice as the page has it without a script: an SVG with a link for each frame, and rows of a table.

use super::document::percent;
use super::drawn::Drawn;
use super::measure::Measure;
use super::slice::{Slice, SliceFrame};
use super::tree::shown;

/// So many frames are links; the script draws all of the slice.
const MOST_BARS: usize = 300;
/// And none that is narrower, percent.
const NARROWEST: f64 = 0.2;
/// A label has room from here on, percent.
const LABELED: f64 = 1.5;
/// So many rows stand in the table.
const MOST_ROWS: usize = 60;
/// And none that has less, percent.
const LIGHTEST: f64 = 1.0;
const BAR_HEIGHT: usize = 20;

/// What the templates show.
pub(crate) struct Picture {
    pub(crate) bars: Vec<Bar>,
    pub(crate) height: usize,
    pub(crate) heads: &'static [&'static str],
    pub(crate) rows: Vec<Row>,
}

/// A frame with its link.
pub(crate) struct Bar {
    pub(crate) query: String,
    /// Percent of the width of the picture.
    pub(crate) x: String,
    pub(crate) width: String,
    /// Pixels.
    pub(crate) y: usize,
    pub(crate) class: String,
    pub(crate) label: String,
    pub(crate) title: String,
}

/// A frame as a row of the tree.
pub(crate) struct Row {
    pub(crate) query: String,
    pub(crate) level: usize,
    pub(crate) indent: usize,
    pub(crate) label: String,
    pub(crate) title: String,
    pub(crate) cells: Vec<String>,
}

impl Picture {
    pub(crate) fn new<M: Measure>(drawn: &Drawn<'_, M>) -> Self {
        let above = drawn.callers.as_ref().map_or(0, |callers| callers.depth.saturating_sub(1));
        let mut bars = Vec::new();
        let base = above * BAR_HEIGHT;
        let matches = drawn.choice.q.as_ref().map(|wanted| wanted.among(drawn.tree)).unwrap_or_default();
        if let Some(callers) = &drawn.callers {
            let y = |depth: usize| base - depth * BAR_HEIGHT;
            bars.extend(self::bars(drawn, callers, &matches, y, 1));
        }
        bars.extend(self::bars(drawn, &drawn.slice, &matches, |depth| base + depth * BAR_HEIGHT, 0));
        let height = bars.iter().map(|bar| bar.y + BAR_HEIGHT).max().unwrap_or(0);
        Picture { bars, height, heads: drawn.measure.heads(), rows: rows(drawn) }
    }
}

fn bars<M: Measure>(
    drawn: &Drawn<'_, M>,
    slice: &Slice<M::Amount>,
    matches: &[bool],
    y: impl Fn(usize) -> usize,
    skip: usize,
) -> Vec<Bar> {
    let all = slice.frames.first().map_or(0.0, |frame| frame.width);
    // Where each frame begins, and where the next of those that hang at it does.
    let mut places: Vec<(f64, f64)> = Vec::with_capacity(slice.frames.len());
    let mut bars = Vec::new();
    for (i, frame) in slice.frames.iter().enumerate().take(MOST_BARS) {
        let x = if i == 0 { 0.0 } else { places[frame.parent].1 };
        places.push((x, x));
        if i > 0 {
            places[frame.parent].1 += frame.width;
        }
        let width = percent(frame.width, all);
        if i >= skip && width >= NARROWEST {
            let is_match = matches.get(frame.frame.0).copied().unwrap_or(false);
            bars.push(Bar {
                query: if skip == 0 { drawn.link(i) } else { of_function(drawn, frame) },
                x: format!("{:.3}%", percent(x, all)),
                width: format!("{width:.3}%"),
                y: y(frame.depth),
                class: class(drawn, frame, is_match),
                label: if width >= LABELED { label(drawn, frame) } else { String::new() },
                title: title(drawn, frame),
            });
        }
    }
    bars
}

/// Callers of a function are functions to look at in turn.
fn of_function<M: Measure>(drawn: &Drawn<'_, M>, frame: &SliceFrame<M::Amount>) -> String {
    drawn.choice.whole(|choice| choice.function = Some(frame.frame.0))
}

fn class<M: Measure>(drawn: &Drawn<'_, M>, frame: &SliceFrame<M::Amount>, is_match: bool) -> String {
    let class = drawn.measure.class(&drawn.tree.frames[frame.frame.0], &frame.total);
    if is_match { format!("{class} match") } else { class }
}

fn label<M: Measure>(drawn: &Drawn<'_, M>, frame: &SliceFrame<M::Amount>) -> String {
    let label = shown(&drawn.tree.frames[frame.frame.0].label());
    format!("{}{label}", drawn.measure.mark(&frame.total))
}

/// The whole name, where it is, and what it has.
fn title<M: Measure>(drawn: &Drawn<'_, M>, frame: &SliceFrame<M::Amount>) -> String {
    let known = &drawn.tree.frames[frame.frame.0];
    let location = known.location().map(|location| format!(", {location}")).unwrap_or_default();
    format!("{}{location}: {}", shown(&known.place.function), drawn.measure.words(&frame.total))
}

/// The heaviest frames in the order of the tree.
fn rows<M: Measure>(drawn: &Drawn<'_, M>) -> Vec<Row> {
    const DEEPEST_INDENT: usize = 12;
    let frames = &drawn.slice.frames;
    let all = frames.first().map_or(0.0, |frame| frame.width);
    let listed = frames.iter().take(MOST_ROWS).take_while(|frame| percent(frame.width, all) >= LIGHTEST);
    let listed = listed.count();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); listed];
    (1..listed).for_each(|i| children[frames[i].parent].push(i));
    let (mut rows, mut next) = (Vec::new(), if listed > 0 { vec![0] } else { Vec::new() });
    while let Some(i) = next.pop() {
        rows.push(Row {
            query: drawn.link(i),
            level: frames[i].depth + 1,
            indent: frames[i].depth.min(DEEPEST_INDENT),
            label: label(drawn, &frames[i]),
            title: title(drawn, &frames[i]),
            cells: drawn.measure.cells(&frames[i]),
        });
        next.extend(children[i].iter().rev());
    }
    rows
}
