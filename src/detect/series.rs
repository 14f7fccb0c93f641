//! One series: the step that joins model, evidence and episode.
//!
//! A closed interval goes through it like this: what is expected and how large is the noise there (`model`), how far is the value
//! from it over each window, how rare is that here (`evidence`); is there an alarm, or does an open episode go on
//! (`episode`); what may the interval teach. A normal value teaches itself, cut at four standard deviations; an anomalous
//! one teaches nothing.
//!
//! An alarm is told unless something else explains it: the level is back where it was before a shift, the day follows the
//! shape of another weekday (a holiday), the same was odd at this time yesterday or a week ago.

mod episodes;

use super::episode::{Echo, Episode, Mode};
use super::evidence::{Extremes, ForestEvidence, Jumps, Lead, Odds, Question, Repeats, Silence, Windows};
use super::guise::Guises;
use super::habit::{Budget, Habit, Recurrence};
use super::judgement::{Context, Judgement, State};
use super::model::{Baselines, Noise, Place, Shape, Shapes};
use super::refractory::Refractory;
use super::settings::ForestShape;
use super::severity::severity;
use super::snapshot::codec;
use crate::model::Length;

/// Intervals before a series speaks.
pub(super) const WARM_UP: u32 = 28;
/// A normal value teaches at most this many standard deviations, once this many intervals are known.
const TEACH_CUT: f64 = 4.0;
const TEACH_AFTER: u32 = 40;
/// The same in single events.
const TEACH_EVENTS: f64 = 4.0;
/// By how much the forest may lift the surprise of the sums: it does not alarm where nothing is far from expected.
const FOREST_LIFT: f64 = 1.5;
/// Score of an interval that is as odd as an alarm but not to be told, as a share of the alarm's.
const BELOW: f64 = 0.95;
/// Days before wide windows are asked, and the anchor.
const WIDE_AFTER: f64 = 3.0;
/// Intervals after which a series of intervals shorter than a minute has a level, though not yet a day.
const LEVEL_AFTER: u32 = 288;
const DAY_MINUTES: u32 = 1440;
/// Days before a single value is compared by its rank alone.
const ALONE_AFTER: f64 = 2.0;
/// Days for which the other baselines are asked too.
const SECOND_OPINION: f64 = 8.0;
/// Most that an interval within an episode scores, as a share of the alarm's.
const TOLD: f64 = 0.5;
/// Intervals without alarm after a break in what the levels know.
const SETTLE: u32 = 3;
/// Mean magnitude of a Gaussian error in standard deviations.
const MEAN_ERROR: f64 = 0.8;
/// A series that is within episodes for more than this share of the time is as noisy as that, not odd; and share from which
/// on it has nothing to tell before it has learned its noise.
const UNREST: f64 = 0.1;
const RESTLESS: f64 = 0.15;
/// Intervals after which a change within the margins is the level.
const LASTING: usize = 2;
/// Repeats in a row that may have taught before a flat line is told.
const FLAT_TAUGHT: usize = 12;
/// Values beyond this say no more; it keeps every product of four finite.
pub(super) const VALUE_MAX: f64 = 1e60;

/// Everything that is kept of one series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    age: u32,
    absent: u32,
    settle: u32,
    /// Number of the first interval of a gap that is being told, and of a flat line.
    gap_since: i64,
    flat_since: i64,
    baselines: Baselines,
    noise: Noise,
    windows: Windows,
    forest: ForestEvidence,
    silence: Silence,
    repeats: Repeats,
    episode: Option<Episode>,
    echo: Option<Echo>,
    guises: Guises,
    habit: Habit,
    budget: Budget,
    /// Share of the intervals of about a week that were within episodes.
    unrest: f64,
    extremes: Extremes,
    refractory: Refractory,
    jumps: Jumps,
}

codec!(Series {
    age,
    absent,
    settle,
    gap_since,
    flat_since,
    baselines,
    noise,
    windows,
    forest,
    silence,
    repeats,
    episode,
    echo,
    guises,
    habit,
    budget,
    unrest,
    extremes,
    refractory,
    jumps,
});

/// What is expected of one interval, before its value is looked at.
struct Outlook {
    /// Where it stands in its week, and in its guise.
    own: Place,
    place: Place,
    shapes: Shapes,
    /// Of the baseline that speaks.
    shape: Shape,
    expected: f64,
    deviation: f64,
}

