//! Keys, idempotency, descriptions and headers, through the router.

use std::collections::BTreeSet;

use super::*;

const START: &str = "/stream/start";

async fn start_with(bench: &Bench, key: &str, body: &Value) -> Reply {
    let builder = request(Method::POST, START)
        .header("content-type", "application/json")
        .header("idempotency-key", key);
    bench.send(builder.body(Body::from(body.to_string())).unwrap()).await
}

async fn send_as(bench: &Bench, method: Method, path: &str, authorization: &str) -> Reply {
    let builder = request(method, path).header("authorization", authorization);
    bench.send(builder.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_start_with_a_key_is_made_once() {
    let mut bench = bench(dev());
    let ask = json!({ "roomName": "stage" });
    let first = start_with(&bench, "call-1", &ask).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let again = start_with(&bench, "call-1", &ask).await;
    assert_eq!((again.status, &again.text), (StatusCode::CREATED, &first.text));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.headers["location"], first.headers["location"]);
    assert_eq!(again.headers["cache-control"], "no-store");
    assert_eq!(again.headers["content-type"], "application/json");
    assert_ne!(again.headers["x-request-id"], first.headers["x-request-id"]);
    let other = start_with(&bench, "call-1", &json!({ "roomName": "other" })).await;
    assert_problem(&other, 422, "invalid-request");
    assert_eq!(bench.said(), ["start stage None"]);
    for bad in ["", "a b", &"x".repeat(129)] {
        assert_problem(&start_with(&bench, bad, &ask).await, 422, "invalid-request");
    }
}

#[tokio::test]
async fn a_start_that_failed_is_tried_again_under_the_same_key() {
    let mut bench = bench(dev());
    for _ in 0..2 {
        let reply = start_with(&bench, "call-1", &json!({ "roomName": "down" })).await;
        assert_problem(&reply, 502, "livekit-unavailable");
    }
    assert_eq!(bench.said().len(), 2);
}

#[tokio::test]
async fn a_key_is_made_used_listed_and_revoked() {
    let bench = bench(strict());
    let operator = bearer("operator", 60);
    let made = bench.post_as("/keys", &json!({ "name": "studio 2" }), &operator).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!((&made.body["role"], &made.body["createdBy"]), (&json!("service"), &json!("olga")));
    assert_eq!(made.headers["cache-control"], "no-store");
    let key = format!("Bearer {}", made.body["key"].as_str().unwrap());
    let secret = key.rsplit('_').next().unwrap();
    assert_eq!(send_as(&bench, Method::GET, "/streams", &key).await.status, StatusCode::OK);
    let listed = send_as(&bench, Method::GET, "/keys", &operator).await;
    assert_eq!(listed.body["keys"][0]["id"], made.body["id"]);
    assert!(!listed.text.contains(secret), "{}", listed.text);
    let path = format!("/keys/{}", made.body["id"].as_str().unwrap());
    let revoked = send_as(&bench, Method::DELETE, &path, &operator).await;
    assert!(revoked.body["revokedAt"].is_string(), "{}", revoked.text);
    let refused = send_as(&bench, Method::GET, "/streams", &key).await;
    assert_problem(&refused, 401, "unauthenticated");
    let nobody = send_as(&bench, Method::DELETE, "/keys/0123456789abcdef", &operator).await;
    assert_problem(&nobody, 404, "unknown-key");
}

#[tokio::test]
async fn who_is_unknown_learns_nothing_of_a_body() {
    let bench = bench(strict());
    for path in ["/token", "/stream/start", "/keys", "/feedback/detection"] {
        assert_problem(&bench.post(path, &json!({ "x": 1 })).await, 401, "unauthenticated");
    }
}

#[tokio::test]
async fn only_operators_manage_keys() {
    let bench = bench(strict());
    let ask = json!({ "name": "studio" });
    for role in ["service", "viewer"] {
        let token = bearer(role, 60);
        assert_problem(&bench.post_as("/keys", &ask, &token).await, 403, "forbidden");
        let reply = send_as(&bench, Method::GET, "/keys", &token).await;
        assert_problem(&reply, 403, "forbidden");
        let reply = send_as(&bench, Method::DELETE, "/keys/0123456789abcdef", &token).await;
        assert_problem(&reply, 403, "forbidden");
    }
    assert_problem(&bench.get("/keys").await, 401, "unauthenticated");
    let operator = bearer("operator", 60);
    for bad in [json!({}), json!({ "name": "" }), json!({ "name": "a", "role": "king" })] {
        let reply = bench.post_as("/keys", &bad, &operator).await;
        assert_problem(&reply, 422, "invalid-request");
    }
    assert!(bench.keys.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn tokens_that_were_tampered_with_open_nothing() {
    let bench = bench(strict());
    let good = bearer("operator", 60);
    let token = good.strip_prefix("Bearer ").unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    // {"alg":"none"} and {"alg":"HS512"}, {"alg":"RS256"} in base64url.
    let heads = ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzUxMiJ9", "eyJhbGciOiJSUzI1NiJ9"];
    let mut bad: Vec<String> =
        heads.iter().map(|head| format!("{head}.{}.{}", parts[1], parts[2])).collect();
    bad.push(format!("{}.{}.", heads[0], parts[1]));
    bad.push(format!("{}.{}.", parts[0], parts[1]));
    bad.push(format!("{token}x"));
    bad.push(token[..token.len() - 2].to_owned());
    bad.push(format!("scrim_{}_{}", "0".repeat(16), "0".repeat(64)));
    for token in bad {
        let reply = send_as(&bench, Method::GET, "/streams", &format!("Bearer {token}")).await;
        assert_problem(&reply, 401, "unauthenticated");
        assert!(!reply.text.contains(&token), "the token is repeated");
    }
    let long = "x".repeat(129);
    for sub in ["", "a\nb", long.as_str()] {
        let now = Timestamp::now();
        let ttl = std::time::Duration::from_secs(60);
        let token = sign(JWT_SECRET, sub, Role::Operator, now, ttl).unwrap();
        let reply = send_as(&bench, Method::GET, "/streams", &format!("Bearer {token}")).await;
        assert_problem(&reply, 401, "unauthenticated");
    }
    assert_eq!(send_as(&bench, Method::GET, "/streams", &good).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_is_marked_for_browsers() {
    let bench = bench(strict());
    for path in ["/", "/streams", "/made/up", "/openapi.json", "/docs", "/health/live"] {
        let reply = bench.get(path).await;
        assert_eq!(reply.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(reply.headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(reply.headers["referrer-policy"], "no-referrer", "{path}");
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn limits_are_told_as_the_draft_has_them_too() {
    let mut config = strict();
    config.limits.requests = 3;
    let bench = bench(config);
    let reply = bench.get("/").await;
    assert_eq!(reply.headers["ratelimit-policy"], "\"api\";q=3;w=900");
    assert_eq!(reply.headers["ratelimit"], "\"api\";r=2;t=900");
    for exempt in ["/docs", "/docs/docs.js", "/docs/docs.css", "/openapi.json"] {
        let reply = bench.get(exempt).await;
        assert_eq!(reply.status, StatusCode::OK, "{exempt}");
        assert!(!reply.headers.contains_key("ratelimit"), "{exempt}");
    }
}

#[tokio::test]
async fn the_page_fetches_from_nowhere_else() {
    let bench = bench(strict());
    for path in ["/docs", "/docs/docs.js", "/docs/docs.css"] {
        let reply = bench.get(path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert!(!reply.text.contains("//") || !reply.text.contains("http"), "{path}");
        assert!(!reply.text.contains("innerHTML") && !reply.text.contains("eval("), "{path}");
    }
    assert!(!bench.get("/docs").await.text.contains("<script>"), "inline script");
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_before_it_comes() {
    let bench = bench(dev());
    for path in ["/stream/start", "/livekit/webhook"] {
        let builder = request(Method::POST, path)
            .header("content-type", "application/json")
            .header("content-length", "10485760");
        // Without the look at its length this would wait for the time limit.
        let body = Body::from_stream(futures_util::stream::pending::<std::io::Result<String>>());
        let reply = bench.send(builder.body(body).unwrap()).await;
        assert_problem(&reply, 413, "too-large");
        assert_eq!(reply.headers["connection"], "close");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let mut config = dev();
    config.http.body_timeout_ms = 20;
    let bench = bench(config);
    for path in ["/stream/start", "/token", "/livekit/webhook"] {
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>("{")]);
        let body = Body::from_stream(first.chain(futures_util::stream::pending()));
        let builder = request(Method::POST, path).header("content-type", "application/json");
        let reply = bench.send(builder.body(body).unwrap()).await;
        assert_problem(&reply, 408, "request-timeout");
        assert_eq!(reply.headers["connection"], "close");
    }
}

/// Pages, and what belongs to them: no calls of the API.
fn is_page(path: &str) -> bool {
    path.starts_with("/docs/") || crate::api::web::is_page(path)
}

/// Every path that the router knows, as its `Debug` shows them.
fn paths_of(router: &Router) -> BTreeSet<String> {
    let text = format!("{router:?}");
    let quoted = text.split('"').skip(1).step_by(2);
    // Besides those of the routes there is one that stands for all others.
    let known = quoted.filter(|part| part.starts_with('/') && !part.contains("__private"));
    known.map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn every_route_is_described_and_the_reverse() {
    let bench = bench(dev());
    let description = bench.get("/openapi.json").await.body;
    assert_eq!(description["openapi"], "3.1.0");
    let described: BTreeSet<(String, String)> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    let mut served = BTreeSet::new();
    for path in paths_of(&bench.router).into_iter().filter(|path| !is_page(path)) {
        // A method that no route has: the answer's Allow header names those that it does have.
        let uri = path.replace(['{', '}', '*'], "");
        let reply = bench.send(request(Method::TRACE, &uri).body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allow = reply.headers["allow"].to_str().unwrap().to_owned();
        let methods = allow.split(',').map(str::trim).filter(|method| *method != "HEAD");
        served.extend(methods.map(|method| (path.clone(), method.to_owned())));
    }
    assert!(served.len() > 15, "{served:?}");
    let missing: Vec<_> = served.difference(&described).collect();
    assert!(missing.is_empty(), "describe these in openapi/operations.rs: {missing:?}");
    let gone: Vec<_> = described.difference(&served).collect();
    assert!(gone.is_empty(), "described, but not served: {gone:?}");
}
