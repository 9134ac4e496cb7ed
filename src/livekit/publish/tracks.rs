//! What is published, and how far each track has come. Pure.

use std::collections::BTreeMap;

use livekit_protocol as proto;
use str0m::media::Mid;

use crate::media::{Kind, Source, VideoCodec};

/// What the server is told to expect of a video track, bit/s; it measures the truth.
const BITRATE: u32 = 2_500_000;

/// How far a track has come on the present connection.
#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// To be announced.
    Wanted,
    /// Announced, and the server has not said yes yet.
    Announced,
    /// The server knows it; to be offered.
    Published,
    /// Offered on this line.
    Offered(Mid),
    /// Answered: frames flow on this line.
    Ready(Mid),
    /// Answered, and the server does not take the codec.
    Refused(Mid),
}

impl Stage {
    fn line(&self) -> Option<Mid> {
        match self {
            Self::Wanted | Self::Announced | Self::Published => None,
            Self::Offered(mid) | Self::Ready(mid) | Self::Refused(mid) => Some(*mid),
        }
    }
}

/// One track.
#[derive(Clone, Debug)]
pub(super) struct Track {
    source: Source,
    codec: Option<VideoCodec>,
    size: (u32, u32),
    muted: bool,
    /// The id under which it is announced; never used twice on one connection.
    cid: String,
    publication: Option<proto::TrackPublishedResponse>,
    stage: Stage,
}

/// The tracks by source.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    tracks: BTreeMap<Source, Track>,
    /// Lines of tracks that were taken back, to be closed with the next offer.
    retired: Vec<Mid>,
    announced: u32,
}

impl Tracks {
    /// Wants a track; true when that is a new track, or one that replaces the one before.
    pub(super) fn announce(
        &mut self,
        source: Source,
        codec: Option<VideoCodec>,
        size: (u32, u32),
    ) -> bool {
        if self.tracks.get(&source).is_some_and(|track| track.codec == codec) {
            return false;
        }
        let muted = self.tracks.get(&source).is_some_and(|track| track.muted);
        self.retract(source);
        let cid = self.next_cid(source);
        let stage = Stage::Wanted;
        let track = Track { source, codec, size, muted, cid, publication: None, stage };
        self.tracks.insert(source, track);
        true
    }

    /// Takes a track back.
    pub(super) fn retract(&mut self, source: Source) {
        if let Some(track) = self.tracks.remove(&source)
            && let Some(mid) = track.stage.line()
        {
            self.retired.push(mid);
        }
    }

    /// Mutes or unmutes a track, once it exists.
    pub(super) fn mute(&mut self, source: Source, muted: bool) {
        if let Some(track) = self.tracks.get_mut(&source) {
            track.muted = muted;
        }
    }

    /// The sid and mute state of a track that the server knows.
    pub(super) fn muted(&self, source: Source) -> Option<(String, bool)> {
        let track = self.tracks.get(&source)?;
        let info = track.publication.as_ref()?.track.as_ref()?;
        Some((info.sid.clone(), track.muted))
    }

    /// The tracks to announce now; they count as announced.
    pub(super) fn unannounced(&mut self) -> Vec<Track> {
        let wanted = self.tracks.values_mut().filter(|track| track.stage == Stage::Wanted);
        wanted
            .map(|track| {
                track.stage = Stage::Announced;
                track.clone()
            })
            .collect()
    }

    /// The server knows a track. One that is not wanted any more is ignored: without an offer
    /// it never comes to life.
    pub(super) fn published(&mut self, response: proto::TrackPublishedResponse) {
        let track = self.tracks.values_mut().find(|track| track.cid == response.cid);
        if let Some(track) = track.filter(|track| track.stage == Stage::Announced) {
            track.publication = Some(response);
            track.stage = Stage::Published;
        }
    }

    /// The server ended a track by itself: it is to be announced again.
    pub(super) fn unpublished(&mut self, sid: &str) {
        let has_sid = |track: &&mut Track| {
            let info = track.publication.as_ref().and_then(|response| response.track.as_ref());
            info.is_some_and(|info| info.sid == sid)
        };
        let Some(source) = self.tracks.values_mut().find(has_sid).map(|track| track.source) else {
            return;
        };
        let cid = self.next_cid(source);
        if let Some(track) = self.tracks.get_mut(&source) {
            if let Some(mid) = track.stage.line() {
                self.retired.push(mid);
            }
            (track.cid, track.publication, track.stage) = (cid, None, Stage::Wanted);
        }
    }

