//! Addresses, read strictly: what is not plainly an `http` or `https` URL of printable ASCII is refused, so that no two
//! readers of it can disagree about the host.

use std::fmt;

use crate::StoreError;

/// The most characters of an address. Signed ones have 1 to 2 kB.
pub const LONGEST_URL: usize = 8192;

/// An absolute URL, taken apart. Prints without its query, which may hold a signature.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    secure: bool,
    /// In lower case; an IPv6 address with its brackets.
    host: String,
    port: u16,
    /// Begins with `/`.
    path: String,
    /// With its `?`, or empty.
    query: String,
}

/// A refusal, with as much of the address as may be shown.
pub(crate) fn refused(shown: &str, why: impl Into<String>) -> StoreError {
    StoreError::Address { url: shown.to_owned(), why: why.into() }
}

/// What may be shown of a text that is no acceptable URL: no query, no credentials, not too much.
fn showable(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let text = match (text.split_once("://"), text.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://…{}", &text[at..]),
        _ => text.to_owned(),
    };
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

impl Link {
    /// Reads an absolute URL; a fragment is dropped.
    ///
    /// # Errors
    /// [`StoreError::Address`] for other schemes, credentials, `..`, control characters, spaces, backslashes, anything
    /// but ASCII, and for what is too long.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let wrong = |why: &str| refused(&showable(text), why);
        if text.len() > LONGEST_URL {
            return Err(wrong("the address is too long"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\<>\"^`{|}".contains(&byte)) {
            return Err(wrong("an address has printable ASCII characters; others are written as %XX"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("this is no https:// address"))?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("only https is possible")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if authority.contains('@') {
            return Err(wrong("an address must hold no user name or password"));
        }
        let (host, port) = authority_of(authority).ok_or_else(|| wrong("there is no valid host in it"))?;
        let (path, query) = tail.split_at(tail.find('?').unwrap_or(tail.len()));
        let path = if path.is_empty() { "/" } else { path };
        if has_dots(path) {
            return Err(wrong("the path must not hold '.' or '..'"));
        }
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { secure, host, port, path: path.to_owned(), query: query.to_owned() })
    }

    /// Where a `Location` leads from here.
    pub fn join(&self, location: &str) -> Result<Self, StoreError> {
        let location = location.split('#').next().unwrap_or_default().trim();
        let scheme = if self.secure { "https" } else { "http" };
        let beginning = location.split(['/', '?']).next().unwrap_or_default();
        if beginning.contains(':') {
            return Self::parse(location);
        }
        let whole = if location.starts_with("//") {
            format!("{scheme}:{location}")
        } else if location.starts_with('/') {
            format!("{scheme}://{}{location}", self.authority())
        } else if location.starts_with('?') {
            format!("{scheme}://{}{}{location}", self.authority(), self.path)
        } else {
            let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{}{folder}/{location}", self.authority())
        };
        Self::parse(&whole)
    }

    /// The host, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is `https`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether it is this machine by its own name or number.
    pub fn is_loopback(&self) -> bool {
        let four = || {
            let parts: Vec<&str> = self.host.split('.').collect();
            parts.len() == 4 && parts[0] == "127" && parts.iter().all(|part| part.parse::<u8>().is_ok())
        };
        self.host == "localhost" || self.host == "[::1]" || four()
    }

    /// Whether both have scheme, host and port in common.
    pub fn same_origin(&self, other: &Self) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }

    /// Whether the host is `domain` or below it.
    pub fn is_below(&self, domain: &str) -> bool {
        let domain = domain.trim_start_matches('.').to_ascii_lowercase();
        let above = self.host.strip_suffix(domain.as_str());
        !domain.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    }

    /// The last name of the path, with its %XX decoded where they are characters.
    pub fn file_name(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        percent_decoded(name)
    }

    /// The whole address, for a transport.
    pub fn as_url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{}{}", self.authority(), self.path, self.query)
    }

    /// What a transport says went wrong here, without the query: some name the address that they were given.
    pub(crate) fn without_query(&self, why: &str) -> String {
        match self.query.strip_prefix('?') {
            Some(query) if !query.is_empty() => why.replace(query, "…"),
            _ => why.to_owned(),
        }
    }

    fn authority(&self) -> String {
        let usual = if self.secure { 443 } else { 80 };
        if self.port == usual { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Host in lower case and port, if they are valid.
fn authority_of(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if text.starts_with('[') {
        let end = text.find(']')? + 1;
        let inner = &text[1..end - 1];
        let valid = inner.contains(':') && inner.parse::<std::net::Ipv6Addr>().is_ok();
        (valid.then_some(&text[..end])?, &text[end..])
    } else {
        let host = &text[..text.find(':').unwrap_or(text.len())];
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let valid = (1..=253).contains(&host.len()) && host.bytes().all(known) && !host.starts_with(['.', '-']);
        (valid.then_some(host).filter(|host| !host.contains(".."))?, &text[host.len()..])
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|&port: &u16| port > 0)?)
        }
        _ => return None,
    };
    Some((host.to_ascii_lowercase(), port))
}

/// Whether a path holds `.` or `..`, also written as `%2e`.
fn has_dots(path: &str) -> bool {
    path.split('/').any(|part| {
        let plain = part.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    })
}

/// One part of a path, as it is written in a URL.
pub(crate) fn percent_encoded(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn percent_decoded(text: &str) -> String {
    let digits = |at: usize| text.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text.as_bytes()[at], digits(at + 1)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                at += 3;
            }
            (byte, _) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(text: &str) -> Link {
        Link::parse(text).unwrap()
    }

    #[test]
    fn addresses_are_taken_apart() {
        let hub = link("HTTPS://Hugging.Example:443/a/b%20c.gguf?sign=secret#x");
        assert_eq!(hub.as_url(), "https://hugging.example/a/b%20c.gguf?sign=secret");
        assert_eq!(
            (hub.to_string().as_str(), hub.file_name().as_str()),
            ("https://hugging.example/a/b%20c.gguf", "b c.gguf")
        );
        assert_eq!(link("http://[::1]:8080").as_url(), "http://[::1]:8080/");
        assert_eq!(link("https://a?x").as_url(), "https://a/?x");
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let long = format!("https://a/{}", "x".repeat(LONGEST_URL));
        let bad = [
            "",
            "a",
            "ftp://a/b",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "https://u:p@a/x",
            "https://a@b",
            "https://a/..",
            "https://a/x/%2E%2e/y",
            "https://a/./b",
            "https://a b/",
            "https://a/\0",
            "https://a/\n",
            "https://a\\b/",
            "https://ä/",
            "https://a:0/",
            "https://a:99999/",
            "https://a:1:2/",
            "https://a:x/",
            "https://[::1/",
            "https://[zz]/",
            "https://.a/",
            "https://a..b/",
            "https://[::1]x/",
            "https://-a/",
            &long,
        ];
        for bad in bad {
            let error = Link::parse(bad).unwrap_err();
            assert!(matches!(&error, StoreError::Address { .. }), "{bad}: {error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let error = Link::parse("https://user:hunter2@host/x?key=hunter2").unwrap_err().to_string();
        assert!(!error.contains("hunter2") && error.contains("@host/x"), "{error}");
        assert!(!format!("{:?}", link("https://a/b?hunter2")).contains("hunter2"));
    }

    #[test]
    fn locations_lead_on() {
        let from = link("https://a:8443/b/c?d");
        for (location, to) in [
            ("https://z/y", "https://z/y"),
            ("//z/y", "https://z/y"),
            ("/y?z", "https://a:8443/y?z"),
            ("y", "https://a:8443/b/y"),
            ("?y", "https://a:8443/b/c?y"),
            ("y?u=http://z", "https://a:8443/b/y?u=http://z"),
        ] {
            assert_eq!(from.join(location).unwrap().as_url(), to);
        }
        for bad in ["../x", "javascript:x", "mailto:a@b", "https://u@z/"] {
            assert!(from.join(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_are_compared_by_their_names() {
        let cdn = link("https://cdn.hub.example/x");
        assert!(cdn.is_below("hub.example") && cdn.is_below(".Hub.Example") && cdn.is_below("cdn.hub.example"));
        assert!(
            !cdn.is_below("ub.example")
                && !cdn.is_below("")
                && !link("https://evilhub.example").is_below("hub.example")
        );
        assert!(link("http://127.0.0.1:1/").is_loopback() && link("http://localhost").is_loopback());
        assert!(
            !link("http://127.0.0.1.evil.example").is_loopback() && !link("http://127.evil.example.1").is_loopback()
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", location in "\\PC{0,40}") {
            for text in [text.clone(), format!("https://{text}"), format!("https://a/{text}")] {
                if let Ok(link) = Link::parse(&text) {
                    proptest::prop_assert_eq!(&Link::parse(&link.as_url()).unwrap(), &link);
                    let _ = (link.join(&location), link.file_name(), link.to_string());
                }
            }
        }
    }
}
