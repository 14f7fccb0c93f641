//! One TOML file becomes a [`Config`] of valid values, or the list of all its problems at once (C1).
//!
//! `raw` knows what a file says and where: sections, keys, units, lines. `resolve` knows what it means: every section
//! is named after its stage, read from top to bottom it is the data flow, and its values are the stage's own checked
//! settings. What depends on the data (types of measures that the file does not name) is left to `job`.

mod aws;
mod calendar;
mod decode;
mod deliver;
mod generator;
mod hooks;
mod incident;
mod measure;
mod problem;
mod raw;
mod receiver;
mod records;
mod reference;
mod resolve;
mod source;
mod units;

pub use decode::Decode;
pub use measure::{DetectMeasure, Origin};
pub use problem::{Problem, Problems};
pub use records::{Records, RecordsOutput};
pub use reference::Reference;
pub use resolve::{Config, Detect, Job, Partition, Select};
pub use source::Source;

use std::path::{Path, PathBuf};

/// A file that gives no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "configuration `{path}` cannot be read: {source}; hint: `tidewatch discover PATH` writes one from a sample"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is read and is wrong.
    #[error("configuration `{path}` has {problems}")]
    Problems {
        /// The file.
        path: PathBuf,
        /// All that is wrong with it.
        problems: Problems,
    },
}

/// Reads and resolves a configuration file; `${NAME}` stands for an environment variable.
///
/// # Errors
/// When the file cannot be read, or with every problem that it has.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&text, &|name| std::env::var(name).ok())
        .map_err(|problems| ConfigError::Problems { path: path.to_owned(), problems })
}

/// Resolves the text of a configuration.
///
/// # Errors
/// With every problem that it has.
pub fn parse(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    let document = raw::Document::parse(text)?;
    let context = raw::Context::new(text, environment);
    let config = resolve::resolve(&raw::Section::root(&document, &context));
    match (config, context.into_problems()) {
        (Some(config), problems) if problems.is_empty() => Ok(config),
        (_, problems) => Err(problems),
    }
}

#[cfg(test)]
mod tests;
