use bytes::Bytes;
use proptest::prelude::*;

use super::records::{assemble, split};
use super::wire::{Outcome, outcomes, request};
use super::*;
use crate::model::{CsvDialect, HookFault, Origin, Origins, Places, Position, SourcePartition};

const FRAMING: Framing = Framing::Lines;

fn chunk(text: &str) -> Chunk {
    let read_to = Position::Offset(100 + text.len() as u64);
    Chunk::of_bytes(SourcePartition::new("a.jsonl"), 100, Bytes::copy_from_slice(text.as_bytes()), read_to)
}

fn surroundings() -> Surroundings {
    Surroundings { framing: FRAMING, record_bytes_max: 50, source: "clicks".into(), now: Now::of(|| Timestamp::MIN) }
}

/// What a hook that answers so makes of a chunk.
fn hooked(text: &str, framing: Framing, outcome: impl Fn(usize) -> Outcome) -> Hooked {
    let chunk = chunk(text);
    let mut after = Vec::new();
    for (at, item) in split(&chunk, framing, 50).iter().enumerate() {
        match &item.state {
            State::Live(_) => item.become_all(outcome(at), &Arc::from("h"), framing, &mut after),
            _ => after.push(item.clone()),
        }
    }
    assemble(chunk, after, &Arc::from("h"))
}

fn data(text: &str) -> Outcome {
    Outcome::Data(Bytes::copy_from_slice(text.as_bytes()))
}

/// Each record that is left with its place.
fn left(chunk: &Chunk) -> Vec<(String, Position)> {
    let text = std::str::from_utf8(&chunk.bytes).unwrap();
    let mut at = 0;
    let mut left = Vec::new();
    for line in text.split_inclusive('\n') {
        if line != "\n" {
            left.push((line.trim_end().to_owned(), chunk.places.at(at)));
        }
        at += line.len() as u64;
    }
    left
}

#[test]
fn the_request_is_that_of_kinesis_analytics() {
    let chunk = chunk("one\n\ntwo\n");
    let items = split(&chunk, FRAMING, 50);
    let all: Vec<&Item> = items.iter().collect();
    let request: serde_json::Value = serde_json::from_slice(&request(&surroundings(), &chunk, &all)).unwrap();
    let record = |id: &str, data: &str, number: &str| {
        serde_json::json!({
            "recordId": id, "data": data, "kinesisStreamRecordMetadata": {
                "shardId": "a.jsonl", "partitionKey": null, "sequenceNumber": number, "approximateArrivalTimestamp": null
            }
        })
    };
    let expected = serde_json::json!({
        "invocationId": "a.jsonl:100", "applicationArn": "tidewatch", "streamArn": "clicks",
        "records": [record("a.jsonl:100", "b25l", "100"), record("a.jsonl:105", "dHdv", "105")]
    });
    assert_eq!(request, expected);
}

#[test]
fn a_record_of_a_stream_is_asked_about_with_its_key_and_its_arrival() {
    let origin = |key: &str, arrival_ms| Origin { partition_key: Some(key.into()), arrival_ms };
    let origins = Origins::new(vec![(100, origin("a", Some(1_700_000_000_123))), (104, origin("b", None))]);
    let chunk = Chunk { origins, ..chunk("one\ntwo\n") };
    let items = split(&chunk, FRAMING, 50);
    // as it is behind an earlier hook that made two of the first
    let mut after = Vec::new();
    for item in &items {
        item.become_all(data("x\ny"), &Arc::from("h"), FRAMING, &mut after);
    }
    let all: Vec<&Item> = after.iter().collect();
    let request: serde_json::Value = serde_json::from_slice(&request(&surroundings(), &chunk, &all)).unwrap();
    let metadata = |at: usize| &request["records"][at]["kinesisStreamRecordMetadata"];
    let told = |at| (metadata(at)["partitionKey"].as_str(), metadata(at)["approximateArrivalTimestamp"].as_i64());
    let (a, b) = ((Some("a"), Some(1_700_000_000_123)), (Some("b"), None));
    assert_eq!([told(0), told(1), told(2), told(3)], [a, a, b, b]);
}

