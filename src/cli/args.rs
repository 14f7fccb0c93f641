//! What can be typed.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// A stream becomes interval partitions, and every partition is judged the moment it closes.
#[derive(Debug, Parser)]
#[command(name = "tidewatch", version, max_term_width = 100, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the whole line: stream, partitions, findings
    Run(Run),
    /// Run the line up to the partitions
    Etl(Job),
    /// Judge partitions that another job writes, as they come
    Detect(Detect),
    /// Judge history and, with labels, measure how well
    Backtest(Backtest),
    /// Tell where the jobs of a configuration stand, and which series still learn
    Status(Job),
    /// Name every problem of a configuration, then look at its data
    Check(Check),
    /// Look at a sample of data and write a configuration for it
    Discover(Discover),
    /// Write a configuration from the description of another detector
    Import(Import),
    /// Make up data with known incidents
    Generate(Generate),
    /// List the anomaly table
    Anomalies(Anomalies),
    /// List what broke: incidents from their first interval to their end
    Incidents(Incidents),
    /// Tell that somebody attends to an incident: no reminders
    Ack(Ack),
    /// Do not tell of some incidents for a time
    Silence(Silence),
    /// Say what you think of an incident: similar ones will weigh more, or less
    Feedback(Feedback),
    /// Show one incident or one anomaly: what, where, since when, by how much, how sure
    Explain(Explain),
    /// Print a completion script for a shell
    Completions(Completions),
}

#[derive(Debug, ClapArgs)]
pub(super) struct Job {
    /// Configuration (TOML)
    pub(super) config: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Check {
    /// Configuration (TOML)
    pub(super) config: PathBuf,
    /// Send a test message to every receiver of `[[alert]]` and `[[deliver]]`
    #[arg(long)]
    pub(super) send: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Run {
    /// Configuration (TOML)
    pub(super) config: PathBuf,
    #[command(flatten)]
    pub(super) start: Start,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Detect {
    /// Configuration (TOML)
    pub(super) config: PathBuf,
    /// Leave when all partitions that are there have been judged
    #[arg(long)]
    pub(super) once: bool,
    #[command(flatten)]
    pub(super) start: Start,
}

/// How a job with a state goes on.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub(super) struct Start {
    /// Let the detector learn anew from the partitions, then go on: where its state is damaged, of another version, or
    /// learned under other settings (such as another sensitivity). Positions and counts are kept, nothing is told twice
    #[arg(long)]
    pub(super) rebuild: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Backtest {
    /// Configuration (TOML)
    pub(super) config: PathBuf,
    /// First local date to report; the detector learns from what lies before
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) from: Option<NaiveDate>,
    /// Last local date to judge
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) to: Option<NaiveDate>,
    /// Where the history is; partitions where there are any, if not given
    #[arg(long)]
    pub(super) input: Option<Input>,
    /// Labelled incidents (CSV: start,end,DIMENSIONS...,measure): prints precision, recall, F1, delay
    #[arg(long, value_name = "FILE")]
    pub(super) labels: Option<PathBuf>,
    /// Write every scored point as CSV
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sweep", "against"])]
    pub(super) scores: Option<PathBuf>,
    /// Write the anomaly groups as JSON lines
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sweep", "against"])]
    pub(super) anomalies: Option<PathBuf>,
    /// Judge at several sensitivities side by side, and print a table: with labels precision, recall and delay at each,
    /// without them how often it alerts. A detector for each is in memory. The sensitivity of the configuration and the
    /// one that holds by default are always among them
    #[arg(
        long,
        value_name = "SENSITIVITY,...",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = SWEEP,
        value_parser = sensitivities,
        conflicts_with = "against"
    )]
    pub(super) sweep: Option<Sensitivities>,
    /// With `--sweep` and `--labels`: draw precision over recall as SVG
    #[arg(long, value_name = "FILE", requires = "sweep", requires = "labels")]
    pub(super) plot: Option<PathBuf>,
    /// Judge the same history by a second configuration, and print what it finds that the first does not, and the other
    /// way round; with labels, the figures of both
    #[arg(long, value_name = "CONFIG")]
    pub(super) against: Option<PathBuf>,
    /// With `--against`: write what was gained, lost and kept as CSV
    #[arg(long, value_name = "FILE", requires = "against")]
    pub(super) against_out: Option<PathBuf>,
    /// Write what late rows did to findings as JSON lines; they are in the source, in the order in which they came
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sweep", "against"])]
    pub(super) revisions: Option<PathBuf>,
    /// Write the revisions of incidents as JSON lines
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sweep", "against"])]
    pub(super) incidents: Option<PathBuf>,
    /// Make the trained detector that of the job: `run`, or `detect`, goes on with it at the next interval. Of a state
    /// that is there the detector alone is replaced, and it learns up to where the job stands
    #[arg(
        long,
        value_name = "JOB",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "run",
        conflicts_with_all = ["sweep", "against"]
    )]
    pub(super) promote: Option<Promote>,
}

