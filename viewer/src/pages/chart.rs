//! Small pictures as SVG text: how a number moved, how a whole divides, how times spread.
//!
//! They are made of numbers alone, so nothing in them needs escaping, and they carry no colour: the
//! style sheet gives it by class. Every number in them stands beside them as text too.

use std::fmt::Write as _;

use diag_analysis::views::{Memory, StateCount};

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 72.0;
const MARGIN: f64 = 6.0;

/// A line through points `(when, how much)` on a time axis that others share, with a line where it began.
pub(crate) fn sparkline(points: &[(f64, f64)], (from, to): (f64, f64), onset: Option<f64>) -> String {
    let most = points.iter().map(|point| point.1).fold(1.0, f64::max);
    let x = |when: f64| MARGIN + (WIDTH - 2.0 * MARGIN) * (when - from) / (to - from).max(1.0);
    let y = |value: f64| HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * value / most;
    let mut svg = open("sparkline", WIDTH, HEIGHT);
    let _ = write!(svg, "<path class=\"ground\" d=\"M0 {:.0}H{WIDTH}\"/>", HEIGHT - MARGIN);
    if let Some(onset) = onset.filter(|onset| (from..=to).contains(onset)) {
        let _ = write!(svg, "<path class=\"onset\" d=\"M{:.1} 0V{HEIGHT}\"/>", x(onset));
    }
    let line: Vec<String> =
        points.iter().map(|&(when, value)| format!("{:.1} {:.1}", x(when), y(value))).collect();
    if !line.is_empty() {
        let _ = write!(svg, "<path class=\"line\" d=\"M{}\"/>", line.join("L"));
    }
    svg + "</svg>"
}

/// Parts of a whole side by side, with the class `part-0`, `part-1`, ..
pub(crate) fn parts(parts: &[u64]) -> String {
    const WIDTH: f64 = 90.0;
    let whole = parts.iter().map(|&part| part as f64).sum::<f64>().max(1.0);
    let mut svg = open("parts", WIDTH, 8.0);
    let mut x = 0.0;
    for (i, &part) in parts.iter().enumerate().filter(|(_, part)| **part > 0) {
        let width = WIDTH * part as f64 / whole;
        let _ = write!(svg, "<rect class=\"part-{i}\" x=\"{x:.2}\" width=\"{width:.2}\" height=\"8\"/>");
        x += width;
    }
    svg + "</svg>"
}

/// How many tasks of a site are in which state, as [`parts`].
pub(crate) fn states(states: &[StateCount]) -> String {
    parts(&states.iter().map(|state| state.tasks).collect::<Vec<_>>())
}

/// Where resident memory is, as [`parts`]: what is not known, or negative, has no width.
pub(crate) fn memory(memory: &Memory) -> String {
    let sizes = memory.parts.iter().map(|&(_, bytes)| u64::try_from(bytes.unwrap_or(0)).unwrap_or(0));
    parts(&sizes.collect::<Vec<_>>())
}

/// A square in the colour of a part.
pub(crate) fn swatch(part: &usize) -> String {
    open("swatch", 8.0, 8.0) + &format!("<rect class=\"part-{part}\" width=\"8\" height=\"8\"/></svg>")
}

/// A bar as long as a share, 100 being the whole width.
pub(crate) fn share(percent: &f64) -> String {
    let mut svg = open("share", 100.0, 8.0);
    let _ = write!(svg, "<rect width=\"{:.2}\" height=\"8\"/>", percent.clamp(0.0, 100.0));
    svg + "</svg>"
}

/// One bar a bucket, the largest as high as the picture.
pub(crate) fn histogram(buckets: &[u64]) -> String {
    let most = buckets.iter().copied().max().unwrap_or(0).max(1) as f64;
    let step = WIDTH / buckets.len().max(1) as f64;
    let mut svg = open("histogram", WIDTH, HEIGHT);
    let _ = write!(svg, "<path class=\"ground\" d=\"M0 {HEIGHT}H{WIDTH}\"/>");
    for (i, &count) in buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
        // One task among a million is still to be seen.
        let height = ((HEIGHT - MARGIN) * count as f64 / most).max(2.0);
        let (x, y, width) = (step * i as f64 + 1.0, HEIGHT - height, (step - 2.0).max(1.0));
        let _ = write!(svg, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>");
    }
    svg + "</svg>"
}

