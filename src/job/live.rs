//! `run` and `etl`: the whole line, or the line up to its partitions. Reads like the picture: next batch, push it into
//! the intervals, commit what closes, judge it, tell; and a checkpoint at the end of each micro-batch.

mod batch;
mod commit;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use batch::{MicroBatch, Step};

use super::absence::Absence;
use super::checkpoint::{Checkpoint, CheckpointError, Checkpoints, Start};
use super::deliveries::Deliveries;
use super::detector::{self, Resume};
use super::error::JobError;
use super::feed::{DRAIN_TIMEOUT, Fed, Feed, Input};
use super::history::History;
use super::host::{Event, Host, Summary};
use super::incidents::{self, Orders};
use super::judge::Judge;
use super::lock::Locks;
use super::prepare::Preparer;
use super::references::{Look, References};
use super::revise::LateRows;
use super::schema;
use super::seen::Gatherer;
use super::silence::Silence;
use super::spill::Spill;
use super::status;
use super::unjudged::Unjudged;
use crate::alert::{AnomalyTable, INCIDENTS, IncidentTable, RECORDS, REVISIONS, RecordTable, RevisionTable};
use crate::config::Config;
use crate::detect::{Detector, records::RecordDetector};
use crate::incident::Incidents;
use crate::interval::{Intervals, Lanes, ResumePoint};
use crate::model::{Area, Interval};
use crate::partition::{Descriptor, Writer};
use crate::source::kinesis::Lags;
use crate::store::{Patience, Place, Store, Sweep};

/// A job that is asked to stop has so long to finish what it has begun: what runs it commonly waits half a minute.
const STOP_TIMEOUT: Duration = Duration::from_secs(25);

/// How far the line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// To the partitions.
    Etl,
    /// To the findings.
    Run,
}

impl Line {
    fn command(self) -> &'static str {
        match self {
            Line::Etl => "etl",
            Line::Run => "run",
        }
    }
}

/// Runs the line until its source ends or the host wants it to stop.
///
/// # Errors
/// When a stage cannot go on; what is committed stays, and the job can be started again.
pub async fn run<'a>(config: &'a Config, line: Line, start: Start, host: Host<'a>) -> Result<Summary, JobError> {
    let mut shutdown = host.shutdown.clone();
    let summary = tokio::select! {
        summary = open(config, line, start, host) => summary,
        // a store that does not answer is waited for, but not by someone who was asked to leave
        () = async { shutdown.requested().await; tokio::time::sleep(STOP_TIMEOUT).await } => Err(JobError::StopTimeout),
    };
    if matches!(summary, Err(JobError::StopTimeout)) {
        // the source's thread notices that nobody listens
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    }
    summary
}

async fn open<'a>(config: &'a Config, line: Line, start: Start, host: Host<'a>) -> Result<Summary, JobError> {
    let watched = |store: Store| match &host.watch {
        Some(watch) => store.watched(watch.clone()),
        None => store,
    };
    let state = watched(Store::open(&config.job.state, &config.store).await?.patient(Patience::endless()));
    let store = watched(Store::open(&config.partition.url, &config.store).await?.patient(Patience::endless()));
    let locks = Arc::new(Locks::take(&state, &store).await?);
    let ended = locked(config, (line, start), host, (state, store), &locks).await;
    locks.release().await;
    ended
}

async fn locked<'a>(
    config: &'a Config,
    (line, start): (Line, Start),
    mut host: Host<'a>,
    (state, store): (Store, Store),
    locks: &Arc<Locks>,
) -> Result<Summary, JobError> {
    let mut references = References::load(config, host.clock.elapsed()).await?;
    let mut before = Before { start, so_far: None };
    loop {
        let stores = (state.clone(), store.clone());
        let (summary, ending, returned) =
            session(config, (line, before), host, stores, (locks, &mut references)).await?;
        if ending != Ending::Reopen {
            return Ok(summary);
        }
        (host, before) = (returned, Before { start: Start::GoOn, so_far: Some(summary) });
    }
}

/// What a job did before it opened its source again.
struct Before {
    start: Start,
    /// None when it opens it for the first time.
    so_far: Option<Summary>,
}

/// Why a job no longer reads its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It has ended.
    Source,
    /// Somebody asked for it.
    Stopped,
    /// A reference table has changed: it is to be opened again.
    Reopen,
}

