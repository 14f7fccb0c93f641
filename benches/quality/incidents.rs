//! `incidents`: the shipped detector and the peers over made worlds (`world`, `incident`), scored as `score` says.

use std::collections::BTreeMap;

use super::drive::{self, Judged};
use super::incident::{Difficulty, Kind, Scope};
use super::options::Options;
use super::peer::{OWN_ERROR, Peer};
use super::profile::{DAY, Profile};
use super::score::{self, Case, Event, False, Outcome, Scored, mean, share};
use super::threads;
use super::world::{MARKETS, SERIES, STEPS, WARM, World};

/// False alerts per series and week of the operating curve.
const CURVE: [f64; 4] = [0.05, 0.1, 0.25, 1.0];
/// Where the best F1 is looked for, the curve among them.
const RATES: [f64; 7] = [0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];

enum Task {
    Ours { world: usize, seed: u64 },
    Peer { peer: Peer, world: usize },
}

enum Done {
    Ours(Judged),
    Peer(Peer, Vec<Vec<f32>>),
}

pub(crate) fn run(options: &Options) {
    let (worlds, seeds) = (options.worlds, options.seeds);
    println!(
        "\n== incidents: {worlds} worlds x {seeds} detector seeds, 80 series, 2 weeks to learn, 4 scored, 64 incidents"
    );
    let numbers: Vec<usize> = (0..worlds).collect();
    let worlds: Vec<World> = threads::each(numbers, options.threads, |number| {
        World::new(1 + number as u64, Profile::ALL[number % Profile::ALL.len()])
    });
    let cases: Vec<Case> = worlds.iter().map(case).collect();
    // a detector that knows the truth is right, one that knows a day too much is not
    for case in &cases {
        let knows = |more: usize| {
            case.score(|series, step| {
                let on = case.events.iter().filter(|event| event.series.contains(&series));
                on.into_iter().any(|event| (event.start..=event.end + more).contains(&step))
            })
        };
        assert!(knows(0).f1() == 1.0 && knows(6).f1() == 1.0 && knows(DAY).precision() < 0.1, "the scorer is wrong");
    }
    let mut tasks = Vec::new();
    for world in 0..worlds.len() {
        if options.peers {
            tasks.extend([Peer::Forest, Peer::SeasonalZ, Peer::Step].map(|peer| Task::Peer { peer, world }));
        }
        tasks.extend((1..=seeds).map(|seed| Task::Ours { world, seed }));
    }
    let done = threads::each(tasks, options.threads, |task| match task {
        Task::Ours { world, seed } => Done::Ours(drive::world(&worlds[world], seed)),
        Task::Peer { peer, world } => Done::Peer(peer, of_peer(peer, &worlds[world])),
    });
    // per world and seed; per peer and world
    let mut ours: Vec<Judged> = Vec::new();
    let mut peers: Vec<(Peer, Vec<Vec<Vec<f32>>>)> = Peer::ALL.map(|peer| (peer, Vec::new())).into();
    for done in done {
        match done {
            Done::Ours(judged) => ours.push(judged),
            Done::Peer(peer, scores) => {
                peers.iter_mut().filter(|(p, _)| *p == peer).for_each(|(_, all)| all.push(scores.clone()))
            }
        }
    }
    peers.retain(|(_, scores)| !scores.is_empty());

    let per_world = seeds as usize;
    let shipped: Vec<Vec<Outcome>> = ours
        .chunks(per_world)
        .zip(&cases)
        .map(|(runs, case)| runs.iter().map(|run| case.score(|series, step| run.alarms[series][step])).collect())
        .collect();
    let all: Vec<&Outcome> = shipped.iter().flatten().collect();
    let false_rate = mean(all.iter().map(|one| one.false_rate()));

    print_main(&worlds, &shipped);
    let at_ours: Vec<(Peer, Vec<Outcome>, f64)> = peers
        .iter()
        .map(|(peer, scores)| {
            let scored: Vec<Scored<'_>> = cases.iter().zip(scores).map(|(case, all)| (case, &all[..])).collect();
            let threshold = score::threshold(&scored, false_rate);
            let each = scored.iter().map(|one| score::at(&[*one], threshold)).collect();
            (*peer, each, f64::from(threshold))
        })
        .collect();
    print_kinds(&worlds, &shipped, &at_ours);
    print_scopes(&worlds, &shipped);
    print_causes(&worlds, &shipped);
    print_curve(&cases, &ours, per_world, &peers, &at_ours);
    if options.verbose {
        print_each(&worlds, &shipped);
    }
}

