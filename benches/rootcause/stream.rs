//! Incidents over a made stream: counts of many series with a daily shape, in which incidents are planted, judged and
//! followed as a job does it. How many notices does a true incident cost, does each have one incident of its own, and how
//! soon does it open? That a level was learned is no notice: it is for receivers that hold an alert open alone.
//!
//! Planted, after days to learn from: outages and surges of slices of one or two dimensions, some of them of both
//! measures, two disjoint ones that overlap in time, a level that stays, and an outage of the source. Everything is told,
//! whatever its severity. Grouping is measured by the V-measure over the anomalies of planted incidents and of all
//! anomalies that are part of an incident: classes are the planted ones, clusters the incidents; an anomaly in no
//! incident is a cluster of its own, one in no planted incident a class of its own per incident.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::random::Random;
use tidewatch::detect::{Aggregation, Detector, ForestShape, Measure, Settings};
use tidewatch::explain;
use tidewatch::incident::{self, Incidents, Rules, Seen};
use tidewatch::model::{
    AnomalyGroup, Cell, ClosedInterval, Direction, Incident, IncidentChanges, IncidentKind, IncidentState, Interval,
    Length, Notice, NoticeKind, SeriesKey, Stats, Zone,
};

const MEASURES: [&str; 2] = ["views", "orders"];
const NAMES: [&str; 3] = ["market", "platform", "channel"];
/// Orders for a view.
const RATE: f64 = 0.2;
/// Intervals around a planted incident in which an anomaly is still of it: what windows over several intervals see.
const AROUND: i64 = 6;

/// How much is made.
pub(crate) struct Size {
    pub(crate) values: [usize; 3],
    pub(crate) days: i64,
    /// Days before the first incident.
    pub(crate) learning: i64,
    /// Incidents of one slice.
    pub(crate) slices: usize,
    pub(crate) forest: ForestShape,
}

/// What was planted.
struct Planted {
    slice: [Option<usize>; 3],
    from: i64,
    to: i64,
    factor: f64,
    both: bool,
    is_source: bool,
}

impl Planted {
    fn has(&self, leaf: &[usize; 3]) -> bool {
        self.slice.iter().zip(leaf).all(|(value, of)| value.is_none_or(|value| value == *of))
    }
}

/// The figures.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Severity from which on something is told.
    pub(crate) threshold: f64,
    pub(crate) planted: usize,
    /// Of them, those that have an incident.
    pub(crate) found: usize,
    pub(crate) incidents: usize,
    /// Incidents of nothing that was planted.
    pub(crate) unplanted: usize,
    /// All notices, and those of incidents that are of something planted, per planted incident that was found.
    pub(crate) notices: usize,
    pub(crate) notices_per_incident: f64,
    pub(crate) v_measure: f64,
    /// Intervals from the first one to the notice, of each that was found, sorted.
    pub(crate) delays: Vec<i64>,
    /// Notices of the level that stays, and how often it was said to be learned.
    pub(crate) level: (usize, usize),
    /// Incidents of data, and incidents of values that opened while data was missing.
    pub(crate) outage: (usize, usize),
    /// Incidents of the two disjoint causes.
    pub(crate) disjoint: usize,
    /// Every notice: when, of which planted one, what.
    pub(crate) told: Vec<String>,
    /// Anomaly groups: what a notice per measure and interval would have told.
    pub(crate) groups: usize,
}

/// What is told from a severity on.
pub(crate) const THRESHOLDS: [f64; 3] = [0.0, 50.0, 70.0];

/// Makes a stream and follows it, once for each of [`THRESHOLDS`].
pub(crate) fn run(size: &Size, seed: u64) -> Vec<Figures> {
    let mut random = Random::new(seed);
    let length = Length::from_seconds(300).unwrap();
    let first = Interval::containing(86_400_000_000 * 19_786, length);
    let leaves = leaves(size);
    let base: Vec<f64> = leaves.iter().map(|_| 60.0 * libm::exp(0.6 * random.gauss())).collect();
    let planted = plot(size, &mut random);
    let names = NAMES.map(str::to_owned).to_vec();
    let measure = |(at, name): (usize, &&str)| Measure::new(Arc::from(*name), at, Aggregation::Sum);
    let measures = MEASURES.iter().enumerate().map(measure).collect();
    let settings = Settings::new(names.clone(), measures, length, 42).unwrap().with_forest(size.forest).unwrap();
    let mut detector = Detector::new(settings);
    let mut followers = THRESHOLDS.map(|threshold| {
        let rules = Rules { severity_threshold: threshold, ..Rules::default() };
        let settings = incident::Settings::new(names.clone(), length, Zone::UTC, rules);
        let figures = Figures { threshold, ..Figures::default() };
        (Incidents::new(settings), Score { figures, ..Score::default() })
    });
    for step in 0..size.days * 288 {
        let interval = first.offset(step);
        let cells = cells((&leaves, &base), &planted, step, &mut random);
        let rows = cells.iter().map(|cell| cell.rows).sum();
        let points = detector.observe(&ClosedInterval { interval, cells });
        for points in points.chunk_by(|a, b| a.interval == b.interval) {
            let at = points[0].interval;
            let groups = explain::groups(points, &names, |_| explain::Nature::AddsUp);
            let rows = if at == interval { rows } else { 0 };
            let seen = Seen { interval: at, rows, groups: &groups, points, adds_up: &|_| true };
            for (incidents, score) in &mut followers {
                let changes = incidents.observe(&seen);
                score.take(changes, &groups, &planted, (at.number() - first.number(), &names));
            }
        }
    }
    followers.map(|(_, score)| score.finish(&planted, first)).into()
}

