//! `generate`: records with known incidents, in a file per day or in a stream, and their labels.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveTime;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::CliError;
use super::args::{self, Dataset, RecordFormat, Target};
use super::format;
use super::host;
use crate::aws;
use crate::source::generator::kinds::{self, KindName, SimpleError, SimpleParameters, Template, TemplateError};
use crate::source::generator::{Data, Extent, Format, Lines, Parameters, SeriesSet, Settings, SettingsError, Truth};
use crate::source::kinesis::{Producer, PutError, StreamName, StreamNameError};

/// Data that cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum GenerateError {
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Settings(Vec<SettingsError>),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Simple(Vec<SimpleError>),
    #[error("template `{path}` {source}")]
    Template { path: PathBuf, source: TemplateError },
    #[error("template `{path}` cannot be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("`{path}` cannot be written: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "`{path}` holds records already, which the new labels would not fit; hint: give another `--out`, or remove the \
         directory"
    )]
    Occupied { path: PathBuf },
    #[error("there is no place for the records; hint: give `--out DIR`, or `--to kinesis --stream NAME`")]
    NoPlace,
    #[error(transparent)]
    StreamName(#[from] StreamNameError),
    #[error(transparent)]
    Put(#[from] PutError),
    #[error("the runtime cannot start: {0}")]
    Runtime(io::Error),
}

pub(super) fn generate(args: &args::Generate, out: &mut impl Write) -> Result<(), CliError> {
    let data = data(args)?;
    let truth = data.truth();
    let (records, place) = match (args.to, &args.out, &args.stream.stream) {
        (Target::Files, Some(directory), _) => {
            let records = write_files(args, &data, truth.as_ref(), directory)?;
            (records, directory.display().to_string())
        }
        (Target::Kinesis, directory, Some(stream)) => {
            if let Some((directory, truth)) = directory.as_ref().zip(truth.as_ref()) {
                write_labels(truth, directory)?;
            }
            let runtime = host::runtime().map_err(GenerateError::Runtime)?;
            let stream = StreamName::parse(stream).map_err(GenerateError::StreamName)?;
            let records = runtime.block_on(put(args, &data, stream.clone()))?;
            (records, format!("stream {stream}"))
        }
        (Target::Files, None, _) | (Target::Kinesis, _, None) => return Err(GenerateError::NoPlace.into()),
    };
    let planted = truth.map_or_else(String::new, |truth| format!(", {} {}", format::count(truth.count), truth.of));
    writeln!(out, "{} records{planted} in {place}", format::count(records))?;
    Ok(())
}

fn write_files(
    args: &args::Generate,
    data: &Data,
    truth: Option<&Truth>,
    directory: &Path,
) -> Result<u64, GenerateError> {
    let records = directory.join("records");
    fs::create_dir_all(&records).map_err(|source| failed(&records, source))?;
    if fs::read_dir(&records).map_err(|source| failed(&records, source))?.next().is_some() {
        return Err(GenerateError::Occupied { path: records });
    }
    if let Some(truth) = truth {
        write_labels(truth, directory)?;
    }
    write_days(args, data, &records)
}

fn write_labels(truth: &Truth, directory: &Path) -> Result<(), GenerateError> {
    fs::create_dir_all(directory).map_err(|source| failed(directory, source))?;
    let labels = directory.join("labels.csv");
    fs::write(&labels, &truth.csv).map_err(|source| failed(&labels, source))
}

fn failed(path: &Path, source: io::Error) -> GenerateError {
    GenerateError::Write { path: path.to_owned(), source }
}

/// Puts the records into a stream in the order of their arrival; those of one series go to one shard.
async fn put(args: &args::Generate, data: &Data, stream: StreamName) -> Result<u64, GenerateError> {
    let args::Stream { create_stream, rate, region, profile, endpoint_url, .. } = &args.stream;
    let (region, profile, endpoint_url) = (region.clone(), profile.clone(), endpoint_url.clone());
    let aws = aws::Settings { region, profile, endpoint_url, ..aws::Settings::default() };
    let mut producer = Producer::open(&aws, stream, *rate).await?;
    if let Some(shards) = create_stream {
        producer.create(*shards).await?;
    }
    let mut lines = Lines::new(data, line_format(args));
    let mut count = 0;
    while let Some(key) = lines.next_key() {
        let mut line = Vec::new();
        lines.write(&mut line);
        producer.put(&key, line).await?;
        count += 1;
    }
    producer.flush().await?;
    Ok(count)
}

fn line_format(args: &args::Generate) -> Format {
    match args.format {
        RecordFormat::JsonLines => Format::JsonLines,
        RecordFormat::Csv => Format::Csv,
    }
}

/// What is to be made up.
fn data(args: &args::Generate) -> Result<Data, GenerateError> {
    let kind = match args.dataset {
        Dataset::Ecommerce => return Ok(ecommerce(args).map_err(GenerateError::Settings)?.into()),
        Dataset::StockTrades => KindName::StockTrades,
        Dataset::Clickstream => KindName::Clickstream,
        Dataset::IotSensor => KindName::IotSensor,
        Dataset::Template => {
            let path = args.template.clone().unwrap_or_default();
            let text =
                fs::read_to_string(&path).map_err(|source| GenerateError::Read { path: path.clone(), source })?;
            KindName::Template(Template::parse(&text).map_err(|source| GenerateError::Template { path, source })?)
        }
    };
    let settings = kinds::Settings::new(SimpleParameters {
        kind,
        seed: args.seed,
        start: args.start.and_time(NaiveTime::MIN),
        seconds: args.seconds,
        rate: args.per_second,
        anomaly_probability: args.anomaly_probability,
    });
    Ok(settings.map_err(GenerateError::Simple)?.into())
}

fn ecommerce(args: &args::Generate) -> Result<Settings, Vec<SettingsError>> {
    Settings::new(Parameters {
        seed: args.seed,
        start: args.start.and_time(NaiveTime::MIN),
        extent: Extent::Days(args.days),
        cadence_seconds: args.cadence.saturating_mul(60),
        series: SeriesSet::Count(args.series),
        anomaly_probability: args.anomaly_probability.unwrap_or(Parameters::default().anomaly_probability),
        anomaly_shift: args.anomaly_shift_min..=args.anomaly_shift_max,
        records_mean: args.records,
        late_per_million: args.late_per_million,
        malformed_per_million: args.malformed_per_million,
        ..Parameters::default()
    })
}

/// Writes the records in the order of their arrival, a file for each day of arrival.
fn write_days(args: &args::Generate, data: &Data, directory: &Path) -> Result<u64, GenerateError> {
    let format = line_format(args);
    let mut lines = Lines::new(data, format);
    let header = data.header(format);
    let mut current: Option<(String, Day)> = None;
    let (mut line, mut count) = (Vec::new(), 0);
    while let Some(arrival) = lines.next_arrival() {
        let arrival = arrival.to_string();
        let date = arrival.split_once('T').map_or(arrival.as_str(), |(date, _)| date);
        if current.as_ref().is_none_or(|(open, _)| open != date) {
            if let Some((_, day)) = current.take() {
                day.finish()?;
            }
            let day = Day::create(directory, date, (format, header.as_deref()), args.gzip)?;
            current = Some((date.to_owned(), day));
        }
        line.clear();
        lines.write(&mut line);
        if let Some((_, day)) = &mut current {
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
    fn create(
        directory: &Path,
        date: &str,
        (format, header): (Format, Option<&str>),
        gzip: bool,
    ) -> Result<Day, GenerateError> {
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
        if let Some(header) = header {
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn records_that_are_there_are_not_mixed_with_new_ones() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().display().to_string();
        let generated = |days: &str| {
            let typed = ["tidewatch", "generate", "ecommerce", "--out", &out, "--series", "1", "--days", days];
            let args::Command::Generate(args) = args::Args::parse_from(typed).command else { panic!("generate") };
            generate(&args, &mut Vec::new())
        };
        generated("2").unwrap();
        let labels = fs::read(place.path().join("labels.csv")).unwrap();
        let error = generated("1").unwrap_err().to_string();
        assert!(error.contains("holds records already") && error.contains("hint:"), "{error}");
        assert_eq!(fs::read(place.path().join("labels.csv")).unwrap(), labels);
    }
}
