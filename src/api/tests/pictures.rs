//! Pictures and texts that are sent to the API.

use super::*;

/// A white PNG.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let white = image::RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
    white.write_to(&mut file, image::ImageFormat::Png).unwrap();
    file.into_inner()
}

/// A form of these fields, and its type.
fn form(fields: &[(&str, &[u8])]) -> (Vec<u8>, &'static str) {
    let mut body = Vec::new();
    for (name, value) in fields {
        let head = format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend([head.as_bytes(), value, b"\r\n"].concat());
    }
    body.extend(b"--x--\r\n");
    (body, "multipart/form-data; boundary=x")
}

async fn send(bench: &Bench, path: &str, body: Vec<u8>, kind: &str) -> Reply {
    let request = request(Method::POST, path).header("content-type", kind);
    bench.send(request.body(Body::from(body)).unwrap()).await
}

const RULES: &[u8] =
    br#"{"classes": {"FACE_FEMALE": {"threshold": 0.5, "action": "solid"}}, "padding": 0}"#;

#[tokio::test]
async fn a_picture_is_answered_by_what_is_covered_and_why() {
    let mut bench = bench(dev());
    let picture = png(64, 48);
    let (body, kind) = form(&[("picture", &picture), ("rules", RULES), ("roomName", b"stage")]);
    for path in ["/process/frame", "/censorship/rules/check"] {
        let reply = send(&bench, path, body.clone(), kind).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        assert_eq!((&reply.body["width"], &reply.body["height"]), (&json!(64), &json!(48)));
        let covered = &reply.body["covered"][0];
        assert_eq!(covered["box"], json!({ "x": 0.0, "y": 0.0, "width": 20.0, "height": 20.0 }));
        assert_eq!((&covered["kind"], &covered["action"]), (&json!("class"), &json!("solid")));
        assert_eq!(reply.headers["cache-control"], "no-store");
    }
    assert_eq!(bench.said(), ["preview over Some(\"stage\")"; 2]);
    let twice = send(&bench, "/process/frame?roomName=other", body, kind).await;
    assert_problem(&twice, 422, "invalid-request");
    let reply = send(&bench, "/process/frame?roomName=stage", picture.clone(), "image/png").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    assert_eq!(reply.body["passed"][0]["reason"], "allowed", "{}", reply.text);
}

#[tokio::test]
async fn rules_can_be_tried_as_if_they_were_saved() {
    let mut bench = bench(dev());
    let path = "/censorship/rules/check";
    let fields: [(&str, &[u8]); 3] =
        [("picture", &png(64, 48)), ("rules", RULES), ("roomName", b"stage")];
    for (said, place) in [("true", "instead of"), ("false", "over")] {
        let (body, kind) = form(&[&fields[..], &[("replace", said.as_bytes())]].concat());
        let reply = send(&bench, path, body, kind).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        assert_eq!(bench.said(), [format!("preview {place} Some(\"stage\")")]);
    }
    let text = json!({ "text": "hello", "rules": {}, "replace": true });
    assert_eq!(bench.post(path, &text).await.status, StatusCode::OK);
    assert_eq!(bench.said(), ["preview instead of None"]);
    let (body, kind) = form(&[&fields[..], &[("replace", b"perhaps")]].concat());
    assert_problem(&send(&bench, path, body, kind).await, 400, "malformed-request");
}

#[tokio::test]
async fn the_censored_picture_is_given_to_who_asks_for_one() {
    let bench = bench(dev());
    let (body, kind) = form(&[("picture", &png(64, 48)), ("rules", RULES)]);
    let request = request(Method::POST, "/process/frame")
        .header("content-type", kind)
        .header("accept", "image/png")
        .body(Body::from(body))
        .unwrap();
    let response = bench.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "image/png");
    let file = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let shown = image::load_from_memory(&file).unwrap().into_rgb8();
    assert!(shown.get_pixel(10, 10).0.iter().all(|&v| v < 60), "{:?}", shown.get_pixel(10, 10));
    assert!(shown.get_pixel(40, 40).0.iter().all(|&v| v > 250), "{:?}", shown.get_pixel(40, 40));
}

