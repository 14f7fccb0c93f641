//! Three baselines side by side: the daily and weekly shape with a level that multiplies it, the same with a level that is
//! added, and a level alone. The one whose errors are smallest on this series speaks: near errors, of the next value, and far
//! ones, of the sum of the next 32, count alike, because a level alone follows every curve well for five minutes.
//!
//! The last [`WINDOW_MAX`] states are kept, so that a window of the last values can be judged by the level *before* it,
//! and an alarm can take back what the values that raised it have taught.

use super::level::{Level, Levels, Reversion, gains};
use super::opinion::{ALONE, KINDS, MULTIPLICATIVE, Opinion, Shape, Shapes, Sums, row, shape_of};
use super::running::{Running, WIDTHS, WINDOW_MAX, WINDOWS};
use super::{Noise, Place, Profile};
use crate::detect::habit::Recurrence;
use crate::detect::snapshot::codec;
use crate::model::Length;

/// Values of a baseline before it may take over.
const ERRORS_LEAST: u32 = 60;
/// How much smaller the errors of another must be.
const BETTER: f64 = 0.95;
/// Errors below this are none: a product of two is still above 0.
const COST_LEAST: f64 = 1e-150;
/// Memory of near and far errors.
const NEAR_MEMORY: u32 = 600;
const FAR_MEMORY: u32 = 2000;
/// An error larger than this many times the mean error counts as that much.
const CLIP: f64 = 6.0;
/// Bounds of a level that multiplies, as a share of the shape.
const SHARE: (f64, f64) = (-1.0, 20.0);
/// Values before a window beside those in it.
const BEFORE: usize = 2;
const RUN_MAX: u32 = 1000;

/// One step of the past.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Past {
    value: f64,
    /// After it.
    levels: [Level; KINDS],
}

codec!(Past { value, levels });

/// A mean magnitude of errors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mean {
    size: f64,
    seen: u32,
}

codec!(Mean { size, seen });

impl Mean {
    fn learn(&mut self, error: f64, memory: u32, least: f64) {
        self.seen = (self.seen + 1).min(memory);
        let cut = if self.seen > 20 { (CLIP * self.size).max(least) } else { f64::MAX };
        self.size += (error.abs().min(cut) - self.size) / f64::from(self.seen);
    }
}

/// Everything that is expected from.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::detect) struct Baselines {
    profiles: [Profile; 2],
    gains: Level,
    levels: [Levels; KINDS],
    reversions: [[Reversion; WINDOWS]; KINDS],
    near: [Mean; KINDS],
    far: [Mean; KINDS],
    chosen: u8,
    /// Values that each has seen without a break.
    runs: [u32; KINDS],
    running: Running,
    /// The last [`WINDOW_MAX`] steps, a ring, and where the coming one goes.
    past: [Past; WINDOW_MAX],
    head: u8,
}

codec!(Baselines { profiles, gains, levels, reversions, near, far, chosen, runs, running, past, head });

impl Baselines {
    /// Of a series that nothing is known of.
    pub(in crate::detect) fn new(length: Length) -> Baselines {
        Baselines {
            profiles: [Profile::new(length, true), Profile::new(length, false)],
            gains: gains(length.per_day()),
            levels: [Levels::default(); KINDS],
            reversions: [[Reversion::new(); WINDOWS]; KINDS],
            near: [Mean::default(); KINDS],
            far: [Mean::default(); KINDS],
            chosen: ALONE as u8,
            runs: [0; KINDS],
            running: Running::new(),
            past: [Past::default(); WINDOW_MAX],
            head: 0,
        }
    }

    /// The shapes at a place.
    pub(in crate::detect) fn shapes(&self, place: &Place, noise: &Noise) -> Shapes {
        let [multiplicative, additive] = &self.profiles;
        let scales = multiplicative.at(place).filter(|_| !noise.is_negative());
        let multiplicative = scales.map(|value| Shape { value, unit: value });
        let additive = additive.at(place).map(|value| Shape { value, unit: 1.0 });
        [multiplicative, additive, Some(Shape { value: 0.0, unit: 1.0 })]
    }

    /// Chooses the baseline that speaks from now on; far errors count once two days are known.
    pub(in crate::detect) fn choose(&mut self, shapes: &Shapes, knows_days: bool) {
        if shapes[self.chosen()].is_none() {
            self.chosen = ALONE as u8;
        }
        let costs: [f64; KINDS] = std::array::from_fn(|kind| {
            let far = if knows_days { self.far[kind].size.max(COST_LEAST) } else { 1.0 };
            self.near[kind].size.max(COST_LEAST) * far
        });
        let mut best = self.chosen();
        for (kind, shape) in shapes.iter().enumerate() {
            let may = shape.is_some() && self.near[kind].seen > ERRORS_LEAST;
            if may && costs[kind] < BETTER * costs[best] {
                best = kind;
            }
        }
        self.chosen = best as u8;
    }

