//! Routes over the database: rules, detections, totals, feedback, the audit log.

use super::*;
use crate::store::{Detection, Kind, Thumbnail};

impl Bench {
    async fn change(&self, method: Method, path: &str, body: &Value, tag: Option<&str>) -> Reply {
        let mut builder = request(method, path).header("content-type", "application/json");
        if let Some(tag) = tag {
            builder = builder.header("if-match", tag);
        }
        self.send(builder.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A stream with detections a second apart, one of each class in turn.
    async fn with_detections(&self, classes: &[&str]) -> (Uuid, Vec<Uuid>) {
        let stream = Uuid::now_v7();
        let found: Vec<Detection> = classes
            .iter()
            .map(|class| {
                let id = Uuid::now_v7();
                Detection {
                    id,
                    at: crate::store::at(id),
                    stream_id: stream,
                    room: "stage".into(),
                    kind: Kind::Object,
                    class: (*class).to_owned(),
                    score: 0.5,
                    bbox: [1.0, 2.0, 3.0, 4.0],
                    frame: 1,
                    findings: 2,
                    rule: None,
                    has_thumbnail: false,
                }
            })
            .collect();
        let ids = found.iter().map(|one| one.id).collect();
        self.store.write_history(Vec::new(), found, 1).await.unwrap();
        (stream, ids)
    }
}

#[tokio::test]
async fn rules_have_etags_and_an_overtaken_change_is_412() {
    let mut bench = bench(dev());
    for path in ["/censorship/rules", "/censorship/rules/stage-1"] {
        let none = bench.get(path).await;
        assert_eq!((none.status, &none.body), (StatusCode::OK, &json!({})), "{path}");
        assert_eq!(none.headers["etag"], "\"0\"");
        let rules = json!({ "mode": "instant" });
        let set = bench.change(Method::PUT, path, &rules, Some("\"0\"")).await;
        assert_eq!((set.status, &set.headers["etag"]), (StatusCode::OK, &"\"1\"".parse().unwrap()));
        let stale = bench.change(Method::PUT, path, &json!({}), Some("\"0\"")).await;
        assert_problem(&stale, 412, "stale");
        assert_eq!(stale.body["version"], 1);
        let wrong = bench.change(Method::PUT, path, &json!({}), Some("one")).await;
        assert_problem(&wrong, 400, "malformed-request");
        let got = bench.get(path).await;
        assert_eq!((&got.body, &got.headers["etag"]), (&rules, &"\"1\"".parse().unwrap()));
        let gone = bench.change(Method::DELETE, path, &Value::Null, Some("*")).await;
        assert_eq!(
            (gone.status, &gone.headers["etag"]),
            (StatusCode::NO_CONTENT, &"\"2\"".parse().unwrap())
        );
        assert_eq!(bench.get(path).await.body, json!({}));
    }
    let problem = json!({ "padding": 9, "delayMs": 1 });
    let refused = bench.put("/censorship/rules/stage-1", &problem).await;
    assert_problem(&refused, 422, "invalid-request");
    assert_eq!(refused.body["errors"].as_array().unwrap().len(), 2, "all problems at once");
    assert_problem(&bench.put("/censorship/rules/a%20b", &json!({})).await, 422, "invalid-request");
    let said = bench.said();
    assert!(said.contains(&"rules of global 1 Some(Instant)".to_owned()), "{said:?}");
    assert!(said.contains(&"rules of stage-1 2 None".to_owned()), "{said:?}");
    let log = bench.get("/audit?target=stage-1&limit=1").await;
    assert_eq!(log.body["entries"][0]["actor"], "dev");
    assert_eq!(log.body["entries"][0]["action"], "rules.delete");
    assert_eq!(log.body["entries"][0]["detail"]["mode"], json!({ "from": "instant", "to": null }));
    assert!(log.body["nextCursor"].is_string(), "{}", log.text);
}

#[tokio::test]
async fn what_rules_were_is_listed_and_can_be_put_back() {
    let bench = bench(dev());
    let (first, second) = (json!({ "classes": {} }), json!({ "mode": "instant" }));
    for rules in [&first, &second] {
        bench.put("/censorship/rules/stage-1", rules).await;
    }
    bench.put("/censorship/rules", &second).await;
    let page = bench.get("/censorship/versions?room=stage-1&limit=1").await;
    assert_eq!((page.status, &page.body["nextBefore"]), (StatusCode::OK, &json!(2)));
    let one = &page.body["versions"][0];
    assert_eq!((&one["version"], &one["actor"]), (&json!(2), &json!("dev")));
    assert_eq!(one["document"], second);
    let rest = bench.get("/censorship/versions?room=stage-1&before=2").await;
    assert_eq!(rest.body["versions"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&rest.body["nextBefore"], &rest.body["versions"][0]["document"]),
        (&Value::Null, &first)
    );
    let old = &rest.body["versions"][0]["document"];
    let back = bench.change(Method::PUT, "/censorship/rules/stage-1", old, Some("\"2\"")).await;
    assert_eq!((back.status, &back.body), (StatusCode::OK, &first));
    let global = bench.get("/censorship/versions").await;
    assert_eq!(global.body["versions"].as_array().unwrap().len(), 1);
    for bad in ["room=a%20b", "before=x", "limit=0", "rooms=stage-1"] {
        let reply = bench.get(&format!("/censorship/versions?{bad}")).await;
        assert_problem(&reply, 422, "invalid-request");
    }
}

#[tokio::test]
async fn detections_are_listed_as_json_and_csv() {
    let bench = bench(dev());
    let (stream, ids) = bench.with_detections(&["A", "=B", "A"]).await;
    let all = bench.get("/censorship/events?room=stage&limit=2").await;
    assert_eq!(all.status, StatusCode::OK, "{}", all.text);
    let first = &all.body["events"][0];
    assert_eq!((&first["detectionId"], &first["streamId"]), (&json!(ids[2]), &json!(stream)));
    assert_eq!(
        (&first["class"], &first["findings"], &first["kind"]),
        (&json!("A"), &json!(2), &json!("object"))
    );
    assert!(first["at"].as_str().unwrap().parse::<Timestamp>().is_ok());
    let next = all.body["nextCursor"].as_str().unwrap();
    let rest = bench.get(&format!("/censorship/events?cursor={next}")).await;
    assert_eq!(rest.body["events"].as_array().unwrap().len(), 1);
    assert_eq!(rest.body["nextCursor"], Value::Null);
    let of = bench.get("/censorship/events?class=%3DB").await;
    assert_eq!(of.body["events"][0]["detectionId"], json!(ids[1]));
    let csv = bench.get("/censorship/events?format=csv&limit=2").await;
    assert!(csv.headers["content-type"].to_str().unwrap().starts_with("text/csv"));
    assert_eq!(csv.headers["x-next-cursor"], ids[1].to_string());
    let lines: Vec<&str> = csv.text.lines().collect();
    assert!(lines[0].starts_with("detectionId,at,") && lines.len() == 3, "{}", csv.text);
    assert!(lines[2].contains(",\"'=B\","), "no formula: {}", lines[2]);
    for bad in ["limit=0", "limit=201", "from=x", "cursor=1", "nope=1", "format=xml"] {
        let reply = bench.get(&format!("/censorship/events?{bad}")).await;
        assert_problem(&reply, 422, "invalid-request");
    }
}

#[tokio::test]
async fn totals_are_of_a_room_or_of_all() {
    let bench = bench(dev());
    bench.with_detections(&["A", "B", "A"]).await;
    for path in ["/analytics", "/room/analytics/stage"] {
        let totals = bench.get(path).await;
        assert_eq!(totals.body["censorshipEvents"], json!({ "A": 2, "B": 1 }), "{}", totals.text);
        assert_eq!(totals.body["streams"], 1);
    }
    let other = bench.get("/room/analytics/other").await;
    assert_eq!((&other.body["streams"], &other.body["roomName"]), (&json!(0), &json!("other")));
    let past = bench.get("/analytics?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z").await;
    assert_eq!(past.body["censorshipEvents"], json!({}));
    let odd = bench.get("/analytics?from=2020-02-01T00:00:00Z&to=2020-01-01T00:00:00Z").await;
    assert_problem(&odd, 422, "invalid-request");
    assert_problem(&bench.get("/room/analytics/a").await, 422, "invalid-request");
}

#[tokio::test]
async fn feedback_moves_the_threshold_of_a_class_in_its_room() {
    let mut bench = bench(dev());
    let (stream, ids) = bench.with_detections(&["FACE_FEMALE", "FACE_MALE"]).await;
    let say = async |id: Uuid, correct: bool| {
        let said = json!({ "streamId": stream, "detectionId": id, "wasCorrect": correct });
        bench.post("/feedback/detection", &said).await
    };
    let wrong = say(ids[0], false).await;
    assert_eq!(wrong.status, StatusCode::OK, "{}", wrong.text);
    let expected = json!({
        "roomName": "stage", "class": "FACE_FEMALE", "previousThreshold": 0.3, "threshold": 0.32,
        "configuredThreshold": 0.3,
    });
    assert_eq!(wrong.body, expected);
    assert_eq!(say(ids[0], true).await.body["threshold"], 0.31);
    assert_problem(&say(ids[1], true).await, 409, "not-covered");
    assert_problem(&say(Uuid::nil(), true).await, 404, "unknown-detection");
    for path in ["/feedback/stage/FACE_FEMALE", "/feedback/stage"] {
        let reset = bench.change(Method::DELETE, path, &Value::Null, None).await;
        assert_eq!(reset.status, StatusCode::NO_CONTENT, "{}", reset.text);
    }
    let said = bench.said();
    assert!(
        said.contains(&"threshold stage Some(\"FACE_FEMALE\") Some(0.32)".to_owned()),
        "{said:?}"
    );
    assert!(said.contains(&"threshold stage None None".to_owned()), "{said:?}");
    assert!(bench.store.thresholds().await.unwrap().is_empty());
}

#[tokio::test]
async fn past_streams_are_listed_beside_those_that_run() {
    let bench = bench(dev());
    let (past, _) = bench.with_detections(&["A"]).await;
    bench.store.close_left_open().await.unwrap();
    bench.post("/stream/start", &json!({ "roomName": "stage" })).await;
    let all = bench.get("/streams?room=stage").await;
    let states: Vec<&str> = all.body["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["waiting", "interrupted"], "{}", all.text);
    let one = bench.get(&format!("/streams/{past}")).await;
    assert_eq!((one.status, &one.body["state"]), (StatusCode::OK, &json!("interrupted")));
    let interrupted = bench.get("/streams?state=interrupted").await;
    assert_eq!(interrupted.body["streams"][0]["streamId"], json!(past));
    let now = bench.get("/censorship/sessions").await;
    assert_eq!(now.body["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_database_streams_run_and_what_needs_it_is_503() {
    let bench = bench(dev());
    bench.store.close().await;
    let started = bench.post("/stream/start", &json!({ "roomName": "stage" })).await;
    assert_eq!(started.status, StatusCode::CREATED);
    let id = started.body["streamId"].as_str().unwrap();
    let covered = bench.post(&format!("/streams/{id}/cover"), &json!({ "on": true })).await;
    assert_eq!(covered.status, StatusCode::OK);
    let list = bench.get("/streams").await;
    assert_eq!((&list.body["partial"], list.status), (&json!(true), StatusCode::OK));
    for path in
        ["/censorship/rules", "/censorship/versions", "/censorship/events", "/analytics", "/audit"]
    {
        let reply = bench.get(path).await;
        assert_problem(&reply, 503, "database-unavailable");
        assert!(reply.headers.contains_key("retry-after"));
    }
    let kept = bench.put("/censorship/rules", &json!({ "mode": "instant" })).await;
    assert_problem(&kept, 503, "database-unavailable");
}

#[tokio::test]
async fn history_is_for_operators() {
    let bench = bench(strict());
    for path in [
        "/censorship/rules",
        "/censorship/rules/stage",
        "/censorship/sessions",
        "/censorship/events",
        "/analytics",
        "/room/analytics/stage",
        "/audit",
    ] {
        assert_problem(&bench.get(path).await, 401, "unauthenticated");
        let builder = request(Method::GET, path).header("authorization", bearer("viewer", 60));
        assert_problem(&bench.send(builder.body(Body::empty()).unwrap()).await, 403, "forbidden");
    }
}

#[tokio::test]
async fn the_picture_of_a_detection_is_for_operators_and_never_stored_on_the_way() {
    let bench = bench(dev());
    let (stream_id, ids) = bench.with_detections(&["FACE_FEMALE", "FACE_MALE"]).await;
    let jpeg: Arc<[u8]> = vec![0xff, 0xd8, 7].into();
    let (detection_id, room) = (ids[0], "stage".to_owned());
    let thumbnail = Thumbnail { detection_id, stream_id, room, jpeg: jpeg.clone() };
    bench.store.write_thumbnail(&thumbnail).await.unwrap();
    let events = bench.get("/censorship/events").await;
    let said = |at: usize| events.body["events"][at]["hasThumbnail"].clone();
    assert_eq!((said(0), said(1)), (json!(false), json!(true)), "{}", events.text);
    let path = |id: &dyn std::fmt::Display| format!("/censorship/events/{id}/thumbnail");
    let request = request(Method::GET, &path(&ids[0])).body(Body::empty()).unwrap();
    let response = bench.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "image/jpeg");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body = axum::body::to_bytes(response.into_body(), 1_024).await.unwrap();
    assert_eq!(body[..], jpeg[..]);
    for missing in [ids[1].to_string(), Uuid::nil().to_string(), "one".into()] {
        assert_problem(&bench.get(&path(&missing)).await, 404, "unknown-thumbnail");
    }
}
