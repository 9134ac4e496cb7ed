//! The LiveKit edge against a real livekit-server: what our publisher sends, our subscriber gets,
//! whatever happens to the network and the server in between.

#![allow(clippy::disallowed_methods, reason = "outside the server, where nobody supervises")]

#[allow(unreachable_pub, missing_docs, dead_code)]
mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scrim::livekit::{
    self, CheckError, Downstream, Entrance, Exit, Incoming, Link, Outgoing, UpstreamCommand, Whom,
};
use scrim::media::{Source, VideoCodec};
use support::proxy::{Line, Proxy};
use support::server::Server;
use support::stage::{Broadcaster, PATIENCE, Watcher};

/// The room that a publisher for `show` publishes into, and the subscriber's raw room here.
const ROOM: &str = "show-processed";

async fn pictures_arrive_unchanged(codec: VideoCodec) {
    let server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    watcher.connected().await;
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    broadcaster.film(codec).await;
    assert_eq!(watcher.started().await.1, Some(codec));
    let first = watcher.picture().await;
    assert!(first.keyframe, "the first picture can be decoded");
    let mut last = first;
    for _ in 0..90 {
        let picture = watcher.picture().await;
        assert_eq!(picture.codec, codec);
        assert!(broadcaster.sent(&picture.data), "not one byte differs");
        assert!(picture.contiguous);
        assert_eq!(picture.rtp_time - last.rtp_time, 3000);
        assert!(picture.captured >= last.captured && picture.captured <= picture.arrived);
        last = picture;
    }
    assert_eq!(broadcaster.leave().await, Exit::Cancelled);
    assert_eq!(watcher.leave().await, Exit::Cancelled);
}

#[tokio::test]
async fn vp8_arrives_unchanged() {
    pictures_arrive_unchanged(VideoCodec::Vp8).await;
}

#[tokio::test]
async fn h264_arrives_unchanged() {
    pictures_arrive_unchanged(VideoCodec::H264).await;
}

#[tokio::test]
async fn sound_arrives_unchanged_and_muting_is_told() {
    let server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    watcher.connected().await;
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    let source = Source::Microphone;
    broadcaster.send(Outgoing::Announce { source, codec: None, size: (0, 0) }).await;
    broadcaster.wait_for("ready", |event| *event == Downstream::Ready { source }).await;
    let sender = broadcaster.outgoing();
    let speaker = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for n in 0.. {
            ticks.tick().await;
            let (data, due) = (support::frames::audio(n), Instant::now());
            let (rtp_time, captured) = (n * 960, due);
            let packet = Outgoing::Audio { source, data, rtp_time, captured, due };
            if sender.send(packet).await.is_err() {
                return;
            }
        }
    });
    assert_eq!(watcher.started().await.1, None);
    let known: HashSet<Arc<[u8]>> = (0..5000).map(support::frames::audio).collect();
    let mut last = watcher.sound().await.rtp_time;
    for _ in 0..100 {
        let packet = watcher.sound().await;
        assert!(known.contains(&packet.data), "not one byte differs");
        assert_eq!(packet.rtp_time - last, 960);
        last = packet.rtp_time;
    }
    for expected in [true, false] {
        broadcaster.send(Outgoing::Mute { source, muted: expected }).await;
        let muted = |message| match message {
            Incoming::Muted { muted, .. } => Some(muted),
            _ => None,
        };
        assert_eq!(watcher.wait_for("mute", muted).await, expected);
    }
    broadcaster.leave().await;
    speaker.abort();
}

#[tokio::test]
async fn only_broadcasters_are_seen() {
    let server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    watcher.connected().await;
    let mut stranger = Broadcaster::join(&server, "show", "somebody");
    stranger.film(VideoCodec::Vp8).await;
    let mut broadcaster = Broadcaster::join(&server, "show", "the-broadcaster");
    broadcaster.film(VideoCodec::H264).await;
    let identity = watcher
        .wait_for("track", |message| match message {
            Incoming::Started { identity, .. } => Some(identity),
            _ => None,
        })
        .await;
    assert_eq!(identity, "the-broadcaster");
    for _ in 0..30 {
        assert_eq!(watcher.picture().await.codec, VideoCodec::H264);
    }
    stranger.leave().await;
    broadcaster.leave().await;
}

