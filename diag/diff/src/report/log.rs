//! The fields that every record of a log begins with, by the names of OpenTelemetry.

use jiff::Timestamp;
use serde_json::{Value, json};

/// The span that a report is written in: of a build pipeline, for one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanContext {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
}

impl SpanContext {
    /// Reads a `traceparent` of [W3C Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header): what the
    /// variable `TRACEPARENT` holds. None if it is no such.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let (version, trace_id, span_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |part: &str, digits| {
            part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_set = |part: &str| part.bytes().any(|byte| byte != b'0');
        // Later versions may add parts, and `ff` is none.
        let is_version = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
        let is_whole = is_version && is_hex(trace_id, 32) && is_hex(span_id, 16) && is_hex(flags, 2);
        (is_whole && is_set(trace_id) && is_set(span_id))
            .then(|| SpanContext { trace_id: trace_id.to_owned(), span_id: span_id.to_owned() })
    }
}

/// Who writes a record, and when it was so.
pub(super) struct Source<'a> {
    pub(super) timestamp: Option<Timestamp>,
    pub(super) service: &'a str,
    pub(super) span: Option<&'a SpanContext>,
}

impl Source<'_> {
    /// Returns a record with these fields besides; `more` is an object.
    pub(super) fn record(&self, level: &str, message: &str, more: Value) -> Value {
        let mut record = json!({
            "timestamp": self.timestamp,
            "level": level,
            "service_name": self.service,
            "trace_id": self.span.map(|span| &span.trace_id),
            "span_id": self.span.map(|span| &span.span_id),
            "message": message,
        });
        if let (Some(record), Value::Object(more)) = (record.as_object_mut(), more) {
            record.extend(more);
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_traceparent_is_one() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let parsed = SpanContext::parse(&format!("00-{trace}-{span}-01\n"));
        assert_eq!(parsed, Some(SpanContext { trace_id: trace.to_owned(), span_id: span.to_owned() }));
        assert!(SpanContext::parse(&format!("cc-{trace}-{span}-01-what")).is_some(), "of a later version");
        let zeros = ["0".repeat(32), "0".repeat(16)];
        for bad in [
            String::new(),
            "00".to_owned(),
            format!("ff-{trace}-{span}-01"),
            format!("00-{trace}-{span}-01-what"),
            format!("00-{trace}-{span}"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", zeros[0]),
            format!("00-{trace}-{}-01", zeros[1]),
            format!("00-{span}-{trace}-01"),
            "00-ü-ü-ü".to_owned(),
        ] {
            assert_eq!(SpanContext::parse(&bad), None, "{bad}");
        }
    }
}
