//! Partitions as input of the detector: which intervals are there, and the rows of each, decoded by the same decoder
//! that reads the stream. A run of intervals is read some ahead, on all threads, and comes in its order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDate;
use tokio::task::JoinHandle;

use super::error::JobError;
use super::feed::decode_settings;
use super::seen::{Gatherer, Seen};
use crate::config::Config;
use crate::decode::{self, Decoder, Format, Header};
use crate::model::{Columns, CsvDialect, Rows};
use crate::partition::{Content, Descriptor, Listed, Objects, Reader, Tree};
use crate::store::Store;

/// Runs of intervals that are read ahead, for each thread: while one is decoded, another one is fetched.
const AHEAD_PER_THREAD: usize = 2;
/// Intervals of a run where they lie in a directory: to begin a piece of work takes about as long as to read a small one.
const RUN_LOCAL: usize = 8;

/// Reads partitions for the detector.
pub(super) struct History {
    readings: Arc<Readings>,
    threads: usize,
    /// Records of partitions that could not be decoded.
    pub(super) rejected: u64,
}

/// What it takes to read an interval, on any thread.
struct Readings {
    reader: Reader,
    gatherer: Gatherer,
    settings: decode::Settings,
    /// Those that nobody has at the moment.
    decoders: Mutex<Vec<Decoder>>,
}

/// One interval that was read.
pub(super) struct Read {
    pub(super) listed: Listed,
    /// What the detector sees of it; none where it is not to be judged.
    pub(super) closed: Option<Seen>,
    rejected: u64,
}

/// A run of intervals that is read.
pub(super) struct Ahead<'a> {
    readings: Arc<Readings>,
    runs: std::slice::Chunks<'a, Listed>,
    under_way: VecDeque<JoinHandle<Result<Vec<Read>, JobError>>>,
    count: usize,
    /// Those of a run that is done.
    ready: std::vec::IntoIter<Read>,
}

impl History {
    pub(super) async fn new(config: &Config, store: Store, columns: &Columns) -> Result<History, JobError> {
        let fields = columns.fields().map(|(name, kind)| (name.to_owned(), kind)).collect();
        let mut settings = decode_settings(config, fields);
        settings.format = Format::Csv { dialect: CsvDialect::COMMA, header: Header::FirstRecord };
        let tree = if Descriptor::load(&store).await?.is_some() { Tree::Ours } else { Tree::Foreign };
        let gatherer = Gatherer::new(config, columns)?;
        let reader = Reader::new(store, columns.clone(), config.interval.length, tree);
        let reader = reader.with_incomplete(gatherer.sees_incomplete());
        let readings = Readings { reader, gatherer, settings, decoders: Mutex::default() };
        Ok(History { readings: Arc::new(readings), threads: config.job.threads.get(), rejected: 0 })
    }

    /// The intervals that are there, in order, of local dates `from` to `to` inclusive.
    pub(super) async fn list(&self, from: NaiveDate, to: NaiveDate) -> Result<Vec<Listed>, JobError> {
        Ok(self.readings.reader.list(from, to).await?)
    }

    /// What the detector sees of one interval: what came in time; none for an interval that is not to be judged.
    pub(super) async fn closed(&mut self, listed: &Listed) -> Result<Option<Seen>, JobError> {
        let read = Arc::clone(&self.readings).read(listed.clone()).await?;
        Ok(self.take(read).closed)
    }

    /// Begins to read a run of intervals.
    pub(super) fn ahead<'a>(&self, listed: &'a [Listed]) -> Ahead<'a> {
        let (readings, count) = (Arc::clone(&self.readings), self.threads * AHEAD_PER_THREAD);
        let is_small = readings.reader.is_local() && !readings.gatherer.gives_rows();
        let runs = listed.chunks(if is_small { RUN_LOCAL } else { 1 });
        Ahead { readings, runs, under_way: VecDeque::new(), count, ready: Vec::new().into_iter() }
    }

    /// Takes one of them into account.
    pub(super) fn take(&mut self, read: Read) -> Read {
        self.rejected += read.rejected;
        read
    }
}

