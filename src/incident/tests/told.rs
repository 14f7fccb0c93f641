//! When somebody is told: reminders, silences, quiet hours, caps, what people say of incidents.

use super::*;

#[test]
fn somebody_is_reminded_until_they_attend() {
    // not steady, so that it is no new level
    let plot = |_: &str, market: &str, _: &str, step: i64| {
        let size = if step / 12 % 2 == 0 { 0.1 } else { 0.6 };
        (Some(if market == "uk" && step >= 20 { size * USUAL } else { USUAL }), USUAL)
    };
    let mut world = World::new(Rules { expire_after: Duration::from_secs(80 * 3600), ..rules() });
    let notices = world.run(0..20 + 288 * 3, &plot);
    let hours: Vec<i64> = notices
        .iter()
        .filter(|notice| notice.kind == NoticeKind::Reminder)
        .map(|notice| (notice.time - notices[0].time).num_hours())
        .collect();
    assert_eq!(hours, [4, 12, 24, 48], "{:?}", kinds(&notices));

    let mut world = World::new(rules());
    let opened = world.run(0..30, &plot);
    world.order("a", Command::Acknowledge { incident: opened[0].thread.clone(), seen: 0 });
    let later = world.run(30..20 + 288 * 3, &plot);
    assert!(later.is_empty(), "{:?}", kinds(&later));
    let life = &world.incidents.state.lives[0];
    assert_eq!((life.acknowledged, life.state), (Some(first().offset(30).number()), IncidentState::Open));
}

#[test]
fn nobody_attends_for_two_days_and_it_is_told_no_more() {
    let plot = |_: &str, market: &str, _: &str, step: i64| {
        let size = if step / 12 % 2 == 0 { 0.1 } else { 0.6 };
        (Some(if market == "uk" && step >= 20 { size * USUAL } else { USUAL }), USUAL)
    };
    let mut world = World::new(rules());
    let notices = world.run(0..288 * 6, &plot);
    let last = (notices.last().unwrap().time - notices[0].time).num_hours();
    assert!(last < 48, "{last} h");
    assert_eq!(world.incidents.state.lives[0].state, IncidentState::Expired);
    // its end is no news either
    assert!(world.run(288 * 6..288 * 6 + 20, &usual).is_empty());
}

fn silence(name: &str, seconds: u64, matcher: Matcher) -> Command {
    Command::Silence { name: name.to_owned(), matcher, seconds }
}

#[test]
fn a_silence_holds_for_what_it_matches_until_it_ends() {
    let plot = |_: &str, market: &str, _: &str, step: i64| broken(market == "us", step >= 20);
    let of = |values: &[&str]| Matcher {
        dimensions: vec![("market".to_owned(), values.iter().map(|value| (*value).to_owned()).collect())],
        ..Matcher::default()
    };
    let mut world = World::new(rules());
    world.order("a", silence("planned", 40 * 300, of(&["uk", "us"])));
    let notices = world.run(0..60, &plot);
    assert_eq!(kinds(&notices), [NoticeKind::Opened]);
    assert_eq!(notices[0].time, first().offset(40).start(), "when the silence ends");
    for (matcher, told) in [
        (of(&["uk"]), 1),
        (Matcher { direction: Some(Direction::High), ..Matcher::default() }, 1),
        (Matcher { measures: vec!["views".to_owned()], ..Matcher::default() }, 0),
    ] {
        let mut world = World::new(rules());
        world.order("a", silence("planned", 86_400, matcher.clone()));
        assert_eq!(world.run(0..60, &plot).len(), told, "{matcher:?}");
    }
    let mut world = World::new(rules());
    world.order("a", silence("planned", 86_400, Matcher::default()));
    assert!(world.run(0..30, &plot).is_empty());
    world.order("b", Command::Unsilence { name: "planned".to_owned() });
    assert_eq!(world.run(30..40, &plot).len(), 1);
}

