//! Rows survive the way to objects and back; a commit repeated changes nothing; other rows are refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use chrono::NaiveDate;

use super::*;
use crate::model::{
    Closing, Columns, Format, Held, Interval, Length, MeasureType, Packed, Position, Reason, Reject, Rows,
    SourcePartition, Tally, Timestamp,
};
use crate::store::{self, Store, StoreError, Watch};

fn columns() -> Columns {
    Columns {
        dimensions: vec!["shop".into()],
        timestamp: "at".into(),
        keep: vec!["note".into()],
        measures: vec![("views".into(), MeasureType::Integer), ("revenue".into(), MeasureType::Float)],
    }
}

/// `(shop, note, views, revenue)`.
type Line = (&'static str, &'static str, Option<i64>, Option<f64>);

/// Rows of one interval, one second apart.
fn rows(start_s: i64, lines: &[Line]) -> Rows {
    let text = |f: fn(&Line) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(lines.iter().map(f))) };
    let times: Vec<_> =
        (0..lines.len() as i64).map(|i| Timestamp::from_micros((start_s + i) * 1_000_000).unwrap()).collect();
    let arrays: Vec<ArrayRef> = vec![
        text(|line| line.0.to_owned()),
        Arc::new(StringArray::from_iter_values(times.iter().map(ToString::to_string))),
        text(|line| line.1.to_owned()),
        Arc::new(Int64Array::from_iter(lines.iter().map(|line| line.2))),
        Arc::new(Float64Array::from_iter(lines.iter().map(|line| line.3))),
    ];
    let batch = RecordBatch::try_new(columns().schema(), arrays).unwrap();
    Rows::new(batch, times, (0..lines.len() as u64).collect()).unwrap()
}

/// The same rows, further on in their source partition.
fn further(rows: Rows, by: u64) -> Rows {
    let offsets = rows.offsets().iter().map(|offset| offset + by).collect();
    Rows::new(rows.batch().clone(), rows.times().to_vec(), offsets).unwrap()
}

fn held(rows: Vec<Rows>) -> Held {
    let mut held = Held::default();
    rows.into_iter().for_each(|rows| held.add(SourcePartition::new("file"), rows));
    held
}

fn interval(start_s: i64) -> Interval {
    Interval::containing(start_s * 1_000_000, Length::from_seconds(300).unwrap())
}

fn closing(sequence: u64, start_s: i64, lines: &[Line]) -> Closing {
    Closing {
        sequence,
        interval: interval(start_s),
        complete: true,
        rows: held(vec![rows(start_s, lines)]),
        late: BTreeMap::new(),
        rejects: Vec::new(),
        tally: Tally { written: lines.len() as u64, ..Tally::default() },
    }
}

const LINES: [Line; 3] = [
    ("a", "plain", Some(1), Some(0.1 + 0.2)),
    ("b,\"c\"", "line\nbreak", None, Some(1e-300)),
    ("", "", Some(-7), None),
];

async fn names(store: &Store) -> Vec<String> {
    store.list("").await.unwrap().into_iter().map(|entry| entry.name).collect()
}

async fn list(reader: &Reader) -> Vec<Listed> {
    reader.list(NaiveDate::MIN, NaiveDate::MAX).await.unwrap()
}

async fn read(reader: &Reader, listed: &Listed) -> Result<Option<Content>, ReadError> {
    reader.read(listed).await?.map(|objects| reader.content(objects)).transpose()
}

#[tokio::test]
async fn csv_is_quoted_where_needed_and_numbers_are_exact() {
    let store = Store::in_memory();
    Writer::new(store.clone(), columns(), Format::Csv, 1 << 20).commit(&closing(1, 600, &LINES)).await.unwrap();
    let part = "data/intvl_date=1970-01-01/intvl_hhmm=0010/part-r0000-00000.csv";
    assert_eq!(names(&store).await, ["data/intvl_date=1970-01-01/intvl_hhmm=0010/_manifest-r0000.json", part]);
    let text = store.get(part).await.unwrap().unwrap();
    assert_eq!(
        std::str::from_utf8(&text).unwrap(),
        "shop,at,note,views,revenue\n\
         a,1970-01-01T00:10:00Z,plain,1,0.30000000000000004\n\
         \"b,\"\"c\"\"\",1970-01-01T00:10:01Z,\"line\nbreak\",,1e-300\n\
         ,1970-01-01T00:10:02Z,,-7,\n"
    );
    let reader = Reader::new(store, columns(), Length::from_seconds(300).unwrap(), Tree::Ours);
    let listed = list(&reader).await;
    assert!(listed[0].committed);
    let Some(Content::Chunks(chunks)) = read(&reader, &listed[0]).await.unwrap() else { panic!("csv comes as chunks") };
    assert_eq!(chunks[0].header.as_deref(), Some(&b"shop,at,note,views,revenue\n"[..]));
}

