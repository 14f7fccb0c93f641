//! Incidents over made-up verdicts: what is sighted comes from the search for causes, as in a job.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::memory::LIVES_MAX;
use super::*;
use crate::explain;
use crate::model::{
    Calendar, Dimensions, EndReason, LateFindings, Length, Notice, NoticeKind, PointState, SeriesKey, Stretch,
    Timestamp, Weekly, Zone,
};

const MARKETS: [&str; 6] = ["de", "es", "fr", "it", "uk", "us"];
const PLATFORMS: [&str; 5] = ["app", "mobile", "tablet", "tv", "web"];
/// Expected of each series, and how far it may be from it.
const USUAL: f64 = 100.0;
const ROOM: f64 = 12.0;

fn names() -> Vec<String> {
    vec!["market".to_owned(), "platform".to_owned()]
}

fn first() -> Interval {
    // 2024-03-04, a Monday
    Interval::containing(86_400_000_000 * 19_786, Length::from_seconds(300).unwrap())
}

fn rules() -> Rules {
    Rules { severity_threshold: 0.0, ..Rules::default() }
}

/// What a series gives in an interval: measure, market, platform and the step; none where it gives nothing. And what is
/// expected of it.
type Plot<'a> = &'a dyn Fn(&str, &str, &str, i64) -> (Option<f64>, f64);

struct World {
    incidents: Incidents,
    settings: Settings,
    measures: Vec<&'static str>,
    since: BTreeMap<(String, SeriesKey), i64>,
    /// Whether the state is written and read between intervals.
    restores: bool,
    /// Whether measures add up.
    adds_up: bool,
}

impl World {
    fn new(rules: Rules) -> World {
        let settings = Settings::new(names(), first().length(), Zone::UTC, rules);
        World {
            incidents: Incidents::new(settings.clone()),
            settings,
            measures: vec!["views"],
            since: BTreeMap::new(),
            restores: false,
            adds_up: true,
        }
    }

    fn points(&mut self, step: i64, plot: Plot<'_>) -> Vec<Point> {
        let interval = first().offset(step);
        let mut points = Vec::new();
        for measure in self.measures.clone() {
            for (at, (market, platform)) in
                MARKETS.iter().flat_map(|market| PLATFORMS.iter().map(move |platform| (market, platform))).enumerate()
            {
                let key = SeriesKey::new([*market, *platform]);
                let (value, expected) = plot(measure, market, platform, step);
                // a small noise that is the same in every run
                let noise = ((step * 31 + at as i64 * 17) % 7 - 3) as f64;
                let value = value.map(|value| value + noise);
                let off = value.unwrap_or(0.0) - expected;
                let place = (measure.to_owned(), key.clone());
                let state = if off.abs() > ROOM {
                    let since = *self.since.entry(place).or_insert(step);
                    let direction = if off > 0.0 { Direction::High } else { Direction::Low };
                    PointState::Anomalous { direction, since: first().offset(since) }
                } else {
                    self.since.remove(&place);
                    PointState::Normal
                };
                let is_odd = matches!(state, PointState::Anomalous { .. });
                points.push(Point {
                    interval,
                    key,
                    measure: Arc::from(measure),
                    value,
                    expected,
                    lower: expected - ROOM,
                    upper: expected + ROOM,
                    score: if is_odd { 6.0 } else { 0.0 },
                    severity: if is_odd { 60.0 } else { 0.0 },
                    state,
                });
            }
        }
        points
    }

    fn step(&mut self, step: i64, plot: Plot<'_>) -> IncidentChanges {
        let points = self.points(step, plot);
        let nature = if self.adds_up { explain::Nature::AddsUp } else { explain::Nature::Apart };
        let groups = explain::groups(&points, &names(), |_| nature);
        let rows = points.iter().filter(|point| point.value.is_some()).count() as u64 * 100;
        let interval = first().offset(step);
        let seen = Seen { interval, rows, groups: &groups, points: &points, adds_up: &|_| self.adds_up };
        let changes = self.incidents.observe(&seen);
        assert_eq!(self.incidents.observe(&seen), IncidentChanges::default(), "an interval is taken once");
        if self.restores {
            let text = serde_json::to_string(&self.incidents.snapshot().unwrap()).unwrap();
            let value = serde_json::from_str(&text).unwrap();
            self.incidents = Incidents::restore(self.settings.clone(), &value).unwrap();
        }
        changes
    }