#[tokio::test]
async fn a_keyframe_that_is_asked_for_comes() {
    let server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    broadcaster.film(VideoCodec::Vp8).await;
    let (track, _) = watcher.started().await;
    // Just after the keyframe that starts the track, while the server still ignores requests.
    while !watcher.picture().await.keyframe {}
    let command = UpstreamCommand::RequestKeyframe { track };
    watcher.commands.send(command).await.expect("the subscriber runs");
    let mut pictures = 1;
    while !watcher.picture().await.keyframe {
        pictures += 1;
    }
    assert!(pictures < support::frames::GROUP, "earlier than it would have come by itself");
    broadcaster.leave().await;
}

#[tokio::test]
async fn another_codec_replaces_the_track() {
    let server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    let mut before: Option<String> = None;
    for codec in [VideoCodec::Vp8, VideoCodec::H264, VideoCodec::Vp8, VideoCodec::H264] {
        broadcaster.film(codec).await;
        let (mut started, mut ended, mut pictures) = (None, before.is_none(), 0);
        while pictures < 45 || !ended {
            match watcher.wait_for("the change", Some).await {
                Incoming::Started { track, codec: announced, .. } => {
                    assert_eq!(announced, Some(codec));
                    started = Some(track);
                }
                Incoming::Ended { track } => ended |= before.as_ref() == Some(&track),
                Incoming::Video { track, frame } if started.as_ref() == Some(&track) => {
                    assert_eq!(frame.codec, codec);
                    assert!(pictures > 0 || frame.keyframe, "it starts with a keyframe");
                    assert!(broadcaster.sent(&frame.data));
                    pictures += 1;
                }
                Incoming::Video { .. } => assert!(!ended, "nothing comes after the end"),
                _ => {}
            }
        }
        before = started;
    }
    broadcaster.leave().await;
}

#[tokio::test]
async fn taking_a_track_back_and_announcing_it_again_reuses_lines() {
    let server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    // Whether a stream on a line that was used before gets lost depends on its random first
    // sequence number: each reuse is an even chance to see it.
    for _ in 0..10 {
        broadcaster.film(VideoCodec::Vp8).await;
        watcher.started().await;
        for _ in 0..20 {
            assert!(broadcaster.sent(&watcher.picture().await.data));
        }
        broadcaster.cut();
        broadcaster.send(Outgoing::Retract { source: Source::Camera }).await;
        let ended = |message| matches!(message, Incoming::Ended { .. }).then_some(());
        watcher.wait_for("end", ended).await;
    }
    broadcaster.leave().await;
}

/// What came in some time.
#[derive(Debug, Default)]
struct Count {
    sent: usize,
    pictures: usize,
    gaps: usize,
}

/// Watches for this long.
async fn count(watcher: &mut Watcher, broadcaster: &Broadcaster, time: Duration) -> Count {
    let Count { mut pictures, mut gaps, .. } = Count::default();
    let before = broadcaster.count();
    let watch = async {
        loop {
            let picture = watcher.picture().await;
            pictures += 1;
            gaps += usize::from(!picture.contiguous);
        }
    };
    let _ = tokio::time::timeout(time, watch).await;
    Count { sent: broadcaster.count() - before, pictures, gaps }
}

