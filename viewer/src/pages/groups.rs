//! `/s/{s}/groups`: the groups of tasks of a snapshot with their members, and how long members take to end.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use diag_analysis::views::{GroupSiteView, GroupView};
use serde::Serialize;

use super::steps::Steps;
use super::{Ask, Page, filters, to_json};
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary};

/// So many groups stand on the page, and of each so many members.
const LISTED: usize = 100;

pub(crate) async fn page(State(ask): State<Ask>, Path(s): Path<String>, uri: Uri) -> Response {
    ask.answer(groups(&ask, &s, Steps::begin(&ask, &uri)).await)
}

async fn groups(ask: &Ask, s: &str, steps: Steps) -> Result<Groups, Absent> {
    let loaded = ask.library.open(s).await?;
    let steps = steps.of(&loaded.summary);
    blocking(move || Groups::new(&loaded, steps)).await
}

#[derive(Template, Serialize)]
#[template(path = "groups.html")]
struct Groups {
    schema: &'static str,
    snapshot: Summary,
    #[serde(skip)]
    steps: Steps,
    /// Groups that somebody still has.
    known: u64,
    /// Those of them that are not listed.
    unlisted_groups: u64,
    /// Members that go on though their group was cancelled.
    stragglers: u64,
    groups: Vec<GroupView>,
    /// Where groups are made, and how long members take to end.
    sites: Vec<GroupSiteView>,
}

impl Groups {
    fn new(loaded: &Loaded, steps: Steps) -> Self {
        let mut groups = loaded.analysis.group_views();
        let known = groups.len() as u64;
        let stragglers = groups.iter().map(|group| group.stragglers).fold(0, u64::saturating_add);
        groups.truncate(LISTED);
        for group in &mut groups {
            // Those that go on first; of others the first that joined.
            group.members.sort_by_key(|member| member.straggling_ns.is_none());
            group.members.truncate(LISTED);
        }
        Groups {
            schema: "diag.groups/1",
            snapshot: loaded.summary.clone(),
            steps,
            known,
            unlisted_groups: known.saturating_sub(groups.len() as u64),
            stragglers,
            groups,
            sites: loaded.analysis.group_site_views(),
        }
    }
}

impl Page for Groups {
    fn json(&self) -> String {
        to_json(self)
    }
}
