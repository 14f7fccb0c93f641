//! A look at the data before anything runs: what a sample looks like, what the configuration makes of it, and what the
//! detector will need.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::error::JobError;
use super::feed::{Input, decode_settings, select_settings};
use super::past::{self, Past};
use super::references::References;
use super::{GoesOn, detector, judge, schema};
use crate::config::{Config, Records, Source};
use crate::decode::Decoder;
use crate::decode::discover::{DiscoverError, Discovery, discover};
use crate::detect::{Aggregation, Aggregator, Detector, Form, Settings, Sizes};
use crate::hook::Hooked;
use crate::interval::ResumePoint;
use crate::model::{
    Cell, ClosedInterval, Columns, Distinct, Interval, Quantiles, SeriesKey, Sketch, Stats, Timestamp, Zone,
};
use crate::select::{SelectError, Selector};
use crate::source::files::{Files, Settings as FileSettings};
use crate::source::{Next, Resume};

/// About how much of the data is looked at.
const SAMPLE_BYTES: usize = 8 << 20;

/// What a configuration makes of a sample of its data.
#[derive(Debug)]
pub struct Inspection {
    /// What the sample looks like by itself; none where it cannot be looked at twice.
    pub discovery: Option<Discovery>,
    /// Bytes of a finite input on disk.
    pub total_bytes: Option<u64>,
    /// Records of the sample that become rows.
    pub rows: u64,
    /// Of them, those that a filter drops.
    pub filtered: u64,
    /// Records of the sample that a hook drops.
    pub dropped: u64,
    /// Records that are rejected: how many for each reason, and an example.
    pub rejected: BTreeMap<&'static str, (u64, String)>,
    /// First and last event time of the sample.
    pub times: Option<(Timestamp, Timestamp)>,
    /// Different values of each dimension, in rows that no filter drops.
    pub dimensions: Vec<(String, u64)>,
    /// Dimension combinations.
    pub combinations: u64,
    /// Series: combinations times measures.
    pub series: u64,
    /// Memory of one series that has learned for a week, with what was said of it lately, in bytes.
    pub series_bytes: u64,
    /// Bytes that all series may take together.
    pub memory_bytes: u64,
    /// What is set aside for one series in each form, the smallest first, in bytes.
    pub form_bytes: [(Form, u64); Form::ALL.len()],
    /// Intervals from a series' first row to its first score.
    pub warm_up_intervals: u32,
    /// Days until it knows the shape of its day, and that of its week.
    pub shape_days: [u32; 2],
    /// Where records are scored: by what.
    pub records: Option<RecordPlan>,
    /// Partitions that a detector can learn from before the first row comes.
    pub past: Option<Past>,
    /// Detectors that jobs go on with.
    pub goes_on: Vec<GoesOn>,
    /// Why a job cannot go on with the detector or the partitions that it has.
    pub unusable: Vec<JobError>,
}

/// What will score records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlan {
    /// Bytes of a forest, at most.
    pub forest_bytes: u64,
    /// Keys that can have one, within the memory budget.
    pub keys_max: u64,
}

impl Inspection {
    /// How many of the series of the sample the budget holds in each form, the smallest first, and how many it does not
    /// hold in any.
    pub fn forms(&self) -> ([(Form, u64); Form::ALL.len()], u64) {
        let mut held = self.form_bytes.map(|(form, _)| (form, 0));
        let (mut room, mut below) = (self.memory_bytes, 0);
        let mut left = self.series;
        for (at, (_, bytes)) in self.form_bytes.iter().enumerate() {
            let fit = left.min(room / (bytes - below).max(1));
            room -= fit * (bytes - below);
            held[at].1 = fit;
            if at > 0 {
                held[at - 1].1 -= fit;
            }
            (left, below) = (fit, *bytes);
        }
        let all: u64 = held.iter().map(|(_, series)| series).sum();
        (held, self.series - all)
    }
}

