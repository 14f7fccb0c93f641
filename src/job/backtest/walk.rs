//! The way through history, interval by interval: partitions that are there, or the configured source from its
//! beginning. What is made of an interval is not decided here.

use chrono::NaiveDate;

use super::{From, Span};
use crate::config::Config;
use crate::interval::{Intervals, ResumePoint, ScatterError};
use crate::job::error::JobError;
use crate::job::feed::{Fed, Input};
use crate::job::history::History;
use crate::job::host::{Event, Host, Summary};
use crate::job::references::References;
use crate::job::seen::{Gatherer, Seen};
use crate::job::{follow, schema};
use crate::model::{Area, Closing, Columns, Interval, Rows};
use crate::partition::Descriptor;
use crate::store::{Place, Store};

/// Takes in what the walk comes by.
pub(super) trait Learner {
    /// Takes in one interval with a row at least; intervals come in order.
    fn take(&mut self, seen: &Seen) -> Result<(), JobError>;

    /// Takes in rows that came late for an interval and left the line with another one. Only the source has them:
    /// of partitions, what came in time is walked.
    fn revise(&mut self, _late: Interval, _with: Interval, _rows: &[&Rows]) -> Result<(), JobError> {
        Ok(())
    }
}

/// Where a walk ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With this local date.
    Date(NaiveDate),
    /// With the last interval up to this local date that is known to be complete.
    Complete(NaiveDate),
    /// With this interval.
    At(Interval),
}

impl End {
    fn date(self) -> NaiveDate {
        match self {
            End::Date(date) | End::Complete(date) => date,
            End::At(interval) => interval.date(),
        }
    }

    fn is_before(self, interval: Interval) -> bool {
        match self {
            End::Date(date) | End::Complete(date) => date < interval.date(),
            End::At(last) => last < interval,
        }
    }
}

/// Which of the two the history is read from.
pub(super) async fn input(config: &Config, span: &Span) -> Result<From, JobError> {
    let has_partitions = has_partitions(config).await?;
    match span.input.unwrap_or(if has_partitions { From::Partitions } else { From::Source }) {
        From::Partitions if !has_partitions => Err(JobError::NoHistory(config.partition.url.clone())),
        from => Ok(from),
    }
}

/// Whether there are any; a directory that is not there is not made.
async fn has_partitions(config: &Config) -> Result<bool, JobError> {
    let url = &config.partition.url;
    if Place::parse(url)?.directory().is_some_and(|directory| !directory.is_dir()) {
        return Ok(false);
    }
    let store = Store::open(url, &config.store).await?;
    Ok(!store.list_folders(Area::Data.folder()).await?.is_empty())
}

/// Goes through the history. Records that were read and their account are in the summary.
pub(super) async fn walk<L: Learner>(
    config: &Config,
    (from, end): (From, End),
    host: &mut Host<'_>,
    make: impl FnOnce(&Columns) -> Result<L, JobError>,
) -> Result<(L, Summary), JobError> {
    match from {
        From::Partitions => over_partitions(config, end, host, make).await,
        From::Source => over_source(config, end, host, make).await,
    }
}

async fn over_partitions<L: Learner>(
    config: &Config,
    end: End,
    host: &mut Host<'_>,
    make: impl FnOnce(&Columns) -> Result<L, JobError>,
) -> Result<(L, Summary), JobError> {
    let store = Store::open(&config.partition.url, &config.store).await?;
    let columns = match Descriptor::load(&store).await? {
        Some(_) => schema::claim(config, &store, None).await?,
        None => schema::of_partitions(config, &store, NaiveDate::MIN, end.date()).await?,
    };
    let mut history = History::new(config, store, &columns).await?;
    let mut learner = make(&columns)?;
    let mut summary = Summary::default();
    let mut listed = history.list(NaiveDate::MIN, end.date()).await?;
    if matches!(end, End::Complete(_)) {
        follow::keep_complete(config, &mut listed, host.clock.now());
    }
    listed.retain(|listed| !end.is_before(listed.interval));
    host.listener.on(Event::Started { total_bytes: None, resumed: false });
    let mut ahead = history.ahead(&listed);
    let mut done = 0;
    while let Some(read) = ahead.next().await {
        if host.shutdown.is_requested() {
            summary.stopped = true;
            break;
        }
        if let Some(closed) = history.take(read?).closed.filter(|seen| !seen.is_empty()) {
            learner.take(&closed)?;
        }
        done += 1;
        host.listener.on(Event::Judged { intervals: done, total: listed.len() as u64 });
    }
    if history.rejected > 0 {
        let warning = format!("{} records of the partitions could not be read and are left out", history.rejected);
        host.listener.on(Event::Warning(&warning));
    }
    summary.tally.rejected = history.rejected;
    Ok((learner, summary))
}

async fn over_source<L: Learner>(
    config: &Config,
    end: End,
    host: &mut Host<'_>,
    make: impl FnOnce(&Columns) -> Result<L, JobError>,
) -> Result<(L, Summary), JobError> {
    if !config.source.is_finite() {
        return Err(JobError::Endless);
    }
    let mut input = Input::open(config, &ResumePoint::default(), host.clock.now()).await?;
    let columns = schema::of_source(config, &mut input).await?;
    host.listener.on(Event::Started { total_bytes: input.total_bytes(), resumed: false });
    let references = References::load(config, host.clock.elapsed()).await?;
    let mut feed = input.start(&columns, &references, host.clock.clone())?;
    let mut learner = make(&columns)?;
    let gatherer = Gatherer::new(config, &columns)?;
    let mut summary = Summary::default();
    let mut intervals = Intervals::new(config.interval);
    loop {
        let closings = tokio::select! {
            biased;
            () = host.shutdown.requested() => {
                summary.stopped = true;
                break;
            }
            fed = feed.next() => match fed?.1 {
                Fed::Batch(batch, bytes) => {
                    let closings = intervals.push(*batch)?;
                    let (records, watermark) = (intervals.state().read, intervals.watermark());
                    host.listener.on(Event::Read { bytes, records, watermark });
                    closings
                }
                Fed::Idle(_) => continue,
                Fed::End => break,
            },
        };
        take(&mut learner, (&gatherer, end), &mut summary, closings)?;
    }
    take(&mut learner, (&gatherer, end), &mut summary, intervals.finish()?)?;
    summary.read = intervals.state().read;
    Ok((learner, summary))
}

/// Counts closed intervals and gives on those that are whole.
fn take(
    learner: &mut impl Learner,
    (gatherer, end): (&Gatherer, End),
    summary: &mut Summary,
    closings: Vec<Closing>,
) -> Result<(), JobError> {
    for mut closing in closings {
        closing.unpack().map_err(ScatterError::from)?;
        summary.tally.add(&closing.tally);
        if gatherer.sees(&closing) && !end.is_before(closing.interval) {
            learner.take(&gatherer.gather(closing.interval, closing.rows.rows()))?;
        }
        for (late, rows) in closing.late.iter().filter(|_| !end.is_before(closing.interval)) {
            learner.revise(*late, closing.interval, &rows.rows().collect::<Vec<_>>())?;
        }
    }
    Ok(())
}