#[tokio::test]
async fn parquet_rows_survive() {
    let store = Store::in_memory();
    Writer::new(store.clone(), columns(), Format::Parquet, 1 << 20).commit(&closing(1, 600, &LINES)).await.unwrap();
    let reader = Reader::new(store, columns(), Length::from_seconds(300).unwrap(), Tree::Ours);
    let Some(Content::Rows(back)) = read(&reader, &list(&reader).await[0]).await.unwrap() else {
        panic!("parquet is rows")
    };
    let written = rows(600, &LINES);
    assert_eq!(back[0].times(), written.times());
    for column in [0, 2, 3, 4] {
        assert_eq!(back[0].batch().column(column), written.batch().column(column));
    }
}

#[test]
fn parquet_bytes_do_not_depend_on_what_else_a_batch_had() {
    // pages of a column that may have gaps end elsewhere, some twenty thousand rows in
    let mut lines: Vec<Line> = (0..30_000).map(|row| ("a", "", Some(row), Some(row as f64 / 3.0))).collect();
    lines.push(("a", "", None, None));
    let slice = rows(0, &lines).sliced(0..30_000);
    let packed = Packed::of(&slice).unwrap().unpacked().unwrap();
    let bytes = |rows: &Rows| {
        let parts = encode::encode(std::iter::once(rows), &columns(), Format::Parquet, 1 << 30).unwrap();
        parts.into_iter().map(|part| part.bytes).collect::<Vec<_>>()
    };
    assert_eq!(slice, packed);
    assert!(bytes(&slice) == bytes(&packed));
}

#[tokio::test]
async fn a_repeated_commit_changes_nothing() {
    let store = Store::in_memory();
    let writer = Writer::new(store.clone(), columns(), Format::Csv, 1 << 20);
    writer.commit(&closing(1, 600, &LINES)).await.unwrap();
    let before = names(&store).await;
    assert!(!writer.commit(&closing(1, 600, &LINES)).await.unwrap().adopted);
    assert_eq!(names(&store).await, before);
}