fn case(world: &World) -> Case {
    let events = world.incidents.iter();
    let events = events.map(|one| Event { start: one.start, end: one.end, series: one.series.clone() }).collect();
    Case { events, series: SERIES, from: WARM, steps: STEPS, minutes: 5 }
}

fn of_peer(peer: Peer, world: &World) -> Vec<Vec<f32>> {
    let each = world.values.iter().map(|values| {
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        peer.scores(&values, 0, DAY, 1)
    });
    each.collect()
}

fn print_main(worlds: &[World], shipped: &[Vec<Outcome>]) {
    println!("\nshipped operating point (labelled: share of the labelled series that alarmed; delay: median minutes)");
    println!(
        "{:22} {:>9} {:>9} {:>7} {:>7} {:>7} {:>9} {:>6}",
        "world", "incidents", "precision", "recall", "F1", "FA/sw", "labelled", "delay"
    );
    let line = |name: &str, runs: &[&Outcome]| {
        let part = |of: fn(&Outcome) -> f64| mean(runs.iter().map(|one| of(one)));
        let delay = score::median(runs.iter().flat_map(|one| one.hits.iter().flatten().copied()));
        println!(
            "{name:22} {:9} {:9.3} {:7.3} {:7.3} {:7.3} {:9.3} {:>6}",
            runs.iter().map(|one| one.hits.len()).sum::<usize>() / runs.len().max(1),
            part(Outcome::precision),
            part(Outcome::recall),
            part(Outcome::f1),
            part(Outcome::false_rate),
            part(Outcome::labelled_recall),
            delay.map_or("-".to_owned(), |delay| delay.to_string()),
        );
    };
    for (number, (world, runs)) in worlds.iter().zip(shipped).enumerate() {
        line(&format!("{} {}", number + 1, world.profile.name()), &runs.iter().collect::<Vec<_>>());
    }
    for profile in Profile::ALL {
        let runs = worlds.iter().zip(shipped).filter(|(world, _)| world.profile == profile);
        let runs: Vec<&Outcome> = runs.flat_map(|(_, runs)| runs).collect();
        if !runs.is_empty() {
            line(&format!("all {}", profile.name()), &runs);
        }
    }
    let all: Vec<&Outcome> = shipped.iter().flatten().collect();
    line("mean", &all);
    let f1: Vec<f64> =
        (0..shipped.first().map_or(0, Vec::len)).map(|seed| mean(shipped.iter().map(|runs| runs[seed].f1()))).collect();
    let text: Vec<String> = f1.iter().map(|f1| format!("{f1:.3}")).collect();
    println!("F1 by detector seed: {}", text.join(" "));
}

/// Hits and incidents of those that `which` chooses.
fn recall_of(
    worlds: &[World],
    outcomes: &[Vec<&Outcome>],
    which: impl Fn(&super::incident::Incident) -> bool,
) -> (usize, usize) {
    let (mut hit, mut all) = (0, 0);
    for (world, runs) in worlds.iter().zip(outcomes) {
        for outcome in runs {
            for (_, delay) in world.incidents.iter().zip(&outcome.hits).filter(|(one, _)| which(one)) {
                all += 1;
                hit += usize::from(delay.is_some());
            }
        }
    }
    (hit, all)
}

