//! Data that is late or does not come, and what shows in roll-ups only.

use super::*;

/// Intervals of a day.
const DAY: i64 = 288;

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
    let changes: Vec<IncidentChanges> = (24..60).map(|step| world.step(step, &plot)).collect();
    let told: Vec<Notice> = changes.iter().flat_map(|changes| changes.notices.clone()).collect();
    assert_eq!(kinds(&told), [NoticeKind::Opened, NoticeKind::Resolved]);
    assert_eq!(told[0].time, first().offset(24).start());
    // the table says so, in a line of its own: the others are those of a backtest
    let returned: Vec<&Incident> = changes.iter().flat_map(|changes| &changes.returned).collect();
    let [returned] = returned.as_slice() else { panic!("{returned:?}") };
    assert_eq!((returned.interval, returned.state), (first().offset(24), IncidentState::Open));
    assert_eq!((returned.late.withdrawn, returned.end_reason), (20, None));
}

#[test]
fn what_late_rows_bring_where_the_data_was_missing_withdraws_nothing_else() {
    let plot = |_: &str, market: &str, _: &str, step: i64| match step {
        300..306 => (None, USUAL),
        _ => broken(market == "us", (296..308).contains(&step)),
    };
    let mut world = World::new(rules());
    world.run(0..308, &plot);
    let of_us = |world: &World| {
        let mut lives = world.incidents.state.lives.iter();
        lives.find(|life| life.kind == IncidentKind::Values && life.is_open()).cloned().unwrap()
    };
    let counted = of_us(&world).anomalies;
    assert!((20..=30).contains(&counted), "{counted}");
    let changes = late_of_us(&mut world, 300..306, Became::Withdrawn);
    assert_eq!(changes, IncidentChanges::default());
    assert!(!of_us(&world).is_withdrawn);
    // the values of its own intervals are corrected where they are
    let last = of_us(&world).track.len() - 1;
    let changes = late_of_us(&mut world, 299..300, Became::Withdrawn);
    let track = &changes.incidents[0].track.values;
    let before: Vec<f64> = of_us(&world).track.iter().map(|(value, _)| *value).collect();
    let changed: Vec<usize> = (0..track.len()).filter(|at| track[*at] != before[*at]).collect();
    assert!(changed.is_empty() || changed == [last - 2], "{changed:?} of {before:?}");
}

#[test]
fn what_late_rows_did_is_remembered_of_so_many_verdicts() {
    let plot = |_: &str, market: &str, _: &str, step: i64| {
        let size = if step / 12 % 2 == 0 { 0.1 } else { 0.6 };
        (Some(if market == "us" && step >= 20 { size * USUAL } else { USUAL }), USUAL)
    };
    let mut world = World::new(Rules { expire_after: Duration::from_secs(80 * 86_400), ..rules() });
    world.run(0..900, &plot);
    late_of_us(&mut world, 20..900, Became::Withdrawn);
    let life = &world.incidents.state.lives[0];
    assert!(life.revised.len() == 4096 && !life.is_withdrawn, "{} of {}", life.revised.len(), life.anomalies);
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
            for (interval, changes) in world.incidents.ahead(first().offset(step), DAY, |_| true) {
                assert_eq!(interval, first().offset(step));
                lines.extend(changes.incidents);
                notices.extend(changes.notices);
            }
            assert!(world.incidents.ahead(first().offset(step), DAY, |_| true).is_empty(), "told once");
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

/// A source that is gone twice within an hour.
fn gone_again(clock: bool) -> Vec<(String, NoticeKind)> {
    let plot = |_: &str, _: &str, _: &str, step: i64| match step {
        300..306 | 310..316 => (None, USUAL),
        _ => (Some(USUAL), USUAL),
    };
    let mut world = World::new(rules());
    let mut notices = world.run(0..310, &plot);
    for step in (310..316).filter(|_| clock) {
        let told = world.incidents.ahead(first().offset(step), DAY, |_| true);
        notices.extend(told.into_iter().flat_map(|(_, changes)| changes.notices));
    }
    notices.extend(world.run(310..400, &plot));
    notices.iter().map(|notice| (notice.id.clone(), notice.kind)).collect()
}

#[test]
fn a_gap_that_comes_back_has_the_id_that_it_had_by_the_clock_too() {
    let by_gap = gone_again(false);
    let kinds: Vec<NoticeKind> = by_gap.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds[..3], [NoticeKind::Opened, NoticeKind::Resolved, NoticeKind::Opened], "{by_gap:?}");
    let incident = |id: &str| id.rsplit_once('-').unwrap().0.to_owned();
    assert_eq!(incident(&by_gap[0].0), incident(&by_gap[2].0));
    assert_eq!(gone_again(true), by_gap);
}

#[test]
fn the_clock_tells_of_a_gap_for_as_long_as_it_is_judged_afterwards() {
    let mut world = World::new(rules());
    world.run(0..300, &usual);
    let told = world.incidents.ahead(first().offset(300 + 3 * DAY), DAY, |_| true);
    assert!(told.iter().all(|(interval, _)| *interval < first().offset(300 + DAY)), "{told:#?}");
    assert!(world.incidents.ahead(first().offset(300 + 4 * DAY), DAY, |_| true).is_empty());
    let mut notices: Vec<Notice> = told.into_iter().flat_map(|(_, changes)| changes.notices).collect();
    assert_eq!(notices[0].kind, NoticeKind::Opened);
    // a day is judged when rows are back, then time is skipped
    notices.extend(world.run(300..300 + DAY, &|_, _, _, _| (None, USUAL)));
    notices.extend(world.run(300 + 4 * DAY..310 + 4 * DAY, &usual));
    let of = |kind| notices.iter().filter(|notice| notice.kind == kind).count();
    assert_eq!((of(NoticeKind::Opened), of(NoticeKind::Resolved)), (1, 1), "{:?}", kinds(&notices));
    let ids: std::collections::BTreeSet<&str> = notices.iter().map(|notice| notice.id.as_str()).collect();
    assert_eq!(ids.len(), notices.len(), "none is told twice");
}

#[test]
fn a_command_that_comes_while_the_clock_tells_takes_effect_behind_what_is_told() {
    let plot = |_: &str, _: &str, _: &str, step: i64| match step {
        300..310 => (None, USUAL),
        _ => (Some(USUAL), USUAL),
    };
    let mut world = World { restores: true, ..World::new(rules()) };
    world.run(0..300, &plot);
    let mut ahead: Vec<Incident> = Vec::new();
    for step in 300..310 {
        if step == 305 {
            let all = Command::Silence { name: "all".to_owned(), matcher: Matcher::default(), seconds: 86_400 };
            world.order("a", all);
        }
        let told = world.incidents.ahead(first().offset(step), DAY, |_| true);
        ahead.extend(told.into_iter().flat_map(|(_, changes)| changes.incidents));
    }
    let lines: Vec<Incident> = (300..330).flat_map(|step| world.step(step, &plot).incidents).collect();
    let known = |line: &Incident| (line.id.clone(), line.revision, line.interval, line.silenced.clone());
    let lines: Vec<_> = lines.iter().map(known).collect();
    assert!(ahead.iter().all(|line| lines.contains(&known(line))), "{ahead:#?}\nand\n{lines:#?}");
    let silenced = ahead.iter().find(|line| line.silenced.is_some()).unwrap();
    assert_eq!(silenced.interval, first().offset(305));
}

#[test]
fn nothing_is_missed_where_nothing_is_expected() {
    let mut world = World::new(rules());
    world.run(0..300, &usual);
    assert!(world.incidents.ahead(first().offset(310), DAY, |_| false).is_empty());
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
