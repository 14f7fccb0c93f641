//! How a bucket is reached and how it keeps its objects. A directory needs none of this.

use crate::aws;

/// An object of more bytes is uploaded in parts of so many: small enough that one is sent again at little cost, large
/// enough that a partition of the usual size is one request.
pub const PART_BYTES: u64 = 16 << 20;
/// The service takes no smaller part but the last.
pub const PART_BYTES_MIN: u64 = 5 << 20;
/// The service takes no larger one.
pub const PART_BYTES_MAX: u64 = 5 << 30;

/// How a bucket is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Region, credentials, endpoint, certificates.
    pub aws: aws::Settings,
    /// How a bucket is named in a request.
    pub addressing: Addressing,
    /// How objects are encrypted at rest.
    pub encryption: Encryption,
    /// A larger object is uploaded in parts of so many bytes.
    pub part_bytes: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            aws: aws::Settings::default(),
            addressing: Addressing::default(),
            encryption: Encryption::default(),
            part_bytes: PART_BYTES,
        }
    }
}

/// How a bucket is named in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// In the path for an endpoint of one's own, and for a name with a dot, which no certificate covers; in the host
    /// name otherwise.
    #[default]
    Usual,
    /// In the path: `https://host/bucket/object`.
    Path,
    /// In the host name: `https://bucket.host/object`.
    Host,
}

/// How objects are encrypted at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket does it by itself.
    #[default]
    BucketDefault,
    /// With keys that the service manages (SSE-S3).
    Aes256,
    /// With a key of the key management service (SSE-KMS).
    Kms {
        /// Its id or ARN; the account's own key for S3, if not given.
        key: Option<String>,
        /// Whether the bucket's data key is used, which saves requests to the key service.
        bucket_key: bool,
    },
}
