//! `traceparent`, as [W3C Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header) has it.

/// Digits of version 00, with the three dashes. Later ones begin with the same.
const LEN: usize = 55;

/// The header by which a caller says which trace a request is of.
///
/// ```
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let caller = diag_tracing::Traceparent::parse(header).unwrap();
/// assert_eq!(caller.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent<'a> {
    trace_id: &'a str,
    parent_id: &'a str,
    flags: u8,
}

impl<'a> Traceparent<'a> {
    /// Reads a header. `None` if it is not one: every part has its number of lower-case hexadecimal digits, neither id is all
    /// zeros, and the version is not `ff`. Of version 00 nothing may follow; of a later one, what follows a further dash is not
    /// looked at.
    pub fn parse(header: &'a str) -> Option<Self> {
        let (whole, more) = header.split_at_checked(LEN)?;
        let mut parts = whole.split('-');
        let version = digits(parts.next()?, 2)?;
        let trace_id = digits(parts.next()?, 32).filter(is_set)?;
        let parent_id = digits(parts.next()?, 16).filter(is_set)?;
        let flags = u8::from_str_radix(digits(parts.next()?, 2)?, 16).ok()?;
        let may_follow = match version {
            "ff" => false,
            "00" => more.is_empty(),
            _ => more.is_empty() || more.starts_with('-'),
        };
        may_follow.then_some(Traceparent { trace_id, parent_id, flags })
    }

    /// Returns the 32 digits of the trace.
    pub fn trace_id(&self) -> &'a str {
        self.trace_id
    }

    /// Returns the 16 digits of the caller's span.
    pub fn parent_id(&self) -> &'a str {
        self.parent_id
    }

    /// Returns true if the caller may have recorded its part of the trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 != 0
    }
}

fn digits(part: &str, number: usize) -> Option<&str> {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (part.len() == number && part.bytes().all(is_digit)).then_some(part)
}

fn is_set(digits: &&str) -> bool {
    digits.bytes().any(|digit| digit != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_header_has_its_parts() {
        let header = format!("00-{TRACE}-{SPAN}-01");
        let caller = Traceparent::parse(&header).expect("a header");
        assert_eq!((caller.trace_id(), caller.parent_id(), caller.is_sampled()), (TRACE, SPAN, true));
        let unknown_flags = format!("00-{TRACE}-{SPAN}-fe");
        assert!(Traceparent::parse(&unknown_flags).is_some_and(|caller| !caller.is_sampled()));
    }

    #[test]
    fn later_versions_may_go_on() {
        for more in ["", "-", "-what-ever", "-ü"] {
            assert!(Traceparent::parse(&format!("cc-{TRACE}-{SPAN}-01{more}")).is_some(), "{more}");
        }
        for more in ["x", "0", ".more"] {
            assert_eq!(Traceparent::parse(&format!("cc-{TRACE}-{SPAN}-01{more}")), None, "{more}");
        }
    }

    #[test]
    fn nothing_else_is_a_header() {
        let (no_trace, no_span) = ("0".repeat(32), "0".repeat(16));
        for bad in [
            String::new(),
            "00".to_owned(),
            "-".repeat(LEN),
            "ü".repeat(LEN),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("FE-{TRACE}-{SPAN}-01"),
            format!("0x-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-what"),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-+1"),
            format!("00-{TRACE}-{SPAN}-0A"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{no_trace}-{SPAN}-01"),
            format!("00-{TRACE}-{no_span}-01"),
            format!("00-{SPAN}-{TRACE}-01"),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01\n"),
            format!("00_{TRACE}_{SPAN}_01"),
        ] {
            assert_eq!(Traceparent::parse(&bad), None, "{bad}");
        }
    }
}
