//! One series: the step that joins model, evidence and episode.
//!
//! A closed interval goes through it like this: what do the baselines expect, how far is the value from it over each
//! window, how rare is that here (`evidence`); is there an alarm, or does an open episode go on (`episode`); what may the
//! interval teach. A normal value teaches itself, cut at five mean errors beyond what the baselines expected; an anomalous one
//! teaches only what was expected.

mod episodes;

use super::episode::{Echo, Episode, Mode};
use super::evidence::{Errors, ForestEvidence, Rank, Repeats, Silence, Tail, Verdict, WIDTHS, WINDOWS, Windows};
use super::habit::{Budget, Habit};
use super::judgement::{Context, Judgement, State};
use super::model::{Bank, FAMILIES, Kind, Noise, Place, Profile};
use super::outlook::Outlook;
use super::refractory::Refractory;
use super::settings::ForestShape;
use super::severity::severity;
use super::snapshot::codec;
use crate::model::Length;

/// Intervals before a series speaks.
pub(super) const WARM_UP: u32 = 28;
/// A normal value teaches at most this many mean errors.
const TEACH_CUT: f64 = 5.0;
/// Prior tail of the largest surprise.
const COMBINED_TAIL: (f64, f64) = (2.0, 0.48);
/// How slowly the last tail falls: what is left of heavy tails after every kind of evidence has been ranked by its own.
/// Chosen so that the rate of false alarms on made and on real series is about what the sensitivity says.
const COMBINED_SHAPE: f64 = 0.13;
/// By how much the forest may lift the surprise of the sums: it does not alarm where nothing is far from expected.
const FOREST_LIFT: f64 = 1.5;
/// `log10 3`: three kinds of evidence are asked, so each may be three times rarer than it seems.
const RANK_COST: f64 = 0.477;
/// Score of an interval that is as odd as an alarm but not to be told, as a share of the alarm's.
const BELOW: f64 = 0.95;
/// Days before slow levels are asked.
const SLOW_AFTER_DAYS: u32 = 3;
/// Most that an interval within an episode scores, as a share of the alarm's.
const TOLD: f64 = 0.5;
/// Intervals without alarm after a break in what the local levels know.
const SETTLE: u32 = 3;
/// Values beyond this say no more; it keeps every sum finite.
pub(super) const VALUE_MAX: f64 = 1e100;
/// Above this share of intervals with a value, a series is a steady sender.
const STEADY: f64 = 0.95;

/// Everything that is kept of one series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    age: u32,
    absent: u32,
    settle: u32,
    /// Number of the first interval of a gap that is being told, and of a flat line.
    gap_since: i64,
    flat_since: i64,
    profile: Profile,
    bank: Bank,
    noise: Noise,
    /// Mean magnitude of the values that were there.
    typical: f64,
    windows: Windows,
    combined: Tail,
    forest: ForestEvidence,
    silence: Silence,
    repeats: Repeats,
    episode: Option<Episode>,
    echo: Option<Echo>,
    habit: Habit,
    budget: Budget,
    /// How many episodes began lately; fades within a day.
    unrest: f64,
    refractory: Refractory,
    /// The last value, and the ranks of steps from value to value and of errors.
    last: f64,
    steps: Rank,
    misses: Rank,
}

codec!(Series {
    age,
    absent,
    settle,
    gap_since,
    flat_since,
    profile,
    bank,
    noise,
    typical,
    windows,
    combined,
    forest,
    silence,
    repeats,
    episode,
    echo,
    habit,
    budget,
    unrest,
    refractory,
    last,
    steps,
    misses,
});

impl Series {
    /// A series that nothing is known of.
    pub(super) fn new(length: Length, forest: ForestShape, seed: u64) -> Series {
        Series {
            age: 0,
            absent: 0,
            settle: 0,
            gap_since: 0,
            flat_since: 0,
            profile: Profile::new(length),
            bank: Bank::new(),
            noise: Noise::new(),
            typical: 0.0,
            windows: Windows::new(length),
            combined: Tail::new(COMBINED_TAIL.0, COMBINED_TAIL.1).with_shape(COMBINED_SHAPE),
            forest: ForestEvidence::new(forest, seed),
            silence: Silence::new(),
            repeats: Repeats::new(),
            episode: None,
            echo: None,
            habit: Habit::default(),
            budget: Budget::default(),
            unrest: 0.0,
            refractory: Refractory::default(),
            last: 0.0,
            steps: Rank::new(),
            misses: Rank::new(),
        }
    }

    /// Intervals until it speaks.
    pub(super) fn remaining(&self) -> u32 {
        WARM_UP.saturating_sub(self.age)
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes_without_forest() + self.forest.heap_bytes()
    }

