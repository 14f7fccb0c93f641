//! What the command line chooses.

use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
usage: scripts/bench/rootcause [PART...] [OPTION...]

parts (all where none is named): families, nothing, outside, mix, real, stream, cost

  --cases N          of each family (200)
  --streams N        of 14 days, each with another seed (1)
  --threads N        for the streams (1)
  --development      the seeds that the method was built with, not those that are reported
  --data DIRECTORY   holds rs/ ($TIDEWATCH_QUALITY, or ../shared/quality)
  --no-peer          without RiskLoc
  --verbose          every case that is not answered exactly
";

pub(crate) const PARTS: [&str; 7] = ["families", "nothing", "outside", "mix", "real", "stream", "cost"];

pub(crate) struct Options {
    pub(crate) parts: Vec<String>,
    pub(crate) cases: u64,
    pub(crate) streams: u64,
    pub(crate) threads: usize,
    pub(crate) first_seed: u64,
    pub(crate) data: PathBuf,
    pub(crate) peer: bool,
    pub(crate) verbose: bool,
}

/// Nothing was ever built or chosen on cases of these seeds.
const REPORT: u64 = 7_000_000;
const DEVELOPMENT: u64 = 1_000;

impl Options {
    /// From the arguments; the error is what to tell.
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Options, String> {
        let data = std::env::var("TIDEWATCH_QUALITY").unwrap_or_else(|_| "../shared/quality".to_owned());
        let mut options = Options {
            parts: Vec::new(),
            cases: 200,
            streams: 1,
            threads: 1,
            first_seed: REPORT,
            data: PathBuf::from(data),
            peer: true,
            verbose: false,
        };
        // cargo itself adds `--bench`
        let mut args = args.filter(|arg| arg != "--bench");
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("`{arg}` needs a value"));
            match arg.as_str() {
                "--cases" => options.cases = number(&arg, &value()?)?,
                "--streams" => options.streams = number(&arg, &value()?)?,
                "--threads" => options.threads = usize::try_from(number(&arg, &value()?)?).unwrap_or(1),
                "--development" => options.first_seed = DEVELOPMENT,
                "--data" => options.data = PathBuf::from(value()?),
                "--no-peer" => options.peer = false,
                "--verbose" => options.verbose = true,
                part if PARTS.contains(&part) => options.parts.push(part.to_owned()),
                other => return Err(format!("`{other}` is no part and no option\n\n{USAGE}")),
            }
        }
        if options.parts.is_empty() {
            options.parts = PARTS.map(str::to_owned).into();
        }
        Ok(options)
    }
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("`{option} {text}` is not a number from 1 on"))
}
