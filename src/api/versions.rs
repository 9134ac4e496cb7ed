//! `GET /censorship/versions`: what rules were, to be shown and brought back with a PUT.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};

use super::State;
use super::access::Operator;
use super::error::Problem;
use super::extract::Query;
use super::names::check_room;
use super::pages;
use crate::store::{Scope, Version};

/// Which versions are wanted.
#[derive(schemars::JsonSchema, Debug, Default, Deserialize)]
#[schemars(rename = "RulesVersionsFilter")]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Of this room's rules; of the global ones when left out.
    room: Option<String>,
    /// Older than this version.
    before: Option<u64>,
    /// Most rows, 1 to 200.
    limit: Option<u64>,
}

/// What rules were, newest first.
#[derive(schemars::JsonSchema, Debug, Serialize)]
#[schemars(rename = "RulesVersions")]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    /// The versions; the first is the one that holds.
    versions: Vec<Version>,
    /// Pass as `before` for the next page; `null` on the last.
    next_before: Option<u64>,
}

/// Lists what the rules of a scope were.
pub(super) async fn list(
    Extract(state): Extract<State>,
    _: Operator,
    Query(filter): Query<Filter>,
) -> Result<Json<Page>, Problem> {
    let limit = pages::limit(filter.limit, pages::PAGE_MAX)?;
    let scope = match filter.room {
        None => Scope::Global,
        Some(room) => {
            check_room(&room).map_err(|error| Problem::invalid(&[error]))?;
            Scope::Room(room)
        }
    };
    let mut versions = state.store().rule_versions(&scope, filter.before, limit + 1).await?;
    let next_before = pages::cut(&mut versions, limit, |one| one.version);
    Ok(Json(Page { versions, next_before }))
}
