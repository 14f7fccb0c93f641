//! Reads one shard to its end, in a task of its own: iterators, answers, waits. What fails is tried again for as long as
//! it takes, unless no try could help.
//!
//! Memory is bounded by a budget that all readers share: a call is made once as many bytes are free as its answer is
//! expected to have at most, and they are free again when the chunks have been handed on.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::backoff::Backoff;
use super::board::Board;
use super::chunks::Chunker;
use super::fanout;
use super::faults::{Fault, KinesisError};
use super::shards::{Shard, successors};
use super::stream::{Answer, DESCRIBE_STREAM, Following, LIST_SHARDS, Place, Stream};
use super::trouble::Trouble;
use crate::model::{Chunk, SourcePartition};

/// Bytes of one answer, at most.
const ANSWER_BYTES_MAX: usize = 10 << 20;
/// Bytes that are asked for of a shard that is read to its tip; it has little to give.
const TIP_BYTES: usize = 1 << 20;
/// The budget counts in these.
const UNIT_BYTES: usize = 1 << 10;
/// The service allows five reads a second and shard.
const CALL_INTERVAL: Duration = Duration::from_millis(200);
/// A shard that does not answer within this time is not known to be quiet.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// How often a shard that is held back looks again.
const HELD_BACK_INTERVAL: Duration = Duration::from_millis(200);
/// An iterator that fails so often may be the cause.
const ITERATOR_TRIES: u32 = 5;
/// A server that refuses so many fresh iterators in a row will go on doing so.
const INVALID_TRIES: u32 = 10;
/// Throttling is told of when it lasts.
const THROTTLED_TRIES: u32 = 4;

/// What all readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) stream: Stream,
    pub(super) board: Arc<Board>,
    pub(super) trouble: Trouble,
    pub(super) budget: Budget,
    pub(super) poll_interval: Duration,
    pub(super) records_max: u32,
    pub(super) drift_max: Duration,
    /// ARN of the consumer, with enhanced fan-out.
    pub(super) consumer: Option<String>,
}

/// Bytes that may be read and not handed on.
#[derive(Debug)]
pub(super) struct Budget {
    free: Arc<Semaphore>,
    units: usize,
}

impl Budget {
    /// At least one answer fits.
    pub(super) fn new(bytes: usize) -> Budget {
        let units = (bytes.max(ANSWER_BYTES_MAX) / UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Budget { free: Arc::new(Semaphore::new(units)), units }
    }

    /// Waits until so many bytes are free, or all, and takes them.
    pub(super) async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES).min(self.units)).unwrap_or(u32::MAX);
        // it is never closed
        Arc::clone(&self.free).acquire_many_owned(units).await.ok()
    }
}

/// What readers tell the source.
#[derive(Debug)]
pub(super) enum Told {
    /// Records, and the part of the budget that they hold.
    Chunk(Chunk, Option<OwnedSemaphorePermit>),
    /// The end of a shard, and shards that became known with it.
    End(Chunk, Vec<Shard>),
    /// A shard cannot be read.
    Failed(KinesisError),
}

/// Why a reader ends before its shard does.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(KinesisError),
    /// Nobody listens any more.
    Closed,
}

/// The reader of one shard.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) shard: SourcePartition,
    /// Where the next iterator begins.
    pub(super) place: Place,
    /// Where it begins once one has been had: what arrived since then belongs to it.
    pub(super) place_again: Option<Place>,
    pub(super) chunker: Chunker,
    pub(super) shared: Arc<Shared>,
    pub(super) sender: mpsc::Sender<Told>,
    pub(super) backoff: Backoff,
    /// Bytes of a record, as far as known.
    pub(super) record_bytes: Option<usize>,
    pub(super) is_behind: bool,
    /// How often in a row the service did not take what it had given.
    pub(super) invalid: u32,
}

impl Reader {
    /// Reads to the end of the shard.
    pub(super) async fn run(mut self) {
        let told = match self.read().await {
            Ok(told) => told,
            Err(Stop::Failed(error)) => Told::Failed(error),
            Err(Stop::Closed) => return,
        };
        // nobody may listen any more
        let _ = self.sender.send(told).await;
    }

    async fn read(&mut self) -> Result<Told, Stop> {
        self.tell_of_gap().await;
        let named = match self.shared.consumer.clone() {
            None => self.poll().await?,
            Some(consumer) => fanout::read(self, &consumer).await?,
        };
        // it holds nobody up while its children are looked for
        self.shared.board.answered(&self.shard, 0, None);
        self.shared.board.lost(&self.shard);
        let learned = self.children(named).await?;
        self.succeeded();
        let end = self.chunker.end(successors(&self.shard, &learned));
        self.shared.board.waits(&self.shard);
        Ok(Told::End(end, learned))
    }