    /// The same but for its forest.
    pub(super) fn bytes_without_forest(&self) -> usize {
        let lists = self.profile.heap_bytes() + self.bank.heap_bytes();
        size_of::<Series>() + lists + self.habit.heap_bytes() + self.budget.heap_bytes()
    }

    /// Intervals since the last value.
    pub(super) fn absent(&self) -> u32 {
        self.absent
    }

    /// Its forest.
    pub(super) fn forest(&self) -> &ForestEvidence {
        &self.forest
    }

    /// Its forest, to be kept in another way.
    pub(super) fn forest_mut(&mut self) -> &mut ForestEvidence {
        &mut self.forest
    }

    /// Time was skipped: what the local levels know is old.
    pub(super) fn jump(&mut self) {
        self.settle = SETTLE;
        self.episode = None;
        self.echo = None;
    }

    /// Judges one interval and learns from it. O(windows x baselines), and one forest step.
    pub(super) fn step(&mut self, context: &Context, place: &Place, value: Option<f64>) -> Judgement {
        self.age = self.age.saturating_add(1);
        self.absent = if value.is_some() { 0 } else { self.absent.saturating_add(1) };
        let share = place.slot as f64 / f64::from(context.per_day);
        let gap = self.silence.observe(value.is_some(), share);
        let value = value.map(|value| value.clamp(-VALUE_MAX, VALUE_MAX));
        if let Some(value) = value {
            let seen = f64::from(self.age - self.absent).min(500.0);
            self.typical += (value.abs() - self.typical) / seen;
        }
        let judgement = match value {
            Some(value) => self.judge(context, place, value, share),
            None if context.empty_is_zero => self.judge(context, place, 0.0, share),
            None => self.judge_silence(context, place, gap),
        };
        let judgement = self.told(context, judgement, value);
        Judgement { score: self.refractory.say(judgement.score, context.alarm, context.per_day), ..judgement }
    }

    /// A judgement within the margins: a flat line and a gap are told however near to what was expected they are.
    fn told(&self, context: &Context, judgement: Judgement, value: Option<f64>) -> Judgement {
        let is_flat = self.flat_since != 0 && self.episode.is_none();
        match value.or(context.empty_is_zero.then_some(0.0)) {
            Some(value) if is_flat => context.margin.widened(judgement, value),
            Some(value) => context.margin.told(judgement, value, context.alarm),
            None => context.margin.told_of_silence(judgement, context.alarm),
        }
    }

    /// Passes over an interval: learns nothing, and says what was expected. An episode stays open. The longer it lasts,
    /// the older is what the local levels know; the next step is one from what was expected.
    pub(super) fn pass(&mut self, context: &Context, place: &Place) -> Judgement {
        let outlook = self.outlook(context, place);
        self.last = outlook.expected;
        self.settle = (self.settle + 1).min(SETTLE);
        let remaining = self.remaining();
        let state = if remaining > 0 { State::Learning { remaining } } else { State::Normal };
        self.judgement(context, &outlook, outlook.expected, 0.0, state)
    }

    fn outlook(&self, context: &Context, place: &Place) -> Outlook {
        let shapes = Bank::shapes(&self.profile, &self.noise, place, self.silence.share() >= STEADY);
        let wide = self.age >= (context.per_day + context.per_day / 4).clamp(60, 2000);
        // one day may have been an odd one: what follows it slowly waits for a second opinion
        let known = self.age / context.per_day.max(24);
        let families = if known >= SLOW_AFTER_DAYS { FAMILIES } else { FAMILIES - 1 };
        let best = self.windows.best(0, &self.bank, &shapes, wide);
        let expected = self.bank.expected(best.unwrap_or(0), 1, &shapes).unwrap_or(0.0);
        let shape = self.noise.shape(expected);
        let least = self.noise.least().max(self.least_of_sparse(expected));
        let unit = best.map(|baseline| self.windows.unit(baseline, 0, shape, least));
        Outlook { shapes, expected, shape, least, best, unit, wide, families, days: self.profile.days(place) }
    }

    /// Where less is expected than one typical value, values come one by one, and one of them is no news.
    fn least_of_sparse(&self, expected: f64) -> f64 {
        if self.typical <= 0.0 {
            return 0.0;
        }
        let sparse = ((STEADY - self.silence.share()) / 0.15).clamp(0.0, 1.0);
        let below = (1.0 - expected.abs() / self.typical).clamp(0.0, 1.0);
        0.6 * self.typical * sparse * below
    }

