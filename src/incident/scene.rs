//! One interval as incidents see it: what the series of a slice came to together, and what stands out.
//!
//! How far a series may be from what was expected is what its band says. The series of a slice are taken to be
//! independent, so their variances add up. Surprise is `-log10` of the probability of a shift, by the gain in
//! log-likelihood `z^2 / 2` less `2 ln` of the number of series, which pays for the search among the slices; where a
//! series by itself is more surprising than its slice, its score counts.

use std::collections::BTreeMap;

use super::Seen;
use super::slice::{Lies, Slice};
use crate::model::{AnomalyGroup, Direction, Finding, Interval, Point, PointState};

/// A deviation counts as so many times what was expected at most: where hardly anything was, more says no more.
const SHARE_MAX: f64 = 1e3;
/// A value is not known better than this share of it, and none is larger than that.
const EXACT: f64 = 1e-6;
const VALUE_MAX: f64 = 1e60;
/// Series beside any cause that are looked at, of each measure, the most severe first.
const ISOLATED_MAX: usize = 64;

/// Of the series of a measure, that moved where everything did; one in six does by chance.
const EVERYTHING: f64 = 0.5;

/// One interval.
pub(super) struct Scene<'a> {
    measures: Vec<Measured<'a>>,
}

/// The series of one measure.
struct Measured<'a> {
    name: &'a str,
    adds_up: bool,
    points: &'a [Point],
    /// Of all of them.
    all: Sums,
}

/// What some series came to together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    /// How many speak.
    pub(super) series: u64,
    pub(super) value: f64,
    pub(super) expected: f64,
    variance: f64,
    /// Of what was expected, regardless of sign.
    pub(super) size: f64,
    adds_up: bool,
    /// Series that are judged, and those of them that sent nothing.
    pub(super) known: u64,
    pub(super) silent: u64,
    /// Those of them that are anomalous, below and above.
    anomalies: [u64; 2],
}

impl Sums {
    /// How many of its series are anomalous on a side.
    pub(super) fn anomalies(&self, direction: Direction) -> u64 {
        self.anomalies[usize::from(direction == Direction::High)]
    }

    pub(super) fn deviation(&self) -> f64 {
        self.value - self.expected
    }

    /// The deviation in a direction, in standard deviations.
    pub(super) fn z(&self, direction: Direction) -> f64 {
        self.z_from(self.expected, direction)
    }

    /// The same from another value than what was expected.
    pub(super) fn z_from(&self, value: f64, direction: Direction) -> f64 {
        let deviation = toward(direction, self.value - value);
        if self.variance > 0.0 { deviation / self.variance.sqrt() } else { 0.0 }
    }

    /// The deviation in a direction as a share of what was expected; where hardly anything was, it is a large one.
    pub(super) fn relative(&self, direction: Direction) -> f64 {
        let share = toward(direction, self.deviation()) / self.size.max(f64::MIN_POSITIVE.sqrt());
        share.clamp(-SHARE_MAX, SHARE_MAX)
    }

    /// Value, expected value, and half the width of the band: of the sum where values add up, else of the mean.
    pub(super) fn shown(&self) -> [f64; 3] {
        let by = if self.adds_up { 1.0 } else { (self.series as f64).max(1.0) };
        [self.value / by, self.expected / by, Point::BAND * self.variance.sqrt() / by]
    }
}

/// A deviation, above 0 where it is in this direction.
pub(super) fn toward(direction: Direction, deviation: f64) -> f64 {
    match direction {
        Direction::High => deviation,
        Direction::Low => -deviation,
    }
}

/// Something that stands out: a cause, everything, or a series by itself.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) measure: String,
    pub(super) direction: Direction,
    pub(super) slice: Slice,
    pub(super) share: f64,
    /// Number of the first interval of the earliest of its anomalies.
    pub(super) onset: i64,
    pub(super) surprise: f64,
    /// Of its strongest anomaly, 0 to 100.
    pub(super) severity: f64,
    /// Of the deviation, in all that was expected of the measure.
    pub(super) impact: f64,
    pub(super) sums: Sums,
    /// A cause that the lattice found, or everything; not a series by itself.
    pub(super) is_cause: bool,
    pub(super) external: bool,
}

