//! How good are the verdicts? One shipped configuration over made incidents, real files of two public sets, and the time it
//! takes; beside peers that see the same input. Nothing here tunes: no part changes a setting of the detector.
//!
//! `scripts/bench/quality` builds and runs it, `--help` lists the parts and options. Reading order: `profile`, `incident`,
//! `world` (the made worlds), `score` (what counts as a hit and as a false alert), `peer`, `drive` (the detector through
//! the library), then the parts: `incidents`, `nab`, `mscmd`, `cost`.
//!
//! Columns, where a table does not say it itself: `precision`, `recall`, `F1` of events, mean over worlds and detector
//! seeds; `FA/sw` false alerts per series and week; `delay` median minutes from the start of an event to the end of the
//! first interval that alarms; `sw` series-weeks scored.

#![expect(clippy::print_stdout, reason = "a benchmark prints its tables")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at any surprise")]

mod cost;
mod drive;
mod incident;
mod incidents;
mod mscmd;
mod nab;
mod options;
mod peer;
mod profile;
mod random;
mod score;
mod table;
mod threads;
mod world;

use options::{Options, USAGE};

fn main() -> std::process::ExitCode {
    if std::env::args().any(|arg| arg == "--help" || arg == "-h") {
        print!("{USAGE}");
        return std::process::ExitCode::SUCCESS;
    }
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            println!("{problem}");
            return std::process::ExitCode::FAILURE;
        }
    };
    for part in &options.parts {
        match part.as_str() {
            "incidents" => incidents::run(&options),
            "nab" => nab::run(&options),
            "mscmd" => mscmd::run(&options),
            _ => cost::run(&options),
        }
    }
    std::process::ExitCode::SUCCESS
}
