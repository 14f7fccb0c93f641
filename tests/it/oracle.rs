//! Which partition a row lands in, end to end: the real program on a file of records, asserted against a table worked
//! out by hand from `start = floor((t - 1970-01-01T00:00:00) / length) * length` in the configured zone's local time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use crate::support::pipeline::Pipeline;
use crate::support::process::tidewatch;
use crate::support::tree;

/// Event time in UTC, and the folders of its 5- and of its 10-minute interval.
type Row = (&'static str, &'static str, &'static str);

/// The published oracle, and instants around 1970 and long before.
const UTC: [Row; 9] = [
    ("1938-04-24 22:13:20", "1938-04-24/2210", "1938-04-24/2210"),
    ("1969-12-31 23:49:59", "1969-12-31/2345", "1969-12-31/2340"),
    ("1969-12-31 23:58:59", "1969-12-31/2355", "1969-12-31/2350"),
    ("1969-12-31 23:59:59", "1969-12-31/2355", "1969-12-31/2350"),
    ("1970-01-01 00:00:00", "1970-01-01/0000", "1970-01-01/0000"),
    ("2021-05-24 19:18:28", "2021-05-24/1915", "2021-05-24/1910"),
    ("2021-05-24 19:20:00", "2021-05-24/1920", "2021-05-24/1920"),
    ("2021-05-24 19:21:15", "2021-05-24/1920", "2021-05-24/1920"),
    ("2021-05-24 23:59:59", "2021-05-24/2355", "2021-05-24/2350"),
];

/// Clocks went from 02:00 (+01:00) to 03:00 (+02:00) at 01:00 UTC on 2021-03-28, and back on 2021-10-31 at 01:00 UTC:
/// no row is between 02:00 and 03:00 in March, and the hour of October holds the rows of both passings.
const BERLIN: [Row; 12] = [
    ("1969-12-31 22:59:59", "1969-12-31/2355", "1969-12-31/2350"),
    ("1969-12-31 23:00:00", "1970-01-01/0000", "1970-01-01/0000"),
    ("2021-03-28 00:59:59", "2021-03-28/0155", "2021-03-28/0150"),
    ("2021-03-28 01:00:00", "2021-03-28/0300", "2021-03-28/0300"),
    ("2021-03-28 01:07:30", "2021-03-28/0305", "2021-03-28/0300"),
    ("2021-10-30 23:59:59", "2021-10-31/0155", "2021-10-31/0150"),
    ("2021-10-31 00:18:28", "2021-10-31/0215", "2021-10-31/0210"),
    ("2021-10-31 00:59:59", "2021-10-31/0255", "2021-10-31/0250"),
    ("2021-10-31 01:18:28", "2021-10-31/0215", "2021-10-31/0210"),
    ("2021-10-31 01:59:59", "2021-10-31/0255", "2021-10-31/0250"),
    ("2021-10-31 02:00:00", "2021-10-31/0300", "2021-10-31/0300"),
    ("2021-10-31 23:00:00", "2021-11-01/0000", "2021-11-01/0000"),
];

/// Clocks of Lord Howe Island move by half an hour: from 02:00 (+10:30) to 02:30 (+11:00) at 15:30 UTC on 2021-10-02,
/// and from 02:00 (+11:00) to 01:30 (+10:30) at 15:00 UTC on 2021-04-03.
const LORD_HOWE: [Row; 6] = [
    ("2021-04-03 14:44:59", "2021-04-04/0140", "2021-04-04/0140"),
    ("2021-04-03 15:14:59", "2021-04-04/0140", "2021-04-04/0140"),
    ("2021-04-03 15:30:00", "2021-04-04/0200", "2021-04-04/0200"),
    ("2021-10-02 15:29:59", "2021-10-03/0155", "2021-10-03/0150"),
    ("2021-10-02 15:30:00", "2021-10-03/0230", "2021-10-03/0230"),
    ("2021-10-02 15:36:00", "2021-10-03/0235", "2021-10-03/0230"),
];

/// Writes the rows in this order, runs the line, and compares the folders and what is in them.
fn check<'a>(rows: impl Iterator<Item = &'a Row>, zone: &str, close: &str, minutes: u32) {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in.txt");
    let mut text = String::new();
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (time, five, ten) in rows {
        let (date, hhmm) = if minutes == 5 { five } else { ten }.split_once('/').unwrap();
        writeln!(text, "{{\"shop\":\"x, \\\"y\\\"\",\"at\":\"{time}\",\"views\":1}}").unwrap();
        let folder = format!("data/intvl_date={date}/intvl_hhmm={hhmm}");
        expected.entry(folder).or_default().push(format!("x, \"y\"|{time}|1"));
    }
    expected.values_mut().for_each(|rows| rows.sort());
    fs::write(&input, text).unwrap();
    let pipeline = Pipeline {
        select: "timestamp = \"at\"\ndimensions = [\"shop\"]\nmeasures = [\"views\"]\n\
                 types = { views = \"integer\" }"
            .into(),
        interval: format!(
            "length = \"{minutes}m\"\ntimezone = \"{zone}\"\nclose = \"{close}\"\nahead_max = \"36500d\""
        ),
        ..Pipeline::reading(&input, directory.path())
    };
    tidewatch(&["etl", &pipeline.write()]).good();
    let tree = tree::read(&pipeline.url);
    tree::assert_same_rows(&tree::rows(&tree), &expected, &format!("{zone}, {minutes} minutes, {close}"));
    // an hour that comes twice is one stretch of local time, open until its second passing
    let revisions = tree::manifests(&tree).values().map(|manifest| manifest.revision).max();
    assert_eq!(revisions, Some(0), "{zone}, {minutes} minutes, {close}: rows in order are not late");
}

