//! A Kinesis stream as a source. Its partitions are the shards, which are read side by side, each in order.
//!
//! - A shard is read after all that it descends from have been handed on to their end (`shards`): none is skipped, and
//!   none is read twice.
//! - A chunk ends behind whole records of the stream, and places are the records' sequence numbers (`chunks`). Records
//!   that a producer packed are unpacked (`aggregate`); JSON objects are brought one to a line (`lines`).
//! - What may pass is ridden out for as long as it takes (`reader`, `faults`, `backoff`), with a word about it
//!   (`trouble`). What will not pass ends the source with a word on what to change.
//! - How much is held is bounded in bytes, and in time: a shard does not run far ahead of the others (`reader`, `board`).
//!
//! A job that starts at the tip reads each open shard from its latest record on. It notes the instant at which it began,
//! because a job that is killed before the first record continues with what arrived since then.

mod aggregate;
mod backoff;
mod board;
mod check;
mod chunks;
mod fanout;
mod faults;
mod lines;
mod producer;
mod reader;
mod settings;
mod shards;
mod stream;
mod trouble;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::types::StreamStatus;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use self::backoff::Backoff;
use self::chunks::Chunker;
use self::faults::Fault;
use self::reader::{Budget, Reader, Shared, Told};
use self::shards::{Expired, First, Lineage, Shard};
use self::stream::{DESCRIBE_STREAM, LIST_SHARDS, Place, Stream};
use self::trouble::Trouble;
use super::{Next, Quiet, Resume, SourceError};
use crate::model::{Framing, Position, Progress, SequenceNumber, SourcePartition, Timestamp};

pub use self::board::Lags;
pub use self::check::{Description, describe, sample};
pub use self::faults::KinesisError;
pub use self::producer::{Producer, PutError};
pub use self::settings::{
    BUFFER_BYTES, Consumer, DRIFT_MAX, POLL_INTERVAL, POLL_INTERVAL_MIN, RECORDS_MAX, Settings, StartingPosition,
    StreamName, StreamNameError,
};

/// How long to wait for the next chunk before there is none.
const IDLE_WAIT: Duration = Duration::from_millis(200);
/// How often it is told which shards are quiet.
const QUIET_INTERVAL: Duration = Duration::from_secs(1);
/// Chunks that wait to be handed on, at most; their bytes are bounded too.
const WAITING_MAX: usize = 256;

/// A stream being read.
#[derive(Debug)]
pub struct Kinesis {
    framing: Framing,
    keeps_origins: bool,
    resume: Resume,
    /// Where this process begins in shards that it begins at the tip: the service knows that better than our clock.
    latest: bool,
    begin: Progress,
    lineage: Lineage,
    shared: Arc<Shared>,
    sender: mpsc::Sender<Told>,
    receiver: mpsc::Receiver<Told>,
    /// To be handed on before anything that is read.
    first: VecDeque<Told>,
    readers: JoinSet<()>,
    runtime: Handle,
    told_quiet: Instant,
    bytes_read: u64,
}

