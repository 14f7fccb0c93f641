//! `check` and `discover`.

use std::io::Write;
use std::path::Path;

use super::CliError;
use crate::config::Config;

pub(super) fn check(_config: &Config, _out: &mut impl Write) -> Result<(), CliError> {
    Ok(())
}

pub(super) fn discover(_path: &Path, _out: &mut impl Write) -> Result<(), CliError> {
    Ok(())
}
