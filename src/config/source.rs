//! Where records come from: `[source]`, of which exactly one kind is given.

use std::path::{Path, PathBuf};

use chrono::DateTime;

use super::aws::aws;
use super::decode::Decode;
use super::generator;
use super::raw::Section;
use super::units::{DAY, KB, MB, SECOND, u32_of, usize_of};
use crate::interval::Lanes;
use crate::model::Timestamp;
use crate::source::generator::Data;
use crate::source::kinesis::{Consumer, StartingPosition, StreamName};
use crate::source::{files, kinesis};
use crate::store::Place;

/// Where records come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Files.
    Files(files::Settings),
    /// A Kinesis data stream.
    Kinesis(Box<kinesis::Settings>),
    /// Standard input.
    Stdin,
    /// Made-up records, so many times faster than they would arrive, or as fast as possible.
    Generator {
        /// What to make up.
        settings: Box<Data>,
        /// How many times faster than real time.
        speed: Option<f64>,
    },
}

impl Source {
    /// Whether it ends by itself.
    pub fn is_finite(&self) -> bool {
        match self {
            Source::Files(files) => !files.follow,
            Source::Kinesis(_) => false,
            Source::Stdin | Source::Generator { .. } => true,
        }
    }

    /// What a state belongs to: positions in one source mean nothing in another. Files may be moved.
    pub fn identity(&self) -> String {
        match self {
            Source::Files(_) => "files".to_owned(),
            Source::Kinesis(settings) => format!("Kinesis stream {}", settings.stream.without_account()),
            Source::Stdin => "standard input".to_owned(),
            Source::Generator { .. } => "the generator".to_owned(),
        }
    }

    /// Which of its partitions share a watermark.
    pub(super) fn lanes(&self) -> Lanes {
        match self {
            Source::Kinesis(_) => Lanes::PerPartition,
            Source::Files(_) | Source::Stdin | Source::Generator { .. } => Lanes::One,
        }
    }
}

pub(super) fn source(section: &Section<'_>, decode: Option<&Decode>) -> Option<Source> {
    let (files, kinesis) = (section.section("files"), section.section("kinesis"));
    let (stdin, made_up) = (section.section("stdin"), section.section("generator"));
    section.finish();
    let given = [&files, &kinesis, &stdin, &made_up].iter().filter(|kind| kind.is_present()).count();
    if given != 1 {
        section.section_problem(
            "needs exactly one of `[source.files]`, `[source.kinesis]`, `[source.stdin]` and `[source.generator]`; \
             hint: for example `[source.files]` with `path = \"data/*.jsonl.gz\"`",
        );
    }
    if files.is_present() {
        return source_files(&files, decode?);
    }
    if kinesis.is_present() {
        return source_kinesis(&kinesis, decode?);
    }
    if made_up.is_present() {
        return generator::generator(&made_up);
    }
    stdin.finish();
    stdin.is_present().then_some(Source::Stdin)
}

fn source_files(section: &Section<'_>, decode: &Decode) -> Option<Source> {
    let path = section.required_text("path", "\"data/*.jsonl.gz\"");
    let compressions =
        [("auto", files::Compression::Auto), ("none", files::Compression::None), ("gzip", files::Compression::Gzip)];
    let compression = section.choice("compression", files::Compression::Auto, &compressions);
    let follow = section.flag("follow", false);
    let chunk_bytes = usize_of(section.size("chunk_bytes", 1 << 20, 4 * KB..=64 * MB));
    section.finish();
    Some(Source::Files(files::Settings {
        path: PathBuf::from(path?),
        framing: decode.format.framing(),
        header: decode.format.has_header(),
        compression,
        follow,
        chunk_bytes,
        record_bytes_max: decode.record_bytes_max,
    }))
}

fn source_kinesis(section: &Section<'_>, decode: &Decode) -> Option<Source> {
    let stream = section
        .required_text("stream", "\"clicks\"")
        .and_then(|text| StreamName::parse(&text).map_err(|error| section.problem("stream", &error.to_string())).ok());
    let aws = aws(section);
    let starting_position = starting_position(section);
    let consumer = section
        .text("consumer")
        .and_then(|text| Consumer::parse(&text).map_err(|error| section.problem("consumer", &error.to_string())).ok());
    let poll_interval =
        section.duration("poll_interval", kinesis::POLL_INTERVAL, kinesis::POLL_INTERVAL_MIN..=60 * SECOND);
    let records_max = u64::from(kinesis::RECORDS_MAX);
    let records_max = u32_of(section.integer("records_max", records_max, 1..=records_max));
    let buffer_bytes = kinesis::BUFFER_BYTES as u64;
    let buffer_bytes_max = usize_of(section.size("buffer_bytes_max", buffer_bytes, 16 * MB..=16_000 * MB));
    let drift_max = section.duration("drift_max", kinesis::DRIFT_MAX, SECOND..=7 * DAY);
    section.finish();
    if decode.format.has_header() {
        section.section_problem("has no header record; hint: name the columns with `decode.header`");
        return None;
    }
    Some(Source::Kinesis(Box::new(kinesis::Settings {
        starting_position: starting_position?,
        framing: decode.format.framing(),
        poll_interval,
        records_max,
        consumer,
        buffer_bytes_max,
        drift_max,
        ..kinesis::Settings::new(aws?, stream?)
    })))
}

fn starting_position(section: &Section<'_>) -> Option<StartingPosition> {
    let Some(text) = section.text("starting_position") else { return Some(StartingPosition::default()) };
    match text.to_ascii_uppercase().as_str() {
        "TRIM_HORIZON" => return Some(StartingPosition::TrimHorizon),
        "LATEST" => return Some(StartingPosition::Latest),
        _ => {}
    }
    let instant = DateTime::parse_from_rfc3339(&text).ok();
    let instant = instant.and_then(|instant| Timestamp::from_micros(instant.timestamp_micros()).ok());
    if instant.is_none() {
        section.problem(
            "starting_position",
            &format!("is `{text}`, allowed is `TRIM_HORIZON`, `LATEST` or an instant such as `2026-01-31T12:00:00Z`"),
        );
    }
    instant.map(StartingPosition::AtTimestamp)
}

/// What a job writes must not be among what it reads.
pub(super) fn apart(root: &Section<'_>, files: &files::Settings, outputs: [&String; 2]) {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let source = absolute(&files.path);
    let lies_in = |place: &Place| place.directory().is_some_and(|output| absolute(output).starts_with(&source));
    let inside = |url: &&String| Place::parse(url).is_ok_and(|place| lies_in(&place));
    if let Some(url) = outputs.into_iter().find(inside) {
        let message = format!("is a directory that holds `{url}`, which this job writes; hint: read and write apart");
        root.section("source").section("files").problem("path", &message);
    }
}
