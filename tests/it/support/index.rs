//! An index of documents, as far as `_bulk` goes: what its documentation says of requests, of the result of each document
//! and of refusals. On demand it suffers what a busy server does: it is too busy for all of a request or for some of its
//! documents, says when to come again, is not served, and loses connections before and after it has taken a request.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tidewatch::job::{Clock as _, SystemClock};

use super::proxy::http::{Body, Head};

/// A longer request is answered with 413 (`http.max_content_length`, here a small one).
const REQUEST_BYTES_MAX: usize = 150_000;
/// A longer id is refused.
const ID_BYTES_MAX: usize = 512;
/// One document of so many cannot be parsed, whoever sends it and however often.
const BAD_ONE_IN: u32 = 400;
/// So long is to be waited where it says so, and it says so this often.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AFTERS_MAX: u64 = 2;

/// An index that listens; it ends with the tests.
pub(crate) struct Index {
    port: u16,
    state: Arc<Mutex<State>>,
}

/// What it has, and what it went through.
pub(crate) struct State {
    is_troubled: bool,
    /// By index and id.
    pub(crate) documents: BTreeMap<String, BTreeMap<String, Value>>,
    /// The type that the first value of a field gave it, by index and field.
    pub(crate) types: BTreeMap<(String, String), &'static str>,
    /// Ids of what it refused for good.
    pub(crate) refused: BTreeSet<String>,
    /// How often each trouble struck.
    pub(crate) troubles: BTreeMap<&'static str, u64>,
    /// Documents that came again.
    pub(crate) repeated: u64,
    /// Requests that came before they were asked to.
    pub(crate) early: u64,
    requests: u64,
    clock: SystemClock,
    quiet_until: Option<Duration>,
}

/// What becomes of a request.
enum Answer {
    Said(u16, Vec<(&'static str, String)>, Value),
    /// The connection ends.
    None,
}

impl Index {
    pub(crate) fn listen(is_troubled: bool) -> Index {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            is_troubled,
            documents: BTreeMap::new(),
            types: BTreeMap::new(),
            refused: BTreeSet::new(),
            troubles: BTreeMap::new(),
            repeated: 0,
            early: 0,
            requests: 0,
            clock: SystemClock::start(),
            quiet_until: None,
        }));
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = Arc::clone(&serving);
                thread::spawn(move || serve(&stream.unwrap(), &serving));
            }
        });
        Index { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Looks at what it has.
    pub(crate) fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }
}

/// Serves a connection until it ends.
fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    while let Ok(Some(head)) = Head::read(&mut reader) {
        let Body::Length(length) = head.body() else { return };
        let trouble = state.lock().unwrap().trouble();
        if trouble == Some("reset") {
            // what is left unread makes it a reset
            return;
        }
        let mut body = vec![0; usize::try_from(length).unwrap()];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let answer = state.lock().unwrap().answer(&head, &body, trouble);
        let Answer::Said(status, headers, said) = answer else { return };
        let said = said.to_string();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 {status} S\r\n{headers}Content-Type: application/json\r\n");
        let mut stream = stream;
        if stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{said}", said.len()).as_bytes()).is_err() {
            return;
        }
    }
}