fn print_kinds(worlds: &[World], shipped: &[Vec<Outcome>], peers: &[(Peer, Vec<Outcome>, f64)]) {
    let ours: Vec<Vec<&Outcome>> = shipped.iter().map(|runs| runs.iter().collect()).collect();
    println!("\nrecall by kind and difficulty (n incidents), beside the peers at the same false alerts");
    print!("{:16} {:>5} {:>7} {:>7} {:>7} {:>7} {:>6}", "kind", "n", "all", "easy", "medium", "hard", "delay");
    peers.iter().for_each(|(peer, ..)| print!(" {:>13}", peer.name()));
    println!();
    let kinds = Kind::ALL.map(Some).into_iter().chain([None]);
    for kind in kinds {
        let is = |one: &super::incident::Incident| kind.is_none_or(|kind| one.kind == kind);
        let (hit, all) = recall_of(worlds, &ours, is);
        let runs = ours.first().map_or(1, Vec::len).max(1);
        print!("{:16} {:5} {:7.3}", kind.map_or("all", Kind::name), all / runs, share(hit, all));
        for difficulty in Difficulty::ALL {
            let (hit, all) = recall_of(worlds, &ours, |one| is(one) && one.difficulty == difficulty);
            print!(" {:7.3}", share(hit, all));
        }
        let delays = worlds.iter().zip(&ours).flat_map(|(world, runs)| {
            runs.iter().flat_map(|run| {
                world.incidents.iter().zip(&run.hits).filter(|(one, _)| is(one)).filter_map(|(_, d)| *d)
            })
        });
        print!(" {:>6}", score::median(delays).map_or("-".to_owned(), |delay| delay.to_string()));
        for (_, outcomes, _) in peers {
            let outcomes: Vec<Vec<&Outcome>> = outcomes.iter().map(|one| vec![one]).collect();
            let (hit, all) = recall_of(worlds, &outcomes, is);
            print!(" {:13.3}", share(hit, all));
        }
        println!();
    }
}

fn print_scopes(worlds: &[World], shipped: &[Vec<Outcome>]) {
    let ours: Vec<Vec<&Outcome>> = shipped.iter().map(|runs| runs.iter().collect()).collect();
    let one = |name: &str, which: &dyn Fn(&super::incident::Incident) -> bool| {
        let (hit, all) = recall_of(worlds, &ours, which);
        print!("  {name} {:.3} (of {})", share(hit, all), all / ours.first().map_or(1, Vec::len).max(1));
    };
    print!("\nrecall by place:   ");
    one("one cell", &|incident| incident.scope == Scope::Cell);
    one("marketplace", &|incident| incident.scope == Scope::Market);
    one("platform", &|incident| incident.scope == Scope::Platform);
    print!("\nrecall by measure: ");
    let has = |incident: &super::incident::Incident, revenue: usize| incident.series.iter().any(|s| s % 2 == revenue);
    one("both", &|incident| has(incident, 0) && has(incident, 1));
    one("views", &|incident| has(incident, 0) && !has(incident, 1));
    one("revenue", &|incident| !has(incident, 0) && has(incident, 1));
    println!();
}

/// Why an alert was false, as far as the truth tells.
fn cause(world: &World, alert: &False) -> String {
    let (series, step) = (alert.series, alert.step);
    let on_series = world.incidents.iter().filter(|one| one.series.contains(&series));
    let past = on_series.clone().filter(|one| one.end < step).max_by_key(|one| one.end);
    let other = world.incidents.iter().find(|one| {
        let same_cell = one.series.iter().any(|other| other / 2 == series / 2);
        same_cell && !one.series.contains(&series) && (one.start..=one.end + 6).contains(&step)
    });
    if let Some(past) = past.filter(|one| step - one.end <= DAY) {
        let when = if step - past.end <= 36 { "within 3 h" } else { "within a day" };
        return format!("{when} of a {}", past.kind.name());
    }
    if other.is_some() {
        return "the cell's other measure is hit".to_owned();
    }
    let market = &world.cells[series / 2].market;
    if market.is_holiday(step) || market.is_holiday(step.saturating_sub(DAY)) {
        return "holiday, or the day after".to_owned();
    }
    if past.is_some_and(|one| step - one.end <= 7 * DAY + 12 && one.kind == Kind::Seasonal) {
        return "a week after a seasonal change".to_owned();
    }
    if world.is_sparse(series) {
        return "quiet, sparse series".to_owned();
    }
    let measure = if series % 2 == 1 { "revenue" } else { "views" };
    match step < WARM + 7 * DAY {
        true => format!("quiet {measure}, first scored week"),
        false => format!("quiet {measure}, later"),
    }
}

