use chrono::NaiveDateTime;
use proptest::prelude::*;

use super::*;

fn read(format: &str, text: &str) -> Option<String> {
    let format = TimestampFormat::parse(format).unwrap();
    TimeReader::new(format, Zone::from_name("Europe/Berlin").unwrap()).read(text).map(|time| time.to_string())
}

#[test]
fn formats_read_their_texts() {
    let winter = "2026-01-15T18:18:28Z";
    for (format, text, expected) in [
        ("%Y-%m-%d %H:%M:%S", "2026-01-15 19:18:28", winter),
        ("%Y-%m-%d %H:%M:%S", "2026-1-15 19:18:28", winter),
        ("%F %T", "2026-01-15 19:18:28", winter),
        ("%d/%b/%Y:%H:%M:%S %z", "15/Jan/2026:20:18:28 +0200", winter),
        ("%m/%d/%y %I:%M:%S %p", "01/15/26 07:18:28 PM", winter),
        ("%Y-%m-%d %H:%M:%S.%f", "2026-01-15 19:18:28.25", "2026-01-15T18:18:28.250Z"),
        ("%Y-%m-%dT%H:%M:%S%.fZ", "2026-01-15T19:18:28Z", winter),
        ("%Y-%m-%d %H:%M:%S %Z", "2026-01-15 13:18:28 America/New_York", winter),
        ("%s", "1768501108", winter),
        ("%Y-%m-%d", "2026-01-15", "2026-01-14T23:00:00Z"),
        ("%Y%m%d%H", "2026011519", "2026-01-15T18:00:00Z"),
        ("%Y-%j %H%%%M", "2026-015 19%18", "2026-01-15T18:18:00Z"),
        ("yyyy-MM-dd HH:mm:ss", "2026-01-15 19:18:28", winter),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSX", "2026-01-15T18:18:28.000Z", winter),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2026-01-15T19:18:28.5+01:00", "2026-01-15T18:18:28.500Z"),
        ("EEE MMM d H:m:s yyyy", "Thu Jan 15 19:18:28 2026", winter),
        ("dd.MM.yy h 'o''clock' a", "15.01.26 7 o'clock pm", "2026-01-15T18:00:00Z"),
        ("yyyyMMddHHmmssSSS", "20260115191828125", "2026-01-15T18:18:28.125Z"),
        ("yyyy-MM-dd HH:mm:ss VV", "2026-01-15 18:18:28 Z", winter),
        ("yyyy-MM-dd HH:mm:ss z", "2026-01-15 18:18:28 UTC", winter),
        ("iso8601", "2026-01-15T18:18:28Z", winter),
        ("iso8601", "2026-01-15 19:18:28", winter),
        ("iso8601", "2026-01-15T19:18:28.123456789+0100", "2026-01-15T18:18:28.123456Z"),
        ("iso8601", "2026-01-15T13:48-04:30", "2026-01-15T18:18:00Z"),
        ("iso8601", "2026-01-15", "2026-01-14T23:00:00Z"),
        ("epoch", "1768501108", winter),
        ("epoch", "1768501108.5", "2026-01-15T18:18:28.500Z"),
        ("epoch", "1768501108000", winter),
        ("epoch", "94694400000", "4970-09-30T00:00:00Z"),
        ("epoch", "94694400001", "1973-01-01T00:00:00.001Z"),
        ("epoch", "-1.5", "1969-12-31T23:59:58.500Z"),
        ("epoch_seconds", "1.768501108e9", winter),
        ("epoch_milliseconds", "1768501108000.5", "2026-01-15T18:18:28.000500Z"),
        ("%Y-%m-%d %H:%M:%S", "1812-06-24 00:00:00", "1812-06-23T23:06:32Z"),
    ] {
        assert_eq!(read(format, text).as_deref(), Some(expected), "`{text}` as `{format}`");
    }
}

#[test]
fn other_texts_are_refused() {
    for (format, text) in [
        ("%Y-%m-%d %H:%M:%S", "2026-02-30 19:18:28"),
        ("%Y-%m-%d %H:%M:%S", "2026-01-15 24:00:00"),
        ("%Y-%m-%d %H:%M:%S", "2026-01-15 19:18:28 "),
        ("%Y-%m-%d %H:%M:%S", "2026-01-15"),
        ("%Y-%m-%d %H:%M:%S", "0000-01-15 19:18:28"),
        ("EEE yyyy-MM-dd", "Mon 2026-01-15"),
        ("yyyy-MM-dd HH:mm:ss z", "2026-01-15 18:18:28 NOWHERE"),
        ("iso8601", "2026-01-15T19:18:28.Z"),
        ("iso8601", "2026-01-15T19:18:28+"),
        ("iso8601", "2026-01-15T19"),
        ("iso8601", "2026-13-15"),
        ("epoch", "soon"),
        ("epoch", "1e30"),
        ("epoch_seconds", "1768501108000"),
    ] {
        assert_eq!(read(format, text), None, "`{text}` as `{format}`");
    }
}

