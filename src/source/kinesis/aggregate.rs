//! Records that producers packed into one (the Kinesis Producer Library and its kin): unpacked and checked.
//!
//! ```text
//! F3 89 9A C2 | AggregatedRecord (protocol buffers) | MD5 of it, 16 bytes
//! ```
//!
//! What begins with the magic bytes and is not all of that is no packed record and is handed on as it came, as Amazon's
//! client library does.
//!
//! A producer packs records that it believes belong to one shard. Where the stream was split in the meantime some of
//! them do not: their hash key (the explicit one, or else the MD5 of the partition key) lies outside the shard's range.
//! The producer library sees which shard took the packed record and sends those again, to the right shard; so they are
//! dropped here, each on its own, and the others are kept. That is what the client library's documentation promises. Its
//! code goes further and drops all that was packed together as soon as one does not belong; that loses records, because
//! since 2024 the producer library sends only those again that do not belong (before that it sent all again: then those
//! that were kept come twice, which a reader cannot tell from records that are alike).

use std::ops::RangeInclusive;

use bytes::Bytes;
use md5::{Digest, Md5};
use prost::Message;

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_BYTES: usize = 16;

/// The hash keys that belong to a shard.
pub(super) type HashKeys = RangeInclusive<u128>;

/// What one record of the stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unpacked {
    /// Itself.
    Plain(Bytes),
    /// Records that were packed into it and belong to this shard, and how many do not.
    Packed(Vec<Bytes>, u64),
}

/// Takes a record apart.
pub(super) fn unpack(data: Bytes, hash_keys: &HashKeys) -> Unpacked {
    match parse(&data).and_then(|message| belonging(message, hash_keys)) {
        Some((records, strays)) => Unpacked::Packed(records, strays),
        None => Unpacked::Plain(data),
    }
}

fn parse(data: &Bytes) -> Option<AggregatedRecord> {
    if !data.starts_with(&MAGIC) || data.len() <= MAGIC.len() + DIGEST_BYTES {
        return None;
    }
    let message = data.slice(MAGIC.len()..data.len() - DIGEST_BYTES);
    let is_whole = Md5::digest(&message)[..] == data[data.len() - DIGEST_BYTES..];
    is_whole.then(|| AggregatedRecord::decode(message).ok()).flatten()
}

/// The records that belong to the shard, and the number of the others; none where a key is missing.
fn belonging(message: AggregatedRecord, hash_keys: &HashKeys) -> Option<(Vec<Bytes>, u64)> {
    let AggregatedRecord { partition_keys, explicit_hash_keys, records } = message;
    let explicit: Option<Vec<u128>> = explicit_hash_keys.iter().map(|key| key.parse().ok()).collect();
    let (explicit, mut derived) = (explicit?, vec![None; partition_keys.len()]);
    let (mut kept, mut strays) = (Vec::with_capacity(records.len()), 0);
    for record in records {
        let index = usize::try_from(record.partition_key_index).ok()?;
        let partition_key = partition_keys.get(index)?;
        let hash_key = match record.explicit_hash_key_index {
            Some(index) => *explicit.get(usize::try_from(index).ok()?)?,
            None => *derived[index].get_or_insert_with(|| hash_key(partition_key)),
        };
        if hash_keys.contains(&hash_key) {
            kept.push(record.data);
        } else {
            strays += 1;
        }
    }
    Some((kept, strays))
}

/// The hash key of a partition key.
fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

/// The message, as the producer library defines it.
#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_keys: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<UserRecord>,
}

