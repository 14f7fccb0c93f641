use proptest::prelude::*;

use super::*;
use crate::model::CsvDialect;

/// Gives pieces of at most so many bytes.
struct Text<'a> {
    rest: &'a [u8],
    piece: usize,
    at_end: Filled,
}

impl Fill for Text<'_> {
    fn fill(&mut self, buffer: &mut Vec<u8>, want: usize) -> io::Result<Filled> {
        if self.rest.is_empty() {
            return Ok(self.at_end);
        }
        let (piece, rest) = self.rest.split_at(want.min(self.piece).min(self.rest.len()));
        buffer.extend_from_slice(piece);
        self.rest = rest;
        Ok(Filled::Some)
    }
}

fn settings(framing: Framing, chunk_bytes: usize, record_bytes_max: usize) -> CutSettings {
    CutSettings { framing, chunk_bytes, record_bytes_max }
}

fn text(rest: &[u8], piece: usize, at_end: Filled) -> Text<'_> {
    Text { rest, piece, at_end }
}

fn cuts(cutter: &mut Cutter, input: &mut Text<'_>, stop: Option<u64>) -> Vec<(u64, String, u64, bool)> {
    let mut cuts = Vec::new();
    while let Some(cut) = cutter.next(input, stop).unwrap() {
        cuts.push((cut.offset, String::from_utf8_lossy(&cut.bytes).into_owned(), cut.end, cut.last));
    }
    cuts
}

#[test]
fn runs_end_with_records_and_the_last_is_known() {
    let mut cutter = Cutter::new(settings(Framing::Lines, 8, 100), 0);
    let found = cuts(&mut cutter, &mut text(b"aa\nbb\ncc\ndd\ne", 100, Filled::End), None);
    let expected = [(0, "aa\nbb\n".to_owned(), 6, false), (6, "cc\ndd\ne".to_owned(), 13, true)];
    assert_eq!(found, expected);
}

#[test]
fn an_unfinished_line_waits_where_more_may_come() {
    let mut cutter = Cutter::new(settings(Framing::Lines, 8, 100), 0);
    let found = cuts(&mut cutter, &mut text(b"aa\nb", 100, Filled::Pause), None);
    assert_eq!(found, [(0, "aa\n".to_owned(), 3, false)]);
    assert_eq!((cutter.offset(), cutter.filled()), (3, 4));
}

#[test]
fn a_stop_ends_a_run_even_within_a_line() {
    let mut cutter = Cutter::new(settings(Framing::Lines, 100, 100), 0);
    let mut input = text(b"aa\nbb\ncc\n", 100, Filled::End);
    assert_eq!(cuts(&mut cutter, &mut input, Some(4)), [(0, "aa\nb".to_owned(), 4, true)]);
    assert_eq!(cuts(&mut cutter, &mut input, None), [(4, "b\ncc\n".to_owned(), 9, true)]);
}

#[test]
fn a_record_that_is_too_long_is_shortened_and_the_next_keeps_its_offset() {
    for piece in [1, 2, 5, 100] {
        let mut cutter = Cutter::new(settings(Framing::Lines, 8, 4), 0);
        let found = cuts(&mut cutter, &mut text(b"a\n0123456789\nb\n0123456789", piece, Filled::End), None);
        let long = |offset, end, last| (offset, "01234".to_owned(), end, last);
        let whole: Vec<_> = found.iter().filter(|cut| cut.1.starts_with('0')).cloned().collect();
        assert_eq!(whole, [long(2, 13, false), long(15, 25, true)], "pieces of {piece}");
        assert_eq!(found.len(), 4);
    }
}

#[test]
fn a_record_that_is_too_long_waits_for_its_end_where_more_may_come() {
    let mut cutter = Cutter::new(settings(Framing::Lines, 8, 4), 0);
    assert!(cuts(&mut cutter, &mut text(b"0123456789", 3, Filled::Pause), None).is_empty());
    assert_eq!(cutter.offset(), 0);
}

#[test]
fn a_header_is_not_among_the_records() {
    let framing = Framing::Csv(CsvDialect::COMMA);
    let mut cutter = Cutter::new(settings(framing, 8, 100), 0);
    let mut input = text(b"a,\"b\nc\"\n1,2\n", 3, Filled::End);
    assert_eq!(cutter.header(&mut input).unwrap().as_deref(), Some(b"a,\"b\nc\"\n".as_slice()));
    assert_eq!(cuts(&mut cutter, &mut input, None), [(8, "1,2\n".to_owned(), 12, true)]);
    assert_eq!(Cutter::new(settings(framing, 8, 100), 0).header(&mut text(b"a,b", 3, Filled::Pause)).unwrap(), None);
    assert!(Cutter::new(settings(framing, 8, 2), 0).header(&mut text(b"a,bc\n", 3, Filled::End)).is_err());
}

proptest! {
    /// However the bytes come and whatever the sizes, the runs lie end to end, each but the last ends with a record,
    /// and only shortened records are missing bytes.
    #[test]
    fn runs_lie_end_to_end(
        bytes in "[a\"\n,]{0,120}",
        csv: bool,
        chunk_bytes in 1_usize..40,
        record_bytes_max in 1_usize..30,
        piece in 1_usize..40,
        stop in 0_u64..130,
        begin in 0_usize..120,
    ) {
        let framing = if csv { Framing::Csv(CsvDialect::COMMA) } else { Framing::Lines };
        let all = bytes.as_bytes();
        // begin after some record
        let begin = framing.last_end(&all[..begin.min(all.len())], record_bytes_max).unwrap_or(0);
        let stop = stop.clamp(begin as u64, all.len() as u64);
        let mut cutter = Cutter::new(settings(framing, chunk_bytes, record_bytes_max), begin as u64);
        let mut input = text(&all[begin..], piece, Filled::End);
        let mut at = begin as u64;
        for segment in [Some(stop), None] {
            while let Some(cut) = cutter.next(&mut input, segment).unwrap() {
                prop_assert_eq!(cut.offset, at);
                prop_assert!(!cut.bytes.is_empty());
                let from = usize::try_from(at).unwrap();
                let end = usize::try_from(cut.end).unwrap();
                prop_assert!(all[from..end].starts_with(&cut.bytes));
                prop_assert!(segment.is_none() || cut.end <= stop);
                if cut.bytes.len() < end - from {
                    prop_assert_eq!(cut.bytes.len(), record_bytes_max + 1);
                } else {
                    prop_assert!(cut.bytes.ends_with(b"\n") || cut.last);
                }
                at = cut.end;
            }
            prop_assert_eq!(at, if segment.is_some() { stop } else { all.len() as u64 });
        }
    }
}