fn leaves(size: &Size) -> Vec<[usize; 3]> {
    let [a, b, c] = size.values;
    (0..a * b * c).map(|at| [at / (b * c), at / c % b, at % c]).collect()
}

/// What is planted when.
fn plot(size: &Size, random: &mut Random) -> Vec<Planted> {
    let slice_of = |random: &mut Random, dims: &[usize]| {
        let mut slice = [None; 3];
        dims.iter().for_each(|dim| slice[*dim] = Some(random.below(size.values[*dim])));
        slice
    };
    let start = size.learning * 288;
    let time = size.days * 288 - start;
    let mut planted: Vec<Planted> = Vec::new();
    let pace = time / (size.slices as i64 + 4);
    let at = |number: usize| start + 30 + pace * number as i64;
    for number in 0..size.slices {
        let dims: &[usize] = [&[0][..], &[1], &[2], &[0, 1], &[1, 2]][random.below(5)];
        let from = at(number) + random.below(20) as i64;
        let factor = if random.is(0.6) { random.within((0.0, 0.5)) } else { random.within((1.8, 3.0)) };
        let to = from + 8 + random.below(24) as i64;
        planted.push(Planted {
            slice: slice_of(random, dims),
            from,
            to,
            factor,
            both: random.is(0.5),
            is_source: false,
        });
    }
    let common = |slice, from, to, factor| Planted { slice, from, to, factor, both: true, is_source: false };
    // two disjoint ones, the second while the first goes on
    let from = at(size.slices);
    planted.push(common([Some(0), None, None], from, from + 24, 0.3));
    planted.push(common([Some(1), Some(0), None], from + 5, from + 30, 0.2));
    // the source is gone
    let from = at(size.slices + 1);
    planted.push(Planted { is_source: true, ..common([None; 3], from, from + 10, 0.0) });
    // a level that stays
    planted.push(common([None, None, Some(1)], at(size.slices + 2), size.days * 288, 0.55));
    planted
}

fn cells((leaves, base): (&[[usize; 3]], &[f64]), planted: &[Planted], step: i64, random: &mut Random) -> Vec<Cell> {
    let now: Vec<&Planted> = planted.iter().filter(|planted| (planted.from..planted.to).contains(&step)).collect();
    let is_gone = now.iter().any(|planted| planted.is_source);
    let curve = 1.0 + 0.6 * libm::cos(std::f64::consts::TAU * (step as f64 / 288.0 - 0.6));
    let mut cells = Vec::new();
    for (leaf, base) in leaves.iter().zip(base) {
        let factor = |measure: usize| -> f64 {
            now.iter().filter(|p| p.has(leaf) && (p.both || measure == 0)).map(|planted| planted.factor).product()
        };
        let mean = base * curve;
        let counts = [random.poisson(mean * factor(0)), random.poisson(mean * RATE * factor(1))];
        if is_gone {
            continue;
        }
        let stats = counts.map(|count| {
            let mut stats = Stats::EMPTY;
            stats.add(count);
            stats
        });
        let key: Vec<String> =
            leaf.iter().zip(["m", "p", "c"]).map(|(value, front)| format!("{front}{value:02}")).collect();
        let key = SeriesKey::new(key.iter().map(String::as_str));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of rows")]
        cells.push(Cell { key, rows: (counts[0] as u64).max(1), stats: stats.to_vec(), sketches: Vec::new() });
    }
    cells.sort_by(|a, b| a.key.cmp(&b.key));
    cells
}

