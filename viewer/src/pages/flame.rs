//! What pages with a flamegraph share: their form, their picture without a script.

use axum::response::Response;

use super::Ask;
use crate::flame::age::Age;
use crate::flame::choice::{Choice, Kind, TaskChoice};
use crate::flame::document::percent;
use crate::flame::drawn::Drawn;
use crate::flame::growth::Mode;
use crate::flame::measure::Measure;
use crate::flame::picture::Picture;
use crate::flame::slice::Slice;
use crate::flame::tree::{Frames, shown};
use crate::flame::value::Value;
use crate::flame::width::Width;
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, state_choices};

/// So many callers stand above the picture.
const MOST_CRUMBS: usize = 50;
/// So many spawn sites can be chosen.
const MOST_SITES: usize = 100;

/// Answers with the slice that a page draws.
pub(super) async fn slice(
    ask: &Ask,
    s: &str,
    write: impl FnOnce(&Loaded) -> Result<String, Absent> + Send + 'static,
) -> Response {
    let written = async {
        let loaded = ask.library.open(s).await?;
        blocking(move || write(&loaded)).await?
    };
    ask.json(written.await)
}

/// The flamegraph of a page.
pub(super) struct FlameView {
    /// Address of the page, and of the slice as JSON.
    pub(super) page: String,
    pub(super) json: String,
    pub(super) choice: Choice,
    pub(super) picture: Picture,
    /// Where the picture begins.
    pub(super) crumbs: Vec<Crumb>,
    /// What is not in it, in a sentence.
    pub(super) left_out: Option<String>,
    /// What was found, in a sentence.
    pub(super) found: Option<String>,
    about: About,
    pub(super) sites: Vec<SiteChoice>,
    pub(super) await_points: Vec<String>,
    /// What blocks are part of, as far as there are any.
    pub(super) kinds: Vec<&'static str>,
    pub(super) is_empty: bool,
}

/// What a picture is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Heap,
    Growth,
    Tasks,
    Cpu,
}

/// A caller of the first frame.
pub(super) struct Crumb {
    pub(super) query: String,
    pub(super) name: String,
}

/// A spawn site to choose.
pub(super) struct SiteChoice {
    pub(super) index: u32,
    pub(super) location: String,
}

impl FlameView {
    pub(super) fn new<M: Measure>(drawn: &Drawn<'_, M>, page: String, json: String, about: About) -> Self {
        let name = |frame: usize| shown(&drawn.tree.frames[frame].label());
        let above = drawn.above(MOST_CRUMBS).into_iter().map(|(root, frame)| Crumb {
            query: drawn.choice.whole(|choice| choice.root = root),
            name: name(frame),
        });
        let first = drawn.slice.frames.first().map(|first| (first.frame.0, first.width));
        let last = first.map(|(frame, _)| Crumb { query: drawn.choice.query(), name: name(frame) });
        let found = drawn.found.as_ref().map(|found| {
            let all = first.map_or(0.0, |(_, width)| width).max(found.width);
            let frames = diag_analysis::human::counted(found.frames as u64, "frame");
            let (words, share) = (drawn.measure.words(&found.total), percent(found.width, all));
            format!("{frames} found: {words}, {share:.1} % of what is shown")
        });
        FlameView {
            page,
            json,
            choice: drawn.choice.clone(),
            picture: Picture::new(drawn),
            crumbs: above.chain(last).collect(),
            left_out: left_out(&drawn.slice),
            found,
            about,
            sites: Vec::new(),
            await_points: Vec::new(),
            kinds: Vec::new(),
            is_empty: drawn.whole_width <= 0.0,
        }
    }

    /// The spawn site that alone is shown.
    pub(super) fn only_site(&self) -> Option<&str> {
        self.sites.iter().find(|site| self.is_site(&site.index)).map(|site| site.location.as_str())
    }

    /// With what the allocations can be restricted to.
    pub(super) fn with_choices(
        mut self,
        sites: impl Iterator<Item = SiteChoice>,
        await_points: Vec<String>,
    ) -> Self {
        self.sites = sites.take(MOST_SITES).collect();
        self.await_points = await_points;
        self
    }

