//! `status`: where the jobs of a configuration stand, from their states. A job may be running meanwhile.

use std::io::Write;

use super::CliError;
use super::{format, host};
use crate::config::Config;
use crate::job::status::{self, Learning, State};

pub(super) fn status(config: &Config, out: &mut impl Write) -> Result<(), CliError> {
    let runtime = host::runtime().map_err(CliError::Runtime)?;
    let states = runtime.block_on(status::look(config))?;
    if states.is_empty() {
        writeln!(out, "state      none in {}: no job of this configuration has run", config.job.state)?;
        writeln!(out, "           `tidewatch check CONFIG` tells when the first series will speak")?;
    }
    for (at, state) in states.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        print(state, out)?;
    }
    Ok(())
}

fn print(state: &State, out: &mut impl Write) -> Result<(), CliError> {
    let State { command, place, checkpoint, detector } = state;
    writeln!(out, "state      {place}, of `{command}`")?;
    if checkpoint.tally.read() > 0 {
        writeln!(out, "rows       {} in commits", format::count(checkpoint.tally.read()))?;
    }
    writeln!(out, "intervals  {}", format::count(checkpoint.intervals))?;
    let Some(detector) = detector else { return Ok(()) };
    let findings = format::count(checkpoint.findings);
    writeln!(out, "findings   {findings}{}", format::revised(checkpoint.revisions))?;
    if let Some(judged) = checkpoint.detector.as_ref().and_then(|learned| learned.judged) {
        writeln!(out, "judged     up to the interval of {judged}")?;
    }
    match detector {
        Ok(learning) => print_learning(learning, out),
        Err(reason) => Ok(writeln!(out, "warning: {}", format::hint_on_a_line(&reason.to_string()))?),
    }
}

fn print_learning(learning: &Learning, out: &mut impl Write) -> Result<(), CliError> {
    let Learning { series, learning, speaks, forms, records } = learning;
    if let Some(records) = records {
        return Ok(writeln!(out, "records    {}", format::records(records))?);
    }
    writeln!(out, "series     {}", format::series(*series, *learning, *speaks))?;
    for of in forms.iter().rev().filter(|of| of.series > 0) {
        writeln!(out, "  {:<8} {}", of.form.name(), format::series(of.series, of.learning, of.speaks))?;
    }
    Ok(())
}
