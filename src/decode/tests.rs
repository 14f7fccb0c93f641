use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use proptest::prelude::*;

use super::*;
use crate::model::Position;

const RECORD_BYTES_MAX: usize = 200;

fn settings(format: Format) -> Settings {
    Settings {
        format,
        columns: vec![
            ("platform".to_owned(), ColumnType::Text),
            ("time".to_owned(), ColumnType::Text),
            ("views".to_owned(), ColumnType::Integer),
            ("revenue".to_owned(), ColumnType::Float),
        ],
        timestamp: "time".to_owned(),
        timestamp_format: TimestampFormat::parse("%Y-%m-%d %H:%M:%S").unwrap(),
        zone: Zone::UTC,
        record_bytes_max: RECORD_BYTES_MAX,
    }
}

fn json() -> Decoder {
    Decoder::new(settings(Format::JsonLines)).unwrap()
}

fn csv_format(header: Header) -> Format {
    Format::Csv { dialect: CsvDialect::COMMA, header }
}

fn chunk(offset: u64, header: Option<&str>, bytes: &[u8]) -> Chunk {
    let read_to = Position::Offset(offset + bytes.len() as u64);
    let chunk = Chunk::of_bytes(SourcePartition::new("p"), offset, Bytes::copy_from_slice(bytes), read_to);
    chunk.with_header(header.map(|header| Bytes::copy_from_slice(header.as_bytes())))
}

fn text(decoded: &Decoded, column: usize) -> Vec<String> {
    let column = decoded.rows.batch().column(column).as_string::<i32>();
    column.iter().map(|value| value.unwrap().to_owned()).collect()
}

fn integers(decoded: &Decoded, column: usize) -> Vec<Option<i64>> {
    decoded.rows.batch().column(column).as_primitive::<Int64Type>().iter().collect()
}

fn floats(decoded: &Decoded, column: usize) -> Vec<Option<f64>> {
    decoded.rows.batch().column(column).as_primitive::<Float64Type>().iter().collect()
}

fn reasons(decoded: &Decoded) -> Vec<String> {
    decoded.rejects.iter().map(|reject| reject.reason.to_string()).collect()
}

#[test]
fn json_members_come_in_any_order_and_the_last_of_a_name_counts() {
    let lines = concat!(
        r#"{"platform":"web","time":"2026-01-15 19:18:28","views":37,"revenue":152.07}"#,
        "\n \t\r\n",
        r#" {"x":{"views":[1,"}\n"]},"revenue":"1e2","views":1,"views": 1e3 ,"time":"2026-01-15 19:18:29","platform":"a\"\u00e9\n"} "#,
        "\r\n",
        r#"{"time":"2026-01-15 19:18:30","platform":12.50,"views":null,"revenue":""}"#,
        "\n",
        r#"{"\u0074ime":"2026-01-15 19:18:31","platform":true,"views":"37.0"}"#,
    );
    let decoded = json().decode(&chunk(1000, None, lines.as_bytes())).unwrap();
    assert_eq!(reasons(&decoded), [""; 0]);
    assert_eq!(text(&decoded, 0), ["web", "a\"é\n", "12.50", "true"]);
    assert_eq!(text(&decoded, 1)[1], "2026-01-15 19:18:29");
    assert_eq!(integers(&decoded, 2), [Some(37), Some(1000), None, Some(37)]);
    assert_eq!(floats(&decoded, 3), [Some(152.07), Some(100.0), None, None]);
    assert_eq!(decoded.rows.times()[3].to_string(), "2026-01-15T19:18:31Z");
    let starts: Vec<u64> = lines.match_indices('{').map(|(at, _)| 1000 + at as u64).collect();
    assert_eq!(decoded.rows.offsets()[0], starts[0]);
    assert_eq!(decoded.rows.offsets()[1], starts[1] - 1, "a record begins with its line, not with its brace");
}

