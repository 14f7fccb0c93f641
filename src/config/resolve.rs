//! What a configuration means: one function per section, each giving its stage's checked settings or noting what is
//! wrong. The order of the functions is the order of the line.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::aws::aws;
use super::calendar::calendars;
use super::decode::{Decode, decode};
use super::deliver::{Known, alerts, deliveries};
use super::hooks::hooks;
use super::incident::incident;
use super::measure::{DetectMeasure, measures};
use super::raw::Section;
use super::records::{self, Records};
use super::reference::{Reference, references};
use super::source::{Source, apart, source};
use super::units::{DAY, KB, MB, SECOND, u32_of, usize_of};
use crate::alert;
use crate::decode::TimestampFormat;
use crate::detect::{self, Calendar, ForestShape};
use crate::hook;
use crate::interval::{self, CloseAt, Lanes};
use crate::model::{Format, Length, MeasureType, Zone, nearest};
use crate::partition::OBJECT_BYTES_MAX;
use crate::store::{self, Addressing, Encryption, Place};

/// More threads than this only wait for each other.
const THREADS_MAX: usize = 256;

/// A configuration of valid values.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[job]`
    pub job: Job,
    /// `[source]`
    pub source: Source,
    /// `[[hook]]`: before decode, in their order.
    pub hooks: Vec<hook::Settings>,
    /// `[decode]`
    pub decode: Decode,
    /// `[select]`
    pub select: Select,
    /// `[[reference]]`
    pub references: Vec<Reference>,
    /// `[interval]`
    pub interval: interval::Settings,
    /// A followed source that has been silent for so long is closed by the clock.
    pub idle_timeout: Duration,
    /// `[partition]`
    pub partition: Partition,
    /// `[detect]`
    pub detect: Detect,
    /// `[incident]`
    pub incident: crate::incident::Rules,
    /// `[[alert]]`: who is told of findings.
    pub alerts: Vec<alert::Route>,
    /// `[[deliver]]`: who gets scored records.
    pub deliveries: Vec<alert::Route>,
    /// `[store]`: how buckets are reached.
    pub store: store::Settings,
}

/// How the job runs.
#[derive(Clone, Debug)]
pub struct Job {
    /// A micro-batch is cut after so much time,
    pub stream_batch_time: Duration,
    /// or so many records,
    pub batch_records_max: u64,
    /// or so many bytes.
    pub batch_bytes_max: u64,
    /// Rows of open intervals take so much memory; what is beyond is put away on the local disk.
    pub held_bytes_max: usize,
    /// Threads that decode, encode and judge.
    pub threads: NonZeroUsize,
    /// Where checkpoints lie.
    pub state: String,
}

/// Which columns leave the line.
#[derive(Clone, Debug)]
pub struct Select {
    /// The column that holds the event time.
    pub timestamp: String,
    /// How the event time is written.
    pub timestamp_format: TimestampFormat,
    /// The zone of an event time that does not name one.
    pub zone: Zone,
    /// Category columns.
    pub dimensions: Vec<String>,
    /// Numeric columns; those without a type are looked at in the data.
    pub measures: Vec<(String, Option<MeasureType>)>,
    /// Further columns, carried along as text.
    pub keep: Vec<String>,
    /// Allowed values by column.
    pub filters: Vec<(String, Vec<String>)>,
}

/// Where partitions lie and how they are written.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Directory, `file://` url or `s3://bucket/prefix`.
    pub url: String,
    /// CSV or Parquet.
    pub format: Format,
    /// A larger interval has several objects.
    pub object_bytes_max: usize,
}

/// What is judged and how.
#[derive(Clone, Debug)]
pub struct Detect {
    /// Seed of all that is random.
    pub seed: u64,
    /// Expected false alerts per series and week.
    pub sensitivity: f64,
    /// Size of the forests.
    pub forest: ForestShape,
    /// Bytes that all series may take together.
    pub memory_bytes: u64,
    /// What is measured.
    pub measures: Vec<DetectMeasure>,
    /// When series are ignored.
    pub calendars: Vec<Calendar>,
    /// How records are scored, where they are and not series.
    pub records: Option<Records>,
}

