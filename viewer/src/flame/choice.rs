//! What a picture of the heap is asked to show: the query of its page, of its slice and of its links.

use std::fmt::Write as _;
use std::str::FromStr;

use diag_analysis::allocation_kind::AllocationKind;
use diag_analysis::task_index::STATES;
use diag_snapshot::TaskState;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::age::Age;
use super::growth::Mode;
use super::search::Wanted;
use super::svg::Theme;
use super::tree::{ALL, FrameId, Frames, NodeIndex, ROOT, Tree};
use super::value::Value;
use super::width::Width;

/// The query; what is not given is as it is by default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Choice {
    pub(crate) value: Value,
    pub(crate) frames: Frames,
    /// The frame that the picture begins at: a place in the tree of these frames; inverted, the frames from the innermost on
    /// with `.` between them.
    pub(crate) root: String,
    /// Callers hang at the functions that they call.
    #[serde(deserialize_with = "flag")]
    pub(crate) invert: bool,
    /// The function whose callers and callees are shown, wherever it is called.
    #[serde(deserialize_with = "empty_is_none")]
    pub(crate) function: Option<usize>,
    /// Only what tasks of this spawn site allocated.
    #[serde(deserialize_with = "empty_is_none")]
    pub(crate) site: Option<u32>,
    /// Only what live tasks allocated, or ended ones, or none.
    #[serde(deserialize_with = "empty_is_none")]
    pub(crate) task: Option<TaskChoice>,
    /// Only what tasks allocated that are parked there.
    pub(crate) r#await: String,
    /// Only blocks that are at least so old.
    #[serde(deserialize_with = "empty_is_none")]
    pub(crate) age: Option<Age>,
    /// Only blocks that are part of something of this kind.
    #[serde(deserialize_with = "empty_is_none")]
    pub(crate) kind: Option<Kind>,
    /// Part of the names to find, or a pattern.
    #[serde(deserialize_with = "empty_is_none")]
    pub(crate) q: Option<Wanted>,
    /// What the width of a frame is, where two snapshots are compared.
    pub(crate) mode: Mode,
    /// The same where tasks wait.
    pub(crate) width: Width,
    /// Only tasks in this state.
    #[serde(deserialize_with = "empty_is_none")]
    pub(crate) state: Option<StateChoice>,
    /// So many frames at most.
    #[serde(deserialize_with = "empty_is_none")]
    pub(crate) nodes: Option<usize>,
    pub(crate) theme: Theme,
}

/// What became of the task that allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskChoice {
    Live,
    Ended,
    None,
}

impl TaskChoice {
    pub(crate) const ALL: [TaskChoice; 3] = [TaskChoice::Live, TaskChoice::Ended, TaskChoice::None];

    pub(crate) fn word(self) -> &'static str {
        match self {
            TaskChoice::Live => "live",
            TaskChoice::Ended => "ended",
            TaskChoice::None => "none",
        }
    }
}

impl FromStr for TaskChoice {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = TaskChoice::ALL.into_iter().find(|choice| choice.word() == word);
        known.ok_or("task is one of live, ended, none")
    }
}

/// What tasks are doing, by the word of the list of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateChoice(pub(crate) TaskState);

impl FromStr for StateChoice {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = STATES.into_iter().find(|state| state.as_str() == word);
        known.map(StateChoice).ok_or_else(|| {
            let words = STATES.map(TaskState::as_str);
            format!("state is one of {}", words.join(", "))
        })
    }
}

/// What blocks are part of, by the word of the page of the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) AllocationKind);

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = AllocationKind::ALL.into_iter().find(|kind| kind.as_str() == word);
        known.map(Kind).ok_or_else(|| {
            let words = AllocationKind::ALL.map(AllocationKind::as_str);
            format!("kind is one of {}", words.join(", "))
        })
    }
}

/// A form sends what is left empty.
fn empty_is_none<'de, D: Deserializer<'de>, T: FromStr<Err: std::fmt::Display>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(from)?;
    let parsed = (!text.trim().is_empty()).then(|| text.parse()).transpose();
    parsed.map_err(|error| D::Error::custom(format!("`{}`: {error}", text.escape_debug())))
}

fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(empty_is_none(from)?.unwrap_or(false))
}

/// Where a picture begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Begin {
    Node(NodeIndex),
    Innermost(Vec<FrameId>),
    /// Its callees below it and its callers above.
    Function(FrameId),
}