impl Series {
    /// A series that nothing is known of.
    pub(super) fn new(length: Length, forest: ForestShape, seed: u64, adds_up: bool) -> Series {
        Series {
            age: 0,
            absent: 0,
            settle: 0,
            gap_since: 0,
            flat_since: 0,
            baselines: Baselines::new(length),
            noise: Noise::new(adds_up),
            windows: Windows::new(adds_up),
            forest: ForestEvidence::new(forest, seed),
            silence: Silence::new(),
            repeats: Repeats::new(),
            episode: None,
            echo: None,
            guises: Guises::default(),
            habit: Habit::default(),
            budget: Budget::default(),
            unrest: 0.0,
            extremes: Extremes::new(),
            refractory: Refractory::new(),
            jumps: Jumps::new(),
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
        let heap =
            [self.baselines.heap_bytes(), self.habit.heap_bytes(), self.budget.heap_bytes(), self.guises.heap_bytes()];
        size_of::<Series>() + heap.iter().sum::<usize>()
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

    /// Time was skipped: what the levels know is old.
    pub(super) fn jump(&mut self) {
        self.settle = SETTLE;
        (self.episode, self.echo) = (None, None);
        self.guises.take_off();
        self.baselines.forget_past();
    }

    /// Judges one interval and learns from it. O(widest window), and one forest step.
    pub(super) fn step(&mut self, context: &Context, place: &Place, value: Option<f64>) -> Judgement {
        self.age = self.age.saturating_add(1);
        self.absent = if value.is_some() { 0 } else { self.absent.saturating_add(1) };
        let share = place.of_day as f64 / f64::from(context.per_day);
        let gap = self.silence.observe(value.is_some(), share);
        let value = value.or(context.empty_is_zero.then_some(0.0)).map(|value| value.clamp(-VALUE_MAX, VALUE_MAX));
        let outlook = self.outlook(context, place);
        let judgement = match value {
            Some(value) => self.judge(context, outlook, value, share),
            None => self.judge_silence(context, &outlook, gap),
        };
        let judgement = self.told(context, judgement, value);
        let (score, news) = (judgement.score, self.news(context, place.number, value, &judgement));
        Judgement { score: self.refractory.say(score, news, context), ..judgement }
    }

    /// What extremes add to the score of an interval that is judged so: nothing to one that is no alarm, where alarms are
    /// decided by something else than the score or where its change does not count.
    fn news(&mut self, context: &Context, number: i64, value: Option<f64>, judgement: &Judgement) -> f64 {
        let Some(value) = value else { return 0.0 };
        let news = self.extremes.observe(context, number, value, judgement.expected);
        let is_alarm = judgement.score >= context.alarm;
        let may_overtake = !self.windows.decides_apart() && context.margin.counts(value, judgement.expected);
        if is_alarm || may_overtake { news } else { 0.0 }
    }

    /// A judgement within the margins: a flat line and a gap are told however near to what was expected they are.
    fn told(&self, context: &Context, judgement: Judgement, value: Option<f64>) -> Judgement {
        let is_flat = self.flat_since != 0 && self.episode.is_none();
        match value {
            Some(value) if is_flat => context.margin.widened(judgement, value),
            Some(value) => context.margin.told(judgement, value, context.alarm),
            None => context.margin.told_of_silence(judgement, context.alarm),
        }
    }

    /// Passes over an interval: learns nothing, and says what was expected. An episode stays open. The longer it lasts,
    /// the older is what the levels know; the next step is one from what was expected.
    pub(super) fn pass(&mut self, context: &Context, place: &Place) -> Judgement {
        let outlook = self.outlook(context, place);
        self.jumps.stand_at(outlook.expected);
        self.extremes.stand_at(outlook.expected);
        self.settle = (self.settle + 1).min(SETTLE);
        let remaining = self.remaining();
        let state = if remaining > 0 { State::Learning { remaining } } else { State::Normal };
        self.judgement(context, &outlook, outlook.expected, 0.0, state)
    }

    /// What is expected of the coming value.
    fn outlook(&mut self, context: &Context, place: &Place) -> Outlook {
        let own = *place;
        let place = own.ahead(self.guises.step());
        let shapes = self.baselines.shapes(&place, &self.noise);
        if self.episode.is_none() {
            self.baselines.choose(&shapes, self.days(context) > 2.0);
        }
        self.outlook_of((own, place), shapes)
    }

    fn outlook_of(&self, (own, place): (Place, Place), shapes: Shapes) -> Outlook {
        let expected = self.baselines.expected(&shapes, &self.noise);
        let deviation = self.noise.deviation(expected);
        Outlook { own, place, shapes, shape: self.baselines.shape(&shapes), expected, deviation }
    }

    fn days(&self, context: &Context) -> f64 {
        f64::from(self.age) / f64::from(context.per_day.max(24))
    }

    fn judge(&mut self, context: &Context, outlook: Outlook, value: f64, share: f64) -> Judgement {
        let flat = self.repeats.observe(value, share, Some(MEAN_ERROR * outlook.deviation));
        self.settle = self.settle.saturating_sub(1);
        if self.echo.as_mut().is_some_and(|echo| !echo.age()) {
            self.echo = None;
        }
        let jump = self.jumps.observe(value, outlook.expected, self.noise.least());
        let is_odd = if self.episode.is_some() { 1.0 } else { 0.0 };
        self.unrest += (is_odd - self.unrest) / (7.0 * f64::from(context.per_day)).clamp(200.0, 2000.0);
        if self.episode.is_some() {
            return self.go_on(context, &outlook, value);
        }

        let days = self.days(context);
        let question = Question { least: self.noise.least_expected(), is_wide: days > WIDE_AFTER };
        let sums = self.baselines.sums(&outlook.shapes, value, outlook.deviation * outlook.deviation);
        let (lead, distances) = self.windows.judge(&sums, |at, sums| self.baselines.ahead(at, sums), question);
        let standardised = (value - outlook.expected) / (outlook.deviation * MEAN_ERROR * self.windows.scale());
        let scores = self.forest.scores(standardised);
        let sums = lead.map_or(Odds::default(), |lead| self.second_opinion(context, &outlook, value, &lead));
        let form = scores.as_ref().map_or(0.0, |scores| self.forest.surprise(scores));
        let with_form = |sums: f64| sums.max(form.min(sums + FOREST_LIFT));
        let largest = with_form(sums.surprise);
        let jump = jump.with_doubt(self.is_sure(context));
        let of_model = self.windows.score(largest);
        let is_alone = days > ALONE_AFTER && lead.is_some_and(|lead| lead.width == 1);
        let mut compared = jump.compared(of_model, is_alone);
        let decision = self.windows.decision(with_form(sums.rarity));
        let score = decision.max(jump.score());
        let is_small = |lead: &Lead| context.margin.is_small(lead.error / lead.width as f64, outlook.expected);
        let small = lead.filter(is_small).filter(|_| score >= context.alarm);
        let speaks = self.remaining() == 0 && self.settle == 0 && small.is_none();

        if let (true, true, Some(lead)) = (speaks, score >= context.alarm, lead) {
            if let Some(judgement) = self.explain(context, &outlook, value, &lead) {
                return judgement;
            }
            // what is not told does not use up what may be told
            let is_asked = context.margin.asks(lead.error >= 0.0);
            let number = outlook.place.number;
            let is_news = !is_asked || self.budget.spend(number, score, context.alarm, context.per_day);
            if is_news && self.unrest < RESTLESS {
                self.windows.note(&distances);
                let most = context.alarm + self.budget.news(score);
                return self.alarm(context, &outlook, value, &lead, compared.clamp(context.alarm, most));
            }
            compared = TOLD * context.alarm;
        } else if score >= context.alarm {
            compared = BELOW * context.alarm;
        }
        let score = compared.min(BELOW * context.alarm);

        let is_flat = flat >= context.alarm && self.remaining() == 0;
        if is_flat {
            return self.stay_flat(context, &outlook, value, flat, score);
        }
        self.flat_since = 0;
        self.forest.learn(standardised, scores.as_ref());
        let envelope = self.envelope(context, &outlook);
        self.learn(&outlook, envelope, value, true);
        self.windows.learn(&distances, largest);
        if let Some(lead) = small.filter(|lead| lead.width >= LASTING) {
            // a small change that lasts is the level
            self.baselines.settle_at(&outlook.shapes, outlook.expected + lead.error / lead.width as f64);
        }
        match self.remaining() {
            0 => self.judgement(context, &outlook, value, score, State::Normal),
            remaining => self.judgement(context, &outlook, value, 0.0, State::Learning { remaining }),
        }
    }

    /// What is said of the statistic that leads, or the least that another baseline says of the same values: in the first days, one of
    /// which may have been an odd one, and while a shift has just been learned, of which nobody knows yet how it goes with the shape.
    fn second_opinion(&self, context: &Context, outlook: &Outlook, value: f64, lead: &Lead) -> Odds {
        if self.is_sure(context) || !self.baselines.has_shape() {
            return lead.odds;
        }
        let variance = outlook.deviation * outlook.deviation;
        let others = self.baselines.other_opinions(&outlook.shapes, lead.width, value, variance, &self.noise);
        let others = others.into_iter().flatten().map(|sums| self.windows.odds_of(lead, sums));
        others.fold(lead.odds, Odds::min)
    }

    /// Whether it is known how level and shape go together.
    fn is_sure(&self, context: &Context) -> bool {
        self.days(context) > SECOND_OPINION && self.echo.is_none()
    }

    /// Opens an episode.
    fn alarm(&mut self, context: &Context, outlook: &Outlook, value: f64, lead: &Lead, score: f64) -> Judgement {
        let deviation = lead.error / lead.width as f64;
        let threshold = self.windows.threshold(lead, context.alarm).max(f64::MIN_POSITIVE);
        // a day of short intervals is long: what hundreds of them had is a level that an incident leaves and comes back to
        let has_level = context.per_day > DAY_MINUTES && self.age >= LEVEL_AFTER;
        let is_known = self.baselines.has_shape() || self.days(context) > WIDE_AFTER || has_level;
        let mode = if is_known { Mode::Held { level: lead.level } } else { Mode::Riding { jump: deviation } };
        self.habit.note(outlook.place.number, value, context.per_day);
        let (number, limit) = (outlook.place.number, threshold / outlook.deviation);
        let episode = Episode::new(number, mode, deviation, limit, lead.width, self.age);
        let state = State::Anomalous { high: episode.high, since: episode.since };
        self.episode = Some(episode);
        let expected = match mode {
            Mode::Held { level } => {
                self.baselines.take_back(lead.width);
                outlook.shape.at(level)
            }
            Mode::Riding { .. } => {
                self.follow(outlook, outlook.expected);
                outlook.expected
            }
        };
        self.band(expected, (threshold, threshold), score, deviation.abs(), state)
    }

    /// An interval without value of a series whose empty intervals have none.
    fn judge_silence(&mut self, context: &Context, outlook: &Outlook, gap: f64) -> Judgement {
        if self.silence.gap() <= 1 {
            self.gap_since = 0;
        }
        let told = gap >= context.alarm && self.remaining() == 0;
        if told && self.gap_since == 0 {
            self.gap_since = outlook.place.number;
        }
        if self.silence.gap() > context.per_day.max(24) {
            self.silence.accept();
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
            State::Anomalous { since, .. } if since != outlook.place.number => gap.min(TOLD * context.alarm),
            _ => gap,
        };
        let mut judgement = self.judgement(context, outlook, outlook.expected, score, state);
        judgement.severity = if self.remaining() > 0 { 0.0 } else { severity(gap / context.alarm) };
        judgement
    }

    /// Takes the value of an interval in, cut where it is far from what was expected.
    fn learn(&mut self, outlook: &Outlook, (low, high): (f64, f64), value: f64, is_normal: bool) {
        self.noise.value(value);
        let cut = TEACH_CUT * outlook.deviation * self.windows.scale();
        let cut = cut.max(TEACH_EVENTS * self.noise.single());
        let clean = if self.age < TEACH_AFTER { value } else { value.clamp(low - cut, high + cut) };
        self.noise.error(outlook.expected, clean - outlook.expected);
        let variance = outlook.deviation * outlook.deviation;
        self.baselines.learn(&outlook.shapes, (value, clean), variance, &self.noise, is_normal);
        self.baselines.learn_shapes(&outlook.place, clean, &self.noise);
        if self.guises.is_worn() && self.was_other(outlook) {
            self.baselines.adopt(&outlook.own, clean, Recurrence::Weekly);
        }
    }

    /// Whether a week ago this time of the week was odd, or followed another weekday.
    fn was_other(&self, outlook: &Outlook) -> bool {
        let (number, per_day) = (outlook.own.number, outlook.own.per_day());
        self.guises.was_worn(number, per_day) || self.habit.was_odd(number, per_day)
    }

    /// What may be normal: what is expected, or, in the first days, all that some baseline expects.
    fn envelope(&self, context: &Context, outlook: &Outlook) -> (f64, f64) {
        if self.days(context) > SECOND_OPINION {
            (outlook.expected, outlook.expected)
        } else {
            self.baselines.envelope(&outlook.shapes, &self.noise)
        }
    }

    /// Teaches the levels alone.
    fn follow(&mut self, outlook: &Outlook, value: f64) {
        let variance = outlook.deviation * outlook.deviation;
        self.baselines.learn(&outlook.shapes, (value, value), variance, &self.noise, false);
    }

    /// A judgement around what was expected of this one interval.
    fn judgement(&self, context: &Context, outlook: &Outlook, value: f64, score: f64, state: State) -> Judgement {
        let (below, above) = self.windows.reach(context.alarm);
        let band = (below * outlook.deviation, above * outlook.deviation);
        self.band(outlook.expected, band, score, (value - outlook.expected).abs(), state)
    }

    fn band(&self, expected: f64, (below, above): (f64, f64), score: f64, deviation: f64, state: State) -> Judgement {
        let threshold = below.min(above);
        let severity = if matches!(state, State::Learning { .. }) { 0.0 } else { severity(deviation / threshold) };
        let (lower, upper) = (expected - below, expected + above);
        let (expected, lower, upper) = if self.noise.is_negative() {
            (expected, lower, upper)
        } else {
            (expected.max(0.0), lower.max(0.0), upper.max(0.0))
        };
        Judgement { expected, lower, upper, has_scale: true, score, severity, state }
    }
}
