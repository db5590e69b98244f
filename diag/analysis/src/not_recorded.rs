//! What the recorder dropped or skipped, in words.

use diag_snapshot::Capture;

use crate::human;

/// Returns a sentence for each kind of thing that the recorder dropped or skipped; none when nothing was.
pub fn not_recorded(capture: &Capture) -> impl Iterator<Item = String> {
    capture.dropped.iter().map(|(what, &times)| match capture.dropped_sentences.get(what) {
        Some(sentence) => {
            format!("not recorded: {} ({})", human::name(sentence), human::counted(times, "time"))
        }
        None => format!("the recorder dropped or skipped {} {}", human::count(times), human::name(what)),
    })
}