    /// The tracks to offer now, and their ids.
    pub(super) fn unnegotiated(&self) -> Vec<(Kind, String)> {
        let published = self.tracks.values().filter(|track| track.stage == Stage::Published);
        published.map(|track| (track.source.kind(), track.cid.clone())).collect()
    }

    /// The lines to close now; they are forgotten.
    pub(super) fn take_retired(&mut self) -> Vec<Mid> {
        std::mem::take(&mut self.retired)
    }

    /// A track was offered on a line.
    pub(super) fn offered(&mut self, cid: &str, mid: Mid) {
        if let Some(track) = self.tracks.values_mut().find(|track| track.cid == cid) {
            track.stage = Stage::Offered(mid);
        }
    }

    /// Offers without an answer are void.
    pub(super) fn withdrawn(&mut self) {
        for track in self.tracks.values_mut() {
            if matches!(track.stage, Stage::Offered(_)) {
                track.stage = Stage::Published;
            }
        }
    }

    /// Announcements that were not answered before the connection broke are void.
    pub(super) fn unheard(&mut self) {
        for track in self.tracks.values_mut() {
            if track.stage == Stage::Announced {
                track.stage = Stage::Wanted;
            }
        }
    }

    /// The offer was answered: the sources that are ready now and were not before. `accepts`
    /// says whether the codec was agreed on for a line.
    pub(super) fn newly_ready(
        &mut self,
        mut accepts: impl FnMut(Mid, Option<VideoCodec>) -> bool,
    ) -> Vec<Source> {
        let mut ready = Vec::new();
        for track in self.tracks.values_mut() {
            let Stage::Offered(mid) = track.stage else { continue };
            if accepts(mid, track.codec) {
                track.stage = Stage::Ready(mid);
                ready.push(track.source);
            } else {
                tracing::error!(source = ?track.source, codec = ?track.codec,
                    "this codec cannot be published here: see room.enabled_codecs");
                track.stage = Stage::Refused(mid);
            }
        }
        ready
    }

    /// The connection is gone for good: everything has to be announced again.
    pub(super) fn disconnected(&mut self) {
        self.retired.clear();
        let sources: Vec<Source> = self.tracks.keys().copied().collect();
        for source in sources {
            let cid = self.next_cid(source);
            if let Some(track) = self.tracks.get_mut(&source) {
                (track.cid, track.publication, track.stage) = (cid, None, Stage::Wanted);
            }
        }
    }

    /// What the server knows, for a resume.
    pub(super) fn publications(&self) -> Vec<proto::TrackPublishedResponse> {
        self.tracks.values().filter_map(|track| track.publication.clone()).collect()
    }

    /// Whether frames of this source reach viewers.
    pub(super) fn ready(&self, source: Source) -> bool {
        self.line(source).is_some()
    }

    /// The line and codec on which frames of this source flow.
    pub(super) fn line(&self, source: Source) -> Option<(Mid, Option<VideoCodec>)> {
        let track = self.tracks.get(&source)?;
        match track.stage {
            Stage::Ready(mid) => Some((mid, track.codec)),
            _ => None,
        }
    }

    /// The source whose frames flow on this line.
    pub(super) fn on_line(&self, mid: Mid) -> Option<Source> {
        let on_line = |track: &&Track| matches!(track.stage, Stage::Offered(line) | Stage::Ready(line) if line == mid);
        self.tracks.values().find(on_line).map(|track| track.source)
    }

    /// The video sources that are ready.
    pub(super) fn sources(&self) -> Vec<Source> {
        let ready = self.tracks.keys().copied();
        ready.filter(|source| source.kind() == Kind::Video && self.ready(*source)).collect()
    }

    fn next_cid(&mut self, source: Source) -> String {
        self.announced += 1;
        let name = match source {
            Source::Camera => "camera",
            Source::Screen => "screen",
            Source::Microphone => "microphone",
            Source::ScreenAudio => "screen-audio",
        };
        format!("{name}-{}", self.announced)
    }
}