    /// The service goes on with the oldest record it has where the one that was read last is gone, and says nothing.
    async fn tell_of_gap(&self) {
        let Place::After(read) = self.place else { return };
        let stream = &self.shared.stream;
        // only a word is lost where this fails
        let Ok(iterator) = stream.iterator(&self.shard, Place::Oldest).await else { return };
        let Ok(Answer { records, .. }) = stream.records(&self.shard, &iterator, 1).await else { return };
        if let Some(oldest) = records.first().filter(|oldest| oldest.sequence > read) {
            let (shard, oldest) = (&self.shard, oldest.sequence);
            tracing::warn!(
                "shard `{shard}` keeps nothing before record `{oldest}`, and was read up to `{read}`: what came between \
                 the two is lost; hint: raise the stream's retention, or let the job run more often"
            );
        }
    }

    async fn poll(&mut self) -> Result<Vec<Shard>, Stop> {
        let shared = Arc::clone(&self.shared);
        let mut iterator = None;
        loop {
            self.wait_for_others().await;
            let given = match iterator.take() {
                Some(iterator) => iterator,
                None => self.iterator().await?,
            };
            let (permit, records_max) = self.reserve().await;
            let called = Instant::now();
            let call = shared.stream.records(&self.shard, &given, records_max);
            match self.heard(call).await {
                Ok(answer) => {
                    self.succeeded();
                    let (chunks, next) = self.taken(answer);
                    self.hand_on(chunks, permit).await?;
                    match next {
                        Following::More(next) => iterator = Some(next),
                        Following::Ended(children) => return Ok(children),
                    }
                    match self.is_behind {
                        true => sleep_until(called + CALL_INTERVAL).await,
                        false => sleep(shared.poll_interval).await,
                    }
                }
                Err(fault) => {
                    drop(permit);
                    let is_bad = matches!(fault, Fault::Expired | Fault::Invalid(_));
                    self.ride_out("GetRecords", fault).await?;
                    if !is_bad && !self.backoff.tries().is_multiple_of(ITERATOR_TRIES) {
                        iterator = Some(given);
                    }
                }
            }
        }
    }

    /// An iterator for where the shard stands.
    async fn iterator(&mut self) -> Result<String, Stop> {
        let shared = Arc::clone(&self.shared);
        loop {
            match self.heard(shared.stream.iterator(&self.shard, self.place)).await {
                Ok(iterator) => {
                    self.placed();
                    return Ok(iterator);
                }
                Err(Fault::Invalid(message)) => self.refused(message).await?,
                Err(fault) => self.ride_out("GetShardIterator", fault).await?,
            }
        }
    }

    /// The place was begun at.
    pub(super) fn placed(&mut self) {
        self.place = self.place_again.take().unwrap_or(self.place);
    }

    /// The service does not take the place. An instant may lie in its future: then it is waited for.
    pub(super) async fn refused(&mut self, message: String) -> Result<(), Stop> {
        if let Place::Arrival(_) = self.place {
            return self.ride_out("GetShardIterator", Fault::Passing(message)).await;
        }
        let (shard, position) = (self.shard.clone(), self.place.to_string());
        Err(Stop::Failed(KinesisError::Position { shard, position, message }))
    }

    /// Waits while the shard is too far ahead of others.
    pub(super) async fn wait_for_others(&self) {
        while self.shared.board.is_ahead(&self.shard, self.shared.drift_max) {
            self.shared.board.lost(&self.shard);
            sleep(HELD_BACK_INTERVAL).await;
        }
    }

    /// Takes from the budget what the next answer may need, and says how many records it may have for that.
    async fn reserve(&self) -> (Option<OwnedSemaphorePermit>, u32) {
        let records_max = self.shared.records_max;
        let bytes_max = if self.is_behind { ANSWER_BYTES_MAX } else { TIP_BYTES };
        let (bytes, records) = match self.record_bytes {
            None => (ANSWER_BYTES_MAX, records_max),
            Some(record_bytes) => {
                // records differ
                let room = record_bytes.saturating_mul(2).max(1);
                let bytes = bytes_max.min(room.saturating_mul(records_max as usize));
                (bytes, u32::try_from(bytes / room).unwrap_or(u32::MAX).clamp(1, records_max))
            }
        };
        (self.shared.budget.take(bytes).await, records)
    }

    /// Waits for an answer; while it is long in coming the shard is not known to be quiet.
    pub(super) async fn heard<T>(&self, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let mut call = pin!(call);
        match timeout(ANSWER_WAIT, &mut call).await {
            Ok(answer) => answer,
            Err(_) => {
                self.shared.board.lost(&self.shard);
                call.await
            }
        }
    }

    /// A read succeeded.
    pub(super) fn succeeded(&mut self) {
        self.backoff.succeeded();
        self.invalid = 0;
        self.shared.trouble.is_over(&self.shard);
    }

