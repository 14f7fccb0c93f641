//! A program that listens, as a user of alerts has one: it answers as it is told to, and notes what it was sent.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What it does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Takes,
    /// It takes every request, and answers every third with 500 all the same.
    FailsEveryThird,
    /// It closes the connection.
    IsDown,
    /// It never answers.
    Hangs,
    /// It does not know who asks.
    IsLocked,
}

/// A program that listens; it ends with the tests.
pub(crate) struct Hook {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    manner: Mutex<Manner>,
    /// Ids, in the order in which they came; those that were answered well are marked.
    asked: Mutex<Vec<(String, bool)>>,
}

impl Hook {
    pub(crate) fn listen(manner: Manner) -> Hook {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { manner: Mutex::new(manner), asked: Mutex::default() });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                held.extend(serving.serve(stream.unwrap()));
            }
        });
        Hook { port, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub(crate) fn becomes(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.lock().unwrap().len()
    }

    /// The ids of what was answered well.
    pub(crate) fn taken(&self) -> BTreeSet<String> {
        let asked = self.shared.asked.lock().unwrap();
        asked.iter().filter(|(_, taken)| *taken).map(|(id, _)| id.clone()).collect()
    }
}

impl Shared {
    /// Answers a request; gives back a connection that is to stay open.
    fn serve(&self, mut stream: TcpStream) -> Option<TcpStream> {
        let manner = *self.manner.lock().unwrap();
        let id = read(&stream);
        // a job that is killed leaves half a request
        let id = id?;
        let count = {
            let mut asked = self.asked.lock().unwrap();
            let is_third = (asked.len() + 1).is_multiple_of(3);
            asked.push((id, manner == Manner::Takes || manner == Manner::FailsEveryThird && !is_third));
            asked.len()
        };
        let status = match manner {
            Manner::Takes => "200 OK",
            Manner::IsLocked => "401 Unauthorized",
            Manner::FailsEveryThird if count.is_multiple_of(3) => "500 Internal Server Error",
            Manner::FailsEveryThird => "204 No Content",
            Manner::IsDown => return None,
            Manner::Hangs => return Some(stream),
        };
        let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        None
    }
}

/// The id of a request that came whole.
fn read(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut id, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match name.to_lowercase().as_str() {
            "x-tidewatch-id" => id = Some(value.to_owned()),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["notice_id"].as_str(), id.as_deref());
    id
}
