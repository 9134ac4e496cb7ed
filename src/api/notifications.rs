//! What the operator's own server was not told: given up, or still tried.

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::State;
use super::access::Operator;
use super::error::Problem;
use super::extract::Query;
use super::pages;
use crate::store::{Change, ListedNews, News};

/// Which news.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[schemars(rename = "NewsState")]
#[serde(rename_all = "lowercase")]
pub(super) enum Which {
    /// Given up after a day of attempts.
    #[default]
    Dead,
    /// Still tried.
    Waiting,
}

/// Which news are wanted.
#[derive(schemars::JsonSchema, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// `dead` (the default) or `waiting`.
    #[serde(default)]
    state: Which,
    /// Most rows, 1 to 200.
    limit: Option<u64>,
    /// Where the page before ended.
    cursor: Option<Uuid>,
}

/// A page of news, newest first.
#[derive(schemars::JsonSchema, Debug, Serialize)]
#[schemars(rename = "NotificationPage")]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    /// The news.
    notifications: Vec<ListedNews>,
    /// Pass as `cursor` for the next page; `null` on the last.
    next_cursor: Option<Uuid>,
}

/// Lists news that did not arrive.
pub(super) async fn list(
    Extract(state): Extract<State>,
    _: Operator,
    Query(filter): Query<Filter>,
) -> Result<Json<Page>, Problem> {
    let limit = pages::limit(filter.limit, pages::PAGE_MAX)?;
    let waiting = filter.state == Which::Waiting;
    let mut news = state.store().news(waiting, filter.cursor, limit + 1).await?;
    let next_cursor = pages::cut(&mut news, limit, |one| one.id);
    Ok(Json(Page { notifications: news.into_iter().map(News::listed).collect(), next_cursor }))
}

/// Tries again what was given up.
pub(super) async fn retry(
    Extract(state): Extract<State>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let unknown = || {
        let detail = "nothing of that id was given up";
        Problem::new(StatusCode::NOT_FOUND, "unknown-notification", detail)
    };
    let id: Uuid = id.parse().map_err(|_| unknown())?;
    if !state.store().news_again(id, Timestamp::now()).await? {
        return Err(unknown());
    }
    let detail = Change::is(serde_json::Value::Null);
    state.journal().audit(&caller.sub, "notification.retry", &id.to_string(), detail);
    Ok(StatusCode::ACCEPTED)
}
