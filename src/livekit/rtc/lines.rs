//! What we read in session descriptions by ourselves. Pure.

/// The mid and the SSRCs of each line of a session description.
pub(super) fn ssrcs_by_line(sdp: &str) -> Vec<(String, Vec<String>)> {
    let mut lines = Vec::new();
    for section in sdp.split("\nm=").skip(1) {
        let mut mid = None;
        let mut ssrcs: Vec<String> = Vec::new();
        for attribute in section.lines().filter_map(|line| line.trim_end().strip_prefix("a=")) {
            if let Some(value) = attribute.strip_prefix("mid:") {
                mid = Some(value.to_owned());
            } else if let Some(value) = attribute.strip_prefix("ssrc:")
                && let Some(ssrc) = value.split(' ').next()
                && !ssrcs.iter().any(|known| known == ssrc)
            {
                ssrcs.push(ssrc.to_owned());
            }
        }
        lines.extend(mid.map(|mid| (mid, ssrcs)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_their_ssrcs_are_found() {
        let sdp = "v=0\r\na=group:BUNDLE 0 1\r\nm=application 9 UDP/DTLS/SCTP x\r\na=mid:0\r\n\
                   m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=ssrc:11 cname:a\r\n\
                   a=ssrc:11 msid:a b\r\na=ssrc:12 cname:a\r\n";
        let expected =
            vec![("0".into(), vec![]), ("1".into(), vec!["11".to_owned(), "12".to_owned()])];
        assert_eq!(ssrcs_by_line(sdp), expected);
    }
}
