//! Increments: whatever happens to a fleet, and wherever it is stopped, what is restored from them is what was there.

use std::sync::Arc;

use proptest::prelude::*;

use super::fleet::Halves;
use super::random::Random;
use crate::detect::increment::Pace;
use crate::detect::{
    Aggregation, Calendar, Detector, ForestShape, Form, Increment, Margin, Measure, Restoring, Sequential, Settings,
    Sides, Sizes, SnapshotError, Spread, Stretch, Weekly,
};
use crate::model::{Cell, ClosedInterval, Interval, Length, SeriesKey, Stats, Zone};

/// What a fleet measures.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Means: whoever is silent is parked.
    Means,
    /// Sums: whoever is light is judged by the share of the total.
    Sums,
    Both,
    /// A counter, and sums with margins; some hosts are ignored for some hours of every week.
    Ruled,
}

fn settings(kind: Kind, budget: Option<[u64; 3]>) -> Settings {
    let measure = |name: &str, aggregation| Measure::new(Arc::from(name), 0, aggregation);
    let measures = match kind {
        Kind::Means => vec![measure("mean", Aggregation::Avg), measure("most", Aggregation::Max)],
        Kind::Sums => vec![measure("sum", Aggregation::Sum)],
        Kind::Both => vec![measure("count", Aggregation::Count), measure("least", Aggregation::Min)],
        Kind::Ruled => {
            let margin = Margin::new(50.0, 0.1, Sides::High).unwrap();
            let counter = measure("increase", Aggregation::Max).with_counter().unwrap();
            vec![counter, measure("sum", Aggregation::Sum).with_margin(margin)]
        }
    };
    // a day has 24 intervals: a gap beyond it is a jump, which few enough steps come with to be done again, and who is
    // silent is soon forgotten
    let length = Length::from_seconds(3600).unwrap();
    let settings = Settings::new(vec!["host".to_owned()], measures, length, 7).unwrap();
    let settings = settings.with_forest(ForestShape { trees: 4, sample: 16, shingle: 2, time_decay: 2560 }).unwrap();
    let settings = match kind {
        Kind::Ruled => settings.with_calendars(calendars(), Zone::UTC).unwrap(),
        _ => settings,
    };
    let sizes = Sizes::of(&settings);
    let bytes = budget.map_or(u64::MAX, |keys| {
        let all: u64 = Form::ALL.into_iter().zip(keys).map(|(form, keys)| keys * sizes.of_form(form)).sum();
        (all + sizes.of_form(Form::Full)) * 20 / 19 + 1
    });
    settings.with_memory(bytes)
}

fn calendars() -> Vec<Calendar> {
    let calendar = |name, begin: u32, end: u32| {
        let weekly = vec![Weekly::new(60 * begin, 60 * end).unwrap()];
        Calendar::weekly(name, weekly, Zone::UTC, Stretch::ALWAYS).unwrap()
    };
    let some = vec![("host".to_owned(), vec![host(1), host(4), host(8)])];
    vec![calendar("all", 30, 35), calendar("some", 90, 140).only(some)]
}

/// What comes, and what is done with it.
#[derive(Clone, Copy, Debug)]
struct Story {
    seed: u64,
    kind: Kind,
    hosts: usize,
    budget: Option<[u64; 3]>,
    pace: Pace,
    /// Probability of a checkpoint after an interval, and of a restart at a checkpoint.
    checkpoint: f64,
    restart: f64,
    steps: usize,
}

/// How much of what can happen did.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    longest_chain: usize,
    partial: usize,
    restarts: usize,
    replayed: u64,
    tail: usize,
    compact: usize,
    full: usize,
    parked: usize,
    jumps: usize,
    /// Hosts that were forgotten.
    gone: usize,
    /// Verdicts that late rows changed or confirmed.
    revised: usize,
}

fn host(number: usize) -> String {
    format!("host-{number:02}")
}

