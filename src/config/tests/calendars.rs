//! What is not to be told: margins, sides, calendars.

use super::*;

#[test]
fn what_is_not_to_be_told_is_read() {
    use crate::detect::{Margin, Sides};
    let detect = |text: &str| good(&format!("{GOOD}{text}")).detect;
    let plain = detect("[[detect.measure]]\ncolumn = 'views'\n");
    assert_eq!((plain.measures[0].margin, plain.measures[0].is_counter), (Margin::NONE, false));
    let ruled = detect(
        "[[detect.measure]]\ncolumn = 'views'\nmin_change = 5\nmin_change_ratio = 0.25\ndirection = 'low'\n\
         [[detect.measure]]\ncolumn = 'views'\naggregation = 'max'\ncounter = true\n",
    );
    assert_eq!(ruled.measures[0].margin, Margin::new(5.0, 0.25, Sides::Low).unwrap());
    assert_eq!((&*ruled.measures[1].name, ruled.measures[1].is_counter), ("views_increase", true));
}

#[test]
fn what_is_wrong_with_margins_is_told() {
    let wrong = problems(&format!(
        "{GOOD}[[detect.measure]]\ncolumn = 'views'\nmin_change = -1\nmin_change_ratio = 1e3\ndirection = 'hihg'\n\
         counter = true\nmin_chnge = 1\n"
    ));
    assert_eq!(
        wrong,
        [
            "line 12: `detect.measure[0].min_change` is `-1`, allowed is a number from 0 to 1000000000000000",
            "line 13: `detect.measure[0].min_change_ratio` is `1e3`, allowed is a number from 0 to 100",
            "line 14: `detect.measure[0].direction` is `hihg`, allowed is `both` or `high` or `low`; \
             hint: did you mean `high`?",
            "line 15: `detect.measure[0].counter` is for the largest value of an interval, not for `sum`; \
             hint: set `aggregation = \"max\"`",
            "line 16: `detect.measure[0].min_chnge` is unknown; hint: did you mean `min_change`?",
        ]
    );
}