/// One of the packed records; its tags are skipped.
#[derive(Clone, PartialEq, Message)]
struct UserRecord {
    #[prost(uint64, required, tag = "1")]
    partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "bytes", required, tag = "3")]
    data: Bytes,
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: HashKeys = 0..=u128::MAX;

    /// A record as a user gives it: partition key, explicit hash key, data.
    type Given = (String, Option<u128>, Vec<u8>);

    /// Packs records as the producer library does, with tables of the keys.
    pub(in super::super) fn pack(records: &[Given]) -> Bytes {
        let mut message = AggregatedRecord::default();
        for (partition_key, explicit, data) in records {
            let partition_key_index = position(&mut message.partition_keys, partition_key.clone());
            let explicit_hash_key_index =
                explicit.map(|key| position(&mut message.explicit_hash_keys, key.to_string()));
            let data = Bytes::copy_from_slice(data);
            message.records.push(UserRecord { partition_key_index, explicit_hash_key_index, data });
        }
        framed(&message.encode_to_vec())
    }

    fn position(table: &mut Vec<String>, key: String) -> u64 {
        let index = table.iter().position(|known| *known == key).unwrap_or_else(|| {
            table.push(key);
            table.len() - 1
        });
        index as u64
    }

    fn framed(message: &[u8]) -> Bytes {
        Bytes::from([&MAGIC[..], message, &Md5::digest(message)[..]].concat())
    }

    #[test]
    fn a_partition_key_hashes_to_its_md5() {
        // md5("a") = 0cc175b9c0f1b6a831c399e269772661
        assert_eq!(hash_key("a"), 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661);
    }

    #[test]
    fn a_message_is_read_as_the_library_writes_it() {
        // field 1: "a", field 3: { index 0, data "xy", a tag }
        let message = b"\x0a\x01a\x1a\x0c\x08\x00\x1a\x02xy\x22\x04\x0a\x02hi";
        assert_eq!(unpack(framed(message), &ALL), Unpacked::Packed(vec![Bytes::from_static(b"xy")], 0));
    }

    #[test]
    fn what_is_no_packed_record_is_handed_on_as_it_came() {
        let packed = pack(&[("a".into(), None, b"x".to_vec())]);
        let mut wrong_digest = packed.to_vec();
        *wrong_digest.last_mut().unwrap() ^= 1;
        let no_key = AggregatedRecord {
            records: vec![UserRecord { partition_key_index: 7, ..UserRecord::default() }],
            ..AggregatedRecord::default()
        };
        for data in [
            Bytes::new(),
            Bytes::from_static(&MAGIC),
            Bytes::from_static(b"{\"a\":1}"),
            packed.slice(..packed.len() - 1),
            Bytes::from(wrong_digest),
            framed(b"\x0a\xff"),
            framed(&no_key.encode_to_vec()),
        ] {
            assert_eq!(unpack(data.clone(), &ALL), Unpacked::Plain(data));
        }
    }

    #[test]
    fn records_of_another_shard_are_dropped_one_by_one() {
        let packed = pack(&[
            ("a".into(), None, b"derived".to_vec()),
            ("a".into(), Some(5), b"explicit".to_vec()),
            ("a".into(), Some(u128::MAX), b"stray".to_vec()),
        ]);
        let lower_half = 0..=(u128::MAX / 2);
        let kept = vec![Bytes::from_static(b"derived"), Bytes::from_static(b"explicit")];
        assert_eq!(unpack(packed, &lower_half), Unpacked::Packed(kept, 1));
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(
            records in prop::collection::vec(("[a-c]{0,2}", prop::option::of(any::<u128>()), any::<Vec<u8>>()), 1..20),
            split in any::<u128>(),
        ) {
            let key = |(partition_key, explicit, _): &Given| explicit.unwrap_or_else(|| hash_key(partition_key));
            let all: Vec<Bytes> = records.iter().map(|(_, _, data)| Bytes::copy_from_slice(data)).collect();
            prop_assert_eq!(unpack(pack(&records), &ALL), Unpacked::Packed(all, 0));
            let kept: Vec<Bytes> = records
                .iter()
                .filter(|record| key(record) >= split)
                .map(|(_, _, data)| Bytes::copy_from_slice(data))
                .collect();
            let strays = (records.len() - kept.len()) as u64;
            prop_assert_eq!(unpack(pack(&records), &(split..=u128::MAX)), Unpacked::Packed(kept, strays));
        }

        #[test]
        fn a_damaged_record_is_handed_on_as_it_came(
            data in any::<Vec<u8>>(),
            at in any::<prop::sample::Index>(),
            damage in 1..=u8::MAX,
        ) {
            let mut packed = pack(&[("a".into(), Some(1), data)]).to_vec();
            let at = at.index(packed.len());
            packed[at] ^= damage;
            let packed = Bytes::from(packed);
            prop_assert_eq!(unpack(packed.clone(), &ALL), Unpacked::Plain(packed));
        }

        /// Whatever a producer digests, nothing but whole messages is taken apart.
        #[test]
        fn a_message_cut_short_is_no_message(data in prop::collection::vec(any::<u8>(), 1..50), keep in 1..8usize) {
            let packed = pack(&[("a".into(), None, data)]);
            let message = &packed[MAGIC.len()..packed.len() - DIGEST_BYTES];
            let cut = framed(&message[..message.len() - keep.min(message.len() - 4)]);
            prop_assert_eq!(unpack(cut.clone(), &ALL), Unpacked::Plain(cut));
        }
    }
}