impl Kinesis {
    /// Describes the stream, lists its shards, decides from where each is read and starts their readers on the current
    /// runtime.
    ///
    /// # Errors
    /// When the stream cannot be reached or read.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(settings: Settings, resume: &Resume, now: Timestamp) -> Result<Kinesis, SourceError> {
        let is_first = resume.from.is_empty();
        let stream = Stream::connect(&settings.aws, settings.stream.clone()).await?.known(!is_first);
        let described = stream.begin(DESCRIBE_STREAM, async || stream.describe().await).await?;
        if !matches!(described.stream_status, StreamStatus::Active | StreamStatus::Updating) {
            let status = described.stream_status.as_str().to_owned();
            return Err(KinesisError::Status { stream: settings.stream, status }.into());
        }
        let consumer = match &settings.consumer {
            None => None,
            Some(Consumer::Arn(arn)) => Some(arn.clone()),
            Some(Consumer::Name(name)) => Some(stream.consumer(name).await?),
        };
        let (lineage, expired) = if is_first {
            (begun(&stream, settings.starting_position, now).await?, Vec::new())
        } else {
            let listing = stream.begin(LIST_SHARDS, async || stream.shards(None).await).await?;
            Lineage::resume(listing, &resume.from)
        };
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let mut kinesis = Kinesis {
            framing: settings.framing,
            keeps_origins: settings.keeps_origins,
            resume: resume.clone(),
            latest: is_first && settings.starting_position == StartingPosition::Latest,
            begin: Progress::default(),
            lineage,
            shared: Arc::new(Shared {
                stream,
                board: Arc::default(),
                trouble: Trouble::default(),
                budget: Budget::new(settings.buffer_bytes_max),
                poll_interval: settings.poll_interval.max(POLL_INTERVAL_MIN),
                records_max: settings.records_max.clamp(1, RECORDS_MAX),
                drift_max: settings.drift_max,
                consumer,
            }),
            sender,
            receiver,
            first: expired.into_iter().map(told_expired).collect(),
            readers: JoinSet::new(),
            runtime: Handle::current(),
            told_quiet: Instant::now(),
            bytes_read: 0,
        };
        let mut begin = Progress::default();
        for (shard, position) in kinesis.lineage.take_ready() {
            begin.set(shard.id.clone(), position);
            kinesis.start(shard, position, kinesis.latest);
        }
        kinesis.begin = begin;
        Ok(kinesis)
    }

    /// The shards that are read from the beginning, and from where: not those that wait for others to end.
    pub fn begin(&self) -> &Progress {
        &self.begin
    }

    /// The next chunk. Waits a moment for one; nothing is lost where the wait is given up.
    ///
    /// # Errors
    /// When the stream cannot be read any more.
    pub async fn next(&mut self) -> Result<Next, SourceError> {
        if let Some(told) = self.first.pop_front() {
            return self.hand_on(told);
        }
        if self.lineage.is_finished() {
            return Ok(Next::End);
        }
        // also while others keep it busy: a quiet shard must not hold them up, nor one count as quiet that no longer is
        if self.told_quiet.elapsed() >= QUIET_INTERVAL {
            self.told_quiet = Instant::now();
            return Ok(Next::Idle(Quiet::Of(self.shared.board.quiet())));
        }
        let told = match timeout(IDLE_WAIT, self.receiver.recv()).await {
            Ok(told) => told,
            Err(_) => self.receiver.try_recv().ok(),
        };
        if let Some(told) = told {
            return self.hand_on(told);
        }
        self.told_quiet = Instant::now();
        while let Some(reader) = self.readers.try_join_next() {
            reader.map_err(|error| KinesisError::Reader(error.to_string()))?;
        }
        Ok(Next::Idle(Quiet::Of(self.shared.board.quiet())))
    }

    /// How far each shard is behind its tip.
    pub fn lags(&self) -> Lags {
        Lags(Arc::clone(&self.shared.board))
    }

    /// Bytes handed on.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    fn hand_on(&mut self, told: Told) -> Result<Next, SourceError> {
        let chunk = match told {
            Told::Failed(error) => return Err(error.into()),
            Told::Chunk(chunk, _held) => {
                self.shared.board.handed_on(&chunk.partition);
                chunk
            }
            Told::End(chunk, learned) => {
                self.shared.board.end(&chunk.partition);
                self.lineage.learn(learned);
                self.lineage.end(&chunk.partition);
                for (shard, position) in self.lineage.take_ready() {
                    self.start(shard, position, false);
                }
                chunk
            }
        };
        self.bytes_read += chunk.bytes.len() as u64;
        Ok(Next::Chunk(chunk))
    }

    /// Starts the reader of a shard.
    fn start(&mut self, shard: Shard, position: Position, latest: bool) {
        let Shard { id, hash_keys, .. } = shard;
        let place = Place::of(position);
        let arrival_ms = if let Place::Arrival(millis) = place { Some(millis) } else { None };
        self.shared.board.begin(&id, arrival_ms.filter(|_| !latest));
        let reader = Reader {
            place: if latest { Place::Latest } else { place },
            place_again: latest.then_some(place),
            chunker: Chunker::new(id.clone(), hash_keys, self.framing, self.cuts_of(&id))
                .keeping_origins(self.keeps_origins),
            shared: Arc::clone(&self.shared),
            sender: self.sender.clone(),
            backoff: Backoff::new(id.name()),
            record_bytes: None,
            is_behind: true,
            invalid: 0,
            shard: id,
        };
        self.readers.spawn_on(reader.run(), &self.runtime);
    }

    /// The records of a shard that chunks must end behind.
    fn cuts_of(&self, shard: &SourcePartition) -> Vec<SequenceNumber> {
        let places = self.resume.cuts.iter().chain([&self.resume.read_to]).filter_map(|place| place.get(shard));
        let sequence = |place| if let Position::Record { sequence, .. } = place { Some(sequence) } else { None };
        places.filter_map(sequence).collect()
    }
}

/// The shards of a job that has read nothing yet.
async fn begun(stream: &Stream, from: StartingPosition, now: Timestamp) -> Result<Lineage, KinesisError> {
    let millis = |at: Timestamp| at.micros().div_euclid(1000);
    let list = async |since_ms| stream.begin(LIST_SHARDS, async || stream.shards(since_ms).await).await;
    Ok(match from {
        StartingPosition::TrimHorizon => Lineage::first(list(None).await?, First::Oldest(Position::Start)),
        StartingPosition::Latest => Lineage::first(list(None).await?, First::Open(Position::Arrival(millis(now)))),
        StartingPosition::AtTimestamp(at) => {
            // shards that had ended by then are left out: what follows them begins before that instant, too
            let since = stream.begin(LIST_SHARDS, async || match stream.shards(Some(millis(at))).await {
                // a server that does not know the filter
                Err(Fault::Invalid(_)) => stream.shards(None).await,
                listing => listing,
            });
            Lineage::first(since.await?, First::Oldest(Position::Arrival(millis(at))))
        }
    })
}

/// The end of a shard that is no longer there.
fn told_expired(expired: Expired) -> Told {
    let Expired { id, position, successors } = expired;
    tracing::warn!(
        "shard `{id}` is no longer kept by the stream: its records after position `{position}` are lost; hint: raise the \
         stream's retention, or let the job run more often"
    );
    Told::End(chunks::end(id, successors), Vec::new())
}