/// Hosts come and go: some are away for stretches, some come for a few intervals only and are forgotten.
fn cells(step: usize, story: &Story, random: &mut Random) -> Vec<Cell> {
    let mut cells = Vec::new();
    for number in 0..story.hosts {
        let is_away = match number % 5 {
            0 | 1 => false,
            2 | 3 => (step / (40 + 10 * (number % 4)) + number) % 2 == 1,
            _ => (step + 13 * number) % 80 > 3,
        };
        if is_away || random.unit() < 0.1 {
            continue;
        }
        let mut stats = Stats::EMPTY;
        let rows = 1 + number / 2 + random.below(4);
        (0..rows).for_each(|_| stats.add(100.0 + 10.0 * random.gauss()));
        cells.push(Cell {
            key: SeriesKey::new([host(number).as_str()]),
            rows: rows as u64,
            stats: vec![stats],
            sketches: Vec::new(),
        });
    }
    cells
}

fn restore(settings: &Settings, kept: &[Vec<u8>], spread: &impl Spread) -> Result<(Detector, u64), SnapshotError> {
    let mut restoring = Restoring::new(settings.clone());
    for bytes in kept {
        restoring.take(bytes, spread)?;
    }
    let replayed = restoring.replayed();
    Ok((restoring.finish()?, replayed))
}

fn tell(story: &Story) -> Seen {
    let mut settings = settings(story.kind, story.budget);
    let budget = settings.memory_bytes();
    let (mut straight, mut broken) = (Detector::new(settings.clone()), Detector::new(settings.clone()));
    let mut random = Random::new(story.seed);
    let mut seen = Seen::default();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut at = Interval::containing(0, settings.length());
    for step in 0..story.steps {
        let gap = match random.below(60) {
            0 => 40,
            1..4 => 5,
            _ => 1,
        };
        seen.jumps += usize::from(gap == 40);
        at = at.offset(gap);
        let closed = ClosedInterval { interval: at, cells: cells(step, story, &mut random) };
        let known = broken.kept().count();
        assert!(straight.observe(&closed) == broken.observe_on(&closed, &Halves), "points differ at {step}");
        let status = broken.status();
        seen.gone += known.saturating_sub(broken.kept().count());
        seen.tail = seen.tail.max(status.tail);
        seen.compact = seen.compact.max(status.compact);
        seen.full = seen.full.max(status.full);
        seen.parked = seen.parked.max(status.parked);
        if random.below(3) == 0 {
            // late rows, for an interval that is remembered, forgotten or, now and then, not judged yet
            let late = at.offset(2 - random.below(40) as i64);
            let mut late = ClosedInterval { interval: late, cells: cells(step, story, &mut random) };
            late.cells.iter_mut().for_each(|cell| cell.stats[0].add(1000.0 * random.unit()));
            straight.revise(&late);
            broken.revise(&late);
        }
        let revised = straight.take_revised();
        seen.revised += revised.len();
        assert!(revised == broken.take_revised(), "revisions differ at {step}");
        if random.unit() >= story.checkpoint {
            continue;
        }
        loop {
            let before = broken.clone();
            let Increment { bytes, chain, is_whole, is_last } = broken.increment_at(story.pace, &Halves);
            assert!(
                before.clone().increment_at(story.pace, &Sequential).bytes == bytes,
                "one thread writes other bytes"
            );
            kept.push(bytes);
            kept.drain(..kept.len() - chain);
            seen.longest_chain = seen.longest_chain.max(chain);
            if !is_whole {
                assert!(!is_last);
                seen.partial += 1;
                assert_eq!(restore(&settings, &kept, &Sequential).map(drop), Err(SnapshotError::Incomplete));
            } else if random.unit() < story.restart {
                let (one, replayed) = restore(&settings, &kept, &Sequential).unwrap();
                let (mut two, _) = restore(&settings, &kept, &Halves).unwrap();
                assert_eq!(one.status(), broken.status());
                assert!(one.snapshot() == broken.snapshot() && two.snapshot() == broken.snapshot(), "states differ");
                // who was restored goes on writing as who was not
                let next = |detector: &Detector| detector.clone().increment_at(story.pace, &Sequential);
                assert!(next(&two) == next(&broken), "increments differ");
                if kept.len() > 1 {
                    assert!(restore(&settings, &kept[1..], &Sequential).is_err(), "no increment is there in vain");
                }
                if random.unit() < 0.3 {
                    // another budget: what was done is done again all the same
                    let less = budget / 2 + budget / 3;
                    settings =
                        settings.clone().with_memory(if settings.memory_bytes() == budget { less } else { budget });
                    straight = Detector::restore(settings.clone(), &straight.snapshot()).unwrap();
                    two = restore(&settings, &kept, &Sequential).unwrap().0;
                }
                broken = two;
                seen.restarts += 1;
                seen.replayed += replayed;
            }
            if is_last {
                break;
            }
        }
    }
    assert!(straight.snapshot() == broken.snapshot(), "states differ at the end");
    seen
}