/// The life of a task from its spawn until now: dark until its last poll, light since; a mark for the last wake, and one
/// where 99 of 100 tasks of its site have ended.
pub(crate) fn life(age_ns: u64, idle_ns: u64, woken_ns: Option<u64>, usual_ns: Option<u64>) -> String {
    const WIDTH: f64 = 600.0;
    const HEIGHT: f64 = 24.0;
    let age = age_ns.max(1) as f64;
    let at = |ago_ns: u64| WIDTH * (1.0 - ago_ns as f64 / age).clamp(0.0, 1.0);
    let mut svg = open("life", WIDTH, HEIGHT);
    let polled = at(idle_ns);
    let _ = write!(svg, "<rect class=\"active\" y=\"6\" width=\"{polled:.1}\" height=\"12\"/>");
    let rest = WIDTH - polled;
    let _ = write!(svg, "<rect class=\"idle\" x=\"{polled:.1}\" y=\"6\" width=\"{rest:.1}\" height=\"12\"/>");
    if let Some(woken_ns) = woken_ns {
        let _ = write!(svg, "<path class=\"woken\" d=\"M{:.1} 0V{HEIGHT}\"/>", at(woken_ns));
    }
    if let Some(usual_ns) = usual_ns.filter(|&usual| usual < age_ns) {
        let _ = write!(svg, "<path class=\"usual\" d=\"M{:.1} 0V{HEIGHT}\"/>", WIDTH * usual_ns as f64 / age);
    }
    svg + "</svg>"
}

/// A histogram beside a number, as wide as so many buckets: pictures below each other share their axis.
pub(crate) fn small_histogram(counts: &[u64], buckets: usize) -> String {
    const HEIGHT: f64 = 20.0;
    const STEP: f64 = 4.0;
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let width = STEP * buckets.max(1) as f64;
    let mut svg = open("small-histogram", width, HEIGHT);
    let _ = write!(svg, "<path class=\"ground\" d=\"M0 {HEIGHT}H{width}\"/>");
    for (i, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = (HEIGHT * count as f64 / most).max(1.5);
        let (x, y) = (STEP * i as f64, HEIGHT - height);
        let _ = write!(svg, "<rect x=\"{x}\" y=\"{y:.1}\" width=\"3\" height=\"{height:.1}\"/>");
    }
    svg + "</svg>"
}

fn open(class: &str, width: f64, height: f64) -> String {
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_begins_at_zero_and_ends_at_the_largest() {
        let svg = sparkline(&[(0.0, 0.0), (10.0, 50.0), (20.0, 100.0)], (0.0, 20.0), Some(10.0));
        assert!(svg.contains("M6.0 66.0L160.0 36.0L314.0 6.0") && svg.contains("M160.0 0V72"), "{svg}");
        let before = sparkline(&[(0.0, 1.0)], (0.0, 20.0), Some(-5.0));
        assert!(!before.contains("onset"), "{before}");
    }

    #[test]
    fn odd_numbers_draw_something() {
        for points in [&[][..], &[(5.0, 0.0)], &[(5.0, 1.0), (5.0, 2.0)]] {
            assert!(!sparkline(points, (5.0, 5.0), None).contains("NaN"));
        }
        assert!(!parts(&[0, 0]).contains("rect"));
        assert!(!histogram(&[]).contains("NaN"));
    }

    #[test]
    fn a_life_is_split_at_the_last_poll() {
        let svg = life(1_000, 750, Some(2_000), Some(500));
        assert!(svg.contains("class=\"active\" y=\"6\" width=\"150.0\""), "{svg}");
        assert!(
            svg.contains("class=\"woken\" d=\"M0.0 ") && svg.contains("class=\"usual\" d=\"M300.0 "),
            "{svg}"
        );
        assert!(!life(0, u64::MAX, None, Some(1)).contains("NaN"));
        assert_eq!(small_histogram(&[0, 5, 1], 4).matches("<rect").count(), 2);
    }

    #[test]
    fn parts_fill_the_width() {
        assert_eq!(parts(&[1, 0, 3]).matches("<rect").count(), 2);
        assert!(parts(&[1, 0, 3]).contains("class=\"part-2\" x=\"22.50\" width=\"67.50\""));
    }
}