    fn run(&mut self, steps: std::ops::Range<i64>, plot: Plot<'_>) -> Vec<Notice> {
        steps.flat_map(|step| self.step(step, plot).notices).collect()
    }

    fn order(&mut self, name: &str, command: Command) {
        assert!(self.incidents.order(Order { name: name.to_owned(), command: command.clone() }));
        assert!(!self.incidents.order(Order { name: name.to_owned(), command }), "a command is taken once");
    }
}

fn usual(_: &str, _: &str, _: &str, _: i64) -> (Option<f64>, f64) {
    (Some(USUAL), USUAL)
}

/// Half is missing in a slice in some steps.
fn broken(is_in: bool, is_now: bool) -> (Option<f64>, f64) {
    (Some(if is_in && is_now { 0.5 * USUAL } else { USUAL }), USUAL)
}

fn kinds(notices: &[Notice]) -> Vec<NoticeKind> {
    notices.iter().map(|notice| notice.kind).collect()
}

#[test]
fn an_outage_of_a_slice_is_one_incident_told_when_it_opens_and_when_it_ends() {
    let mut world = World::new(rules());
    let plot = |_: &str, _: &str, platform: &str, step: i64| broken(platform == "web", (20..40).contains(&step));
    let notices = world.run(0..60, &plot);
    assert_eq!(kinds(&notices), [NoticeKind::Opened, NoticeKind::Resolved], "{notices:#?}");
    let opened = &notices[0];
    assert!(opened.time <= first().offset(21).start(), "within two intervals: {}", opened.time);
    assert_eq!(opened.slices.iter().map(ToString::to_string).collect::<Vec<_>>(), ["platform=web"]);
    assert_eq!(
        (opened.title.as_str(), opened.direction),
        ("views 50 % below expected at platform=web", Some(Direction::Low))
    );
    assert_eq!(opened.thread, notices[1].thread);
    assert!(opened.thread.starts_with("incident-20240304-0140-"), "{}", opened.thread);
    assert!(opened.id.ends_with("-1") && opened.id != notices[1].id);
    let until = serde_json::from_value::<Incident>(notices[1].body.clone()).unwrap().until;
    assert_eq!(until, Some(first().offset(40).start()));
}

#[test]
fn a_restored_state_says_what_one_says_that_was_never_stopped() {
    let plot = |measure: &str, market: &str, platform: &str, step: i64| {
        let now = (20..40).contains(&step) || (45..50).contains(&step);
        match (market, measure) {
            ("us", "views") => broken(true, (30..33).contains(&step)),
            _ => broken(platform == "web", now),
        }
    };
    let run = |restores| {
        let mut world = World { restores, measures: vec!["views", "orders"], ..World::new(rules()) };
        (0..90).map(|step| world.step(step, &plot)).collect::<Vec<_>>()
    };
    let whole = run(false);
    assert!(whole.iter().map(|changes| changes.notices.len()).sum::<usize>() > 3);
    assert_eq!(run(true), whole);
}

#[test]
fn a_state_of_another_version_is_refused() {
    let world = World::new(rules());
    let mut state = world.incidents.snapshot().unwrap();
    assert!(Incidents::restore(world.settings.clone(), &state).is_ok());
    state["version"] = 9.into();
    assert_eq!(Incidents::restore(world.settings.clone(), &state), Err(StateError::Version(9)));
    assert!(matches!(Incidents::restore(world.settings, &Value::Null), Err(StateError::Damaged(_))));
}

#[test]
fn disjoint_causes_are_two_incidents_unless_they_begin_together() {
    let apart = |_: &str, market: &str, platform: &str, step: i64| match (market, platform) {
        ("de", _) => broken(true, (20..40).contains(&step)),
        (_, "tv") => broken(true, (26..45).contains(&step)),
        _ => broken(false, false),
    };
    let notices = World::new(rules()).run(0..60, &apart);
    let mut threads: Vec<&str> = notices.iter().map(|notice| notice.thread.as_str()).collect();
    threads.sort_unstable();
    threads.dedup();
    assert_eq!((threads.len(), notices.len()), (2, 4), "{notices:#?}");

    let together =
        |_: &str, market: &str, _: &str, step: i64| broken(["de", "uk"].contains(&market), (20..40).contains(&step));
    let notices = World::new(rules()).run(0..60, &together);
    assert_eq!(kinds(&notices), [NoticeKind::Opened, NoticeKind::Resolved], "{notices:#?}");
    assert_eq!(notices[0].slices.len(), 2);
}

