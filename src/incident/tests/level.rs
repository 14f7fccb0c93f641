//! Levels that stay: what is told of one, and what of that which comes after.

use super::*;

/// France goes to `0.6` and the forecast follows within hours; from then on as the function says, of platform and hours
/// since: value and expected value, in shares of what was usual.
fn told(after: &dyn Fn(&str, f64) -> (f64, f64)) -> Vec<Notice> {
    let plot = |_: &str, market: &str, platform: &str, step: i64| {
        let (value, expected) = match (market, step) {
            ("fr", 20..60) => (0.6, 1.0),
            ("fr", 60..96) => (0.6, 0.6),
            ("fr", 96..) => after(platform, (step - 96) as f64 / 12.0),
            _ => (1.0, 1.0),
        };
        (Some(value * USUAL).filter(|value| *value > 0.0), expected * USUAL)
    };
    let mut world = World { restores: true, ..World::new(rules()) };
    let notices = world.run(0..340, &plot);
    assert_eq!(kinds(&notices[..2]), [NoticeKind::Opened, NoticeKind::LevelShift], "{notices:#?}");
    notices[2..].to_vec()
}

#[test]
fn what_the_forecast_has_not_learned_yet_is_part_of_the_level() {
    // at some hours it expects the level before, of all or of some
    let all = |_: &str, hours: f64| (0.6, if (4.0..6.0).contains(&hours) { 1.0 } else { 0.6 });
    assert_eq!(told(&all), []);
    let one = |platform: &str, hours: f64| (0.6, if platform == "tv" && hours > 4.0 { 1.0 } else { 0.6 });
    assert_eq!(told(&one), []);
    // and where it has gone too far, the value is no other
    let beyond = |_: &str, hours: f64| (0.6, if hours < 2.0 { 0.4 } else { 0.6 });
    assert_eq!(told(&beyond), []);
}

#[test]
fn a_further_change_is_another_incident() {
    for (name, after) in [
        (
            "as much again",
            (|_: &str, hours| (if hours < 3.0 { 0.6 } else { 0.36 }, 0.6)) as fn(&str, f64) -> (f64, f64),
        ),
        ("back", |_, hours| (if hours < 3.0 { 0.6 } else { 1.0 }, 0.6)),
        ("one of its series sends nothing", |platform, hours| {
            (if platform == "tv" && hours >= 3.0 { 0.0 } else { 0.6 }, 0.6)
        }),
    ] {
        let notices = told(&after);
        assert_eq!(notices.first().map(|notice| notice.kind), Some(NoticeKind::Opened), "{name}: {notices:#?}");
        assert!(notices[0].time <= first().offset(96 + 36 + 1).start(), "{name}: {}", notices[0].time);
    }
}

#[test]
fn a_level_is_in_a_digest_only_where_all_are_told_of_it() {
    let plot = |_: &str, market: &str, _: &str, step: i64| match (market, step) {
        ("fr", 20..60) => (Some(0.6 * USUAL), USUAL),
        ("fr", 60..) => (Some(0.6 * USUAL), 0.6 * USUAL),
        _ => broken(false, false),
    };
    let calendar = |from| {
        let from = Zone::UTC.to_instant(first().offset(from).start()).unwrap();
        Calendar::new("quiet", vec![Stretch::new(from, Timestamp::MAX).unwrap()]).unwrap()
    };
    for (tell_level_shift, expected) in
        [(true, vec![NoticeKind::Opened]), (false, vec![NoticeKind::Opened, NoticeKind::LevelShift])]
    {
        let quiet_hours = Some(QuietHours { calendar: calendar(50), severity_threshold: 100.0 });
        let notices = World::new(Rules { quiet_hours, tell_level_shift, ..rules() }).run(0..100, &plot);
        assert_eq!(kinds(&notices), expected, "{tell_level_shift}");
    }
}

#[test]
fn the_noise_of_a_small_series_is_no_further_change() {
    // one is further below than the level of all
    let plot = |_: &str, market: &str, platform: &str, step: i64| {
        let (value, expected) = match (market, step) {
            ("fr", 20..60) => (0.6, 1.0),
            ("fr", 110..113) if platform == "tv" => (0.1, 1.0),
            ("fr", 60..) => (0.6, 0.6),
            _ => (1.0, 1.0),
        };
        let usual = if platform == "tv" { 0.3 * USUAL } else { USUAL };
        (Some(value * usual), expected * usual)
    };
    let notices = World::new(rules()).run(0..200, &plot);
    assert_eq!(kinds(&notices), [NoticeKind::Opened, NoticeKind::LevelShift], "{notices:#?}");
}
