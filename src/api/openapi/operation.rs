//! One route and method as callers see it, and what it shares with the others.

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Schemas;

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Anyone, and as often as they like.
    Exempt,
    /// Anyone.
    Anyone,
    /// Anyone or operators and services, as the configuration says.
    Configured,
    /// Whoever has a token or a key, whatever its role.
    Known,
    /// Operators and services.
    Operator,
    /// Operators alone.
    Admin,
    /// LiveKit, by its signature.
    Livekit,
}

type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

#[derive(Clone, Debug)]
struct Body {
    schema: MakeSchema,
    example: Value,
    /// Whether a value is what the handler reads; the error says why not.
    #[cfg(test)]
    fits: fn(&Value) -> Result<(), String>,
}

#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    /// The same in other media types: their names, and examples.
    other: Vec<(&'static str, &'static str)>,
    description: &'static str,
    /// Media type, schema and example; `None` for an empty body.
    content: Option<(&'static str, Option<MakeSchema>, Value)>,
    headers: &'static [&'static str],
    /// What can be done next with what it says: a name, and a link as OpenAPI has it.
    links: Vec<(&'static str, Value)>,
}

/// One route and method.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) who: Who,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    parameters: Vec<Value>,
    query: Option<MakeSchema>,
    body: Option<Body>,
    /// Other media types of the body, and their schemas.
    uploads: Vec<(&'static str, Value)>,
    answers: Vec<Answer>,
    problems: Vec<(u16, &'static str)>,
}

/// `method` is in lower case, as the description has it.
pub(super) fn operation(
    method: &'static str,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        method,
        path,
        who: Who::Operator,
        tag,
        summary,
        description: "",
        parameters: path_parameters(path),
        query: None,
        body: None,
        uploads: Vec::new(),
        answers: Vec::new(),
        problems: Vec::new(),
    }
}

