//! Single pictures and texts under the rules: `POST /process/frame` and
//! `POST /censorship/rules/check`. Nothing is kept and nothing changes.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body as AxumBody, Bytes};
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{FromRequest as _, Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::State;
use super::access::Operator;
use super::error::Problem;
use super::extract::{Query, raw_up_to};
use super::names::check_room;
use super::tokens::NO_STORE;
use crate::censor::Document;
use crate::inspect::{Ask, Format, Ruling};

/// Longest text, in bytes.
pub(super) const TEXT_MAX: usize = 64 << 10;

/// Most bytes of the fields beside the picture, with what separates them.
const FIELDS_MAX: usize = 192 << 10;

/// Fields of a form.
const FIELDS: &str = "picture, text, rules, roomName, replace";

/// A text to check, and the rules to check it by.
#[derive(schemars::JsonSchema, Debug, Default, Deserialize)]
#[schemars(rename = "CheckRequest")]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CheckText {
    /// The text; it may have several lines.
    #[schemars(length(max = 65_536))]
    text: String,
    /// Rules to try, laid over those of the room and the global ones.
    rules: Option<Document>,
    /// The raw room whose rules are meant; the global rules when left out.
    #[schemars(length(min = 3, max = 50), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    room_name: Option<String>,
    /// Whether `rules` stand in the place of what is kept for the room (without a room: of the
    /// global rules), as they would once they were saved.
    #[serde(default)]
    replace: bool,
}

/// What may stand in the address when the body is a picture.
#[derive(schemars::JsonSchema, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Where {
    /// The raw room whose rules are meant; the global rules when left out.
    #[schemars(length(min = 3, max = 50), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    room_name: Option<String>,
}

impl Where {
    pub(super) fn into_room(self) -> Option<String> {
        self.room_name
    }
}

/// What was sent, in whatever form.
#[derive(Debug, Default)]
struct Form {
    picture: Option<Bytes>,
    text: Option<String>,
    rules: Option<Document>,
    room: Option<String>,
    replace: Option<bool>,
}

/// What would be covered of a picture or a text, and why.
pub(super) async fn check(
    Extract(state): Extract<State>,
    _: Operator,
    Query(place): Query<Where>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let form = read(request, &state, place, true).await?;
    if form.picture.is_none() && form.text.is_none() {
        return Err(Problem::invalid(&["a picture or a text is needed".into()]));
    }
    answer(&state, &headers, form).await
}

/// What is found in a picture, or the censored picture.
pub(super) async fn process(
    Extract(state): Extract<State>,
    _: Operator,
    Query(place): Query<Where>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let form = read(request, &state, place, false).await?;
    if form.picture.is_none() {
        return Err(Problem::invalid(&["picture: is needed".into()]));
    }
    answer(&state, &headers, form).await
}

/// Most bytes of a body with a picture.
pub(super) fn body_max(state: &State) -> usize {
    state.config().pictures.max_bytes + FIELDS_MAX
}

async fn answer(state: &State, headers: &HeaderMap, form: Form) -> Result<Response, Problem> {
    let output = wanted(headers);
    if output.is_some() && form.picture.is_none() {
        return Err(Problem::invalid(&["picture: is needed when Accept asks for one".into()]));
    }
    let (rules, replace) = (form.rules.unwrap_or_default(), form.replace == Some(true));
    let ruling = ruling(state, form.room, rules, replace).await?;
    let (picture, text) = (form.picture, form.text);
    let looked = state.inspector().look(Ask { picture, text, ruling, output }).await?;
    let marks =
        [(header::CACHE_CONTROL, NO_STORE), (header::VARY, HeaderValue::from_static("accept"))];
    Ok(match looked.file {
        Some((format, file)) => {
            (marks, [(header::CONTENT_TYPE, format.media_type())], file).into_response()
        }
        None => (marks, Json(looked.report)).into_response(),
    })
}

/// What holds in a room with rules on top, or in the place of its own.
pub(super) async fn ruling(
    state: &State,
    room: Option<String>,
    rules: Document,
    replace: bool,
) -> Result<Arc<Ruling>, Problem> {
    if let Some(room) = &room {
        check_room(room).map_err(|error| Problem::invalid(&[error]))?;
    }
    let previewed = state.manager().preview(room, rules, replace).await?;
    let (document, policy) = previewed.map_err(|problems| {
        let named: Vec<String> = problems.iter().map(|p| format!("rules.{p}")).collect();
        Problem::invalid(&named)
    })?;
    Ok(Arc::new(Ruling::new(&document, policy)))
}

