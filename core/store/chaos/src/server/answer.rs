//! One connection: requests in, answers out, right or wrong.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::fault::{Fault, pace};
use super::{Entry, Shared};

/// The most bytes of a request's head.
const LONGEST_HEAD: u64 = 64 << 10;

struct Asked {
    path: String,
    query: String,
    range: Option<(u64, Option<u64>)>,
    if_range: Option<String>,
    close: bool,
}

/// What is sent.
enum Content {
    Bytes(Arc<[u8]>),
    File(File),
}

impl Content {
    fn send(&mut self, from: u64, length: u64, to: &mut TcpStream) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => to.write_all(&bytes[from as usize..(from + length) as usize]),
            Self::File(file) => send_file(file, from, length, to),
        }
    }

    fn byte(&mut self, at: u64) -> io::Result<u8> {
        match self {
            Self::Bytes(bytes) => Ok(bytes[at as usize]),
            Self::File(file) => {
                let mut byte = [0];
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(&mut byte)?;
                Ok(byte[0])
            }
        }
    }
}

/// The kernel sends from its cache, as good servers of files do: what a server costs is taken from who downloads on the
/// same machine.
#[cfg(target_os = "linux")]
fn send_file(file: &File, from: u64, length: u64, to: &TcpStream) -> io::Result<()> {
    let (mut at, end) = (from, from + length);
    while at < end {
        let left = (end - at) as usize;
        match rustix::fs::sendfile(to, file, Some(&mut at), left) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn send_file(mut file: &File, from: u64, length: u64, mut to: &TcpStream) -> io::Result<()> {
    file.seek(SeekFrom::Start(from))?;
    let sent = io::copy(&mut file.take(length), &mut to)?;
    if sent == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

pub(super) fn serve(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(asked) = read_head(&mut reader)? {
        if shared.stopping.load(Ordering::Relaxed) || !answer(shared, &mut stream, &asked)? || asked.close {
            break;
        }
    }
    stream.shutdown(std::net::Shutdown::Both)
}

fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Asked>> {
    let mut head = reader.take(LONGEST_HEAD);
    let mut line = String::new();
    if head.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or("/").to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut asked = Asked { path: path.to_owned(), query: query.to_owned(), range: None, if_range: None, close: false };
    loop {
        line.clear();
        if head.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            return Ok(Some(asked));
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let range = value.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
                asked.range = range.and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok())));
            }
            "if-range" => asked.if_range = Some(value.to_owned()),
            "connection" => asked.close = value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
}