#[test]
fn a_maintenance_window_of_the_configuration_keeps_still() {
    let plot = |_: &str, market: &str, _: &str, step: i64| broken(market == "us", (20..40).contains(&step));
    let at = |step: i64| Zone::UTC.to_instant(first().offset(step).start()).unwrap();
    for (from, to, told) in [(10, 100, 0), (10, 30, 2), (100, 110, 2)] {
        let calendar = Calendar::new("move", vec![Stretch::new(at(from), at(to)).unwrap()]).unwrap();
        let silences = vec![Silence { matcher: Matcher::default(), calendar }];
        let notices = World::new(Rules { silences, ..rules() }).run(0..60, &plot);
        assert_eq!(notices.len(), told, "{from} to {to}");
    }
}

#[test]
fn in_quiet_hours_what_is_not_severe_waits_for_one_digest() {
    let plot = |_: &str, market: &str, _: &str, step: i64| match market {
        "us" => broken(true, (20..30).contains(&step)),
        "uk" => broken(true, (25..200).contains(&step)),
        _ => broken(false, false),
    };
    // Monday, 00:00 to 06:00
    let weekly = vec![Weekly::new(0, 6 * 60).unwrap()];
    let calendar = Calendar::weekly("quiet", weekly, Zone::UTC, Stretch::new(Timestamp::MIN, Timestamp::MAX).unwrap());
    let quiet = |severity_threshold| {
        let quiet_hours = Some(QuietHours { calendar: calendar.clone().unwrap(), severity_threshold });
        let remind_after = vec![Duration::from_secs(86_400)];
        World::new(Rules { quiet_hours, remind_after, ..rules() }).run(0..150, &plot)
    };
    let notices = quiet(100.0);
    assert_eq!(kinds(&notices), [NoticeKind::Digest]);
    assert_eq!(notices[0].time, first().offset(72).start());
    assert_eq!(notices[0].title, "3 notices about 2 incidents");
    assert_eq!(kinds(&quiet(0.0)), [NoticeKind::Opened, NoticeKind::Opened, NoticeKind::Resolved]);
}

#[test]
fn beyond_the_cap_of_an_hour_there_is_one_digest() {
    let plot = |_: &str, market: &str, platform: &str, step: i64| {
        let at = MARKETS.iter().position(|name| *name == market).unwrap() as i64;
        // series of their own, one after the other
        let is_one = PLATFORMS[(at % 5) as usize] == platform;
        broken(is_one, step >= 20 + 3 * at)
    };
    let notices = World::new(Rules { notices_per_hour: 2, ..rules() }).run(0..60, &plot);
    let kinds = kinds(&notices);
    assert_eq!(kinds.iter().filter(|kind| **kind == NoticeKind::Digest).count(), 1, "{kinds:?}");
    let digest = notices.iter().find(|notice| notice.kind == NoticeKind::Digest).unwrap();
    assert_eq!(digest.long_text.lines().count(), 3, "{}", digest.long_text);
}

#[test]
fn what_people_expect_weighs_less_and_what_was_useful_more() {
    let plot = |_: &str, market: &str, _: &str, step: i64| broken(market == "us", step % 288 >= 20 && step % 288 < 40);
    let severity = |opinion: Option<Opinion>, market: &str| {
        let mut world = World::new(rules());
        let opened = world.run(0..60, &plot);
        if let Some(opinion) = opinion {
            let dimensions = Dimensions::of([("market".to_owned(), market.to_owned())]);
            let about = About { measure: "views".to_owned(), dimensions, direction: Direction::Low };
            let (incident, since) = (opened[0].thread.clone(), opened[0].time);
            world.order("a", Command::Feedback { incident, about: vec![about], since, opinion });
        }
        let later = world.run(60..360, &plot);
        assert_eq!(later.len(), 2);
        later[0].severity
    };
    let plain = severity(None, "us");
    assert!((severity(Some(Opinion::Expected), "us") - plain + 15.0).abs() < 1.0);
    assert!((severity(Some(Opinion::Useful), "us") - plain - 15.0).abs() < 1.0);
    assert_eq!(severity(Some(Opinion::WrongCause), "us"), plain);
    assert_eq!(severity(Some(Opinion::Expected), "uk"), plain, "another slice");
    assert_eq!((shifted(95.0, -15.0), shifted(89.0, -15.0), shifted(95.0, 15.0)), (95.0, 74.0, 100.0));
}
