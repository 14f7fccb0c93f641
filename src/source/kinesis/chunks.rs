//! Records of a shard, as the service gives them, become chunks of lines with a place for each.
//!
//! A chunk ends behind a whole record of the stream. One of no bytes only moves its shard's position: its records were
//! blank or belong to other shards.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr;

use super::aggregate::{HashKeys, Unpacked, unpack};
use super::lines;
use crate::model::{Chunk, Framing, Origin, Origins, Places, Position, SequenceNumber, SourcePartition};

/// About how many bytes one chunk has.
const CHUNK_BYTES: usize = 1 << 20;

/// A record of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) sequence: SequenceNumber,
    pub(super) data: Bytes,
    pub(super) partition_key: Option<String>,
    pub(super) arrival_ms: Option<i64>,
}

/// Makes chunks of one shard's records.
#[derive(Clone, Debug)]
pub(super) struct Chunker {
    shard: SourcePartition,
    hash_keys: HashKeys,
    framing: Framing,
    /// Records that chunks must end behind, ascending.
    cuts: VecDeque<SequenceNumber>,
    keeps_origins: bool,
    strays: u64,
    open: Open,
}

/// The chunk that is being filled.
#[derive(Clone, Debug, Default)]
struct Open {
    bytes: Vec<u8>,
    places: Vec<(u64, SequenceNumber)>,
    origins: Vec<(u64, Origin)>,
    last: Option<SequenceNumber>,
}

impl Chunker {
    /// Chunks end behind each of `cuts`.
    pub(super) fn new(
        shard: SourcePartition,
        hash_keys: HashKeys,
        framing: Framing,
        mut cuts: Vec<SequenceNumber>,
    ) -> Chunker {
        cuts.sort_unstable();
        let (cuts, keeps_origins, open) = (cuts.into(), false, Open::default());
        Chunker { shard, hash_keys, framing, cuts, keeps_origins, strays: 0, open }
    }

    /// The same with the origins of the records, where they are wanted. What was packed into a record of the stream has that
    /// record's.
    pub(super) fn keeping_origins(self, keeps_origins: bool) -> Chunker {
        Chunker { keeps_origins, ..self }
    }

    /// The chunks that hold these records.
    pub(super) fn chunks(&mut self, records: impl IntoIterator<Item = Record>) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        for Record { sequence, data, partition_key, arrival_ms } in records {
            let is_past_cut = self.cuts.front().is_some_and(|cut| *cut < sequence);
            while self.cuts.front().is_some_and(|cut| *cut < sequence) {
                self.cuts.pop_front();
            }
            let lines = self.lines(data);
            let stands_alone = !self.is_whole(&lines);
            if is_past_cut || stands_alone || self.open.bytes.len() + lines.len() > CHUNK_BYTES {
                chunks.extend(self.finish());
            }
            let origin = || Origin { partition_key: partition_key.map(Arc::from), arrival_ms };
            self.open.push(sequence, &lines, self.keeps_origins.then(origin));
            if stands_alone {
                chunks.extend(self.finish());
            }
        }
        chunks.extend(self.finish());
        chunks
    }

    /// The end of the shard: a chunk of no bytes.
    pub(super) fn end(&self, successors: Vec<SourcePartition>) -> Chunk {
        end(self.shard.clone(), successors)
    }

    /// How many packed records belonged to other shards since this was last asked.
    pub(super) fn take_strays(&mut self) -> u64 {
        mem::take(&mut self.strays)
    }

    /// What a record holds, each line with its newline.
    fn lines(&mut self, data: Bytes) -> Vec<u8> {
        let mut lines = Vec::with_capacity(data.len() + 1);
        match unpack(data, &self.hash_keys) {
            Unpacked::Plain(data) => self.append(&mut lines, &data),
            Unpacked::Packed(records, strays) => {
                self.strays += strays;
                for record in records {
                    self.append(&mut lines, &record);
                }
            }
        }
        lines
    }

    fn append(&self, lines: &mut Vec<u8>, record: &[u8]) {
        match self.framing {
            Framing::Lines => lines::append(lines, record),
            Framing::Csv(_) if record.trim_ascii().is_empty() => {}
            Framing::Csv(_) => {
                lines.extend_from_slice(record);
                if record.last() != Some(&b'\n') {
                    lines.push(b'\n');
                }
            }
        }
    }

    /// Whether lines end where a record ends: after an open quote they do not.
    fn is_whole(&self, lines: &[u8]) -> bool {
        match self.framing {
            Framing::Lines => true,
            Framing::Csv(dialect) => {
                lines.is_empty()
                    || dialect.quote().is_none_or(|quote| memchr(quote, lines).is_none())
                    || self.framing.last_end(lines, lines.len()) == Some(lines.len())
            }
        }
    }

    fn finish(&mut self) -> Option<Chunk> {
        let Open { bytes, places, origins, last } = mem::take(&mut self.open);
        let (read_to, places, origins) =
            (Position::after(last?), Places::Records(places.into()), Origins::new(origins));
        Some(Chunk { bytes: bytes.into(), places, origins, read_to, ..self.end(Vec::new()) })
    }
}