    /// Whether the baseline that speaks knows a shape.
    pub(in crate::detect) fn has_shape(&self) -> bool {
        self.chosen() != ALONE
    }

    /// The shape of the baseline that speaks.
    pub(in crate::detect) fn shape(&self, shapes: &Shapes) -> Shape {
        shapes[self.chosen()].unwrap_or(Shape { value: 0.0, unit: 1.0 })
    }

    /// What is expected of the coming value.
    pub(in crate::detect) fn expected(&self, shapes: &Shapes, noise: &Noise) -> f64 {
        self.expected_of(self.chosen(), self.shape(shapes), noise)
    }

    /// Least and greatest of what the baselines expect of the coming value.
    pub(in crate::detect) fn envelope(&self, shapes: &Shapes, noise: &Noise) -> (f64, f64) {
        let middle = self.expected(shapes, noise);
        let known = shapes.iter().enumerate().filter_map(|(kind, shape)| Some((kind, (*shape)?)));
        let known = known.filter(|(kind, _)| self.near[*kind].seen > 0);
        let expected = known.map(|(kind, shape)| self.expected_of(kind, shape, noise));
        expected.fold((middle, middle), |(low, high), expected| (low.min(expected), high.max(expected)))
    }

    /// The level that the baseline that speaks foresees over a window of index `window` from before it.
    pub(in crate::detect) fn ahead(&self, window: usize, sums: &Sums) -> f64 {
        self.reversions[self.chosen()][window].ahead(sums.before)
    }

    /// Sums over the windows that end with the coming `value` of this `variance`; none where too little is known.
    pub(in crate::detect) fn sums(&self, shapes: &Shapes, value: f64, variance: f64) -> [Option<Sums>; WINDOWS] {
        self.sums_of(self.chosen(), self.shape(shapes), value, variance)
    }

    /// What the other baselines make of the same values.
    pub(in crate::detect) fn other_opinions(
        &self,
        shapes: &Shapes,
        width: usize,
        value: f64,
        variance: f64,
        noise: &Noise,
    ) -> [Option<Opinion>; KINDS] {
        let opinion = |kind: usize| {
            let window = WIDTHS.iter().position(|other| *other == width)?;
            let shape = shapes[kind].filter(|_| kind != self.chosen())?;
            let sums = self.sums_of(kind, shape, value, variance)[window]?;
            let expected = sums.at(self.reversions[kind][window].ahead(sums.before));
            let expected = expected.max(noise.least_expected() * width as f64);
            Some(Opinion { value: sums.value, expected, variance: sums.variance })
        };
        std::array::from_fn(opinion)
    }

    /// What the shape of another weekday makes of the same values, at the level before them; none if that is not known.
    pub(in crate::detect) fn in_guise(
        &self,
        place: &Place,
        width: usize,
        value: f64,
        noise: &Noise,
    ) -> Option<Opinion> {
        let kind = self.chosen();
        let profile = self.profiles.get(kind)?;
        let level = self.reversions[kind][0].ahead(self.before(kind, width));
        let mut opinion = Opinion { value, expected: 0.0, variance: 0.0 };
        for back in 0..width {
            let past = place.before(back);
            if !profile.knows(&past) {
                return None;
            }
            let shape = self.shapes(&past, noise)[kind]?;
            let expected = shape.at(level);
            let deviation = noise.deviation(expected);
            opinion.value += if back > 0 { self.back(back).value } else { 0.0 };
            opinion.expected += expected;
            opinion.variance += deviation * deviation;
        }
        Some(opinion)
    }

    /// How far the value `back` intervals before the coming one is from what the shape at a place makes of the level before it,
    /// in standard deviations; none if that is not known any more.
    pub(in crate::detect) fn distance_before(&self, place: &Place, back: usize, noise: &Noise) -> Option<f64> {
        let kind = self.chosen();
        if back >= WINDOW_MAX || back >= self.runs[kind] as usize {
            return None;
        }
        let past = self.back(back);
        let level = self.reversions[kind][0].ahead(past.levels[kind]);
        let expected = self.shapes(place, noise)[kind]?.at(level);
        Some((past.value - expected) / noise.deviation(expected))
    }

    /// Whether some weekday begins at this time of the day, or up to `width` intervals before.
    pub(in crate::detect) fn knows_border(&self, place: &Place, width: usize) -> bool {
        let Some(profile) = self.profiles.get(self.chosen()) else { return false };
        let mut begins = (0..width).map(|back| place.before(back)).filter(Place::begins_bin);
        begins.any(|place| (0..7).any(|days| profile.has_edge(&place.ahead(days))))
    }

