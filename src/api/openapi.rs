//! The API's description: OpenAPI 3.1, made from the types that the handlers read and write.
//!
//! [`operations`] says what no type can: which route does what, who may call it, and what it can
//! answer. Schemas come from the types themselves (`schemars` reads serde's own attributes), and
//! what holds for many routes at once is added here: the statuses of a body that cannot be read,
//! of a caller who is not known, of a client that calls too often. A test asks the router for all
//! its routes and methods and fails when one is missing here, or is here and not there.

mod operation;
mod operations;

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use schemars::generate::{Contract, SchemaGenerator, SchemaSettings};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The description as it is served: the same for as long as the process lives.
static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// `GET /openapi.json`.
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// What every error looks like (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("additionalProperties" = true))]
struct Problem {
    /// Names the error for programs; it never changes. `urn:scrim:problem:` and a word.
    #[schemars(regex(pattern = r"^urn:scrim:problem:[a-z-]+$"))]
    r#type: String,
    /// The status in words.
    title: String,
    /// The HTTP status.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// What was wrong and what to do about it, for a person.
    detail: String,
    /// Stands in the server's log beside whatever this request did.
    request_id: String,
}

/// The whole description.
fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for operation in operations::all() {
        let item = paths.entry(operation.path).or_insert_with(|| json!({}));
        item[operation.method] = operation.render(&mut schemas);
    }
    schemas.output.subschema_for::<Problem>();
    let tags: Vec<Value> = operations::TAGS
        .iter()
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Scrim",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Live video, made safe before anyone sees it.",
            "description": operations::ABOUT,
            "license": { "name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.definitions(),
            "responses": operation::shared_answers(),
            "headers": operation::shared_headers(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT or API key",
                    "description": "A JWT (HS256; claims sub, role and exp) or an API key \
                        (`scrim_…`). In development mode none is needed.",
                },
                "livekit": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "A JWT that LiveKit signed with its API secret and whose \
                        sha256 claim is the body's hash.",
                },
            },
        },
    })
}

/// What goes in and what comes out: a field with a default may be left out of the one, and always
/// stands in the other.
struct Schemas {
    input: SchemaGenerator,
    output: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let generator = |contract| {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
                settings.contract = contract;
            });
            settings.into_generator()
        };
        Self { input: generator(Contract::Deserialize), output: generator(Contract::Serialize) }
    }

    /// All named schemas. A type that goes both ways has one: what goes in is the stricter of the
    /// two only in what may be left out.
    fn definitions(mut self) -> Map<String, Value> {
        let mut all = self.output.take_definitions(true);
        all.extend(self.input.take_definitions(true));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::operation::{Operation, Who};
    use super::*;

    /// Every `$ref` below `value`.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    found.push(target.clone());
                }
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "{}", found.len());
        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
        }
    }

    #[test]
    fn a_type_that_goes_both_ways_has_one_schema() {
        let mut schemas = Schemas::new();
        for operation in operations::all() {
            operation.render(&mut schemas);
        }
        let (input, output) =
            (schemas.input.take_definitions(true), schemas.output.take_definitions(true));
        for (name, schema) in &input {
            assert!(output.get(name).is_none_or(|other| other == schema), "{name} differs");
        }
    }

    #[test]
    fn examples_of_bodies_are_what_the_handlers_read() {
        let mut seen = 0;
        for operation in operations::all() {
            if let Some(error) = operation.misfit() {
                panic!("{} {}: {error}", operation.method, operation.path);
            }
            seen += usize::from(operation.has_body());
        }
        assert!(seen >= 5, "{seen} bodies");
    }

    #[test]
    fn links_lead_to_operations() {
        let all = operations::all();
        let names: Vec<String> = all.iter().map(Operation::name).collect();
        let next: Vec<&str> = all.iter().flat_map(Operation::next).collect();
        assert!(next.len() >= 5, "{next:?}");
        for one in next {
            assert!(names.iter().any(|name| name == one), "{one} is no operation: {names:?}");
        }
    }

    #[test]
    fn names_of_operations_are_unique() {
        let mut names: Vec<String> = operations::all().iter().map(Operation::name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }

    #[test]
    fn what_needs_a_token_says_so_and_what_does_not_does_not() {
        let document = document();
        let at = |pointer: &str| document.pointer(pointer).cloned().unwrap_or(Value::Null);
        assert_eq!(at("/paths/~1stream~1start/post/security"), json!([{ "bearer": [] }]));
        assert!(at("/paths/~1stream~1start/post/responses/403").is_object());
        assert_eq!(at("/paths/~1health~1live/get/security"), json!([]));
        assert!(at("/paths/~1health~1live/get/responses/401").is_null());
        assert!(at("/paths/~1health~1live/get/responses/429").is_null());
        assert_eq!(operations::all().iter().filter(|one| one.who == Who::Livekit).count(), 1);
    }
}
