//! `detect`: the continuous detector alone, over partitions that another job writes. Each interval is judged once it
//! is complete: when its manifest is there, or, for partitions without manifests, when a later interval has begun or
//! the clock says that it is over. The detector's state is a checkpoint of its own, under `detect` beside the job's.
//! What came in time is judged, once: later revisions of a partition change no verdict here.

use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

use super::checkpoint::{Checkpoint, CheckpointError, Checkpoints, Start};
use super::deliveries::{self, Deliveries};
use super::detector::{self, Resume};
use super::error::JobError;
use super::history::{History, Read};
use super::host::{Event, Host};
use super::incidents::{self, Orders};
use super::judge::Judge;
use super::lock::Lock;
use super::{schema, status};
use crate::alert::{AnomalyTable, INCIDENTS, IncidentTable, RECORDS, RecordTable, worth_telling};
use crate::config::Config;
use crate::detect::Detector;
use crate::detect::records::{self, RecordDetector};
use crate::incident::Incidents;
use crate::model::{Area, Interval, Timestamp};
use crate::partition::{Descriptor, Listed};
use crate::store::{Patience, Store, Sweep};

/// How often new partitions are looked for.
const POLL: Duration = Duration::from_secs(1);
/// The same in a bucket, where each look costs two requests.
const POLL_BUCKET: Duration = Duration::from_secs(5);
/// Intervals judged between two checkpoints at most.
const CHECKPOINT_INTERVALS: u64 = 288;

/// What a detector alone did.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Intervals judged by this process.
    pub judged: u64,
    /// Intervals judged so far.
    pub intervals: u64,
    /// Series that the detector knows.
    pub series: u64,
    /// Of them, those that are still learning.
    pub learning: u64,
    /// Local time at which the last of them has its first verdict.
    pub speaks: Option<NaiveDateTime>,
    /// Where records are scored: how many so far, and by how many forests.
    pub records: Option<records::Status>,
    /// Findings so far: of series, or records that passed the threshold.
    pub findings: u64,
    /// Incidents that opened in this process.
    pub incidents: u64,
    /// Records of the partitions that this process could not read.
    pub rejected: u64,
    /// Where its checkpoint is.
    pub state: String,
    /// How long this process worked.
    pub elapsed: Duration,
    /// Whether it was asked to stop before it had judged all that was there, or while it waited for more.
    pub stopped: bool,
}

/// Judges partitions as they come.
///
/// # Errors
/// When partitions cannot be read, or the state cannot be used.
pub async fn run(config: &Config, once: bool, start: Start, host: Host<'_>) -> Result<Summary, JobError> {
    let place = place(config);
    let state = Store::open(&place, &config.store).await?.patient(Patience::endless());
    let store = Store::open(&config.partition.url, &config.store).await?.patient(Patience::endless());
    let lock = Lock::take(&state).await?;
    let ended = locked(config, (once, start), host, (state, place, store), &lock).await;
    lock.release().await;
    ended
}

/// Where the state is.
pub(super) fn place(config: &Config) -> String {
    format!("{}/detect", config.job.state.trim_end_matches('/'))
}