/// From the opening of the source until it is left.
async fn session<'a>(
    config: &'a Config,
    (line, Before { start, so_far }): (Line, Before),
    mut host: Host<'a>,
    (state, store): (Store, Store),
    (locks, references): (&Arc<Locks>, &mut References),
) -> Result<(Summary, Ending, Host<'a>), JobError> {
    // a detector may run beside `etl`: what it stages is not ours
    state.sweep(Sweep::Root)?;
    let told = [Area::Anomalies.folder(), REVISIONS, RECORDS, INCIDENTS].into_iter().filter(|_| line == Line::Run);
    for folder in [Area::Data.folder(), Area::Rejects.folder()].into_iter().chain(told) {
        store.sweep(Sweep::Below(folder))?;
    }
    let orders = Orders::new(state.clone());
    let (checkpoints, found) = Checkpoints::open(state.clone(), start).await?;
    let resumed = found.is_some();
    let checkpoint = found.as_ref().map(|found| found.checkpoint.clone()).unwrap_or_default();
    if resumed && checkpoint.detector.is_some() != (line == Line::Run) {
        let there = if line == Line::Run { Line::Etl.command() } else { Line::Run.command() };
        return Err(JobError::OtherCommand { state: config.job.state.clone(), there, here: line.command() });
    }
    let source = config.source.identity();
    if resumed && checkpoint.source != source {
        let (state, there) = (config.job.state.clone(), checkpoint.source);
        return Err(JobError::OtherSource { state, there, here: source });
    }
    if resumed && Descriptor::load(&store).await?.is_none() {
        let (state, url) = (config.job.state.clone(), config.partition.url.clone());
        return Err(JobError::PartitionsGone { state, url });
    }
    let mut input = Input::open(config, &checkpoint.resume, host.clock.now()).await?;
    let columns = schema::claim(config, &store, Some(&mut input)).await?;
    let mut history = History::new(config, store.clone(), &columns).await?;
    let (judge, learned_anew) = match (line, &found) {
        (Line::Etl, _) => (None, false),
        (Line::Run, None) => (Some(Judge::new(config, &columns)?), false),
        (Line::Run, Some(found)) => {
            let resume =
                Resume { config, columns: &columns, command: line.command(), checkpoints: &checkpoints, found };
            let (judge, learned_anew) = resume.judge(&mut history, &mut host).await?;
            (Some(judge), learned_anew)
        }
    };
    let incidents = incidents::resume(config, &columns, found.as_ref().map(|found| &found.checkpoint), start)?;
    drop(found);
    let deliveries = match line {
        Line::Etl => None,
        Line::Run => Some(Deliveries::open(config, &state, &store, &host.clock).await?),
    };
    if so_far.is_none() {
        host.listener.on(Event::Started { total_bytes: input.total_bytes(), resumed });
    }
    let writer =
        Writer::new(store.clone(), columns.clone(), config.partition.format, config.partition.object_bytes_max);
    let spill = Arc::new(Spill::new(&spill_directory(config)?));
    let gatherer = if judge.is_some() { Some(Gatherer::new(config, &columns)?) } else { None };
    let preparer = Preparer::new(writer.clone(), gatherer, Arc::clone(&spill), config.job.threads.get());
    let length = config.interval.length;
    let last = incidents.last().map(|last| Interval::containing(last * length.micros(), length));
    let mut live = Live {
        config,
        spill,
        preparer,
        intervals: Intervals::resume(config.interval, checkpoint.resume.clone(), checkpoint.done.clone()),
        read_before: checkpoint.done.read,
        committed_before: checkpoint.tally.read(),
        resumed,
        unsaved: 0,
        silence: Silence::new(config.interval.lanes, config.idle_timeout),
        absence: Absence::new(
            config.interval.zone,
            (Duration::from_secs(u64::from(config.interval.length.seconds())), config.interval.offset_micros),
            config.idle_timeout,
        )
        .resume(last, checkpoint.is_live, host.clock.elapsed()),
        looked: None,
        groups: 0,
        is_live: input.is_live(),
        is_replayable: input.is_replayable(),
        done: Checkpoint { source, ..checkpoint },
        writer,
        judge,
        unjudged: Unjudged::default(),
        history,
        late: LateRows::new(store.clone()),
        table: AnomalyTable::new(store.clone()),
        records: RecordTable::new(store.clone()),
        revisions: RevisionTable::new(store.clone()),
        incidents,
        incident_table: IncidentTable::new(store),
        opened: 0,
        orders,
        deliveries,
        checkpoints,
        locks: Arc::clone(locks),
        host,
    };
    if learned_anew {
        live.save(live.done.resume.clone()).await?;
    }
    live.begin(&input).await?;
    let lags = input.lags();
    let mut feed = input.start(&columns, references, live.host.clock.clone())?;
    let worked = live.work(&mut feed, lags, references).await;
    feed.close().await;
    let (mut summary, ending, host) = worked?;
    if let Some(before) = so_far {
        summary.read += before.read;
        summary.groups += before.groups;
        summary.incidents += before.incidents;
        summary.resumed = before.resumed;
    }
    Ok((summary, ending, host))
}