#[derive(Default)]
struct Score {
    figures: Figures,
    live: BTreeMap<String, Incident>,
    all: BTreeMap<String, Incident>,
    notices: Vec<Notice>,
    /// Anomalies by class and cluster.
    counts: BTreeMap<(String, String), f64>,
    /// Anomalies of each incident, by what was planted.
    of: BTreeMap<String, BTreeMap<usize, usize>>,
    alone: usize,
}

impl Score {
    /// Takes what an interval did to incidents, and its anomalies.
    fn take(
        &mut self,
        changes: IncidentChanges,
        groups: &[AnomalyGroup],
        planted: &[Planted],
        (step, names): (i64, &[String]),
    ) {
        self.figures.groups += groups.len();
        self.notices.extend(changes.notices);
        for incident in changes.incidents {
            self.live.insert(incident.id.clone(), incident.clone());
            self.all.insert(incident.id.clone(), incident);
        }
        let now = groups.first().map(|group| group.interval.start());
        self.live.retain(|_, incident| {
            // a level that was learned is known for a day
            let is_level = incident.state == IncidentState::LevelShift;
            let around = if is_level { 24 * 60 } else { 5 * AROUND };
            match (now, incident.until) {
                (Some(now), Some(until)) => (now - until).num_minutes() < around,
                _ => true,
            }
        });
        for group in groups {
            for finding in &group.findings {
                let values: Vec<&str> = finding.dimensions.iter().map(|(_, value)| value).collect();
                let leaf = [0, 1, 2].map(|at| values[at][1..].parse().unwrap());
                self.note(planted, step, (&group.measure, leaf, finding.direction), names);
            }
        }
    }

    /// Counts one anomaly.
    fn note(
        &mut self,
        planted: &[Planted],
        step: i64,
        (measure, leaf, direction): (&str, [usize; 3], Direction),
        names: &[String],
    ) {
        let key = leaf.iter().zip(["m", "p", "c"]).map(|(value, front)| format!("{front}{value:02}"));
        let values: Vec<String> = key.collect();
        let class = planted.iter().position(|planted| {
            let side = if planted.factor < 1.0 { Direction::Low } else { Direction::High };
            let is_now = (planted.from..planted.to + AROUND).contains(&step);
            is_now && planted.has(&leaf) && direction == side && (planted.both || measure == MEASURES[0])
        });
        let has = |incident: &Incident| {
            incident.causes.iter().any(|cause| {
                let inside = |(name, value): (&str, &str)| {
                    names.iter().position(|other| other == name).is_some_and(|at| values[at] == value)
                };
                cause.measure == measure && cause.direction == direction && cause.dimensions.iter().all(inside)
            })
        };
        let of = self.live.values().filter(|incident| has(incident));
        let cluster =
            of.max_by_key(|incident| (incident.is_live(), incident.since)).map(|incident| incident.id.clone());
        if class.is_none() && cluster.is_none() {
            return;
        }
        if let (Some(class), Some(cluster)) = (class, &cluster) {
            *self.of.entry(cluster.clone()).or_default().entry(class).or_default() += 1;
        }
        // before its incident opens an anomaly is in none: that is the delay, and no matter of grouping
        let is_early =
            cluster.is_none() && !self.of.values().any(|of| class.is_some_and(|class| of.contains_key(&class)));
        if is_early {
            return;
        }
        let class = class.map_or_else(|| format!("none of {cluster:?}"), |class| class.to_string());
        let cluster = cluster.unwrap_or_else(|| {
            self.alone += 1;
            format!("alone {}", self.alone)
        });
        *self.counts.entry((class, cluster)).or_default() += 1.0;
    }