#[test]
fn calendars_are_days_windows_and_weeks() {
    use crate::detect::{Calendar, Stretch, Weekly};
    use crate::model::{Timestamp, Zone};
    let at = |text: &str| {
        let instant = chrono::DateTime::parse_from_rfc3339(text).unwrap();
        Timestamp::from_micros(instant.timestamp_micros()).unwrap()
    };
    let stretch = |from: &str, to: &str| Stretch::new(at(from), at(to)).unwrap();
    let calendars = |text: &str| good(&format!("{GOOD}{text}")).detect.calendars;
    let berlin = "[interval]\ntimezone = 'Europe/Berlin'\n";

    // quoted, or as TOML writes dates; in the zone of the intervals, or its own
    let days = calendars(&format!(
        "{berlin}[[detect.calendar]]\nname = 'a'\ndates = ['2026-07-01', 2026-10-25]\n\
         [[detect.calendar]]\nname = 'b'\ndates = '2026-07-01'\ntimezone = 'UTC'\neffect = 'ignore'\n"
    ));
    let july = stretch("2026-06-30T22:00:00Z", "2026-07-01T22:00:00Z");
    let long = stretch("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    let utc = stretch("2026-07-01T00:00:00Z", "2026-07-02T00:00:00Z");
    assert_eq!(days, [Calendar::new("a", vec![july, long]).unwrap(), Calendar::new("b", vec![utc]).unwrap()]);

    for (from, to) in [
        ("'2026-07-01 10:00'", "'2026-07-01 12:30'"),
        ("'2026-07-01T10:00'", "2026-07-01T12:30:00"),
        ("2026-07-01T08:00:00Z", "'2026-07-01T12:30:00+02:00'"),
    ] {
        let text = format!("{berlin}[[detect.calendar]]\nname = 'w'\nfrom = {from}\nto = {to}\n");
        let window = stretch("2026-07-01T08:00:00Z", "2026-07-01T10:30:00Z");
        assert_eq!(calendars(&text), [Calendar::new("w", vec![window]).unwrap()], "{from} {to}");
    }

    let weeks = calendars(
        "[[detect.calendar]]\nname = 'w'\nweekly = ['sat 22:00-sun 24:00', 'Mon 00:00 - mon 00:30']\n\
         from = '2026-07-01 00:00'\ndimensions = { shop = ['a', 'b'] }\n",
    );
    let weekly = vec![Weekly::new((5 * 24 + 22) * 60, 0).unwrap(), Weekly::new(0, 30).unwrap()];
    let within = Stretch::new(at("2026-07-01T00:00:00Z"), Timestamp::MAX).unwrap();
    let week = Calendar::weekly("w", weekly, Zone::UTC, within).unwrap();
    assert_eq!(weeks, [week.only(vec![("shop".into(), vec!["a".into(), "b".into()])])]);
}

#[test]
fn what_is_wrong_with_calendars_is_told() {
    let wrong = |text: &str| {
        let problems = problems(&format!("{GOOD}[[detect.calendar]]\n{text}\n"));
        let short = |problem: &String| {
            let (line, rest) = problem.split_once(": ").unwrap();
            assert!(line.starts_with("line 1"), "{problem}");
            rest.replace("detect.calendar[0].", "")
        };
        problems.iter().map(short).collect::<Vec<_>>()
    };
    let time = "which is no time; hint: for example \"2026-12-24 18:00\", local, or \"2026-12-24T18:00:00Z\"; \
                whole days are `dates`";
    let at_all = "`detect.calendar[0]` has no time; hint: give it `dates`, or `from` and `to`, or `weekly`";
    let allowed = "allowed are two weekdays (mon to sun) with times, such as \"sat 22:00-sun 04:00\"";
    for (text, expected) in [
        ("name = 'a'", vec![at_all.to_owned()]),
        ("dates = '2026-12-25'", vec!["`name` is missing; hint: for example `name = \"holidays\"`".to_owned()]),
        (
            "name = 'a'\ndates = ['2026-02-30', '26-1-1']",
            ["2026-02-30", "26-1-1"]
                .map(|date| format!("`dates` has `{date}`, which is no date; hint: for example \"2026-12-25\""))
                .to_vec(),
        ),
        ("name = 'a'\ndates = []", vec!["`dates` is empty; hint: fill it, or leave it out".to_owned()]),
        (
            "name = 'a'\nfrom = '2026-12-24 18:00'",
            vec!["`to` is missing; hint: for example `to = \"2026-12-24 18:00\"`".to_owned()],
        ),
        (
            "name = 'a'\nfrom = '2026-12-24 18:00'\nto = '2026-12-24 17:00'",
            vec![
                "`to` ends at 2026-12-24T17:00:00Z, which is not after its begin at 2026-12-24T18:00:00Z; \
                 hint: swap them, or choose a later end"
                    .to_owned(),
            ],
        ),
        (
            "name = 'a'\nfrom = '2026-12-24 18:00'\nto = '2026-12-24T18:00:00Z'",
            vec![
                "`to` ends at 2026-12-24T18:00:00Z, which is not after its begin at 2026-12-24T18:00:00Z; \
                 hint: swap them, or choose a later end"
                    .to_owned(),
            ],
        ),
        (
            "name = 'a'\nfrom = '2026-12-24'\nto = 'soon'",
            vec![format!("`from` is `2026-12-24`, {time}"), format!("`to` is `soon`, {time}")],
        ),
        (
            "name = 'a'\nweekly = ['sat 22:00', 'sat 25:00-sun 04:00', 'mon 1:00-mon 02:00']",
            ["sat 22:00", "sat 25:00-sun 04:00", "mon 1:00-mon 02:00"]
                .map(|text| format!("`weekly` has `{text}`, {allowed}"))
                .to_vec(),
        ),
        (
            "name = 'a'\nweekly = 'mon 00:00-sun 24:00'",
            vec![
                "`weekly` has `mon 00:00-sun 24:00`, which ends where it begins; hint: write it as two, such as \
                 `mon 00:00-thu 00:00` and `thu 00:00-mon 00:00`"
                    .to_owned(),
            ],
        ),
        (
            "name = 'a'\ndates = '2026-12-25'\nweekly = 'sat 22:00-sun 04:00'",
            vec!["`weekly` stands beside `dates`; hint: make two calendars of them".to_owned()],
        ),
        (
            "name = 'a'\ndates = '2026-12-25'\ndimensions = { shpo = ['a'], shop = [] }",
            vec![
                "`dimensions` names `shpo`, which is not among `select.dimensions`; hint: did you mean `shop`?"
                    .to_owned(),
                "`dimensions` has `shop` with no value, which would ignore nothing".to_owned(),
            ],
        ),
        (
            "name = 'a'\ndates = '2026-12-25'\ntimezone = 'Europe/Berln'\neffect = 'mute'\ndate = '2026-12-26'",
            vec![
                "`timezone` `Europe/Berln` is not a time zone; hint: did you mean `Europe/Berlin`?".to_owned(),
                "`effect` is `mute`, allowed is `ignore`".to_owned(),
                "`date` is unknown; hint: did you mean `dates`?".to_owned(),
            ],
        ),
    ] {
        let mut said = wrong(text);
        let mut expected = expected;
        said.sort();
        expected.sort();
        assert_eq!(said, expected, "{text}");
    }
    let twice = "[[detect.calendar]]\nname = 'a'\ndates = '2026-12-25'\n".repeat(2);
    let twice = problems(&format!("{GOOD}{twice}"));
    assert!(
        twice.len() == 1 && twice[0].contains("has two calendars named `a`; hint: give one another `name`"),
        "{twice:?}"
    );
}