    /// Takes the cleaned value of an interval in: levels, errors, and what lasts of the levels where `is_normal`.
    pub(in crate::detect) fn learn(
        &mut self,
        shapes: &Shapes,
        (value, clean): (f64, f64),
        variance: f64,
        noise: &Noise,
        is_normal: bool,
    ) {
        let least = 2.0 * noise.single();
        if is_normal {
            for (kind, shape) in shapes.iter().enumerate() {
                if let Some(shape) = shape {
                    self.revert(kind, *shape, value, noise, least);
                }
            }
        }
        let least_expected = noise.least_expected();
        for (kind, shape) in shapes.iter().enumerate() {
            let Some(shape) = *shape else {
                // levels around a shape that begins anew say nothing
                self.levels[kind] = Levels::default();
                self.runs[kind] = 0;
                continue;
            };
            let error = value - self.next(kind, shape).max(least_expected);
            self.near[kind].learn(error, NEAR_MEMORY, least);
            let bounds = if kind == MULTIPLICATIVE { SHARE } else { (f64::MIN, f64::MAX) };
            self.levels[kind].learn(clean - shape.value, shape.unit, &self.gains, bounds);
            self.runs[kind] = (self.runs[kind] + 1).min(RUN_MAX);
        }
        self.running.learn(row(shapes, clean, variance));
        let levels = self.levels.map(|levels| levels.now());
        self.past[usize::from(self.head) % WINDOW_MAX] = Past { value: clean, levels };
        self.head = (self.head + 1) % WINDOW_MAX as u8;
    }

    /// Teaches the shapes a cleaned value.
    pub(in crate::detect) fn learn_shapes(&mut self, place: &Place, clean: f64, noise: &Noise) {
        let dispersion = noise.dispersion();
        self.profiles.iter_mut().for_each(|profile| profile.learn(place, clean, dispersion));
    }

    /// Teaches the shapes a habit.
    pub(in crate::detect) fn adopt(&mut self, place: &Place, value: f64, recurrence: Recurrence) {
        self.profiles.iter_mut().for_each(|profile| profile.adopt(place, value, recurrence));
    }

    /// Takes back what the last `width - 1` values taught the levels: they raised an alarm.
    pub(in crate::detect) fn take_back(&mut self, width: usize) {
        for kind in 0..KINDS {
            if width > 1 && self.runs[kind] as usize >= width {
                let level = self.before(kind, width);
                self.levels[kind].set(&level);
            }
        }
        self.forget_past();
    }

    /// Makes the levels of all baselines such that `value` is expected here.
    pub(in crate::detect) fn settle_at(&mut self, shapes: &Shapes, value: f64) {
        for (kind, shape) in shapes.iter().enumerate() {
            let Some(shape) = shape else { continue };
            let level = shape.level(value);
            if kind > 0 || level < SHARE.1 {
                self.levels[kind].set(&[level; 3]);
            }
        }
        self.forget_past();
    }

    /// What came before no longer counts as the run before a window.
    pub(in crate::detect) fn forget_past(&mut self) {
        self.runs = [0; KINDS];
    }

    /// Bytes on the heap.
    pub(in crate::detect) fn heap_bytes(&self) -> usize {
        self.profiles.iter().map(Profile::heap_bytes).sum()
    }

    fn chosen(&self) -> usize {
        usize::from(self.chosen).min(ALONE)
    }

    fn expected_of(&self, kind: usize, shape: Shape, noise: &Noise) -> f64 {
        self.next(kind, shape).max(noise.least_expected())
    }

    /// The coming value as a baseline has it, whatever is the least.
    fn next(&self, kind: usize, shape: Shape) -> f64 {
        shape.at(self.reversions[kind][0].ahead(self.levels[kind].now()))
    }

    /// Levels before a window of `width` values that ends with the coming one.
    fn before(&self, kind: usize, width: usize) -> Level {
        if width <= 1 { self.levels[kind].now() } else { self.back(width).levels[kind] }
    }

    /// The step `back` before the coming one.
    fn back(&self, back: usize) -> &Past {
        &self.past[(usize::from(self.head) + WINDOW_MAX - back) % WINDOW_MAX]
    }

    fn sums_of(&self, kind: usize, shape: Shape, value: f64, variance: f64) -> [Option<Sums>; WINDOWS] {
        let mut shapes = [None; KINDS];
        shapes[kind] = Some(shape);
        let rows = self.running.with(row(&shapes, value, variance));
        let run = self.runs[kind] as usize;
        std::array::from_fn(|window| {
            let (width, [value, variance, ..]) = (WIDTHS[window], rows[window]);
            let shape = shape_of(kind, &rows[window], width);
            (run >= width + BEFORE).then(|| Sums { value, variance, shape, before: self.before(kind, width) })
        })
    }

