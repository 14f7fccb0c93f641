//! Partitions as input of the detector: which intervals are there, and the rows of each, decoded by the same decoder
//! that reads the stream.

use chrono::NaiveDate;

use super::error::JobError;
use super::feed::decode_settings;
use crate::config::Config;
use crate::decode::{Decoder, Format, Header};
use crate::model::{Columns, CsvDialect, Rows};
use crate::partition::{Content, Descriptor, Listed, Reader, Tree};
use crate::store::Store;

/// Reads partitions for the detector.
pub(super) struct History {
    reader: Reader,
    decoder: Decoder,
    /// Records of partitions that could not be decoded.
    pub(super) rejected: u64,
}

impl History {
    pub(super) async fn new(config: &Config, store: Store, columns: &Columns) -> Result<History, JobError> {
        let fields = columns.fields().map(|(name, kind)| (name.to_owned(), kind)).collect();
        let mut settings = decode_settings(config, fields);
        settings.format = Format::Csv { dialect: CsvDialect::COMMA, header: Header::FirstRecord };
        let tree = if Descriptor::load(&store).await?.is_some() { Tree::Ours } else { Tree::Foreign };
        let reader = Reader::new(store, columns.clone(), config.interval.length, tree);
        Ok(History { reader, decoder: Decoder::new(settings)?, rejected: 0 })
    }

    /// The intervals that are there, in order, of local dates `from` to `to` inclusive.
    pub(super) async fn list(&self, from: NaiveDate, to: NaiveDate) -> Result<Vec<Listed>, JobError> {
        Ok(self.reader.list(from, to).await?)
    }

    /// The rows of one interval that came in time; none for an interval that is not to be judged.
    pub(super) async fn rows(&mut self, listed: &Listed) -> Result<Option<Vec<Rows>>, JobError> {
        match self.reader.read(listed).await? {
            None => Ok(None),
            Some(Content::Rows(rows)) => Ok(Some(rows)),
            Some(Content::Chunks(chunks)) => {
                let mut all = Vec::new();
                for chunk in &chunks {
                    let decoded = self.decoder.decode(chunk)?;
                    self.rejected += decoded.rejects.len() as u64;
                    if let Some(reject) = decoded.rejects.first().filter(|_| decoded.rows.is_empty()) {
                        let (place, reason) = (chunk.partition.to_string(), reject.reason.to_string());
                        return Err(JobError::Unreadable { place, reason });
                    }
                    all.push(decoded.rows);
                }
                Ok(Some(all))
            }
        }
    }
}