async fn locked(
    config: &Config,
    (once, start): (bool, Start),
    mut host: Host<'_>,
    (state, place, store): (Store, String, Store),
    lock: &Lock,
) -> Result<Summary, JobError> {
    let poll = if store.directory().is_some() { POLL } else { POLL_BUCKET };
    state.sweep(Sweep::Root)?;
    for folder in [Area::Anomalies.folder(), RECORDS, INCIDENTS] {
        store.sweep(Sweep::Below(folder))?;
    }
    let columns = match Descriptor::load(&store).await? {
        Some(_) => schema::claim(config, &store, None).await?,
        None => schema::of_partitions(config, &store, NaiveDate::MIN, NaiveDate::MAX).await?,
    };
    let mut orders = Orders::new(state.clone());
    let (mut checkpoints, found) = Checkpoints::open(state.clone(), start).await?;
    let resumed = found.is_some();
    let mut history = History::new(config, store.clone(), &columns).await?;
    let (mut judge, learned_anew) = match &found {
        None => (Judge::new(config, &columns)?, false),
        Some(found) => {
            let resume = Resume { config, columns: &columns, command: "detect", checkpoints: &checkpoints, found };
            resume.judge(&mut history, &mut host).await?
        }
    };
    let mut tracked = incidents::resume(config, &columns, found.as_ref().map(|found| &found.checkpoint), start)?;
    let mut done = found.map(|found| found.checkpoint).unwrap_or_default();
    if learned_anew {
        done.incidents = Some(tracked.snapshot().map_err(super::CheckpointError::from)?);
        detector::save(&mut checkpoints, &mut done, Some(&mut judge)).await?;
    }
    let deliveries = Deliveries::open(config, &state, &store, &host.clock).await?;
    let (table, record_table) = (AnomalyTable::new(store.clone()), RecordTable::new(store.clone()));
    let incident_table = IncidentTable::new(store);
    let (mut judged, mut unsaved, mut opened) = (0, 0, 0);
    host.listener.on(Event::Started { total_bytes: None, resumed });
    // an interval that is not to be judged is passed over once
    let mut passed = None;
    let stopped = loop {
        if orders.take(&mut tracked, &*host.clock).await? {
            unsaved += 1;
        }
        save(&mut checkpoints, &mut done, &mut judge, (&tracked, &mut orders), &mut unsaved).await?;
        let last = judge.last().max(passed);
        let waiting = waiting(config, &history, last, &host).await?;
        let mut is_cut = false;
        let mut ahead = history.ahead(&waiting);
        let mut number = 0;
        while let Some(read) = ahead.next().await {
            let Read { listed, closed, .. } = history.take(read?);
            number += 1;
            let Some(closed) = closed else {
                passed = Some(listed.interval);
                continue;
            };
            if host.shutdown.is_requested() {
                is_cut = true;
                break;
            }
            lock.confirm().await?;
            let verdict = judge.judge(&closed);
            if let Some(news) = &verdict.news {
                host.listener.on(Event::Warning(news));
            }
            table.write(&verdict.groups).await?;
            record_table.write(listed.interval, &verdict.records.written).await?;
            if !verdict.records.told.is_empty() {
                host.listener.on(Event::Records(&verdict.records.told));
            }
            judged += 1;
            done.findings += verdict.findings();
            done.intervals += 1;
            unsaved += 1;
            let told = worth_telling(deliveries::shown(config), &verdict.groups);
            if !told.is_empty() {
                host.listener.on(Event::Alert(&told));
            }
            let mut notices = Vec::new();
            for (interval, changes) in incidents::follow(&mut tracked, &judge, &closed, &verdict) {
                incident_table.write(interval, &changes.incidents).await?;
                opened += changes.incidents.iter().filter(|incident| incident.revision == 1).count() as u64;
                notices.extend(changes.notices);
            }
            let told = deliveries::worth_showing(config, &notices);
            if !told.is_empty() {
                host.listener.on(Event::Incidents(&told));
            }
            deliveries.tell_findings(listed.interval, (&verdict.groups, &notices), &[]).await?;
            deliveries.tell_records(listed.interval, &verdict.records).await?;
            host.listener.on(Event::Judged { intervals: number, total: waiting.len() as u64 });
            if unsaved >= CHECKPOINT_INTERVALS {
                save(&mut checkpoints, &mut done, &mut judge, (&tracked, &mut orders), &mut unsaved).await?;
            }
        }
        save(&mut checkpoints, &mut done, &mut judge, (&tracked, &mut orders), &mut unsaved).await?;
        if once || host.shutdown.is_requested() {
            break is_cut || !once;
        }
        tokio::select! {
            () = host.shutdown.requested() => {}
            lost = lock.lost() => return Err(lost.into()),
            () = tokio::time::sleep(poll) => {}
        }
    };
    deliveries.finish(stopped).await;
    let status = judge.detector().map(Detector::status);
    Ok(Summary {
        judged,
        intervals: done.intervals,
        series: status.as_ref().map_or(0, |status| status.series as u64),
        learning: status.as_ref().map_or(0, |status| status.learning as u64),
        speaks: judge.detector().and_then(status::speaks),
        records: judge.records().map(RecordDetector::status),
        findings: done.findings,
        incidents: opened,
        rejected: history.rejected,
        state: place,
        elapsed: host.clock.elapsed(),
        stopped,
    })
}