#[test]
fn every_wrong_answer_has_a_name() {
    let chunk = chunk("one\ntwo\n");
    let items = split(&chunk, FRAMING, 50);
    let all: Vec<&Item> = items.iter().collect();
    let read = |records: &str| outcomes(format!("{{\"records\": [{records}]}}").as_bytes(), &all);
    let one = r#"{"recordId": "a.jsonl:100", "result": "Ok", "data": "MQ==", "more": 1}"#;
    let two = |rest: &str| format!("{one}, {{\"recordId\": \"a.jsonl:104\"{rest}}}");
    let second = |rest: &str| read(&two(rest)).unwrap().remove(1);
    assert_eq!(read(&two(r#", "result": "Dropped""#)).unwrap(), [data("1"), Outcome::Dropped]);
    assert_eq!(second(r#", "result": "ProcessingFailed""#), Outcome::Fault(HookFault::ProcessingFailed));
    for wrong in [r#", "result": "Ok", "data": "***""#, r#", "result": "Ok""#, r#", "result": "Ok", "data": "MQ""#] {
        assert_eq!(second(wrong), Outcome::Fault(HookFault::Base64), "{wrong}");
    }
    for wrong in [r#", "result": "ok""#, "", r#", "result": """#] {
        assert!(matches!(second(wrong), Outcome::Fault(HookFault::Result(..))), "{wrong}");
    }
    assert_eq!(read(one).unwrap()[1], Outcome::Fault(HookFault::MissingId));
    assert_eq!(read(&format!("{one}, {one}")).unwrap()[0], Outcome::Fault(HookFault::DoubledId));
    let unknown = r#"{"recordId": "x", "result": "Dropped"}"#;
    assert_eq!(read(&format!("{one}, {unknown}")).unwrap_err(), HookFault::UnknownId("x".into()));
    for (wrong, code) in
        [("hello", "not_json"), ("{\"records\": [", "not_json"), ("", "not_json"), ("{}", "form"), ("[]", "form")]
    {
        let fault = outcomes(wrong.as_bytes(), &all).unwrap_err();
        let found = if matches!(fault, HookFault::NotJson(_)) { "not_json" } else { "form" };
        assert_eq!(found, code, "{wrong}: {fault}");
    }
}

#[test]
fn records_keep_their_places() {
    let long = "x".repeat(51);
    let text = format!("a\r\nbb\n \n{long}\nccc\ndddd");
    let hooked = hooked(&text, FRAMING, |at| match at {
        0 => data("A1\nA2\n"),
        1 => Outcome::Dropped,
        3 => data(""),
        _ => data("D"),
    });
    let at = |offset| Position::Offset(offset);
    let last = 100 + 3 + 3 + 2 + 52 + 4;
    assert_eq!(left(&hooked.chunk), [("A1".into(), at(100)), ("A2".into(), at(101)), ("D".into(), at(last))]);
    let places: Vec<Position> = hooked.dropped.iter().map(|offset| hooked.chunk.places.at(*offset)).collect();
    assert_eq!(places, [at(103), at(160)]);
    assert_eq!(hooked.rejects.len(), 1);
    assert_eq!((hooked.rejects[0].place, hooked.rejects[0].reason.code()), (at(108), "too_long"));
    assert_eq!(hooked.chunk.places.at(hooked.rejects[0].offset), at(108));
    assert_eq!(hooked.chunk.read_to, Position::Offset(100 + text.len() as u64));
}

#[test]
fn a_record_becomes_no_more_than_it_has_bytes() {
    let hooked = hooked("ab\ncd\n", FRAMING, |at| data(if at == 0 { "1\n2\n3" } else { "1\n2\n3\n4" }));
    assert_eq!(left(&hooked.chunk).len(), 3);
    assert_eq!(hooked.rejects[0].reason.code(), "hook_too_many");
    assert_eq!(&hooked.rejects[0].bytes[..], b"cd");
}

#[test]
fn a_quote_that_stays_open_swallows_no_neighbour() {
    let framing = Framing::Csv(CsvDialect::COMMA);
    let hooked = hooked("a,b\nc,d\n", framing, |at| data(if at == 0 { "\"a,b" } else { "\"c\nc\",d" }));
    assert_eq!(hooked.rejects[0].reason.code(), "hook_open_quote");
    assert_eq!(&hooked.chunk.bytes[..], b"\n\"c\nc\",d\n");
}

#[test]
fn batches_are_bounded_by_records_and_bytes() {
    let big = "x".repeat(2 << 20);
    let chunk = chunk(&format!("{big}\n{big}\na\nb\nc\n"));
    let items = split(&chunk, FRAMING, 10 << 20);
    let sizes = |max| batches(&items, max).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(500), [1, 4]);
    assert_eq!(sizes(2), [1, 2, 2]);
}

#[test]
fn secrets_are_not_shown() {
    let header = Header { name: "Authorization".into(), value: "secret".into() };
    assert_eq!(format!("{header:?}"), "Authorization: ***");
    let url = |url: &str| Target::Url { url: url.to_owned(), headers: Vec::new() }.place();
    assert_eq!(url("https://user:pw@host:8080/x"), "https://host:8080");
    assert_eq!(url("https://host?key=s"), "https://host");
    assert_eq!(Target::Command(["clean", "--token", "s"].map(str::to_owned).to_vec()).place(), "`clean`");
}

proptest! {
    /// Whatever comes back, nothing panics, and each record that was asked about has one outcome.
    #[test]
    fn any_answer_is_read(answer in "(\\{|\\}|\\[|\\]|\"|records|recordId|result|:|,|Ok|a.jsonl:100|.){0,30}") {
        let chunk = chunk("one\ntwo\n");
        let items = split(&chunk, FRAMING, 50);
        let all: Vec<&Item> = items.iter().collect();
        if let Ok(outcomes) = outcomes(answer.as_bytes(), &all) {
            prop_assert_eq!(outcomes.len(), 2);
        }
    }

    /// Every record is accounted for, in the order of the source, each at a place of its own.
    #[test]
    fn every_record_is_accounted_for(
        text in "[ab\n]{0,40}",
        kinds in prop::collection::vec(0..5_usize, 40),
    ) {
        let outcome = |at: usize| match kinds[at] {
            0 => Outcome::Dropped,
            1 => Outcome::Fault(HookFault::ProcessingFailed),
            2 => data("x\ny\n"),
            3 => data("\n \n"),
            _ => data("z"),
        };
        // a record of one byte that nothing ends cannot become two
        let text = format!("{text}\n");
        let asked = split(&chunk(&text), FRAMING, 50).len();
        let hooked = hooked(&text, FRAMING, outcome);
        let left = left(&hooked.chunk);
        let doubled = kinds[..asked].iter().filter(|kind| **kind == 2).count();
        prop_assert_eq!(left.len() + hooked.rejects.len() + hooked.dropped.len(), asked + doubled);
        prop_assert!(left.windows(2).all(|pair| pair[0].1 < pair[1].1), "{left:?}");
        if asked > 0 {
            prop_assert!(matches!(hooked.chunk.places, Places::Mapped(_)));
            prop_assert!(left.iter().all(|(_, place)| *place < hooked.chunk.read_to));
        }
    }
}