const STORY: Story = Story {
    seed: 1,
    kind: Kind::Means,
    hosts: 18,
    budget: Some([10, 4, 4]),
    pace: Pace { parts: 7, bytes: 0 },
    checkpoint: 0.5,
    restart: 1.0,
    steps: 260,
};

#[test]
fn a_fleet_of_means_is_restored_while_forests_are_parked_and_woken() {
    let seen = tell(&STORY);
    assert!(seen.longest_chain >= 7 && seen.partial >= 4 && seen.restarts > 10 && seen.replayed > 50, "{seen:?}");
    assert!(seen.tail > 1 && seen.compact > 1 && seen.full > 1 && seen.parked > 1, "{seen:?}");
    assert!(seen.jumps > 1 && seen.gone > 1 && seen.revised > 20, "{seen:?}");
}

#[test]
fn a_fleet_of_sums_is_restored_while_some_are_judged_by_their_share() {
    let seen = tell(&Story { kind: Kind::Sums, budget: Some([14, 3, 1]), ..STORY });
    assert!(seen.longest_chain >= 7 && seen.restarts > 10 && seen.tail > 4 && seen.gone > 1, "{seen:?}");
    assert!(seen.revised > 20, "{seen:?}");
}

#[test]
fn a_fleet_with_counters_and_calendars_is_restored() {
    let seen = tell(&Story { kind: Kind::Ruled, budget: Some([12, 3, 3]), ..STORY });
    assert!(seen.longest_chain >= 7 && seen.restarts > 10 && seen.replayed > 50, "{seen:?}");
    assert!(seen.tail > 1 && seen.full > 1 && seen.jumps > 1 && seen.revised > 20, "{seen:?}");
}

#[test]
fn a_small_fleet_is_written_whole_each_time() {
    let mut detector = Detector::new(settings(Kind::Both, None));
    let mut random = Random::new(3);
    for step in 0..40 {
        let at = Interval::containing(0, detector.settings().length()).offset(step as i64);
        detector.observe(&ClosedInterval { interval: at, cells: cells(step, &STORY, &mut random) });
        let Increment { bytes, chain, is_whole, is_last } = detector.increment();
        assert_eq!((chain, is_whole, is_last), (1, true, true));
        let whole = detector.snapshot();
        assert!(bytes.len() == whole.len(), "nothing but the members and what all have together");
    }
}

#[test]
fn whoever_never_writes_increments_keeps_no_steps_and_too_many_steps_are_dropped() {
    let mut detector = Detector::new(settings(Kind::Sums, None));
    let mut random = Random::new(3);
    let mut observe = |detector: &mut Detector, steps: std::ops::Range<usize>| {
        for step in steps {
            let at = Interval::containing(0, detector.settings().length()).offset(step as i64);
            detector.observe(&ClosedInterval { interval: at, cells: cells(step, &STORY, &mut random) });
        }
    };
    observe(&mut detector, 0..10);
    assert!(detector.journal.is_none());
    let pace = Pace { parts: 3, bytes: 0 };
    assert!(!detector.increment_at(pace, &Sequential).is_whole);
    // a small fleet is done again in no time
    observe(&mut detector, 10..90);
    assert!(detector.journal.is_some());
    // without the journal nothing more is kept, whatever comes
    let most = 10 + detector.parts() as usize;
    observe(&mut detector, 90..2 * most);
    assert!(detector.journal.is_none());
    let first = detector.increment_at(pace, &Sequential);
    assert_eq!((first.chain, first.is_whole), (1, false));
    let mut kept = vec![first.bytes];
    for step in 2 * most..2 * most + 2 {
        observe(&mut detector, step..step + 1);
        kept.push(detector.increment_at(pace, &Sequential).bytes);
    }
    let restored = restore(detector.settings(), &kept, &Sequential).unwrap().0;
    assert!(restored.snapshot() == detector.snapshot(), "what begins anew is whole in itself");
}

