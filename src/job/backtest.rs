//! The detector over history: partitions that are there, or the configured source from its beginning. Nothing of the
//! job's state is read or changed. Over the partitions that `run` wrote it gives the findings that `run` gave (D1).
//!
//! The detector learns from all history up to the last date; what it says is reported, written and scored from the
//! first date on. So the dates choose what is looked at and do not change what is found.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::error::JobError;
use super::feed::{Fed, Input};
use super::history::History;
use super::host::{Event, Host, Summary};
use super::judge::{Judge, Verdict};
use super::schema;
use super::score::{Labels, Score, Scorer};
use crate::config::Config;
use crate::interval::{Intervals, ResumePoint};
use crate::model::{AnomalyGroup, Area, Closing, Columns, Interval, Point, PointState, Rows};
use crate::partition::Descriptor;
use crate::store::{Place, Store};

/// Where the history is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// In partitions.
    Partitions,
    /// In the configured source.
    Source,
}

/// What to backtest.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the history is; partitions where there are any, if it is not said.
    pub input: Option<From>,
    /// First local date to report; the detector learns from what lies before.
    pub from: NaiveDate,
    /// Last local date, at which the detector ends as well.
    pub to: NaiveDate,
    /// Labelled incidents to score against.
    pub labels: Option<PathBuf>,
    /// Writes every scored point as CSV.
    pub scores: Option<PathBuf>,
    /// Writes the anomaly groups as JSON lines, as the anomaly table has them.
    pub anomalies: Option<PathBuf>,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Report {
    /// Rows, intervals, series, findings.
    pub summary: Summary,
    /// Intervals before the first date, which the detector learned from.
    pub learned: u64,
    /// The figures, where there are labels.
    pub score: Option<Score>,
    /// All anomaly groups.
    pub groups: Vec<AnomalyGroup>,
}