async fn save(
    checkpoints: &mut Checkpoints,
    done: &mut Checkpoint,
    judge: &mut Judge,
    (tracked, orders): (&Incidents, &mut Orders),
    unsaved: &mut u64,
) -> Result<(), JobError> {
    if std::mem::take(unsaved) > 0 {
        done.incidents = Some(tracked.snapshot().map_err(CheckpointError::from)?);
        detector::save(checkpoints, done, Some(judge)).await?;
        orders.saved().await?;
    }
    Ok(())
}

/// The intervals after `last` that are complete, in order: an incomplete one holds back those after it.
async fn waiting(
    config: &Config,
    history: &History,
    last: Option<Interval>,
    host: &Host<'_>,
) -> Result<Vec<Listed>, JobError> {
    let from = last.map_or(NaiveDate::MIN, |last| last.date());
    let mut listed = history.list(from, NaiveDate::MAX - TimeDelta::days(1)).await?;
    listed.retain(|listed| last.is_none_or(|last| listed.interval > last));
    keep_complete(config, &mut listed, host.clock.now());
    Ok(listed)
}

/// Leaves the first incomplete interval of a list out, and those after it.
pub(super) fn keep_complete(config: &Config, listed: &mut Vec<Listed>, now: Timestamp) {
    let newest = listed.last().map(|listed| listed.interval);
    let offset = i64::try_from(config.interval.offset_micros).unwrap_or(i64::MAX);
    let is_complete = |listed: &Listed| {
        let over = listed.interval.end_instant(config.interval.zone).saturating_add_micros(offset);
        listed.committed || newest.is_some_and(|newest| listed.interval < newest) || over <= now
    };
    let complete = listed.iter().take_while(|listed| is_complete(listed)).count();
    listed.truncate(complete);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::job::live::{self, Line};
    use crate::job::{Listener, Shutdown, SystemClock};

    struct Deaf;

    impl Listener for Deaf {
        fn on(&mut self, _: Event<'_>) {}
    }

    fn host<'a>(shutdown: &Shutdown, listener: &'a mut Deaf) -> Host<'a> {
        Host { clock: Arc::new(SystemClock::start()), shutdown: shutdown.clone(), listener, watch: None }
    }

    #[tokio::test]
    async fn once_is_stopped_only_where_intervals_are_left() {
        let directory = tempfile::tempdir().unwrap();
        let url = directory.path().join("out").display().to_string();
        let text = format!(
            "[source.generator]\ndays = 1\nseries = 1\n[select]\ntimestamp = 'event_time'\n\
             dimensions = ['platform']\nmeasures = ['views']\n[select.types]\nviews = 'integer'\n\
             [partition]\nurl = '{url}'\n"
        );
        let config = crate::config::parse(&text, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        let (stopper, asked) = Shutdown::new();
        let (_other, free) = Shutdown::new();
        let made = live::run(&config, Line::Etl, Start::GoOn, host(&free, &mut Deaf)).await.unwrap();
        assert!(made.intervals > 0);
        stopper.stop();
        let cut = run(&config, true, Start::GoOn, host(&asked, &mut Deaf)).await.unwrap();
        assert_eq!((cut.judged, cut.intervals, cut.stopped), (0, 0, true));
        let whole = run(&config, true, Start::GoOn, host(&free, &mut Deaf)).await.unwrap();
        // the last interval of a source that ended is written and not judged
        let judged = made.intervals - 1;
        assert_eq!((whole.judged, whole.intervals, whole.stopped), (judged, judged, false));
        assert_eq!(whole.state, format!("{url}/state/detect"));
        // asked to stop with nothing left to do
        let again = run(&config, true, Start::GoOn, host(&asked, &mut Deaf)).await.unwrap();
        assert_eq!((again.judged, again.intervals, again.stopped), (0, judged, false));
        // asked to stop while it learns anew: the state is as it was
        let state = || std::fs::read_dir(&whole.state).unwrap().map(|entry| entry.unwrap().file_name()).max();
        let newest = state();
        let cut = run(&config, true, Start::Rebuild, host(&asked, &mut Deaf)).await;
        assert!(matches!(cut, Err(JobError::StoppedLearning)) && state() == newest);
        let anew = run(&config, true, Start::Rebuild, host(&free, &mut Deaf)).await.unwrap();
        assert_eq!((anew.judged, anew.intervals, anew.series), (0, judged, whole.series));
        assert!(state() > newest, "what was learned anew is saved");
    }
}
