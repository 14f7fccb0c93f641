//! Which intervals belong to a calendar, and what of it is past.

use super::*;
use crate::model::Length;
use chrono::NaiveDateTime;

fn zone(name: &str) -> Zone {
    Zone::from_name(name).unwrap()
}

/// An interval of five minutes, by its local begin.
fn interval(text: &str) -> Interval {
    let start = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
    Interval::starting(start, Length::from_seconds(300).unwrap()).unwrap()
}

fn instant(text: &str) -> Timestamp {
    Zone::UTC.to_instant(NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap()).unwrap()
}

fn stretch(from: &str, to: &str) -> Stretch {
    Stretch::new(instant(from), instant(to)).unwrap()
}

fn all(calendars: Vec<Calendar>, zone: Zone) -> Calendars {
    Calendars::new(calendars, &["marketplace".to_owned(), "platform".to_owned()], zone).unwrap()
}

fn is_ignored(calendars: &Calendars, at: &str) -> bool {
    calendars.at(interval(at)).ignores(&SeriesKey::new(["us", "web"]))
}

#[test]
fn an_interval_that_a_stretch_touches_belongs_to_it() {
    let window = Calendar::new("window", vec![stretch("2026-12-24 18:02", "2026-12-24 19:00")]).unwrap();
    let calendars = all(vec![window], Zone::UTC);
    for (at, expected) in
        [("17:55", false), ("18:00", true), ("18:05", true), ("18:55", true), ("19:00", false), ("19:05", false)]
    {
        assert_eq!(is_ignored(&calendars, &format!("2026-12-24 {at}")), expected, "{at}");
    }
}

#[test]
fn stretches_are_instants_whatever_clocks_do() {
    // clocks in Berlin are set back from 3:00 to 2:00 at 01:00 UTC
    let during = Calendar::new("during", vec![stretch("2026-10-25 00:30", "2026-10-25 01:30")]).unwrap();
    let calendars = all(vec![during], zone("Europe/Berlin"));
    assert!(!is_ignored(&calendars, "2026-10-25 01:55"));
    // these intervals hold the rows of both hours, of which the window has a half each
    assert!(is_ignored(&calendars, "2026-10-25 02:00") && is_ignored(&calendars, "2026-10-25 02:55"));
    assert!(!is_ignored(&calendars, "2026-10-25 03:00"));
    // and set forward from 2:00 to 3:00 at 01:00 UTC
    let spring = Calendar::new("spring", vec![stretch("2026-03-29 00:30", "2026-03-29 01:30")]).unwrap();
    let calendars = all(vec![spring], zone("Europe/Berlin"));
    for (at, expected) in [("01:25", false), ("01:30", true), ("03:25", true), ("03:30", false)] {
        assert_eq!(is_ignored(&calendars, &format!("2026-03-29 {at}")), expected, "{at}");
    }
}

#[test]
fn a_week_comes_round() {
    let minute = |day: u32, hour: u32| (day * 24 + hour) * 60;
    let weekly = |begin, end, name| {
        Calendar::weekly("w", vec![Weekly::new(begin, end).unwrap()], zone(name), Stretch::ALWAYS).unwrap()
    };
    // Saturday 22:00 to Monday 04:00, over the end of the week; 2026-11-21 is a Saturday
    let over = all(vec![weekly(minute(5, 22), minute(0, 4), "UTC")], Zone::UTC);
    for (at, expected) in [
        ("2026-11-21 21:55", false),
        ("2026-11-21 22:00", true),
        ("2026-11-22 12:00", true),
        ("2026-11-23 03:55", true),
        ("2026-11-23 04:00", false),
        ("2026-11-27 22:00", false),
        ("2026-11-28 22:00", true),
        ("1969-12-27 22:00", true),
        ("1969-12-27 21:55", false),
    ] {
        assert_eq!(is_ignored(&over, at), expected, "{at}");
    }
    // the same wall clock in summer and in winter, seen from another zone
    let berlin = all(vec![weekly(minute(0, 9), minute(0, 10), "Europe/Berlin")], Zone::UTC);
    for (at, expected) in [
        ("2026-07-06 06:55", false),
        ("2026-07-06 07:00", true),
        ("2026-07-06 08:00", false),
        ("2026-11-23 07:55", false),
        ("2026-11-23 08:00", true),
        ("2026-11-23 09:00", false),
    ] {
        assert_eq!(is_ignored(&berlin, at), expected, "{at}");
    }
    // a stretch within an interval
    let short = Weekly::new(minute(0, 9) + 1, minute(0, 9) + 3).unwrap();
    let short = all(vec![Calendar::weekly("s", vec![short], Zone::UTC, Stretch::ALWAYS).unwrap()], Zone::UTC);
    assert!(is_ignored(&short, "2026-11-23 09:00") && !is_ignored(&short, "2026-11-23 08:55"));
}