/// Runs the detector over history.
///
/// # Errors
/// When there is no history, it cannot be read, or an output cannot be written.
pub async fn run(config: &Config, options: &Options, host: Host<'_>) -> Result<Report, JobError> {
    let has_partitions = has_partitions(config).await?;
    let from = options.input.unwrap_or(if has_partitions { From::Partitions } else { From::Source });
    match from {
        From::Partitions if !has_partitions => Err(JobError::NoHistory(config.partition.url.clone())),
        From::Partitions => over_partitions(config, options, host).await,
        From::Source => over_source(config, options, host).await,
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

async fn over_partitions(config: &Config, options: &Options, host: Host<'_>) -> Result<Report, JobError> {
    let store = Store::open(&config.partition.url, &config.store).await?;
    let columns = match Descriptor::load(&store).await? {
        Some(_) => schema::claim(config, &store, None).await?,
        None => schema::of_partitions(config, &store, NaiveDate::MIN, options.to).await?,
    };
    let mut history = History::new(config, store, &columns).await?;
    let mut run = Run::new(config, options, &columns)?;
    let listed = history.list(NaiveDate::MIN, options.to).await?;
    host.listener.on(Event::Started { total_bytes: None, resumed: false });
    for (done, interval) in (1..).zip(&listed) {
        if host.shutdown.is_requested() {
            run.summary.stopped = true;
            break;
        }
        if let Some(rows) = history.rows(interval).await? {
            run.judge(interval.interval, rows.iter())?;
        }
        host.listener.on(Event::Judged { intervals: done, total: listed.len() as u64 });
    }
    if history.rejected > 0 {
        let warning = format!("{} records of the partitions could not be read and are left out", history.rejected);
        host.listener.on(Event::Warning(&warning));
    }
    run.summary.tally.rejected = history.rejected;
    run.report(&host)
}

async fn over_source(config: &Config, options: &Options, mut host: Host<'_>) -> Result<Report, JobError> {
    if !config.source.is_finite() {
        return Err(JobError::Endless);
    }
    let mut input = Input::open(config, &ResumePoint::default(), host.clock.now()).await?;
    let columns = schema::of_source(config, &mut input).await?;
    host.listener.on(Event::Started { total_bytes: input.total_bytes(), resumed: false });
    let mut feed = input.start(&columns, host.clock.clone())?;
    let mut run = Run::new(config, options, &columns)?;
    let mut intervals = Intervals::new(config.interval);
    loop {
        let closings = tokio::select! {
            biased;
            () = host.shutdown.requested() => {
                run.summary.stopped = true;
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
        run.take(&closings)?;
    }
    run.take(&intervals.finish())?;
    run.summary.read = intervals.state().read;
    run.report(&host)
}

/// A backtest under way.
struct Run<'a> {
    options: &'a Options,
    config: &'a Config,
    judge: Judge,
    labels: Option<Labels>,
    scorer: Scorer,
    scores: Option<Output>,
    anomalies: Option<Output>,
    groups: Vec<AnomalyGroup>,
    summary: Summary,
    learned: u64,
}

impl<'a> Run<'a> {
    fn new(config: &'a Config, options: &'a Options, columns: &Columns) -> Result<Run<'a>, JobError> {
        let length = config.interval.length;
        let measures: Vec<String> = config.detect.measures.iter().map(|measure| measure.name.to_string()).collect();
        let labels = options.labels.as_deref().map(|path| Labels::read(path, &columns.dimensions, &measures, length));
        let mut scores = options.scores.as_deref().map(Output::create).transpose()?;
        if let Some(scores) = &mut scores {
            scores.header(&columns.dimensions)?;
        }
        Ok(Run {
            options,
            config,
            judge: Judge::new(config, columns)?,
            labels: labels.transpose()?,
            scorer: Scorer::default(),
            scores,
            anomalies: options.anomalies.as_deref().map(Output::create).transpose()?,
            groups: Vec::new(),
            summary: Summary::default(),
            learned: 0,
        })
    }

    /// Counts closed intervals and judges those that are whole.
    fn take(&mut self, closings: &[Closing]) -> Result<(), JobError> {
        for closing in closings {
            self.summary.tally.add(&closing.tally);
            if closing.complete {
                self.judge(closing.interval, closing.rows.rows())?;
            }
        }
        Ok(())
    }

    fn judge<'r>(&mut self, interval: Interval, rows: impl Iterator<Item = &'r Rows>) -> Result<(), JobError> {
        let mut rows = rows.filter(|rows| !rows.is_empty()).peekable();
        if rows.peek().is_none() || interval.date() > self.options.to {
            return Ok(());
        }
        let Verdict { mut points, mut groups, .. } = self.judge.judge(interval, rows);
        if interval.date() < self.options.from {
            self.learned += 1;
            return Ok(());
        }
        // of the intervals without a row before the first one reported, some may lie before the first date
        points.retain(|point| point.interval.date() >= self.options.from);
        groups.retain(|group| group.interval.date() >= self.options.from);
        self.summary.intervals += 1;
        self.summary.groups += groups.len() as u64;
        self.summary.findings += groups.iter().map(|group| group.findings.len() as u64).sum::<u64>();
        if self.labels.is_some() {
            self.scorer.add(&points);
        }
        if let Some(scores) = &mut self.scores {
            points.iter().try_for_each(|point| scores.point(point))?;
        }
        if let Some(anomalies) = &mut self.anomalies {
            groups.iter().try_for_each(|group| anomalies.group(group))?;
        }
        self.groups.extend(groups);
        Ok(())
    }

    fn report(mut self, host: &Host<'_>) -> Result<Report, JobError> {
        for output in [self.scores.take(), self.anomalies.take()].into_iter().flatten() {
            output.finish()?;
        }
        let status = self.judge.detector().status();
        self.summary.series = status.series as u64;
        self.summary.learning = status.learning as u64;
        self.summary.elapsed = host.clock.elapsed();
        let length = self.config.interval.length;
        let score = self.labels.as_ref().map(|labels| self.scorer.score(labels, length));
        Ok(Report { summary: self.summary, learned: self.learned, score, groups: self.groups })
    }
}

/// A file that the backtest writes.
struct Output {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl Output {
    fn create(path: &Path) -> Result<Output, JobError> {
        let file = File::create(path).map_err(|source| JobError::Output { path: path.to_owned(), source })?;
        Ok(Output { path: path.to_owned(), writer: BufWriter::new(file) })
    }

    fn header(&mut self, dimensions: &[String]) -> Result<(), JobError> {
        let measured = ["measure", "value", "expected", "lower", "upper", "score", "severity", "anomaly"];
        let names = dimensions.iter().map(String::as_str);
        self.record(std::iter::once("interval_start").chain(names).chain(measured))
    }

    /// One line per scored point; a series that learns has no score.
    fn point(&mut self, point: &Point) -> Result<(), JobError> {
        if matches!(point.state, PointState::Learning { .. }) {
            return Ok(());
        }
        let anomaly = if matches!(point.state, PointState::Anomalous { .. }) { "1" } else { "0" };
        let start = point.interval.to_string();
        let numbers = [point.expected, point.lower, point.upper, point.score, point.severity].map(|n| n.to_string());
        let value = point.value.map(|value| value.to_string()).unwrap_or_default();
        let front = [start.as_str()].into_iter().chain(point.key.values());
        let back = [&*point.measure, value.as_str()].into_iter().chain(numbers.iter().map(String::as_str));
        self.record(front.chain(back).chain([anomaly]))
    }

    fn group(&mut self, group: &AnomalyGroup) -> Result<(), JobError> {
        let written = serde_json::to_writer(&mut self.writer, group).map_err(std::io::Error::from);
        let written = written.and_then(|()| self.writer.write_all(b"\n"));
        written.map_err(|source| JobError::Output { path: self.path.clone(), source })
    }

    fn record<'r>(&mut self, fields: impl Iterator<Item = &'r str>) -> Result<(), JobError> {
        let mut line = csv::Writer::from_writer(Vec::new());
        let written = line.write_record(fields).map_err(std::io::Error::from);
        let bytes = written.and_then(|()| line.into_inner().map_err(|error| std::io::Error::other(error.to_string())));
        let written = bytes.and_then(|bytes| self.writer.write_all(&bytes));
        written.map_err(|source| JobError::Output { path: self.path.clone(), source })
    }

    fn finish(mut self) -> Result<(), JobError> {
        self.writer.flush().map_err(|source| JobError::Output { path: self.path, source })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::job::{Listener, Shutdown, SystemClock};

    struct Deaf;

    impl Listener for Deaf {
        fn on(&mut self, _: Event<'_>) {}
    }

    fn backtest(directory: &Path, from: Option<NaiveDate>) -> (Report, Vec<String>) {
        let text = format!(
            "[source.generator]\nseed = 5\ndays = 4\nseries = 2\nanomaly_probability = 0.01\n\
             [select]\ntimestamp = 'event_time'\ndimensions = ['platform', 'marketplace']\nmeasures = ['views']\n\
             [select.types]\nviews = 'integer'\n[partition]\nurl = '{}/out'\n",
            directory.display()
        );
        let config = crate::config::parse(&text, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        let scores = directory.join("scores.csv");
        let options = Options {
            input: Some(From::Source),
            from: from.unwrap_or(NaiveDate::MIN),
            to: NaiveDate::MAX,
            labels: None,
            scores: Some(scores.clone()),
            anomalies: None,
        };
        let (_stopper, shutdown) = Shutdown::new();
        let host = Host { clock: Arc::new(SystemClock::start()), shutdown, listener: &mut Deaf, watch: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let report = runtime.block_on(run(&config, &options, host)).unwrap();
        (report, std::fs::read_to_string(scores).unwrap().lines().map(str::to_owned).collect())
    }

    #[test]
    fn the_first_date_chooses_what_is_reported_and_not_what_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let (all, scores) = backtest(directory.path(), None);
        let from = all.groups[0].interval.date().succ_opt().unwrap();
        let (late, late_scores) = backtest(directory.path(), Some(from));
        let since = |group: &&AnomalyGroup| group.interval.date() >= from;
        assert_eq!(late.groups, all.groups.iter().filter(since).cloned().collect::<Vec<_>>());
        assert!(!late.groups.is_empty() && late.groups.len() < all.groups.len());
        assert!(late.learned > 0 && all.learned == 0);
        assert_eq!(late.learned + late.summary.intervals, all.summary.intervals);
        let from = from.to_string();
        let is_late = |line: &&String| line.as_str() >= from.as_str();
        assert_eq!(late_scores, scores.iter().filter(is_late).cloned().collect::<Vec<_>>(), "the header sorts last");
    }
}
