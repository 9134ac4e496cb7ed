//! `/keys`: make, list and revoke API keys.

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{New, Record, ShelfError};
use crate::api::State;
use crate::api::access::{Admin, Role};
use crate::api::error::Problem;
use crate::api::extract::Body;
use crate::api::tokens::NO_STORE;

/// What a key is asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "KeyRequest")]
pub(in crate::api) struct Ask {
    /// What it is for: one line, without spaces around it.
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// What it allows; `service` when left out.
    #[serde(default = "service")]
    role: Role,
    /// From when on it opens nothing; never when left out.
    expires_at: Option<Timestamp>,
}

fn service() -> Role {
    Role::Service
}

/// A key without its secret.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Key")]
pub(in crate::api) struct Listed {
    /// Names it in lists and logs.
    id: String,
    /// What it is for.
    name: String,
    /// What it allows.
    role: Role,
    /// When it was made.
    created_at: Timestamp,
    /// Who made it.
    created_by: String,
    /// From when on it opens nothing.
    expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    last_used_at: Option<Timestamp>,
    /// When it was revoked.
    revoked_at: Option<Timestamp>,
}

impl From<Record> for Listed {
    fn from(record: Record) -> Self {
        Self {
            id: record.id,
            name: record.name,
            role: record.role,
            created_at: record.created_at,
            created_by: record.created_by,
            expires_at: record.expires_at,
            last_used_at: record.last_used_at,
            revoked_at: record.revoked_at,
        }
    }
}

/// A new key, with its secret for this once.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "NewKey")]
pub(in crate::api) struct Made {
    /// Send it as `Authorization: Bearer KEY`. It is not stored and cannot be shown again.
    key: String,
    /// What is listed of it.
    #[serde(flatten)]
    listed: Listed,
}

/// All keys.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Keys")]
pub(in crate::api) struct List {
    /// Newest first.
    keys: Vec<Listed>,
}

pub(in crate::api) async fn create(
    Extract(state): Extract<State>,
    Admin(caller): Admin,
    Body(ask): Body<Ask>,
) -> Result<Response, Problem> {
    let new =
        New { name: ask.name, role: ask.role, by: caller.sub.clone(), expires_at: ask.expires_at };
    let now = Timestamp::now();
    new.check(now).map_err(|errors| Problem::invalid(&errors))?;
    let (key, record) = state.keys().create(new, now).await?;
    tracing::warn!(
        target: "scrim::audit", key = record.id, name = record.name, role = ?record.role,
        by = caller.sub, "api key made"
    );
    let made = Made { key: key.expose(), listed: record.into() };
    let cache = [(header::CACHE_CONTROL, NO_STORE)];
    Ok((StatusCode::CREATED, cache, Json(made)).into_response())
}

pub(in crate::api) async fn list(
    Extract(state): Extract<State>,
    _: Admin,
) -> Result<Json<List>, Problem> {
    let records = state.keys().list().await?;
    Ok(Json(List { keys: records.into_iter().map(Listed::from).collect() }))
}

pub(in crate::api) async fn revoke(
    Extract(state): Extract<State>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<Json<Listed>, Problem> {
    let record =
        state.keys().revoke(&id, &caller.sub, Timestamp::now()).await?.ok_or_else(|| {
            Problem::new(StatusCode::NOT_FOUND, "unknown-key", "there is no such key")
        })?;
    tracing::warn!(target: "scrim::audit", key = record.id, by = caller.sub, "api key revoked");
    Ok(Json(record.into()))
}

impl From<ShelfError> for Problem {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::Full => Self::new(StatusCode::CONFLICT, "too-many-keys", error.to_string()),
            error => {
                tracing::warn!(%error, "api keys cannot be changed");
                Self::unavailable("the database does not answer; see /health")
            }
        }
    }
}
