//! What a pipeline talks to, with nobody at the other end.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc};

use crate::censor::Policy;
use crate::detect::{self, Finding};
use crate::livekit::{Outgoing, UpstreamCommand};
use crate::media::Picture;
use crate::pipeline::{Delay, Figures, Links};
use crate::telemetry::Metrics;

/// A detector that is never asked.
struct Blind;

impl detect::Model for Blind {
    fn name(&self) -> &str {
        "blind"
    }

    fn bucket(&self, _: &Arc<Picture>) -> u32 {
        0
    }

    fn open(&self) -> Result<detect::Opened, detect::Error> {
        Ok(detect::Opened {
            detector: Box::new(Self),
            provider: "script".into(),
            fallback: None,
            batches: false,
            classes: Vec::new(),
        })
    }
}

impl detect::Detector for Blind {
    fn detect(&mut self, _: &[Arc<Picture>]) -> Result<Vec<Vec<Finding>>, detect::Error> {
        Err(detect::Error::new("blind"))
    }
}

/// Links, and the ends of the queues to the publisher and to the raw room.
pub(super) fn links(policy: &Policy) -> anyhow::Result<Ends> {
    let (out, outgoing) = mpsc::channel(1);
    let (ask, upstream) = mpsc::channel(64);
    let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
    let config = detect::Config { workers: 1, ..detect::Config::default() };
    let links = Links {
        detect: detect::Service::start_with(&config, vec![Arc::new(Blind)], |_| ())?,
        outgoing: out,
        upstream: ask,
        events: broadcast::channel(1).0,
        room: metrics.room("soak"),
        metrics,
        figures: Arc::new(Figures::default()),
        delay: Arc::new(Delay::new(policy)),
        encoders: Arc::new(crate::runtime::Permits::new(1)),
        engines: crate::media::Engines::default(),
        trace: crate::telemetry::trace::StreamTrace::default(),
        thumbnails: None,
    };
    Ok(Ends { links, outgoing, upstream })
}

/// See [`links`].
pub(super) struct Ends {
    pub(super) links: Links,
    pub(super) outgoing: mpsc::Receiver<Outgoing>,
    pub(super) upstream: mpsc::Receiver<UpstreamCommand>,
}
