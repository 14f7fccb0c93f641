//! kinesis-local: a Kinesis server with the whole life of shards. It never throttles and keeps to no limit of the
//! service; that is the part of the [proxy](crate::support::proxy) before it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use serde::de::IgnoredAny;

use super::{Kind, Server, installed};
use crate::support::process::wait_until;

/// How long it takes to create, split, merge; the service needs half a minute.
const CHANGE: &str = "100ms";
const CHANGES: [&str; 7] = [
    "CREATE_STREAM_DURATION",
    "DELETE_STREAM_DURATION",
    "SPLIT_SHARD_DURATION",
    "MERGE_SHARDS_DURATION",
    "UPDATE_SHARD_COUNT_DURATION",
    "REGISTER_STREAM_CONSUMER_DURATION",
    "DEREGISTER_STREAM_CONSUMER_DURATION",
];
const PERSISTED: &str = "data/kinesis-data.json";

const IN_MEMORY: Kind =
    Kind { name: "kinesis-local", ports: 2, command, ready: &[(0, "GET /healthcheck", 200)], litter: |_| Vec::new() };
const PERSISTENT: Kind = Kind { command: persistent_command, ..IN_MEMORY };

static SHARED: LazyLock<Kinesis> = LazyLock::new(Kinesis::start);

/// A Kinesis server.
pub(crate) struct Kinesis(Server);

impl Kinesis {
    /// A server of its own for a test.
    pub(crate) fn start() -> Kinesis {
        Kinesis(Server::start(IN_MEMORY))
    }

    /// The server of all tests that do not stop it; a stream for each.
    pub(crate) fn shared() -> &'static Kinesis {
        &SHARED
    }

    /// A server that can be stopped and started again. It writes everything it holds to one file all the time: for
    /// some ten thousand records.
    pub(crate) fn persistent() -> Kinesis {
        Kinesis(Server::start(PERSISTENT))
    }

    pub(crate) fn endpoint(&self) -> String {
        self.0.endpoint()
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port()
    }

    /// Kills it once everything that was put before this call is on its disk; nothing must be put meanwhile.
    pub(crate) fn stop(&mut self) {
        let file = self.0.directory().join(PERSISTED);
        assert!(file.parent().unwrap().exists(), "a server in memory would forget");
        // the first write may hold what there was before this call; a kill may hit a later one half-way
        let _ = written_anew(&file);
        let whole = written_anew(&file);
        self.0.stop();
        fs::write(&file, whole).unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.0.start_again();
    }
}

/// What it writes to a file that it finds missing.
fn written_anew(file: &Path) -> Vec<u8> {
    let _ = fs::remove_file(file);
    let mut bytes = Vec::new();
    wait_until("the server writes its data", || {
        bytes = fs::read(file).unwrap_or_default();
        serde_json::from_slice::<IgnoredAny>(&bytes).is_ok()
    });
    bytes
}

fn command(ports: &[u16], _directory: &Path) -> Command {
    let package = installed("node_modules/kinesis-local");
    let preloads = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/servers");
    let mut command = Command::new("node");
    command.arg("-r").arg(preloads.join("loopback.cjs")).arg("-r").arg(preloads.join("kinesis-hash.cjs"));
    command.arg(package.join("main.js")).env("KINESIS_MOCK_CERT_PATH", package.join("server.json"));
    command.env("KINESIS_MOCK_PLAIN_PORT", ports[0].to_string()).env("KINESIS_MOCK_TLS_PORT", ports[1].to_string());
    command.env("SHARD_LIMIT", "100000").env("LOG_LEVEL", "ERROR");
    command.envs(CHANGES.map(|change| (change, CHANGE)));
    command
}

fn persistent_command(ports: &[u16], directory: &Path) -> Command {
    let data = directory.join("data");
    fs::create_dir_all(&data).unwrap();
    let mut command = command(ports, directory);
    command.env("SHOULD_PERSIST_DATA", "true").env("PERSIST_INTERVAL", "200ms").env("PERSIST_PATH", data);
    command
}