/// Answers; `false` if the connection has to end.
fn answer(shared: &Shared, stream: &mut TcpStream, asked: &Asked) -> io::Result<bool> {
    if let Some(command) = asked.path.strip_prefix("/-/") {
        return steer(shared, stream, command, &asked.query);
    }
    let entry = shared.state().entries.get(&asked.path).cloned();
    let (mut content, size, etag) = match entry {
        Some(Entry::Bytes(bytes, etag)) => {
            let size = bytes.len() as u64;
            (Some(Content::Bytes(bytes)), size, etag)
        }
        Some(Entry::Hub { .. }) => (None, 0, String::new()),
        None => match open(shared, &asked.path)? {
            Some((file, size, etag)) => (Some(Content::File(file)), size, etag),
            None => {
                count(shared, asked, 0);
                return status(stream, 404, &[]);
            }
        },
    };
    let mut range = asked.range.map(|(from, to)| (from, to.unwrap_or(u64::MAX).min(size.saturating_sub(1))));
    let number = count(shared, asked, 0);
    let fault = strike(shared, number, range.or(asked.range.map(|(from, to)| (from, to.unwrap_or(0)))), size);
    match &fault {
        Some(Fault::Hangup) => return Ok(false),
        Some(Fault::Mute) => return Ok(silence(shared)),
        Some(Fault::Garbage) => {
            stream.write_all(b"\x16\x03\x01\x02\x00 this is not HTTP\n\n\n\0\0\0")?;
            return Ok(false);
        }
        Some(Fault::Status(code, after)) => {
            let after = after.as_ref().map(|after| ("Retry-After", after.clone()));
            return status(stream, *code, after.as_slice());
        }
        // Where it leads to is served.
        Some(Fault::Redirect(to)) if *to != asked.path => return status(stream, 302, &[("Location", to.clone())]),
        Some(Fault::Loop) => return status(stream, 302, &[("Location", asked.path.clone())]),
        _ => {}
    }
    // Not in the condition: the lock would be held for as long as the block.
    let (entry, signature) = {
        let state = shared.state();
        (state.entries.get(&asked.path).cloned(), state.signature)
    };
    if let Some(Entry::Hub { to, sha256, size, commit }) = entry {
        let mut headers = vec![
            ("Location", format!("{to}?signed={signature}")),
            ("X-Linked-Etag", format!("\"{sha256}\"")),
            ("X-Linked-Size", size.to_string()),
        ];
        headers.extend(commit.map(|commit| ("X-Repo-Commit", commit)));
        let lies = shared.state().lies.clone();
        for (name, value) in &mut headers {
            *value = lies.get(*name).unwrap_or(value).clone();
        }
        return status(stream, 302, &headers);
    }
    if asked.query.strip_prefix("signed=").is_some_and(|by| by != signature.to_string()) {
        return status(stream, 403, &[]);
    }
    let Some(content) = content.as_mut() else { return status(stream, 404, &[]) };
    let etag = if fault == Some(Fault::OtherEtag) { "\"another\"".to_owned() } else { etag };
    let changed = asked.if_range.as_ref().is_some_and(|known| *known != etag);
    if fault == Some(Fault::Whole) || changed {
        range = None;
    }
    if let Some((from, _)) = range.filter(|&(from, to)| from >= size || to < from) {
        let _ = from;
        return status(stream, 416, &[("Content-Range", format!("bytes */{size}"))]);
    }
    let (from, length) = range.map_or((0, size), |(from, to)| (from, to - from + 1));
    let mut head = format!(
        "HTTP/1.1 {}\r\nAccept-Ranges: bytes\r\n",
        if range.is_some() { "206 Partial Content" } else { "200 OK" }
    );
    if range.is_some() && fault != Some(Fault::NoRange) {
        let shift = u64::from(fault == Some(Fault::WrongRange));
        let total = size + u64::from(fault == Some(Fault::WrongTotal));
        head += &format!("Content-Range: bytes {}-{}/{total}\r\n", from + shift, from + length - 1 + shift);
    }
    let endless = fault == Some(Fault::Endless);
    let closes = endless || fault == Some(Fault::NoLength);
    head += &if closes { "Connection: close\r\n".to_owned() } else { format!("Content-Length: {length}\r\n") };
    if fault != Some(Fault::NoEtag) {
        head += &format!("ETag: {etag}\r\n");
    }
    if fault == Some(Fault::Gzip) {
        head += "Content-Encoding: gzip\r\n";
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    let sent = Sending { shared, asked, stream, content }.body(fault.as_ref(), from, length)?;
    Ok(sent && !closes)
}

struct Sending<'a> {
    shared: &'a Shared,
    asked: &'a Asked,
    stream: &'a mut TcpStream,
    content: &'a mut Content,
}

