//! What a user writes about what is not to be told, through the whole program: records in, anomalies out.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use chrono::{Days, NaiveDate, TimeDelta};

use tidewatch::model::AnomalyGroup;

use crate::support::process::tidewatch;

const DAYS: u64 = 7;
/// Intervals of ten minutes.
const PER_DAY: i64 = 144;

/// Requests of two shops with a day's shape: a holiday in `uk` on the sixth day, one hour of twice as many in `us` on the
/// seventh; and the counter of them, which begins anew on the sixth day.
fn write_records(directory: &Path) {
    let mut text = String::from("at,shop,requests,total\n");
    let first = NaiveDate::from_ymd_opt(2026, 11, 2).unwrap();
    for shop in ["uk", "us"] {
        let mut total = 1_000_000;
        // four dice of a linear congruential generator, 0 on average
        let mut state = 12_345_u64 + shop.len() as u64 + u64::from(shop.as_bytes()[1]);
        let mut noise = || {
            let mut die = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as i64 % 21 - 10
            };
            (0..4).map(|_| die()).sum::<i64>()
        };
        for step in 0..(DAYS as i64) * PER_DAY {
            let (day, slot) = (step / PER_DAY, step % PER_DAY);
            let angle = std::f64::consts::TAU * slot as f64 / PER_DAY as f64;
            let requests = 700 - (200.0 * angle.cos()) as i64 + noise();
            let requests = match (shop, day) {
                ("uk", 5) => requests / 5,
                ("us", 6) if (72..78).contains(&slot) => requests * 2,
                _ => requests,
            };
            total = if step == 5 * PER_DAY { requests } else { total + requests };
            let at = first.checked_add_days(Days::new(day as u64)).unwrap().and_hms_opt(0, 0, 30).unwrap();
            let at = at + TimeDelta::minutes(10 * slot);
            writeln!(text, "{},{shop},{requests},{total}", at.format("%Y-%m-%d %H:%M:%S")).unwrap();
        }
    }
    // by time, as a stream would have them
    let (header, rows) = text.split_once('\n').unwrap();
    let mut rows: Vec<&str> = rows.lines().collect();
    rows.sort_unstable();
    fs::write(directory.join("in.csv"), format!("{header}\n{}\n", rows.join("\n"))).unwrap();
}

/// A configuration with these measures and calendars.
fn write_config(directory: &Path, out: &str, rules: &str) -> String {
    let place = directory.display();
    let text = format!(
        "[source.files]\npath = '{place}/in.csv'\n[decode]\nformat = 'csv'\n[select]\ntimestamp = 'at'\n\
         dimensions = ['shop']\nmeasures = ['requests', 'total']\n[interval]\nlength = '10m'\n\
         [partition]\nurl = '{place}/{out}'\n{rules}"
    );
    let path = directory.join(format!("{out}.toml"));
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The anomalies that a run with these rules finds: date, measure and shop of each finding.
fn found(directory: &Path, out: &str, rules: &str) -> Vec<(String, String, String)> {
    let config = write_config(directory, out, rules);
    tidewatch(&["run", &config]).good();
    let table = tidewatch(&["anomalies", &config, "--format", "json"]).good();
    let mut found = Vec::new();
    for group in table.lines() {
        let group: AnomalyGroup = serde_json::from_str(group).unwrap();
        for finding in &group.findings {
            let (_, shop) = finding.dimensions.iter().next().unwrap();
            found.push((group.interval.date().to_string(), group.measure.clone(), shop.to_owned()));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn finding(date: &str, measure: &str, shop: &str) -> (String, String, String) {
    (date.to_owned(), measure.to_owned(), shop.to_owned())
}

const REQUESTS: &str = "[[detect.measure]]\ncolumn = 'requests'\n";
const HOLIDAY: &str = "[[detect.calendar]]\nname = 'holiday'\ndates = [2026-11-07]\ndimensions = { shop = ['uk'] }\n";

#[test]
fn small_changes_and_holidays_are_not_told() {
    let directory = tempfile::tempdir().unwrap();
    write_records(directory.path());
    let found = |out: &str, rules: &str| found(directory.path(), out, rules);
    let (holiday, rise) = (finding("2026-11-07", "requests", "uk"), finding("2026-11-08", "requests", "us"));

    let plain = found("plain", REQUESTS);
    assert!(plain.contains(&holiday) && plain.contains(&rise), "{plain:?}");
    assert_eq!(found("holiday", &format!("{REQUESTS}{HOLIDAY}")), std::slice::from_ref(&rise));
    // twice as many are some 900 more
    let small = found("small", &format!("{REQUESTS}min_change = 1100\n{HOLIDAY}"));
    assert_eq!(small, []);
    assert_eq!(found("ratio", &format!("{REQUESTS}min_change_ratio = 1.5\n{HOLIDAY}")), []);
    assert_eq!(found("low", &format!("{REQUESTS}direction = 'low'\n{HOLIDAY}")), []);
    assert_eq!(found("high", &format!("{REQUESTS}direction = 'high'\n{HOLIDAY}")), [rise]);
}

#[test]
fn a_counter_is_judged_by_its_increase() {
    let directory = tempfile::tempdir().unwrap();
    write_records(directory.path());
    let counter = "[[detect.measure]]\ncolumn = 'total'\naggregation = 'max'\ncounter = true\n";
    let found = found(directory.path(), "counter", &format!("{counter}{HOLIDAY}"));
    assert_eq!(found, [finding("2026-11-08", "total_increase", "us")]);
}

#[test]
fn a_detector_goes_on_with_a_holiday_to_come_and_is_refused_with_another_past() {
    let directory = tempfile::tempdir().unwrap();
    write_records(directory.path());
    let run = |rules: &str| tidewatch(&["run", &write_config(directory.path(), "state", rules)]);
    run(&format!("{REQUESTS}{HOLIDAY}")).good();
    let to_come = HOLIDAY.replace("'holiday'", "'to come'").replace("2026-11-07", "2026-12-25");
    run(&format!("{REQUESTS}{HOLIDAY}{to_come}")).good();
    let refused = run(REQUESTS).refused();
    assert!(refused.contains("calendars for the time up to 2026-11-08") && refused.contains("--rebuild"), "{refused}");
    let refused = run(&format!("{REQUESTS}min_change = 5\n{HOLIDAY}")).refused();
    let words =
        "has measure `requests` `sum of column 0`, the settings say `sum of column 0, changes up to 5 are ignored`";
    assert!(refused.contains(words), "{refused}");

    let checked = tidewatch(&["check", &write_config(directory.path(), "state", REQUESTS)]).good();
    assert!(
        checked.contains("warning: the detector in") && checked.contains("calendars for the time up to"),
        "{checked}"
    );
    let checked =
        tidewatch(&["check", &write_config(directory.path(), "state", &format!("{REQUESTS}{HOLIDAY}"))]).good();
    let line = "calendars  `holiday`: 1 stretch, the first from 2026-11-07T00:00:00Z: shop uk";
    assert!(checked.contains(line) && !checked.contains("warning"), "{checked}");
}
