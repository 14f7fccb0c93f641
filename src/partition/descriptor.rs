//! What a tree of partitions was written with: columns, interval length, zone, format. It is created with the tree and
//! pins what was discovered from a sample; a job of another configuration is refused before it writes anything.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::{Columns, Format};
use crate::store::{Created, Store, StoreError};

const NAME: &str = "data/_tidewatch.json";
const VERSION: u32 = 1;

/// The description of a tree of partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    version: u32,
    /// The columns that partitions carry.
    pub columns: Columns,
    /// Interval length in seconds.
    pub interval_seconds: u32,
    /// IANA name of the zone of the partition paths.
    pub zone: String,
    /// Format of the parts.
    pub format: Format,
}

/// A tree that cannot be used with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorError {
    /// The tree was written with other settings.
    #[error(
        "the partitions there were written with another configuration: {differences}; \
         hint: choose another `partition.url`, or set these back"
    )]
    Differs {
        /// Each difference, `there` against `here`.
        differences: String,
    },
    /// The description cannot be read.
    #[error("`{NAME}` cannot be read: {0}; hint: a newer version of the program may have written it")]
    Unreadable(serde_json::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Descriptor {
    /// Describes a tree.
    pub fn new(columns: Columns, interval_seconds: u32, zone: String, format: Format) -> Descriptor {
        Descriptor { version: VERSION, columns, interval_seconds, zone, format }
    }

    /// Reads the description of a tree, if there is one.
    ///
    /// # Errors
    /// When the store fails or the description cannot be read.
    pub async fn load(store: &Store) -> Result<Option<Descriptor>, DescriptorError> {
        let bytes = store.get(NAME).await?;
        bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(DescriptorError::Unreadable)).transpose()
    }

    /// Makes sure that the tree is described by this, creating the description where there is none.
    ///
    /// # Errors
    /// When the tree was written with other settings, or the store fails.
    pub async fn claim(&self, store: &Store) -> Result<(), DescriptorError> {
        if let Some(there) = Descriptor::load(store).await? {
            return self.check(&there);
        }
        let text = serde_json::to_vec_pretty(self).map_err(DescriptorError::Unreadable)?;
        match store.create(NAME, Bytes::from(text)).await? {
            Created::New => Ok(()),
            Created::Exists => Descriptor::load(store).await?.map_or(Ok(()), |there| self.check(&there)),
        }
    }

    fn check(&self, there: &Descriptor) -> Result<(), DescriptorError> {
        if there == self { Ok(()) } else { Err(DescriptorError::Differs { differences: there.against(self) }) }
    }

    /// Names what differs, `there` against `here`.
    fn against(&self, here: &Descriptor) -> String {
        let columns = |descriptor: &Descriptor| {
            let fields = descriptor.columns.fields().map(|(name, kind)| format!("{name} {kind:?}").to_lowercase());
            fields.collect::<Vec<_>>().join(", ")
        };
        let pairs = [
            ("columns", columns(self), columns(here)),
            ("interval.length", format!("{}s", self.interval_seconds), format!("{}s", here.interval_seconds)),
            ("interval.timezone", self.zone.clone(), here.zone.clone()),
            ("partition.format", self.format.extension().into(), here.format.extension().into()),
            ("select.dimensions", self.columns.dimensions.join(", "), here.columns.dimensions.join(", ")),
            ("version", self.version.to_string(), here.version.to_string()),
        ];
        let differing = pairs.iter().filter(|(_, there, here)| there != here);
        differing
            .map(|(key, there, here)| format!("{key} is `{there}` there, `{here}` here"))
            .collect::<Vec<_>>()
            .join("; ")
    }
}
