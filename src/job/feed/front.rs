//! The threads of the front: one reads the source and deals its chunks out in turn, the others decode and select, and
//! what they give is taken in the same turn. So batches come in the order of the source whichever thread is quicker, and
//! what comes does not depend on how many there are. Each has little waiting before and behind it: a slow back of the
//! line holds the source up, and nothing is read far ahead. Hooks are called by the threads that decode, so several chunks
//! are with them at a time, and their order is kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::Source;
use crate::decode::Decoder;
use crate::hook::{Hooked, Hooks};
use crate::job::clock::Clock;
use crate::job::error::JobError;
use crate::model::{Batch, Chunk};
use crate::select::{Joiner, Selector};
use crate::source::{Next, Quiet};

/// Chunks that may wait for a decoder, and batches that may wait behind it: so that it goes on while an interval is
/// committed.
const WAITING_MAX: usize = 2;
/// How long a silent source is left alone.
const IDLE_POLL: Duration = Duration::from_millis(200);
/// How long a stopped source is waited for that may be waiting itself.
pub(in crate::job) const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// How long hooks are waited for, which may have something to finish when nothing more comes.
const HOOKS_TIMEOUT: Duration = Duration::from_secs(6);

/// What comes out of the front of the line.
#[derive(Debug)]
pub(in crate::job) enum Fed {
    /// Rows and rejects of one chunk, and how many bytes of the input on disk have been read.
    Batch(Box<Batch>, u64),
    /// Nothing new at the moment, and which partitions are read as far as they go.
    Idle(Quiet),
    /// Nothing more will come.
    End,
}

/// What the source gave, and when.
type Given = (Duration, Result<Raw, JobError>);

/// What comes out of the source.
enum Raw {
    Chunk(Chunk, u64),
    Idle(Quiet),
    End,
}

type Output = Result<(Duration, Fed), JobError>;

/// The receiving end.
#[derive(Debug)]
pub(in crate::job) struct Feed {
    /// One per decoder.
    receivers: Vec<mpsc::Receiver<Output>>,
    /// Whose turn it is.
    turn: usize,
    /// Tells the source's thread to end after the chunk it has.
    stop: Arc<AtomicBool>,
    /// Closed when all threads have ended.
    ended: oneshot::Receiver<()>,
    /// How long that is waited for.
    drain_timeout: Duration,
}

/// What a thread sends a chunk through.
type Stages = (Decoder, Joiner, Selector);

