//! The router against a scripted manager: no network, no LiveKit.

mod access;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use jsonwebtoken::{EncodingKey, Header};
use livekit_api::access_token::{AccessToken, Claims, TokenVerifier};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use uuid::Uuid;

mod history;
mod pictures;

use super::*;
use crate::censor::Document;
use crate::config::{Audience, Config, DEV_API_KEY, DEV_API_SECRET, Environment};
use crate::detect;
use crate::session::{
    self, Command, Event, Origin, Refusal, StartError, Statistics, Summary, Target,
};
use crate::store::Backend;
use crate::store::tests::{scratch, server::Folder};

const JWT_SECRET: &str = "a-secret-of-the-operators-own-0123456789";

/// The API with a manager that remembers what it was told.
struct Bench {
    router: Router,
    told: mpsc::UnboundedReceiver<String>,
    events: broadcast::Sender<Event>,
    keys: Keys,
    well: Arc<AtomicBool>,
    stop: CancellationToken,
    store: Store,
    _tasks: crate::runtime::Supervisor,
    _folder: Folder,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
    text: String,
}

struct Health(Arc<AtomicBool>);

impl HealthSource for Health {
    fn report(&self) -> BoxFuture<'_, Dependencies> {
        let up = self.0.load(Ordering::Relaxed);
        let state = if up { Condition::Up } else { Condition::Down };
        let error = (!up).then(|| "refused".to_owned());
        Box::pin(async move {
            Dependencies {
                livekit: LivekitHealth { state, latency_ms: Some(1.0), error },
                database: DatabaseHealth {
                    state: Condition::Up,
                    backend: Backend::Sqlite,
                    latency_ms: Some(1.0),
                    waiting: 0,
                    lost: 0,
                    error: None,
                },
                detectors: Vec::new(),
                gpus: Vec::new(),
                streams: 0,
                load: LoadHealth::default(),
                warmed_up: true,
            }
        })
    }
}

fn summary(room: &str, state: session::State) -> Summary {
    Summary {
        stream_id: Uuid::now_v7(),
        room_name: room.into(),
        processed_room: processed(room),
        origin: Origin::Operator,
        state,
        started_at: Timestamp::now(),
        ended_at: None,
        covered: false,
        statistics: Statistics::default(),
        problems: Vec::new(),
    }
}

/// What the manager behind the tests does: rooms `busy`, `down` and `closed` fail.
fn obey(command: Command, streams: &mut Vec<Summary>) -> String {
    match command {
        Command::Start(start, reply) => {
            let told = format!("start {} {:?}", start.room, start.rules.mode);
            let answer = match start.room.as_str() {
                "busy" => Err(StartError::AlreadyLive { room: start.room, stream: Uuid::nil() }),
                "down" => Err(StartError::Livekit("dial 10.0.0.7: refused".into())),
                "closed" => Err(StartError::Closed),
                "full" => Err(StartError::Overloaded(Refusal::Streams { max: 12 })),
                "ruled" => Err(StartError::Rules(vec!["padding: must be from 0 to 1".into()])),
                room => {
                    streams.push(summary(room, session::State::Waiting));
                    Ok(streams[streams.len() - 1].clone())
                }
            };
            let _ = reply.send(answer);
            told
        }
        Command::End(target, reply) => {
            let told = format!("end {target:?}");
            let wanted = |one: &&Summary| match &target {
                Target::Room(room) => one.room_name == *room,
                Target::Stream(id) => one.stream_id == *id,
            };
            let _ = reply.send(streams.iter().find(wanted).cloned());
            told
        }
        Command::List(reply) => {
            let _ = reply.send(streams.clone());
            "list".into()
        }
        Command::Cover { stream, on, mute, reason, reply } => {
            let mut found = streams.iter().find(|one| one.stream_id == stream).cloned();
            if let Some(found) = &mut found {
                found.covered = on;
            }
            let _ = reply.send(found);
            format!("cover {on} {mute} {reason:?}")
        }
        Command::CheckRules(rules, reply) => {
            let _ = reply.send(rules.check(&["FACE_FEMALE"]));
            "check".into()
        }
        Command::Configured(room, reply) => {
            let text = r#"{"classes": {"FACE_FEMALE": {"threshold": 0.3}}}"#;
            let _ = reply.send(serde_json::from_str::<Document>(text).unwrap().resolve());
            format!("configured {room}")
        }
        Command::Preview { room, rules, replace, reply } => {
            let problems = rules.check(&["FACE_FEMALE"]);
            let answer = (rules.over(&Document::default()), rules.resolve());
            let _ = reply.send(if problems.is_empty() { Ok(answer) } else { Err(problems) });
            let place = if replace { "instead of" } else { "over" };
            format!("preview {place} {room:?}")
        }
        Command::SetRules { scope, saved, reply } => {
            let _ = reply.send(());
            let mode = saved.document.and_then(|document| document.mode);
            format!("rules of {} {} {mode:?}", scope.name(), saved.version)
        }
        Command::SetThreshold { room, class, threshold, reply, .. } => {
            let _ = reply.send(());
            format!("threshold {room} {class:?} {threshold:?}")
        }
        Command::Hear(news, reply) => {
            let _ = reply.send(true);
            format!("hear {news:?}")
        }
        Command::Viewers { room, identity, joined } => format!("viewer {room} {identity} {joined}"),
        Command::Close(reply) => {
            let _ = reply.send(());
            "close".into()
        }
    }
}

