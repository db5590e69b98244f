//! `/s/{s}/export/{format}`: a snapshot in the format of another tool, as a file.

use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use diag_analysis::export;

use super::Ask;
use crate::library::{Absent, blocking};

pub(crate) async fn file(State(ask): State<Ask>, Path((s, format)): Path<(String, String)>) -> Response {
    match exported(&ask, &s, &format).await {
        Ok(file) => file,
        Err(absent) => ask.absent(absent),
    }
}

async fn exported(ask: &Ask, s: &str, format: &str) -> Result<Response, Absent> {
    let loaded = ask.library.open(s).await?;
    let format = export::by_name(format).filter(|format| loaded.summary.has(*format)).ok_or_else(|| {
        let names: Vec<&str> = loaded.summary.exports().map(|format| format.name()).collect();
        Absent::NotFound(format!(
            "this snapshot is not to be had in such a format: there are {}",
            names.join(", ")
        ))
    })?;
    blocking(move || {
        let mut bytes = Vec::new();
        format
            .export(&loaded.analysis, &mut bytes)
            .map_err(|error| Absent::Unusable(format!("it cannot be exported: {error}")))?;
        let disposition = format!("attachment; filename=\"{}.{}\"", loaded.summary.id, format.extension());
        let headers = [(CONTENT_TYPE, format.content_type().to_owned()), (CONTENT_DISPOSITION, disposition)];
        Ok((headers, bytes).into_response())
    })
    .await?
}
