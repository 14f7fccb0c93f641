//! The front of the line on a thread of its own: source, decode and select, with batches handed over through a short
//! channel. A slow back of the line holds the source up; nothing is read far ahead.

use std::collections::VecDeque;
use std::io::Stdin as SystemStdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::clock::Clock;
use super::error::JobError;
use crate::config::{self, Config};
use crate::decode::{self, Decoder};
use crate::interval::ResumePoint;
use crate::model::{Batch, Chunk, Columns, Position, Progress, SourcePartition, Timestamp};
use crate::select::{self, Filter, Selector};
use crate::source::files::Files;
use crate::source::generator::{self, Limits, Stream};
use crate::source::kinesis::{Kinesis, Lags};
use crate::source::stdin::{self, Stdin};
use crate::source::{Next, Quiet, Resume, SourceError};

/// Batches that may wait between the two halves of the line.
const WAITING_MAX: usize = 2;
/// How long a silent source is left alone.
const IDLE_POLL: Duration = Duration::from_millis(200);
/// How long a stopped source is waited for that may be waiting itself.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// About how many bytes a chunk of standard input or of the generator has.
const CHUNK_BYTES: usize = 1 << 20;
const STDIN: &str = "stdin";
/// How often a stream is asked for a record to look at; it waits a moment each time.
const LOOKS: u32 = 20;

/// What comes out of the front of the line.
#[derive(Debug)]
pub(super) enum Fed {
    /// Rows and rejects of one chunk, and how many bytes of the input on disk have been read.
    Batch(Box<Batch>, u64),
    /// Nothing new at the moment, and which partitions are read as far as they go.
    Idle(Quiet),
    /// Nothing more will come.
    End,
}

/// A source that has been opened and not begun.
#[derive(Debug)]
pub(super) struct Input {
    source: Source,
    /// Chunks that were looked at.
    first: VecDeque<Chunk>,
    config: Config,
}

#[derive(Debug)]
enum Source {
    Files(Files),
    Kinesis(Box<Kinesis>),
    Stdin(Stdin<SystemStdin>),
    Generator {
        stream: Box<Stream>,
        speed: Option<f64>,
        begin: Option<Timestamp>,
    },
    /// Was read to its end before.
    Exhausted,
}

impl Input {
    /// Opens the configured source at a place to resume from.
    pub(super) async fn open(config: &Config, point: &ResumePoint, now: Timestamp) -> Result<Input, JobError> {
        let resume = &Resume {
            from: point.progress.clone(),
            read_to: point.read_to.clone(),
            cuts: point.raises.iter().map(|raise| raise.at.clone()).collect(),
            order: point.order.clone(),
        };
        let source = match &config.source {
            config::Source::Files(settings) => Source::Files(Files::open(settings.clone(), resume)?),
            config::Source::Kinesis(settings) => {
                Source::Kinesis(Box::new(Kinesis::open((**settings).clone(), resume, now).await?))
            }
            config::Source::Stdin => {
                // each run reads another stream, so each has a partition of its own
                let runs = point.progress.iter().filter(|(partition, _)| partition.name().starts_with(STDIN)).count();
                let settings = stdin::Settings {
                    partition: SourcePartition::new(&format!("{STDIN}-{}", runs + 1)),
                    framing: config.decode.format.framing(),
                    header: config.decode.format.has_header(),
                    chunk_bytes: CHUNK_BYTES,
                    record_bytes_max: config.decode.record_bytes_max,
                };
                Source::Stdin(Stdin::new(settings, std::io::stdin()))
            }
            config::Source::Generator { settings, speed } => {
                generated(settings, config, point)?.map_or(Source::Exhausted, |stream| Source::Generator {
                    stream: Box::new(stream),
                    speed: *speed,
                    begin: None,
                })
            }
        };
        Ok(Input { source, first: VecDeque::new(), config: config.clone() })
    }

    /// Looks at the first chunk, which is handed on later all the same.
    pub(super) async fn peek(&mut self) -> Result<Option<&Chunk>, JobError> {
        // a chunk may only tell that its partition has ended
        while !self.first.iter().any(|chunk| !chunk.bytes.is_empty()) {
            let Some(chunk) = self.source.look().await? else { break };
            self.first.push_back(chunk);
        }
        Ok(self.first.iter().find(|chunk| !chunk.bytes.is_empty()))
    }

