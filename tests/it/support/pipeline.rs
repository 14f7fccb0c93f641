//! A configuration as text, section by section, over a data set in a temporary directory.

use std::fs;
use std::path::{Path, PathBuf};

use tidewatch::config::{self, Config};
use tidewatch::source::generator::{Format, Settings};

use super::data::{self, Layout};

/// Many small chunks and a checkpoint after each that closed something.
pub(crate) const MANY_CHECKPOINTS: &str = "stream_batch_time = \"100ms\"\nbatch_records_max = 1";
/// Small forests, and an alert now and then.
pub(crate) const SMALL_FORESTS: &str = "trees = 5\nsample = 16\nsensitivity = 7.0";

const SELECT: &str = r#"
timestamp = "event_time"
timestamp_format = "%Y-%m-%d %H:%M:%S"
dimensions = ["platform", "marketplace"]
measures = ["views", "revenue"]
types = { views = "integer", revenue = "float" }
"#;

/// The sections of a configuration.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    pub(crate) job: String,
    pub(crate) source: String,
    pub(crate) decode: String,
    pub(crate) select: String,
    pub(crate) interval: String,
    pub(crate) partition: String,
    pub(crate) detect: String,
    /// Where partitions go.
    pub(crate) url: PathBuf,
}

impl Pipeline {
    /// Writes a data set below `directory` and reads it from there.
    pub(crate) fn over(settings: &Settings, layout: Layout, directory: &Path) -> Pipeline {
        let input = directory.join("in");
        data::write(settings, layout, &input);
        Pipeline { decode: decode(layout.format).into(), ..Pipeline::reading(&input, directory) }
    }

    /// Reads files that are there.
    pub(crate) fn reading(input: &Path, directory: &Path) -> Pipeline {
        Pipeline {
            job: MANY_CHECKPOINTS.into(),
            source: format!("[source.files]\npath = \"{}\"\nchunk_bytes = \"4kB\"", input.display()),
            decode: decode(Format::JsonLines).into(),
            select: SELECT.into(),
            interval: String::new(),
            partition: String::new(),
            detect: SMALL_FORESTS.into(),
            url: directory.join("out"),
        }
    }

    /// The same, writing elsewhere.
    pub(crate) fn to(&self, url: &Path) -> Pipeline {
        Pipeline { url: url.to_owned(), ..self.clone() }
    }

    pub(crate) fn toml(&self) -> String {
        let Pipeline { job, source, decode, select, interval, partition, detect, url } = self;
        format!(
            "[job]\n{job}\n{source}\n[decode]\n{decode}\n[select]\n{select}\n[interval]\n{interval}\n\
             [partition]\nurl = \"{}\"\n{partition}\n[detect]\n{detect}\n[[alert]]\nseverity_threshold = 0\n",
            url.display()
        )
    }

    pub(crate) fn config(&self) -> Config {
        config::parse(&self.toml(), &|_| None).unwrap_or_else(|problems| panic!("{problems}\n{}", self.toml()))
    }

    /// Writes the configuration beside its partitions and gives its path.
    pub(crate) fn write(&self) -> String {
        let path = self.url.with_extension("toml");
        fs::write(&path, self.toml()).unwrap();
        path.display().to_string()
    }
}

fn decode(format: Format) -> &'static str {
    match format {
        Format::JsonLines => "format = \"json_lines\"",
        Format::Csv => "format = \"csv\"",
    }
}
