//! A proxy before a server on 127.0.0.1 that makes the faults of a network and of a busy service: told which request
//! goes wrong and how, by count and never by chance. It also counts the requests. Messages of HTTP/1.1 are in [`http`].

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufReader, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tidewatch::job::{Clock as _, SystemClock};

use self::http::{Head, Part};

pub(crate) mod http;

const POLL: Duration = Duration::from_millis(2);
const SECOND: Duration = Duration::from_secs(1);

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The request does not reach the server; this is the answer.
    Answer { status: u16, content_type: &'static str, body: String },
    /// The request does not reach the server, and the connection closes without an answer.
    Drop,
    /// The server does it; the connection closes without an answer.
    LoseAnswer,
    /// The server does it; the connection closes in the middle of the body of the answer.
    CutAnswer,
    /// The server does it; the answer comes this much later.
    Hold(Duration),
}

impl Fault {
    /// An error of Kinesis, such as `LimitExceededException`: 500 for `InternalFailure`, else 400.
    pub(crate) fn kinesis(name: &str) -> Fault {
        let status = if name == "InternalFailure" { 500 } else { 400 };
        let body = format!("{{\"__type\":\"{name}\",\"message\":\"made by the proxy\"}}");
        Fault::Answer { status, content_type: "application/x-amz-json-1.1", body }
    }

    /// An error of S3, such as 503 with `SlowDown`.
    pub(crate) fn s3(status: u16, code: &str) -> Fault {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>made by the proxy</Message>\
             <RequestId>1</RequestId></Error>"
        );
        Fault::Answer { status, content_type: "application/xml", body }
    }
}

/// Which requests.
#[derive(Clone, Debug)]
pub(crate) enum Match {
    Any,
    /// An operation of Kinesis, such as `GetRecords`.
    Operation(&'static str),
    /// This method, and this text somewhere in path and query.
    Path(&'static str, &'static str),
}

/// When among them, counted from 1 when the rule is set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Every(u64),
    /// This one alone.
    Number(u64),
    /// Those above so many within a second.
    Above(usize),
}

/// A rule; the first that is due strikes.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    matches: Match,
    when: When,
    fault: Fault,
    seen: u64,
    granted: VecDeque<Duration>,
}

impl Rule {
    pub(crate) fn new(matches: Match, when: When, fault: Fault) -> Rule {
        Rule { matches, when, fault, seen: 0, granted: VecDeque::new() }
    }

    fn is_due(&mut self, request: &Head, now: Duration) -> bool {
        let matches = match &self.matches {
            Match::Any => true,
            Match::Operation(name) => request.operation() == Some(name),
            Match::Path(method, path) => request.method() == *method && request.path().contains(path),
        };
        if !matches {
            return false;
        }
        self.seen += 1;
        match self.when {
            When::Every(n) => self.seen.is_multiple_of(n),
            When::Number(n) => self.seen == n,
            When::Above(limit) => {
                self.granted.retain(|at| now - *at < SECOND);
                let above = self.granted.len() >= limit;
                if !above {
                    self.granted.push_back(now);
                }
                above
            }
        }
    }
}

/// The proxy; ends when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    acceptor: Option<JoinHandle<()>>,
}

struct State {
    clock: SystemClock,
    rules: Vec<Rule>,
    mode: Mode,
    /// Those of clients that may be open.
    connections: Vec<TcpStream>,
    counts: BTreeMap<String, u64>,
    struck: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Open,
    /// Nobody listens.
    Refusing,
    Ended,
}

impl Proxy {
    /// Before the server at this port.
    pub(crate) fn before(port: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            clock: SystemClock::start(),
            rules: Vec::new(),
            mode: Mode::Open,
            connections: Vec::new(),
            counts: BTreeMap::new(),
            struck: 0,
        }));
        let shared = Arc::clone(&state);
        let acceptor = thread::spawn(move || accept(listener, address, port, &shared));
        Proxy { address, state, acceptor: Some(acceptor) }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Replaces all rules; without any, all goes well.
    pub(crate) fn set(&self, rules: impl Into<Vec<Rule>>) {
        self.state().rules = rules.into();
    }

    /// Cuts all connections and refuses new ones, until told otherwise.
    pub(crate) fn refuse(&self, refuse: bool) {
        let mut state = self.state();
        state.mode = if refuse { Mode::Refusing } else { Mode::Open };
        if refuse {
            state.cut_all();
        }
    }

    /// How many requests came: for an operation of Kinesis such as `GetRecords`, or with a method such as `PUT`.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.state().counts.get(name).copied().unwrap_or(0)
    }

    /// How many of them were struck by a rule.
    pub(crate) fn struck(&self) -> u64 {
        self.state().struck
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.state();
        state.mode = Mode::Ended;
        state.cut_all();
        drop(state);
        let _ = self.acceptor.take().map(JoinHandle::join);
    }
}