#[tokio::test]
async fn rows_read_in_another_order_are_neither_lost_nor_doubled() {
    let store = Store::in_memory();
    let writer = Writer::new(store.clone(), columns(), Format::Csv, 1 << 20);
    // committed with the first two rows, then the job was stopped; now all three come in time
    writer.commit(&closing(1, 600, &LINES[..2])).await.unwrap();
    let again = writer.commit(&closing(1, 600, &LINES)).await.unwrap();
    assert!(again.adopted);
    // and the other way round: rows that were committed as in time come late
    let mut late = closing(2, 900, &LINES[..1]);
    late.late.insert(interval(600), held(vec![rows(600, &LINES)]));
    writer.commit(&late).await.unwrap();
    let mut lines = Vec::new();
    for name in names(&store).await.iter().filter(|name| name.contains("hhmm=0010/part")) {
        let text = store.get(name).await.unwrap().unwrap();
        lines.extend(std::str::from_utf8(&text).unwrap().replace("line\nbreak", "").lines().skip(1).map(str::to_owned));
    }
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[tokio::test]
async fn a_job_that_began_anew_leaves_what_is_committed_alone() {
    let store = Store::in_memory();
    let writer = Writer::new(store.clone(), columns(), Format::Csv, 1 << 20);
    writer.commit(&closing(1, 600, &LINES)).await.unwrap();
    let other = |line: usize| {
        let part = held_of("other", rows(600, &LINES[line..=line]));
        let mut late = closing(2, 900, &LINES[..1]);
        late.late.insert(interval(600), part);
        late.rejects = vec![Reject {
            partition: SourcePartition::new("other"),
            offset: line as u64,
            place: Position::Offset(line as u64),
            bytes: Bytes::new(),
            reason: Reason::Missing("at".into()),
        }];
        late
    };
    // the same sequence number twice, with other rows: a state that was removed in between
    writer.commit(&other(0)).await.unwrap();
    let before = store.get("data/intvl_date=1970-01-01/intvl_hhmm=0010/part-r0001-00000.csv").await.unwrap();
    let mut again = other(1);
    again.late.values_mut().for_each(|held| *held = held_of("another", rows(600, &LINES[1..2])));
    writer.commit(&again).await.unwrap();
    let names = names(&store).await;
    assert!(names.iter().any(|name| name.ends_with("part-r0002-00000.csv")), "{names:?}");
    assert_eq!(names.iter().filter(|name| name.contains("rejects-00000002-0")).count(), 2, "{names:?}");
    assert_eq!(store.get("data/intvl_date=1970-01-01/intvl_hhmm=0010/part-r0001-00000.csv").await.unwrap(), before);
}

fn held_of(partition: &str, rows: Rows) -> Held {
    let mut held = Held::default();
    held.add(SourcePartition::new(partition), rows);
    held
}

const FOLDER: &str = "data/intvl_date=1970-01-01/intvl_hhmm=0010";

#[tokio::test]
async fn a_part_is_never_overwritten_and_what_no_manifest_names_goes() {
    let store = Store::in_memory();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for name in ["part-r0000-00000.csv", "part-r0000-00007.csv", "part-r0000-00000-c1.csv", "part-r0001-00000.csv"] {
        store.put(&format!("{FOLDER}/{name}"), Bytes::from_static(b"of a job that was stopped")).await.unwrap();
    }
    let watched = store.clone().watched(Arc::new(Writes(Arc::clone(&seen))));
    Writer::new(watched, columns(), Format::Csv, 1 << 20).commit(&closing(1, 600, &LINES)).await.unwrap();
    let there = names(&store).await;
    let there: Vec<_> = there.iter().filter_map(|name| name.strip_prefix(FOLDER)).collect();
    // revision 1 has no manifest: whoever writes it may still name its part
    assert_eq!(there, ["/_manifest-r0000.json", "/part-r0000-00000-c2.csv", "/part-r0001-00000.csv"]);
    assert_eq!(seen.lock().unwrap().len(), 4, "three attempts and the manifest: {seen:?}");
    let reader = Reader::new(store.clone(), columns(), Length::from_seconds(300).unwrap(), Tree::Ours);
    let Some(Content::Chunks(chunks)) = read(&reader, &list(&reader).await[0]).await.unwrap() else { panic!("chunks") };
    assert!(chunks.len() == 1 && chunks[0].bytes.starts_with(b"a,1970"));
    // killed between its commit and its tidying: the repeated commit tidies
    store.put(&format!("{FOLDER}/part-r0000-00001.csv"), Bytes::from_static(b"left over")).await.unwrap();
    Writer::new(store.clone(), columns(), Format::Csv, 1 << 20).commit(&closing(1, 600, &LINES)).await.unwrap();
    assert_eq!(names(&store).await.len(), 3);
}

struct Writes(Arc<Mutex<Vec<String>>>);

impl Watch for Writes {
    fn before_write(&self, name: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap().push(name.to_owned());
        Ok(())
    }

    fn after_write(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Another job commits the same interval with other rows just before this one's manifest.
struct Overtaker(Store);

impl Watch for Overtaker {
    fn before_write(&self, name: &str) -> Result<(), StoreError> {
        if name.contains("_manifest") {
            let writer = Writer::new(self.0.clone(), columns(), Format::Csv, 1 << 20);
            let commit = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(writer.commit(&closing(9, 600, &LINES[..1]))).unwrap();
            };
            std::thread::spawn(commit).join().unwrap();
        }
        Ok(())
    }

    fn after_write(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::test]
async fn who_is_overtaken_leaves_the_other_ones_commit_whole() {
    let store = Store::in_memory();
    let slow = store.clone().watched(Arc::new(Overtaker(store.clone())));
    let error = Writer::new(slow, columns(), Format::Csv, 1 << 20).commit(&closing(1, 600, &LINES)).await.unwrap_err();
    assert!(matches!(error, CommitError::Overtaken { .. }), "{error}");
    let there = names(&store).await;
    assert_eq!(there.len(), 2, "the parts of the slower one are gone: {there:?}");
    let reader = Reader::new(store.clone(), columns(), Length::from_seconds(300).unwrap(), Tree::Ours);
    let Some(Content::Chunks(chunks)) = read(&reader, &list(&reader).await[0]).await.unwrap() else { panic!("chunks") };
    assert_eq!(chunks[0].bytes.iter().filter(|byte| **byte == b'\n').count(), 1, "the faster one's only row");
}

#[tokio::test]
async fn late_rows_make_one_revision_per_closing_and_are_not_among_what_came_in_time() {
    let store = Store::in_memory();
    let writer = Writer::new(store.clone(), columns(), Format::Csv, 1 << 20);
    writer.commit(&closing(1, 600, &LINES)).await.unwrap();
    // the last closing twice: its rows are there already
    for (sequence, revisions) in [(2, 1), (3, 1), (3, 0)] {
        let mut late = closing(sequence, 600 + sequence as i64 * 300, &LINES[..1]);
        late.late.insert(interval(600), held(vec![further(rows(600, &LINES[1..2]), sequence * 100)]));
        assert_eq!(writer.commit(&late).await.unwrap().late_revisions, revisions);
    }
    let folder = "data/intvl_date=1970-01-01/intvl_hhmm=0010";
    let there = names(&store).await;
    let there: Vec<_> = there.iter().filter_map(|name| name.strip_prefix(folder)).collect();
    assert_eq!(
        there,
        [
            "/_manifest-r0000.json",
            "/_manifest-r0001.json",
            "/_manifest-r0002.json",
            "/part-r0000-00000.csv",
            "/part-r0001-00000.csv",
            "/part-r0002-00000.csv"
        ]
    );
    let reader = Reader::new(store, columns(), Length::from_seconds(300).unwrap(), Tree::Ours);
    let Some(Content::Chunks(chunks)) = read(&reader, &list(&reader).await[0]).await.unwrap() else { panic!("csv") };
    assert_eq!(chunks.len(), 1);
}

#[tokio::test]
async fn large_intervals_have_several_parts_and_the_same_rows_the_same_bytes() {
    let lines: Vec<_> = (0..20_000).map(|i| ("shop", "note", Some(i), Some(f64::from(i as i32)))).collect();
    for format in [Format::Csv, Format::Parquet] {
        let (one, many) = (Store::in_memory(), Store::in_memory());
        let whole = closing(1, 600, &lines);
        let in_pieces =
            || lines.chunks(3000).zip((0..).map(|i| 600 + i * 3000)).map(|(lines, start)| rows(start, lines));
        let pieces = Closing { rows: held(in_pieces().collect()), ..closing(1, 600, &lines) };
        Writer::new(one.clone(), columns(), format, 100_000).commit(&whole).await.unwrap();
        Writer::new(many.clone(), columns(), format, 100_000).commit(&pieces).await.unwrap();
        let parts = names(&one).await;
        assert!(parts.len() > 2, "{parts:?}");
        for name in parts.iter().filter(|name| !name.ends_with("json")) {
            assert_eq!(one.get(name).await.unwrap(), many.get(name).await.unwrap(), "{name}");
        }
    }
}

#[tokio::test]
async fn rejects_keep_bytes_place_and_reason() {
    let store = Store::in_memory();
    let mut with_rejects = closing(7, 600, &LINES);
    let reject = |offset, bytes: &'static [u8]| Reject {
        partition: SourcePartition::new("file"),
        offset,
        place: Position::Offset(offset),
        bytes: Bytes::from_static(bytes),
        reason: Reason::Missing("at".into()),
    };
    with_rejects.rejects = vec![reject(3, b"{\"a\":1}"), reject(9, b"\xff\xfe")];
    Writer::new(store.clone(), columns(), Format::Csv, 1 << 20).commit(&with_rejects).await.unwrap();
    let name = "rejects/intvl_date=1970-01-01/intvl_hhmm=0010/rejects-00000007-00.jsonl";
    let text = store.get(name).await.unwrap().unwrap();
    assert_eq!(
        std::str::from_utf8(&text).unwrap(),
        "{\"partition\":\"file\",\"position\":3,\"reason\":\"missing\",\"detail\":\"column `at` is missing\",\"record\":\"{\\\"a\\\":1}\"}\n\
         {\"partition\":\"file\",\"position\":9,\"reason\":\"missing\",\"detail\":\"column `at` is missing\",\"record_base64\":\"//4=\"}\n"
    );
}

#[tokio::test]
async fn damage_is_noticed() {
    let store = Store::in_memory();
    Writer::new(store.clone(), columns(), Format::Csv, 1 << 20).commit(&closing(1, 600, &LINES)).await.unwrap();
    let part = "data/intvl_date=1970-01-01/intvl_hhmm=0010/part-r0000-00000.csv";
    store.put(part, Bytes::from_static(b"shop,at,note,views,revenue\n")).await.unwrap();
    let reader = Reader::new(store, columns(), Length::from_seconds(300).unwrap(), Tree::Ours);
    let error = read(&reader, &list(&reader).await[0]).await.unwrap_err().to_string();
    assert!(error.contains("part-r0000-00000.csv") && error.contains("damaged"), "{error}");
}

#[tokio::test]
async fn a_directory_is_read_in_this_thread_and_what_does_not_go_well_the_other_way() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().display().to_string(), &store::Settings::default()).await.unwrap();
    let writer = Writer::new(store.clone(), columns(), Format::Csv, 1 << 20);
    writer.commit(&closing(1, 600, &LINES)).await.unwrap();
    writer.commit(&closing(2, 900, &LINES)).await.unwrap();
    writer.commit(&Closing { complete: false, ..closing(3, 1200, &LINES) }).await.unwrap();
    let reader = |tree| Reader::new(store.clone(), columns(), Length::from_seconds(300).unwrap(), tree);
    for tree in [Tree::Ours, Tree::Foreign] {
        let reader = reader(tree);
        assert!(reader.is_local());
        for listed in list(&reader).await {
            let text = |objects: Option<Objects>| format!("{objects:?}");
            let now = reader.read_now(&listed).unwrap();
            assert_eq!(now.is_some(), listed.interval != interval(1200));
            assert_eq!(text(now), text(reader.read(&listed).await.unwrap()));
        }
    }
    let part = "data/intvl_date=1970-01-01/intvl_hhmm=0010/part-r0000-00000.csv";
    store.put(part, Bytes::from_static(b"shop,at,note,views,revenue\n")).await.unwrap();
    let reader = reader(Tree::Ours);
    let listed = list(&reader).await;
    assert!(reader.read_now(&listed[0]).is_none() && reader.read_now(&listed[1]).is_some());
    assert!(reader.read(&listed[0]).await.is_err());
    let elsewhere = Reader::new(Store::in_memory(), columns(), Length::from_seconds(300).unwrap(), Tree::Ours);
    assert!(!elsewhere.is_local() && elsewhere.read_now(&listed[1]).is_none());
}