#[test]
fn a_record_that_fails_says_why_and_leaves_no_trace() {
    let good = r#"{"time":"2026-01-15 19:18:28","platform":"p","views":1,"revenue":2}"#;
    let long = format!(r#"{{"time":"{}"}}"#, "x".repeat(RECORD_BYTES_MAX));
    let cases: Vec<(&str, &str)> = vec![
        (r#"{"time":"2026-01-15 19:18:28""#, "malformed: EOF while parsing an object at line 1 column 29"),
        ("[1]", "malformed: invalid type: sequence, expected a JSON object"),
        ("7", "malformed: invalid type: integer `7`, expected a JSON object"),
        ("{} {}", "malformed: trailing characters at line 1 column 4"),
        (r#"{"platform":"p"}"#, "column `time` is missing"),
        (r#"{"time":null}"#, "column `time` is missing"),
        (r#"{"time":" "}"#, "column `time` is missing"),
        (r#"{"time":"15.1.2026"}"#, "column `time`: `15.1.2026` is not a timestamp of the configured format"),
        (r#"{"time":["a"]}"#, "column `time`: `[\"a\"]` is not a timestamp"),
        (r#"{"time":"2026-01-15 19:18:28","platform":{"a":1}}"#, "column `platform`: `{\"a\":1}` is not text"),
        (r#"{"time":"2026-01-15 19:18:28","views":1.5}"#, "column `views`: `1.5` is not an integer"),
        (r#"{"time":"2026-01-15 19:18:28","views":1,"revenue":"NaN"}"#, "column `revenue`: `NaN` is not a number"),
        (r#"{"time":"2026-01-15 19:18:28","revenue":true}"#, "column `revenue`: `true` is not a number"),
        (r#"{"time":"2026-01-15 19:18:28","revenue":1e999}"#, "column `revenue`: `1e999` is not a number"),
        (r#"{"time":"2026-01-15 19:18:28","platform":"\ud800"}"#, "malformed: "),
        (&long, "record is longer than 200 bytes"),
    ];
    for (bad, reason) in cases {
        let lines = format!("{good}\n{bad}\n{good}\n");
        let decoded = json().decode(&chunk(0, None, lines.as_bytes())).unwrap();
        assert!(reasons(&decoded)[0].starts_with(reason), "{bad}: {:?}", reasons(&decoded));
        assert_eq!(decoded.rejects[0].offset, good.len() as u64 + 1);
        assert_eq!(decoded.rejects[0].bytes, bad.as_bytes()[..bad.len().min(RECORD_BYTES_MAX + 1)]);
        assert_eq!(text(&decoded, 0), ["p", "p"], "{bad}");
        assert_eq!(integers(&decoded, 2), [Some(1), Some(1)], "{bad}");
        assert_eq!(floats(&decoded, 3), [Some(2.0), Some(2.0)], "{bad}");
        assert_eq!(decoded.rows.offsets(), [0, good.len() as u64 + bad.len() as u64 + 2]);
    }
}

#[test]
fn bytes_that_are_not_utf8_cost_one_record() {
    let lines = b"{\"time\":\"2026-01-15 19:18:28\",\"platform\":\"\xff\"}\n{\"time\":\"2026-01-15 19:18:28\"}\n";
    let decoded = json().decode(&chunk(0, None, lines)).unwrap();
    assert_eq!(reasons(&decoded), ["malformed: not UTF-8"]);
    assert_eq!(decoded.rows.len(), 1);
}

#[test]
fn depth_costs_no_stack() {
    let mut settings = settings(Format::JsonLines);
    settings.record_bytes_max = usize::MAX;
    let mut decoder = Decoder::new(settings).unwrap();
    for name in ["platform", "x"] {
        let (open, close) = ("[".repeat(1_000_000), "]".repeat(1_000_000));
        let lines = format!("{{\"time\":\"2026-01-15 19:18:28\",\"{name}\":{open}{close}}}\n{{\"{name}\":{open}");
        let decoded = decoder.decode(&chunk(0, None, lines.as_bytes())).unwrap();
        assert_eq!(decoded.rows.len(), usize::from(name == "x"));
        assert_eq!(decoded.rows.len() + decoded.rejects.len(), 2);
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_record() {
    let lines = "\u{feff}{\"time\":\"2026-01-15 19:18:28\"}\n".as_bytes();
    let decoded = json().decode(&chunk(0, None, lines)).unwrap();
    assert_eq!((decoded.rows.offsets(), decoded.rejects.len()), ([3].as_slice(), 0));
    let decoded = json().decode(&chunk(10, None, lines)).unwrap();
    assert_eq!(decoded.rejects.len(), 1);
}

#[test]
fn csv_fields_are_found_by_the_header() {
    let mut decoder = Decoder::new(settings(csv_format(Header::FirstRecord))).unwrap();
    let header = "\u{feff}views,time,x,platform,revenue\r\n";
    let records = "37,2026-01-15 19:18:28,,\"a, \"\"b\"\"\nc\",152.07\r\n\n,2026-01-15 19:18:29,y,,\n 4 ,2026-01-15 19:18:30,,d, 1.5 ";
    let decoded = decoder.decode(&chunk(35, Some(header), records.as_bytes())).unwrap();
    assert_eq!(reasons(&decoded), [""; 0]);
    assert_eq!(text(&decoded, 0), ["a, \"b\"\nc", "", "d"]);
    assert_eq!(integers(&decoded, 2), [Some(37), None, Some(4)]);
    assert_eq!(floats(&decoded, 3), [Some(152.07), None, Some(1.5)]);
    assert_eq!(decoded.rows.offsets()[0], 35);

    // the next file may order its columns differently
    let other =
        decoder.decode(&chunk(3, Some("time,platform,views,revenue\n"), b"2026-01-15 19:18:28,z,1,2\n")).unwrap();
    assert_eq!(text(&other, 0), ["z"]);
}

#[test]
fn csv_records_that_do_not_follow_the_header_are_rejects() {
    let names = ["platform", "time", "views", "revenue"].map(str::to_owned).to_vec();
    let mut decoder = Decoder::new(settings(csv_format(Header::Names(names)))).unwrap();
    let records =
        b"a,2026-01-15 19:18:28,1\nb,2026-01-15 19:18:28,1,2\nc,2026-01-15 19:18:28,1,2,3\nd,2026-01-15 19:18:28,1,\"2";
    let decoded = decoder.decode(&chunk(0, None, records)).unwrap();
    assert_eq!(
        reasons(&decoded),
        [
            "malformed: 3 fields where the header has 4",
            "malformed: 5 fields where the header has 4",
            "malformed: a quote is not closed"
        ]
    );
    assert_eq!(text(&decoded, 0), ["b"]);
}

#[test]
fn a_header_without_the_columns_is_an_error_with_a_hint() {
    let mut decoder = Decoder::new(settings(csv_format(Header::FirstRecord))).unwrap();
    let error = |decoder: &mut Decoder, header| decoder.decode(&chunk(0, header, b"x\n")).unwrap_err().to_string();
    assert_eq!(
        error(&mut decoder, Some("platfrom,time,views,revenue\n")),
        "column `platform` is not in the header of `p`, which has `platfrom`, `time`, `views`, `revenue`; hint: did you mean `platfrom`?"
    );
    assert!(error(&mut decoder, Some("platform,time,views,views,revenue\n")).contains("more than once"));
    assert!(error(&mut decoder, Some("\"platform\n")).contains("a quote is not closed"));
    assert!(error(&mut decoder, None).contains("it is missing"));
    let names = Header::Names(vec!["a".to_owned()]);
    assert!(Decoder::new(settings(csv_format(names))).unwrap_err().to_string().contains("`decode.header`"));
}

#[test]
fn the_timestamp_need_not_be_a_column_and_a_column_may_come_twice() {
    let mut settings = settings(Format::JsonLines);
    settings.columns = vec![("views".to_owned(), ColumnType::Text), ("views".to_owned(), ColumnType::Integer)];
    settings.timestamp_format = TimestampFormat::parse("epoch").unwrap();
    let decoded =
        Decoder::new(settings).unwrap().decode(&chunk(0, None, b"{\"time\":1622673607777,\"views\":5.0}\n")).unwrap();
    assert_eq!((text(&decoded, 0), integers(&decoded, 1)), (vec!["5.0".to_owned()], vec![Some(5)]));
    assert_eq!(decoded.rows.times()[0].to_string(), "2021-06-02T22:40:07.777Z");
}

/// Something like a record, so that the parsers get past the first byte.
fn record() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "\"[a-z\"\\\\,\n]{0,6}\"",
        "-?[0-9]{1,20}(\\.[0-9]{0,3})?(e[0-9]{1,3})?",
        Just("\"2026-01-15 19:18:28\"".to_owned()),
        Just("null".to_owned()),
        Just("[{}]".to_owned()),
    ];
    let name = prop_oneof![Just("time"), Just("views"), Just("platform"), Just("revenue"), Just("x")];
    let object = proptest::collection::vec((name, value.clone()), 0..6).prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    });
    let fields = proptest::collection::vec(value, 3..5).prop_map(|fields| fields.join(","));
    prop_oneof![object, fields]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let lines = proptest::collection::vec(record(), 0..12).prop_map(|records| records.join("\n").into_bytes());
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..400),
        lines,
        "[ \t\r\n\",{}a]{0,300}".prop_map(String::into_bytes)
    ]
}

proptest! {
    #[test]
    fn every_line_is_a_row_or_a_reject(bytes in bytes(), offset in 1_u64..1000) {
        let decoded = json().decode(&chunk(offset, None, &bytes)).unwrap();
        let is_blank = |line: &[u8]| line.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        let mut position = offset;
        let mut starts = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line_end = if line.ends_with(b"\r\n") { 2 } else { usize::from(line.ends_with(b"\n")) };
            if !is_blank(&line[..line.len() - line_end]) {
                starts.push(position);
            }
            position += line.len() as u64;
        }
        let mut found: Vec<u64> = decoded.rejects.iter().map(|reject| reject.offset).collect();
        found.extend(decoded.rows.offsets());
        found.sort_unstable();
        prop_assert_eq!(found, starts);
    }

    #[test]
    fn every_csv_record_is_a_row_or_a_reject_wherever_chunks_are_cut(bytes in bytes(), at in 0_usize..400) {
        let names = ["platform", "time", "views", "revenue"].map(str::to_owned).to_vec();
        let format = csv_format(Header::Names(names));
        let framing = format.framing();
        let mut decoder = Decoder::new(settings(format)).unwrap();
        let whole = decoder.decode(&chunk(7, None, &bytes)).unwrap();

        let mut records = 0;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (record, after) = rest.split_at(framing.first_end(rest, RECORD_BYTES_MAX).unwrap_or(rest.len()));
            records += usize::from(!record.iter().all(|byte| b" \t\r\n".contains(byte)) || is_odd(record));
            rest = after;
        }
        prop_assert_eq!(whole.rows.len() + whole.rejects.len(), records);

        let cut = framing.last_end(&bytes[..at.min(bytes.len())], RECORD_BYTES_MAX).unwrap_or(0);
        let first = decoder.decode(&chunk(7, None, &bytes[..cut])).unwrap();
        let second = decoder.decode(&chunk(7 + cut as u64, None, &bytes[cut..])).unwrap();
        let mut positions = first.rows.offsets().to_vec();
        positions.extend(second.rows.offsets());
        prop_assert_eq!(positions.as_slice(), whole.rows.offsets());
        let mut rejects = first.rejects;
        rejects.extend(second.rejects);
        prop_assert_eq!(rejects, whole.rejects);
    }
}

/// A carriage return that is no part of a line end makes a record.
fn is_odd(record: &[u8]) -> bool {
    let inner = record.strip_suffix(b"\r\n").or(record.strip_suffix(b"\n")).unwrap_or(record);
    inner.contains(&b'\r')
}