    /// Takes about so many bytes for a look; the input is not to be started afterwards.
    pub(super) async fn sample(mut self, bytes_max: usize) -> Result<Vec<Chunk>, JobError> {
        let mut chunks: Vec<Chunk> = self.first.into();
        let mut bytes: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        while bytes < bytes_max {
            let Some(chunk) = self.source.look().await? else { break };
            bytes += chunk.bytes.len();
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    /// Bytes of a finite input on disk.
    pub(super) fn total_bytes(&self) -> Option<u64> {
        match &self.source {
            Source::Files(files) => Some(files.total_bytes()),
            Source::Kinesis(_) | Source::Stdin(_) | Source::Generator { .. } | Source::Exhausted => None,
        }
    }

    /// The partitions that the source begins with, where it knows them all beforehand and reads them side by side.
    pub(super) fn begin(&self) -> Progress {
        match &self.source {
            Source::Kinesis(kinesis) => kinesis.begin().clone(),
            Source::Files(_) | Source::Stdin(_) | Source::Generator { .. } | Source::Exhausted => Progress::default(),
        }
    }

    /// How far behind the source's partitions are, where it can tell.
    pub(super) fn lags(&self) -> Option<Lags> {
        if let Source::Kinesis(kinesis) = &self.source { Some(kinesis.lags()) } else { None }
    }

    /// Whether the source goes on for ever, with event times close to the clock's.
    pub(super) fn is_live(&self) -> bool {
        match &self.config.source {
            config::Source::Files(settings) => settings.follow,
            config::Source::Kinesis(_) => true,
            config::Source::Stdin | config::Source::Generator { .. } => false,
        }
    }

    /// Whether what was read can be read again after a restart.
    pub(super) fn is_replayable(&self) -> bool {
        !matches!(self.source, Source::Stdin(_))
    }

    /// Starts the thread.
    pub(super) fn start(self, columns: &Columns, clock: Arc<dyn Clock>) -> Result<Feed, JobError> {
        let settings = select_settings(&self.config, columns);
        let decoder = Decoder::new(decode_settings(&self.config, settings.decode_columns()))?;
        let selector = Selector::new(&settings)?;
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = Handle::current();
        let front = Front { input: self, decoder, selector, clock, runtime, stop: Arc::clone(&stop) };
        let (alive, ended) = oneshot::channel::<()>();
        let work = move || {
            front.work(&sender);
            drop(alive);
        };
        thread::Builder::new().name("source".into()).spawn(work).map_err(|_| JobError::Thread)?;
        Ok(Feed { receiver, stop, ended })
    }
}

/// How a configuration wants rows of these columns selected.
pub(super) fn select_settings(config: &Config, columns: &Columns) -> select::Settings {
    let filters = config.select.filters.iter();
    let filters = filters.map(|(column, values)| Filter { column: column.clone(), values: values.clone() });
    select::Settings { columns: columns.clone(), filters: filters.collect() }
}

/// How a configuration wants these columns decoded.
pub(super) fn decode_settings(config: &Config, columns: Vec<(String, crate::model::ColumnType)>) -> decode::Settings {
    decode::Settings {
        format: config.decode.format.clone(),
        columns,
        timestamp: config.select.timestamp.clone(),
        timestamp_format: config.select.timestamp_format.clone(),
        zone: config.select.zone,
        record_bytes_max: config.decode.record_bytes_max,
    }
}

/// The generated stream from where it was read to; none where it was read to its end.
fn generated(
    settings: &generator::Settings,
    config: &Config,
    point: &ResumePoint,
) -> Result<Option<Stream>, SourceError> {
    let format = match config.decode.format {
        decode::Format::JsonLines => generator::Format::JsonLines,
        decode::Format::Csv { .. } => generator::Format::Csv,
    };
    match point.progress.get(&Stream::partition()) {
        Some(Position::End) => Ok(None),
        Some(Position::Offset(from)) => Ok(Some(Stream::resume(settings.clone(), format, from, Vec::new())?)),
        _ => Ok(Some(Stream::new(settings.clone(), format))),
    }
}

impl Source {
    /// The next chunk for a look; of a live stream, the first that comes within a moment.
    async fn look(&mut self) -> Result<Option<Chunk>, SourceError> {
        for _ in 0..LOOKS {
            match self {
                Source::Kinesis(kinesis) => match kinesis.next().await? {
                    Next::Chunk(chunk) => return Ok(Some(chunk)),
                    Next::Idle(_) => {}
                    Next::End => return Ok(None),
                },
                _ => {
                    let next = self.next(Timestamp::MAX, &Handle::current())?;
                    return Ok(if let Next::Chunk(chunk) = next { Some(chunk) } else { None });
                }
            }
        }
        Ok(None)
    }

    /// What comes next; to be called from a thread of its own, for it waits.
    fn next(&mut self, arrived_by: Timestamp, runtime: &Handle) -> Result<Next, SourceError> {
        match self {
            Source::Files(files) => files.next(),
            Source::Kinesis(kinesis) => runtime.block_on(kinesis.next()),
            Source::Stdin(stdin) => stdin.next(),
            Source::Exhausted => Ok(Next::End),
            Source::Generator { stream, .. } => {
                let limits = Limits { bytes_max: CHUNK_BYTES, records_max: usize::MAX, arrived_by };
                match stream.next_chunk(limits)? {
                    Some(paced) => Ok(Next::Chunk(paced.chunk)),
                    None if stream.next_arrival().is_some() => Ok(Next::Idle(Quiet::All)),
                    None => Ok(Next::End),
                }
            }
        }
    }

    /// Up to which arrival a paced source may be read now.
    fn arrived_by(&mut self, clock: &dyn Clock) -> Timestamp {
        let Source::Generator { stream, speed: Some(speed), begin } = self else { return Timestamp::MAX };
        *begin = begin.or_else(|| stream.next_arrival());
        begin.map_or(Timestamp::MAX, |begin| begin.saturating_add_micros(passed(clock.elapsed(), *speed)))
    }

    fn bytes_read(&self) -> u64 {
        match self {
            Source::Files(files) => files.bytes_read(),
            Source::Kinesis(kinesis) => kinesis.bytes_read(),
            Source::Stdin(_) | Source::Exhausted => 0,
            Source::Generator { stream, .. } => stream.offset(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "microseconds of a run, saturating")]
fn passed(elapsed: Duration, speed: f64) -> i64 {
    (elapsed.as_secs_f64() * speed * 1e6) as i64
}

/// The receiving end.
#[derive(Debug)]
pub(super) struct Feed {
    receiver: mpsc::Receiver<Result<(Duration, Fed), JobError>>,
    /// Tells the thread to end after the chunk it has.
    stop: Arc<AtomicBool>,
    /// Closed when the thread has ended.
    ended: oneshot::Receiver<()>,
}

impl Feed {
    /// What comes next, and when the source gave it by the job's clock. May be dropped while it waits; nothing is lost.
    pub(super) async fn next(&mut self) -> Result<(Duration, Fed), JobError> {
        self.receiver.recv().await.unwrap_or(Err(JobError::Thread))
    }

    /// Ends the thread; one that is held up by its source is left behind.
    pub(super) async fn close(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.receiver.close();
        while self.receiver.try_recv().is_ok() {}
        // it ends, or it does not
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, self.ended).await;
    }

    /// What was taken from a source that cannot be read again, after the job was asked to stop: nothing more is read,
    /// and a source that waits for input is not waited for.
    pub(super) async fn drain(&mut self) -> Result<Option<Batch>, JobError> {
        self.stop.store(true, Ordering::Relaxed);
        loop {
            match tokio::time::timeout(DRAIN_TIMEOUT, self.next()).await {
                Ok(Ok((_, Fed::Batch(batch, _)))) => return Ok(Some(*batch)),
                Ok(Ok((_, Fed::Idle(_)))) => {}
                Ok(Ok((_, Fed::End))) | Err(_) => return Ok(None),
                Ok(Err(error)) => return Err(error),
            }
        }
    }
}

struct Front {
    input: Input,
    decoder: Decoder,
    selector: Selector,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    stop: Arc<AtomicBool>,
}

impl Front {
    /// Works until the source ends or fails, or nobody listens any more.
    fn work(mut self, sender: &mpsc::Sender<Result<(Duration, Fed), JobError>>) {
        loop {
            let fed = if self.stop.load(Ordering::Relaxed) { Ok(Fed::End) } else { self.step() };
            let (idle, last) = (matches!(fed, Ok(Fed::Idle(_))), matches!(fed, Ok(Fed::End) | Err(_)));
            let given = self.clock.elapsed();
            if sender.blocking_send(fed.map(|fed| (given, fed))).is_err() || last {
                return;
            }
            // a stream waits by itself
            if idle && !matches!(self.input.source, Source::Kinesis(_)) {
                thread::sleep(IDLE_POLL);
            }
        }
    }

    fn step(&mut self) -> Result<Fed, JobError> {
        let next = match self.input.first.pop_front() {
            Some(chunk) => Next::Chunk(chunk),
            None => {
                let arrived_by = self.input.source.arrived_by(&*self.clock);
                self.input.source.next(arrived_by, &self.runtime)?
            }
        };
        match next {
            Next::Chunk(chunk) => {
                let decoded = self.decoder.decode(&chunk)?;
                let batch = Box::new(self.selector.select(chunk, decoded)?);
                Ok(Fed::Batch(batch, self.input.source.bytes_read()))
            }
            Next::Idle(quiet) => Ok(Fed::Idle(quiet)),
            Next::End => Ok(Fed::End),
        }
    }
}