fn check_all(rows: &[Row], zone: &str) {
    for minutes in [5, 10] {
        check(rows.iter(), zone, "watermark", minutes);
        check(rows.iter().rev(), zone, "end", minutes);
    }
}

#[test]
fn the_oracle_holds_in_utc_and_before_1970() {
    check_all(&UTC, "UTC");
}

#[test]
fn the_oracle_holds_where_clocks_change_by_an_hour() {
    check_all(&BERLIN, "Europe/Berlin");
}

#[test]
fn the_oracle_holds_where_clocks_change_by_half_an_hour() {
    check_all(&LORD_HOWE, "Australia/Lord_Howe");
}

#[test]
fn rows_out_of_order_are_late_and_in_their_own_partition_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in.txt");
    let record = |time: &str| format!("{{\"shop\":\"a\",\"at\":\"{time}\",\"views\":1}}\n");
    let times = ["2021-10-31 00:18:28", "2021-10-31 03:00:00", "2021-10-31 01:18:28", "2021-10-31 03:10:00"];
    fs::write(&input, times.map(record).concat()).unwrap();
    let pipeline = Pipeline {
        select: "timestamp = \"at\"\ndimensions = [\"shop\"]\nmeasures = [\"views\"]\n\
                 types = { views = \"integer\" }"
            .into(),
        interval: "timezone = \"Europe/Berlin\"".into(),
        ..Pipeline::reading(&input, directory.path())
    };
    let summary = tidewatch(&["etl", &pipeline.write()]).good();
    assert!(summary.contains("read 4 = written 3 + late 1 + filtered 0 + rejected 0"), "{summary}");
    let tree = tree::read(&pipeline.url);
    let folder = "data/intvl_date=2021-10-31/intvl_hhmm=0215";
    assert_eq!(tree::rows(&tree)[folder].len(), 2);
    let revisions: Vec<u32> = tree::manifests(&tree)
        .iter()
        .filter(|(name, _)| name.starts_with(folder))
        .map(|(_, manifest)| manifest.revision)
        .collect();
    assert_eq!(revisions, [0, 1]);
}