/// Looks at a sample of the configured source.
///
/// # Errors
/// When the source cannot be read or its columns are not those of the configuration.
pub async fn inspect(config: &Config, now: Timestamp) -> Result<Inspection, JobError> {
    // a look must not take the subscription of a job that runs
    let mut looking = config.clone();
    if let Source::Kinesis(settings) = &mut looking.source {
        settings.consumer = None;
    }
    let mut input = Input::open(&looking, &ResumePoint::default(), now).await?;
    let columns = schema::of_source(config, &mut input).await?;
    let detect = judge::settings(config, &columns)?;
    let (measures, sizes) = (detect.measures().len() as u64, Sizes::of(&detect));
    let (goes_on, mut unusable) = detector::look(config, &columns).await?;
    let past = past::look(config, &columns).await.unwrap_or_else(|reason| {
        unusable.push(reason);
        None
    });
    let mut inspection = Inspection {
        discovery: discovery(config)?,
        total_bytes: input.total_bytes(),
        rows: 0,
        filtered: 0,
        dropped: 0,
        rejected: BTreeMap::new(),
        times: None,
        dimensions: Vec::new(),
        combinations: 0,
        series: 0,
        series_bytes: if config.detect.records.is_some() { 0 } else { series_bytes(&detect) },
        records: config.detect.records.as_ref().map(|records| planned(config, records, &columns)).transpose()?,
        memory_bytes: detect.memory_bytes(),
        form_bytes: Form::ALL.map(|form| (form, sizes.of_form(form).div_ceil(measures))),
        warm_up_intervals: Detector::warm_up_intervals(),
        shape_days: [Detector::DAILY_SHAPE_DAYS, Detector::WEEKLY_SHAPE_DAYS],
        past,
        goes_on,
        unusable,
    };
    let chunks = input.sample(SAMPLE_BYTES).await?;
    let references = References::load(config, Duration::ZERO).await?;
    read(config, &columns, (&references, chunks), &mut inspection)?;
    inspection.series = inspection.combinations * measures;
    Ok(inspection)
}

/// Looks at a sample of files.
///
/// # Errors
/// When they cannot be read, or are neither JSON lines nor CSV.
pub fn discover_files(path: &Path) -> Result<Result<Discovery, DiscoverError>, JobError> {
    let settings = FileSettings::lines(path);
    let mut files = Files::open(settings, &Resume::default())?;
    let (mut chunks, mut bytes) = (Vec::new(), 0);
    while bytes < SAMPLE_BYTES {
        let Next::Chunk(chunk) = files.next()? else { break };
        bytes += chunk.bytes.len();
        chunks.push(chunk);
    }
    Ok(discover(&chunks, Zone::UTC))
}

fn planned(config: &Config, records: &Records, columns: &Columns) -> Result<RecordPlan, JobError> {
    let settings = super::records::settings(config, records, columns)?;
    let forest_bytes = settings.forest_bytes_max();
    Ok(RecordPlan { forest_bytes, keys_max: settings.keys_max() as u64 })
}

fn discovery(config: &Config) -> Result<Option<Discovery>, JobError> {
    match &config.source {
        Source::Files(settings) => Ok(discover_files(&settings.path)?.ok()),
        Source::Kinesis(_) | Source::Stdin | Source::Generator { .. } => Ok(None),
    }
}

/// Sends the sample through decode and select as the job would.
fn read(
    config: &Config,
    columns: &Columns,
    (references, chunks): (&References, Vec<Hooked>),
    inspection: &mut Inspection,
) -> Result<(), JobError> {
    let settings = select_settings(config, columns);
    let joiner = references.joiner(config, settings.decode_columns());
    let mut decoder = Decoder::new(decode_settings(config, joiner.decode_columns()))?;
    let mut selector = Selector::new(&settings)?;
    let mut aggregator = Aggregator::new(columns);
    for hooked in chunks {
        let (chunk, rejects, dropped) = hooked.into_parts();
        let decoded = joiner.join(&chunk, decoder.decode(&chunk)?)?;
        let batch = Hooked::account(rejects, dropped, selector.select(chunk, decoded)?);
        inspection.rows += batch.rows.len() as u64;
        inspection.dropped += batch.dropped.len() as u64;
        inspection.filtered += batch.keep.iter().filter(|keep| !**keep).count() as u64;
        for reject in &batch.rejects {
            let entry = inspection.rejected.entry(reject.reason.code());
            entry.or_insert_with(|| (0, reject.reason.to_string())).0 += 1;
        }
        let times = || batch.rows.times().iter().copied();
        let widen = |(first, last): (Timestamp, Timestamp), time: Timestamp| (first.min(time), last.max(time));
        inspection.times =
            times().fold(inspection.times, |range, time| Some(widen(range.unwrap_or((time, time)), time)));
        // what a filter drops makes no series
        let kept: Vec<u32> = (0..).zip(&batch.keep).filter(|(_, keep)| **keep).map(|(number, _)| number).collect();
        aggregator.add(&batch.rows.picked(&kept).map_err(SelectError::from)?);
    }
    let whole = Interval::containing(0, config.interval.length);
    let cells = aggregator.close(whole).cells;
    inspection.combinations = cells.len() as u64;
    for (index, name) in columns.dimensions.iter().enumerate() {
        let values: BTreeSet<&str> = cells.iter().filter_map(|cell| cell.key.values().nth(index)).collect();
        inspection.dimensions.push((name.clone(), values.len() as u64));
    }
    Ok(())
}

