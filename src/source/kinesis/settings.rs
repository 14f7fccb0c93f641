//! How a stream is read, as checked values.

use std::fmt;
use std::time::Duration;

use crate::model::{Framing, Timestamp};

/// Characters of a stream's name, at most.
const NAME_CHARS_MAX: usize = 128;
const ARN_SCHEME: &str = "arn:";
const KINESIS_SERVICE: &str = "kinesis";
const STREAM_RESOURCE: &str = "stream/";
const CONSUMER_RESOURCE: &str = "/consumer/";

/// Most records that one call gives.
pub const RECORDS_MAX: u32 = 10_000;
/// Idle time between two reads of a shard that has nothing new, unless configured.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The service allows five reads a second and shard.
pub const POLL_INTERVAL_MIN: Duration = Duration::from_millis(200);
/// Bytes of records read and not handed on, unless configured.
pub const BUFFER_BYTES: usize = 64 << 20;
/// How far a shard may run ahead of the slowest, unless configured.
pub const DRIFT_MAX: Duration = Duration::from_secs(600);

/// Which stream is read and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the service is reached.
    pub aws: crate::aws::Settings,
    /// The stream.
    pub stream: StreamName,
    /// Where a job that has read nothing yet begins.
    pub starting_position: StartingPosition,
    /// What a record is.
    pub framing: Framing,
    /// Idle time between two reads of a shard that has nothing new; at least [`POLL_INTERVAL_MIN`].
    pub poll_interval: Duration,
    /// Records that one call gives at most; at most [`RECORDS_MAX`].
    pub records_max: u32,
    /// Enhanced fan-out: who subscribes.
    pub consumer: Option<Consumer>,
    /// About how many bytes of records are held that were read and not handed on, over all shards.
    pub buffer_bytes_max: usize,
    /// How far, in arrival time, a shard may run ahead of the slowest one that is still behind.
    pub drift_max: Duration,
    /// Whether chunks tell the origins of their records.
    pub keeps_origins: bool,
}

impl Settings {
    /// All but the stream as it is unless configured.
    pub fn new(aws: crate::aws::Settings, stream: StreamName) -> Settings {
        Settings {
            aws,
            stream,
            starting_position: StartingPosition::default(),
            framing: Framing::Lines,
            poll_interval: POLL_INTERVAL,
            records_max: RECORDS_MAX,
            consumer: None,
            buffer_bytes_max: BUFFER_BYTES,
            drift_max: DRIFT_MAX,
            keeps_origins: false,
        }
    }
}

/// Where a job that has read nothing yet begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartingPosition {
    /// With the oldest record that is kept.
    #[default]
    TrimHorizon,
    /// With what arrives from now on.
    Latest,
    /// With what arrived at this instant or later.
    AtTimestamp(Timestamp),
}

/// Who subscribes to the shards, with enhanced fan-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// A consumer that is registered, by its ARN.
    Arn(String),
    /// One that is looked up by its name, and registered where it is not there.
    Name(String),
}

impl Consumer {
    /// Reads a consumer's ARN or name.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Consumer, StreamNameError> {
        let error = || StreamNameError(text.to_owned());
        match text.strip_prefix(ARN_SCHEME) {
            Some(_) => {
                let resource = resource_of(text).filter(|resource| resource.contains(CONSUMER_RESOURCE));
                resource.map(|_| Consumer::Arn(text.to_owned())).ok_or_else(error)
            }
            None if is_name(text) => Ok(Consumer::Name(text.to_owned())),
            None => Err(error()),
        }
    }
}

/// A stream's name or ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamName {
    text: String,
    is_arn: bool,
}

/// Text that names no stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither a name nor an ARN; hint: a name has 1 to 128 letters, digits, `_`, `.` or `-`, an ARN looks like \
     `arn:aws:kinesis:eu-central-1:123456789012:stream/orders`"
)]
pub struct StreamNameError(String);

impl StreamName {
    /// Reads a name or an ARN.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<StreamName, StreamNameError> {
        let is_arn = text.starts_with(ARN_SCHEME);
        let name = if is_arn { resource_of(text) } else { Some(text) };
        if name.is_some_and(is_name) {
            Ok(StreamName { text: text.to_owned(), is_arn })
        } else {
            Err(StreamNameError(text.to_owned()))
        }
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name alone, also where the ARN was given.
    pub fn without_account(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or(&self.text)
    }

    /// The name, where it was given by its name.
    pub(super) fn name(&self) -> Option<String> {
        (!self.is_arn).then(|| self.text.clone())
    }

    /// The ARN, where it was given by its ARN.
    pub(super) fn arn(&self) -> Option<String> {
        self.is_arn.then(|| self.text.clone())
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What follows `stream/` in an ARN of the service: `arn:partition:kinesis:region:account:stream/NAME`.
fn resource_of(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, partition, service, region, account, resource] = parts[..] else { return None };
    let is_whole = service == KINESIS_SERVICE && [partition, region, account].iter().all(|part| !part.is_empty());
    resource.strip_prefix(STREAM_RESOURCE).filter(|_| is_whole)
}

fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_name_or_arn() {
        let arn = "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/orders.v2";
        let stream = StreamName::parse(arn).unwrap();
        assert_eq!((stream.name(), stream.arn()), (None, Some(arn.to_owned())));
        let stream = StreamName::parse("orders_v-2").unwrap();
        assert_eq!((stream.name(), stream.arn()), (Some("orders_v-2".to_owned()), None));
        for bad in [
            "",
            "a b",
            "orders/v2",
            &"x".repeat(129),
            "arn:aws:s3:::bucket",
            "arn:aws:kinesis:eu-central-1:123456789012:stream/",
            "arn:aws:kinesis:eu-central-1::stream/orders",
            "arn:aws:kinesis:eu-central-1:123456789012:stream/orders/consumer/x:1",
        ] {
            assert!(StreamName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_consumer_is_named_by_name_or_arn() {
        let arn = "arn:aws:kinesis:eu-central-1:123456789012:stream/orders/consumer/tidewatch:1700000000";
        assert_eq!(Consumer::parse(arn).unwrap(), Consumer::Arn(arn.to_owned()));
        assert_eq!(Consumer::parse("tidewatch").unwrap(), Consumer::Name("tidewatch".to_owned()));
        assert!(Consumer::parse("arn:aws:kinesis:eu-central-1:123456789012:stream/orders").is_err());
        assert!(Consumer::parse("").is_err());
    }
}
