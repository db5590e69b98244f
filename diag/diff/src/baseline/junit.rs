//! Test events as JUnit has them, the way nextest writes it: of XML no more is read than the elements of test cases and their
//! attributes. Any text is read; what is no XML has no tests.

use super::run::TestResult;

pub(super) fn results(text: &str) -> Vec<TestResult> {
    let mut results: Vec<TestResult> = Vec::new();
    let mut open = false;
    for tag in tags(text) {
        let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        match name.trim_end_matches('/') {
            "testcase" => {
                open = !tag.ends_with('/');
                results.push(case(attributes));
            }
            "/testcase" => open = false,
            // One that was tried again has one of these for each time that it failed.
            "failure" | "error" | "flakyFailure" | "flakyError" | "rerunFailure" | "rerunError" if open => {
                if let Some(case) = results.last_mut() {
                    case.failures = case.failures.saturating_add(1);
                }
            }
            "skipped" if open => {
                results.pop();
                open = false;
            }
            _ => {}
        }
    }
    results
}

fn case(attributes: &str) -> TestResult {
    let name = attribute(attributes, "name").unwrap_or_default();
    let name = match attribute(attributes, "classname").filter(|class| !class.is_empty()) {
        Some(class) => format!("{class} {name}"),
        None => name,
    };
    let time_s = attribute(attributes, "time").and_then(|time| time.parse::<f64>().ok());
    TestResult { name, time_s: time_s.filter(|time| time.is_finite() && *time >= 0.0), failures: 0 }
}

/// What stands between `<` and `>`, outside of comments and character data.
fn tags(text: &str) -> impl Iterator<Item = &str> {
    const OPAQUE: [(&str, &str); 3] = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = &rest[rest.find('<')?..];
            match OPAQUE.iter().find(|(start, _)| rest.starts_with(start)) {
                Some((_, end)) => rest = &rest[rest.find(end)? + end.len()..],
                None => break,
            }
        }
        let end = end_of_tag(rest)?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        Some(tag)
    })
}

/// The `>` that is in no quotes.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    text.char_indices().find_map(|(at, char)| {
        match (quote, char) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(char),
            (Some(open), _) if open == char => quote = None,
            _ => {}
        }
        None
    })
}

/// The value of an attribute, with the five entities that XML has.
fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|char| ['"', '\''].contains(char))?;
        let (value, following) = after[1..].split_once(quote)?;
        if key.trim() == name {
            return Some(unescaped(value));
        }
        rest = following;
    }
}

fn unescaped(text: &str) -> String {
    const ENTITIES: [(&str, &str); 5] =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    ENTITIES.iter().fold(text.to_owned(), |text, (entity, char)| text.replace(entity, char))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_read_with_their_failures() {
        let text = r#"<?xml version="1.0"?>
<testsuites name="nextest-run" tests="4" time="3.1">
  <!-- <testcase name="none" time="9"/> -->
  <testsuite name="desk" tests="4">
    <testcase name="quotes::&lt;a&gt;" classname="desk" time="0.250"/>
    <testcase name="closes" classname="desk" time="1.500">
      <failure type="test failure" message="a > b"><![CDATA[<testcase name="none"/>]]></failure>
    </testcase>
    <testcase name="flaky" classname="desk" time="0.1">
      <flakyFailure type="test failure"/><flakyFailure/>
    </testcase>
    <testcase name="later" classname="desk"><skipped/></testcase>
  </testsuite>
</testsuites>"#;
        let read: Vec<_> =
            results(text).into_iter().map(|test| (test.name, test.time_s, test.failures)).collect();
        let expected = [
            ("desk quotes::<a>", Some(0.25), 0),
            ("desk closes", Some(1.5), 1),
            ("desk flaky", Some(0.1), 2),
        ];
        assert_eq!(read, expected.map(|(name, time, failures)| (name.to_owned(), time, failures)));
    }

    #[test]
    fn any_text_is_read() {
        for text in
            ["", "<", "<testcase", "<testcase name=\"", "<![CDATA[", "<testcase a='ü>'>", "<a =>", "<é/>"]
        {
            results(text);
        }
    }
}
