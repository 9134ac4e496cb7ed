//! `GET /censorship/events/{id}/thumbnail`: the covered picture of a detection.

use axum::extract::{Path, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};

use super::State;
use super::access::Operator;
use super::error::Problem;
use super::tokens::NO_STORE;
use crate::store;

/// How long after a detection its picture may still be on its way to the database.
const YOUNG: SignedDuration = SignedDuration::from_secs(10);

/// The picture, as JPEG.
pub(super) async fn get(
    Extract(state): Extract<State>,
    _: Operator,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let jpeg = find(&state, &id).await?.ok_or_else(|| {
        let detail = "there is no picture of that detection: none was kept, or it is gone by now";
        Problem::new(StatusCode::NOT_FOUND, "unknown-thumbnail", detail)
    })?;
    Ok(([(header::CACHE_CONTROL, NO_STORE)], [(header::CONTENT_TYPE, "image/jpeg")], jpeg)
        .into_response())
}

async fn find(state: &State, id: &str) -> Result<Option<Vec<u8>>, Problem> {
    let Ok(id) = id.parse() else { return Ok(None) };
    let found = state.store().thumbnail(id).await?;
    let age = Timestamp::now().duration_since(store::at(id));
    if found.is_some() || age.abs() > YOUNG || !state.journal().settled().await {
        return Ok(found);
    }
    Ok(state.store().thumbnail(id).await?)
}
