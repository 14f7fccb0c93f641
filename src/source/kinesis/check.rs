//! A look at a stream without reading it as a source: what it is, and its first few records.

use std::time::Duration;

use tokio::time::sleep;

use super::Settings;
use super::chunks::Chunker;
use super::stream::{DESCRIBE_STREAM, Following, LIST_SHARDS, Place, Stream};
use crate::model::Chunk;
use crate::source::SourceError;

/// Reads of a shard before the next one is looked at: empty answers in its middle are normal.
const READS_MAX: u32 = 5;
const READ_INTERVAL: Duration = Duration::from_millis(200);

/// What a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its ARN.
    pub arn: String,
    /// Such as `ACTIVE`.
    pub status: String,
    /// Such as `PROVISIONED`, where the server tells.
    pub mode: Option<String>,
    /// Shards that records are added to.
    pub open_shards: u32,
    /// Shards that can be read.
    pub shards: usize,
    /// How long records are kept.
    pub retention_hours: u32,
    /// Such as `KMS`, where records are encrypted.
    pub encryption: Option<String>,
}

/// Describes a stream and lists its shards.
///
/// # Errors
/// When it cannot be reached, or a permission is missing: the error names it.
pub async fn describe(settings: &Settings) -> Result<Description, SourceError> {
    let stream = Stream::connect(&settings.aws, settings.stream.clone()).await?;
    let found = stream.begin(DESCRIBE_STREAM, async || stream.describe().await).await?;
    let shards = stream.begin(LIST_SHARDS, async || stream.shards(None).await).await?;
    let encryption = found.encryption_type.map(|kind| kind.as_str().to_owned());
    Ok(Description {
        arn: found.stream_arn,
        status: found.stream_status.as_str().to_owned(),
        mode: found.stream_mode_details.map(|mode| mode.stream_mode.as_str().to_owned()),
        open_shards: u32::try_from(found.open_shard_count).unwrap_or(0),
        shards: shards.len(),
        retention_hours: u32::try_from(found.retention_period_hours).unwrap_or(0),
        encryption: encryption.filter(|kind| kind != "NONE"),
    })
}

/// The first records of the first shard that has any; none where no shard has.
///
/// # Errors
/// When the stream cannot be reached, or a permission is missing: the error names it.
pub async fn sample(settings: &Settings, records_max: u32) -> Result<Option<Chunk>, SourceError> {
    let stream = Stream::connect(&settings.aws, settings.stream.clone()).await?;
    let shards = stream.begin(LIST_SHARDS, async || stream.shards(None).await).await?;
    for shard in shards {
        let mut chunker = Chunker::new(shard.id.clone(), shard.hash_keys, settings.framing, Vec::new());
        let begin = async || stream.iterator(&shard.id, Place::Oldest).await;
        let mut iterator = stream.begin("GetShardIterator", begin).await?;
        for _ in 0..READS_MAX {
            let read = async || stream.records(&shard.id, &iterator, records_max.max(1)).await;
            let answer = stream.begin("GetRecords", read).await?;
            let found = chunker.chunks(answer.records).into_iter().find(|chunk| !chunk.bytes.is_empty());
            if found.is_some() {
                return Ok(found);
            }
            match answer.next {
                Following::More(next) if answer.behind_ms > 0 => iterator = next,
                _ => break,
            }
            sleep(READ_INTERVAL).await;
        }
    }
    Ok(None)
}