fn dev() -> Config {
    Config::load(None, &Environment::new(), true).unwrap()
}

/// As in production: tokens and limits.
fn strict() -> Config {
    let mut config = dev();
    config.dev = false;
    config.access.jwt_secret = JWT_SECRET.into();
    config.http.cors_origins = vec!["https://studio.example".into()];
    config
}

/// Sees a face on the left of every picture.
struct Sees;

impl detect::Model for Sees {
    fn name(&self) -> &str {
        "sees"
    }

    fn bucket(&self, _: &Arc<crate::media::Picture>) -> u32 {
        1
    }

    fn open(&self) -> Result<detect::Opened, detect::Error> {
        let (detector, provider) = (Box::new(Self), "script".to_owned());
        let classes = vec!["FACE_FEMALE".into()];
        Ok(detect::Opened { detector, provider, fallback: None, batches: false, classes })
    }
}

impl detect::Detector for Sees {
    fn detect(
        &mut self,
        inputs: &[Arc<crate::media::Picture>],
    ) -> Result<Vec<Vec<detect::Finding>>, detect::Error> {
        let rect = crate::media::Rect::new(0.0, 0.0, 20.0, 20.0);
        let face = detect::Finding { class: "FACE_FEMALE".into(), score: 0.8, rect };
        Ok(inputs.iter().map(|_| vec![face.clone()]).collect())
    }
}

fn inspector(limits: crate::inspect::Limits) -> Inspector {
    let config = detect::Config { workers: 1, ..detect::Config::default() };
    let service = detect::Service::start_with(&config, vec![Arc::new(Sees)], |_| {}).unwrap();
    Inspector::new(service, limits)
}

fn bench(config: Config) -> Bench {
    bench_with(config, router)
}

fn bench_with(config: Config, make: impl FnOnce(Parts) -> Router) -> Bench {
    let stop = CancellationToken::new();
    let mut tasks = crate::runtime::Supervisor::new(stop.clone());
    let (commands, mut inbox) = mpsc::channel(8);
    let (tell, told) = mpsc::unbounded_channel();
    let events = broadcast::Sender::new(16);
    tasks.spawn("manager", |_| async move {
        let mut streams = Vec::new();
        while let Some(command) = inbox.recv().await {
            let _ = tell.send(obey(command, &mut streams));
        }
        crate::runtime::Exit::Finished
    });
    let (feed, actor) = Feed::new(events.subscribe());
    tasks.spawn("feed", |stop| actor.run(stop));
    let folder = Folder::new();
    let store = scratch(&folder);
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let well = Arc::new(AtomicBool::new(true));
    let keys = Keys::new(Arc::new(keys::memory::Memory::default()));
    let manager = Manager::new(commands, events.clone());
    // Told by nobody to run: these tests look at what the manager is told.
    let (journal, _) = Journal::new(store.clone(), manager.clone(), metrics.clone(), false);
    let inspector = inspector(config.pictures.limits());
    let parts = Parts {
        config: Arc::new(config),
        manager,
        metrics,
        registry: Arc::new(registry),
        inspector,
        health: Arc::new(Health(well.clone())),
        feed,
        keys: keys.clone(),
        store: store.clone(),
        journal,
        webhooks: Vec::new(),
        stop: stop.clone(),
    };
    let router = make(parts);
    Bench { router, told, events, keys, well, stop, store, _tasks: tasks, _folder: folder }
}

fn request(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path)
}

fn bearer(role: &str, expires_in: i64) -> String {
    let exp = Timestamp::now().as_second() + expires_in;
    let claims = json!({ "sub": "olga", "role": role, "exp": exp });
    let key = EncodingKey::from_secret(JWT_SECRET.as_bytes());
    format!("Bearer {}", jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap())
}