/// Beside the state where that is a directory, else where the system wants what does not last.
fn spill_directory(config: &Config) -> Result<PathBuf, JobError> {
    let state = Place::parse(&config.job.state)?;
    Ok(state.directory().map_or_else(std::env::temp_dir, Path::to_owned))
}

struct Live<'a> {
    config: &'a Config,
    host: Host<'a>,
    intervals: Intervals,
    spill: Arc<Spill>,
    /// Closings on their way to the store; none is when a checkpoint is saved.
    preparer: Preparer,
    writer: Writer,
    judge: Option<Judge>,
    /// Committed, and not judged yet; none is when a checkpoint is saved.
    unjudged: Unjudged,
    /// Reads back what was committed before with other rows.
    history: History,
    late: LateRows,
    table: AnomalyTable,
    records: RecordTable,
    revisions: RevisionTable,
    deliveries: Option<Deliveries>,
    incidents: Incidents,
    incident_table: IncidentTable,
    /// Incidents that opened.
    opened: u64,
    /// Commands about them.
    orders: Orders,
    checkpoints: Checkpoints,
    locks: Arc<Locks>,
    /// The last checkpoint, with the account brought up to date after each commit.
    done: Checkpoint,
    /// Closings since the last checkpoint.
    unsaved: u64,
    silence: Silence,
    absence: Absence,
    /// The last interval that the clock had passed when it was last asked which shards lag.
    looked: Option<Interval>,
    groups: u64,
    /// Records read, and records accounted for, before this process began.
    read_before: u64,
    committed_before: u64,
    resumed: bool,
    is_live: bool,
    is_replayable: bool,
}

impl<'a> Live<'a> {
    /// Notes which partitions the source begins with, and where: a job that is killed before it has read anything from
    /// one of them begins at the same place again.
    async fn begin(&mut self, input: &Input) -> Result<(), JobError> {
        if self.intervals.begin(&input.begin(), self.host.clock.now()) {
            self.save(self.intervals.resume_point()).await?;
        }
        Ok(())
    }

    async fn work(
        mut self,
        feed: &mut Feed,
        lags: Option<Lags>,
        references: &mut References,
    ) -> Result<(Summary, Ending, Host<'a>), JobError> {
        let mut batch = self.micro_batch();
        let ending = loop {
            match self.step(feed, &batch).await? {
                Step::Fed(at, Fed::Batch(rows, bytes)) => {
                    batch.records += (rows.rows.len() + rows.rejects.len() + rows.dropped.len()) as u64;
                    batch.bytes += rows.chunk.bytes.len() as u64;
                    let (partition, has_rows) = (rows.chunk.partition.clone(), !rows.rows.is_empty());
                    let before = self.intervals.watermark_of(&partition);
                    let closings = self.intervals.push(*rows)?;
                    // one that gives nothing but rejects, or one event time again and again, must not hold up the others
                    if has_rows && self.intervals.watermark_of(&partition) != before {
                        self.silence.broken(&partition, at);
                    }
                    self.begin_commits(closings).await?;
                    if self.intervals.held_bytes() > self.config.job.held_bytes_max {
                        self.intervals.put_away(|rows| self.spill.put(rows))?;
                    }
                    let (records, watermark) = (self.intervals.state().read, self.intervals.watermark());
                    self.host.listener.on(Event::Read { bytes, records, watermark });
                    self.absence.moved(watermark, self.host.clock.now(), self.host.clock.elapsed());
                    self.close_silent().await?;
                }
                Step::Fed(at, Fed::Idle(quiet)) => {
                    self.silence.kept(&quiet, at);
                    self.close_silent().await?;
                }
                Step::Prepared(prepared) => self.commit(*prepared).await?,
                Step::Fed(_, Fed::End) => break Ending::Source,
                Step::Cut => {}
                Step::Stop => break Ending::Stopped,
            }
            self.judge_due().await?;
            self.tell_absent().await?;
            self.tell_lagging().await?;
            let limits = &self.config.job;
            let is_full = batch.records >= limits.batch_records_max || batch.bytes >= limits.batch_bytes_max;
            let is_over = self.host.clock.elapsed() >= batch.ends;
            if is_full || is_over {
                self.checkpoint().await?;
                if let Some(lags) = lags.as_ref().filter(|_| is_over) {
                    let (records, watermark) = (self.intervals.state().read, self.intervals.watermark());
                    let slowest = self.intervals.slowest().filter(|_| self.intervals.held() > 0);
                    self.host.listener.on(Event::Batch { records, watermark, slowest, lags_ms: &lags.millis() });
                }
                if self.has_news(references).await {
                    break Ending::Reopen;
                }
                batch = self.micro_batch();
            }
        };
        let stopped = ending != Ending::Source;
        if stopped && !self.is_replayable {
            while let Some(batch) = feed.drain().await? {
                let closings = self.intervals.push(batch)?;
                self.begin_commits(closings).await?;
            }
        }
        if !stopped || !self.is_replayable {
            let closings = self.intervals.finish()?;
            self.begin_commits(closings).await?;
        }
        self.checkpoint().await?;
        if let Some(deliveries) = self.deliveries.take() {
            deliveries.finish(stopped).await;
        }
        Ok((self.summary(ending == Ending::Stopped), ending, self.host))
    }

