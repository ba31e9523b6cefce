//! Parts of a file that somebody else fetches: on iOS a background session goes on while the app sleeps, and hands over
//! files. What to ask it for is decided here, with the headers that a fetch would send; what it brings is taken by the
//! disk side and checked like anything else.

use std::ops::Range;

use super::Net;
use super::link::Link;
use super::open::Address;
use crate::{FilePlan, Request, StoreError};

/// Adjacent chunks of a file, fetched by one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its first byte in the file.
    pub from: u64,
    /// Its bytes.
    pub length: u64,
    /// Its chunks.
    pub chunks: Range<usize>,
}

/// Cuts what is missing into segments of about `bytes` (one chunk at least). Numbers that are no chunks are left out.
pub fn plan_segments(plan: &FilePlan, missing: &[usize], bytes: u64) -> Vec<Segment> {
    let mut missing: Vec<usize> = missing.iter().copied().filter(|&chunk| chunk < plan.chunks.len()).collect();
    missing.sort_unstable();
    missing.dedup();
    let mut segments: Vec<Segment> = Vec::new();
    for chunk in missing {
        let (from, length) = plan.chunks.range(chunk);
        match segments.last_mut() {
            Some(last) if last.chunks.end == chunk && last.length + length <= bytes => {
                last.length += length;
                last.chunks.end += 1;
            }
            _ => segments.push(Segment { from, length, chunks: chunk..chunk + 1 }),
        }
    }
    segments
}

/// The request for a segment, as a fetch would send it to the address itself. With a strong ETag it asks for the
/// segment of that very file: a server whose file changed answers 200, and what it sends is no segment.
pub fn segment_request(net: &Net, address: &Address, segment: &Segment) -> Result<Request, StoreError> {
    let origin = Link::parse(&address.url)?;
    net.options().check_scheme(&origin)?;
    let last = segment.length.checked_sub(1).and_then(|rest| segment.from.checked_add(rest));
    let last = last.ok_or(crate::FetchError::Length { length: segment.length })?;
    let mut headers = vec![
        ("Range".to_owned(), format!("bytes={}-{last}", segment.from)),
        ("Accept-Encoding".to_owned(), "identity".to_owned()),
    ];
    if let Some(etag) = address.etag.as_ref().filter(|etag| is_strong(etag)) {
        headers.push(("If-Range".to_owned(), etag.clone()));
    }
    headers.extend(address.headers.iter().cloned());
    if let Some(token) = net.options().token.as_ref()
        && origin.same_origin(&net.options().hub_link()?)
    {
        headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    }
    Ok(Request { url: origin.as_url(), headers })
}

/// Whether an ETag stands for exactly these bytes (RFC 9110, 8.8.1), and is one that can be sent back.
pub(crate) fn is_strong(etag: &str) -> bool {
    let inner = etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| inner.len() <= 500 && inner.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CHUNK, Digest};

    #[test]
    fn segments_cover_what_is_missing_and_nothing_else() {
        let plan = FilePlan::plain(Digest([0; 32]), 10 * CHUNK + 5);
        let segments = plan_segments(&plan, &[0, 1, 2, 4, 10, 9, 9, 77], 2 * CHUNK);
        let ranges: Vec<_> = segments.iter().map(|segment| segment.chunks.clone()).collect();
        assert_eq!(ranges, [0..2, 2..3, 4..5, 9..11]);
        assert_eq!((segments[3].from, segments[3].length), (9 * CHUNK, CHUNK + 5));
        assert_eq!(plan_segments(&plan, &[3, 4], 0).len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn every_missing_chunk_is_in_one_segment(size in 1_u64..40 * CHUNK, mask in 0_u64..u64::MAX, bytes in 0_u64..9 * CHUNK) {
            let plan = FilePlan::plain(Digest([0; 32]), size);
            let missing: Vec<usize> = (0..plan.chunks.len()).filter(|chunk| mask >> chunk & 1 == 1).collect();
            let segments = plan_segments(&plan, &missing, bytes);
            let covered: Vec<usize> = segments.iter().flat_map(|segment| segment.chunks.clone()).collect();
            proptest::prop_assert_eq!(covered, missing);
            for segment in segments {
                let end = segment.chunks.clone().map(|chunk| plan.chunks.range(chunk).1).sum::<u64>();
                proptest::prop_assert_eq!(segment.length, end);
                proptest::prop_assert!(segment.length <= bytes.max(CHUNK));
            }
        }
    }
}
