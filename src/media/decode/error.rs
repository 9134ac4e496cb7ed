//! What can be wrong with a frame, or with what decodes it.

use ffmpeg_next as ff;

use crate::media::VideoCodec;

/// Why a frame gave no picture. After each of them but `Codec`, a keyframe is needed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This FFmpeg has no decoder for the codec.
    #[error("no decoder for {}", .0.name())]
    Missing(VideoCodec),
    /// The decoder could not be opened.
    #[error("could not open the {} decoder", codec.name())]
    Open {
        /// The codec.
        codec: VideoCodec,
        /// What FFmpeg said.
        source: ff::Error,
    },
    /// The frame is of another codec than the decoder.
    #[error("a {} frame came to a {} decoder", got.name(), expected.name())]
    Codec {
        /// The decoder's codec.
        expected: VideoCodec,
        /// The frame's codec.
        got: VideoCodec,
    },
    /// The decoder refused the frame.
    #[error("the frame cannot be decoded")]
    Refused(#[source] ff::Error),
    /// The GPU did not hand over the picture.
    #[error("the picture cannot be brought down from the GPU")]
    Download(#[source] ff::Error),
    /// The decoder marked the picture as damaged, or made parts of it up.
    #[error("the picture is damaged")]
    Damaged,
    /// The picture belongs to an earlier frame: the stream has B frames, which live video has not.
    #[error("pictures come out of order")]
    Reordered,
    /// More than one picture came out of one frame: a viewer might see the one nobody looked at.
    #[error("a frame holds more than one picture")]
    Several,
    /// The samples are in a format that cannot be brought to 8-bit 4:2:0.
    #[error("pixel format {0} is not supported")]
    Format(String),
}

impl Error {
    /// With what is behind it, in one line.
    pub(super) fn in_full(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }

    /// Whether the GPU is to blame, and not the stream: FFmpeg has an error of its own for
    /// what fails outside of it.
    pub(super) fn is_of_the_gpu(&self) -> bool {
        match self {
            Self::Download(_) => true,
            Self::Refused(error) => matches!(
                error,
                ff::Error::External
                    | ff::Error::Unknown
                    | ff::Error::Other { errno: ff::error::ENOMEM | ff::error::ENOSYS }
            ),
            _ => false,
        }
    }
}