#[test]
fn another_measure_that_breaks_with_it_is_a_member() {
    let mut world = World { measures: vec!["views", "orders", "errors"], ..World::new(rules()) };
    let plot = |measure: &str, _: &str, platform: &str, step: i64| {
        let now = (20..40).contains(&step) && platform == "web";
        match measure {
            "errors" => (Some(if now { 3.0 * USUAL } else { USUAL }), USUAL),
            _ => broken(true, now),
        }
    };
    let notices = world.run(0..60, &plot);
    assert_eq!(kinds(&notices), [NoticeKind::Opened, NoticeKind::Resolved], "{notices:#?}");
    assert_eq!(notices[0].measures, ["views", "orders", "errors"]);
}

#[test]
fn one_odd_interval_of_one_series_is_not_told() {
    let plot =
        |_: &str, market: &str, platform: &str, step: i64| broken(market == "us" && platform == "web", step == 20);
    let mut world = World::new(rules());
    assert!(world.run(0..40, &plot).is_empty());
    assert!(world.incidents.state.lives.is_empty(), "it is forgotten");
    // unless it is severe
    let mut world = World::new(Rules { open_at_once: 60.0, ..rules() });
    assert_eq!(kinds(&world.run(0..40, &plot)), [NoticeKind::Opened, NoticeKind::Resolved]);
}

#[test]
fn a_level_that_the_forecast_learns_is_told_once_as_the_new_one() {
    let plot = |_: &str, market: &str, _: &str, step: i64| match (market, step) {
        ("fr", 20..60) => (Some(0.6 * USUAL), USUAL),
        ("fr", 60..) => (Some(0.6 * USUAL), 0.6 * USUAL),
        _ => broken(false, false),
    };
    let mut world = World::new(rules());
    let notices = world.run(0..600, &plot);
    assert_eq!(kinds(&notices), [NoticeKind::Opened, NoticeKind::LevelShift], "{notices:#?}");
}

#[test]
fn a_level_that_the_forecast_has_nearly_learned_is_the_new_one_and_nobody_is_reminded_of_it() {
    let plot = |_: &str, market: &str, _: &str, step: i64| match (market, step) {
        ("fr", 20..40) => (Some(3.0 * USUAL), USUAL),
        ("fr", 40..90) => (Some(3.0 * USUAL), 1.8 * USUAL),
        ("fr", 90..) => (Some(3.0 * USUAL), 2.6 * USUAL),
        _ => broken(false, false),
    };
    let notices = World::new(rules()).run(0..400, &plot);
    assert_eq!(kinds(&notices), [NoticeKind::Opened, NoticeKind::LevelShift], "{notices:#?}");
    assert_eq!(notices[1].time, first().offset(90).start());
}

#[test]
fn the_swing_back_right_after_the_end_is_part_of_it() {
    // the forecast had followed half the way, and needs a while to come back
    let plot = |_: &str, market: &str, _: &str, step: i64| match (market, step) {
        ("us", 20..30) => (Some(0.4 * USUAL), USUAL),
        ("us", 30..40) => (Some(0.4 * USUAL), 0.7 * USUAL),
        ("us", 40..56) => (Some(USUAL), 0.7 * USUAL),
        _ => broken(false, false),
    };
    let notices = World::new(rules()).run(0..80, &plot);
    assert_eq!(kinds(&notices), [NoticeKind::Opened, NoticeKind::Resolved], "{notices:#?}");
    let incident: Incident = serde_json::from_value(notices[1].body.clone()).unwrap();
    assert_eq!((incident.until, incident.duration), (Some(first().offset(40).start()), 20));
}

