//! Incidents over made-up verdicts: what is sighted comes from the search for causes, as in a job.

mod data;
mod lagging;
mod level;
mod told;

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