    fn finish(mut self, planted: &[Planted], first: Interval) -> Figures {
        let mut of: BTreeMap<String, usize> = BTreeMap::new();
        for (incident, counts) in &self.of {
            let most = counts.iter().max_by_key(|(_, count)| **count);
            of.extend(most.map(|(class, _)| (incident.clone(), *class)));
        }
        let source = planted.iter().position(|planted| planted.is_source).unwrap();
        for incident in self.all.values().filter(|incident| incident.kind == IncidentKind::Data) {
            of.insert(incident.id.clone(), source);
        }
        let figures = &mut self.figures;
        let opened: BTreeSet<&str> = self.notices.iter().map(|notice| notice.thread.as_str()).collect();
        let found: BTreeSet<usize> =
            of.iter().filter(|(id, _)| opened.contains(id.as_str())).map(|(_, class)| *class).collect();
        (figures.planted, figures.found) = (planted.len(), found.len());
        // that a level was learned is for receivers that hold an alert open
        let is_told = |notice: &&Notice| notice.kind != NoticeKind::LevelShift;
        (figures.incidents, figures.notices) = (opened.len(), self.notices.iter().filter(is_told).count());
        figures.unplanted = opened.iter().filter(|id| !of.contains_key(**id)).count();
        let told = |notice: &Notice| {
            let class = of.get(&notice.thread).map_or_else(|| "-".to_owned(), usize::to_string);
            format!("{} {class:>3} {:?} {}  {}", notice.time, notice.kind, notice.title, notice.thread)
        };
        figures.told = self.notices.iter().map(told).collect();
        let of_planted = |notice: &&Notice| of.contains_key(&notice.thread);
        figures.notices_per_incident =
            self.notices.iter().filter(of_planted).filter(is_told).count() as f64 / found.len().max(1) as f64;
        for class in found {
            let start = first.offset(planted[class].from).start();
            let opened =
                self.notices.iter().filter(|n| n.kind == NoticeKind::Opened && of.get(&n.thread) == Some(&class));
            let delay = opened.map(|notice| (notice.time - start).num_minutes() / 5).min();
            figures.delays.extend(delay);
        }
        figures.delays.sort_unstable();
        let level = planted.len() - 1;
        let of_level = || self.notices.iter().filter(|notice| of.get(&notice.thread) == Some(&level));
        figures.level = (of_level().filter(is_told).count(), of_level().filter(|notice| !is_told(notice)).count());
        let is_during = |incident: &&Incident| {
            let step = (incident.since - first.start()).num_minutes() / 5;
            (planted[source].from - 1..planted[source].to + AROUND).contains(&step)
        };
        let data = self.all.values().filter(|incident| incident.kind == IncidentKind::Data).count();
        let values =
            self.all.values().filter(|incident| incident.kind == IncidentKind::Values).filter(is_during).count();
        figures.outage = (data, values);
        let of = of.iter().filter(|(id, _)| opened.contains(id.as_str())).map(|(_, class)| class);
        figures.disjoint = of.filter(|class| [source - 1, source - 2].contains(*class)).count();
        figures.v_measure = v_measure(&self.counts);
        self.figures
    }
}

/// Harmonic mean of homogeneity and completeness.
fn v_measure(counts: &BTreeMap<(String, String), f64>) -> f64 {
    let total: f64 = counts.values().sum();
    let (mut classes, mut clusters): (BTreeMap<&str, f64>, BTreeMap<&str, f64>) = Default::default();
    for ((class, cluster), count) in counts {
        *classes.entry(class).or_default() += count;
        *clusters.entry(cluster).or_default() += count;
    }
    let entropy = |sums: &BTreeMap<&str, f64>| -> f64 {
        sums.values().map(|count| -count / total * libm::log(count / total)).sum()
    };
    let given = |of: &dyn Fn(&str, &str) -> f64| -> f64 {
        let part = |((class, cluster), count): (&(String, String), &f64)| {
            -count / total * libm::log(count / of(class, cluster))
        };
        counts.iter().map(part).sum()
    };
    let share = |given: f64, whole: f64| if whole > 0.0 { 1.0 - given / whole } else { 1.0 };
    let homogeneity = share(given(&|_, cluster| clusters[cluster]), entropy(&classes));
    let completeness = share(given(&|class, _| classes[class]), entropy(&clusters));
    if homogeneity + completeness > 0.0 { 2.0 * homogeneity * completeness / (homogeneity + completeness) } else { 0.0 }
}

/// The names of the columns of [`Figures::line`].
pub(crate) fn header() -> String {
    let names = [
        "from",
        "told",
        "found",
        "incidents",
        "of none",
        "per true",
        "V",
        "later",
        "level",
        "outage",
        "disjoint",
        "groups",
    ];
    names.map(|name| format!("{name:>10}")).concat()
}

impl Figures {
    /// The figures in columns.
    pub(crate) fn line(&self) -> String {
        let late = self.delays.iter().filter(|delay| **delay >= 2).count();
        let columns = [
            format!("{:.0}", self.threshold),
            self.notices.to_string(),
            format!("{}/{}", self.found, self.planted),
            self.incidents.to_string(),
            self.unplanted.to_string(),
            format!("{:.2}", self.notices_per_incident),
            format!("{:.3}", self.v_measure),
            late.to_string(),
            format!("{}/{}", self.level.0, self.level.1),
            format!("{}+{}", self.outage.0, self.outage.1),
            self.disjoint.to_string(),
            self.groups.to_string(),
        ];
        columns.map(|column| format!("{column:>10}")).concat()
    }
}
