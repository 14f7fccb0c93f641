//! Records packed as the Kinesis Producer Library packs them: magic bytes, a protobuf message, its MD5.

use md5::{Digest as _, Md5};
use prost::Message as _;

use super::stream::Put;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];

#[derive(prost::Message)]
struct Aggregated {
    #[prost(string, repeated, tag = "1")]
    partition_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<User>,
}

#[derive(prost::Message)]
struct User {
    #[prost(uint64, required, tag = "1")]
    partition_key_index: u64,
    #[prost(bytes = "vec", required, tag = "3")]
    data: Vec<u8>,
}

/// Packs records into one. All take the first one's key, so that they belong where the packed record goes.
pub(crate) fn pack(records: &[Put]) -> Put {
    let key = records[0].0.clone();
    let user = |(_, data): &Put| User { partition_key_index: 0, data: data.clone() };
    let message = Aggregated { partition_keys: vec![key.clone()], records: records.iter().map(user).collect() };
    let message = message.encode_to_vec();
    let mut packed = MAGIC.to_vec();
    packed.extend_from_slice(&message);
    packed.extend_from_slice(&Md5::digest(&message));
    (key, packed)
}
