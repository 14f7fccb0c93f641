//! `run`, `etl`, `detect`.

use std::io::Write;

use super::CliError;
use super::format;
use super::host::block_on;
use super::listener::Terminal;
use crate::config::Config;
use crate::job::live::{self, Line};
use crate::job::{Summary, follow};

pub(super) fn run(config: &Config, line: Line, out: &mut impl Write) -> Result<(), CliError> {
    let mut terminal = Terminal::new(out);
    let summary = block_on(&mut terminal, |host| live::run(config, line, host));
    report(terminal.finish(), config, &summary?)
}

pub(super) fn detect(config: &Config, once: bool, out: &mut impl Write) -> Result<(), CliError> {
    let mut terminal = Terminal::new(out);
    let summary = block_on(&mut terminal, |host| follow::run(config, once, host));
    report(terminal.finish(), config, &summary?)
}

fn report(out: &mut impl Write, config: &Config, summary: &Summary) -> Result<(), CliError> {
    writeln!(out, "{}", format::summary(summary))?;
    let url = &config.partition.url;
    if summary.findings > 0 {
        writeln!(out, "table      {url}/anomalies; `tidewatch anomalies CONFIG` lists it")?;
    }
    if summary.stopped {
        writeln!(out, "stopped    at the checkpoint in {}; start again to go on", config.job.state)?;
    } else if summary.resumed && summary.read == 0 {
        writeln!(out, "done       before: all input was read; remove {url} to begin again")?;
    }
    Ok(())
}
