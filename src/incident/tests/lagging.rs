//! Shards that lag, by the clock.

use super::*;

/// Shards that lag in some steps, held by the first of them; what is told and written, with the state written and read.
fn lag(lags: &[(&str, std::ops::Range<i64>)]) -> (World, Vec<Notice>, Vec<Incident>) {
    let mut world = World { measures: vec!["views", "orders"], ..World::new(rules()) };
    world.run(0..20, &usual);
    let (mut notices, mut lines) = (Vec::new(), Vec::new());
    for step in 20..60 {
        let shards: Vec<String> =
            lags.iter().filter(|(_, steps)| steps.contains(&step)).map(|(shard, _)| (*shard).to_owned()).collect();
        if shards.is_empty() && !world.incidents.is_lagging() {
            continue;
        }
        let held = lags.iter().map(|(_, steps)| steps.start - 1).min().unwrap();
        let changes = world.incidents.lag(first().offset(step), first().offset(held), &shards);
        let again = world.incidents.lag(first().offset(step), first().offset(held), &shards);
        assert_eq!(again, IncidentChanges::default(), "an interval is told once");
        notices.extend(changes.notices);
        lines.extend(changes.incidents);
        let saved = world.incidents.snapshot().unwrap();
        world.incidents = Incidents::restore(world.settings.clone(), &saved).unwrap();
    }
    (world, notices, lines)
}

#[test]
fn each_shard_that_lags_is_one_incident_of_data() {
    let (mut world, notices, lines) = lag(&[("shard-1", 22..30), ("shard-2", 24..40)]);
    assert_eq!(
        kinds(&notices),
        [NoticeKind::Opened, NoticeKind::Opened, NoticeKind::Resolved, NoticeKind::Resolved],
        "{notices:#?}"
    );
    assert_eq!(notices[0].title, "shard shard-1 lags behind the others, and no interval closes");
    assert_eq!(
        (notices[0].time, &notices[0].measures[..]),
        (first().offset(22).start(), &["views", "orders"].map(str::to_owned)[..])
    );
    assert!(notices[0].severity >= 85.0 && notices[0].thread != notices[1].thread);
    assert_eq!((&notices[0].thread, &notices[1].thread), (&notices[2].thread, &notices[3].thread));
    let shards: Vec<_> = lines.iter().map(|line| (line.kind, line.shard.as_deref().unwrap_or(""))).collect();
    assert!(shards.contains(&(IncidentKind::Data, "shard-1")) && shards.contains(&(IncidentKind::Data, "shard-2")));
    assert_eq!(lines[0].since, first().offset(21).start(), "the interval that it holds open");
    // what is judged afterwards knows nothing of it
    let mut other = World { measures: vec!["views", "orders"], ..World::new(rules()) };
    other.run(0..20, &usual);
    let plot = |_: &str, market: &str, _: &str, step: i64| broken(market == "us", (30..50).contains(&step));
    let both = [&mut world, &mut other].map(|world| (20..60).map(|step| world.step(step, &plot)).collect::<Vec<_>>());
    assert_eq!(both[0], both[1]);
}

#[test]
fn a_shard_that_lags_again_soon_is_the_same_incident_and_is_attended_to_at_once() {
    let (mut world, notices, _) = lag(&[("shard-1", 22..26), ("shard-1", 32..90)]);
    assert_eq!(kinds(&notices), [NoticeKind::Opened, NoticeKind::Resolved, NoticeKind::Opened]);
    assert!(notices.iter().all(|notice| notice.thread == notices[0].thread));
    let seen = first().offset(59).number();
    world.order("a", Command::Acknowledge { incident: notices[0].thread.clone(), seen });
    let shards = ["shard-1".to_owned()];
    let changes = world.incidents.lag(first().offset(60), first().offset(31), &shards);
    assert_eq!(changes.incidents[0].acknowledged, Some(first().offset(60).start()));
    // no reminder for two days
    let told =
        (61..61 + 576).flat_map(|step| world.incidents.lag(first().offset(step), first().offset(31), &shards).notices);
    assert_eq!(told.count(), 0);
}
