//! `generate`: records with known incidents, a file per day, and their labels.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveTime;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::CliError;
use super::args::{self, Dataset, RecordFormat};
use super::format;
use crate::source::generator::{
    Extent, Format, LineWriter, Parameters, Records, SeriesSet, Settings, SettingsError, labels_csv,
};

/// Data that cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum GenerateError {
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Settings(Vec<SettingsError>),
    #[error("`{path}` cannot be written: {source}")]
    Write { path: PathBuf, source: io::Error },
}

pub(super) fn generate(args: &args::Generate, out: &mut impl Write) -> Result<(), CliError> {
    let Dataset::Ecommerce = args.dataset;
    let settings = settings(args).map_err(GenerateError::Settings)?;
    let failed = |path: &Path, source| GenerateError::Write { path: path.to_owned(), source };
    let directory = args.out.join("records");
    fs::create_dir_all(&directory).map_err(|source| failed(&directory, source))?;
    let labels = args.out.join("labels.csv");
    fs::write(&labels, labels_csv(&settings)).map_err(|source| failed(&labels, source))?;
    let records = write_days(args, &settings, &directory)?;
    let incidents = crate::source::generator::labels(&settings).len() as u64;
    let (records, incidents) = (format::count(records), format::count(incidents));
    writeln!(out, "{records} records, {incidents} incidents in {}", args.out.display())?;
    Ok(())
}

fn settings(args: &args::Generate) -> Result<Settings, Vec<SettingsError>> {
    Settings::new(Parameters {
        seed: args.seed,
        start: args.start.and_time(NaiveTime::MIN),
        extent: Extent::Days(args.days),
        cadence_seconds: args.cadence.saturating_mul(60),
        series: SeriesSet::Count(args.series),
        anomaly_probability: args.anomaly_probability,
        anomaly_shift: args.anomaly_shift_min..=args.anomaly_shift_max,
        records_mean: args.records,
        late_per_million: args.late_per_million,
        malformed_per_million: args.malformed_per_million,
        ..Parameters::default()
    })
}

/// Writes the records in the order of their arrival, a file for each day of arrival.
fn write_days(args: &args::Generate, settings: &Settings, directory: &Path) -> Result<u64, GenerateError> {
    let format = match args.format {
        RecordFormat::JsonLines => Format::JsonLines,
        RecordFormat::Csv => Format::Csv,
    };
    let mut lines = LineWriter::new(format);
    let mut current: Option<(String, Day)> = None;
    let (mut line, mut count) = (Vec::new(), 0);
    for record in Records::new(settings.clone()) {
        let arrival = record.arrival().to_string();
        let date = arrival.split_once('T').map_or(arrival.as_str(), |(date, _)| date);
        if current.as_ref().is_none_or(|(open, _)| open != date) {
            if let Some((_, day)) = current.take() {
                day.finish()?;
            }
            let day = Day::create(directory, date, format, args.gzip)?;
            current = Some((date.to_owned(), day));
        }
        if let Some((_, day)) = &mut current {
            line.clear();
            lines.write(settings, &record, &mut line);
            day.write(&line)?;
            count += 1;
        }
    }
    current.map_or(Ok(()), |(_, day)| day.finish())?;
    Ok(count)
}

struct Day {
    path: PathBuf,
    file: Sink,
}

enum Sink {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl Day {
    fn create(directory: &Path, date: &str, format: Format, gzip: bool) -> Result<Day, GenerateError> {
        let extension = match format {
            Format::JsonLines => "jsonl",
            Format::Csv => "csv",
        };
        let path = directory.join(format!("{date}.{extension}{}", if gzip { ".gz" } else { "" }));
        let file = File::create(&path).map_err(|source| GenerateError::Write { path: path.clone(), source })?;
        let file = BufWriter::new(file);
        let file = match gzip {
            true => Sink::Gzip(Box::new(GzEncoder::new(file, Compression::best()))),
            false => Sink::Plain(file),
        };
        let mut day = Day { path, file };
        if let Some(header) = format.header() {
            day.write(format!("{header}\n").as_bytes())?;
        }
        Ok(day)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), GenerateError> {
        let written = match &mut self.file {
            Sink::Plain(file) => file.write_all(bytes),
            Sink::Gzip(file) => file.write_all(bytes),
        };
        written.map_err(|source| GenerateError::Write { path: self.path.clone(), source })
    }

    fn finish(self) -> Result<(), GenerateError> {
        let done = match self.file {
            Sink::Plain(mut file) => file.flush(),
            Sink::Gzip(file) => file.finish().and_then(|mut file| file.flush()),
        };
        done.map_err(|source| GenerateError::Write { path: self.path, source })
    }
}
