//! Real servers on 127.0.0.1, installed by `scripts/servers`: [`kinesis`], [`s3`], [`ministack`] and [`mail`]. Here is what
//! every server needs: free ports, readiness, its log when it fails, and an end. A server never outlives the tests: the shell that started
//! it ends it by its process id when its own standard input closes, which it does however the tests end, even for a
//! server in a static, which is never dropped. One that cannot start fails the test.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use std::{env, fs, io};

pub(crate) mod kinesis;
pub(crate) mod mail;
pub(crate) mod ministack;
pub(crate) mod s3;

const POLL: Duration = Duration::from_millis(20);
/// A server that is not ready after a minute will not be.
const POLLS_MAX: u32 = 3000;
/// What is asked too early may never be answered.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// A port may be taken between its choice and its use.
const STARTS_MAX: u32 = 4;
const LOG_TAIL_LINES: usize = 30;

/// Starts what its arguments say and ends it when the standard input closes. Whatever was asked to be kept is kept.
const KEEPER: &str = r#"
exec 3<&0
directory=$1
shift
"$@" 3<&- </dev/null >>"$directory/log" 2>&1 &
server=$!
{ read -r _; [ -e "$directory/ended" ] || kill -9 $server; } <&3 &
wait $server
: > "$directory/ended"
read -r _ <&3
rm -f $LITTER
[ -e "$directory/keep" ] || rm -rf "$directory"
"#;

/// What one kind of server needs.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// How many ports it opens; the first is the one to talk to.
    pub(crate) ports: usize,
    /// The program for these ports, with its data below this directory.
    pub(crate) command: fn(&[u16], &Path) -> Command,
    /// It is ready when each request, such as `GET /`, at the port of this index is answered with this status; in this
    /// order.
    pub(crate) ready: &'static [(usize, &'static str, u16)],
    /// Files that it leaves outside of its directory when killed.
    pub(crate) litter: fn(&[u16]) -> Vec<String>,
}

/// A server that runs, or was stopped and can be started again with its data; ends when dropped.
pub(crate) struct Server {
    kind: Kind,
    ports: Vec<u16>,
    directory: PathBuf,
    keeper: Option<Child>,
}

impl Server {
    pub(crate) fn start(kind: Kind) -> Server {
        let mut said = String::new();
        for _ in 0..STARTS_MAX {
            let directory = tempfile::Builder::new().prefix("tidewatch-").tempdir().unwrap().keep();
            let mut server = Server { kind, ports: free_ports(kind.ports), directory, keeper: None };
            match server.try_start() {
                Ok(()) => return server,
                Err(log) => said = log,
            }
        }
        panic!("{} cannot be started; hint: run `scripts/servers` first; it said:\n{said}", kind.name);
    }

    pub(crate) fn port(&self) -> u16 {
        self.ports[0]
    }

    pub(crate) fn ports(&self) -> &[u16] {
        &self.ports
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// Where it keeps its data.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it is when started again.
    pub(crate) fn set_kind(&mut self, kind: Kind) {
        self.kind = kind;
    }

    /// Kills it as a crash would; its data stays.
    pub(crate) fn stop(&mut self) {
        fs::write(self.directory.join("keep"), "").unwrap();
        self.end();
    }

    /// Starts it on the same ports with the data it had.
    pub(crate) fn start_again(&mut self) {
        assert!(self.keeper.is_none(), "{} runs", self.kind.name);
        fs::remove_file(self.directory.join("ended")).unwrap();
        let mut said = String::new();
        for _ in 0..STARTS_MAX {
            match self.try_start() {
                Ok(()) => return fs::remove_file(self.directory.join("keep")).unwrap(),
                Err(log) => said = log,
            }
            self.stop();
        }
        panic!("{} cannot be started again; it said:\n{said}", self.kind.name);
    }

    /// Gives the end of its log when it ends instead of becoming ready.
    fn try_start(&mut self) -> Result<(), String> {
        self.keeper = Some(self.spawn());
        for _ in 0..POLLS_MAX {
            if self.directory.join("ended").exists() {
                return Err(self.log());
            }
            let mut ready = self.kind.ready.iter();
            if ready
                .all(|(port, request, status)| ask(self.ports[*port], request).is_ok_and(|answer| answer == *status))
            {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        Err(format!("(it runs but is not ready)\n{}", self.log()))
    }

    fn spawn(&self) -> Child {
        let command = (self.kind.command)(&self.ports, &self.directory);
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(&self.directory).arg(command.get_program()).args(command.get_args());
        keeper.env("LITTER", (self.kind.litter)(&self.ports).join(" "));
        keeper.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        keeper.current_dir(&self.directory).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        keeper.spawn().unwrap()
    }

    fn log(&self) -> String {
        let log = fs::read(self.directory.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    fn end(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            keeper.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = self.keeper.is_none();
        let _ = fs::remove_file(self.directory.join("keep"));
        self.end();
        if stopped {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// What `scripts/servers` installed.
pub(crate) fn installed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/servers").join(path)
}

/// Python as `scripts/servers` used it.
pub(crate) fn python() -> Command {
    let python = installed("python/bin/python");
    Command::new(if python.exists() { python } else { "python3".into() })
}

/// The status of the answer to a request such as `GET /`. A PUT has a short body.
fn ask(port: u16, request: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let body = if request.starts_with("PUT") { "ready?" } else { "" };
    let length = body.len();
    write!(stream, "{request} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n")?;
    write!(stream, "Content-Length: {length}\r\n\r\n{body}")?;
    let mut start = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut start)?;
    let status = std::str::from_utf8(&start).ok().and_then(|start| start.rsplit(' ').next()?.parse().ok());
    status.ok_or_else(|| io::Error::other("no status"))
}

/// Ports that nobody uses at the moment; all different.
fn free_ports(count: usize) -> Vec<u16> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listeners: Vec<TcpListener> = (0..count).map(bind).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}
