//! The parts of `scripts/bench/etl` that are not a job of someone else's: made-up records, the check of what a job wrote,
//! and the ceiling program.
//!
//! ```text
//! etl-bench generate DIR --records N [--files N] [--order time|random] [--series N] [--days N] [--minutes N]
//! etl-bench verify DIR EXPECTED [--minutes N]
//! etl-bench ceiling IN OUT [--threads N]
//! ```
//!
//! `generate` writes `DIR/part-00000.jsonl` and so on, and beside the directory `DIR.expected`: for each interval the
//! number of its rows and the sum of their hashes. `verify` reads the CSV files of a job's output and computes the same
//! from them, so that a row that is missing, doubled, changed or in another interval's folder is found, in whatever order
//! rows were written.

mod ceiling;
mod data;
mod expected;
mod generate;
mod verify;

use std::process::ExitCode;
use std::str::FromStr;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["generate", directory, ..] => generate::run(directory.as_ref(), &words),
        ["verify", directory, expected, ..] => {
            verify::run(directory.as_ref(), expected.as_ref(), option(&words, "--minutes", 5))
        }
        ["ceiling", input, output, ..] => ceiling::run(input.as_ref(), output.as_ref(), option(&words, "--threads", 2)),
        _ => Err("usage: etl-bench generate DIR | verify DIR EXPECTED | ceiling IN OUT".into()),
    };
    match done {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The word behind a name, or the usual.
fn option<T: FromStr>(words: &[&str], name: &str, usual: T) -> T {
    let given = words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1));
    given.and_then(|word| word.parse().ok()).unwrap_or(usual)
}
