//! What the command line chooses.

use std::num::NonZeroUsize;
use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
usage: scripts/bench/quality [PART...] [OPTION...]

parts (all where none is named): incidents, nab, mscmd, cost

  --only PART[/CATEGORY]  one part, of the real data one category: nab/realTraffic
  --worlds N              made worlds of `incidents` (5); profiles take turns
  --seeds N               detector seeds (5)
  --threads N             (all cores)
  --data DIRECTORY        holds nab/ and mscmd/ ($TIDEWATCH_QUALITY, or ../shared/quality)
  --no-peers              the shipped detector alone
  --verbose               every incident and every false alert of the first seed, every file
";

pub(crate) struct Options {
    pub(crate) parts: Vec<String>,
    /// Of the real data.
    pub(crate) category: Option<String>,
    pub(crate) worlds: usize,
    pub(crate) seeds: u64,
    pub(crate) threads: usize,
    pub(crate) data: PathBuf,
    pub(crate) peers: bool,
    pub(crate) verbose: bool,
}

const PARTS: [&str; 4] = ["incidents", "nab", "mscmd", "cost"];

impl Options {
    /// From the arguments; the error is what to tell.
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Options, String> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let data = std::env::var("TIDEWATCH_QUALITY").unwrap_or_else(|_| "../shared/quality".to_owned());
        let mut options = Options {
            parts: Vec::new(),
            category: None,
            worlds: 5,
            seeds: 5,
            threads: cores,
            data: PathBuf::from(data),
            peers: true,
            verbose: false,
        };
        // cargo itself adds `--bench`
        let mut args = args.filter(|arg| arg != "--bench");
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("`{arg}` needs a value"));
            match arg.as_str() {
                "--only" => {
                    let text = value()?;
                    let (part, category) = text.split_once('/').map_or((&text[..], None), |(p, c)| (p, Some(c)));
                    options.part(part)?;
                    options.category = category.map(str::to_owned);
                }
                "--worlds" => options.worlds = number(&arg, &value()?)?,
                "--seeds" => options.seeds = number(&arg, &value()?)? as u64,
                "--threads" => options.threads = number(&arg, &value()?)?,
                "--data" => options.data = PathBuf::from(value()?),
                "--no-peers" => options.peers = false,
                "--verbose" => options.verbose = true,
                part => options.part(part)?,
            }
        }
        if options.parts.is_empty() {
            options.parts = PARTS.map(str::to_owned).into();
        }
        Ok(options)
    }

    fn part(&mut self, name: &str) -> Result<(), String> {
        if !PARTS.contains(&name) {
            return Err(format!("`{name}` is no part and no option\n\n{USAGE}"));
        }
        self.parts.push(name.to_owned());
        Ok(())
    }

    /// The directory of a data set, if it is there; a line says so if not.
    pub(crate) fn data_set(&self, name: &str) -> Option<PathBuf> {
        let directory = self.data.join(name);
        if directory.is_dir() {
            return Some(directory);
        }
        println!("\n== {name}: skipped, there is no {}; hint: --data or TIDEWATCH_QUALITY", directory.display());
        None
    }

    /// Whether a category of real data is asked for.
    pub(crate) fn wants(&self, category: &str) -> bool {
        self.category.as_deref().is_none_or(|only| only == category)
    }
}

fn number(name: &str, text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{name} {text}` is not a number from 1 on")),
    }
}