#[tokio::test]
async fn three_percent_loss_is_repaired() {
    let server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    broadcaster.film(VideoCodec::Vp8).await;
    watcher.started().await;
    watcher.picture().await;
    watcher.faults.loss(3);
    let count_in = count(&mut watcher, &broadcaster, Duration::from_secs(10)).await;
    println!("receiving: {count_in:?}, {} packets lost", watcher.faults.lost());
    assert!(watcher.faults.lost() > 20, "packets were lost");
    assert!(count_in.pictures + 15 >= count_in.sent && count_in.gaps <= 3, "{count_in:?}");
    broadcaster.faults.loss(3);
    watcher.faults.loss(0);
    let count_out = count(&mut watcher, &broadcaster, Duration::from_secs(10)).await;
    println!("sending: {count_out:?}, {} packets lost", broadcaster.faults.lost());
    assert!(broadcaster.faults.lost() > 20, "packets were lost");
    assert!(count_out.pictures + 15 >= count_out.sent && count_out.gaps <= 3, "{count_out:?}");
    broadcaster.leave().await;
}

/// Waits until pictures flow again after trouble: a keyframe, then thirty without a gap.
async fn recovered(watcher: &mut Watcher, broadcaster: &Broadcaster) {
    let recovery = async {
        while !watcher.picture().await.keyframe {}
        let mut run = 0;
        while run < 30 {
            let picture = watcher.picture().await;
            run = if picture.contiguous && broadcaster.sent(&picture.data) { run + 1 } else { 0 };
        }
    };
    tokio::time::timeout(PATIENCE, recovery).await.expect("pictures flow again");
}

#[tokio::test]
async fn a_blackout_of_three_seconds_is_survived_by_the_subscriber() {
    let server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    broadcaster.film(VideoCodec::Vp8).await;
    watcher.started().await;
    watcher.picture().await;
    watcher.faults.blackout(true);
    let lost = |message| matches!(message, Incoming::Link(Link::Reconnecting(_))).then_some(());
    let start = Instant::now();
    watcher.wait_for("loss", lost).await;
    assert!(start.elapsed() < Duration::from_secs(3), "the silence is noticed");
    tokio::time::sleep_until((start + Duration::from_secs(3)).into()).await;
    watcher.faults.blackout(false);
    let end = Instant::now();
    recovered(&mut watcher, &broadcaster).await;
    println!("pictures {:?} after the blackout", end.elapsed() - Duration::from_secs(1));
    broadcaster.leave().await;
}

#[tokio::test]
async fn a_blackout_of_three_seconds_is_survived_by_the_publisher() {
    let server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    broadcaster.film(VideoCodec::H264).await;
    watcher.started().await;
    watcher.picture().await;
    broadcaster.faults.blackout(true);
    let start = Instant::now();
    let lost = |event: &Downstream| matches!(event, Downstream::Link(Link::Reconnecting(_)));
    broadcaster.wait_for("loss", lost).await;
    tokio::time::sleep_until((start + Duration::from_secs(3)).into()).await;
    broadcaster.faults.blackout(false);
    let end = Instant::now();
    recovered(&mut watcher, &broadcaster).await;
    println!("pictures {:?} after the blackout", end.elapsed() - Duration::from_secs(1));
    broadcaster.leave().await;
}

#[tokio::test]
async fn a_restart_of_the_server_is_survived_by_both() {
    let mut server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    broadcaster.film(VideoCodec::Vp8).await;
    watcher.started().await;
    watcher.picture().await;
    server.kill();
    let ended = |message| matches!(message, Incoming::Ended { .. }).then_some(());
    watcher.wait_for("end", ended).await;
    server.restart().await;
    let back = Instant::now();
    watcher.started().await;
    recovered(&mut watcher, &broadcaster).await;
    let took = back.elapsed() - Duration::from_secs(1);
    println!("pictures {took:?} after the server was back");
    assert!(took < Duration::from_secs(5));
    broadcaster.leave().await;
}