/// The kind of picture that `Accept` asks for; `None` for JSON.
fn wanted(headers: &HeaderMap) -> Option<Format> {
    let lists = headers.get_all(header::ACCEPT).iter().filter_map(|list| list.to_str().ok());
    let kinds = lists.flat_map(|list| list.split(','));
    let kinds = kinds.map(|one| one.split(';').next().unwrap_or_default().trim());
    let kinds: Vec<String> = kinds.map(str::to_ascii_lowercase).collect();
    let asks = |kind: &str| kinds.iter().any(|one| one == kind);
    if asks("application/json") || !kinds.iter().any(|one| one.starts_with("image/")) {
        return None;
    }
    let png = asks("image/png") && !asks("image/jpeg") && !asks("image/*");
    Some(if png { Format::Png } else { Format::Jpeg })
}

async fn read(request: Request, state: &State, place: Where, json: bool) -> Result<Form, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let most = body_max(state);
    let form = match essence.as_str() {
        "multipart/form-data" => fields(request, state, most).await?,
        "application/json" if json => {
            let bytes = raw_up_to(request, state, most).await?;
            let CheckText { text, rules, room_name, replace } = parse(&bytes, "the body")?;
            let (text, replace) = (Some(text), Some(replace));
            Form { picture: None, text, rules, room: room_name, replace }
        }
        kind if kind.starts_with("image/") || kind == "application/octet-stream" => {
            let picture = Some(raw_up_to(request, state, most).await?);
            Form { picture, ..Form::default() }
        }
        _ => {
            let json = if json { ", or application/json with a text" } else { "" };
            let detail = format!(
                "the body must be a picture (image/jpeg, image/png, image/webp) or \
                 multipart/form-data with the fields {FIELDS}{json}"
            );
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "unsupported-media-type", detail));
        }
    };
    if form.text.as_ref().is_some_and(|text| text.len() > TEXT_MAX) {
        return Err(Problem::invalid(&[format!("text: must not have more than {TEXT_MAX} bytes")]));
    }
    if form.room.is_some() && place.room_name.is_some() {
        let detail = "roomName: must not stand in the address and in the body";
        return Err(Problem::invalid(&[detail.into()]));
    }
    let room = form.room.or(place.room_name);
    Ok(Form { room, ..form })
}

/// The fields of a form; each may stand there once.
async fn fields(request: Request, state: &State, most: usize) -> Result<Form, Problem> {
    let malformed = |error: &dyn std::fmt::Display| {
        Problem::malformed(format!("the body is not multipart/form-data: {error}"))
    };
    let (parts, body) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), body);
    let bytes = raw_up_to(whole, state, most).await?;
    let whole = Request::from_parts(parts, AxumBody::from(bytes));
    let mut parts = Multipart::from_request(whole, state)
        .await
        .map_err(|error| malformed(&error.body_text()))?;
    let mut form = Form::default();
    while let Some(part) = parts.next_field().await.map_err(|error| malformed(&error))? {
        let name = part.name().unwrap_or_default().to_owned();
        let again = match name.as_str() {
            "picture" => form.picture.replace(content(part).await?).is_some(),
            "text" => form.text.replace(words(part).await?).is_some(),
            "roomName" => form.room.replace(words(part).await?).is_some(),
            "rules" => {
                let rules = parse(&content(part).await?, "rules")?;
                form.rules.replace(rules).is_some()
            }
            "replace" => {
                let replace = parse(&content(part).await?, "replace")?;
                form.replace.replace(replace).is_some()
            }
            other => {
                let shown: String = other.chars().take(40).collect();
                let detail = format!("unknown field {shown:?}; allowed: {FIELDS}");
                return Err(Problem::invalid(&[detail]));
            }
        };
        if again {
            return Err(Problem::invalid(&[format!("{name}: stands there twice")]));
        }
    }
    Ok(form)
}

async fn content(part: Field<'_>) -> Result<Bytes, Problem> {
    part.bytes().await.map_err(|error| Problem::malformed(error.body_text()))
}

async fn words(part: Field<'_>) -> Result<String, Problem> {
    let name = part.name().unwrap_or_default().to_owned();
    let bytes = content(part).await?;
    let text = std::str::from_utf8(&bytes).map(str::to_owned);
    text.map_err(|_| Problem::invalid(&[format!("{name}: must be text in UTF-8")]))
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::invalid(&[error.to_string()]),
        _ => Problem::malformed(format!("{what}: not JSON: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_answered_to_those_who_ask_for_nothing_else() {
        for (accept, format) in [
            ("image/*", Some(Format::Jpeg)),
            ("image/png", Some(Format::Png)),
            ("image/png, image/*;q=0.5", Some(Format::Jpeg)),
            ("image/webp", Some(Format::Jpeg)),
            ("IMAGE/JPEG;q=1", Some(Format::Jpeg)),
            ("application/json, image/png", None),
            ("*/*", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(wanted(&headers), format, "{accept}");
        }
    }
}
