//! Ids that a person can read and a program can compare: the same point has the same id in every run, whatever else is
//! found beside it.
//!
//! group: `<measure>-<yyyymmdd>-<hhmm>`, the local start of the interval, with its second where the length is not whole
//! minutes; finding: `<group>-<12 hex digits>`, the upper
//! 48 bits of FNV-1a over the dimension values, each ended by a byte that no UTF-8 text contains.

use crate::model::{Interval, SeriesKey};

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;
const END: u8 = 0xff;

/// Id of the group of a measure in an interval.
pub(super) fn group(measure: &str, interval: Interval) -> String {
    format!("{measure}-{}", interval.stamp())
}

/// Id of the finding of one series in a group.
pub(super) fn finding(group: &str, key: &SeriesKey) -> String {
    let bytes = key.values().flat_map(|value| value.bytes().chain(std::iter::once(END)));
    let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("{group}-{:012x}", hash >> 16)
}
