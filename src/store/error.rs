//! Why a place for objects cannot be used, told to whoever has to mend it.

use std::path::PathBuf;

use crate::aws::AwsError;

/// A place that cannot be used, or an operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The url names no place that this build knows.
    #[error("`{url}` is not a place for objects; hint: give a directory, a `file://` url or `s3://bucket/prefix`")]
    Url {
        /// As given.
        url: String,
    },
    /// The directory cannot be made or opened.
    #[error("directory `{directory}` cannot be used: {source}")]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Region, certificates or credentials cannot be set up.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The store refused an operation, and would refuse it again.
    #[error("cannot {verb} `{url}`: {said}; hint: {hint}")]
    Refused {
        /// What was tried.
        verb: &'static str,
        /// On which object or folder.
        url: String,
        /// What the store said.
        said: String,
        /// What would help.
        hint: String,
    },
    /// The store could not be reached, or did not serve, for as long as was to be waited.
    #[error("cannot {verb} `{url}`, tried for {seconds} s: {said}; hint: {hint}")]
    GaveUp {
        /// What was tried.
        verb: &'static str,
        /// On which object or folder.
        url: String,
        /// What was said last.
        said: String,
        /// For so long.
        seconds: u64,
        /// What would help.
        hint: String,
    },
    /// An operation failed for a reason that has no name here.
    #[error("cannot {verb} `{name}`: {source}")]
    Operation {
        /// What was tried.
        verb: &'static str,
        /// Which object.
        name: String,
        /// Why it failed.
        source: object_store::Error,
    },
    /// A [`Watch`](super::Watch) stopped the job.
    #[error("stopped at `{0}`")]
    Stopped(String),
}