impl Sending<'_> {
    /// `false` if the connection has to end.
    fn body(&mut self, fault: Option<&Fault>, from: u64, length: u64) -> io::Result<bool> {
        match fault {
            Some(&Fault::Truncate(after)) if after < length => {
                self.part(from, after)?;
                return Ok(false);
            }
            Some(&Fault::Reset(after)) if after < length => {
                self.part(from, after)?;
                // What is under way arrives first, at least most of the time; then the reset.
                std::thread::sleep(Duration::from_millis(5));
                rustix::net::sockopt::set_socket_linger(&*self.stream, Some(Duration::ZERO))?;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Some(&Fault::Flip(at)) if at < length => {
                self.part(from, at)?;
                let byte = self.content.byte(from + at)? ^ 0x10;
                count(self.shared, self.asked, 1);
                self.stream.write_all(&[byte])?;
                self.part(from + at + 1, length - at - 1)?;
            }
            Some(&Fault::Drip(rate)) => self.paced(from, length, rate)?,
            Some(Fault::Silent) => return Ok(silence(self.shared)),
            Some(Fault::Endless) => {
                self.part(from, length)?;
                let zeros = vec![0; 64 << 10];
                while !self.shared.stopping.load(Ordering::Relaxed) {
                    count(self.shared, self.asked, zeros.len() as u64);
                    self.stream.write_all(&zeros)?;
                }
                return Ok(false);
            }
            _ => match self.shared.throttle.load(Ordering::Relaxed) {
                0 => self.part(from, length)?,
                rate => self.paced(from, length, rate)?,
            },
        }
        Ok(true)
    }

    /// Counts before it sends, so that who has the last byte finds it counted; what fails is taken back.
    fn part(&mut self, from: u64, length: u64) -> io::Result<()> {
        let mut done = 0;
        while done < length {
            let step = (length - done).min(1 << 20);
            count(self.shared, self.asked, step);
            let sent = self.content.send(from + done, step, self.stream);
            if sent.is_err() {
                self.shared.state().counts.entry(self.asked.path.clone()).or_default().bytes -= step;
            }
            sent?;
            done += step;
        }
        Ok(())
    }

    fn paced(&mut self, from: u64, length: u64, rate: u64) -> io::Result<()> {
        let step = (rate / 50).clamp(1, 64 << 10);
        let mut done = 0;
        while done < length && !self.shared.stopping.load(Ordering::Relaxed) {
            let step = step.min(length - done);
            self.part(from + done, step)?;
            std::thread::sleep(pace(step, rate));
            done += step;
        }
        Ok(())
    }
}

/// Nothing, until the server ends; then the connection has to.
fn silence(shared: &Shared) -> bool {
    while !shared.stopping.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Counts a request (0 bytes) or bytes sent; the number of requests for this path.
fn count(shared: &Shared, asked: &Asked, bytes: u64) -> u64 {
    let mut state = shared.state();
    let count = state.counts.entry(asked.path.clone()).or_default();
    count.bytes += bytes;
    count.requests += u64::from(bytes == 0);
    count.requests
}

/// The fault of the first rule that covers a request.
fn strike(shared: &Shared, number: u64, range: Option<(u64, u64)>, size: u64) -> Option<Fault> {
    let mut state = shared.state();
    let rule = state.rules.iter_mut().find(|rule| rule.times > 0 && rule.phase.covers(number, range, size))?;
    rule.times = if rule.times == u32::MAX { rule.times } else { rule.times - 1 };
    Some(rule.fault.clone())
}

fn status(stream: &mut TcpStream, code: u16, headers: &[(&str, String)]) -> io::Result<bool> {
    let mut head = format!("HTTP/1.1 {code} Told\r\nContent-Length: 0\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    Ok(true)
}

/// A file of the folder, its size and an ETag.
fn open(shared: &Shared, path: &str) -> io::Result<Option<(File, u64, String)>> {
    let Some(folder) = &shared.folder else { return Ok(None) };
    let name = decoded(path.trim_start_matches('/'));
    if name.split('/').any(|part| part == "..") {
        return Ok(None);
    }
    let Ok(file) = File::open(folder.join(name)) else { return Ok(None) };
    let metadata = file.metadata()?;
    let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let etag = format!("\"{:x}-{:x}\"", metadata.len(), modified.as_nanos());
    Ok(metadata.is_file().then_some((file, metadata.len(), etag)))
}

fn steer(shared: &Shared, stream: &mut TcpStream, command: &str, query: &str) -> io::Result<bool> {
    let mut text = String::new();
    match command {
        "counts" => {
            let state = shared.state();
            let mut lines: Vec<_> = state
                .counts
                .iter()
                .map(|(path, count)| format!("{} {} {path}\n", count.requests, count.bytes))
                .collect();
            lines.sort();
            text = lines.concat();
        }
        "clear" => shared.state().rules.clear(),
        "rule" => match decoded(query).parse() {
            Ok(rule) => shared.state().rules.push(rule),
            Err(_) => return status(stream, 400, &[]),
        },
        _ => return status(stream, 404, &[]),
    }
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    stream.write_all(answer.as_bytes())?;
    Ok(true)
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut at, mut plain) = (0, Vec::with_capacity(bytes.len()));
    while at < bytes.len() {
        let two = text.get(at + 1..at + 3).and_then(|two| u8::from_str_radix(two, 16).ok());
        match two {
            Some(byte) if bytes[at] == b'%' => {
                plain.push(byte);
                at += 3;
            }
            _ => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}