/// Sensitivities that are looked at where none are given.
const SWEEP: &str = "0.005,0.01,0.02,0.05,0.1,0.2,0.5,1,2";

/// Some sensitivities.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sensitivities(pub(super) Vec<f64>);

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Promote {
    /// The whole line
    Run,
    /// The detector over partitions that another job writes
    Detect,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Input {
    /// Partitions under `partition.url`
    Partitions,
    /// The configured source, from its beginning
    Source,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Discover {
    /// A file, a directory or a glob with JSON lines or CSV, plain or gzip
    pub(super) path: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Import {
    /// Files with the JSON of Lookout's DescribeAnomalyDetector, DescribeMetricSet and DescribeAlert, with an OpenSearch
    /// detector's JSON, or with the SQL of a Kinesis Analytics application
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Generate {
    /// What to make up
    pub(super) dataset: Dataset,
    /// Where the records go
    #[arg(long, default_value = "files")]
    pub(super) to: Target,
    /// Directory for `records/` (a file per day) and `labels.csv`; it holds no records yet. With `--to kinesis` it takes
    /// the labels alone and may be left out
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) stream: Stream,
    /// Everything random follows from it
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// ecommerce: how many days
    #[arg(long, default_value_t = 7)]
    pub(super) days: u32,
    /// Other data: how many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub(super) seconds: u64,
    /// Other data: records per second of event time
    #[arg(long, value_name = "RECORDS", default_value_t = 10.0)]
    pub(super) per_second: f64,
    /// template: a file with the template of a record, such as {"at":"{{date.utc}}","value":{{random.number(9)}}}
    #[arg(long, value_name = "FILE", required_if_eq("dataset", "template"))]
    pub(super) template: Option<PathBuf>,
    /// First day
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "2024-03-04")]
    pub(super) start: NaiveDate,
    /// ecommerce: how many series (dimension combinations)
    #[arg(long, default_value_t = 21)]
    pub(super) series: usize,
    /// ecommerce: minutes between two values of a series
    #[arg(long, value_name = "MINUTES", default_value_t = 5)]
    pub(super) cadence: u64,
    /// ecommerce: mean number of records per series and value
    #[arg(long, default_value_t = 4)]
    pub(super) records: u32,
    /// Probability that an anomaly starts, per value of a series; of other data that a record is anomalous, or that a burst
    /// of clicks starts in a second [default: ecommerce 0.005, stock-trades 0.05, clickstream 0.0005, iot-sensor 0.01]
    #[arg(long, value_name = "P")]
    pub(super) anomaly_probability: Option<f64>,
    /// ecommerce: least shift of the level during an anomaly
    #[arg(long, value_name = "VIEWS", default_value_t = 100.0)]
    pub(super) anomaly_shift_min: f64,
    /// ecommerce: largest shift of the level during an anomaly
    #[arg(long, value_name = "VIEWS", default_value_t = 600.0)]
    pub(super) anomaly_shift_max: f64,
    /// ecommerce: late records per million
    #[arg(long, default_value_t = 1000)]
    pub(super) late_per_million: u32,
    /// ecommerce: malformed records per million
    #[arg(long, default_value_t = 200)]
    pub(super) malformed_per_million: u32,
    /// How records are written
    #[arg(long, default_value = "json_lines")]
    pub(super) format: RecordFormat,
    /// Compress the files
    #[arg(long)]
    pub(super) gzip: bool,
}

/// Where made-up records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Target {
    /// Files in a directory
    Files,
    /// A Kinesis data stream
    Kinesis,
}

