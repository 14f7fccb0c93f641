//! The front of the line: the configured source, opened at a place to resume from, looked at, and started. What its
//! threads do is in `front`.

mod front;

use std::collections::VecDeque;
use std::io::Stdin as SystemStdin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::clock::{Clock, SystemClock};
use super::error::JobError;
use super::references::References;
use crate::config::{self, Config};
use crate::decode::{self, Decoder};
use crate::hook::{self, Hooked, Hooks};
use crate::interval::ResumePoint;
use crate::model::{Chunk, Columns, Position, Progress, SourcePartition, Timestamp};
use crate::select::{self, Filter, Selector};
use crate::source::files::Files;
use crate::source::generator::{self, Data, Limits, Stream};
use crate::source::kinesis::{Kinesis, Lags};
use crate::source::stdin::{self, Stdin};
use crate::source::{Next, Quiet, Resume, SourceError};

pub(super) use front::{DRAIN_TIMEOUT, Fed, Feed};

/// About how many bytes a chunk of standard input or of the generator has.
const CHUNK_BYTES: usize = 1 << 20;
const STDIN: &str = "stdin";
/// How often a stream is asked for a record to look at; it waits a moment each time.
const LOOKS: u32 = 20;

/// A source that has been opened and not begun.
#[derive(Debug)]
pub(super) struct Input {
    source: Source,
    /// Chunks that were looked at.
    first: VecDeque<Chunk>,
    /// None where there is none to call.
    hooks: Option<Arc<Hooks>>,
    /// The first chunk that was looked at, behind the hooks.
    looked_at: Option<Chunk>,
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
        let hooks = match config.hooks.is_empty() {
            true => None,
            false => Some(Arc::new(Hooks::open(&config.hooks, surroundings(config)).await?)),
        };
        Ok(Input { source, first: VecDeque::new(), hooks, looked_at: None, config: config.clone() })
    }

    /// Looks at the first chunk as decode will see it; it is handed on later all the same, and hooks see it again.
    pub(super) async fn peek(&mut self) -> Result<Option<&Chunk>, JobError> {
        // a chunk may only tell that its partition has ended
        while !self.first.iter().any(|chunk| !chunk.bytes.is_empty()) {
            let Some(chunk) = self.source.look().await? else { break };
            self.first.push_back(chunk);
        }
        let first = self.first.iter().find(|chunk| !chunk.bytes.is_empty());
        let (Some(hooks), Some(chunk)) = (&self.hooks, first) else { return Ok(first) };
        if self.looked_at.is_none() {
            self.looked_at = Some(hooks.apply(chunk.clone()).await.into_parts().0);
        }
        Ok(self.looked_at.as_ref())
    }

    /// Takes about so many bytes for a look, behind the hooks; the input is not to be started afterwards.
    pub(super) async fn sample(mut self, bytes_max: usize) -> Result<Vec<Hooked>, JobError> {
        let mut chunks: Vec<Chunk> = self.first.into();
        let mut bytes: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        while bytes < bytes_max {
            let Some(chunk) = self.source.look().await? else { break };
            bytes += chunk.bytes.len();
            chunks.push(chunk);
        }
        let mut hooked = Vec::new();
        for chunk in chunks {
            hooked.push(match &self.hooks {
                Some(hooks) => hooks.apply(chunk).await,
                None => Hooked::untouched(chunk),
            });
        }
        Ok(hooked)
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

    /// Starts the threads.
    pub(super) fn start(
        self,
        columns: &Columns,
        references: &References,
        clock: Arc<dyn Clock>,
    ) -> Result<Feed, JobError> {
        let settings = select_settings(&self.config, columns);
        let decoders = (0..self.config.job.threads.get()).map(|_| {
            let joiner = references.joiner(&self.config, settings.decode_columns());
            let decoder = Decoder::new(decode_settings(&self.config, joiner.decode_columns()))?;
            Ok((decoder, joiner, Selector::new(&settings)?))
        });
        front::start(self.source, self.first, (decoders.collect::<Result<_, JobError>>()?, self.hooks), clock)
    }
}

/// What hooks must know of the records.
fn surroundings(config: &Config) -> hook::Surroundings {
    hook::Surroundings {
        framing: config.decode.format.framing(),
        record_bytes_max: config.decode.record_bytes_max,
        source: match &config.source {
            config::Source::Kinesis(settings) => settings.stream.to_string(),
            other => other.identity(),
        },
        now: hook::Now::of({
            let clock = SystemClock::start();
            move || clock.now()
        }),
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
fn generated(data: &Data, config: &Config, point: &ResumePoint) -> Result<Option<Stream>, SourceError> {
    let format = match config.decode.format {
        decode::Format::JsonLines => generator::Format::JsonLines,
        decode::Format::Csv { .. } => generator::Format::Csv,
    };
    match point.progress.get(&Stream::partition()) {
        Some(Position::End) => Ok(None),
        Some(Position::Offset(from)) => Ok(Some(Stream::resume(data.clone(), format, from, Vec::new())?)),
        _ => Ok(Some(Stream::new(data.clone(), format))),
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
