use bytes::Bytes;

use super::*;
use crate::decode::Header;
use crate::model::{CsvDialect, Position, SourcePartition};

/// Chunks of one file, cut at these lengths.
fn chunks(text: &str, cuts: &[usize]) -> Vec<Chunk> {
    let mut at = 0;
    let ends = cuts.iter().copied().chain([text.len()]);
    let chunk = |end: usize| {
        let (offset, bytes) = (at as u64, Bytes::copy_from_slice(&text.as_bytes()[at..end]));
        at = end;
        let read_to = Position::Offset(end as u64);
        Chunk::of_bytes(SourcePartition::new("p"), offset, bytes, read_to)
    };
    ends.map(chunk).collect()
}

fn look(text: &str) -> Discovery {
    discover(&chunks(text, &[]), Zone::UTC).unwrap()
}

fn roles(discovery: &Discovery) -> Vec<(&str, Role)> {
    discovery.columns.iter().map(|column| (column.name.as_str(), column.role)).collect()
}

#[test]
fn json_records_show_their_columns() {
    let line = |n: u32| {
        let revenue = if n.is_multiple_of(4) { "null".to_owned() } else { format!("{}.5", n * 7) };
        format!(
            "{{\"id\":{n},\"platform\":\"p{}\",\"event_time\":\"2026-01-15 {:02}:{:02}:00\",\"views\":{},\"revenue\":{revenue},\
             \"tags\":[1],\"seen\":{},\"zip_code\":\"0{}\",\"store_id\":{}}}\n",
            n % 3,
            n / 60,
            n % 60,
            n * 3,
            1_768_501_108 + n,
            1000 + n % 2,
            n % 5
        )
    };
    let mut text: String = (0..200).map(line).collect();
    text.push_str("{\"id\":\n");
    let discovery = look(&text);
    assert_eq!(discovery.format, Format::JsonLines);
    assert_eq!((discovery.records, discovery.malformed), (200, 1));
    assert_eq!(
        roles(&discovery),
        [
            ("id", Role::Other),
            ("platform", Role::Dimension),
            ("event_time", Role::Timestamp),
            ("views", Role::Measure(MeasureType::Integer)),
            ("revenue", Role::Measure(MeasureType::Float)),
            ("tags", Role::Nested),
            ("seen", Role::Other),
            ("zip_code", Role::Dimension),
            ("store_id", Role::Dimension),
        ]
    );
    let (column, times) = discovery.timestamp().unwrap();
    assert_eq!(column.examples, ["2026-01-15 00:00:00", "2026-01-15 00:01:00", "2026-01-15 00:02:00"]);
    assert_eq!((times.format.to_string(), &times.others), ("%Y-%m-%d %H:%M:%S".to_owned(), &Vec::new()));
    assert_eq!(times.first.to_string(), "2026-01-15T00:00:00Z");
    assert_eq!(times.last.to_string(), "2026-01-15T03:19:00Z");
    let revenue = &discovery.columns[4];
    assert!((revenue.missing_share - 0.25).abs() < 1e-12);
    assert_eq!((revenue.kind, revenue.distinct), (ColumnType::Float, Distinct::Exactly(150)));
    assert_eq!(discovery.columns[6].times.as_ref().unwrap().format.to_string(), "epoch_seconds");
    assert_eq!(discovery.columns[7].kind, ColumnType::Text, "the zero in front counts");
}

#[test]
fn csv_delimiter_and_header_are_seen() {
    let comma = "platform,when,views\nweb,15/01/2026 10:00:00,1\napp,16/01/2026 10:00:00,2\n";
    let discovery = look(comma);
    assert_eq!(discovery.format, Format::Csv { dialect: CsvDialect::COMMA, header: Header::FirstRecord });
    assert_eq!(discovery.timestamp().unwrap().1.format.to_string(), "%d/%m/%Y %H:%M:%S");
    assert_eq!(discovery.records, 2);

    let tabs = look(&format!("\u{feff}{}", comma.replace(',', "\t").replace("web", "\"w\neb\"")));
    assert_eq!(tabs.columns[0].name, "platform");
    assert!(matches!(tabs.format, Format::Csv { dialect, .. } if dialect.delimiter() == b'\t'));

    let bare = look("web;2026-01-15T10:00:00Z;1,5\napp;2026-01-15T10:05:00Z;2,5\n");
    let names = ["column_1", "column_2", "column_3"].map(str::to_owned).to_vec();
    assert!(matches!(&bare.format, Format::Csv { dialect, header: Header::Names(found) }
        if dialect.delimiter() == b';' && *found == names));
    assert_eq!(bare.timestamp().unwrap().1.format.to_string(), "iso8601");
}

#[test]
fn texts_alone_have_a_header_unless_it_comes_again() {
    let header = |text: &str| match look(text).format {
        Format::Csv { header, .. } => header == Header::FirstRecord,
        Format::JsonLines => panic!("CSV"),
    };
    assert!(header("name,city\nann,rome\nbob,oslo\n"));
    assert!(!header("ann,rome\nbob,oslo\nann,oslo\n"));
    assert!(!header("a,a\nb,c\n"));
}

#[test]
fn day_and_month_that_cannot_be_told_apart_are_both_shown() {
    let discovery = look("t,v\n01/02/2026 10:00:00,1\n03/02/2026 10:00:00,2\n");
    let times = discovery.timestamp().unwrap().1;
    assert_eq!(times.format.to_string(), "%m/%d/%Y %H:%M:%S");
    assert_eq!(times.others, [TimestampFormat::parse("%d/%m/%Y %H:%M:%S").unwrap()]);
}

#[test]
fn chunks_of_one_file_are_read_as_one() {
    let text = "x,y\n\"a\nb\",1\n\"c\nd\",2\n\"e\nf\",3\n";
    let whole = look(text);
    assert_eq!((whole.records, whole.malformed), (3, 0));
    for cut in [4, 7, 11, 14] {
        assert_eq!(discover(&chunks(text, &[cut]), Zone::UTC).unwrap(), whole);
    }
    // each file has a header of its own
    let mut two = chunks(text, &[]);
    two.push(Chunk { partition: SourcePartition::new("q"), ..two[0].clone() });
    assert_eq!(discover(&two, Zone::UTC).unwrap().records, 6);
}

#[test]
fn what_is_neither_is_told() {
    assert_eq!(discover(&[], Zone::UTC), Err(DiscoverError::Empty));
    assert_eq!(discover(&chunks("\n \n", &[]), Zone::UTC), Err(DiscoverError::Empty));
    let error = discover(&chunks("some text\nand more\n", &[]), Zone::UTC).unwrap_err();
    assert_eq!(error, DiscoverError::Unknown { first: "some text".to_owned() });
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, text in "[a-z0-9,;\n\"{}:/ -]{0,200}") {
        for bytes in [bytes, text.into_bytes()] {
            let read_to = Position::End;
            let chunk = Chunk::of_bytes(SourcePartition::new("p"), 0, bytes.into(), read_to);
            let _ = discover(&[chunk], Zone::UTC);
        }
    }
}
