//! Offers, answers and candidates of one peer connection.

use std::collections::HashMap;

use str0m::Candidate;
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::TcpType;

use super::lines::ssrcs_by_line;
use super::{Peer, PeerError};
use crate::media::Kind;

/// A change of what we send.
#[derive(Debug)]
pub(in crate::livekit) struct Changes<'a> {
    /// Tracks to add: pictures or sound, and the id under which they were announced.
    pub(in crate::livekit) add: &'a [(Kind, String)],
    /// Lines to take out of use.
    pub(in crate::livekit) remove: &'a [Mid],
    /// Whether to look for a network path anew.
    pub(in crate::livekit) restart_ice: bool,
}

impl Peer {
    /// Answers an offer. `tracks` names the track on each line.
    pub(in crate::livekit) fn accept_offer(
        &mut self,
        sdp: &str,
        tracks: &HashMap<String, String>,
    ) -> Result<String, PeerError> {
        for (mid, ssrcs) in ssrcs_by_line(sdp) {
            let Some(track) = tracks.get(&mid) else { continue };
            let mid: Mid = mid.as_str().into();
            let line = (track.clone(), ssrcs);
            let reused = self.lines.get(&mid).is_some_and(|before| *before != line);
            if reused {
                // The engine keeps the depacketiser of the line's last stream, and frames of
                // the new one would vanish: it has to forget the line first.
                self.rtc.direct_api().remove_media(mid);
            }
            self.lines.insert(mid, line);
        }
        let answer = self.rtc.sdp_api().accept_offer(SdpOffer::from_sdp_string(sdp)?)?;
        self.described();
        Ok(answer.to_sdp_string())
    }

    /// Makes an offer of `changes`. Returns it with the lines of the added tracks, or `None` when
    /// there is nothing to negotiate. The offer must be answered before the next is made.
    pub(in crate::livekit) fn offer(
        &mut self,
        changes: &Changes<'_>,
    ) -> Option<(String, Vec<Mid>)> {
        let mut api = self.rtc.sdp_api();
        if changes.restart_ice {
            api.ice_restart(true);
        }
        for mid in changes.remove {
            api.set_direction(*mid, Direction::Inactive);
        }
        let added = changes.add.iter().map(|(kind, id)| {
            let kind = match kind {
                Kind::Video => MediaKind::Video,
                Kind::Audio => MediaKind::Audio,
            };
            let stream = Some("scrim".to_owned());
            api.add_media(kind, Direction::SendOnly, stream, Some(id.clone()), None)
        });
        let added: Vec<Mid> = added.collect();
        let (offer, pending) = api.apply()?;
        self.offered += added.len();
        self.pending = Some(pending);
        Some((offer.to_sdp_string(), added))
    }

    /// Lines that were offered on this connection, used up or not.
    pub(in crate::livekit) fn offered(&self) -> usize {
        self.offered
    }

    /// Whether an offer waits for its answer.
    pub(in crate::livekit) fn negotiating(&self) -> bool {
        self.pending.is_some()
    }

    /// Takes the answer to our offer.
    pub(in crate::livekit) fn accept_answer(&mut self, sdp: &str) -> Result<(), PeerError> {
        let pending = self.pending.take().ok_or(PeerError::Unexpected)?;
        self.rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(sdp)?)?;
        self.described();
        Ok(())
    }

    /// Forgets an offer that will not be answered.
    pub(in crate::livekit) fn withdraw_offer(&mut self) {
        self.pending = None;
    }

    /// Takes a candidate of the other side, as its `candidate:` line.
    pub(in crate::livekit) fn candidate(&mut self, line: &str) {
        let candidate = Candidate::from_sdp_string(line);
        if let Ok(candidate) = &candidate
            && candidate.tcptype() == Some(TcpType::Passive)
            && !self.passive.contains(&candidate.addr())
        {
            self.passive.push(candidate.addr());
        }
        match candidate {
            Ok(candidate) if self.described && self.pending.is_none() => {
                self.rtc.add_remote_candidate(candidate);
            }
            Ok(candidate) => self.candidates.push(candidate),
            Err(error) => tracing::debug!(line, %error, "candidate not understood"),
        }
    }

    fn described(&mut self) {
        self.described = true;
        for candidate in self.candidates.drain(..) {
            self.rtc.add_remote_candidate(candidate);
        }
    }
}