impl Bench {
    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status: parts.status, headers: parts.headers, body, text }
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    async fn put(&self, path: &str, body: &Value) -> Reply {
        let request = Request::put(path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_as(path, body, "").await
    }

    async fn post_as(&self, path: &str, body: &Value, authorization: &str) -> Reply {
        let mut builder = request(Method::POST, path).header("content-type", "application/json");
        if !authorization.is_empty() {
            builder = builder.header("authorization", authorization);
        }
        self.send(builder.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn webhook(&self, body: &Value, signed: &Value) -> Reply {
        let hash = Sha256::digest(signed.to_string().as_bytes());
        let token = AccessToken::with_api_key(DEV_API_KEY, DEV_API_SECRET)
            .with_sha256(&base64(&hash))
            .to_jwt()
            .unwrap();
        self.post_as("/livekit/webhook", body, &token).await
    }

    fn said(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }
}

/// Standard base64, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            (0..3).fold(0_u32, |word, i| word << 8 | chunk.get(i).map_or(0, |b| u32::from(*b)));
        for i in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

/// A problem has its status, a stable type, a text, and the id of its request.
fn assert_problem(reply: &Reply, status: u16, kind: &str) {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.text);
    assert_eq!(reply.headers["content-type"], "application/problem+json", "{}", reply.text);
    assert_eq!(reply.body["type"], format!("urn:scrim:problem:{kind}"), "{}", reply.text);
    assert_eq!(reply.body["status"], status);
    assert!(!reply.body["detail"].as_str().unwrap().is_empty());
    assert_eq!(reply.body["requestId"], reply.headers["x-request-id"].to_str().unwrap());
}

fn claims(token: &Value) -> Claims {
    let verifier = TokenVerifier::with_api_key(DEV_API_KEY, DEV_API_SECRET);
    verifier.verify(token.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_stream_is_started_looked_at_covered_and_ended() {
    let mut bench = bench(dev());
    let ask = json!({ "roomName": "stage-1", "participantName": "Ann B", "mode": "verified" });
    let started = bench.post("/stream/start", &ask).await;
    assert_eq!(started.status, StatusCode::CREATED, "{}", started.text);
    assert_eq!(started.body["roomName"], "stage-1");
    assert_eq!(started.body["processedRoom"], "stage-1-processed");
    assert_eq!(started.body["wsUrl"], "ws://127.0.0.1:7880");
    assert_eq!(started.body["state"], "waiting");
    let id = started.body["streamId"].as_str().unwrap();
    assert_eq!(started.headers["location"], format!("/streams/{id}"));
    let token = claims(&started.body["token"]);
    assert_eq!((token.video.room.as_str(), token.sub.as_str()), ("stage-1", "Ann B"));
    assert_eq!(token.attributes["role"], "broadcaster");
    assert!(token.video.can_publish() && !token.video.can_subscribe());

    let got = bench.get(&format!("/streams/{id}")).await;
    assert_eq!((got.status, &got.body["streamId"]), (StatusCode::OK, &started.body["streamId"]));
    let ask = json!({ "on": true, "mute": true, "reason": "fight on stage" });
    let covered = bench.post(&format!("/streams/{id}/cover"), &ask).await;
    assert_eq!((covered.status, &covered.body["covered"]), (StatusCode::OK, &json!(true)));
    let ended = bench.post("/stream/end", &json!({ "roomName": "stage-1" })).await;
    assert_eq!(ended.status, StatusCode::OK);
    assert_eq!(ended.body["statistics"]["frames"]["coveredUnverified"], 0);
    let ended = bench.post("/stream/end", &json!({ "streamId": id })).await;
    assert_eq!(ended.status, StatusCode::OK);
    let said = bench.said();
    assert_eq!(said[0], "start stage-1 Some(Verified)");
    assert_eq!(said[2], "cover true true Some(\"fight on stage\")");
}

#[tokio::test]
async fn streams_are_filtered_and_paged_newest_first() {
    let bench = bench(dev());
    for room in ["one", "two", "three"] {
        bench.post("/stream/start", &json!({ "roomName": room })).await;
    }
    let first = bench.get("/streams?limit=2&state=waiting").await;
    let rooms = |page: &Reply| -> Vec<String> {
        let streams = page.body["streams"].as_array().unwrap();
        streams.iter().map(|one| one["roomName"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(rooms(&first), ["three", "two"]);
    let cursor = first.body["nextCursor"].as_str().unwrap();
    let second = bench.get(&format!("/streams?limit=2&cursor={cursor}")).await;
    assert_eq!(rooms(&second), ["one"]);
    assert_eq!(second.body["nextCursor"], Value::Null);
    assert_eq!(rooms(&bench.get("/streams?room=two").await), ["two"]);
    assert!(rooms(&bench.get("/streams?state=ended").await).is_empty());
    assert!(rooms(&bench.get("/streams?to=2020-01-01T00:00:00Z").await).is_empty());
    for bad in ["state=odd", "limit=0", "limit=201", "from=yesterday", "nope=1", "cursor=x"] {
        let reply = bench.get(&format!("/streams?{bad}")).await;
        assert_problem(&reply, 422, "invalid-request");
    }
}

#[tokio::test]
async fn every_reason_not_to_start_has_its_problem() {
    let bench = bench(dev());
    let start = async |room: &str| bench.post("/stream/start", &json!({ "roomName": room })).await;
    let busy = start("busy").await;
    assert_problem(&busy, 409, "already-live");
    assert_eq!(busy.body["streamId"], json!(Uuid::nil()));
    let down = start("down").await;
    assert_problem(&down, 502, "livekit-unavailable");
    assert!(!down.text.contains("10.0.0.7"), "{}", down.text);
    assert_problem(&start("closed").await, 503, "unavailable");
    let ruled = start("ruled").await;
    assert_problem(&ruled, 422, "invalid-request");
    assert_eq!(ruled.body["errors"], json!(["rules.padding: must be from 0 to 1"]));
}

#[tokio::test]
async fn names_out_of_bounds_and_unknown_fields_are_refused() {
    let mut bench = bench(dev());
    for body in [
        json!({ "roomName": "ab" }),
        json!({ "roomName": "x".repeat(51) }),
        json!({ "roomName": "a b c" }),
        json!({ "roomName": "stage-processed" }),
        json!({ "roomName": "stage", "participantName": "A" }),
        json!({ "roomName": "stage", "participantName": "<b>" }),
        json!({ "roomName": "stage", "extra": 1 }),
        json!({ "roomName": "stage", "rules": { "paddding": 1 } }),
        json!({ "roomName": 5 }),
        json!({}),
    ] {
        assert_problem(&bench.post("/stream/start", &body).await, 422, "invalid-request");
    }
    let both = json!({ "roomName": "A", "participantName": "B", "role": "broadcaster" });
    let reply = bench.post("/token", &both).await;
    assert_eq!(reply.body["errors"].as_array().unwrap().len(), 2, "{}", reply.text);
    for body in [json!({}), json!({ "roomName": "stage", "streamId": Uuid::nil() })] {
        assert_problem(&bench.post("/stream/end", &body).await, 422, "invalid-request");
    }
    assert!(bench.said().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let bench = bench(dev());
    assert_problem(&bench.get("/nope").await, 404, "not-found");
    for path in [format!("/streams/{}", Uuid::nil()), "/streams/abc".into()] {
        assert_problem(&bench.get(&path).await, 404, "unknown-stream");
    }
    let end = bench.post("/stream/end", &json!({ "roomName": "never" })).await;
    assert_problem(&end, 404, "unknown-stream");
    let path = format!("/streams/{}/cover", Uuid::nil());
    assert_problem(&bench.post(&path, &json!({ "on": true })).await, 404, "unknown-stream");
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_told_apart() {
    let bench = bench(dev());
    let send = async |kind: &str, body: String| {
        let builder = request(Method::POST, "/stream/start").header("content-type", kind);
        bench.send(builder.body(Body::from(body)).unwrap()).await
    };
    assert_problem(&send("application/json", "{".into()).await, 400, "malformed-request");
    assert_problem(&send("application/json", String::new()).await, 400, "malformed-request");
    assert_problem(&send("text/plain", "{}".into()).await, 415, "unsupported-media-type");
    let big = format!("\"{}\"", "x".repeat(70_000));
    assert_problem(&send("application/json; charset=utf-8", big).await, 413, "too-large");
    let wrong = bench.get("/stream/start").await;
    assert_problem(&wrong, 405, "method-not-allowed");
    assert_eq!(wrong.headers["allow"], "POST");
}

#[tokio::test]
async fn request_ids_are_taken_when_plain_and_made_otherwise() {
    let bench = bench(dev());
    let send = async |id: &str| {
        let builder = request(Method::GET, "/health/live").header("x-request-id", id);
        let reply = bench.send(builder.body(Body::empty()).unwrap()).await;
        reply.headers["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(send("trace-1.a:b_C").await, "trace-1.a:b_C");
    for bad in ["", "a b", "x=\"1\"", &"x".repeat(129)] {
        let id: Uuid = send(bad).await.parse().unwrap();
        assert_eq!(id.get_version_num(), 7, "{bad}");
    }
}

#[tokio::test]
async fn viewers_get_the_processed_room_and_nothing_else() {
    let bench = bench(dev());
    for room in ["stage", "stage-processed"] {
        let ask = json!({ "roomName": room, "participantName": "Vic", "role": "viewer" });
        let reply = bench.post("/token", &ask).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        assert_eq!(reply.body["roomName"], "stage-processed");
        assert_eq!(reply.headers["cache-control"], "no-store");
        let token = claims(&reply.body["token"]);
        assert_eq!(token.video.room, "stage-processed");
        assert!(!token.video.can_publish() && !token.video.can_publish_data());
        assert!(token.video.can_subscribe() && !token.video.room_admin && !token.video.hidden);
        assert!(token.attributes.is_empty());
    }
    let twice = json!({ "roomName": "a-stage-processed-processed", "participantName": "Vic", "role": "viewer" });
    assert_problem(&bench.post("/token", &twice).await, 422, "invalid-request");
    let ask =
        json!({ "roomName": "stage-processed", "participantName": "Eve", "role": "broadcaster" });
    assert_problem(&bench.post("/token", &ask).await, 422, "invalid-request");
    let ask = json!({ "roomName": "stage", "participantName": "Ann", "role": "broadcaster", "metadata": { "a": 1 } });
    let token = claims(&bench.post("/token", &ask).await.body["token"]);
    assert_eq!((token.video.room.as_str(), token.metadata.as_str()), ("stage", "{\"a\":1}"));
    let ask = json!({ "roomName": "stage", "participantName": "Ann", "role": "viewer", "metadata": "x".repeat(3_000) });
    assert_problem(&bench.post("/token", &ask).await, 422, "invalid-request");
}

#[tokio::test]
async fn who_looks_after_streams_gets_many_tokens_at_once_and_is_no_audience() {
    let bench = bench(strict());
    let ask = |rooms: &[&str]| json!({ "roomNames": rooms });
    let (operator, viewer) = (bearer("operator", 60), bearer("viewer", 60));
    let two = ask(&["stage", "studio"]);
    assert_problem(&bench.post("/token/monitor", &two).await, 401, "unauthenticated");
    let refused = bench.post_as("/token/monitor", &two, &viewer).await;
    assert_problem(&refused, 403, "forbidden");
    let reply = bench.post_as("/token/monitor", &two, &operator).await;
    assert_eq!(
        (reply.status, &reply.headers["cache-control"]),
        (StatusCode::OK, &"no-store".parse().unwrap())
    );
    // A wall of tiles must not use up what is meant for starting streams.
    assert!(reply.headers["ratelimit-policy"].to_str().unwrap().starts_with("\"api\""));
    let mut identities = std::collections::HashSet::new();
    for (at, room) in ["stage", "studio"].into_iter().enumerate() {
        let one = &reply.body["tokens"][at];
        let token = claims(&one["token"]);
        assert_eq!(
            (&one["roomName"], &one["processedRoom"]),
            (&json!(room), &json!(processed(room)))
        );
        assert_eq!(token.video.room, processed(room));
        assert!(token.video.hidden && token.video.can_subscribe() && !token.video.can_publish());
        assert!(!token.video.room_admin && token.attributes.is_empty());
        identities.insert(token.sub);
    }
    assert_eq!(identities.len(), 2);
    let many: Vec<String> = (0..201).map(|n| format!("room-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for bad in [ask(&[]), ask(&many), ask(&["stage", "a b"]), ask(&["stage-processed"])] {
        let reply = bench.post_as("/token/monitor", &bad, &operator).await;
        assert_problem(&reply, 422, "invalid-request");
    }
    let all = bench.post_as("/token/monitor", &ask(&many[..200]), &operator).await;
    assert_eq!(all.body["tokens"].as_array().unwrap().len(), 200);
}

#[tokio::test]
async fn without_a_token_401_and_without_the_role_403() {
    let bench = bench(strict());
    let start = json!({ "roomName": "stage" });
    let (operator, viewer) = (bearer("operator", 60), bearer("viewer", 60));
    for bad in ["", "Bearer x.y.z", "Basic abc", &bearer("operator", -60), &bearer("king", 60)] {
        let reply = bench.post_as("/stream/start", &start, bad).await;
        assert_problem(&reply, 401, "unauthenticated");
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
    }
    assert_problem(&bench.post_as("/stream/start", &start, &viewer).await, 403, "forbidden");
    let started = bench.post_as("/stream/start", &start, &operator).await;
    assert_eq!(started.status, StatusCode::CREATED);
    for path in ["/streams", "/events", "/streams/abc"] {
        assert_problem(&bench.get(path).await, 401, "unauthenticated");
    }
    let ask = |role| json!({ "roomName": "stage", "participantName": "Vic", "role": role });
    assert_problem(&bench.post("/token", &ask("viewer")).await, 401, "unauthenticated");
    let forbidden = bench.post_as("/token", &ask("broadcaster"), &viewer).await;
    assert_problem(&forbidden, 403, "forbidden");
    let given = bench.post_as("/token", &ask("viewer"), &viewer).await;
    assert_eq!(given.status, StatusCode::OK);
    for open in ["/health/live", "/metrics", "/"] {
        assert_eq!(bench.get(open).await.status, StatusCode::OK, "{open}");
    }
}

#[tokio::test]
async fn open_viewer_tokens_cannot_push_each_other_out() {
    let mut config = strict();
    config.access.viewer_tokens = Audience::Anyone;
    config.access.metrics = Audience::Operator;
    let bench = bench(config);
    let ask = json!({ "roomName": "stage", "participantName": "Vic", "role": "viewer" });
    let first = claims(&bench.post("/token", &ask).await.body["token"]);
    let second = claims(&bench.post("/token", &ask).await.body["token"]);
    assert_eq!((first.name.as_str(), second.name.as_str()), ("Vic", "Vic"));
    assert_ne!(first.sub, second.sub);
    let ask = json!({ "roomName": "stage", "participantName": "Eve", "role": "broadcaster" });
    assert_problem(&bench.post("/token", &ask).await, 401, "unauthenticated");
    assert_problem(&bench.get("/metrics").await, 401, "unauthenticated");
}

#[tokio::test]
async fn limits_refuse_with_429_and_say_when_to_come_back() {
    let mut config = strict();
    (config.limits.requests, config.limits.strict_requests) = (3, 1);
    let bench = bench(config);
    let operator = bearer("operator", 60);
    let ask = json!({ "roomName": "stage", "participantName": "Vic", "role": "viewer" });
    let first = bench.post_as("/token", &ask, &operator).await;
    assert_eq!(
        (first.status, &first.headers["ratelimit-remaining"]),
        (StatusCode::OK, &"0".parse().unwrap())
    );
    let second = bench.post_as("/token", &ask, &operator).await;
    assert_problem(&second, 429, "too-many-requests");
    assert_eq!(second.headers["ratelimit-limit"], "1");
    assert_eq!(second.headers["retry-after"], second.headers["ratelimit-reset"]);
    for _ in 0..3 {
        assert_eq!(bench.get("/").await.status, StatusCode::OK);
    }
    assert_problem(&bench.get("/").await, 429, "too-many-requests");
    for exempt in ["/health", "/health/live", "/health/ready", "/metrics"] {
        let reply = bench.get(exempt).await;
        assert_eq!(reply.status, StatusCode::OK, "{exempt}");
        assert!(!reply.headers.contains_key("ratelimit-limit"));
    }
}

#[tokio::test]
async fn in_development_nothing_is_limited() {
    let mut config = dev();
    config.limits.requests = 1;
    let bench = bench(config);
    for _ in 0..3 {
        assert_eq!(bench.get("/").await.status, StatusCode::OK);
    }
}

fn published(id: &str, room: &str) -> Value {
    json!({
        "id": id,
        "event": "track_published",
        "createdAt": Timestamp::now().as_second().to_string(),
        "room": { "sid": format!("RM_{room}"), "name": room },
        "participant": { "sid": "PA_1", "identity": "broadcaster-1" },
        "track": { "sid": "TR_1", "type": "VIDEO" },
    })
}

#[tokio::test]
async fn a_webhook_starts_a_stream_once() {
    let mut bench = bench(dev());
    let event = published("EV_1", "stage");
    for _ in 0..2 {
        assert_eq!(bench.webhook(&event, &event).await.status, StatusCode::OK);
    }
    assert_eq!(bench.said(), ["start stage None"]);
    let busy = published("EV_2", "busy");
    assert_eq!(bench.webhook(&busy, &busy).await.status, StatusCode::OK);
    let joined = json!({
        "id": "EV_3",
        "event": "participant_joined",
        "room": { "sid": "RM_2", "name": "stage-processed" },
        "participant": { "sid": "PA_2", "identity": "Vic" },
    });
    assert_eq!(bench.webhook(&joined, &joined).await.status, StatusCode::OK);
    let over = json!({ "id": "EV_4", "event": "room_finished", "room": { "sid": "RM_stage", "name": "stage" } });
    assert_eq!(bench.webhook(&over, &over).await.status, StatusCode::OK);
    // A viewer is counted without an answer: the end after it shows that it was.
    assert_eq!(
        bench.said(),
        ["start busy None", "viewer stage-processed Vic true", "end Room(\"stage\")"]
    );
}

#[tokio::test]
async fn a_webhook_that_could_not_be_served_may_come_again() {
    let mut bench = bench(dev());
    let event = published("EV_1", "down");
    for _ in 0..2 {
        assert_problem(&bench.webhook(&event, &event).await, 502, "livekit-unavailable");
    }
    assert_eq!(bench.said().len(), 2);
}

#[tokio::test]
async fn a_webhook_whose_stream_does_not_fit_is_taken_and_tried_again_later() {
    let mut bench = bench(dev());
    let event = published("EV_1", "full");
    for _ in 0..2 {
        assert_eq!(bench.webhook(&event, &event).await.status, StatusCode::OK);
    }
    assert_eq!(bench.said().len(), 1, "the same event again is a duplicate");
    let later = json!({
        "id": "EV_2",
        "event": "participant_joined",
        "room": { "sid": "RM_full", "name": "full" },
        "participant": { "sid": "PA_2", "identity": "guest" },
    });
    assert_eq!(bench.webhook(&later, &later).await.status, StatusCode::OK);
    assert_eq!(bench.said(), ["start full None"]);
}

#[tokio::test]
async fn a_start_that_does_not_fit_says_why_and_when_to_come_back() {
    let bench = bench(dev());
    let reply = bench.post("/stream/start", &json!({ "roomName": "full" })).await;
    assert_problem(&reply, 503, "overloaded");
    assert_eq!(reply.headers["retry-after"], "5");
    assert_eq!(reply.body["reason"], "streams");
    assert!(reply.body["detail"].as_str().unwrap().starts_with("12 streams run"));
}

#[tokio::test]
async fn a_webhook_needs_a_signature_over_its_very_body() {
    let mut bench = bench(dev());
    let event = published("EV_1", "stage");
    let unsigned = bench.post("/livekit/webhook", &event).await;
    assert_problem(&unsigned, 401, "unauthenticated");
    let altered = bench.webhook(&event, &published("EV_1", "other")).await;
    assert_problem(&altered, 401, "unauthenticated");
    let foreign = AccessToken::with_api_key(DEV_API_KEY, "another-secret-another-secret-32ch")
        .with_sha256(&base64(&Sha256::digest(event.to_string().as_bytes())))
        .to_jwt()
        .unwrap();
    let reply = bench.post_as("/livekit/webhook", &event, &foreign).await;
    assert_problem(&reply, 401, "unauthenticated");
    let garbage = json!("not an event");
    assert_problem(&bench.webhook(&garbage, &garbage).await, 400, "malformed-request");
    assert!(bench.said().is_empty());
}

#[tokio::test]
async fn health_tells_what_is_wrong() {
    let bench = bench(dev());
    let well = bench.get("/health").await;
    assert_eq!((well.status, &well.body["status"]), (StatusCode::OK, &json!("ok")));
    assert_eq!(well.body["censorshipEnabled"], true);
    assert!(well.body["process"]["residentBytes"].as_u64().unwrap() > 0);
    assert_eq!(bench.get("/health/ready").await.status, StatusCode::OK);
    bench.stop.cancel();
    assert_eq!(bench.get("/health/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(bench.get("/health/live").await.status, StatusCode::OK);
}

#[tokio::test]
async fn health_is_503_when_livekit_is_away() {
    let bench = bench(dev());
    bench.well.store(false, Ordering::Relaxed);
    let reply = bench.get("/health").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.body["status"], "degraded");
    assert_eq!(reply.body["livekit"]["state"], "down");
    assert_eq!(bench.get("/health/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(bench.get("/health/live").await.status, StatusCode::OK);
}

#[tokio::test]
async fn metrics_count_requests_by_route() {
    let bench = bench(dev());
    bench.get(&format!("/streams/{}", Uuid::nil())).await;
    bench.get("/made/up").await;
    let text = bench.get("/metrics").await.text;
    for (route, status) in [("/streams/{id}", 404), ("unmatched", 404)] {
        let line = format!(
            "http_request_duration_seconds_count{{method=\"GET\",route=\"{route}\",status_code=\"{status}\"}} 1"
        );
        assert!(text.contains(&line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn cross_origin_calls_come_from_the_list_only() {
    let bench = bench(strict());
    let preflight = async |origin: &str| {
        let builder = request(Method::OPTIONS, "/token")
            .header("origin", origin)
            .header("access-control-request-method", "POST");
        bench.send(builder.body(Body::empty()).unwrap()).await
    };
    let allowed = preflight("https://studio.example").await;
    assert_eq!(allowed.status, StatusCode::NO_CONTENT);
    assert_eq!(allowed.headers["access-control-allow-origin"], "https://studio.example");
    assert!(
        allowed.headers["access-control-allow-headers"].to_str().unwrap().contains("authorization")
    );
    let other = preflight("https://studio.example.evil.test").await;
    assert!(!other.headers.contains_key("access-control-allow-origin"));
    let builder = request(Method::GET, "/streams").header("origin", "https://studio.example");
    let refused = bench.send(builder.body(Body::empty()).unwrap()).await;
    assert_problem(&refused, 401, "unauthenticated");
    assert_eq!(refused.headers["access-control-allow-origin"], "https://studio.example");
}

/// Reads server-sent events until `count` have come.
async fn read_events(bench: &Bench, last: Option<&str>, count: usize) -> Vec<String> {
    let mut builder = request(Method::GET, "/events");
    if let Some(last) = last {
        builder = builder.header("last-event-id", last);
    }
    let request = builder.body(Body::empty()).unwrap();
    let response = bench.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    // Sent only now: the reader is connected.
    for detector in ["first", "second"] {
        bench.events.send(Event::Recovered { detector: detector.into() }).unwrap();
    }
    let chunks = response.into_body().into_data_stream().take(count);
    chunks.map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap()).collect().await
}

#[tokio::test]
async fn events_have_ids_and_go_on_after_a_break() {
    let bench = bench(dev());
    let events = read_events(&bench, None, 2).await;
    assert!(events[0].contains("event: detector.recovered"), "{events:?}");
    assert!(events[0].contains(r#""detector":"first""#) && events[1].contains("second"));
    let id = events[0].lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let again = read_events(&bench, Some(id), 3).await;
    assert!(again[0].contains("second") && again[1].contains("first"), "{again:?}");
    let other = read_events(&bench, Some("0190-7"), 6).await;
    assert!(other[0].contains("first") && other[0].contains("-1\n"), "{other:?}");
}

#[tokio::test]
async fn event_streams_end_when_the_server_stops() {
    let bench = bench(dev());
    let request = request(Method::GET, "/events").body(Body::empty()).unwrap();
    let response = bench.router.clone().oneshot(request).await.unwrap();
    bench.stop.cancel();
    assert!(response.into_body().into_data_stream().next().await.is_none());
}

#[tokio::test]
async fn a_panic_is_500_without_its_text_and_a_stuck_handler_504() {
    let mut config = dev();
    config.http.request_timeout_ms = 50;
    let bench = bench_with(config, |parts| {
        let state = State::new(parts);
        Router::new()
            .route("/panics", get(async || -> StatusCode { panic!("the secret is swordfish") }))
            .route("/hangs", get(std::future::pending::<StatusCode>))
            .layer(from_fn_with_state(state.clone(), request::watch))
            .with_state(state)
    });
    let panicked = bench.get("/panics").await;
    assert_problem(&panicked, 500, "internal");
    assert!(!panicked.text.contains("swordfish"), "{}", panicked.text);
    assert_problem(&bench.get("/hangs").await, 504, "timeout");
}

#[tokio::test]
async fn people_get_pages_and_programs_get_the_list() {
    let bench = bench(strict());
    let browser = |path: &str| {
        let accept = "text/html,application/xhtml+xml,*/*;q=0.8";
        request(Method::GET, path).header("accept", accept).body(Body::empty()).unwrap()
    };
    for path in ["/", "/broadcast", "/watch/stage-1", "/operate", "/offline"] {
        let page = bench.send(browser(path)).await;
        // 404 says how to build the pages, where they were not built.
        assert!(matches!(page.status, StatusCode::OK | StatusCode::NOT_FOUND), "{path}");
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8", "{path}");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        assert!(policy.contains("connect-src 'self' ws://127.0.0.1:7880"), "{path}: {policy}");
    }
    let list = bench.get("/").await;
    assert_eq!((list.status, &list.body["name"]), (StatusCode::OK, &json!("scrim")));
    for path in ["/assets/none.js", "/assets/..%2f..%2fCargo.toml"] {
        assert_problem(&bench.get(path).await, 404, "not-found");
    }
}

#[tokio::test]
async fn pages_are_no_calls_of_the_api() {
    let mut config = strict();
    config.limits.requests = 1;
    let bench = bench(config);
    for _ in 0..5 {
        let page = bench.get("/operate").await;
        assert_ne!(page.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(!page.headers.contains_key("ratelimit-limit"));
    }
}