    pub(super) fn with_kinds(mut self, kinds: impl Iterator<Item = &'static str>) -> Self {
        self.kinds = kinds.collect();
        self
    }

    pub(super) fn is_kind(&self, word: &str) -> bool {
        self.choice.kind.is_some_and(|Kind(kind)| kind.as_str() == word)
    }

    /// The ages that can be chosen, the one that is chosen among them.
    pub(super) fn ages(&self) -> Vec<(Age, bool)> {
        let chosen = self.choice.age;
        let other = chosen.filter(|age| !Age::OFFERED.contains(age));
        let mut ages: Vec<Age> = Age::OFFERED.into_iter().chain(other).collect();
        ages.sort_by_key(|age| age.0);
        ages.into_iter().map(|age| (age, Some(age) == chosen)).collect()
    }

    /// The values that can be chosen.
    pub(super) fn values(&self) -> impl Iterator<Item = (Value, bool)> {
        Value::ALL.into_iter().map(|value| (value, value == self.choice.value))
    }

    pub(super) fn modes(&self) -> impl Iterator<Item = (Mode, bool)> {
        Mode::ALL.into_iter().map(|mode| (mode, mode == self.choice.mode))
    }

    pub(super) fn widths(&self) -> impl Iterator<Item = (Width, bool)> {
        Width::ALL.into_iter().map(|width| (width, width == self.choice.width))
    }

    /// The states that a task may be in.
    pub(super) fn states(&self) -> impl Iterator<Item = (&'static str, bool)> {
        state_choices(self.choice.state.map_or("", |state| state.0.as_str()))
    }

    pub(super) fn is_growth(&self) -> bool {
        self.about == About::Growth
    }

    pub(super) fn is_of_tasks(&self) -> bool {
        self.about == About::Tasks
    }

    pub(super) fn is_of_cpu(&self) -> bool {
        self.about == About::Cpu
    }

    /// What wider frames have more of.
    pub(super) fn unit(&self) -> &'static str {
        match self.about {
            About::Tasks => self.choice.width.name(),
            About::Cpu => "CPU time",
            About::Heap | About::Growth => self.choice.value.unit(),
        }
    }

    /// True if it is known how old what is shown is.
    pub(super) fn knows_ages(&self) -> bool {
        self.is_of_tasks() || self.knows_tasks()
    }

    /// True if it is known of the allocations which tasks made them, and whether these live.
    pub(super) fn knows_tasks(&self) -> bool {
        self.about == About::Heap && self.choice.value.is_live()
    }

    pub(super) fn tasks(&self) -> impl Iterator<Item = (&'static str, bool)> {
        TaskChoice::ALL.into_iter().map(|task| (task.word(), Some(task) == self.choice.task))
    }

    pub(super) fn is_site(&self, index: &u32) -> bool {
        self.choice.site == Some(*index)
    }

    pub(super) fn is_await(&self, text: &str) -> bool {
        self.choice.r#await == text
    }

    /// The same with every frame, or with the service's own.
    pub(super) fn folded_or_not(&self) -> String {
        self.choice.whole(|choice| {
            choice.frames = match choice.frames {
                Frames::Own => Frames::All,
                Frames::All => Frames::Own,
            };
        })
    }

    pub(super) fn shows_all(&self) -> bool {
        self.choice.frames == Frames::All
    }
}

fn left_out<A>(slice: &Slice<A>) -> Option<String> {
    match slice.left_out {
        Some(0) => None,
        Some(frames) => Some(format!(
            "{} too small for it: begin further in to see them",
            match frames {
                1 => "1 frame is".to_owned(),
                frames => format!("{} frames are", diag_analysis::human::count(frames as u64)),
            }
        )),
        None => slice.frames.iter().any(|frame| frame.omitted > 0).then(|| {
            "Frames that are too small for it are left out: begin further in to see them".to_owned()
        }),
    }
}
