//! `/s/{s}/export/{format}`: a snapshot as a file: as it is, or in the format of another tool.

use std::sync::Arc;

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

/// The name of diag's own format.
const OWN: &str = "diag";

async fn exported(ask: &Ask, s: &str, format: &str) -> Result<Response, Absent> {
    let loaded = ask.library.open(s).await?;
    if format == OWN {
        let (library, id) = (Arc::clone(&ask.library), loaded.summary.id.clone());
        let bytes = blocking(move || library.bytes(&id)).await??;
        return Ok(attachment(&loaded.summary.id, OWN, "application/octet-stream", bytes));
    }
    let format = export::by_name(format).filter(|format| loaded.summary.has(*format)).ok_or_else(|| {
        let names = loaded.summary.exports().map(|format| format.name()).chain([OWN]);
        let names: Vec<&str> = names.collect();
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
        Ok(attachment(&loaded.summary.id, format.extension(), format.content_type(), bytes))
    })
    .await?
}

/// An answer that a browser saves.
fn attachment(id: &str, extension: &str, content_type: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{id}.{extension}\"");
    let headers = [(CONTENT_TYPE, content_type.to_owned()), (CONTENT_DISPOSITION, disposition)];
    (headers, bytes).into_response()
}