/// Three increments that belong together, and their settings.
fn chain() -> (Settings, Vec<Vec<u8>>) {
    let settings = settings(Kind::Both, None);
    let mut detector = Detector::new(settings.clone());
    let mut random = Random::new(5);
    let mut kept = Vec::new();
    for step in 0..12 {
        let at = Interval::containing(0, settings.length()).offset(step as i64);
        detector.observe(&ClosedInterval { interval: at, cells: cells(step, &STORY, &mut random) });
        if step > 8 {
            detector.revise(&ClosedInterval { interval: at.offset(-2), cells: cells(step, &STORY, &mut random) });
            kept.push(detector.increment_at(Pace { parts: 3, bytes: 0 }, &Sequential).bytes);
        }
    }
    assert!(restore(&settings, &kept, &Sequential).is_ok());
    (settings, kept)
}

#[test]
fn increments_that_do_not_belong_together_are_refused() {
    let (settings, kept) = chain();
    let mixed = |at: &[usize]| {
        let kept: Vec<Vec<u8>> = at.iter().map(|at| kept[*at].clone()).collect();
        restore(&settings, &kept, &Sequential).map(drop).unwrap_err()
    };
    assert_eq!(mixed(&[]), SnapshotError::Incomplete);
    assert_eq!(mixed(&[0, 1]), SnapshotError::Incomplete);
    for wrong in [&[0, 2][..], &[1, 0, 2], &[0, 1, 1], &[0, 0, 1, 2]] {
        assert_eq!(mixed(wrong), SnapshotError::Inconsistent("the order of its increments"), "{wrong:?}");
    }
}

#[test]
fn increments_of_the_version_before_are_read_and_older_ones_are_not() {
    let (settings, kept) = chain();
    let of = |version: u8| {
        let mut kept = kept.clone();
        kept.iter_mut().for_each(|bytes| bytes[4] = version);
        restore(&settings, &kept, &Sequential).map(drop)
    };
    assert_eq!((of(11), of(10), of(9)), (Ok(()), Ok(()), Err(SnapshotError::Version(9))));
}

#[test]
fn a_damaged_cut_or_newer_increment_is_refused() {
    let (settings, kept) = chain();
    for number in 0..kept.len() {
        let with = |bytes: Vec<u8>| {
            let mut kept = kept.clone();
            kept[number] = bytes;
            restore(&settings, &kept, &Sequential).map(drop).unwrap_err()
        };
        let bytes = &kept[number];
        for at in (0..bytes.len()).step_by(bytes.len() / 97) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            let error = with(damaged);
            assert!(at < 8 || error == SnapshotError::Checksum, "byte {at}: {error}");
            with(bytes[..at].to_vec());
        }
        let mut newer = bytes.clone();
        newer[4] += 1;
        assert!(matches!(with(newer), SnapshotError::Version(_)));
    }
    // checksums may hold and the content make no sense all the same: an error, never a panic
    for at in (12..kept[1].len()).step_by(7) {
        let mut wrong = kept.clone();
        wrong[1][at] ^= 1 << (at % 8);
        let checksum = crc32fast::hash(&wrong[1][12..]).to_le_bytes();
        wrong[1][8..12].copy_from_slice(&checksum);
        assert!(restore(&settings, &wrong, &Sequential).is_err(), "byte {at}: the next one names another");
    }
    let other = settings.with_sensitivity(1.0).unwrap();
    assert!(matches!(restore(&other, &kept, &Sequential), Err(SnapshotError::Settings { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_fleet_is_restored_from_its_increments(
        seed in any::<u64>(),
        kind in prop_oneof![Just(Kind::Means), Just(Kind::Sums), Just(Kind::Both), Just(Kind::Ruled)],
        hosts in 1..20usize,
        budget in proptest::option::of([0..12u64, 0..6u64, 0..6u64]),
        parts in 1..12usize,
        bytes in 0..6000usize,
        checkpoint in 0.02..1.0f64,
        restart in 0.05..0.6f64,
    ) {
        let pace = Pace { parts, bytes };
        tell(&Story { seed, kind, hosts, budget, pace, checkpoint, restart, steps: 130 });
    }
}