pub(super) fn resolve(root: &Section<'_>) -> Option<Config> {
    let partition = partition(&root.section("partition"));
    let job = job(&root.section("job"), partition.as_ref());
    let decode = decode(&root.section("decode"));
    let mut source = source(&root.section("source"), decode.as_ref());
    let is_measured = root.section("detect").has("measure");
    let select = select(&root.section("select"), is_measured);
    let interval = interval(&root.section("interval"), source.as_ref());
    // what is measured can be checked against the columns even where the rest of their section is wrong
    let [columns, dimensions, kept] = ["measures", "dimensions", "keep"].map(|key| root.section("select").texts(key));
    let zone = interval.as_ref().map_or(Zone::UTC, |(interval, _)| interval.zone);
    let others = [&dimensions[..], &kept, &root.section("select").texts("timestamp")].concat();
    let length = interval.as_ref().map(|(interval, _)| interval.length);
    let timestamp = root.section("select").text("timestamp");
    let of_intervals = (length, zone, timestamp.as_deref());
    let detect = detect(&root.section("detect"), (&columns, &others), &dimensions, of_intervals);
    let looked_at: Vec<String> = detect.iter().flat_map(Detect::columns).map(str::to_owned).collect();
    let references = references(root, select.as_ref(), &looked_at, source.as_ref());
    let known = Known { columns: &columns, dimensions: &dimensions, kept: &kept, detect: detect.as_ref() };
    let mut names = BTreeSet::new();
    let mut alerts = alerts(root, &known, &mut names);
    let mut deliveries = deliveries(root, &known, &mut names);
    let (hooks, after) = hooks(root, &known, &mut names);
    if let Some(Source::Kinesis(stream)) = source.as_mut().filter(|_| !hooks.is_empty()) {
        stream.keeps_origins = true;
    }
    let scores_records = detect.as_ref().is_some_and(|detect| detect.records.is_some());
    if scores_records {
        deliveries.extend(after)
    } else {
        alerts.extend(after)
    }
    let of_incidents = alerts.iter().filter(|alert| alert.tells == alert::Tells::Incidents);
    let told: Vec<f64> = of_incidents.map(|alert| alert.filter.severity_threshold).collect();
    let incident = incident(&root.section("incident"), detect.as_ref(), (&dimensions, zone), &told);
    if incident.tell_level_shift {
        alerts.iter_mut().for_each(|alert| alert.filter.level_shifts = true);
    }
    let store = store(&root.section("store"));
    if let (Some(Source::Files(files)), Some(partition)) = (&source, &partition) {
        apart(root, files, [&partition.url, &job.state]);
    }
    root.finish();
    let (interval, idle_timeout) = interval?;
    let mut config = Config {
        job,
        source: source?,
        hooks,
        decode: decode?,
        select: select?,
        references,
        interval,
        idle_timeout,
        partition: partition?,
        detect: detect?,
        incident,
        alerts,
        deliveries,
        store: store?,
    };
    config.keep_what_is_looked_at();
    Some(config)
}

impl Config {
    /// Columns that measures look at row by row stay with the rows: what is judged live is judged again from partitions.
    fn keep_what_is_looked_at(&mut self) {
        let needed: Vec<String> = self.detect.columns().map(str::to_owned).collect();
        for column in needed {
            if !self.select.has(&column) {
                self.select.keep.push(column);
            }
        }
    }
}

impl Select {
    /// Whether a column leaves the line.
    fn has(&self, column: &str) -> bool {
        let measures = self.measures.iter().map(|(measure, _)| measure);
        let all = [&self.timestamp].into_iter().chain(&self.dimensions).chain(&self.keep).chain(measures);
        all.into_iter().any(|name| name == column)
    }
}

impl Detect {
    /// The columns that measures look at row by row, beside those that are summed up.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.measures.iter().flat_map(DetectMeasure::columns)
    }
}

fn job(section: &Section<'_>, partition: Option<&Partition>) -> Job {
    let job = Job {
        stream_batch_time: section.duration("stream_batch_time", 60 * SECOND, Duration::from_millis(100)..=DAY),
        batch_records_max: section.integer("batch_records_max", 4_000_000, 1..=1_000_000_000),
        batch_bytes_max: section.size("batch_bytes_max", 256 * MB, 64 * KB..=100_000 * MB),
        held_bytes_max: usize_of(section.size("held_bytes_max", 64 * MB, 64 * KB..=100_000 * MB)),
        threads: threads(section),
        state: section.text("state").unwrap_or_else(|| {
            partition.map(|partition| format!("{}/state", partition.url.trim_end_matches('/'))).unwrap_or_default()
        }),
    };
    if section.has("state") {
        place(section, "state", Some(&job.state));
    }
    section.finish();
    job
}