impl Open {
    fn push(&mut self, sequence: SequenceNumber, lines: &[u8], origin: Option<Origin>) {
        if !lines.is_empty() {
            self.origins.extend(origin.map(|origin| (self.bytes.len() as u64, origin)));
            self.places.push((self.bytes.len() as u64, sequence));
            self.bytes.extend_from_slice(lines);
        }
        self.last = Some(sequence);
    }
}

/// The end of a shard: a chunk of no bytes.
pub(super) fn end(shard: SourcePartition, successors: Vec<SourcePartition>) -> Chunk {
    Chunk {
        partition: shard,
        header: None,
        offset: 0,
        places: Places::Records(Arc::from([])),
        bytes: Bytes::new(),
        origins: Origins::default(),
        read_to: Position::End,
        successors,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::aggregate::tests::pack;
    use super::*;
    use crate::model::CsvDialect;

    fn number(number: u64) -> SequenceNumber {
        number.to_string().parse().unwrap()
    }

    fn chunker(framing: Framing, cuts: &[u64]) -> Chunker {
        let cuts = cuts.iter().map(|cut| number(*cut)).collect();
        Chunker::new(SourcePartition::new("shardId-000000000000"), 0..=u128::MAX, framing, cuts)
    }

    fn record(at: u64, data: Bytes) -> Record {
        let (partition_key, arrival_ms) = (Some(format!("key-{at}")), i64::try_from(at).ok());
        Record { sequence: number(at), data, partition_key, arrival_ms }
    }

    fn records(data: &[&str]) -> Vec<Record> {
        (1..).zip(data).map(|(at, data)| record(at, Bytes::from(data.to_string()))).collect()
    }

    /// Text and last record of each chunk.
    fn texts(chunks: &[Chunk]) -> Vec<(String, Position)> {
        chunks.iter().map(|chunk| (String::from_utf8(chunk.bytes.to_vec()).unwrap(), chunk.read_to)).collect()
    }

    #[test]
    fn each_record_ends_with_a_newline_and_has_its_place() {
        let chunks = chunker(Framing::Lines, &[]).chunks(records(&["{\"a\":1}", "", "{\"b\":2}\n{\"c\":3}\n"]));
        assert_eq!(texts(&chunks), [("{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n".to_owned(), Position::after(number(3)))]);
        let place = |offset| chunks[0].places.at(offset);
        assert_eq!(place(0), Position::Record { sequence: number(1), byte: 0 });
        assert_eq!(place(8), Position::Record { sequence: number(3), byte: 0 });
        assert_eq!(place(16), Position::Record { sequence: number(3), byte: 8 });
        assert_eq!(chunks[0].offset, 0);
    }

    #[test]
    fn records_tell_their_origin_where_it_is_wanted() {
        let records = || records(&["{\"a\":1}", "", "{\"b\":2}\n{\"c\":3}\n"]);
        let chunks = chunker(Framing::Lines, &[]).keeping_origins(true).chunks(records());
        let origin =
            |offset| chunks[0].origins.at(offset).map(|origin| (origin.partition_key.as_deref(), origin.arrival_ms));
        assert_eq!(
            [origin(0), origin(8), origin(16)],
            [("key-1", 1), ("key-3", 3), ("key-3", 3)].map(|(key, at)| Some((Some(key), Some(at))))
        );
        assert_eq!(chunker(Framing::Lines, &[]).chunks(records())[0].origins, Origins::default());
    }

    #[test]
    fn blank_records_move_the_position() {
        let chunks = chunker(Framing::Lines, &[]).chunks(records(&["", " \n"]));
        assert_eq!(texts(&chunks), [(String::new(), Position::after(number(2)))]);
        assert_eq!(chunker(Framing::Lines, &[]).chunks(records(&[])), []);
    }

    #[test]
    fn chunks_end_behind_every_cut() {
        let mut chunker = chunker(Framing::Lines, &[4, 1]);
        let ends = |chunks: Vec<Chunk>| chunks.iter().map(|chunk| chunk.read_to).collect::<Vec<_>>();
        assert_eq!(
            ends(chunker.chunks(records(&["1", "2", "3", "4", "5"]))),
            [1, 4, 5].map(|sequence| Position::after(number(sequence)))
        );
    }

    #[test]
    fn an_open_quote_keeps_to_itself() {
        let framing = Framing::Csv(CsvDialect::COMMA);
        let chunks = chunker(framing, &[]).chunks(records(&["1,\"a\nb\"", "2,x", "3,\"open", "4,\"y\"", "5,z"]));
        let text: Vec<String> = texts(&chunks).into_iter().map(|(text, _)| text).collect();
        assert_eq!(text, ["1,\"a\nb\"\n2,x\n", "3,\"open\n", "4,\"y\"\n5,z\n"]);
    }

    #[test]
    fn packed_records_count_their_bytes_from_the_record_that_holds_them() {
        let packed = pack(&[("a".into(), None, b"{\"a\":1}".to_vec()), ("a".into(), None, b"{\"b\":2}".to_vec())]);
        let mut chunker = chunker(Framing::Lines, &[]);
        let chunks = chunker.chunks([record(9, packed.clone())]);
        assert_eq!(texts(&chunks), [("{\"a\":1}\n{\"b\":2}\n".to_owned(), Position::after(number(9)))]);
        assert_eq!(chunks[0].places.at(8), Position::Record { sequence: number(9), byte: 8 });
        chunker.hash_keys = 0..=0;
        assert_eq!(texts(&chunker.chunks([record(10, packed)]))[0].0, "");
        assert_eq!((chunker.take_strays(), chunker.take_strays()), (2, 0));
    }

    proptest! {
        /// However the records come in answers, and wherever chunks end, each line keeps its place.
        #[test]
        fn places_do_not_depend_on_answers_and_cuts(
            sizes in prop::collection::vec(0..700_000usize, 1..12),
            answers in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
            cuts in prop::collection::vec(1..12u64, 0..4),
        ) {
            let data: Vec<String> = sizes.iter().map(|size| "x".repeat(*size)).collect();
            let all = records(&data.iter().map(String::as_str).collect::<Vec<_>>());
            let whole = |chunks: &[Chunk]| -> Vec<(Position, usize)> {
                let lines = |chunk: &Chunk| {
                    let mut at = 0;
                    let mut lines = Vec::new();
                    for line in chunk.bytes.split_inclusive(|byte| *byte == b'\n') {
                        lines.push((chunk.places.at(at), line.len()));
                        at += line.len() as u64;
                    }
                    lines
                };
                chunks.iter().flat_map(lines).collect()
            };
            let expected = whole(&chunker(Framing::Lines, &[]).chunks(all.clone()));
            let mut chunker = chunker(Framing::Lines, &cuts);
            let mut ends: Vec<usize> = answers.iter().map(|at| at.index(all.len())).chain([all.len()]).collect();
            ends.sort_unstable();
            let (mut chunks, mut from) = (Vec::new(), 0);
            for to in ends {
                chunks.extend(chunker.chunks(all[from..to].to_vec()));
                from = to;
            }
            prop_assert_eq!(whole(&chunks), expected);
            for cut in cuts.into_iter().filter(|cut| *cut <= all.len() as u64) {
                prop_assert!(chunks.iter().any(|chunk| chunk.read_to == Position::after(number(cut))));
            }
            prop_assert!(chunks.iter().all(|chunk| chunk.bytes.len() <= CHUNK_BYTES));
        }
    }
}