/// The announcement of a track.
pub(super) fn add_request(track: &Track) -> proto::AddTrackRequest {
    let (width, height) = track.size;
    let (name, stream, source) = match track.source {
        Source::Camera => ("camera", "camera", proto::TrackSource::Camera),
        Source::Screen => ("screen", "screen", proto::TrackSource::ScreenShare),
        Source::Microphone => ("microphone", "camera", proto::TrackSource::Microphone),
        Source::ScreenAudio => ("screen-audio", "screen", proto::TrackSource::ScreenShareAudio),
    };
    let request = proto::AddTrackRequest {
        cid: track.cid.clone(),
        name: name.into(),
        source: source.into(),
        stream: stream.into(),
        muted: track.muted,
        disable_red: true,
        r#type: proto::TrackType::Audio.into(),
        ..Default::default()
    };
    let Some(codec) = track.codec else { return request };
    let layers = vec![proto::VideoLayer {
        quality: proto::VideoQuality::High.into(),
        width,
        height,
        bitrate: BITRATE,
        ..Default::default()
    }];
    let codec = proto::SimulcastCodec {
        codec: codec.name().into(),
        cid: track.cid.clone(),
        layers: layers.clone(),
        ..Default::default()
    };
    proto::AddTrackRequest {
        r#type: proto::TrackType::Video.into(),
        width,
        height,
        layers,
        simulcast_codecs: vec![codec],
        ..request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(tracks: &mut Tracks, mid: &str) {
        for track in tracks.unannounced() {
            let track = proto::TrackPublishedResponse {
                cid: track.cid,
                track: Some(proto::TrackInfo { sid: "TR_1".into(), ..Default::default() }),
            };
            tracks.published(track);
        }
        for (_, cid) in tracks.unnegotiated() {
            tracks.offered(&cid, mid.into());
        }
    }

    #[test]
    fn a_track_comes_to_life_in_steps() {
        let mut tracks = Tracks::default();
        assert!(tracks.announce(Source::Camera, Some(VideoCodec::Vp8), (640, 360)));
        assert!(!tracks.announce(Source::Camera, Some(VideoCodec::Vp8), (1280, 720)));
        publish(&mut tracks, "0");
        assert!(!tracks.ready(Source::Camera));
        assert_eq!(tracks.newly_ready(|_, _| true), [Source::Camera]);
        assert!(tracks.newly_ready(|_, _| true).is_empty());
        assert_eq!(tracks.line(Source::Camera), Some(("0".into(), Some(VideoCodec::Vp8))));
        assert_eq!(tracks.on_line("0".into()), Some(Source::Camera));
    }

    #[test]
    fn another_codec_replaces_the_track_and_retires_its_line() {
        let mut tracks = Tracks::default();
        tracks.announce(Source::Camera, Some(VideoCodec::Vp8), (640, 360));
        publish(&mut tracks, "0");
        tracks.newly_ready(|_, _| true);
        tracks.mute(Source::Camera, true);
        assert!(tracks.announce(Source::Camera, Some(VideoCodec::H264), (640, 360)));
        assert!(!tracks.ready(Source::Camera));
        let retired: [Mid; 1] = ["0".into()];
        assert_eq!(tracks.take_retired(), retired);
        let [track] = &tracks.unannounced()[..] else { panic!("one track to announce") };
        let request = add_request(track);
        assert!(request.muted, "muting outlives the track");
        assert_eq!(request.simulcast_codecs[0].codec, "h264");
        assert_eq!(request.simulcast_codecs[0].cid, request.cid);
    }

    #[test]
    fn a_codec_that_the_server_does_not_take_is_never_ready() {
        let mut tracks = Tracks::default();
        tracks.announce(Source::Camera, Some(VideoCodec::H264), (640, 360));
        publish(&mut tracks, "0");
        assert!(tracks.newly_ready(|_, _| false).is_empty());
        assert!(!tracks.ready(Source::Camera));
        tracks.retract(Source::Camera);
        assert_eq!(tracks.take_retired().len(), 1);
    }

    #[test]
    fn a_lost_connection_announces_everything_again_under_new_ids() {
        let mut tracks = Tracks::default();
        tracks.announce(Source::Camera, Some(VideoCodec::Vp8), (640, 360));
        tracks.announce(Source::Microphone, None, (0, 0));
        publish(&mut tracks, "0");
        tracks.newly_ready(|_, _| true);
        tracks.disconnected();
        assert!(!tracks.ready(Source::Camera) && tracks.publications().is_empty());
        let again = tracks.unannounced();
        assert_eq!(again.len(), 2);
        assert!(again.iter().all(|track| track.cid.ends_with('3') || track.cid.ends_with('4')));
    }

    #[test]
    fn what_a_broken_connection_left_open_is_done_again() {
        let mut tracks = Tracks::default();
        tracks.announce(Source::Camera, Some(VideoCodec::Vp8), (640, 360));
        assert_eq!(tracks.unannounced().len(), 1);
        tracks.unheard();
        publish(&mut tracks, "0");
        tracks.withdrawn();
        assert_eq!(tracks.unnegotiated().len(), 1);
        tracks.unpublished("TR_1");
        assert_eq!(tracks.unannounced().len(), 1);
    }
}