fn print_causes(worlds: &[World], shipped: &[Vec<Outcome>]) {
    let mut causes: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut total = 0;
    for (world, runs) in worlds.iter().zip(shipped) {
        for alert in runs.iter().flat_map(|run| &run.false_alerts) {
            let entry = causes.entry(cause(world, alert)).or_default();
            entry.0 += alert.alerts;
            entry.1 += 1;
            total += alert.alerts;
        }
    }
    println!("\nfalse alerts by cause (alerts: started hours; stretches: unbroken alarms; of all runs together)");
    println!("{:40} {:>7} {:>7} {:>10}", "cause", "alerts", "share", "stretches");
    let mut causes: Vec<(String, (usize, usize))> = causes.into_iter().collect();
    causes.sort_by_key(|(_, (alerts, _))| std::cmp::Reverse(*alerts));
    for (cause, (alerts, stretches)) in causes {
        println!("{cause:40} {alerts:7} {:7.3} {stretches:10}", share(alerts, total));
    }
}

fn print_curve(
    cases: &[Case],
    ours: &[Judged],
    seeds: usize,
    peers: &[(Peer, Vec<Vec<Vec<f32>>>)],
    at_ours: &[(Peer, Vec<Outcome>, f64)],
) {
    println!("\noperating curve: recall at false alerts per series-week, one threshold on the score for all worlds");
    print!("{:16}", "detector");
    CURVE.iter().for_each(|rate| print!(" {rate:>7}"));
    println!(" {:>8} {:>14} {:>20}", "best F1", "F1 at our FA", "recall at our FA");
    let curve = |name: &str, scored: &[Scored<'_>], rest: &str| {
        print!("{name:16}");
        let points = RATES.map(|rate| score::at(scored, score::threshold(scored, rate)));
        let on_curve = RATES.iter().zip(&points).filter(|(rate, _)| CURVE.contains(rate));
        on_curve.for_each(|(_, point)| print!(" {:7.3}", point.recall()));
        let best = points.iter().map(Outcome::f1);
        println!(" {:8.3} {rest}", best.fold(0.0, f64::max));
    };
    for seed in 0..seeds {
        let runs = ours.chunks(seeds).map(|runs| &runs[seed].scores[..]);
        let scored: Vec<Scored<'_>> = cases.iter().zip(runs).collect();
        curve(&format!("tidewatch, seed {}", seed + 1), &scored, "");
    }
    let own = ours.chunks(seeds).map(|runs| &runs[0].errors[..]);
    curve(OWN_ERROR, &cases.iter().zip(own).collect::<Vec<_>>(), "");
    for ((peer, scores), (_, outcomes, threshold)) in peers.iter().zip(at_ours) {
        let scored: Vec<Scored<'_>> = cases.iter().zip(scores).map(|(case, all)| (case, &all[..])).collect();
        let all = outcomes.iter().fold(Outcome::default(), |all, one| all.join(one));
        let rest = format!("{:14.3} {:20.3}  (threshold {threshold:.3})", all.f1(), all.recall());
        curve(peer.name(), &scored, &rest);
    }
}

/// Every miss and every false alert of the first seed.
fn print_each(worlds: &[World], shipped: &[Vec<Outcome>]) {
    for (number, (world, runs)) in worlds.iter().zip(shipped).enumerate() {
        let Some(run) = runs.first() else { continue };
        for (incident, hit) in world.incidents.iter().zip(&run.hits) {
            let (kind, difficulty) = (incident.kind.name(), incident.difficulty.name());
            let (first, length) = (incident.series[0], incident.end - incident.start + 1);
            println!(
                "incident world {} {kind} {difficulty} {:?} start {} length {length} series {first} of {} mean {:.1} {}",
                number + 1,
                incident.scope,
                incident.start,
                incident.series.len(),
                world.cells[first / 2].mean_count(first % 2 == 1),
                hit.map_or("missed".to_owned(), |delay| format!("hit after {delay}"))
            );
        }
        for alert in &run.false_alerts {
            let cell = alert.series / 2;
            println!(
                "false world {} series {} (p{}/m{}) mean {:.1} step {} day {:.2} alerts {}: {}",
                number + 1,
                alert.series,
                cell / MARKETS,
                cell % MARKETS,
                world.cells[cell].mean_count(alert.series % 2 == 1),
                alert.step,
                alert.step as f64 / DAY as f64,
                alert.alerts,
                cause(world, alert)
            );
        }
    }
}
