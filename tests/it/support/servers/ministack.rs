//! ministack: topics, queues and functions of Amazon. It verifies signatures, and runs functions.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidewatch::aws::{Service, Settings};
use tidewatch::job::{Clock as _, SystemClock};
use tokio::runtime::{Builder, Runtime};

use super::{Kind, Server, installed, python};
use crate::support::stream::REGION;

/// Any twelve digits; this is what it takes keys that it does not know for.
const ACCOUNT: &str = "000000000000";
const MINISTACK: Kind =
    Kind { name: "ministack", ports: 1, command, ready: &[(0, "GET /_ministack/health", 200)], litter: |_| Vec::new() };

static SHARED: LazyLock<Ministack> = LazyLock::new(|| Ministack(Server::start(MINISTACK)));

pub(crate) struct Ministack(Server);

impl Ministack {
    /// The server of all tests; names of their own for each.
    pub(crate) fn shared() -> &'static Ministack {
        &SHARED
    }

    pub(crate) fn endpoint(&self) -> String {
        self.0.endpoint()
    }

    /// A topic of this name whose messages go to a queue of the same name.
    pub(crate) fn topic(&self, name: &str) -> (String, Queue) {
        let queue = Queue { client: Client::of(self, "sqs"), url: format!("{}/{ACCOUNT}/{name}", self.endpoint()) };
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{ "Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*" }],
        });
        let attributes = json!({ "Policy": policy.to_string() });
        queue.client.json("AmazonSQS.CreateQueue", &json!({ "QueueName": name, "Attributes": attributes }));
        let topics = Client::of(self, "sns");
        let topic = format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}");
        topics.form(&format!("Action=CreateTopic&Version=2010-03-31&Name={name}"));
        let endpoint = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}");
        topics.form(&format!("Action=Subscribe&Version=2010-03-31&TopicArn={topic}&Protocol=sqs&Endpoint={endpoint}"));
        (topic, queue)
    }

    /// A function of this name; the code has `handler(event, context)`.
    pub(crate) fn function(&self, name: &str, code: &str) {
        let may = json!({ "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" });
        let policy = json!({ "Version": "2012-10-17", "Statement": [may] }).to_string();
        let policy: String = policy.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let role = format!("Action=CreateRole&Version=2010-05-08&RoleName={name}&AssumeRolePolicyDocument={policy}");
        Client::of(self, "iam").form(&role);
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("index.py"), code).unwrap();
        let zip = ["-m", "zipfile", "-c", "code.zip", "index.py"];
        assert!(python().args(zip).current_dir(&directory).status().unwrap().success());
        let zip = STANDARD.encode(fs::read(directory.path().join("code.zip")).unwrap());
        let function = json!({
            "FunctionName": name,
            "Runtime": "python3.12",
            "Role": format!("arn:aws:iam::{ACCOUNT}:role/{name}"),
            "Handler": "index.handler",
            "Code": { "ZipFile": zip },
            "Timeout": 60,
        });
        let headers = [("content-type", "application/json".to_owned())];
        Client::of(self, "lambda").ask("/2015-03-31/functions", &headers, function.to_string());
    }
}

/// A queue.
pub(crate) struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// Takes what is in it: the messages as the topic was given them.
    pub(crate) fn take(&self) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let wanted = json!({ "QueueUrl": self.url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 600 });
            let answer = self.client.json("AmazonSQS.ReceiveMessage", &wanted);
            let received = answer["Messages"].as_array().cloned().unwrap_or_default();
            if received.is_empty() {
                return messages;
            }
            messages.extend(
                received
                    .iter()
                    .map(|message| serde_json::from_str::<Value>(message["Body"].as_str().unwrap()).unwrap()),
            );
        }
    }
}

/// Asks a service.
struct Client {
    runtime: Runtime,
    service: Service,
}

impl Client {
    fn of(server: &Ministack, name: &'static str) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let settings = Settings {
            region: Some(REGION.into()),
            endpoint_url: Some(server.endpoint()),
            credentials: Some(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "tests"))),
            ..Settings::default()
        };
        let service = runtime.block_on(Service::open(&settings, name, reqwest::Client::new())).unwrap();
        Client { runtime, service }
    }

    fn ask(&self, path: &str, headers: &[(&'static str, String)], body: String) -> String {
        let now = SystemClock::start().now().micros();
        self.runtime.block_on(async {
            let request = self.service.post(path, headers, body.into_bytes(), now).await.unwrap();
            let answer = request.send().await.unwrap();
            let (status, text) = (answer.status(), answer.text().await.unwrap());
            assert!(status.is_success(), "{status}: {text}");
            text
        })
    }

    fn json(&self, target: &str, body: &Value) -> Value {
        let headers = [("x-amz-target", target.to_owned()), ("content-type", "application/x-amz-json-1.0".to_owned())];
        serde_json::from_str(&self.ask("/", &headers, body.to_string())).unwrap_or_default()
    }

    fn form(&self, body: &str) {
        self.ask("/", &[("content-type", "application/x-www-form-urlencoded".to_owned())], body.to_owned());
    }
}

fn command(ports: &[u16], directory: &Path) -> Command {
    let mut command = python();
    command.args(["-c", "from ministack.app import main; main()"]).env("PYTHONPATH", installed("ministack"));
    command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", ports[0].to_string()).env("AUTH", "true");
    command.env("HOME", directory);
    command
}