/// Measured, not computed: what one series takes after a week of values that never repeat, or when the sample of its forest
/// has long been full, if that takes longer; a week of minutes, where intervals are shorter than that, for they share the
/// places of a shape.
fn series_bytes(settings: &Settings) -> u64 {
    let mut detector = Detector::new(settings.clone());
    let columns = settings.measures().iter().map(|measure| measure.column() + 1).max().unwrap_or(0);
    let mut sketches: Vec<(Sketch, usize)> = Vec::new();
    for measure in settings.measures() {
        let sketch = match measure.aggregation() {
            Aggregation::Distinct => Sketch::Distinct(Distinct::default()),
            Aggregation::Percentile(_) => Sketch::Quantiles(Quantiles::default()),
            _ => continue,
        };
        if !sketches.iter().any(|(_, at)| *at == measure.column()) {
            sketches.push((sketch, measure.column()));
        }
    }
    sketches.sort_by_key(|(_, at)| *at);
    let first = Interval::containing(0, settings.length());
    let full = i64::try_from(2 * settings.forest().sample).unwrap_or(i64::MAX);
    for number in 0..(i64::from(settings.length().per_day().min(1440)) * 7).max(full) {
        let mut stats = Stats::EMPTY;
        // a sequence without a period: multiples of the golden ratio, modulo 1
        stats.add(1000.0 + 100.0 * (f64::from(i32::try_from(number).unwrap_or(i32::MAX)) * 0.618_033_988_75).fract());
        let sketches = sketches.iter().map(|(sketch, _)| sketch.clone()).collect();
        let key = SeriesKey::new(std::iter::repeat_n("value", settings.dimensions().len()));
        let cells = vec![Cell { key, rows: 1, stats: vec![stats; columns], sketches }];
        detector.observe(&ClosedInterval { interval: first.offset(number), cells });
    }
    ((detector.memory_bytes() + detector.verdict_bytes()) / settings.measures().len().max(1)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_fit_are_in_the_larger_form() {
        let forms = |series, memory_bytes| {
            let inspection = Inspection {
                discovery: None,
                total_bytes: None,
                rows: 0,
                filtered: 0,
                dropped: 0,
                rejected: BTreeMap::new(),
                times: None,
                dimensions: Vec::new(),
                combinations: series,
                series,
                series_bytes: 0,
                records: None,
                memory_bytes,
                form_bytes: [(Form::Tail, 1), (Form::Compact, 10), (Form::Full, 20)],
                warm_up_intervals: 28,
                shape_days: [1, 14],
                past: None,
                goes_on: Vec::new(),
                unusable: Vec::new(),
            };
            let (held, out) = inspection.forms();
            (held.map(|(_, series)| series), out)
        };
        assert_eq!(forms(5, 100), ([0, 0, 5], 0));
        assert_eq!(forms(8, 100), ([0, 6, 2], 0));
        assert_eq!(forms(28, 100), ([20, 8, 0], 0));
        assert_eq!(forms(102, 100), ([100, 0, 0], 2));
    }

    #[tokio::test]
    async fn rows_that_a_filter_drops_are_no_series() {
        let directory = tempfile::tempdir().unwrap();
        let record = |shop: &str| format!("{{\"at\":\"2024-03-04 10:00:00\",\"shop\":\"{shop}\",\"views\":1}}\n");
        let records: String = ["a", "b", "c", "a"].into_iter().map(record).collect();
        std::fs::write(directory.path().join("in.jsonl"), records).unwrap();
        let place = directory.path().display();
        let text = format!(
            "[source.files]\npath = '{place}/in.jsonl'\n[select]\ntimestamp = 'at'\ndimensions = ['shop']\n\
             measures = ['views']\n[select.filters]\nshop = ['a', 'b']\n[partition]\nurl = '{place}/out'\n"
        );
        let config = crate::config::parse(&text, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        let inspection = inspect(&config, Timestamp::MIN).await.unwrap();
        assert_eq!((inspection.rows, inspection.filtered), (4, 1));
        assert_eq!((inspection.combinations, inspection.series), (2, 2));
        assert_eq!(inspection.dimensions, [("shop".to_owned(), 2)]);
    }
}
