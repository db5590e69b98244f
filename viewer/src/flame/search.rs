//! Frames by a part of their name or by a pattern, and how much lies in them.

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;

use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;

use super::tree::{Frame, FrameId, NodeIndex, ROOT, Tree, shown};
use super::weights::Weights;

/// A pattern may take so much memory, once read: whoever asks for more of it is refused at once.
const MOST_PATTERN_BYTES: usize = 256 << 10;
/// And its automaton so much while it runs.
const MOST_CACHE_BYTES: usize = 2 << 20;

/// What is looked for, in whatever case: text, or between slashes a pattern.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    text: String,
    by: By,
}

#[derive(Clone, Debug)]
enum By {
    /// In small letters.
    Text(String),
    /// Finds in a time that grows with the text and with the pattern, whatever either is.
    Pattern(Box<Regex>),
}

/// What was found under some root.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Found<A> {
    /// Frames of the tree that match, of those with any weight.
    pub(crate) frames: usize,
    /// What lies in one of them, once if several lie in each other.
    pub(crate) total: A,
    /// How wide that is.
    pub(crate) width: f64,
    /// Their functions, ascending.
    pub(crate) functions: Vec<FrameId>,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let pattern = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let by = match pattern.filter(|pattern| !pattern.is_empty()) {
            Some(pattern) => By::Pattern(Box::new(read(pattern)?)),
            None => By::Text(text.to_lowercase()),
        };
        Ok(Wanted { text: text.to_owned(), by })
    }
}

/// As it stands in an address.
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn read(pattern: &str) -> Result<Regex, String> {
    let config =
        Config::new().nfa_size_limit(Some(MOST_PATTERN_BYTES)).hybrid_cache_capacity(MOST_CACHE_BYTES);
    let syntax = syntax::Config::new().case_insensitive(true).nest_limit(50);
    let read = Regex::builder().configure(config).syntax(syntax).build(pattern);
    read.map_err(|error| {
        let why = match error.size_limit() {
            Some(_) => "it is too large".to_owned(),
            // Where it is wrong stands in the last line.
            None => error.syntax_error().map_or_else(|| error.to_string(), last_line),
        };
        format!("not a pattern: {why}; without the slashes it is looked for as text")
    })
}

fn last_line(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl Wanted {
    pub(crate) fn is(&self, frame: &Frame) -> bool {
        self.is_in(&shown(&frame.place.function))
            || self.is_in(&frame.label())
            || frame.location().is_some_and(|location| self.is_in(&location))
    }

    fn is_in(&self, text: &str) -> bool {
        match &self.by {
            By::Text(part) => text.to_lowercase().contains(part),
            By::Pattern(pattern) => pattern.is_match(text),
        }
    }

    /// Which of the frames of a tree match, in their order.
    pub(crate) fn among(&self, tree: &Tree) -> Vec<bool> {
        tree.frames.iter().enumerate().map(|(i, frame)| i > 0 && self.is(frame)).collect()
    }

    pub(crate) fn find<A: Copy + Default + AddAssign>(
        &self,
        tree: &Tree,
        weights: &Weights<A>,
        root: NodeIndex,
    ) -> Found<A> {
        let matches = self.among(tree);
        // Under the root, and under one that matches.
        let mut places = vec![(false, false); tree.nodes.len()];
        let mut is_found = vec![false; tree.frames.len()];
        let mut found = Found::default();
        for (i, node) in tree.nodes.iter().enumerate() {
            let (is_under, is_counted) = places[node.parent.0];
            let is_under = is_under || i == root.0 || root == ROOT;
            let is_match = is_under && weights.width[i] > 0.0 && matches[node.frame.0];
            if is_match {
                found.frames += 1;
                is_found[node.frame.0] = true;
            }
            if is_match && !is_counted {
                found.total += weights.total[i];
                found.width += weights.width[i];
            }
            places[i] = (is_under, is_counted || is_match);
        }
        found.functions = (0..is_found.len()).filter(|&frame| is_found[frame]).map(FrameId).collect();
        found
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn check(wanted: &str, text: &str, is: bool) {
        assert_eq!(wanted.parse::<Wanted>().expect(wanted).is_in(text), is, "{wanted} in {text}");
    }

    #[test]
    fn a_pattern_stands_between_slashes() {
        check("cache::PUT", "svc::cache::put", true);
        check("cache.*put", "svc::cache::put", false);
        check("/cache.*PUT$/", "svc::cache::put", true);
        check("/^cache/", "svc::cache::put", false);
        check("/put|take/", "svc::fresh::take", true);
        check(" /ÄÖ+/ ", "äööö", true);
        // Neither of these is a pattern.
        check("//", "http://", true);
        check("/src", "app/src/main.rs", true);
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_a_reason() {
        for (text, why) in [
            ("/(/", "unclosed group"),
            ("/a{2}{1000}{1000}/", "too large"),
            ("/\\p{Nonsense}/", "not a pattern: "),
            ("/(?=a)/", "look-around"),
        ] {
            let error = text.parse::<Wanted>().expect_err(text);
            assert!(error.contains(why) && error.ends_with("looked for as text"), "{text}: {error}");
        }
        let deep = format!("/{}{}/", "(".repeat(1_000), ")".repeat(1_000));
        assert!(deep.parse::<Wanted>().is_err());
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let text = "a".repeat(199) + "!";
        for pattern in ["/(a+)+$/", "/(a|aa)+$/", "/(a*)*b/", "/(\\w{1,50}){1,20}$/", "/([a-z]+)*\\1/"] {
            let start = Instant::now();
            if let Ok(wanted) = pattern.parse::<Wanted>() {
                (0..100).for_each(|_| assert!(!wanted.is_in(&text), "{pattern}"));
            }
            // A backtracking engine would be at it for longer than the universe has been there.
            assert!(start.elapsed() < Duration::from_secs(10), "{pattern}: {:?}", start.elapsed());
        }
    }
}