impl Ahead<'_> {
    /// The next interval, none after the last. May be dropped while it waits; nothing is lost.
    pub(super) async fn next(&mut self) -> Option<Result<Read, JobError>> {
        loop {
            if let Some(read) = self.ready.next() {
                return Some(Ok(read));
            }
            while self.under_way.len() < self.count
                && let Some(run) = self.runs.next()
            {
                self.under_way.push_back(tokio::spawn(Arc::clone(&self.readings).read_run(run.to_vec())));
            }
            let read = self.under_way.front_mut()?.await;
            self.under_way.pop_front();
            match read.unwrap_or(Err(JobError::Thread)) {
                Ok(run) => self.ready = run.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Readings {
    /// Reads a run of intervals: in one piece of work on another thread where they lie in a directory.
    async fn read_run(self: Arc<Readings>, run: Vec<Listed>) -> Result<Vec<Read>, JobError> {
        let (all, readings) = (run.len(), Arc::clone(&self));
        let (mut read, left) = if self.reader.is_local() {
            tokio::task::spawn_blocking(move || readings.read_now(run)).await.unwrap_or(Err(JobError::Thread))?
        } else {
            (Vec::with_capacity(all), run)
        };
        for listed in left {
            read.push(Arc::clone(&self).read(listed).await?);
        }
        Ok(read)
    }

    /// Reads intervals in this thread, up to one that cannot be read like that; gives those that are left.
    fn read_now(&self, run: Vec<Listed>) -> Result<(Vec<Read>, Vec<Listed>), JobError> {
        let mut read = Vec::with_capacity(run.len());
        let mut left = run.into_iter();
        while let Some(listed) = left.next() {
            match self.reader.read_now(&listed) {
                Some(objects) => read.push(self.gathered(listed, objects)?),
                None => return Ok((read, std::iter::once(listed).chain(left).collect())),
            }
        }
        Ok((read, Vec::new()))
    }

    async fn read(self: Arc<Readings>, listed: Listed) -> Result<Read, JobError> {
        let objects = self.reader.read(&listed).await?;
        let work = move || self.gathered(listed, objects);
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(JobError::Thread))
    }

    /// What the detector sees of the objects of an interval.
    fn gathered(&self, listed: Listed, objects: Option<Objects>) -> Result<Read, JobError> {
        let Some(objects) = objects else { return Ok(Read { listed, closed: None, rejected: 0 }) };
        let (rows, rejected) = self.rows(self.reader.content(objects)?)?;
        let closed = Some(self.gatherer.gather(listed.interval, rows.iter()));
        Ok(Read { listed, closed, rejected })
    }

    /// The rows, and how many records are none.
    fn rows(&self, content: Content) -> Result<(Vec<Rows>, u64), JobError> {
        let chunks = match content {
            Content::Rows(rows) => return Ok((rows, 0)),
            Content::Chunks(chunks) => chunks,
        };
        let free = || self.decoders.lock().unwrap_or_else(PoisonError::into_inner);
        let decoder = free().pop();
        let mut decoder = decoder.map_or_else(|| Decoder::new(self.settings.clone()), Ok)?;
        let (mut all, mut rejected) = (Vec::new(), 0);
        for chunk in &chunks {
            let decoded = decoder.decode(chunk)?;
            rejected += decoded.rejects.len() as u64;
            if let Some(reject) = decoded.rejects.first().filter(|_| decoded.rows.is_empty()) {
                let (place, reason) = (chunk.partition.to_string(), reject.reason.to_string());
                return Err(JobError::Unreadable { place, reason });
            }
            all.push(decoded.rows);
        }
        free().push(decoder);
        Ok((all, rejected))
    }
}