#[test]
fn a_slice_that_deviates_because_the_incident_does_is_no_other_incident() {
    // the forecast has gone to the new level but for one series, which is nearly all that there is of its market
    let plot = |_: &str, market: &str, platform: &str, step: i64| match (market, platform, step >= 20) {
        ("us", "web", true) => (Some(0.5 * USUAL), USUAL),
        (_, "web", true) => (Some(0.5 * USUAL), if step < 60 { USUAL } else { 0.5 * USUAL }),
        ("us", "app" | "mobile" | "tablet" | "tv", _) => (Some(0.02 * USUAL), 0.02 * USUAL),
        _ => broken(false, false),
    };
    let mut world = World::new(rules());
    let groups = explain::groups(&world.points(80, &plot), &names(), |_| explain::Nature::AddsUp);
    assert_eq!(groups[0].root_cause.causes[0].dimensions.to_string(), "market=us");
    let notices = World::new(rules()).run(0..120, &plot);
    assert!(notices.iter().all(|notice| notice.thread == notices[0].thread), "{notices:#?}");
}

#[test]
fn a_shift_that_stays_the_same_for_a_day_is_a_new_level() {
    let plot = |_: &str, market: &str, _: &str, step: i64| broken(market == "fr", step >= 20);
    let mut world = World::new(Rules { remind_after: vec![Duration::from_secs(90 * 3600)], ..rules() });
    let notices = world.run(0..288 * 3, &plot);
    assert_eq!(kinds(&notices), [NoticeKind::Opened, NoticeKind::LevelShift], "{notices:#?}");
}

