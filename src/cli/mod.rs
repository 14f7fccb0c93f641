//! The command line: arguments in, a command of the library out, its results printed. stdout is data, stderr is talk.
//! Exit codes: 0 fine, 1 something that the user can mend, 2 a fault of ours.

mod against;
mod allocator;
mod anomalies;
mod args;
mod backtest;
mod card;
mod check;
mod feedback;
mod format;
mod generate;
mod host;
mod import;
mod incidents;
mod listener;
mod plot;
mod records;
mod revisions;
mod run;
mod speaks;
mod status;
mod sweep;

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::NaiveDate;
use clap::{CommandFactory as _, Parser as _};

use crate::config::{self, ConfigError};
use crate::decode::discover::DiscoverError;
use crate::import::ImportError;
use crate::job::JobError;
use args::{Args, Command};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Generate(#[from] generate::GenerateError),
    #[error("no anomaly `{id}` in `{url}`; hint: `tidewatch anomalies CONFIG` lists them")]
    NoAnomaly { id: String, url: String },
    #[error("`--html` is for incidents, and `{0}` is an anomaly; hint: `tidewatch incidents CONFIG` lists them")]
    NoPage(String),
    #[error("no incident `{id}` in `{url}`; hint: `tidewatch incidents CONFIG` lists them")]
    NoIncident { id: String, url: String },
    #[error(
        "`--where {given}` is not `DIMENSION=VALUE` with a dimension of this configuration; hint: there are {known}"
    )]
    Where { given: String, known: String },
    #[error("`{url}` does not exist; hint: `tidewatch run CONFIG` makes it, or check `partition.url`")]
    NoTable { url: String },
    #[error("`--measure {measure}` is not a measure of this configuration; hint: {hint}")]
    NoMeasure { measure: String, hint: String },
    #[error("`--from {from}` is after `--to {to}`; hint: both dates are included")]
    DateOrder { from: NaiveDate, to: NaiveDate },
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error("`{path}` cannot be read: {source}")]
    Input { path: PathBuf, source: io::Error },
    #[error("not all that the job needs works; hint: each step that failed is told above")]
    Unusable,
    #[error("`{path}` cannot be written: {source}")]
    Output { path: PathBuf, source: io::Error },
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
    #[error("the runtime cannot start: {0}")]
    Runtime(io::Error),
    #[error("the program failed by a fault of its own; please report this with the lines above")]
    Panic,
}

impl CliError {
    fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Job(error) if error.is_ours() => ExitCode::from(2),
            CliError::Runtime(_) | CliError::Panic => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

/// Turns a panic into an error; what it says has been printed by then.
fn guarded(work: impl FnOnce() -> Result<(), CliError>) -> Result<(), CliError> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(CliError::Panic))
}

/// The dates that were given, or all there are.
fn dates(from: Option<NaiveDate>, to: Option<NaiveDate>) -> Result<(NaiveDate, NaiveDate), CliError> {
    let (from, to) = (from.unwrap_or(NaiveDate::MIN), to.unwrap_or(NaiveDate::MAX));
    if from > to { Err(CliError::DateOrder { from, to }) } else { Ok((from, to)) }
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    allocator::keep();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
            // a reader that went away is no reason to fail
            let _ = error.print();
            return code;
        }
    };
    tracing_subscriber::fmt().with_writer(io::stderr).with_target(false).init();
    match guarded(|| dispatch(args.command)) {
        Ok(()) => ExitCode::SUCCESS,
        // whoever read our output has seen enough
        Err(CliError::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {}", format::hint_on_a_line(&error.to_string()));
            error.exit_code()
        }
    }
}

fn dispatch(command: Command) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match command {
        Command::Run(run) => run::run(&config::load(&run.config)?, run.start, &mut out),
        Command::Etl(job) => run::etl(&config::load(&job.config)?, &mut out),
        Command::Detect(detect) => run::detect(&config::load(&detect.config)?, detect.once, detect.start, &mut out),
        Command::Backtest(options) => backtest::backtest(&config::load(&options.config)?, &options, &mut out),
        Command::Status(job) => status::status(&config::load(&job.config)?, &mut out),
        Command::Check(check) => check::check(&config::load(&check.config)?, check.send, &mut out),
        Command::Discover(discover) => check::discover(&discover.path, &mut out),
        Command::Import(import) => import::import(&import.files, &mut out),
        Command::Generate(generate) => generate::generate(&generate, &mut out),
        Command::Anomalies(list) => anomalies::list(&config::load(&list.config)?, &list, &mut out),
        Command::Incidents(list) => incidents::list(&config::load(&list.config)?, &list, &mut out),
        Command::Ack(ack) => incidents::acknowledge(&config::load(&ack.config)?, &ack, &mut out),
        Command::Silence(silence) => incidents::silence(&config::load(&silence.config)?, &silence, &mut out),
        Command::Feedback(given) => feedback::feedback(&config::load(&given.config)?, &given, &mut out),
        Command::Explain(explain) => anomalies::explain(&config::load(&explain.config)?, &explain, &mut out),
        Command::Completions(completions) => {
            // into memory first: it panics where it cannot write
            let mut script = Vec::new();
            clap_complete::generate(completions.shell, &mut Args::command(), "tidewatch", &mut script);
            Ok(out.write_all(&script)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_fault_of_ours() {
        let error = guarded(|| panic!("on purpose")).unwrap_err();
        assert!(matches!(error, CliError::Panic) && error.to_string().contains("please report this"), "{error}");
        assert_eq!(format!("{:?}", error.exit_code()), format!("{:?}", ExitCode::from(2)));
        assert!(guarded(|| Ok(())).is_ok());
    }

    #[test]
    fn dates_are_in_order() {
        let day = |day| NaiveDate::from_ymd_opt(2024, 3, day);
        assert!(dates(day(4), day(4)).is_ok() && dates(None, day(4)).is_ok() && dates(day(4), None).is_ok());
        let error = dates(day(5), day(4)).unwrap_err().to_string();
        assert!(error.contains("`--from 2024-03-05` is after `--to 2024-03-04`"), "{error}");
    }
}
