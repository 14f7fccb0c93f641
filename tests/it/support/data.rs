//! Small data sets, and what must come of them, worked out here from the records alone.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use chrono::DateTime;
use flate2::Compression;
use flate2::write::GzEncoder;
use tidewatch::source::generator::{
    Extent, Format, Kind, LineWriter, Parameters, Record, Records, SeriesSet, Settings,
};

use super::tree::RowsByFolder;

/// Length of the intervals in seconds, unless a test says otherwise.
const LENGTH_SECONDS: i64 = 300;

/// How the records are laid out in files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) format: Format,
    pub(crate) gzip: bool,
    pub(crate) files: usize,
    /// Names the files so that they are read from the newest to the oldest.
    pub(crate) newest_first: bool,
}

impl Layout {
    /// JSON lines in two plain files.
    pub(crate) const PLAIN: Layout = Layout { format: Format::JsonLines, gzip: false, files: 2, newest_first: false };
}

/// Two by two series; many late and malformed records, and incidents once the detector speaks.
pub(crate) fn settings(seed: u64, steps: u64) -> Settings {
    let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    let parameters = Parameters {
        seed,
        extent: Extent::Steps(steps),
        series: SeriesSet::Product { platforms: names(["pc_web", "app"]), marketplaces: names(["us", "jp"]) },
        anomaly_probability: 0.02,
        records_mean: 3,
        late_per_million: 30_000,
        malformed_per_million: 20_000,
        ..Parameters::default()
    };
    Settings::new(parameters).unwrap()
}

/// When the records of these sets begin: 2024-03-04 00:00.
pub(crate) const BEGIN_MICROS: i64 = 1_709_510_400_000_000;

/// Two by two series that send much and nothing wrong.
pub(crate) fn plenty(seed: u64, steps: u64) -> Settings {
    let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    let parameters = Parameters {
        seed,
        extent: Extent::Steps(steps),
        series: SeriesSet::Product { platforms: names(["pc_web", "app"]), marketplaces: names(["us", "jp"]) },
        records_mean: 12,
        ..Parameters::default()
    };
    Settings::new(parameters).unwrap()
}

/// The number of the interval in which a record's event time lies, from the beginning.
pub(crate) fn step_of(record: &Record) -> u64 {
    u64::try_from((record.event_time().micros() - BEGIN_MICROS).div_euclid(LENGTH_SECONDS * 1_000_000)).unwrap()
}

/// So many series that the detector's state takes several checkpoints.
pub(crate) fn many(seed: u64, steps: u64) -> Settings {
    let names = |letter: char, count: usize| (0..count).map(|number| format!("{letter}{number:02}")).collect();
    let parameters = Parameters {
        seed,
        extent: Extent::Steps(steps),
        series: SeriesSet::Product { platforms: names('p', 16), marketplaces: names('m', 14) },
        anomaly_probability: 0.02,
        records_mean: 2,
        ..Parameters::default()
    };
    Settings::new(parameters).unwrap()
}

/// Writes the records into files in the order of their arrival.
pub(crate) fn write(settings: &Settings, layout: Layout, directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    let records: Vec<Record> = Records::new(settings.clone()).collect();
    let per_file = records.len().div_ceil(layout.files);
    for (number, records) in records.chunks(per_file).enumerate() {
        let number = if layout.newest_first { layout.files - number } else { number };
        let extension = if layout.gzip { "txt.gz" } else { "txt" };
        let path = directory.join(format!("records-{number:02}.{extension}"));
        let bytes = bytes(settings, layout.format, records);
        fs::write(path, if layout.gzip { gzip(&bytes) } else { bytes }).unwrap();
    }
}

/// Records as the content of one file.
pub(crate) fn bytes(settings: &Settings, format: Format, records: &[Record]) -> Vec<u8> {
    let mut bytes = format.header().map(|header| format!("{header}\n").into_bytes()).unwrap_or_default();
    let mut lines = LineWriter::new(format);
    for record in records {
        lines.write(settings, record, &mut bytes);
    }
    bytes
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What a data set must become.
pub(crate) struct Truth {
    pub(crate) rows: RowsByFolder,
    pub(crate) records: u64,
    pub(crate) malformed: u64,
}

/// The folder and the text of every good record, by the definition of an interval.
pub(crate) fn truth(settings: &Settings) -> Truth {
    let mut truth = Truth { rows: RowsByFolder::new(), records: 0, malformed: 0 };
    for record in Records::new(settings.clone()) {
        truth.records += 1;
        if matches!(record.kind(), Kind::Malformed(_)) {
            truth.malformed += 1;
            continue;
        }
        let seconds = record.event_time().micros().div_euclid(1_000_000);
        let start = DateTime::from_timestamp(seconds.div_euclid(LENGTH_SECONDS) * LENGTH_SECONDS, 0).unwrap();
        let folder = start.format("data/intvl_date=%Y-%m-%d/intvl_hhmm=%H%M").to_string();
        let time = DateTime::from_timestamp(seconds, 0).unwrap().format("%Y-%m-%d %H:%M:%S");
        let (platform, marketplace) = settings.names(record.series());
        let (views, revenue) = (record.views(), f64::from(record.views() * 3) / 10.0);
        let row = format!("{platform}|{marketplace}|{time}|{views}|{revenue:?}");
        truth.rows.entry(folder).or_default().push(row);
    }
    truth.rows.values_mut().for_each(|rows| rows.sort());
    truth
}