    fn judge(&mut self, context: &Context, place: &Place, value: f64, share: f64) -> Judgement {
        let outlook = self.outlook(context, place);
        let flat = self.repeats.observe(value, share, outlook.unit);
        self.unrest *= 1.0 - 1.0 / f64::from(context.per_day.max(24));
        self.settle = self.settle.saturating_sub(1);
        if self.echo.as_mut().is_some_and(|echo| !echo.age()) {
            self.echo = None;
        }
        let (step, miss) = self.rank(value, &outlook);
        if self.episode.is_some() {
            return self.go_on(context, place, value, &outlook);
        }

        let errors = Windows::errors(&self.bank, &outlook.shapes, value);
        let noise = (outlook.shape, outlook.least);
        let lead = self.windows.judge(&errors, &self.bank, &outlook.shapes, noise, (outlook.wide, outlook.families));
        let standardised = outlook.unit.map_or(0.0, |unit| (value - outlook.expected) / unit);
        let scores = self.forest.scores(standardised);
        let sums = lead.map_or(0.0, |lead| lead.surprise);
        let shape = scores.as_ref().map_or(0.0, |scores| self.forest.surprise(scores));
        let largest = sums.max(shape.min(sums + FOREST_LIFT));
        let mut score = self.combined.surprise(largest);
        score = score.max(step.max(miss) - RANK_COST);
        let is_small =
            |lead: &Verdict| context.margin.is_small(lead.error / WIDTHS[lead.window] as f64, outlook.expected);
        let speaks = self.remaining() == 0 && self.settle == 0 && !lead.as_ref().is_some_and(is_small);

        if let (true, true, Some(lead)) = (speaks, score >= context.alarm, lead) {
            let returned = self.echo.as_ref().and_then(|echo| echo.matches(value - outlook.expected, outlook.shape));
            if let Some(step) = returned {
                self.echo = None;
                return self.come_back(context, place, value, &outlook, step);
            }
            if outlook.is_profile(value, outlook.expected) {
                return self.come_back(context, place, value, &outlook, value - outlook.expected);
            }
            if let Some(recurrence) = self.habit.knows(place.number, value, outlook.expected, context.per_day) {
                return self.get_used(context, place, value, &outlook, recurrence);
            }
            // what is not told does not use up what may be told
            let is_asked = context.margin.asks(lead.error >= 0.0);
            if !is_asked || self.budget.spend(place.number, score, context.alarm, context.per_day) {
                self.habit.note(place.number, value, context.per_day);
                return self.alarm(context, place, &outlook, &errors, lead, (largest, score));
            }
        }
        if score >= context.alarm {
            score = BELOW * context.alarm;
        }

        self.combined.learn(largest);
        self.forest.learn(standardised, scores.as_ref());
        self.learn_normal(place, value, &outlook, &errors);
        let state = if self.remaining() > 0 { State::Learning { remaining: self.remaining() } } else { State::Normal };
        if state == State::Normal && flat >= context.alarm {
            if self.flat_since == 0 {
                self.flat_since = place.number;
            }
            if place.number - self.flat_since < i64::from(context.per_day) {
                let state = State::Anomalous { high: value >= outlook.expected, since: self.flat_since };
                let first = self.flat_since == place.number;
                let flat_score = if first { flat } else { flat.min(TOLD * context.alarm) };
                let mut judgement = self.judgement(context, &outlook, value, flat_score.max(score), state);
                judgement.severity = judgement.severity.max(severity(flat / context.alarm));
                return judgement;
            }
        } else {
            self.flat_since = 0;
        }
        let score = if self.remaining() > 0 { 0.0 } else { score };
        self.judgement(context, &outlook, value, score, state)
    }

    /// How rare the step from the last value is, and the error, among all that this series has shown.
    fn rank(&mut self, value: f64, outlook: &Outlook) -> (f64, f64) {
        let (step, miss) = ((value - self.last).abs(), (value - outlook.expected).abs());
        self.last = value;
        let least = self.noise.least();
        let ranks = (self.steps.surprise(step, least), self.misses.surprise(miss, least));
        self.steps.learn(step, least);
        self.misses.learn(miss, least);
        ranks
    }

    /// Opens an episode.
    fn alarm(
        &mut self,
        context: &Context,
        place: &Place,
        outlook: &Outlook,
        errors: &Errors,
        lead: Verdict,
        (largest, score): (f64, f64),
    ) -> Judgement {
        let width = WIDTHS[lead.window];
        let limit = self.combined.value(context.alarm);
        let ratio = self.windows.ratio_at(lead.baseline, lead.window, limit);
        let unit = |series: &Series, baseline| series.windows.unit(baseline, lead.window, outlook.shape, outlook.least);
        let far = self.far_baseline(outlook);
        let mode = match far {
            Some(baseline) => {
                let expected = self.bank.expected(baseline, width, &outlook.shapes).unwrap_or(outlook.expected);
                let shape = outlook.shapes[Bank::kind(baseline) as usize];
                Mode::Held { baseline, level: shape.map_or(0.0, |shape| shape.level(expected)) }
            }
            None => Mode::Riding { jump: lead.error / width as f64 },
        };
        let unit = unit(self, lead.baseline).max(far.map_or(0.0, |baseline| 0.5 * unit(self, baseline)));
        let threshold = ratio * unit / width as f64;
        let deviation = lead.error / width as f64;
        let episode = Episode::new(place.number, mode, deviation, threshold / outlook.shape, width, self.age);
        self.unrest += 1.0;
        self.windows.learn_ranks(errors, (outlook.shape, outlook.least));
        self.combined.learn(largest);
        self.bank.take_back(width - 1);
        let expected = match mode {
            Mode::Held { baseline, level } => outlook.held(baseline, level),
            Mode::Riding { .. } => self.bank.expected(lead.baseline, 1, &outlook.shapes).unwrap_or(outlook.expected),
        };
        self.learn(place, expected, expected, outlook);
        let state = State::Anomalous { high: episode.high, since: episode.since };
        self.episode = Some(episode);
        self.band(expected, threshold, score, deviation.abs(), state)
    }