#[cfg(test)]
impl Sighting {
    /// Of a slice, with nothing known of it.
    pub(super) fn made(slice: Slice, now: i64) -> Sighting {
        Sighting {
            measure: "views".to_owned(),
            direction: Direction::Low,
            slice,
            share: 0.0,
            onset: now,
            surprise: 1.0,
            severity: 1.0,
            impact: 0.0,
            sums: Sums::default(),
            is_cause: false,
            external: false,
        }
    }
}

impl<'a> Scene<'a> {
    /// Of the verdicts of one interval, which are ordered by measure.
    pub(super) fn new(seen: &Seen<'a>) -> Scene<'a> {
        let of_one = |a: &Point, b: &Point| a.measure == b.measure;
        let measured = seen.points.chunk_by(of_one).map(|points| {
            let adds_up = (seen.adds_up)(&points[0].measure);
            Measured { name: &points[0].measure, adds_up, points, all: sums(points.iter(), adds_up) }
        });
        Scene { measures: measured.collect() }
    }

    /// Series that are there, of all that are known.
    pub(super) fn present(&self) -> u64 {
        let given = |measured: &Measured<'_>| measured.points.iter().filter(|point| point.value.is_some()).count();
        self.measures.iter().map(given).max().unwrap_or(0) as u64
    }

    /// The measures.
    pub(super) fn names(&self) -> Vec<String> {
        self.measures.iter().map(|measured| measured.name.to_owned()).collect()
    }

    /// Series that are known.
    pub(super) fn known(&self) -> u64 {
        self.measures.iter().map(|measured| measured.points.len()).max().unwrap_or(0) as u64
    }

    /// Whether the values of a measure's series add up.
    pub(super) fn adds_up(&self, measure: &str) -> bool {
        self.measured(measure).is_some_and(|measured| measured.adds_up)
    }

    /// What is expected of all series of a measure, regardless of sign.
    pub(super) fn size(&self, measure: &str) -> f64 {
        self.measured(measure).map_or(0.0, |measured| measured.all.size)
    }

    /// What the series of a slice came to; none where none of them speaks.
    pub(super) fn sums(&self, measure: &str, slice: &Slice) -> Option<Sums> {
        Some(self.look(measure, slice)).filter(|sums| sums.series > 0)
    }

    /// The same, also of series that give no value.
    pub(super) fn look(&self, measure: &str, slice: &Slice) -> Sums {
        let Some(measured) = self.measured(measure) else { return Sums::default() };
        sums(measured.points.iter().filter(|point| slice.has(&point.key)), measured.adds_up)
    }

    /// A deviation as a share of all that was expected of a measure.
    pub(super) fn impact(&self, measure: &str, deviation: f64) -> f64 {
        let size = self.measured(measure).map_or(0.0, |measured| measured.all.size);
        let deviation = deviation.abs();
        if deviation > 0.0 { deviation / size.max(deviation / SHARE_MAX) } else { 0.0 }
    }

    /// What two slices of a measure share, of what they have together: by what was expected of their series.
    pub(super) fn overlap(&self, measure: &str, a: &Slice, b: &Slice) -> f64 {
        match a.lies(b) {
            Lies::Same => return 1.0,
            Lies::Beside if a.is_apart(b) => return 0.0,
            _ => {}
        }
        let Some(measured) = self.measured(measure) else { return 0.0 };
        let (mut both, mut either) = (0.0, 0.0);
        for point in measured.points {
            let (in_a, in_b, weight) = (a.has(&point.key), b.has(&point.key), point.expected.abs());
            both += if in_a && in_b { weight } else { 0.0 };
            either += if in_a || in_b { weight } else { 0.0 };
        }
        if either > 0.0 { both / either } else { 0.0 }
    }

    /// The total of each measure that adds up, and those of its dimension values that have several series.
    pub(super) fn rollups(&self, dimensions: usize) -> Vec<(&'a str, Slice, Sums)> {
        let mut rollups = Vec::new();
        for measured in self.measures.iter().filter(|measured| measured.adds_up) {
            rollups.push((measured.name, Slice::all(dimensions), measured.all));
        }
        for measured in self.measures.iter().filter(|measured| measured.adds_up) {
            for dimension in 0..dimensions {
                let mut by_value: BTreeMap<&str, Vec<&Point>> = BTreeMap::new();
                for point in measured.points {
                    if let Some(value) = point.key.values().nth(dimension) {
                        by_value.entry(value).or_default().push(point);
                    }
                }
                for points in by_value.into_values().filter(|points| points.len() > 1) {
                    let slice = Slice::of_series(&points[0].key).only(dimension);
                    rollups.push((measured.name, slice, sums(points.into_iter(), true)));
                }
            }
        }
        rollups.retain(|(.., sums)| sums.series > 1);
        rollups
    }

    /// A roll-up that stands out by so many standard deviations of its own.
    pub(super) fn of_rollup(
        &self,
        (measure, slice, direction): (&str, Slice, Direction),
        sums: Sums,
        off: f64,
        interval: Interval,
    ) -> Sighting {
        let known = self.measured(measure).map_or(0, |measured| measured.points.len());
        Sighting {
            measure: measure.to_owned(),
            direction,
            share: 0.0,
            onset: interval.number(),
            surprise: surprise(off, known),
            severity: 0.0,
            impact: self.impact(measure, sums.deviation()),
            slice,
            sums,
            is_cause: true,
            external: false,
        }
    }

    /// The share of a sighting's deviation that lies in a slice.
    pub(super) fn explained(&self, sighting: &Sighting, slice: &Slice) -> f64 {
        let Some(measured) = self.measured(&sighting.measure).filter(|_| !slice.is_apart(&sighting.slice)) else {
            return 0.0;
        };
        let is_in_both = |point: &&Point| slice.has(&point.key) && sighting.slice.has(&point.key);
        let both = sums(measured.points.iter().filter(is_in_both), measured.adds_up);
        let [both, all] = [both, sighting.sums].map(|sums| toward(sighting.direction, sums.deviation()));
        if all > 0.0 { both / all } else { 0.0 }
    }

    /// The share of a measure's series that are a standard deviation or more from what was expected.
    fn moved(&self, measure: &str, direction: Direction) -> f64 {
        let (mut moved, mut all) = (0.0, 0.0);
        for point in self.measured(measure).map(|measured| measured.points).unwrap_or_default() {
            let sums = sums(std::iter::once(point), true);
            if sums.series > 0 {
                all += 1.0;
                moved += f64::from(u8::from(sums.z(direction) >= 1.0));
            }
        }
        if all > 0.0 { moved / all } else { 0.0 }
    }

    fn measured(&self, name: &str) -> Option<&Measured<'a>> {
        self.measures.iter().find(|measured| measured.name == name)
    }