/// As many as cores, if it is not said.
fn threads(section: &Section<'_>) -> NonZeroUsize {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let usual = cores.get().min(THREADS_MAX) as u64;
    let threads = section.integer("threads", usual, 1..=THREADS_MAX as u64);
    usize::try_from(threads).ok().and_then(NonZeroUsize::new).unwrap_or(cores)
}

fn select(section: &Section<'_>, is_measured: bool) -> Option<Select> {
    let timestamp = section.required_text("timestamp", "\"event_time\"");
    let timestamp_format = section.text("timestamp_format").unwrap_or_else(|| "%Y-%m-%d %H:%M:%S".into());
    let timestamp_format = TimestampFormat::parse(&timestamp_format)
        .map_err(|error| section.problem("timestamp_format", &error.to_string()));
    let zone = zone(section, "timezone");
    let dimensions = section.texts("dimensions");
    let measures = section.texts("measures");
    let keep = section.texts("keep");
    let types_section = section.section("types");
    let types = types_section.entries();
    let filters_section = section.section("filters");
    let filters = filters_section.entries();
    section.finish();

    // rows can be counted without a numeric column
    if measures.is_empty() && !is_measured {
        section.missing("measures", "[\"views\"]");
    }
    let mut seen = Vec::new();
    for name in timestamp.iter().chain(&dimensions).chain(&measures).chain(&keep) {
        if seen.contains(&name) {
            section.section_problem(&format!(
                "names column `{name}` twice; hint: a column is timestamp, dimension, measure or kept"
            ));
        }
        seen.push(name);
    }
    for (name, _) in types.iter().filter(|(name, _)| !measures.contains(name)) {
        let near = nearest(name, measures.iter().map(String::as_str));
        let hint = near.map_or_else(String::new, |near| format!("; hint: did you mean `{near}`?"));
        types_section.section_problem(&format!("has `{name}`, which is no measure{hint}"));
    }
    let kind_of = |measure: &String| {
        let words = types.iter().find(|(name, _)| name == measure).map(|(_, words)| words.join(" "))?;
        let kind = [("integer", MeasureType::Integer), ("float", MeasureType::Float)]
            .into_iter()
            .find(|(name, _)| *name == words);
        if kind.is_none() {
            types_section.section_problem(&format!("has `{measure} = \"{words}\"`, allowed is `integer` or `float`"));
        }
        kind.map(|(_, kind)| kind)
    };
    let measures = measures.iter().map(|measure| (measure.clone(), kind_of(measure))).collect();
    for (name, values) in filters.iter().filter(|(_, values)| values.is_empty()) {
        filters_section.section_problem(&format!("has `{name}` with no value, which would drop every row: {values:?}"));
    }
    Some(Select {
        timestamp: timestamp?,
        timestamp_format: timestamp_format.ok()?,
        zone: zone?,
        dimensions,
        measures,
        keep,
        filters,
    })
}

fn interval(section: &Section<'_>, source: Option<&Source>) -> Option<(interval::Settings, Duration)> {
    let length = section.duration("length", 300 * SECOND, SECOND..=DAY);
    let hint = "hint: for example \"10s\", \"5m\" or \"10m\"";
    let length = if length.subsec_nanos() > 0 {
        section.problem("length", &format!("is no whole number of seconds; {hint}"));
        None
    } else {
        let length = Length::from_seconds(length.as_secs());
        length.map_err(|error| section.problem("length", &format!("{error}; {hint}"))).ok()
    };
    let zone = zone(section, "timezone");
    let offset = section.duration("offset", 60 * SECOND, Duration::ZERO..=5 * DAY);
    let ahead_max = section.duration("ahead_max", DAY, SECOND..=36_500 * DAY);
    let usual = length.as_ref().map_or(offset, |length| offset + Duration::from_secs(length.seconds().into()));
    let idle_timeout = section.duration("idle_timeout", usual, Duration::from_millis(100)..=10 * DAY);
    let close =
        section.choice("close", CloseAt::Watermark, &[("watermark", CloseAt::Watermark), ("end", CloseAt::End)]);
    section.finish();
    if close == CloseAt::End && matches!(source, Some(Source::Kinesis(_))) {
        section.problem("close", "is `end`, but a stream has no end");
    }
    let settings = interval::Settings {
        length: length?,
        zone: zone?,
        offset_micros: micros(offset),
        ahead_max_micros: micros(ahead_max),
        close,
        lanes: source.map_or(Lanes::One, Source::lanes),
    };
    Some((settings, idle_timeout))
}

