//! `import`: descriptions of another detector become a configuration on standard output.

use std::io::Write;
use std::path::PathBuf;

use super::CliError;
use crate::import::{self, Description};

/// A description has a few kilobytes: what is far larger is data, given by mistake.
const BYTES_MAX: u64 = 16 << 20;

pub(super) fn import(files: &[PathBuf], out: &mut impl Write) -> Result<(), CliError> {
    let descriptions = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(write!(out, "{}", import::import(&descriptions)?.toml)?)
}

fn read(path: &PathBuf) -> Result<Description, CliError> {
    let failed = |source| CliError::Input { path: path.clone(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > BYTES_MAX {
        return Err(failed(std::io::Error::other(format!("it has more than {BYTES_MAX} bytes and is no description"))));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|_| failed(std::io::Error::other("it is not UTF-8")))?;
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Description { name, text })
}