    /// Waits before the next try; an error where none would help.
    pub(super) async fn ride_out(&mut self, action: &'static str, fault: Fault) -> Result<(), Stop> {
        let Shared { stream, board, trouble, .. } = &*self.shared;
        board.lost(&self.shard);
        let wait = self.backoff.failed();
        let tries = self.backoff.tries();
        match fault {
            Fault::Fatal(error) => return Err(Stop::Failed(error)),
            Fault::Invalid(_) if self.invalid == INVALID_TRIES => {
                return Err(Stop::Failed(fault.into_error(action, stream.name())));
            }
            Fault::Invalid(_) => self.invalid += 1,
            Fault::Passing(reason) => trouble.lasts(&self.shard, &reason),
            Fault::Throttled(reason) if tries >= THROTTLED_TRIES => trouble.lasts(&self.shard, &reason),
            Fault::Throttled(_) | Fault::Expired => {}
        }
        sleep(wait).await;
        Ok(())
    }

    /// Takes an answer in: its chunks, and what comes after it.
    pub(super) fn taken(&mut self, answer: Answer) -> (Vec<Chunk>, Following) {
        let Answer { records, arrival_ms, behind_ms, next } = answer;
        if let Some(last) = records.last() {
            self.place = Place::After(last.sequence);
            let average = records.iter().map(|record| record.data.len()).sum::<usize>() / records.len();
            let known = self.record_bytes.unwrap_or(average);
            self.record_bytes = Some(average.max(usize::midpoint(known, average)));
        }
        let chunks = self.chunker.chunks(records);
        let strays = self.chunker.take_strays();
        if strays > 0 {
            tracing::warn!(
                "shard `{}` gave {strays} packed records that belong to other shards; they are left out, because their \
                 producer sends them again",
                self.shard
            );
        }
        let board = &self.shared.board;
        for _ in &chunks {
            board.waits(&self.shard);
        }
        board.answered(&self.shard, behind_ms, arrival_ms);
        self.is_behind = behind_ms > 0;
        (chunks, next)
    }

    /// Hands chunks on, each with its part of what was taken from the budget; the rest is free again.
    pub(super) async fn hand_on(
        &self,
        chunks: Vec<Chunk>,
        mut permit: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Stop> {
        for chunk in chunks {
            let part = permit.as_mut().and_then(|permit| {
                let units = chunk.bytes.len().div_ceil(UNIT_BYTES).min(permit.num_permits());
                permit.split(units)
            });
            self.sender.send(Told::Chunk(chunk, part)).await.map_err(|_| Stop::Closed)?;
        }
        Ok(())
    }

    /// Whether the shard has ended where it stands, as far as a single read can tell: its children, if so.
    pub(super) async fn ended(&self) -> Option<Vec<Shard>> {
        let stream = &self.shared.stream;
        let iterator = stream.iterator(&self.shard, self.place).await.ok()?;
        match stream.records(&self.shard, &iterator, 1).await.ok()? {
            Answer { records, next: Following::Ended(children), .. } if records.is_empty() => Some(children),
            _ => None,
        }
    }

    /// The shards that go on from this one, with all that must be known for their turn. A shard that ended has children,
    /// unless the stream is being deleted; it may take a moment until they are listed.
    async fn children(&mut self, named: Vec<Shard>) -> Result<Vec<Shard>, Stop> {
        // after a split no other shard matters; the other parent of a merge may not be known yet
        if !named.is_empty() && named.iter().all(|child| child.parents.len() == 1) {
            return Ok(named);
        }
        let shared = Arc::clone(&self.shared);
        loop {
            let fault = match shared.stream.shards(None).await {
                Ok(mut listing) => {
                    let is_listed = |shard: &Shard| listing.iter().any(|listed| listed.id == shard.id);
                    let unlisted: Vec<Shard> = named.iter().filter(|shard| !is_listed(shard)).cloned().collect();
                    listing.extend(unlisted);
                    if !successors(&self.shard, &listing).is_empty() || self.is_being_deleted().await? {
                        return Ok(listing);
                    }
                    Fault::Passing("it has ended, and what follows it is not listed yet".to_owned())
                }
                Err(fault) => fault,
            };
            self.ride_out(LIST_SHARDS, fault).await?;
        }
    }

    async fn is_being_deleted(&mut self) -> Result<bool, Stop> {
        let shared = Arc::clone(&self.shared);
        match shared.stream.describe().await {
            Ok(stream) => Ok(stream.stream_status == aws_sdk_kinesis::types::StreamStatus::Deleting),
            Err(fault) => {
                self.ride_out(DESCRIBE_STREAM, fault).await?;
                Ok(false)
            }
        }
    }
}