#[test]
fn a_calendar_may_be_about_some_series() {
    let window = || Calendar::new("window", vec![stretch("2026-12-24 00:00", "2026-12-25 00:00")]).unwrap();
    let only = |name: &str, values: &[&str]| (name.to_owned(), values.iter().map(|v| (*v).to_owned()).collect());
    let calendars =
        all(vec![window().only(vec![only("platform", &["app", "tv"]), only("marketplace", &["us"])])], Zone::UTC);
    let active = calendars.at(interval("2026-12-24 10:00"));
    for (key, expected) in [(["us", "app"], true), (["us", "web"], false), (["de", "tv"], false)] {
        assert_eq!(active.ignores(&SeriesKey::new(key)), expected, "{key:?}");
    }
    assert!(!active.ignores_all());
    assert!(all(vec![window()], Zone::UTC).at(interval("2026-12-24 10:00")).ignores_all());
    let unknown = Calendars::new(vec![window().only(vec![only("shop", &["a"])])], &["platform".into()], Zone::UTC);
    assert_eq!(unknown, Err(CalendarError::Dimension("shop".into())));
}

#[test]
fn a_calendar_has_time() {
    let at = instant("2026-12-24 00:00");
    assert_eq!(Stretch::new(at, at), Err(CalendarError::Empty { from: at, to: at }));
    assert!(Stretch::new(at, instant("2026-12-23 00:00")).is_err());
    assert_eq!(Calendar::new("none", vec![]), Err(CalendarError::Never));
    assert_eq!(Calendar::weekly("none", vec![], Zone::UTC, Stretch::ALWAYS), Err(CalendarError::Never));
    assert_eq!(Weekly::new(7, 7), Err(CalendarError::WholeWeek));
    assert_eq!(Weekly::new(0, 7 * 1440), Err(CalendarError::Minute(7 * 1440)));
}

#[test]
fn the_mark_tells_of_the_past_alone() {
    let past = || stretch("2026-11-01 00:00", "2026-11-02 00:00");
    let calendars = |stretches| all(vec![Calendar::new("name", stretches).unwrap()], Zone::UTC);
    let last = Some(interval("2026-11-20 10:00"));
    let mark = |stretches| calendars(stretches).mark(last);
    assert_eq!(Calendars::default().mark(last), 0);
    assert_eq!(mark(vec![stretch("2026-12-24 00:00", "2026-12-25 00:00")]), 0, "what is to come");
    assert_eq!(calendars(vec![past()]).mark(None), 0, "nothing has come yet");
    let one = mark(vec![past()]);
    assert_ne!(one, 0);
    assert_eq!(mark(vec![stretch("2026-12-24 00:00", "2026-12-25 00:00"), past()]), one);
    assert_ne!(mark(vec![stretch("2026-11-01 00:00", "2026-11-03 00:00")]), one);
    // a window that goes on may be made longer, or end now
    let on = mark(vec![stretch("2026-11-20 09:00", "2026-11-20 11:00")]);
    assert_eq!(mark(vec![stretch("2026-11-20 09:00", "2026-11-20 14:00")]), on);
    assert_eq!(mark(vec![stretch("2026-11-20 09:00", "2026-11-20 10:05")]), on);
    assert_ne!(mark(vec![stretch("2026-11-20 09:00", "2026-11-20 10:00")]), on);
    // the name is nothing that is learned
    let other = all(vec![Calendar::new("other", vec![past()]).unwrap()], Zone::UTC);
    assert_eq!(other.mark(last), one);
    let weekly = |within| {
        let weekly = vec![Weekly::new(0, 60).unwrap()];
        all(vec![Calendar::weekly("w", weekly, Zone::UTC, within).unwrap()], Zone::UTC).mark(last)
    };
    assert_ne!(weekly(Stretch::ALWAYS), 0);
    assert_eq!(weekly(stretch("2026-11-21 00:00", "2027-11-21 00:00")), 0, "from tomorrow on");
}