    /// What stands out in the groups, causes first.
    pub(super) fn sightings(&self, groups: &[AnomalyGroup], names: &[String]) -> Vec<Sighting> {
        groups.iter().flat_map(|group| self.of_group(group, names)).collect()
    }

    fn of_group(&self, group: &AnomalyGroup, names: &[String]) -> Vec<Sighting> {
        let mut left: Vec<(Slice, &Finding)> =
            group.findings.iter().map(|finding| (Slice::of(&finding.dimensions, names), finding)).collect();
        let mut sightings = Vec::new();
        let cause = |cause: &crate::model::Cause| {
            let direction = if cause.value >= cause.expected { Direction::High } else { Direction::Low };
            (Slice::of(&cause.dimensions, names), direction, cause.share, false)
        };
        let mut slices: Vec<(Slice, Direction, f64, bool)> = group.root_cause.causes.iter().map(cause).collect();
        if group.root_cause.external
            && let Some(all) = self.measured(&group.measure).map(|measured| measured.all)
        {
            let direction = if all.deviation() >= 0.0 { Direction::High } else { Direction::Low };
            // some broken series may move the total too: it is everything where most of them moved
            if self.moved(&group.measure, direction) >= EVERYTHING {
                slices.push((Slice::all(names.len()), direction, group.root_cause.unexplained, true));
            }
        }
        // values that do not add up have no cause where there are none
        let silent = self.silent(&group.measure, &left, names.len());
        slices.extend(silent.into_iter().map(|slice| (slice, Direction::Low, 0.0, false)));
        for (slice, direction, share, external) in slices {
            let is_in = |(of, finding): &(Slice, &Finding)| {
                finding.direction == direction && matches!(of.lies(&slice), Lies::Within | Lies::Same)
            };
            let inside: Vec<&Finding> = left.iter().filter(|entry| is_in(entry)).map(|(_, finding)| *finding).collect();
            if inside.is_empty() && share == 0.0 {
                continue;
            }
            let sighting = self.sighting(group, (slice.clone(), direction), &inside);
            sightings.extend(sighting.map(|sighting| Sighting { share, is_cause: true, external, ..sighting }));
            left.retain(|entry| !is_in(entry));
        }
        for (slice, finding) in left.into_iter().take(ISOLATED_MAX) {
            sightings.extend(self.sighting(group, (slice, finding.direction), &[finding]));
        }
        sightings
    }

