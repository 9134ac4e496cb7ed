//! `GET /censorship/events`: what was found and covered, as JSON or CSV.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::State;
use super::access::Operator;
use super::error::Problem;
use super::extract::Query;
use super::pages::{self, Format};
use crate::store::{Detection, DetectionFilter, Kind};

/// Most rows of one CSV.
const CSV_MAX: u64 = 10_000;

/// Which detections are wanted.
#[derive(schemars::JsonSchema, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Those of one raw room.
    room: Option<String>,
    /// Those of one stream.
    stream: Option<Uuid>,
    /// Those of one class.
    class: Option<String>,
    /// At that time or later.
    from: Option<Timestamp>,
    /// Before that time.
    to: Option<Timestamp>,
    /// Most rows: 1 to 200, or to 10000 as CSV.
    limit: Option<u64>,
    /// Where the page before ended.
    cursor: Option<Uuid>,
    /// `json` or `csv`.
    format: Option<Format>,
}

/// A page of detections, newest first.
#[derive(schemars::JsonSchema, Debug, Serialize)]
#[schemars(rename = "DetectionPage")]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    /// The detections.
    events: Vec<Detection>,
    /// Pass as `cursor` for the next page; `null` on the last.
    next_cursor: Option<Uuid>,
}

/// Lists detections.
pub(super) async fn list(
    Extract(state): Extract<State>,
    _: Operator,
    headers: HeaderMap,
    Query(filter): Query<Filter>,
) -> Result<Response, Problem> {
    let csv = pages::wants_csv(filter.format, &headers);
    let limit = pages::limit(filter.limit, if csv { CSV_MAX } else { pages::PAGE_MAX })?;
    let wanted = DetectionFilter {
        stream: filter.stream,
        room: filter.room,
        class: filter.class,
        from: filter.from,
        to: filter.to,
        before: filter.cursor,
        limit: limit + 1,
    };
    let mut events = state.store().detections(&wanted).await?;
    let next_cursor = pages::cut(&mut events, limit, |one| one.id);
    if !csv {
        return Ok(Json(Page { events, next_cursor }).into_response());
    }
    let mut response = ([(header::CONTENT_TYPE, pages::CSV)], as_csv(&events)).into_response();
    if let Some(value) = next_cursor.and_then(|cursor| cursor.to_string().parse().ok()) {
        response.headers_mut().insert(HeaderName::from_static("x-next-cursor"), value);
    }
    Ok(response)
}

fn as_csv(events: &[Detection]) -> String {
    let mut out = String::new();
    let names = [
        "detectionId",
        "at",
        "streamId",
        "roomName",
        "kind",
        "class",
        "score",
        "x",
        "y",
        "width",
        "height",
        "frame",
        "findings",
        "rule",
    ];
    pages::csv_line(&mut out, &names);
    for one in events {
        let [x, y, width, height] = one.bbox.map(|value| format!("{value:.1}"));
        let kind = if one.kind == Kind::Text { "text" } else { "object" };
        let fields = [
            one.id.to_string(),
            one.at.to_string(),
            one.stream_id.to_string(),
            one.room.clone(),
            kind.to_owned(),
            one.class.clone(),
            format!("{:.4}", one.score),
            x,
            y,
            width,
            height,
            one.frame.to_string(),
            one.findings.to_string(),
            one.rule.clone().unwrap_or_default(),
        ];
        pages::csv_line(&mut out, &fields.each_ref().map(String::as_str));
    }
    out
}
