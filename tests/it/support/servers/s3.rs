//! S3 servers: SeaweedFS, which keeps to conditional puts, signatures and permissions, and s3rver, which accepts
//! conditional puts and ignores the condition.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::json;

use super::{Kind, Server, installed};

/// There from the start.
pub(crate) const BUCKET: &str = "tidewatch";

/// Credentials.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    pub(crate) id: &'static str,
    pub(crate) secret: &'static str,
}

/// May do everything.
pub(crate) const WRITER: Keys = Keys { id: "writer", secret: "writer-secret" };
/// May read and list.
pub(crate) const READER: Keys = Keys { id: "reader", secret: "reader-secret" };
/// The only ones that s3rver knows.
pub(crate) const S3RVER: Keys = Keys { id: "S3RVER", secret: "S3RVER" };

const PORTS: [&str; 10] = [
    "s3.port",
    "s3.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "master.port",
    "master.port.grpc",
    "admin.port",
    "admin.port.grpc",
];
const FILER: usize = 2;
/// A bucket for everyone, to see whether the server works.
const PROBE: &str = "probe";

const SEAWEEDFS: Kind = Kind {
    name: "SeaweedFS",
    ports: PORTS.len(),
    command: seaweedfs,
    // the buckets are made last; objects can be read and written some time after it listens
    ready: &[
        (FILER, "GET /buckets/tidewatch/", 200),
        (0, "GET /tidewatch", 403),
        (0, "PUT /probe/ready", 200),
        (0, "GET /probe/ready", 200),
    ],
    litter: sockets,
};
const SMALL: Kind = Kind { command: small_seaweedfs, ..SEAWEEDFS };
const WITHOUT_CONDITIONS: Kind =
    Kind { name: "s3rver", ports: 1, command: s3rver, ready: &[(0, "GET /tidewatch", 200)], litter: |_| Vec::new() };

static SHARED: LazyLock<S3> = LazyLock::new(S3::start);

/// An S3 server with [`BUCKET`].
pub(crate) struct S3(Server);

impl S3 {
    /// A server of its own for a test; knows [`WRITER`] and [`READER`].
    pub(crate) fn start() -> S3 {
        S3(Server::start(SEAWEEDFS))
    }

    /// The server of all tests that do not stop it; a prefix for each.
    pub(crate) fn shared() -> &'static S3 {
        &SHARED
    }

    /// One that is full after some megabytes: then a put is answered with 500 `InternalError`.
    pub(crate) fn small() -> S3 {
        S3(Server::start(SMALL))
    }

    /// Stops a small one, and starts it again with room.
    pub(crate) fn give_room(&mut self) {
        self.stop();
        self.0.set_kind(SEAWEEDFS);
        self.start_again();
    }

    /// One where every writer of a create-only object wins; knows [`S3RVER`].
    pub(crate) fn without_conditions() -> S3 {
        S3(Server::start(WITHOUT_CONDITIONS))
    }

    pub(crate) fn endpoint(&self) -> String {
        self.0.endpoint()
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port()
    }

    /// Kills it; its data stays.
    pub(crate) fn stop(&mut self) {
        self.0.stop();
    }

    pub(crate) fn start_again(&mut self) {
        self.0.start_again();
    }
}

fn seaweedfs(ports: &[u16], directory: &Path) -> Command {
    let identity = |keys: Keys, actions: &[&str]| {
        json!({
            "name": keys.id,
            "credentials": [{ "accessKey": keys.id, "secretKey": keys.secret }],
            "actions": actions,
        })
    };
    let writer = identity(WRITER, &["Admin", "Read", "List", "Tagging", "Write"]);
    let reader = identity(READER, &["Read", "List"]);
    let everyone = json!({ "name": "anonymous", "actions": [format!("Read:{PROBE}"), format!("Write:{PROBE}")] });
    let identities = json!({ "identities": [writer, reader, everyone] });
    fs::write(directory.join("s3.json"), identities.to_string()).unwrap();
    let data = directory.join("data");
    fs::create_dir_all(&data).unwrap();

    let mut command = Command::new(installed("seaweedfs/bin/weed"));
    command.args(["-logtostderr=true", "mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.config=s3.json"]);
    command.arg(format!("-dir={}", data.display())).arg(format!("-bucket={PROBE},{BUCKET}"));
    // the service makes no bucket by itself
    command.arg("-s3.autoCreateBucket=false");
    // its master is alone; one that resumes may refuse volumes for a quarter of a minute
    command.arg("-master.resumeState=false");
    command.args(["-admin.ui=false", "-webdav=false", "-master.telemetry=false"]);
    command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
    command.args(PORTS.iter().zip(ports).map(|(flag, port)| format!("-{flag}={port}")));
    for socket in ["filer", "s3"] {
        command.arg(format!("-{socket}.localSocket={}", directory.join(socket).with_extension("sock").display()));
    }
    command
}

fn small_seaweedfs(ports: &[u16], directory: &Path) -> Command {
    let mut command = seaweedfs(ports, directory);
    command.args(["-volume.max=2", "-master.volumeSizeLimitMB=1"]);
    command
}

fn sockets(ports: &[u16]) -> Vec<String> {
    let grpc = PORTS.iter().zip(ports).filter_map(|(flag, port)| Some((flag.strip_suffix(".port.grpc")?, port)));
    grpc.map(|(part, port)| format!("/tmp/seaweedfs-{part}-grpc-{port}.sock")).collect()
}

fn s3rver(ports: &[u16], directory: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(installed("node_modules/s3rver/bin/s3rver.js")).arg("-d").arg(directory.join("data"));
    command.args(["-a", "127.0.0.1", "-p", &ports[0].to_string(), "--no-vhost-buckets", "--configure-bucket", BUCKET]);
    command
}
