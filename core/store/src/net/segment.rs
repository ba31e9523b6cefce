//! Parts of a file that somebody else fetches: on iOS a background session goes on while the app sleeps, and hands over
//! files. What to ask it for is decided here; what it brings is taken by the disk side and checked like anything else.
//!
//! Such a session follows redirects by itself, and may take the headers of a request along to any host. So where there is
//! a secret among them the redirects are followed here, once for a file, and it is given the address at their end, without
//! what is for others.

use std::ops::Range;

use super::Net;
use super::control::Control;
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

/// Where a file's bytes are, for somebody who follows redirects without asking anybody: nothing secret goes with a
/// request there, unless it is for the host that asked for the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    link: Link,
    headers: Vec<(String, String)>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("link", &self.link).finish_non_exhaustive()
    }
}

impl Net {
    /// The address itself if nothing secret goes with a request there, and nobody is asked. Otherwise it is followed, by
    /// the rules for redirects, to where the bytes come from, which often holds for some hours only.
    ///
    /// # Errors
    /// As a fetch. A server that knows no ranges is [`crate::FetchError::NotPartial`]: it cannot give segments.
    pub fn place_of(&self, address: &Address, control: &Control) -> Result<Place, StoreError> {
        let origin = Link::parse(&address.url)?;
        self.options().check_scheme(&origin)?;
        let for_hub = self.options().token.is_some() && origin.same_origin(&self.options().hub_link()?);
        if !for_hub && address.headers.is_empty() {
            let etag = address.etag.iter().filter(|etag| is_strong(etag));
            let headers = etag.map(|etag| ("If-Range".to_owned(), etag.clone())).collect();
            return Ok(Place { link: origin, headers });
        }
        let asked = address.clone();
        self.patiently(address, control, move |net| {
            let range = |_: &Link| vec![("Range".to_owned(), "bytes=0-0".to_owned())];
            let hop = net.opener().open(&asked, None, &range, &|_| false)?;
            match hop.response.status {
                206 => {}
                200 => return Err(crate::FetchError::NotPartial.into()),
                _ => return Err(net.opener().status(&hop, &asked)),
            }
            let origin = Link::parse(&asked.url)?;
            let mut headers = Vec::new();
            // A server whose file changed meanwhile answers 200, and what it sends is no segment.
            if let Some(etag) = hop.response.header("ETag").filter(|etag| is_strong(etag)) {
                headers.push(("If-Range".to_owned(), etag.to_owned()));
            }
            if hop.link.same_origin(&origin) {
                headers.extend(asked.headers.iter().cloned());
            }
            if let Some(token) = net.options().token.as_ref()
                && hop.link.same_origin(&net.options().hub_link()?)
            {
                headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
            }
            Ok(Place { link: hop.link, headers })
        })
    }
}

/// The request for a segment of the file at `place`.
pub fn segment_request(place: &Place, segment: &Segment) -> Result<Request, StoreError> {
    let last = segment.length.checked_sub(1).and_then(|rest| segment.from.checked_add(rest));
    let last = last.ok_or(crate::FetchError::Length { length: segment.length })?;
    let mut headers = vec![
        ("Range".to_owned(), format!("bytes={}-{last}", segment.from)),
        ("Accept-Encoding".to_owned(), "identity".to_owned()),
    ];
    headers.extend(place.headers.iter().cloned());
    Ok(Request { url: place.link.as_url(), headers })
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
