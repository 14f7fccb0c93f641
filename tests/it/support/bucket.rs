//! What a job left behind in a bucket, seen by other means than through the job.

use std::thread;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use futures::{StreamExt as _, stream};
use tidewatch::aws;
use tidewatch::store::{Settings, Store};
use tokio::runtime::{Builder, Runtime};

use super::process::Running;
use super::servers::s3::{BUCKET, Keys, WRITER};
use super::stream::REGION;
use super::tree::{self, Tree};

/// How often and how many times to look whether all is committed.
const LOOK: Duration = Duration::from_millis(500);
const LOOKS_MAX: u32 = 360;
/// Objects fetched at once.
const FETCHES: usize = 16;

/// How a bucket is reached with these keys.
pub(crate) fn settings(endpoint: &str, keys: Keys) -> Settings {
    let credentials = Credentials::new(keys.id, keys.secret, None, None, "tests");
    let aws = aws::Settings {
        region: Some(REGION.into()),
        endpoint_url: Some(endpoint.into()),
        credentials: Some(SharedCredentialsProvider::new(credentials)),
        ..aws::Settings::default()
    };
    Settings { aws, ..Settings::default() }
}

/// A prefix of the bucket.
pub(crate) struct Bucket {
    runtime: Runtime,
    store: Store,
    prefix: String,
}

impl Bucket {
    pub(crate) fn open(endpoint: &str, prefix: &str) -> Bucket {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let url = format!("s3://{BUCKET}/{prefix}");
        let store = runtime.block_on(Store::open(&url, &settings(endpoint, WRITER))).unwrap();
        Bucket { runtime, store, prefix: prefix.to_owned() }
    }

    pub(crate) fn url(&self) -> String {
        format!("s3://{BUCKET}/{}", self.prefix)
    }

    /// Everything below the prefix but the state.
    pub(crate) fn tree(&self) -> Tree {
        self.fetch(&["data", "rejects", "anomalies", "revisions", "incidents"], |_| true)
    }

    /// Everything below the prefix.
    pub(crate) fn everything(&self) -> Tree {
        self.fetch(&[""], |_| true)
    }

    /// Whether an object is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.runtime.block_on(self.store.get(name)).unwrap().is_some()
    }

    /// How many rows are committed.
    pub(crate) fn committed(&self) -> u64 {
        let manifests = self.fetch(&["data"], |name| name.contains("/_manifest-"));
        tree::manifests(&manifests).values().map(|manifest| manifest.rows).sum()
    }

    /// Waits until so many rows are committed; the job must be running.
    pub(crate) fn until_committed(&self, job: &mut Running, rows: u64) {
        for _ in 0..LOOKS_MAX {
            assert!(job.status().is_none(), "the job ended: {}", job.errors());
            if self.committed() >= rows {
                return;
            }
            thread::sleep(LOOK);
        }
        panic!("{} of {rows} rows are committed; the job said:\n{}", self.committed(), job.errors());
    }

    fn fetch(&self, areas: &[&str], wanted: impl Fn(&str) -> bool) -> Tree {
        self.runtime.block_on(async {
            let mut names = Vec::new();
            for area in areas {
                names.extend(self.store.list(area).await.unwrap().into_iter().map(|entry| entry.name));
            }
            names.retain(|name| wanted(name));
            let store = &self.store;
            let get = |name: String| async move { store.get(&name).await.unwrap().map(|bytes| (name, bytes.to_vec())) };
            stream::iter(names).map(get).buffer_unordered(FETCHES).filter_map(std::future::ready).collect().await
        })
    }
}