impl State {
    /// What strikes the next request.
    fn trouble(&mut self) -> Option<&'static str> {
        self.requests += 1;
        if self.quiet_until.is_some_and(|until| self.clock.elapsed() < until) {
            self.early += 1;
        }
        let said = self.troubles.get("busy").copied().unwrap_or(0);
        let trouble = match self.requests % 11 {
            2 => "reset",
            3 if said < RETRY_AFTERS_MAX => "busy",
            5 => "lost answer",
            7 => "busy for some",
            9 => "unavailable",
            _ => return None,
        };
        self.is_troubled.then_some(trouble).inspect(|trouble| self.count(trouble))
    }

    fn count(&mut self, trouble: &'static str) {
        *self.troubles.entry(trouble).or_default() += 1;
    }

    fn answer(&mut self, head: &Head, body: &[u8], trouble: Option<&'static str>) -> Answer {
        let failed = |status, kind: &str, reason: &str| {
            Answer::Said(status, Vec::new(), json!({ "error": { "type": kind, "reason": reason }, "status": status }))
        };
        if (head.method(), head.path()) != ("POST", "/_bulk") {
            return failed(405, "illegal_argument_exception", "allowed is POST /_bulk");
        }
        if head.header("content-type") != Some("application/x-ndjson") {
            return failed(406, "media_type_header_exception", "Content-Type header is not supported");
        }
        match trouble {
            Some("busy") => {
                self.quiet_until = Some(self.clock.elapsed() + RETRY_AFTER);
                let after = ("Retry-After", RETRY_AFTER.as_secs().to_string());
                return Answer::Said(429, vec![after], json!({ "error": "too many requests", "status": 429 }));
            }
            Some("unavailable") => return failed(503, "cluster_block_exception", "no master"),
            _ => {}
        }
        if body.len() > REQUEST_BYTES_MAX {
            self.count("too large");
            return Answer::Said(413, Vec::new(), Value::Null);
        }
        if !body.ends_with(b"\n") {
            return failed(400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]");
        }
        let Some(items) = self.items(body, trouble == Some("busy for some")) else {
            return failed(400, "illegal_argument_exception", "Malformed action/metadata line");
        };
        if trouble == Some("lost answer") {
            return Answer::None;
        }
        let errors = items.iter().any(|item| item.to_string().contains("\"error\""));
        Answer::Said(200, Vec::new(), json!({ "took": 1, "errors": errors, "items": items }))
    }

    /// The result of each document; none where a line is not what it should be.
    fn items(&mut self, body: &[u8], is_busy: bool) -> Option<Vec<Value>> {
        let text = std::str::from_utf8(body).ok()?;
        let mut lines = text.lines();
        let mut items = Vec::new();
        while let Some(line) = lines.next() {
            let action: Map<String, Value> = serde_json::from_str(line).ok()?;
            let (verb, of) = action.iter().next().filter(|_| action.len() == 1)?;
            let (index, id) = (of["_index"].as_str()?, of["_id"].as_str()?);
            let document: Value = serde_json::from_str(lines.next()?).ok()?;
            let refused = is_busy && items.len() % 2 == 1;
            let (status, result) = if refused {
                (429, Err(("es_rejected_execution_exception", "rejected execution of primary operation")))
            } else {
                self.take(verb, index, id, document)
            };
            let mut item = json!({ "_index": index, "_id": id, "status": status });
            match result {
                Ok(result) => item["result"] = result.into(),
                Err((kind, reason)) => item["error"] = json!({ "type": kind, "reason": reason }),
            }
            items.push(json!({ verb: item }));
        }
        Some(items)
    }

    fn take(
        &mut self,
        verb: &str,
        index: &str,
        id: &str,
        document: Value,
    ) -> (u16, Result<&'static str, (&'static str, &'static str)>) {
        let is_bad = |c: char| c.is_uppercase() || "\\/*?\"<>| ,#:".contains(c);
        if index.len() > 255 || index.contains(is_bad) || index.starts_with(['-', '_', '+']) {
            return (400, Err(("invalid_index_name_exception", "Invalid index name")));
        }
        if id.len() > ID_BYTES_MAX {
            return (400, Err(("illegal_argument_exception", "id is too long")));
        }
        if self.is_troubled && crc32fast::hash(id.as_bytes()).is_multiple_of(BAD_ONE_IN) {
            self.refused.insert(id.to_owned());
            return (400, Err(("document_parsing_exception", "failed to parse")));
        }
        let Some(members) = document.as_object() else {
            return (400, Err(("document_parsing_exception", "not an object")));
        };
        for (name, value) in members {
            let kind = kind(value);
            let there = *self.types.entry((index.to_owned(), name.clone())).or_insert(kind);
            // stricter than a server, which cuts off fractions where the first value had none
            if there != kind && kind != "null" && there != "text" {
                return (400, Err(("document_parsing_exception", "failed to parse field")));
            }
        }
        let there = self.documents.entry(index.to_owned()).or_default();
        match (verb, there.contains_key(id)) {
            ("create", true) => {
                self.repeated += 1;
                (409, Err(("version_conflict_engine_exception", "document already exists")))
            }
            ("create" | "index", is_there) => {
                self.repeated += u64::from(is_there);
                there.insert(id.to_owned(), document);
                if is_there { (200, Ok("updated")) } else { (201, Ok("created")) }
            }
            _ => (400, Err(("illegal_argument_exception", "no such action"))),
        }
    }
}

/// The type that a first value gives a field; a text that is a time is one (`strict_date_optional_time`).
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "long",
        Value::String(text) if chrono::DateTime::parse_from_rfc3339(text).is_ok() => "date",
        Value::String(_) => "text",
        Value::Array(_) | Value::Object(_) => "object",
    }
}