#[tokio::test]
async fn a_text_is_judged_by_rules_on_top() {
    let bench = bench(dev());
    let ask = json!({ "text": "a s3cret", "rules": { "text": { "enabled": true, "words": ["secret"] } } });
    let reply = bench.post("/censorship/rules/check", &ask).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let hit = &reply.body["text"][0];
    assert_eq!(
        (&hit["word"], &hit["start"], &hit["end"]),
        (&json!("s3cret"), &json!(2), &json!(8))
    );
    assert_eq!(reply.body["width"], Value::Null);
    let bad = json!({ "text": "x", "rules": { "classes": { "NOSE": {} } } });
    let reply = bench.post("/censorship/rules/check", &bad).await;
    assert_problem(&reply, 422, "invalid-request");
    assert!(reply.text.contains("rules.classes.NOSE"), "{}", reply.text);
}

#[tokio::test]
async fn what_is_no_picture_or_no_form_is_refused_with_what_is_allowed() {
    let mut config = dev();
    config.pictures.max_side = 50;
    config.pictures.max_bytes = 4_096;
    let bench = bench(config);
    let path = "/process/frame";
    let large = send(&bench, path, png(64, 48), "image/png").await;
    assert_problem(&large, 422, "invalid-request");
    assert!(large.text.contains("64x48") && large.text.contains("50"), "{}", large.text);
    let many = [b"\xff\xd8\xff".as_slice(), &[0; 5_000]].concat();
    assert_problem(&send(&bench, path, many, "image/jpeg").await, 413, "too-large");
    let more = vec![0; 300 << 10];
    assert_problem(&send(&bench, path, more, "image/jpeg").await, 413, "too-large");
    for (body, kind, status, name) in [
        (b"GIF89a".to_vec(), "image/gif", 415, "unsupported-media-type"),
        (b"{}".to_vec(), "application/json", 415, "unsupported-media-type"),
        (b"x".to_vec(), "text/plain", 415, "unsupported-media-type"),
        (png(8, 8)[..60].to_vec(), "image/png", 422, "invalid-request"),
        (b"--x--".to_vec(), "multipart/form-data", 400, "malformed-request"),
        (form(&[]).0, form(&[]).1, 422, "invalid-request"),
        (form(&[("odd", b"1")]).0, form(&[]).1, 422, "invalid-request"),
        (form(&[("text", b"a"), ("text", b"b")]).0, form(&[]).1, 422, "invalid-request"),
        (form(&[("rules", b"{")]).0, form(&[]).1, 400, "malformed-request"),
    ] {
        assert_problem(&send(&bench, path, body, kind).await, status, name);
    }
}

#[tokio::test]
async fn sockets_ask_for_a_role_an_origin_and_an_upgrade() {
    let bench = bench(strict());
    for path in ["/ws/stream/one", "/stream"] {
        assert_problem(&bench.get(path).await, 401, "unauthenticated");
        for (role, origin, status, kind) in [
            ("viewer", None, 403, "forbidden"),
            ("operator", Some("https://evil.example"), 403, "forbidden"),
            ("operator", Some("https://studio.example"), 426, "upgrade-required"),
            ("operator", Some("https://live.example"), 426, "upgrade-required"),
            ("service", None, 426, "upgrade-required"),
        ] {
            let mut asked = request(Method::GET, path)
                .header("authorization", bearer(role, 60))
                .header("host", "live.example");
            if let Some(origin) = origin {
                asked = asked.header("origin", origin);
            }
            assert_problem(&bench.send(asked.body(Body::empty()).unwrap()).await, status, kind);
        }
    }
    let stats = bench.send(
        request(Method::GET, "/streaming/stats")
            .header("authorization", bearer("operator", 60))
            .body(Body::empty())
            .unwrap(),
    );
    let stats = stats.await;
    assert_eq!((&stats.body["active"], &stats.body["maxSessions"]), (&json!(0), &json!(10)));
}
