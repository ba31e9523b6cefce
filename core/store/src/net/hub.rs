//! Hubs in the layout of Hugging Face: `{base}/{owner}/{name}/resolve/{revision}/{file}` answers with the digest and
//! the size in headers, usually of a redirect to where the bytes are.

use super::control::Control;
use super::link::Link;
use super::open::{Address, Failure, Hop};
use super::{Net, open};
use crate::plan::LARGEST_FILE;
use crate::source::HubFile;
use crate::{Digest, FetchError, Response, StoreError};

/// What a hub says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Where it is, at the commit that was found, so that it cannot change on the way.
    pub address: Address,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// How many there are.
    pub size: u64,
    /// The commit that the revision means now.
    pub commit: Option<String>,
}

/// A digest in an ETag: Hugging Face's are those of the bytes for what lies in its large-file store.
fn digest_of(etag: &str) -> Option<Digest> {
    etag.trim().trim_start_matches("W/").trim_matches('"').parse().ok()
}

fn says_digest(response: &Response) -> Option<Digest> {
    response.header("X-Linked-Etag").and_then(digest_of)
}

impl Net {
    /// Asks the hub which bytes `file` means now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for 404 and 410, [`StoreError::Download`] for what else a server says or does not,
    /// [`StoreError::Invalid`] if it names no SHA-256 of the file.
    pub fn resolve(&self, file: &HubFile, control: &Control) -> Result<Resolved, StoreError> {
        let address = Address::new(file.url(&self.options().hub));
        let asked = address.clone();
        let shown = file.to_string();
        let hop = self.patiently(&address, control, move |net| {
            let range = |_: &Link| vec![("Range".to_owned(), "bytes=0-0".to_owned())];
            let hop = net.opener().open(&asked, None, &range, &|response| says_digest(response).is_some())?;
            match hop.response.status {
                200 | 206 | 301 | 302 | 303 | 307 | 308 => {
                    Ok(Hop { response: without_body(hop.response), link: hop.link })
                }
                404 | 410 => Err(StoreError::NotFound { what: asked.url.clone() }.into()),
                _ => Err(net.opener().status(&hop, &asked)),
            }
        });
        let hop = hop.map_err(|error| match error {
            StoreError::NotFound { .. } => StoreError::NotFound { what: format!("{shown} at {}", self.options().hub) },
            other => other,
        })?;
        self.read_resolved(file, &hop)
    }

