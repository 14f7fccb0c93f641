//! aiosmtpd: a mail server that wants a login. It has no mailbox `nobody`, and turns each message to `busy` away once.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{Kind, Server, installed, python};

const MAIL: Kind = Kind { name: "aiosmtpd", ports: 2, command, ready: &[(1, "GET /", 200)], litter: |_| Vec::new() };

pub(crate) struct Mail(Server);

impl Mail {
    /// A server of its own for a test.
    pub(crate) fn start() -> Mail {
        Mail(Server::start(MAIL))
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port()
    }

    /// What it took: `from`, `to` (one each) and `message`.
    pub(crate) fn taken(&self) -> Vec<Value> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.0.ports()[1])).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

fn command(ports: &[u16], _: &Path) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/servers/mail.py");
    let mut command = python();
    command.arg(script).args(ports.iter().map(u16::to_string)).env("PYTHONPATH", installed("mail"));
    command
}