impl Begin {
    /// The node that the picture hangs at: the root of one that is inverted, or of one function.
    pub(crate) fn node(&self) -> NodeIndex {
        match self {
            Begin::Node(node) => *node,
            Begin::Innermost(_) | Begin::Function(_) => ROOT,
        }
    }
}

/// Why a picture cannot begin at a frame.
pub(super) fn missing(frame: &str) -> String {
    format!("no frame {} in this picture: begin at its root", frame.escape_debug())
}

impl Choice {
    /// Where the picture begins; why it cannot begin there.
    pub(crate) fn begin(&self, tree: &Tree) -> Result<Begin, String> {
        if let Some(function) = self.function {
            let known = (function != ALL.0 && function < tree.frames.len()).then_some(FrameId(function));
            return known.map(Begin::Function).ok_or_else(|| missing(&function.to_string()));
        }
        let steps = self.root.split('.').filter(|step| !step.is_empty()).map(str::parse::<usize>);
        let steps = steps.collect::<Result<Vec<usize>, _>>().map_err(|_| missing(&self.root))?;
        if self.invert {
            return Ok(Begin::Innermost(
                steps.into_iter().filter(|&step| step != ALL.0).map(FrameId).collect(),
            ));
        }
        let root = steps.first().copied().unwrap_or(0);
        let known = (steps.len() < 2 && root < tree.nodes.len()).then_some(NodeIndex(root));
        known.map(Begin::Node).ok_or_else(|| missing(&self.root))
    }

    /// True if only some of the live blocks are to be shown, by what is not known of those that were freed: which tasks allocated
    /// them, and when.
    pub(crate) fn is_of_some_live(&self) -> bool {
        self.site.is_some() || self.task.is_some() || !self.r#await.is_empty() || self.age.is_some()
    }

    /// The query that asks for this, with one part changed.
    pub(crate) fn but(&self, change: impl FnOnce(&mut Choice)) -> String {
        let mut changed = self.clone();
        change(&mut changed);
        changed.query()
    }

    /// The same choice beginning at the root, as it must where frames have other places.
    pub(crate) fn whole(&self, change: impl FnOnce(&mut Choice)) -> String {
        self.but(|choice| {
            choice.root = String::new();
            choice.function = None;
            change(choice);
        })
    }

    /// The query that asks for this, beginning with `?`; without what is so by default.
    pub(crate) fn query(&self) -> String {
        let mut query = String::new();
        let mut put = |name: &str, value: &str, is_default: bool| {
            if !is_default {
                let start = if query.is_empty() { '?' } else { '&' };
                let _ = write!(query, "{start}{name}={}", encoded(value));
            }
        };
        let number = |number: Option<usize>| number.map(|number| number.to_string()).unwrap_or_default();
        let site = number(self.site.map(|site| site as usize));
        put("value", self.value.word(), self.value == Value::default());
        put("mode", self.mode.word(), self.mode == Mode::default());
        put("width", self.width.word(), self.width == Width::default());
        put("frames", self.frames.word(), self.frames == Frames::default());
        put("invert", "true", !self.invert);
        put("function", &number(self.function), self.function.is_none());
        put("site", &site, site.is_empty());
        put("task", self.task.map_or("", TaskChoice::word), self.task.is_none());
        put("await", &self.r#await, self.r#await.is_empty());
        let state = self.state.map(|state| state.0.as_str());
        put("state", state.unwrap_or_default(), state.is_none());
        let (age, kind) = (self.age.map(|age| age.to_string()), self.kind.map(|kind| kind.0.as_str()));
        put("age", age.as_deref().unwrap_or_default(), age.is_none());
        put("kind", kind.unwrap_or_default(), kind.is_none());
        let wanted = self.q.as_ref().map(Wanted::to_string).unwrap_or_default();
        put("q", &wanted, wanted.is_empty());
        put("root", &self.root, self.root.is_empty() || self.root == "0");
        query
    }
}

/// As it stands in a query: all but the unreserved characters of RFC 3986 by their bytes.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_is_not_so_by_default() {
        let choice =
            Choice { invert: true, q: "a b&c".parse().ok(), root: "3.7".into(), ..Choice::default() };
        assert_eq!(Choice::default().query(), "");
        assert_eq!(choice.query(), "?invert=true&q=a%20b%26c&root=3.7");
        assert_eq!(choice.whole(|choice| choice.invert = false), "?q=a%20b%26c");
    }
}