#[test]
fn what_comes_and_goes_is_held_and_told_in_a_digest() {
    // a quarter of an hour bad, half an hour good, all day
    let plot =
        |_: &str, market: &str, _: &str, step: i64| broken(market == "it", step > 20 && step < 288 * 3 && step % 9 < 3);
    let mut world = World::new(rules());
    let mut by_day: BTreeMap<i64, usize> = BTreeMap::new();
    let mut ids: Vec<String> = Vec::new();
    for step in 0..288 * 4 {
        for notice in world.step(step, &plot).notices {
            *by_day.entry(step / 288).or_default() += 1;
            if notice.kind != NoticeKind::Digest {
                ids.push(notice.thread);
            }
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "one incident");
    assert!(by_day.values().all(|notices| *notices <= 3), "{by_day:?}");
}

#[test]
fn an_outage_of_the_source_is_one_incident_of_data() {
    let plot = |_: &str, market: &str, _: &str, step: i64| match step {
        // one market breaks just before
        299 if market == "us" => (Some(0.4 * USUAL), USUAL),
        300..=320 => (None, USUAL),
        // what was held up comes at once, and one forecast has suffered for good
        321 => (Some(3.0 * USUAL), USUAL),
        322..=340 if market == "it" => (Some(USUAL), 0.6 * USUAL),
        _ => (Some(USUAL), USUAL),
    };
    let mut world = World { measures: vec!["views", "orders"], ..World::new(rules()) };
    let notices = world.run(0..360, &plot);
    assert_eq!(kinds(&notices), [NoticeKind::Opened, NoticeKind::Resolved], "{notices:#?}");
    assert_eq!(notices[0].time, first().offset(300).start());
    assert!(notices[0].title.starts_with("data is missing, 100 %") && notices[0].measures == ["views", "orders"]);
    let incident: Incident = serde_json::from_value(notices[1].body.clone()).unwrap();
    assert_eq!((incident.kind, incident.duration), (IncidentKind::Data, 21));
}

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

#[test]
fn what_breaks_everywhere_is_one_incident() {
    let plot = |_: &str, _: &str, _: &str, step: i64| broken(true, (20..40).contains(&step));
    let notices = World::new(rules()).run(0..60, &plot);
    assert_eq!(kinds(&notices), [NoticeKind::Opened, NoticeKind::Resolved], "{notices:#?}");
    assert_eq!(notices[0].title, "views 50 % below expected everywhere");
}

#[test]
fn one_side_and_little_volume_can_be_left_out() {
    let plot = |_: &str, market: &str, platform: &str, step: i64| {
        broken(market == "us" && platform == "web", (20..40).contains(&step))
    };
    for (rules, told) in [
        (Rules { direction: Some(Direction::High), ..rules() }, 0),
        (Rules { direction: Some(Direction::Low), ..rules() }, 2),
        (Rules { min_volume: 150.0, ..rules() }, 0),
        (Rules { min_volume: 50.0, ..rules() }, 2),
        (Rules { severity_threshold: 90.0, ..rules() }, 0),
    ] {
        assert_eq!(World::new(rules).run(0..60, &plot).len(), told);
    }
}

#[test]
fn what_comes_back_soon_has_the_same_id_and_later_another() {
    let plot = |_: &str, market: &str, _: &str, step: i64| {
        broken(market == "us", [20..30, 38..48, 80..90].iter().any(|times| times.contains(&step)))
    };
    let notices = World::new(rules()).run(0..110, &plot);
    let ids: Vec<&str> = notices
        .iter()
        .filter(|notice| notice.kind == NoticeKind::Opened)
        .map(|notice| notice.thread.as_str())
        .collect();
    assert_eq!(ids.len(), 3, "{:?}", kinds(&notices));
    assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
    assert!(notices[2].title.starts_with("Back: "), "{}", notices[2].title);
}

#[test]
fn what_breaks_where_nothing_was_expected_can_be_kept() {
    for expected in [0.0, 1e-150] {
        let mut world = World::new(rules());
        world.restores = true;
        let plot = |_: &str, market: &str, platform: &str, step: i64| {
            let is_broken = (market, platform) == ("de", "app") && (20..30).contains(&step);
            (Some(if is_broken { 90_000.0 + step as f64 } else { 0.0 }), expected)
        };
        let told = world.run(0..40, &plot);
        assert!(told.iter().any(|notice| notice.kind == NoticeKind::Opened), "{told:?}");
        assert!(
            told.iter().all(|notice| notice.score.is_finite() && !notice.body.to_string().contains("null,\"impact"))
        );
    }
}

/// Late rows of `market=us` bring its values of some steps to what is usual.
fn late_of_us(world: &mut World, steps: std::ops::Range<i64>, became: Became) -> IncidentChanges {
    let of = |platform: &str| Dimensions::new(&names(), &SeriesKey::new(["us", platform]));
    let series: Vec<Dimensions> = PLATFORMS.iter().map(|platform| of(platform)).collect();
    let late: Vec<Late<'_>> = steps
        .clone()
        .flat_map(|step| series.iter().map(move |series| (step, series)))
        .map(|(step, dimensions)| Late {
            interval: first().offset(step),
            measure: "views",
            dimensions,
            direction: Direction::Low,
            became,
            values: Some([0.5 * USUAL, USUAL]),
        })
        .collect();
    world.incidents.revise(first().offset(steps.end), &late)
}

#[test]
fn an_incident_of_which_late_rows_withdraw_all_is_over_with_that_reason() {
    let plot = |_: &str, market: &str, _: &str, step: i64| broken(market == "us", (20..24).contains(&step));
    for (steps, kind, state) in
        [(20..24, Some(NoticeKind::Withdrawn), IncidentState::Resolved), (21..24, None, IncidentState::Open)]
    {
        let mut world = World::new(rules());
        assert_eq!(kinds(&world.run(0..24, &plot)), [NoticeKind::Opened]);
        let changes = late_of_us(&mut world, steps.clone(), Became::Withdrawn);
        assert_eq!(changes.notices.first().map(|notice| notice.kind), kind, "{steps:?}");
        let [incident] = changes.incidents.as_slice() else { panic!("{changes:?}") };
        let withdrawn = 5 * (steps.end - steps.start) as u64;
        assert_eq!((incident.state, incident.late.withdrawn), (state, withdrawn), "{steps:?}");
        assert_eq!(incident.end_reason, kind.map(|_| EndReason::Withdrawn));
        // the values are those with the late rows
        let last = incident.track.values.len() - 1;
        assert!((incident.track.values[last] - 500.0).abs() < 30.0, "{:?}", incident.track);
        assert!((incident.causes[0].value - 500.0).abs() < 30.0, "{:?}", incident.causes);
        // its other lines say what came in time
        let mut in_time = World::new(rules());
        in_time.run(0..24, &plot);
        let (mut told, mut untold) = (Vec::new(), 0);
        for step in 24..40 {
            let (changes, expected) = (world.step(step, &usual), in_time.step(step, &usual));
            assert_eq!(changes.incidents, expected.incidents);
            untold += expected.notices.len() - changes.notices.len();
            told.extend(changes.notices);
        }
        let (expected, held): (&[NoticeKind], _) = if kind.is_some() { (&[], 1) } else { (&[NoticeKind::Resolved], 0) };
        assert_eq!((kinds(&told).as_slice(), untold), (expected, held));
    }
}

#[test]
fn what_goes_on_after_late_rows_withdrew_all_is_told_again() {
    let plot = |_: &str, market: &str, _: &str, step: i64| broken(market == "us", (20..40).contains(&step));
    let mut world = World::new(rules());
    world.run(0..24, &plot);
    assert_eq!(kinds(&late_of_us(&mut world, 20..24, Became::Withdrawn).notices), [NoticeKind::Withdrawn]);
    let told = world.run(24..60, &plot);
    assert_eq!(kinds(&told), [NoticeKind::Opened, NoticeKind::Resolved]);
    assert_eq!(told[0].time, first().offset(24).start());
}

#[test]
fn late_rows_that_confirm_or_raise_are_in_the_next_line_of_the_incident() {
    let plot = |_: &str, market: &str, _: &str, step: i64| broken(market == "us", (20..30).contains(&step));
    let mut world = World::new(rules());
    world.run(0..30, &plot);
    let changes = late_of_us(&mut world, 25..26, Became::Confirmed);
    assert_eq!(changes.incidents[0].late, LateFindings { confirmed: 5, ..LateFindings::default() });
    let changes = late_of_us(&mut world, 26..27, Became::Raised);
    assert_eq!(changes.incidents[0].late, LateFindings { confirmed: 5, raised: 5, withdrawn: 0 });
    assert!(changes.notices.is_empty());
    // each verdict counts once, as it is now
    let changes = late_of_us(&mut world, 26..27, Became::Withdrawn);
    assert_eq!(changes.incidents[0].late, LateFindings { confirmed: 5, ..LateFindings::default() });
    late_of_us(&mut world, 25..26, Became::Withdrawn);
    late_of_us(&mut world, 25..26, Became::Withdrawn);
    let changes = late_of_us(&mut world, 25..26, Became::Raised);
    assert_eq!(changes.incidents[0].late, LateFindings { confirmed: 5, ..LateFindings::default() });
    assert_eq!(late_of_us(&mut world, 3..4, Became::Withdrawn), IncidentChanges::default(), "before it began");
}

#[test]
fn a_pending_one_that_late_rows_withdraw_is_not_told() {
    let plot = |_: &str, market: &str, _: &str, step: i64| broken(market == "us", step == 20);
    let mut world = World::new(Rules { open_at_once: 100.0, ..rules() });
    world.run(0..21, &plot);
    assert_eq!(world.incidents.state.lives.len(), 1);
    assert_eq!(late_of_us(&mut world, 20..21, Became::Withdrawn), IncidentChanges::default());
    assert!(world.incidents.state.lives[0].is_withdrawn);
}

#[test]
fn a_value_that_stops_sending_is_one_incident_of_data() {
    for adds_up in [true, false] {
        let mut world = World { measures: vec!["views", "orders"], adds_up, ..World::new(rules()) };
        let plot = |_: &str, market: &str, _: &str, step: i64| match (market, step) {
            ("de", 20..40) => (None, USUAL),
            _ => (Some(USUAL), USUAL),
        };
        let notices = world.run(0..60, &plot);
        assert_eq!(kinds(&notices), [NoticeKind::Opened, NoticeKind::Resolved], "{notices:#?}");
        assert_eq!(notices[0].title, "no data at market=de");
        let incident: Incident = serde_json::from_value(notices[1].body.clone()).unwrap();
        assert_eq!((incident.kind, incident.measures().len()), (IncidentKind::Data, 2));
        assert_eq!(incident.until, Some(first().offset(40).start()));
    }
}

#[test]
fn a_storm_of_causes_is_bounded() {
    let mut world = World::new(rules());
    world.run(0..20, &usual);
    let sighting = |market: usize, now: i64| {
        let series = Slice::of(&Dimensions::of([("market".to_owned(), market.to_string())]), &names());
        Life::of(&scene::Sighting::made(series, now), format!("{now}-{market}"), now)
    };
    for now in 0..3 {
        for market in 0..LIVES_MAX {
            if world.incidents.make_room() {
                world.incidents.state.lives.push(sighting(market, now));
            }
        }
    }
    assert_eq!(world.incidents.state.lives.len(), LIVES_MAX);
}

/// A source that sends nothing in some steps, of which the clock says it while it lasts.
fn gap(clock: bool, came_late: bool) -> (Vec<Notice>, Vec<Incident>) {
    let mut world = World::new(rules());
    let (mut notices, mut lines) = (Vec::new(), Vec::new());
    let plot = |_: &str, _: &str, _: &str, step: i64| match step {
        300..310 if !came_late => (None, USUAL),
        _ => (Some(USUAL), USUAL),
    };
    notices.extend(world.run(0..300, &plot));
    if clock {
        for step in 300..310 {
            for (interval, changes) in world.incidents.ahead(first().offset(step), |_| true) {
                assert_eq!(interval, first().offset(step));
                lines.extend(changes.incidents);
                notices.extend(changes.notices);
            }
            assert!(world.incidents.ahead(first().offset(step), |_| true).is_empty(), "told once");
            let saved = world.incidents.snapshot().unwrap();
            world.incidents = Incidents::restore(world.settings.clone(), &saved).unwrap();
        }
    }
    for step in 300..330 {
        let changes = world.step(step, &plot);
        lines.extend(changes.incidents);
        notices.extend(changes.notices);
    }
    (notices, lines)
}

#[test]
fn what_the_clock_says_of_a_gap_is_what_the_gap_says_and_is_told_once() {
    let (by_gap, lines) = gap(false, false);
    let (by_clock, ahead) = gap(true, false);
    assert_eq!(kinds(&by_gap), [NoticeKind::Opened, NoticeKind::Resolved]);
    let told = |notices: &[Notice]| notices.iter().map(|notice| (notice.id.clone(), notice.kind)).collect::<Vec<_>>();
    assert_eq!(told(&by_clock), told(&by_gap));
    assert_eq!(by_clock[0].time, first().offset(300).start());
    for line in &ahead {
        assert!(lines.iter().any(|other| (&other.id, other.revision) == (&line.id, line.revision)), "{line:?}");
    }
    assert_eq!(ahead.last(), lines.last());
}

#[test]
fn what_was_held_up_ends_what_the_clock_said_with_that_reason() {
    assert!(gap(false, true).0.is_empty());
    let (notices, lines) = gap(true, true);
    assert_eq!(kinds(&notices), [NoticeKind::Opened, NoticeKind::Resolved]);
    assert!(notices[0].thread == notices[1].thread && notices[0].id != notices[1].id);
    let last = lines.last().unwrap();
    assert_eq!((last.state, last.end_reason), (IncidentState::Resolved, Some(EndReason::Arrived)));
    assert!(notices[1].text.contains("came late"), "{}", notices[1].text);
}

#[test]
fn nothing_is_missed_where_nothing_is_expected() {
    let mut world = World::new(rules());
    world.run(0..300, &usual);
    assert!(world.incidents.ahead(first().offset(310), |_| false).is_empty());
}

#[test]
fn a_shift_that_no_series_shows_is_one_incident_of_the_total_or_of_a_dimension_value() {
    let everywhere = |_: &str, _: &str, _: &str, step: i64| {
        (Some(if (300..320).contains(&step) { USUAL - 7.0 } else { USUAL }), USUAL)
    };
    let market = |_: &str, market: &str, _: &str, step: i64| {
        (Some(if market == "us" && (300..320).contains(&step) { USUAL - 9.0 } else { USUAL }), USUAL)
    };
    for (plot, place) in [(&everywhere as Plot<'_>, ""), (&market, "market=us")] {
        for rollups in [true, false] {
            let mut world = World { restores: true, ..World::new(Rules { rollups, ..rules() }) };
            let told = world.run(0..350, plot);
            if rollups {
                assert_eq!(kinds(&told), [NoticeKind::Opened, NoticeKind::Resolved], "{place} {told:#?}");
                assert_eq!(told[0].slices[0].to_string(), place);
                assert!(told[0].time <= first().offset(301).start());
            } else {
                assert!(told.is_empty(), "no series shows it");
            }
        }
    }
}

#[test]
fn a_rollup_adds_nothing_to_what_its_series_say() {
    let plot = |_: &str, market: &str, platform: &str, step: i64| match step {
        300..320 => broken(true, platform == "web"),
        330..350 => broken(true, market == "us"),
        _ => broken(false, false),
    };
    let told = |rollups| kinds(&World::new(Rules { rollups, ..rules() }).run(0..380, &plot));
    assert_eq!(told(true), told(false));
}