impl State {
    fn cut_all(&mut self) {
        self.connections.drain(..).for_each(|connection| drop(connection.shutdown(Shutdown::Both)));
    }

    /// Counts a request and says what goes wrong with it.
    fn judge(&mut self, request: &Head) -> Option<Fault> {
        let name = request.operation().unwrap_or(request.method()).to_owned();
        *self.counts.entry(name).or_default() += 1;
        let now = self.clock.elapsed();
        // every rule sees every request, so that none depends on another
        let due: Vec<&Rule> =
            self.rules.iter_mut().filter_map(|rule| rule.is_due(request, now).then_some(&*rule)).collect();
        let fault = due.first().map(|rule| rule.fault.clone());
        self.struck += u64::from(fault.is_some());
        fault
    }
}

fn accept(listener: TcpListener, address: SocketAddr, port: u16, shared: &Arc<Mutex<State>>) {
    let mut listener = Some(listener);
    loop {
        let mode = shared.lock().unwrap().mode;
        match (mode, &listener) {
            (Mode::Ended, _) => return,
            (Mode::Refusing, _) => listener = None,
            // another may have the port for a moment
            (Mode::Open, None) => listener = TcpListener::bind(address).ok(),
            (Mode::Open, Some(open)) => {
                open.set_nonblocking(true).unwrap();
                if let Ok((client, _)) = open.accept() {
                    client.set_nonblocking(false).unwrap();
                    let mut state = shared.lock().unwrap();
                    state.connections.push(client.try_clone().unwrap());
                    // it may have been told to refuse since
                    if state.mode != Mode::Open {
                        state.cut_all();
                    }
                    drop(state);
                    let shared = Arc::clone(shared);
                    thread::spawn(move || {
                        // the client or the server went away, or a fault cut the connection
                        let _ = serve(&client, port, &shared);
                        let _ = client.shutdown(Shutdown::Both);
                    });
                    continue;
                }
            }
        }
        thread::sleep(POLL);
    }
}

/// Serves the requests of one connection, each on a connection of its own to the server, so that a server that was
/// started again is reached at once.
fn serve(client: &TcpStream, port: u16, shared: &Mutex<State>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut from_client = BufReader::new(client);
    let mut to_client = client;
    while let Some(request) = Head::read(&mut from_client)? {
        let fault = shared.lock().unwrap().judge(&request);
        match &fault {
            Some(Fault::Answer { status, content_type, body }) => {
                http::skip_body(&mut from_client, &request, &mut to_client)?;
                let length = body.len();
                write!(to_client, "HTTP/1.1 {status} Fault\r\nContent-Type: {content_type}\r\n")?;
                write!(
                    to_client,
                    "Content-Length: {length}\r\n\r\n{}",
                    if request.method() == "HEAD" { "" } else { body }
                )?;
                continue;
            }
            Some(Fault::Drop) => return Ok(()),
            _ => {}
        }

        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        server.set_nodelay(true)?;
        let mut from_server = BufReader::new(&server);
        let mut to_server = &server;
        to_server.write_all(request.bytes())?;
        let mut answer = None;
        if request.waits_for_continue() {
            let first = Head::read(&mut from_server)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            match first.status() {
                Some(100) => to_client.write_all(first.bytes())?,
                _ => answer = Some(first),
            }
        }
        let early = answer.is_some();
        if !early {
            http::relay_body(&mut from_client, &mut to_server, request.body(), Part::Whole)?;
        }
        let answer = match answer {
            Some(answer) => answer,
            None => Head::read(&mut from_server)?.ok_or(io::ErrorKind::UnexpectedEof)?,
        };
        let body = answer.answer_body(&request);
        match fault {
            Some(Fault::LoseAnswer) => return http::relay_body(&mut from_server, &mut io::sink(), body, Part::Whole),
            Some(Fault::Hold(time)) => thread::sleep(time),
            _ => {}
        }
        to_client.write_all(answer.bytes())?;
        if matches!(fault, Some(Fault::CutAnswer)) {
            return http::relay_body(&mut from_server, &mut to_client, body, Part::FirstHalf);
        }
        http::relay_body(&mut from_server, &mut to_client, body, Part::Whole)?;
        if early || body.ends_with_connection() {
            return Ok(());
        }
    }
    Ok(())
}
