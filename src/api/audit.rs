//! `GET /audit`: who changed what, and when.

use axum::Json;
use axum::extract::State as Extract;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::State;
use super::access::Operator;
use super::error::Problem;
use super::extract::Query;
use super::pages;
use crate::store::{AuditEntry, AuditFilter};

/// Which lines are wanted.
#[derive(schemars::JsonSchema, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// About one room, stream or key, or `global`.
    target: Option<String>,
    /// At that time or later.
    from: Option<Timestamp>,
    /// Before that time.
    to: Option<Timestamp>,
    /// Most rows, 1 to 200.
    limit: Option<u64>,
    /// Where the page before ended.
    cursor: Option<Uuid>,
}

/// A page of the audit log, newest first.
#[derive(schemars::JsonSchema, Debug, Serialize)]
#[schemars(rename = "AuditPage")]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    /// The lines.
    entries: Vec<AuditEntry>,
    /// Pass as `cursor` for the next page; `null` on the last.
    next_cursor: Option<Uuid>,
}

/// Lists the audit log.
pub(super) async fn list(
    Extract(state): Extract<State>,
    _: Operator,
    Query(filter): Query<Filter>,
) -> Result<Json<Page>, Problem> {
    let limit = pages::limit(filter.limit, pages::PAGE_MAX)?;
    let wanted = AuditFilter {
        target: filter.target,
        from: filter.from,
        to: filter.to,
        before: filter.cursor,
        limit: limit + 1,
    };
    let mut entries = state.store().audit(&wanted).await?;
    let next_cursor = pages::cut(&mut entries, limit, |one| one.id);
    Ok(Json(Page { entries, next_cursor }))
}