#[test]
fn formats_that_give_no_time_are_refused_by_name() {
    let error = |format: &str| TimestampFormat::parse(format).unwrap_err();
    let text = |format: &str| format.to_owned();
    assert_eq!(error("%Y-%Q"), FormatError::Specifier { format: text("%Y-%Q"), specifier: text("%Q") });
    assert_eq!(error("%Y-%"), FormatError::Specifier { format: text("%Y-%"), specifier: text("%") });
    assert_eq!(error("YYYY-MM-dd"), FormatError::Letter { format: text("YYYY-MM-dd"), letter: 'Y' });
    assert_eq!(error("yyyy-MM-dd[ HH]"), FormatError::Letter { format: text("yyyy-MM-dd[ HH]"), letter: '[' });
    assert_eq!(error("yyyy-MM-dd'T"), FormatError::Quote { format: text("yyyy-MM-dd'T") });
    for incomplete in ["%H:%M:%S", "%Y-%m", "%Y-%m-%d %I:%M", "HH:mm", "", "yyyy-MM-dd hh:mm", "MM-dd HH:mm"] {
        assert_eq!(error(incomplete), FormatError::Incomplete { format: text(incomplete) }, "{incomplete}");
    }
    assert!(error("epoch_second").to_string().contains("hint: "));
}

#[test]
fn clocks_that_are_set_do_not_upset_the_remembered_offset() {
    let zone = Zone::from_name("Europe/Berlin").unwrap();
    let format = TimestampFormat::parse("%Y-%m-%d %H:%M:%S").unwrap();
    let mut reader = TimeReader::new(format, zone);
    for day in ["2021-03-28", "2021-10-31"] {
        for minute in (0..240).chain((0..240).rev()) {
            let text = format!("{day} {:02}:{:02}:30", minute / 60, minute % 60);
            let local = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S").unwrap();
            assert_eq!(reader.read(&text), zone.to_instant(local).ok(), "{text}");
        }
    }
}

/// Patterns that have a fast way, and one text of each.
const FAST: [&str; 6] = [
    "%Y-%m-%d %H:%M:%S",
    "%Y%m%d%H%M%S",
    "%d.%m.%Y %H:%M",
    "yyyy-MM-dd'T'HH:mm:ss.SSSX",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y-%m-%d",
];

fn pattern(format: &str) -> Pattern {
    match TimestampFormat::parse(format).unwrap().kind {
        Kind::Pattern(pattern) => pattern,
        _ => panic!("a pattern"),
    }
}

proptest! {
    /// Where the fast way reads a text at all, chrono reads the same; and it reads all that is written to the letter.
    #[test]
    fn the_fast_way_agrees_with_chrono(
        which in 0..FAST.len(),
        seconds in -62_135_596_800_i64..253_402_300_800,
        micros in 0_u32..1_000_000,
        change in proptest::option::of((0_usize..24, prop_oneof![Just('9'), Just('0'), Just(' '), Just('-'), Just('x')])),
    ) {
        let pattern = pattern(FAST[which]);
        let time = DateTime::from_timestamp(seconds, micros * 1000).unwrap();
        let strftime = match FAST[which] {
            "yyyy-MM-dd'T'HH:mm:ss.SSSX" => "%Y-%m-%dT%H:%M:%S.%3f+0100",
            other => other,
        };
        let mut text = time.format(strftime).to_string();
        prop_assert!(pattern.fast_read(&text).is_some(), "{}", text);
        if let Some((at, sign)) = change && at < text.len() {
            text.replace_range(at..=at, &sign.to_string());
        }
        if let Some(fast) = pattern.fast_read(&text) {
            prop_assert_eq!(pattern.read_generally(&text), Some(fast), "{}", text);
        }
    }

    #[test]
    fn no_text_and_no_format_panics(format in "[%YmdHMSzZfs:' yMEaX.-]{0,12}|.*", text in "[0-9T:. Z+-]{0,30}|.*") {
        if let Ok(format) = TimestampFormat::parse(&format) {
            TimeReader::new(format, Zone::UTC).read(&text);
        }
        for format in ["epoch", "epoch_seconds", "iso8601", "%Y-%m-%d %H:%M:%S", "yyyy-MM-dd HH:mm:ss z"] {
            TimeReader::new(TimestampFormat::parse(format).unwrap(), Zone::UTC).read(&text);
        }
    }

    #[test]
    fn iso8601_reads_what_chrono_writes(seconds in -62_135_596_800_i64..253_402_128_000, micros in 0_u32..1_000_000, minutes in -1439_i32..1440) {
        let time = DateTime::from_timestamp(seconds, micros * 1000).unwrap();
        let local = time.with_timezone(&chrono::FixedOffset::east_opt(minutes * 60).unwrap());
        let text = local.to_rfc3339();
        if !text.starts_with(['+', '-']) {
            prop_assert_eq!(iso8601(&text), Some(Moment::Instant(time.timestamp_micros())), "{}", text);
        }
    }
}