    /// Whether a reference table has changed.
    async fn has_news(&mut self, references: &mut References) -> bool {
        match references.look(self.host.clock.elapsed()).await {
            Look::Same => false,
            Look::Changed => {
                let told = "a reference table has changed: open intervals are read again and joined with it";
                self.host.listener.on(Event::Info(told));
                true
            }
            Look::Unusable(reason) => {
                self.host.listener.on(Event::Warning(&reason));
                false
            }
        }
    }

    fn micro_batch(&self) -> MicroBatch {
        let ends = self.host.clock.elapsed() + self.config.job.stream_batch_time;
        MicroBatch { ends, records: 0, bytes: 0 }
    }

    async fn step(&mut self, feed: &mut Feed, batch: &MicroBatch) -> Result<Step, JobError> {
        let now = self.host.clock.elapsed();
        let left = batch.ends.saturating_sub(now);
        let left = self.unjudged.left(now).map_or(left, |unjudged| unjudged.min(left));
        tokio::select! {
            biased;
            () = self.host.shutdown.requested() => Ok(Step::Stop),
            lost = self.locks.lost() => Err(lost.into()),
            Some(prepared) = self.preparer.next() => prepared.map(|prepared| Step::Prepared(Box::new(prepared))),
            fed = feed.next() => fed.map(|(at, fed)| Step::Fed(at, fed)),
            () = tokio::time::sleep(left) => Ok(Step::Cut),
        }
    }

    /// Closes intervals that wait for lanes which have been silent for `interval.idle_timeout`. The decision is written
    /// down before anything follows from it, because the records alone do not tell of it.
    async fn close_silent(&mut self) -> Result<(), JobError> {
        while self.is_live {
            let raises = self.intervals.plan(|lane| self.silence.is_silent(lane), self.host.clock.now());
            if raises.is_empty() {
                break;
            }
            self.settle().await?;
            if self.config.interval.lanes == Lanes::One {
                // the order in which partitions were read so far belongs to the decision
                self.done.done = self.intervals.done();
                self.save(self.intervals.resume_point()).await?;
            }
            self.checkpoints.note(&raises).await?;
            let closings = self.intervals.raise(raises)?;
            self.begin_commits(closings).await?;
            self.checkpoint().await?;
        }
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<(), JobError> {
        self.settle().await?;
        let state = self.intervals.state();
        let committed = self.done.tally.read() - self.committed_before;
        let accounted = self.intervals.replayed() + self.intervals.held() + committed;
        if state.read != accounted {
            return Err(JobError::Accounting { read: state.read, accounted });
        }
        let is_ordered = match self.judge {
            Some(_) => self.orders.take(&mut self.incidents, &*self.host.clock).await?,
            None => false,
        };
        if self.unsaved == 0 && !is_ordered {
            return Ok(());
        }
        self.unsaved = 0;
        self.done.done = self.intervals.done();
        self.save(self.intervals.resume_point()).await
    }

    async fn save(&mut self, resume: ResumePoint) -> Result<(), JobError> {
        (self.done.resume, self.done.is_live) = (resume, self.absence.is_live());
        if self.judge.is_some() {
            self.done.incidents = Some(self.incidents.snapshot().map_err(CheckpointError::from)?);
        }
        detector::save(&mut self.checkpoints, &mut self.done, self.judge.as_mut()).await?;
        self.orders.saved().await
    }

    fn summary(&self, stopped: bool) -> Summary {
        let detector = self.judge.as_ref().and_then(Judge::detector);
        let status = detector.map(Detector::status);
        Summary {
            read: self.intervals.state().read.saturating_sub(self.read_before),
            tally: self.done.tally,
            held: self.intervals.held(),
            intervals: self.done.intervals,
            series: status.as_ref().map_or(0, |status| status.series as u64),
            learning: status.as_ref().map_or(0, |status| status.learning as u64),
            speaks: detector.and_then(status::speaks),
            records: self.judge.as_ref().and_then(Judge::records).map(RecordDetector::status),
            findings: self.done.findings,
            incidents: self.opened,
            revisions: self.done.revisions,
            groups: self.groups,
            elapsed: self.host.clock.elapsed(),
            stopped,
            resumed: self.resumed,
        }
    }
}
