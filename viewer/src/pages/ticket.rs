//! `/f/{id}/export/{format}`, `/d/{pair}/v/{id}/export/{format}`: a finding as a file that needs no viewer, for a ticket;
//! `/d/{pair}/export/{format}`: everything that changed.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use diag_diff::report::{json, markdown, words};

use super::query::Query;
use super::verdict::{Verdict, Window, course, verdict};
use super::{Ask, Page, diff, filters};
use crate::assets;
use crate::library::{Absent, blocking};

/// What the page says of itself, wherever it is opened: it loads nothing and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// What a finding can be had as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One page with its own style, and pictures.
    Html,
    Markdown,
    /// The twin of its page.
    Json,
}

impl Format {
    pub(super) const ALL: [Format; 3] = [Format::Html, Format::Markdown, Format::Json];

    pub(super) fn name(self) -> &'static str {
        match self {
            Format::Html => "html",
            Format::Markdown => "markdown",
            Format::Json => "json",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Format::Html => "one page with everything in it, for a ticket",
            Format::Markdown => "text for a ticket or the comment of a pull request",
            Format::Json => "the same for programs",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Format::Html => "html",
            Format::Markdown => "md",
            Format::Json => "json",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Format::Html => "text/html; charset=utf-8",
            Format::Markdown => "text/markdown; charset=utf-8",
            Format::Json => "application/json",
        }
    }

    fn parse(name: &str, among: &[Format]) -> Result<Format, Absent> {
        let format = among.iter().find(|format| format.name() == name);
        format.copied().ok_or_else(|| {
            let names: Vec<&str> = among.iter().map(|format| format.name()).collect();
            Absent::NotFound(format!("it is not to be had in such a format: there are {}", names.join(", ")))
        })
    }

    /// The answer that a browser saves.
    fn file(self, name: &str, content: String) -> Response {
        let disposition = format!("attachment; filename=\"{name}.{}\"", self.extension());
        let headers = [
            (CONTENT_TYPE, self.content_type().to_owned()),
            (CONTENT_DISPOSITION, disposition),
            (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        ];
        (headers, content).into_response()
    }
}

pub(crate) async fn over_time(
    State(ask): State<Ask>,
    Path((id, format)): Path<(String, String)>,
    Query(window): Query<Window>,
) -> Response {
    let file = async {
        let format = Format::parse(&format, &Format::ALL)?;
        written(course(&ask, &id, &window).await?, format).await
    };
    file.await.unwrap_or_else(|absent| ask.absent(absent))
}

pub(crate) async fn of_pair(
    State(ask): State<Ask>,
    Path((pair, id, format)): Path<(String, String, String)>,
) -> Response {
    let file = async {
        let format = Format::parse(&format, &Format::ALL)?;
        written(verdict(&ask, &pair, id).await?, format).await
    };
    file.await.unwrap_or_else(|absent| ask.absent(absent))
}

/// All that changed between two snapshots, as `diag diff` prints it.
pub(crate) async fn diff(State(ask): State<Ask>, Path((pair, format)): Path<(String, String)>) -> Response {
    let file = async {
        let format = Format::parse(&format, &[Format::Markdown, Format::Json])?;
        let pair = diff::Pair::open(&ask, &pair).await?;
        let name = format!("{}..{}", pair.before.summary.id, pair.after.summary.id);
        let content = match format {
            Format::Markdown | Format::Html => markdown::render(&pair.report),
            Format::Json => json::render(&pair.report),
        };
        Ok(format.file(&name, content))
    };
    file.await.unwrap_or_else(|absent: Absent| ask.absent(absent))
}

async fn written(verdict: Verdict, format: Format) -> Result<Response, Absent> {
    let name = format!("finding-{}", verdict.finding.id);
    let content = match format {
        Format::Json => verdict.json(),
        Format::Markdown => in_markdown(&verdict),
        Format::Html => {
            let page = Ticket { policy: POLICY, styles: assets::STYLES, verdict };
            blocking(move || page.render()).await?.map_err(|error| {
                Absent::Unusable(format!("it cannot be written: {error}; as markdown it may"))
            })?
        }
    };
    Ok(format.file(&name, content))
}

fn in_markdown(verdict: &Verdict) -> String {
    let [before, after] = [&verdict.before, &verdict.after];
    let service = diag_analysis::human::name(&after.service);
    let course = verdict.over_time.as_ref().and_then(|over_time| over_time.course.as_ref());
    let mut text = markdown::render_finding(&verdict.finding);
    let pair = format!("{service}, from {} to {}", before.taken, after.taken);
    for line in course.map(|course| course.sentence.clone()).into_iter().chain([pair]) {
        text = format!("{}\n\n{}\n", text.trim_end(), markdown::escape(&line));
    }
    text
}

/// The page.
#[derive(Template)]
#[template(path = "ticket.html")]
struct Ticket {
    policy: &'static str,
    styles: [&'static str; 2],
    verdict: Verdict,
}