    fn read_resolved(&self, file: &HubFile, hop: &Hop) -> Result<Resolved, StoreError> {
        let response = &hop.response;
        let sha256 = says_digest(response).or_else(|| response.header("ETag").and_then(digest_of));
        let sha256 = sha256.ok_or_else(|| StoreError::Invalid {
            field: "source",
            why: format!(
                "the hub names no SHA-256 for {file}: give its address, digest and size instead (ADDRESS#sha256=…&size=…)"
            ),
        })?;
        let total = || match response.status {
            206 => crate::piece::content_range(response.header("Content-Range")?)?.2,
            200 => response.header("Content-Length")?.trim().parse().ok(),
            _ => None,
        };
        let size = response.header("X-Linked-Size").and_then(|size| size.trim().parse().ok()).or_else(total);
        let size = size.filter(|size| (1..=LARGEST_FILE).contains(size)).ok_or_else(|| StoreError::Invalid {
            field: "source",
            why: format!("the hub names no size for {file}: give its address, digest and size instead"),
        })?;
        let commit = response.header("X-Repo-Commit").map(str::trim);
        let commit = commit.filter(|commit| commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let pinned = commit.map_or_else(|| Ok(file.clone()), |commit| file.at(commit))?;
        let address = Address::new(pinned.url(&self.options().hub));
        Ok(Resolved { address, sha256, size, commit: commit.map(str::to_owned) })
    }

    /// A small file, whole: a manifest.
    ///
    /// # Errors
    /// [`FetchError::TooLarge`] within [`StoreError::Download`] if it has more than `limit` bytes; the rest as for a
    /// large file. 404 is [`StoreError::NotFound`].
    pub fn small(&self, address: &Address, limit: u64, control: &Control) -> Result<Vec<u8>, StoreError> {
        let asked = address.clone();
        self.patiently(address, control, move |net| {
            let mut hop = net.opener().open(&asked, None, &|_| Vec::new(), &|_| false)?;
            match hop.response.status {
                200 => {}
                404 | 410 => return Err(StoreError::NotFound { what: hop.link.to_string() }.into()),
                _ => return Err(net.opener().status(&hop, &asked)),
            }
            open::check_encoding(&hop.response)?;
            let announced = hop.response.header("Content-Length").and_then(|text| text.trim().parse::<u64>().ok());
            if announced.is_some_and(|bytes| bytes > limit) {
                return Err(FetchError::TooLarge { limit }.into());
            }
            let bytes = read_up_to(&mut hop.response, limit.saturating_add(1))?;
            match announced {
                _ if bytes.len() as u64 > limit => Err(FetchError::TooLarge { limit }.into()),
                Some(need) if need != bytes.len() as u64 => {
                    Err(FetchError::WrongLength { have: bytes.len() as u64, need }.into())
                }
                _ => Ok(bytes),
            }
        })
    }

    /// The first `upto` bytes of a file, or all of it if it is shorter: for looking at a model before it is fetched.
    pub fn head_of(&self, address: &Address, upto: u64, control: &Control) -> Result<Vec<u8>, StoreError> {
        let asked = address.clone();
        let upto = upto.clamp(1, crate::piece::LARGEST_PIECE);
        self.patiently(address, control, move |net| {
            let range = |_: &Link| vec![("Range".to_owned(), format!("bytes=0-{}", upto - 1))];
            let mut hop = net.opener().open(&asked, None, &range, &|_| false)?;
            open::check_encoding(&hop.response)?;
            let need = match hop.response.status {
                // A server without ranges begins with what is wanted; the rest is not read.
                200 => None,
                206 => {
                    let got = hop.response.header("Content-Range").unwrap_or_default();
                    let range = crate::piece::content_range(got);
                    let end = range.filter(|&(first, last, total)| {
                        first == 0 && (last == upto - 1 || (last < upto && total == Some(last + 1)))
                    });
                    let (_, last, _) = end.ok_or_else(|| FetchError::WrongRange {
                        got: got.chars().take(80).collect(),
                        from: 0,
                        to: upto - 1,
                    })?;
                    Some(last + 1)
                }
                404 | 410 => return Err(StoreError::NotFound { what: hop.link.to_string() }.into()),
                _ => return Err(net.opener().status(&hop, &asked)),
            };
            let announced = hop.response.header("Content-Length").and_then(|text| text.trim().parse::<u64>().ok());
            let need = need.or_else(|| announced.map(|bytes| bytes.min(upto)));
            let bytes = read_up_to(&mut hop.response, need.unwrap_or(upto))?;
            match need {
                Some(need) if need != bytes.len() as u64 => {
                    Err(FetchError::WrongLength { have: bytes.len() as u64, need }.into())
                }
                _ => Ok(bytes),
            }
        })
    }
}

/// What is told, without the transfer.
fn without_body(response: Response) -> Response {
    struct Ended;
    impl crate::Body for Ended {
        fn read(&mut self, _: usize) -> Result<Vec<u8>, crate::TransportError> {
            Ok(Vec::new())
        }
    }
    Response { body: Box::new(Ended), ..response }
}

fn read_up_to(response: &mut Response, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < limit {
        let left = (limit - bytes.len() as u64).min(1 << 20);
        let more = response.body.read(left as usize)?;
        if more.is_empty() {
            break;
        }
        // A body that gives more than was asked for is cut: nothing here trusts it.
        bytes.extend_from_slice(&more[..more.len().min(left as usize)]);
    }
    Ok(bytes)
}