impl Operation {
    /// More than the summary says.
    pub(super) fn about(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// Who may call, when not operators and services.
    pub(super) fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    /// A header that may be sent.
    pub(super) fn header(mut self, name: &str, description: &str, schema: &Value) -> Self {
        self.parameters.push(json!({
            "in": "header", "name": name, "description": description, "schema": schema,
        }));
        self
    }

    /// The query, one parameter for each field of `T`.
    pub(super) fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(T::json_schema), ..self }
    }

    /// The JSON body, and an example of it.
    pub(super) fn takes<T: JsonSchema + DeserializeOwned>(self, example: Value) -> Self {
        #[cfg(test)]
        let fits = |value: &Value| {
            serde_json::from_value::<T>(value.clone()).map(drop).map_err(|error| error.to_string())
        };
        let schema = SchemaGenerator::subschema_for::<T>;
        let body = Body {
            schema,
            example,
            #[cfg(test)]
            fits,
        };
        Self { body: Some(body), ..self }
    }

    /// Another media type that the body may have.
    pub(super) fn takes_also(mut self, kind: &'static str, schema: Value) -> Self {
        self.uploads.push((kind, schema));
        self
    }

    /// A JSON answer, and an example of it.
    pub(super) fn gives<T: JsonSchema>(
        self,
        status: u16,
        description: &'static str,
        example: Value,
    ) -> Self {
        let schema: MakeSchema = SchemaGenerator::subschema_for::<T>;
        let content = Some(("application/json", Some(schema), example));
        self.answer(Answer {
            status,
            other: Vec::new(),
            description,
            content,
            headers: &[],
            links: Vec::new(),
        })
    }

    /// An answer that is not JSON; `kind` is its media type.
    pub(super) fn gives_text(
        self,
        kind: &'static str,
        description: &'static str,
        example: &str,
    ) -> Self {
        let content = Some((kind, None, example.into()));
        self.answer(Answer {
            status: 200,
            other: Vec::new(),
            description,
            content,
            headers: &[],
            links: Vec::new(),
        })
    }

    /// An answer without a body.
    pub(super) fn gives_nothing(self, status: u16, description: &'static str) -> Self {
        self.answer(Answer {
            status,
            other: Vec::new(),
            description,
            content: None,
            headers: &[],
            links: Vec::new(),
        })
    }

    /// Headers of the last answer, by their names among the shared ones.
    pub(super) fn with(mut self, headers: &'static [&'static str]) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers = headers;
        }
        self
    }

    /// What can be done next with the last answer: a name, the operation, and what it takes from the
    /// answer (`parameters` or `requestBody`, as OpenAPI has it).
    pub(super) fn leads_to(mut self, name: &'static str, operation: &str, takes: Value) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            let mut link = takes;
            link["operationId"] = operation.into();
            answer.links.push((name, link));
        }
        self
    }

    /// The operations that its answers lead to.
    #[cfg(test)]
    pub(super) fn next(&self) -> impl Iterator<Item = &str> {
        let links = self.answers.iter().flat_map(|answer| &answer.links);
        links.filter_map(|(_, link)| link["operationId"].as_str())
    }

    /// Another media type of the last answer.
    pub(super) fn also(mut self, kind: &'static str, example: &'static str) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.other.push((kind, example));
        }
        self
    }

    /// A problem of this route alone.
    pub(super) fn may(mut self, status: u16, description: &'static str) -> Self {
        self.problems.push((status, description));
        self
    }

    fn answer(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// Names the operation in clients that are generated: `get-streams-id`.
    pub(super) fn name(&self) -> String {
        let words = self.path.split('/').map(|word| word.trim_matches(['{', '}']));
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let path = if words.is_empty() { "index".to_owned() } else { words.join("-") };
        format!("{}-{}", self.method, path.replace(['.', '*'], "-"))
    }

    #[cfg(test)]
    pub(super) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// Why the example of the body is not what the handler reads; `None` when it is.
    #[cfg(test)]
    pub(super) fn misfit(&self) -> Option<String> {
        self.body.as_ref().and_then(|body| (body.fits)(&body.example).err())
    }

    /// The operation in OpenAPI's words.
    pub(super) fn render(&self, schemas: &mut Schemas) -> Value {
        let mut whole = json!({
            "operationId": self.name(),
            "tags": [self.tag],
            "summary": self.summary,
            "security": self.security(),
            "responses": self.responses(schemas),
        });
        if !self.description.is_empty() {
            whole["description"] = self.description.into();
        }
        let mut parameters = self.parameters.clone();
        if let Some(make) = self.query {
            parameters.extend(query_parameters(&make(&mut schemas.input)));
        }
        if !parameters.is_empty() {
            whole["parameters"] = parameters.into();
        }
        let mut content = Map::new();
        for (kind, schema) in &self.uploads {
            content.insert((*kind).to_owned(), json!({ "schema": schema }));
        }
        if let Some(body) = &self.body {
            let schema = (body.schema)(&mut schemas.input);
            let json = json!({ "schema": schema, "example": body.example });
            content.insert("application/json".into(), json);
        }
        if !content.is_empty() {
            whole["requestBody"] = json!({ "required": true, "content": content });
        }
        whole
    }

    fn security(&self) -> Value {
        match self.who {
            Who::Exempt | Who::Anyone => json!([]),
            Who::Configured => json!([{}, { "bearer": [] }]),
            Who::Known | Who::Operator | Who::Admin => json!([{ "bearer": [] }]),
            Who::Livekit => json!([{ "livekit": [] }]),
        }
    }

    fn responses(&self, schemas: &mut Schemas) -> Map<String, Value> {
        let mut all = Map::new();
        for (status, name) in self.shared() {
            let target = format!("#/components/responses/{name}");
            all.insert(status.to_string(), json!({ "$ref": target }));
        }
        for (status, description) in &self.problems {
            all.insert(status.to_string(), problem(description, &["X-Request-ID"]));
        }
        for answer in &self.answers {
            let mut headers = vec!["X-Request-ID"];
            headers.extend(answer.headers);
            if self.is_limited() {
                headers.extend(LIMIT_HEADERS);
            }
            let mut one =
                json!({ "description": answer.description, "headers": header_refs(&headers) });
            if let Some((kind, make, example)) = &answer.content {
                let schema = match make {
                    Some(make) => make(&mut schemas.output).to_value(),
                    None => json!({ "type": "string" }),
                };
                one["content"] = json!({ *kind: { "schema": schema, "example": example } });
            }
            for (kind, example) in &answer.other {
                one["content"][*kind] =
                    json!({ "schema": { "type": "string" }, "example": example });
            }
            if !answer.links.is_empty() {
                let links =
                    answer.links.iter().map(|(name, link)| ((*name).to_owned(), link.clone()));
                one["links"] = links.collect::<Map<_, _>>().into();
            }
            all.insert(answer.status.to_string(), one);
        }
        all
    }

    /// Problems that follow from what the operation is.
    fn shared(&self) -> Vec<(u16, &'static str)> {
        let mut all = vec![(500, "Internal"), (504, "Timeout")];
        if matches!(self.who, Who::Configured | Who::Known | Who::Operator | Who::Admin) {
            all.extend([(401, "Unauthenticated"), (403, "Forbidden"), (503, "Unavailable")]);
        }
        if self.who == Who::Livekit {
            all.extend([(401, "Unauthenticated"), (400, "Malformed"), (413, "TooLarge")]);
            all.push((408, "TooSlow"));
        }
        if self.body.is_some() || !self.uploads.is_empty() {
            all.extend([(400, "Malformed"), (408, "TooSlow"), (413, "TooLarge")]);
            all.extend([(415, "NotJson"), (422, "Invalid")]);
        }
        if self.query.is_some() {
            all.push((422, "Invalid"));
        }
        if self.is_limited() {
            all.push((429, "TooManyRequests"));
        }
        all
    }

    fn is_limited(&self) -> bool {
        !matches!(self.who, Who::Exempt | Who::Livekit) && self.path != "/metrics"
    }
}

