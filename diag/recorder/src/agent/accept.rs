//! Which of the two texts of its figures a caller reads.

use diag_analysis::metrics::Syntax;

/// Prometheus' text if the caller would rather have that, as its header `Accept` says; else OpenMetrics.
pub(super) fn syntax(accept: &str) -> Syntax {
    let wish = |kind, media| quality(accept, kind, media);
    if wish("text", "plain") > wish("application", "openmetrics-text") {
        Syntax::Prometheus
    } else {
        Syntax::OpenMetrics
    }
}

/// How much a media type is wanted, from 0 to 1: what is said of it by name counts, else what is said of all of its
/// kind, else of all.
fn quality(accept: &str, kind: &str, media: &str) -> f32 {
    let ranges = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let (kind, media) = parts.next()?.split_once('/')?;
        // A number that is none is taken for 1, as no number is.
        let said = parts.find_map(|parameter| parameter.strip_prefix("q="));
        Some((kind, media, said.and_then(|said| said.parse().ok()).unwrap_or(1.0_f32)))
    });
    let said_of = |kind: &str, media: &str| {
        let is_it =
            |of: &(&str, &str, f32)| of.0.eq_ignore_ascii_case(kind) && of.1.eq_ignore_ascii_case(media);
        ranges.clone().filter(is_it).map(|(_, _, quality)| quality).reduce(f32::max)
    };
    said_of(kind, media).or_else(|| said_of(kind, "*")).or_else(|| said_of("*", "*")).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_for_who_asks_for_it() {
        let check = |accept: &str, expected| {
            assert_eq!(syntax(accept), expected, "{accept:?}");
        };
        for text in [
            "text/plain",
            "Text/Plain;version=0.0.4",
            "text/*",
            "application/json, text/plain; q=0.1",
            "application/openmetrics-text;q=0.3, text/plain;q=0.5, */*;q=0.1",
            "*/*;q=0.1, text/plain",
            "application/openmetrics-text;q=0, */*",
        ] {
            check(text, Syntax::Prometheus);
        }
        for open in [
            "",
            "*/*",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            // As Prometheus 3 asks.
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
               application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
               text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/openmetrics-text, text/plain",
            "text/plain;q=0",
            "nonsense, ;;q=,/",
        ] {
            check(open, Syntax::OpenMetrics);
        }
    }
}