    /// Dimension values of which no series sends anything, the widest first, among the findings without a value. Of values
    /// that add up the search for causes knows.
    fn silent(&self, measure: &str, findings: &[(Slice, &Finding)], dimensions: usize) -> Vec<Slice> {
        let mut slices: Vec<(u64, Slice)> = Vec::new();
        let is_silent = |(_, finding): &&(Slice, &Finding)| finding.value.is_none() && !self.adds_up(measure);
        for (series, _) in findings.iter().filter(is_silent) {
            for slice in (0..dimensions).map(|dimension| series.only(dimension)) {
                if slices.iter().any(|(_, other)| *other == slice) {
                    continue;
                }
                let sums = self.look(measure, &slice);
                if sums.known > 1 && sums.silent == sums.known {
                    slices.push((sums.known, slice));
                }
            }
        }
        slices.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        slices.into_iter().map(|(_, slice)| slice).collect()
    }

    fn sighting(
        &self,
        group: &AnomalyGroup,
        (slice, direction): (Slice, Direction),
        findings: &[&Finding],
    ) -> Option<Sighting> {
        // a slice of means that sent nothing came to nothing
        let sums = self.look(&group.measure, &slice);
        if sums.series == 0 && (sums.silent == 0 || sums.silent < sums.known) {
            return None;
        }
        let now = group.interval.number();
        let seconds = i64::from(group.interval.length().seconds());
        let since = |finding: &&Finding| now - (group.interval.start() - finding.since).num_seconds() / seconds;
        let most = |of: &dyn Fn(&Finding) -> f64| findings.iter().map(|finding| of(finding)).fold(0.0, f64::max);
        let known = self.measured(&group.measure).map_or(0, |measured| measured.points.len());
        Some(Sighting {
            measure: group.measure.clone(),
            direction,
            share: 0.0,
            onset: findings.iter().map(since).min().unwrap_or(now),
            surprise: surprise(sums.z(direction), known).max(most(&|finding| finding.score)),
            severity: most(&|finding| finding.severity),
            impact: self.impact(&group.measure, sums.deviation()),
            slice,
            sums,
            is_cause: false,
            external: false,
        })
    }
}

/// `-log10` of the probability of a slice's shift, after the search for it is paid for.
fn surprise(z: f64, series: usize) -> f64 {
    let gain = z.max(0.0) * z.max(0.0) / 2.0;
    ((gain - 2.0 * libm::log((series as f64).max(1.0))) / std::f64::consts::LN_10).max(0.0)
}

fn sums<'a>(points: impl Iterator<Item = &'a Point>, adds_up: bool) -> Sums {
    let mut sums = Sums { adds_up, ..Sums::default() };
    for point in points {
        match point.state {
            PointState::Learning { .. } => continue,
            PointState::Anomalous { direction, .. } => {
                sums.anomalies[usize::from(direction == Direction::High)] += 1;
            }
            PointState::Normal => {}
        }
        sums.known += 1;
        sums.silent += u64::from(point.value.is_none());
        let value = point.value.or(adds_up.then_some(0.0)).map(|value| value.clamp(-VALUE_MAX, VALUE_MAX));
        let Some(value) = value else { continue };
        let expected = point.expected;
        let deviation = point.deviation(value).max(EXACT * value.abs().max(expected.abs()));
        sums.series += 1;
        sums.value += value;
        sums.expected += expected;
        sums.variance += deviation * deviation;
        sums.size += expected.abs();
    }
    sums
}
