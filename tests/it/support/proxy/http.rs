//! As much of HTTP/1.1 as a proxy needs: heads as they came, and bodies by length, in chunks, or up to the end.

use std::io::{self, BufRead, Read as _, Write};

const LINE_END: &[u8] = b"\r\n";

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Length(u64),
    Chunked,
    UntilEnd,
}

impl Body {
    pub(crate) fn ends_with_connection(self) -> bool {
        self == Body::UntilEnd
    }
}

/// How much of a body goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// The first half; of chunks, the first half of the first.
    FirstHalf,
}

/// The lines of a request or an answer before its body.
#[derive(Debug)]
pub(crate) struct Head {
    bytes: Vec<u8>,
    text: String,
}

impl Head {
    /// The next head; none when the connection has ended.
    pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Option<Head>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            if from.read_until(b'\n', &mut bytes)? == 0 {
                return if bytes.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Some(Head { bytes, text }))
    }

    /// As it came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn method(&self) -> &str {
        self.word(0)
    }

    /// With its query.
    pub(crate) fn path(&self) -> &str {
        self.word(1)
    }

    /// Of an answer.
    pub(crate) fn status(&self) -> Option<u16> {
        self.word(1).parse().ok()
    }

    /// What is asked of Kinesis: `GetRecords` of `X-Amz-Target: Kinesis_20131202.GetRecords`.
    pub(crate) fn operation(&self) -> Option<&str> {
        self.header("x-amz-target")?.rsplit('.').next()
    }

    pub(crate) fn waits_for_continue(&self) -> bool {
        self.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }

    /// The body of this request.
    pub(crate) fn body(&self) -> Body {
        self.framing().unwrap_or(Body::Length(0))
    }

    /// The body of this answer.
    pub(crate) fn answer_body(&self, request: &Head) -> Body {
        let none = request.method() == "HEAD" || matches!(self.status(), Some(100..=199 | 204 | 304));
        if none { Body::Length(0) } else { self.framing().unwrap_or(Body::UntilEnd) }
    }

    fn framing(&self) -> Option<Body> {
        let chunked = self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        if chunked {
            return Some(Body::Chunked);
        }
        self.header("content-length").and_then(|length| length.parse().ok()).map(Body::Length)
    }

    fn word(&self, index: usize) -> &str {
        self.text.split_whitespace().nth(index).unwrap_or_default()
    }

    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        let headers = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim()).next()
    }
}

/// Reads the body of a request that goes nowhere; asks for it if the client waits to be asked.
pub(crate) fn skip_body(from: &mut impl BufRead, request: &Head, client: &mut impl Write) -> io::Result<()> {
    if request.waits_for_continue() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    relay_body(from, &mut io::sink(), request.body(), Part::Whole)
}

/// Hands a body on as it comes.
pub(crate) fn relay_body(from: &mut impl BufRead, to: &mut impl Write, body: Body, part: Part) -> io::Result<()> {
    match body {
        Body::Length(length) => relay(from, to, if part == Part::FirstHalf { length / 2 } else { length }),
        Body::Chunked => relay_chunks(from, to, part),
        Body::UntilEnd => io::copy(from, to).map(drop),
    }
}

fn relay_chunks(from: &mut impl BufRead, to: &mut impl Write, part: Part) -> io::Result<()> {
    loop {
        let line = read_line(from)?;
        to.write_all(&line)?;
        let size = std::str::from_utf8(&line).ok().and_then(|line| line.split([';', '\r']).next());
        let size = size.and_then(|size| u64::from_str_radix(size.trim(), 16).ok()).ok_or(io::ErrorKind::InvalidData)?;
        if size == 0 {
            break;
        }
        if part == Part::FirstHalf {
            return relay(from, to, size / 2);
        }
        relay(from, to, size + LINE_END.len() as u64)?;
    }
    // trailers, up to an empty line
    loop {
        let line = read_line(from)?;
        to.write_all(&line)?;
        if line == LINE_END {
            return Ok(());
        }
    }
}

fn relay(from: &mut impl BufRead, to: &mut impl Write, length: u64) -> io::Result<()> {
    match io::copy(&mut from.by_ref().take(length), to)? == length {
        true => to.flush(),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn read_line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    match from.read_until(b'\n', &mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line),
    }
}