#[tokio::test]
async fn a_wrong_key_and_a_server_that_is_not_there_are_told_apart() {
    let mut server = Server::start().await;
    let good = server.credentials();
    livekit::create_rooms(&good, "show").await.expect("rooms are made");
    livekit::create_rooms(&good, "show").await.expect("making them again is fine");
    livekit::delete_processed_room(&good, "show").await.expect("it is deleted");
    livekit::delete_processed_room(&good, "show").await.expect("deleting it again is fine");
    let mut wrong = good.clone();
    wrong.api_key = "nobody".into();
    assert!(matches!(livekit::check(&wrong).await, Err(CheckError::WrongKey)));
    let mut wrong = good.clone();
    wrong.api_secret = "another-secret-another-secret-32c".into();
    assert!(matches!(livekit::check(&wrong).await, Err(CheckError::WrongKey)));
    let (mut incoming, _commands, actor) =
        livekit::subscribe::new(Entrance::raw(wrong, "show"), Whom::Broadcasters);
    let exit = tokio::time::timeout(PATIENCE, actor.run(Default::default())).await;
    let Ok(Exit::Failed(reason)) = exit else { panic!("it gives up") };
    assert!(reason.contains("key"), "{reason}");
    let Some(Incoming::Link(Link::Failed(told))) = incoming.recv().await else { panic!("told") };
    assert_eq!(told, reason);
    server.kill();
    assert!(matches!(livekit::check(&good).await, Err(CheckError::Unreachable { .. })));
}

#[tokio::test]
async fn being_removed_is_final() {
    let server = Server::start().await;
    let credentials = server.credentials();
    livekit::create_rooms(&credentials, "show").await.expect("rooms are made");
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    broadcaster.film(VideoCodec::Vp8).await;
    livekit::delete_processed_room(&credentials, "show").await.expect("it is deleted");
    let failed = |event: &Downstream| matches!(event, Downstream::Link(Link::Failed(_)));
    broadcaster.wait_for("failure", failed).await;
    assert!(matches!(broadcaster.leave().await, Exit::Failed(_)));
}

#[tokio::test]
async fn idling_and_a_broadcaster_who_stalls_are_no_reason_to_reconnect() {
    let server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    watcher.connected().await;
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    broadcaster.wait_for("connection", |event| *event == Downstream::Link(Link::Connected)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    broadcaster.film(VideoCodec::Vp8).await;
    watcher.started().await;
    watcher.picture().await;
    broadcaster.cut();
    tokio::time::sleep(Duration::from_secs(5)).await;
    broadcaster.film(VideoCodec::Vp8).await;
    watcher
        .wait_for("a picture after the pause", |message| match message {
            Incoming::Link(link) => panic!("{link:?}"),
            Incoming::Video { frame, .. } if frame.rtp_time > 0 && frame.keyframe => Some(()),
            _ => None,
        })
        .await;
    let lost = |event: &Downstream| matches!(event, Downstream::Link(_));
    assert!(!broadcaster.events().iter().any(lost));
    broadcaster.leave().await;
}

#[tokio::test]
async fn media_flows_on_while_signalling_is_away() {
    for line in [Line::Cut, Line::Hung] {
        let server = Server::start().await;
        let proxy = Proxy::start(server.address()).await;
        let mut credentials = server.credentials();
        credentials.url = format!("ws://{}", proxy.address);
        let mut watcher = Watcher::join_at(credentials.clone(), ROOM);
        let mut broadcaster = Broadcaster::join_at(credentials, "show", "broadcaster-1");
        broadcaster.film(VideoCodec::Vp8).await;
        watcher.started().await;
        watcher.picture().await;
        proxy.set(line);
        let away = Duration::from_millis(700);
        let flow = count(&mut watcher, &broadcaster, away).await;
        proxy.set(Line::Open);
        assert!(flow.pictures + 3 >= flow.sent && flow.gaps == 0, "{line:?}: {flow:?}");
        if line == Line::Cut {
            let up = |event: &Downstream| *event == Downstream::Link(Link::Connected);
            broadcaster.wait_for("resume", up).await;
        }
        let after = count(&mut watcher, &broadcaster, Duration::from_secs(3)).await;
        println!("{line:?}, the three seconds after: {after:?}");
        recovered(&mut watcher, &broadcaster).await;
        // The resumed session still works: another track can be published.
        broadcaster.film(VideoCodec::H264).await;
        watcher.started().await;
        broadcaster.leave().await;
    }
}

#[tokio::test]
async fn a_long_outage_of_everything_is_survived() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let mut credentials = server.credentials();
    credentials.url = format!("ws://{}", proxy.address);
    let mut watcher = Watcher::join_at(credentials.clone(), ROOM);
    let mut broadcaster = Broadcaster::join_at(credentials, "show", "broadcaster-1");
    broadcaster.film(VideoCodec::Vp8).await;
    watcher.started().await;
    watcher.picture().await;
    proxy.set(Line::Hung);
    watcher.faults.blackout(true);
    broadcaster.faults.blackout(true);
    let outage = count(&mut watcher, &broadcaster, Duration::from_secs(12)).await;
    assert!(outage.pictures < 10, "nothing comes through");
    proxy.set(Line::Open);
    watcher.faults.blackout(false);
    broadcaster.faults.blackout(false);
    let end = Instant::now();
    recovered(&mut watcher, &broadcaster).await;
    println!("pictures {:?} after the outage", end.elapsed() - Duration::from_secs(1));
    broadcaster.leave().await;
}

