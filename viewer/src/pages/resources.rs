//! `/s/{s}/resources`: the sockets and channels of a snapshot, by where they were opened.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use diag_analysis::views::{DescriptorsView, ProcessFactsView, ResourceSiteView};
use serde::Serialize;

use super::steps::Steps;
use super::{Ask, Page, filters, to_json};
use crate::library::{Absent, blocking};
use crate::loaded::{Loaded, Summary};

/// So many places stand on the page.
const LISTED_SITES: usize = 200;

pub(crate) async fn page(State(ask): State<Ask>, Path(s): Path<String>, uri: Uri) -> Response {
    ask.answer(resources(&ask, &s, Steps::begin(&ask, &uri)).await)
}

async fn resources(ask: &Ask, s: &str, steps: Steps) -> Result<Resources, Absent> {
    let loaded = ask.library.open(s).await?;
    let steps = steps.of(&loaded.summary);
    blocking(move || Resources::new(&loaded, steps)).await
}

#[derive(Template, Serialize)]
#[template(path = "resources.html")]
struct Resources {
    schema: &'static str,
    snapshot: Summary,
    #[serde(skip)]
    steps: Steps,
    /// Places that are not listed.
    unlisted_sites: u64,
    /// Open sockets and channels at all places.
    open: u64,
    sites: Vec<ResourceSiteView>,
    /// Those of the process, whoever opened them.
    descriptors: Option<DescriptorsView>,
    /// What these stand for, and what else the process has around it.
    process: ProcessFactsView,
}

impl Resources {
    fn new(loaded: &Loaded, steps: Steps) -> Self {
        let mut sites = loaded.analysis.resource_site_views();
        let open = sites.iter().map(|site| site.open).fold(0, u64::saturating_add);
        let unlisted_sites = sites.len().saturating_sub(LISTED_SITES) as u64;
        sites.truncate(LISTED_SITES);
        Resources {
            schema: "diag.resources/1",
            snapshot: loaded.summary.clone(),
            steps,
            unlisted_sites,
            open,
            sites,
            descriptors: loaded.analysis.descriptors_view(),
            process: loaded.analysis.process_facts_view(),
        }
    }
}

impl Page for Resources {
    fn json(&self) -> String {
        to_json(self)
    }
}