const LIMIT_HEADERS: [&str; 5] =
    ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy", "RateLimit"];

/// What a route's `{parts}` are.
fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let (description, schema) = match name {
            "room" | "roomName" => ("The raw room.", room_schema()),
            "class" => ("The detector's class.", json!({ "type": "string" })),
            "sessionId" => (
                "A name of your choice.",
                json!({ "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$" }),
            ),
            "key" => ("The key's id, as it is listed.", json!({ "type": "string" })),
            _ => ("The id.", json!({ "type": "string", "format": "uuid" })),
        };
        json!({
            "in": "path", "name": name, "required": true,
            "description": description, "schema": schema,
        })
    };
    names.map(parameter).collect()
}

fn room_schema() -> Value {
    json!({ "type": "string", "minLength": 3, "maxLength": 50, "pattern": "^[A-Za-z0-9_-]+$" })
}

/// A struct's fields as parameters of the query.
fn query_parameters(schema: &Schema) -> Vec<Value> {
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let fields = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let parameter = |(name, mut field): (String, Value)| {
        let description = field.as_object_mut().and_then(|field| field.remove("description"));
        json!({
            "in": "query",
            "required": required.contains(&Value::from(name.as_str())),
            "name": name,
            "description": description,
            "schema": present(field),
        })
    };
    fields.into_iter().map(parameter).collect()
}

/// A parameter that is left out is left out: it cannot be `null`.
fn present(mut schema: Value) -> Value {
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Some(Value::Array(options)) = schema.get_mut("anyOf") {
        options.retain(|option| option["type"] != "null");
        if let [only] = options.as_slice() {
            return only.clone();
        }
    }
    schema
}

fn header_refs(names: &[&str]) -> Map<String, Value> {
    let reference = |name: &&str| {
        ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
    };
    names.iter().map(reference).collect()
}

fn problem(description: &str, headers: &[&str]) -> Value {
    json!({
        "description": description,
        "headers": header_refs(headers),
        "content": {
            "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } },
        },
    })
}

/// Answers that many operations share, under `components/responses`.
pub(super) fn shared_answers() -> Value {
    let id = &["X-Request-ID"][..];
    let limits: Vec<&str> =
        ["X-Request-ID", "Retry-After"].into_iter().chain(LIMIT_HEADERS).collect();
    json!({
        "Malformed": problem("The request cannot be read; `malformed-request` or `bad-request`.", id),
        "Unauthenticated": problem(
            "No token or key, or one that does not hold; `unauthenticated`.",
            &["X-Request-ID", "WWW-Authenticate"],
        ),
        "Forbidden": problem("The token's role does not allow this; `forbidden`.", id),
        "TooSlow": problem("The body did not come in time; `request-timeout`.", id),
        "TooLarge": problem("The body is too large; `too-large`.", id),
        "NotJson": problem("The body is not announced as JSON; `unsupported-media-type`.", id),
        "Invalid": problem(
            "It can be read and makes no sense; `invalid-request`, with every reason in `errors`.",
            id,
        ),
        "TooManyRequests": problem("Too many requests; `too-many-requests`.", &limits),
        "Internal": problem("A fault of this server; `internal`. The log has it under the id.", id),
        "Unavailable": problem(
            "Not now: starting, stopping, or short of something; `unavailable`.",
            &["X-Request-ID", "Retry-After"],
        ),
        "Timeout": problem("Not done in time; `timeout`.", id),
    })
}

/// Headers of answers, under `components/headers`.
pub(super) fn shared_headers() -> Value {
    let text =
        |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    let count = |description: &str| json!({ "description": description, "schema": { "type": "integer", "minimum": 0 } });
    json!({
        "X-Request-ID": text("The request's id: the caller's own when it is short and plain."),
        "WWW-Authenticate": text("How to authenticate."),
        "Retry-After": count("Seconds after which it may work."),
        "ETag": text("The version of the rules, for If-Match."),
        "Location": text("Where what was made is found."),
        "Idempotency-Replayed": text("`true` when this answer was given before, to the same key."),
        "RateLimit-Limit": count("Requests that the window allows."),
        "RateLimit-Remaining": count("Requests that are left in it."),
        "RateLimit-Reset": count("Seconds until it ends."),
        "RateLimit-Policy": text("The same limit as the IETF draft writes it: `\"api\";q=100;w=900`."),
        "RateLimit": text("What is left, likewise: `\"api\";r=99;t=900`."),
    })
}