/// Which stream takes made-up records.
#[derive(Debug, ClapArgs)]
pub(super) struct Stream {
    /// With `--to kinesis`: the stream's name or ARN
    #[arg(long, value_name = "NAME", required_if_eq("to", "kinesis"))]
    pub(super) stream: Option<String>,
    /// Create the stream with so many shards where it is not there
    #[arg(long, value_name = "SHARDS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) create_stream: Option<u32>,
    /// Records a second, at most; as fast as the stream takes them, if not given
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) rate: Option<u32>,
    /// Region of the stream; from the environment or the profile, if not given
    #[arg(long)]
    pub(super) region: Option<String>,
    /// A profile of the shared configuration files
    #[arg(long)]
    pub(super) profile: Option<String>,
    /// Another endpoint than Amazon's
    #[arg(long, value_name = "URL")]
    pub(super) endpoint_url: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Dataset {
    /// Views and revenue of platforms and marketplaces
    Ecommerce,
    /// Trades, some of them with a much higher price and quantity
    StockTrades,
    /// Clicks and impressions, with bursts of clicks
    Clickstream,
    /// Values of sensors, some of them far too high
    IotSensor,
    /// Records by a template
    Template,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum RecordFormat {
    /// A JSON object a line
    JsonLines,
    /// Comma-separated values with a header
    Csv,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Anomalies {
    /// Configuration (TOML)
    pub(super) config: PathBuf,
    /// First local date
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) from: Option<NaiveDate>,
    /// Last local date
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) to: Option<NaiveDate>,
    /// Only this measure
    #[arg(long)]
    pub(super) measure: Option<String>,
    /// List what late rows did to findings instead: confirmed, withdrawn, raised
    #[arg(long)]
    pub(super) revisions: bool,
    /// Only groups of at least this severity
    #[arg(long, value_name = "0-100", default_value_t = 0.0, value_parser = severity)]
    pub(super) severity: f64,
    /// How to print
    #[arg(long, default_value = "table")]
    pub(super) format: OutputFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Incidents {
    /// Configuration (TOML)
    pub(super) config: PathBuf,
    /// First local date on which an incident changed
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) from: Option<NaiveDate>,
    /// Last local date on which an incident changed
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) to: Option<NaiveDate>,
    /// Only those that go on
    #[arg(long)]
    pub(super) open: bool,
    /// Only those of at least this severity
    #[arg(long, value_name = "0-100", default_value_t = 0.0, value_parser = severity)]
    pub(super) severity: f64,
    /// How to print
    #[arg(long, default_value = "table")]
    pub(super) format: OutputFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Ack {
    /// Configuration (TOML)
    pub(super) config: PathBuf,
    /// Id of an incident, from `tidewatch incidents`
    pub(super) incident: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Silence {
    /// Configuration (TOML)
    pub(super) config: PathBuf,
    /// Its name
    #[arg(long, default_value = "silence")]
    pub(super) name: String,
    /// How long, from the next interval on: 30m, 4h, 2d
    #[arg(long = "for", value_name = "TIME", value_parser = span, required_unless_present = "end", conflicts_with = "end")]
    pub(super) lasts: Option<u64>,
    /// Only slices with this value; may be given several times
    #[arg(long = "where", value_name = "DIMENSION=VALUE")]
    pub(super) wheres: Vec<String>,
    /// Only this measure; may be given several times
    #[arg(long = "measure", value_name = "MEASURE")]
    pub(super) measures: Vec<String>,
    /// Only this side
    #[arg(long)]
    pub(super) direction: Option<Side>,
    /// End the silence of this name instead
    #[arg(long)]
    pub(super) end: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Side {
    /// Above what is expected
    High,
    /// Below what is expected
    Low,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Feedback {
    /// Configuration (TOML)
    pub(super) config: PathBuf,
    /// Id of an incident, from `tidewatch incidents`
    pub(super) incident: String,
    /// What you think of it
    pub(super) opinion: Thought,
    /// Only show which incidents so far would have been told, or not, after this
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Thought {
    /// It was right to tell
    Useful,
    /// It was no surprise
    Expected,
    /// Something was wrong, and not this
    WrongCause,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Explain {
    /// Configuration (TOML)
    pub(super) config: PathBuf,
    /// Id of an incident, from `tidewatch incidents`; of an anomaly group or a finding, from `tidewatch anomalies`
    pub(super) id: String,
    /// As JSON, with all that is around an incident
    #[arg(long, conflicts_with = "html")]
    pub(super) json: bool,
    /// As a page that needs nothing beside itself
    #[arg(long)]
    pub(super) html: bool,
    /// How to print
    #[arg(long, default_value = "table")]
    pub(super) format: OutputFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum OutputFormat {
    /// For people
    Table,
    /// JSON lines
    Json,
    /// Comma-separated values, a line per finding
    Csv,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Completions {
    /// Which shell
    pub(super) shell: clap_complete::Shell,
}

/// A time of minutes, hours or days, in seconds.
fn span(text: &str) -> Result<u64, String> {
    let units = [("m", 60), ("h", 3600), ("d", 86_400)];
    let read = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds).filter(|seconds| (60..=366 * 86_400).contains(seconds))
    });
    read.ok_or_else(|| "it is not a time from 1m to 366d, such as 4h".to_owned())
}

/// A severity, 0 to 100.
fn severity(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "it is not a number from 0 to 100".to_owned())
}

/// Numbers with commas between; whether they are in range is told by the detector.
fn sensitivities(text: &str) -> Result<Sensitivities, String> {
    let numbers = text.split(',').map(|number| number.trim().parse::<f64>());
    let numbers: Result<Vec<f64>, _> = numbers.collect();
    numbers.map(Sensitivities).map_err(|_| "these are no numbers with commas between".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_severity_lies_between_0_and_100() {
        assert_eq!(["0", "70.5", "100"].map(severity), [Ok(0.0), Ok(70.5), Ok(100.0)]);
        assert!(["-1", "100.1", "NaN", "inf", "much", ""].map(severity).iter().all(Result::is_err));
    }

    #[test]
    fn sensitivities_are_numbers_with_commas_between() {
        assert_eq!(sensitivities("0.05, 1,7"), Ok(Sensitivities(vec![0.05, 1.0, 7.0])));
        assert!(["", "1,,2", "much", "1;2"].map(sensitivities).iter().all(Result::is_err));
        assert!(sensitivities(SWEEP).is_ok_and(|Sensitivities(all)| all.len() == 9));
    }
}
