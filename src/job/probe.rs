//! A look at what a job will talk to, before it runs: each place is asked for everything that the job will ask of it,
//! and each answer is a step of a report. A step that fails says why and what would help; the others are tried all the
//! same, so that all that is missing is named at once.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{deliveries, lock};
use crate::alert::{notice, receiver};
use crate::config::{Config, Source};
use crate::model::Timestamp;
use crate::source::kinesis;
use crate::store::{Created, Place, Replaced, Store, StoreError, Version};

const CONTENT: Bytes = Bytes::from_static(b"written by `tidewatch check`, which deletes it\n");
const OTHER: Bytes = Bytes::from_static(b"written by `tidewatch check` as a second writer\n");

/// So many records of a stream are looked at.
const SAMPLE_RECORDS: u32 = 10;

/// What was asked of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What is kept or read there.
    pub purpose: &'static str,
    /// The place: a url, a stream.
    pub place: String,
    /// What was tried, in order.
    pub steps: Vec<Step>,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub name: &'static str,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It works; perhaps with a word about what was found.
    Fine(String),
    /// It does not; why, and behind `hint:` what would help.
    Failed(String),
}

/// A place that answers and does not do what a job needs.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "an object that was there was written again; hint: this server has no conditional writes (`If-None-Match: *` is \
         ignored), so two jobs would overwrite each other; use a store that has them"
    )]
    NotOnce,
    #[error(
        "an object that was there was written again in parts; hint: this server ignores conditions on uploads in parts; \
         set `store.s3.part_bytes` above `partition.object_bytes_max`"
    )]
    NotOnceInParts,
    #[error(
        "an object was replaced by one who had seen an older one; hint: this server ignores `If-Match`, so two jobs \
         would hold one lease; use a store that honours it"
    )]
    NotTheOneSeen,
    #[error("an object of a name that nobody else uses was there; hint: something writes under the same names")]
    Taken,
    #[error("an object that was written is not listed; hint: this store lists late; use one that is consistent")]
    NotListed,
    #[error("an object reads other than it was written; hint: something between here and the store changes it")]
    NotTheSame,
}

impl Report {
    /// A report without steps.
    pub fn new(purpose: &'static str, place: &str) -> Report {
        Report { purpose, place: place.to_owned(), steps: Vec::new() }
    }

    /// Whether every step works.
    pub fn is_fine(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.outcome, Outcome::Fine(_)))
    }

    /// Adds a step; gives what came of it, if it works.
    pub fn step<T, E: ToString>(&mut self, name: &'static str, result: Result<T, E>) -> Option<T> {
        self.told(name, result, |_| String::new())
    }

    /// Adds a step with a word about what was found.
    fn told<T, E: ToString>(
        &mut self,
        name: &'static str,
        result: Result<T, E>,
        word: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let (outcome, value) = match result {
            Ok(value) => (Outcome::Fine(word(&value)), Some(value)),
            Err(error) => (Outcome::Failed(error.to_string()), None),
        };
        self.steps.push(Step { name, outcome });
        value
    }
}

/// Asks the stream, where the source is one, for all that a job needs of it.
pub async fn source(config: &Config) -> Option<Report> {
    let Source::Kinesis(settings) = &config.source else { return None };
    let mut report = Report::new("stream", &settings.stream.to_string());
    let described = report.told("describe", kinesis::describe(settings).await, |found| {
        let mode = found.mode.as_ref().map_or_else(String::new, |mode| format!(", {}", mode.to_lowercase()));
        let encryption = found.encryption.as_ref().map_or_else(String::new, |kind| format!(", encrypted ({kind})"));
        format!(
            "({}, {} of {} shards open, kept for {} h{mode}{encryption})",
            found.status.to_lowercase(),
            found.open_shards,
            found.shards,
            found.retention_hours
        )
    });
    if described.is_some() {
        report.told("read", kinesis::sample(settings, SAMPLE_RECORDS).await, |chunk| match chunk {
            Some(chunk) => format!("({} bytes of `{}`)", chunk.bytes.len(), chunk.partition),
            None => "(no shard has a record)".to_owned(),
        });
    }
    Some(report)
}

/// Asks the places of partitions and of checkpoints for all that a job needs of them. A directory that is not there is
/// made for the while.
pub async fn stores(config: &Config) -> Vec<Report> {
    let mut reports = Vec::new();
    for (purpose, url) in [("partitions", &config.partition.url), ("state", &config.job.state)] {
        let mut report = Report::new(purpose, url);
        let made = made_by_opening(url);
        if let Some(store) = report.step("open", Store::open(url, &config.store).await) {
            probe(&store, &mut report).await;
        }
        // what is not empty stays: somebody else was quicker
        made.iter().for_each(|directory| drop(fs::remove_dir(directory)));
        reports.push(report);
    }
    reports
}