    /// The baseline that foresees the widest window best, once a day is known.
    fn far_baseline(&self, outlook: &Outlook) -> Option<usize> {
        let seasonal = |baseline: &usize| outlook.wide || Bank::kind(*baseline) != Kind::Local;
        (3..WINDOWS)
            .rev()
            .find_map(|window| self.windows.best(window, &self.bank, &outlook.shapes, outlook.wide))
            .filter(seasonal)
    }

    /// An interval without value of a series whose empty intervals have none.
    fn judge_silence(&mut self, context: &Context, place: &Place, gap: f64) -> Judgement {
        let outlook = self.outlook(context, place);
        if self.silence.gap() <= 1 {
            self.gap_since = 0;
        }
        let told = gap >= context.alarm && self.remaining() == 0;
        if told && self.gap_since == 0 {
            self.gap_since = place.number;
        }
        if self.silence.gap() > context.per_day.max(24) {
            self.silence.accept();
        }
        if self.age > self.absent {
            self.bank.learn(outlook.expected, &outlook.shapes);
        }
        let state = if self.remaining() > 0 {
            State::Learning { remaining: self.remaining() }
        } else if told {
            State::Anomalous { high: false, since: self.gap_since }
        } else {
            State::Normal
        };
        let score = match state {
            State::Learning { .. } => 0.0,
            State::Anomalous { since, .. } if since != place.number => gap.min(TOLD * context.alarm),
            _ => gap,
        };
        let mut judgement = self.judgement(context, &outlook, outlook.expected, score, state);
        judgement.severity = if self.remaining() > 0 { 0.0 } else { severity(gap / context.alarm) };
        judgement
    }

    fn learn_normal(&mut self, place: &Place, value: f64, outlook: &Outlook, errors: &Errors) {
        self.noise.value(value);
        self.windows.learn(errors, (outlook.shape, outlook.least));
        if outlook.unit.is_some() {
            let factor = self.noise.error(outlook.expected, value - outlook.expected);
            if let Some(factor) = factor {
                self.windows.rescale(factor);
            }
        }
        let taught = match outlook.unit {
            Some(unit) => {
                let (low, high) = self.bank.envelope(&outlook.shapes, outlook.expected);
                value.clamp(low - TEACH_CUT * unit, high + TEACH_CUT * unit)
            }
            None => value,
        };
        self.learn(place, taught, taught, outlook);
    }

    /// Teaches the profile one value and the levels another.
    fn learn(&mut self, place: &Place, to_profile: f64, to_levels: f64, outlook: &Outlook) {
        self.bank.learn(to_levels, &outlook.shapes);
        self.profile.learn(place, to_profile);
    }

    /// A judgement around what was expected of this one interval.
    fn judgement(&self, context: &Context, outlook: &Outlook, value: f64, score: f64, state: State) -> Judgement {
        let ratio = self.windows.ratio_at(outlook.best.unwrap_or(0), 0, self.combined.value(context.alarm));
        let threshold = match outlook.unit {
            Some(unit) => ratio * unit,
            None => (value - outlook.expected).abs(),
        };
        let deviation = if outlook.unit.is_some() { (value - outlook.expected).abs() } else { 0.0 };
        let has_scale = outlook.unit.is_some();
        Judgement { has_scale, ..self.band(outlook.expected, threshold, score, deviation, state) }
    }

    fn band(&self, expected: f64, threshold: f64, score: f64, deviation: f64, state: State) -> Judgement {
        let severity = if matches!(state, State::Learning { .. }) { 0.0 } else { severity(deviation / threshold) };
        let (lower, upper) = (expected - threshold, expected + threshold);
        let (expected, lower, upper) = if self.noise.is_negative() {
            (expected, lower, upper)
        } else {
            (expected.max(0.0), lower.max(0.0), upper.max(0.0))
        };
        Judgement { expected, lower, upper, has_scale: true, score, severity, state }
    }
}