/// Starts the threads.
pub(super) fn start(
    source: Source,
    first: VecDeque<Chunk>,
    (decoders, hooks): (Vec<Stages>, Option<Arc<Hooks>>),
    clock: Arc<dyn Clock>,
) -> Result<Feed, JobError> {
    let (alive, ended) = oneshot::channel::<()>();
    // the last of all threads closes it
    let alive = Arc::new(alive);
    let drain_timeout = if hooks.is_some() { HOOKS_TIMEOUT } else { DRAIN_TIMEOUT };
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    for (decoder, joiner, selector) in decoders {
        let (chunks, dealt) = sync_channel(WAITING_MAX);
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let hooks = hooks.as_ref().map(|hooks| (Arc::clone(hooks), Handle::current()));
        let worker = Worker { decoder, joiner, selector, hooks };
        let alive = Arc::clone(&alive);
        let work = move || {
            worker.work(&dealt, &sender);
            drop(alive);
        };
        thread::Builder::new().name("decode".into()).spawn(work).map_err(|_| JobError::Thread)?;
        senders.push(chunks);
        receivers.push(receiver);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let front = Front { source, first, clock, runtime: Handle::current(), stop: Arc::clone(&stop) };
    drop(hooks);
    let work = move || {
        front.work(&senders);
        drop(alive);
    };
    thread::Builder::new().name("source".into()).spawn(work).map_err(|_| JobError::Thread)?;
    Ok(Feed { receivers, turn: 0, stop, ended, drain_timeout })
}

impl Feed {
    /// What comes next, and when the source gave it by the job's clock. May be dropped while it waits; nothing is lost.
    pub(in crate::job) async fn next(&mut self) -> Output {
        let Some(receiver) = self.receivers.get_mut(self.turn) else { return Err(JobError::Thread) };
        let output = receiver.recv().await.unwrap_or(Err(JobError::Thread));
        self.turn = (self.turn + 1) % self.receivers.len();
        output
    }

    /// Ends the threads; a source that is held up is left behind.
    pub(in crate::job) async fn close(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for receiver in &mut self.receivers {
            receiver.close();
            while receiver.try_recv().is_ok() {}
        }
        // it ends, or it does not
        let _ = tokio::time::timeout(self.drain_timeout, self.ended).await;
    }

    /// What was taken from a source that cannot be read again, after the job was asked to stop: nothing more is read,
    /// and a source that waits for input is not waited for.
    pub(in crate::job) async fn drain(&mut self) -> Result<Option<Batch>, JobError> {
        self.stop.store(true, Ordering::Relaxed);
        loop {
            match tokio::time::timeout(self.drain_timeout, self.next()).await {
                Ok(Ok((_, Fed::Batch(batch, _)))) => return Ok(Some(*batch)),
                Ok(Ok((_, Fed::Idle(_)))) => {}
                Ok(Ok((_, Fed::End))) | Err(_) => return Ok(None),
                Ok(Err(error)) => return Err(error),
            }
        }
    }
}

struct Front {
    source: Source,
    /// Chunks that were looked at.
    first: VecDeque<Chunk>,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    stop: Arc<AtomicBool>,
}

impl Front {
    /// Reads until the source ends or fails, or nobody listens any more.
    fn work(mut self, decoders: &[SyncSender<Given>]) {
        for decoder in decoders.iter().cycle() {
            let raw = if self.stop.load(Ordering::Relaxed) { Ok(Raw::End) } else { self.step() };
            let (idle, last) = (matches!(raw, Ok(Raw::Idle(_))), matches!(raw, Ok(Raw::End) | Err(_)));
            if decoder.send((self.clock.elapsed(), raw)).is_err() || last {
                return;
            }
            // a stream waits by itself
            if idle && !matches!(self.source, Source::Kinesis(_)) {
                thread::sleep(IDLE_POLL);
            }
        }
    }

    fn step(&mut self) -> Result<Raw, JobError> {
        let next = match self.first.pop_front() {
            Some(chunk) => Next::Chunk(chunk),
            None => {
                let arrived_by = self.source.arrived_by(&*self.clock);
                self.source.next(arrived_by, &self.runtime)?
            }
        };
        Ok(match next {
            Next::Chunk(chunk) => Raw::Chunk(chunk, self.source.bytes_read()),
            Next::Idle(quiet) => Raw::Idle(quiet),
            Next::End => Raw::End,
        })
    }
}

struct Worker {
    decoder: Decoder,
    joiner: Joiner,
    selector: Selector,
    hooks: Option<(Arc<Hooks>, Handle)>,
}

impl Worker {
    /// Works until nothing more comes, or nobody listens any more.
    fn work(mut self, chunks: &Receiver<Given>, sender: &mpsc::Sender<Output>) {
        while let Ok((given, raw)) = chunks.recv() {
            let fed = match raw {
                Ok(Raw::Chunk(chunk, bytes_read)) => match self.hooked(chunk, sender) {
                    Some(hooked) => self.decoded(hooked, bytes_read),
                    None => return,
                },
                Ok(Raw::Idle(quiet)) => Ok(Fed::Idle(quiet)),
                Ok(Raw::End) => Ok(Fed::End),
                Err(error) => Err(error),
            };
            let fed = fed.map(|fed| (given, fed));
            if sender.blocking_send(fed).is_err() {
                return;
            }
        }
    }

    /// The chunk behind the hooks; none where nobody listens any more.
    fn hooked(&self, chunk: Chunk, sender: &mpsc::Sender<Output>) -> Option<Hooked> {
        let Some((hooks, runtime)) = &self.hooks else { return Some(Hooked::untouched(chunk)) };
        runtime.block_on(async {
            tokio::select! {
                hooked = hooks.apply(chunk) => Some(hooked),
                () = sender.closed() => None,
            }
        })
    }

    fn decoded(&mut self, hooked: Hooked, bytes_read: u64) -> Result<Fed, JobError> {
        let (chunk, rejects, dropped) = hooked.into_parts();
        let decoded = self.joiner.join(&chunk, self.decoder.decode(&chunk)?)?;
        let batch = self.selector.select(chunk, decoded)?;
        Ok(Fed::Batch(Box::new(Hooked::account(rejects, dropped, batch)), bytes_read))
    }
}