#[tokio::test]
async fn a_tree_of_another_configuration_is_refused_with_the_difference() {
    let store = Store::in_memory();
    let descriptor = |seconds| Descriptor::new(columns(), seconds, "UTC".into(), Format::Csv);
    descriptor(300).claim(&store).await.unwrap();
    descriptor(300).claim(&store).await.unwrap();
    let error = descriptor(600).claim(&store).await.unwrap_err().to_string();
    assert!(error.contains("interval.length is `300s` there, `600s` here"), "{error}");
}

#[tokio::test]
async fn an_interval_that_was_cut_short_is_committed_and_not_read_back() {
    let store = Store::in_memory();
    let cut_short = Closing { complete: false, ..closing(1, 600, &LINES) };
    Writer::new(store.clone(), columns(), Format::Csv, 1 << 20).commit(&cut_short).await.unwrap();
    let reader = Reader::new(store, columns(), Length::from_seconds(300).unwrap(), Tree::Ours);
    assert!(read(&reader, &list(&reader).await[0]).await.unwrap().is_none());
}

#[tokio::test]
async fn only_a_manifest_makes_an_interval_of_ours_and_any_object_one_of_another_job() {
    let store = Store::in_memory();
    let part = "data/intvl_date=1970-01-01/intvl_hhmm=0010/run-1-part-r-00000";
    store.put(part, Bytes::from_static(b"shop,views\na,1\n")).await.unwrap();
    let reader = |tree| Reader::new(store.clone(), columns(), Length::from_seconds(300).unwrap(), tree);
    assert_eq!(list(&reader(Tree::Ours)).await, []);
    assert_eq!(list(&reader(Tree::Foreign)).await.len(), 1);
    let hourly = Reader::new(store.clone(), columns(), Length::from_seconds(3600).unwrap(), Tree::Foreign);
    let error = hourly.list(NaiveDate::MIN, NaiveDate::MAX).await.unwrap_err().to_string();
    assert!(error.contains("starts no interval of 60 minutes"), "{error}");
}