fn partition(section: &Section<'_>) -> Option<Partition> {
    let url = section.required_text("url", "\"out/ecommerce\"");
    place(section, "url", url.as_deref());
    let format = section.choice("format", Format::Csv, &[("csv", Format::Csv), ("parquet", Format::Parquet)]);
    let object_bytes_max = usize_of(section.size("object_bytes_max", OBJECT_BYTES_MAX as u64, 64 * KB..=5000 * MB));
    section.finish();
    Some(Partition { url: url?, format, object_bytes_max })
}

/// Notes a url that names no place for objects.
fn place(section: &Section<'_>, key: &'static str, url: Option<&str>) {
    if let Some(Err(error)) = url.map(Place::parse) {
        section.problem(key, &error.to_string());
    }
}

fn store(section: &Section<'_>) -> Option<store::Settings> {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        BucketDefault,
        Aes256,
        Kms,
    }
    let s3 = section.section("s3");
    section.finish();
    let aws = aws(&s3);
    let addressing = match (s3.has("path_style"), s3.flag("path_style", false)) {
        (false, _) => Addressing::Usual,
        (true, true) => Addressing::Path,
        (true, false) => Addressing::Host,
    };
    let kinds = [("none", Kind::BucketDefault), ("AES256", Kind::Aes256), ("aws:kms", Kind::Kms)];
    let kind = s3.choice("encryption", Kind::BucketDefault, &kinds);
    let key = s3.text("kms_key");
    let bucket_key = s3.flag("bucket_key", false);
    let part_bytes = s3.size("part_bytes", store::PART_BYTES, store::PART_BYTES_MIN..=store::PART_BYTES_MAX);
    s3.finish();
    for name in ["kms_key", "bucket_key"].into_iter().filter(|name| kind != Kind::Kms && s3.has(name)) {
        s3.problem(name, "is for `encryption = \"aws:kms\"` alone");
    }
    let encryption = match kind {
        Kind::BucketDefault => Encryption::BucketDefault,
        Kind::Aes256 => Encryption::Aes256,
        Kind::Kms => Encryption::Kms { key, bucket_key },
    };
    Some(store::Settings { aws: aws?, addressing, encryption, part_bytes })
}

fn detect(
    section: &Section<'_>,
    (columns, others): (&[String], &[String]),
    dimensions: &[String],
    (length, zone, timestamp): (Option<Length>, Zone, Option<&str>),
) -> Option<Detect> {
    let kind = (records::input(section), records::preset(section));
    let shape = kind.1.forest();
    let number =
        |key, default: usize, range: RangeInclusive<u64>| usize_of(section.integer(key, default as u64, range));
    let detect = Detect {
        seed: section.integer("seed", 42, 0..=u64::MAX),
        sensitivity: section.number(
            "sensitivity",
            detect::SENSITIVITY,
            detect::SENSITIVITY_MIN..=detect::SENSITIVITY_MAX,
        ),
        forest: ForestShape {
            trees: number("trees", shape.trees, 1..=253),
            sample: number("sample", shape.sample, 10..=256),
            shingle: number("shingle", shape.shingle, 1..=64),
            time_decay: u32_of(section.integer("time_decay", shape.time_decay.into(), 3..=2_147_483_647)),
        },
        memory_bytes: section.size("memory", detect::MEMORY_BYTES, 16 * MB..=1_000_000_000 * MB),
        measures: measures(section, columns, timestamp, length),
        calendars: calendars(section, dimensions, zone),
        records: records::records(section, kind, (columns, others)),
    };
    section.finish();
    if kind.0 == records::Input::Records {
        records::alone(section);
        detect.records.as_ref()?;
    }
    Some(detect)
}

pub(super) fn zone(section: &Section<'_>, key: &'static str) -> Option<Zone> {
    let Some(name) = section.text(key) else { return Some(Zone::UTC) };
    let zone = Zone::from_name(&name);
    if let Err(error) = &zone {
        let near = nearest(&name, Zone::names());
        let hint = near.map_or_else(|| "for example `Europe/Berlin`".into(), |near| format!("did you mean `{near}`?"));
        section.problem(key, &format!("{error}; hint: {hint}"));
    }
    zone.ok()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