#[tokio::test]
async fn a_slow_pipeline_is_told_what_it_missed() {
    let server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    broadcaster.film(VideoCodec::Vp8).await;
    watcher.started().await;
    let mut last = watcher.picture().await.rtp_time;
    let capacity = livekit::subscribe::INCOMING as u64;
    let fill = Duration::from_secs(capacity / support::frames::RATE + 3);
    tokio::time::sleep(fill).await;
    let gap = loop {
        let picture = watcher.picture().await;
        if picture.rtp_time - last != 3000 {
            break picture;
        }
        assert!(picture.contiguous);
        last = picture.rtp_time;
    };
    assert!(!gap.contiguous, "the picture after those that were dropped says so");
    let mut pictures = 0;
    while !watcher.picture().await.keyframe {
        pictures += 1;
    }
    assert!(pictures < support::frames::GROUP, "a keyframe was asked for");
    broadcaster.leave().await;
}

#[tokio::test]
async fn where_no_udp_gets_through_tcp_does() {
    let server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    watcher.faults.no_udp(true);
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    broadcaster.faults.no_udp(true);
    broadcaster.film(VideoCodec::Vp8).await;
    watcher.started().await;
    recovered(&mut watcher, &broadcaster).await;
    let flow = count(&mut watcher, &broadcaster, Duration::from_secs(3)).await;
    assert!(flow.pictures + 3 >= flow.sent && flow.gaps == 0, "{flow:?}");
    assert!(watcher.faults.lost() > 0 && broadcaster.faults.lost() > 0);
    broadcaster.leave().await;
}

#[tokio::test]
async fn when_udp_stops_in_mid_stream_tcp_takes_over() {
    let server = Server::start().await;
    let mut watcher = Watcher::join(&server, ROOM);
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    broadcaster.film(VideoCodec::H264).await;
    watcher.started().await;
    watcher.picture().await;
    watcher.faults.no_udp(true);
    let start = Instant::now();
    let lost = |message| matches!(message, Incoming::Link(Link::Reconnecting(_))).then_some(());
    watcher.wait_for("loss", lost).await;
    recovered(&mut watcher, &broadcaster).await;
    println!("pictures {:?} after UDP stopped", start.elapsed() - Duration::from_secs(1));
    broadcaster.leave().await;
}

#[tokio::test]
async fn a_track_can_come_and_go_for_ever() {
    let server = Server::start().await;
    let mut broadcaster = Broadcaster::join(&server, "show", "broadcaster-1");
    let source = Source::Screen;
    for _ in 0..60 {
        let codec = Some(VideoCodec::Vp8);
        broadcaster.send(Outgoing::Announce { source, codec, size: (320, 180) }).await;
        broadcaster.wait_for("ready", |event| *event == Downstream::Ready { source }).await;
        broadcaster.send(Outgoing::Retract { source }).await;
    }
    let mut watcher = Watcher::join(&server, ROOM);
    broadcaster.film(VideoCodec::Vp8).await;
    watcher.started().await;
    watcher.picture().await;
    broadcaster.leave().await;
}