/// Sends a test message to every receiver, whatever its filter; it says that it is one.
pub async fn receivers(config: &Config, now: Timestamp) -> Vec<Report> {
    let mut reports = Vec::new();
    for route in config.alerts.iter().chain(&config.deliveries) {
        let Some(delivery) = &route.delivery else { continue };
        let mut report = Report::new("receiver", &format!("`{}`: {}", route.name, delivery.receiver.place()));
        let about = deliveries::about(route, config.interval.zone);
        let opened = delivery.receiver.open(&delivery.format, &about, delivery.pace.timeout, &config.store).await;
        if let Some(mut receiver) = report.step("open", opened) {
            let notice = notice::test(now);
            let outcomes = receiver.deliver(&[&notice], now).await;
            let failed = outcomes.into_iter().find_map(receiver::Outcome::trouble);
            report.step("send", failed.map_or(Ok(()), Err));
        }
        reports.push(report);
    }
    reports
}

/// Tries on an object of its own what a job does with others.
async fn probe(store: &Store, report: &mut Report) {
    let name = format!("_probe-{}", lock::unique());
    let written = write(store, &name).await;
    let is_silent = matches!(written, Err(ProbeError::Store(StoreError::GaveUp { .. })));
    let is_written = report.step("write", written).is_some();
    // who does not answer need not be asked more
    if is_silent {
        return;
    }
    if is_written {
        report.step("write only once", write_again(store, &name).await);
    }
    report.step("list", list(store, &name, is_written).await);
    let version = report.step("read", read(store, &name, is_written).await).flatten();
    // a directory is locked by a file, and has no uploads in parts
    if let Some(version) = version.filter(|_| store.directory().is_none()) {
        report.step("write in parts only once", write_again_in_parts(store, &name).await);
        report.step("replace only what was seen", replace(store, &name, &version).await);
    }
    report.step("delete", store.delete(&name).await);
}

async fn write(store: &Store, name: &str) -> Result<(), ProbeError> {
    match store.create(name, CONTENT).await? {
        Created::New => Ok(()),
        Created::Exists => Err(ProbeError::Taken),
    }
}

async fn write_again(store: &Store, name: &str) -> Result<(), ProbeError> {
    match store.create(name, OTHER).await? {
        Created::New => Err(ProbeError::NotOnce),
        Created::Exists => Ok(()),
    }
}

async fn write_again_in_parts(store: &Store, name: &str) -> Result<(), ProbeError> {
    match store.clone().in_parts().create(name, OTHER).await? {
        Created::New => Err(ProbeError::NotOnceInParts),
        Created::Exists => Ok(()),
    }
}

async fn list(store: &Store, name: &str, is_written: bool) -> Result<(), ProbeError> {
    // what lies in the root itself is listed, not what years have left in its folders
    let listed = store.list_beginning("_probe-").await?;
    let is_there = listed.iter().any(|entry| entry.name == name);
    if is_written && !is_there { Err(ProbeError::NotListed) } else { Ok(()) }
}

async fn read(store: &Store, name: &str, is_written: bool) -> Result<Option<Version>, ProbeError> {
    match store.get_versioned(name).await? {
        Some((bytes, version)) if bytes == CONTENT || bytes == OTHER => Ok(Some(version)),
        None if !is_written => Ok(None),
        _ => Err(ProbeError::NotTheSame),
    }
}

async fn replace(store: &Store, name: &str, version: &Version) -> Result<(), ProbeError> {
    store.put(name, OTHER).await?;
    match store.replace(name, CONTENT, version).await? {
        Replaced::Done(_) => Err(ProbeError::NotTheOneSeen),
        Replaced::Changed => Ok(()),
    }
}

/// Directories that opening a url will make, the deepest first.
fn made_by_opening(url: &str) -> Vec<PathBuf> {
    let place = Place::parse(url).ok();
    let directory = place.as_ref().and_then(Place::directory);
    let missing = directory.into_iter().flat_map(Path::ancestors).take_while(|path| !path.exists());
    missing.filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_has_all_that_a_job_needs_and_is_left_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "[source.stdin]\n[select]\ntimestamp = 'at'\nmeasures = ['views']\n[partition]\nurl = '{}/out/deep'\n",
            directory.path().display()
        );
        let config = crate::config::parse(&text, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        let reports = stores(&config).await;
        assert_eq!(reports.len(), 2);
        for report in reports {
            assert!(report.is_fine(), "{report:?}");
            let names: Vec<_> = report.steps.iter().map(|step| step.name).collect();
            assert_eq!(names, ["open", "write", "write only once", "list", "read", "delete"]);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "what was made for the while is gone");
    }

    #[tokio::test]
    async fn a_store_in_memory_replaces_only_what_was_seen() {
        let store = Store::in_memory();
        let mut report = Report::new("state", "memory");
        probe(&store, &mut report).await;
        assert!(report.is_fine() && report.steps.len() == 7, "{report:?}");
        assert_eq!(store.list("").await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_used_says_so() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), "").unwrap();
        let mut report = Report::new("state", "x");
        let url = directory.path().join("file/below").display().to_string();
        report.step("open", Store::open(&url, &crate::store::Settings::default()).await);
        assert!(
            !report.is_fine()
                && matches!(&report.steps[0].outcome, Outcome::Failed(said) if said.contains("file/below"))
        );
    }
}