    /// Learns what became of the levels before each window.
    fn revert(&mut self, kind: usize, shape: Shape, value: f64, noise: &Noise, least: f64) {
        let typical = if kind == MULTIPLICATIVE { noise.magnitude().max(f64::MIN_POSITIVE) } else { 1.0 };
        let all = self.sums_of(kind, shape, value, 0.0);
        for (window, sums) in all.into_iter().enumerate() {
            let Some(Sums { value, shape, before, .. }) = sums else { break };
            let reversion = &mut self.reversions[kind][window];
            if window == WINDOWS - 1 {
                let error = value - shape.at(reversion.ahead(before));
                self.far[kind].learn(error, FAR_MEMORY, 2.0 * least);
            }
            let weight = (shape.unit / (WIDTHS[window] as f64 * typical)).min(3.0);
            if weight > 1e-3 {
                let became = (value - shape.value) / shape.unit;
                reversion.learn(before, became, weight, least / shape.unit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Interval;

    fn five_minutes() -> Length {
        Length::from_seconds(300).unwrap()
    }

    /// Baselines that have seen `days` of `truth`.
    fn learned(days: usize, truth: impl Fn(usize) -> f64) -> (Baselines, Noise) {
        let (mut baselines, mut noise) = (Baselines::new(five_minutes()), Noise::new(true));
        for step in 0..288 * days {
            let place = place(step);
            let shapes = baselines.shapes(&place, &noise);
            baselines.choose(&shapes, step > 576);
            let expected = baselines.expected(&shapes, &noise);
            let value = truth(step);
            noise.value(value);
            noise.error(expected, value - expected);
            baselines.learn(&shapes, (value, value), 1.0, &noise, true);
            baselines.learn_shapes(&place, value, &noise);
        }
        (baselines, noise)
    }

    fn place(step: usize) -> Place {
        Place::of(Interval::containing(0, five_minutes()).offset(step as i64))
    }

    fn wave(step: usize) -> f64 {
        let hour = step as f64 / 12.0;
        1000.0 + 600.0 * libm::sin(hour * std::f64::consts::TAU / 24.0) + (step * 37 % 11) as f64
    }

    #[test]
    fn a_daily_wave_is_foreseen_and_a_window_is_judged_from_before_it() {
        let (mut baselines, noise) = learned(5, wave);
        assert!(baselines.has_shape());
        let at = 5 * 288;
        for step in at..at + 8 {
            let shapes = baselines.shapes(&place(step), &noise);
            let expected = baselines.expected(&shapes, &noise);
            if step == at {
                assert!((expected / wave(step) - 1.0).abs() < 0.02, "{expected} for {}", wave(step));
            }
            let value = 1.5 * wave(step);
            baselines.learn(&shapes, (value, value), 1.0, &noise, false);
        }
        let shapes = baselines.shapes(&place(at + 8), &noise);
        let sums = baselines.sums(&shapes, 1.5 * wave(at + 8), 1.0)[3].unwrap();
        let excess = sums.value / sums.at(baselines.ahead(3, &sums));
        assert!((excess - 1.5).abs() < 0.05 || (1.3..1.6).contains(&excess), "{excess}");
        baselines.take_back(8);
        let level = baselines.expected(&shapes, &noise) / wave(at + 8);
        assert!((level - 1.0).abs() < 0.12, "{level}");
    }

    /// A random walk, from a linear congruence.
    fn walk(steps: usize) -> Vec<f64> {
        let (mut value, mut noise) = (5000.0, 0x9e37_79b9_u32);
        let each = (0..steps).map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            value += 20.0 * (f64::from(noise) / f64::from(u32::MAX) - 0.5);
            value
        });
        each.collect()
    }

    #[test]
    fn a_random_walk_is_expected_to_stay_where_it_is() {
        let walk = walk(6 * 288);
        for days in 2..=6 {
            let (baselines, noise) = learned(days, |step| walk[step]);
            let expected = baselines.expected(&baselines.shapes(&place(288 * days), &noise), &noise);
            assert!((expected - walk[288 * days - 1]).abs() < 80.0, "{expected} after {}", walk[288 * days - 1]);
        }
    }

    #[test]
    fn all_baselines_settle_at_a_value() {
        let (mut baselines, noise) = learned(3, wave);
        let shapes = baselines.shapes(&place(3 * 288), &noise);
        baselines.settle_at(&shapes, 4321.0);
        for (kind, shape) in shapes.iter().enumerate() {
            assert!((baselines.expected_of(kind, shape.unwrap(), &noise) - 4321.0).abs() < 1e-6);
        }
    }
}
