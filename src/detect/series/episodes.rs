//! What explains an alarm away, what happens to a series while an episode is open, and how it finds back to normal.

use super::{FLAT_TAUGHT, Outlook, SETTLE, Series, TEACH_CUT, TOLD, UNREST};
use crate::detect::episode::{Echo, Mode, Outcome};
use crate::detect::evidence::Lead;
use crate::detect::habit::Recurrence;
use crate::detect::judgement::{Context, Judgement, State};
use crate::detect::model::Place;
use crate::detect::severity::severity;

/// Rarity up to which another weekday's shape explains what today's does not. Where days begin: this share of today's, up to a bound.
const EXPLAINED: f64 = 2.5;
const EXPLAINED_SHARE: f64 = 0.35;
const EXPLAINED_MAX: f64 = 4.0;
/// Intervals before the window that leads by which another weekday must do as well as today's, in squared deviations.
const BEFORE: usize = 3;
const AS_WELL: f64 = 6.0;
/// Days before the profile alone is an argument, and how much nearer to it a value must be.
const PROFILE_DAYS: f64 = 5.0;
const PROFILE_SHARE: f64 = 0.25;
/// Days before a week is known.
const WEEK: f64 = 7.0;

impl Series {
    /// What is said of an interval that would alarm, if something explains it.
    pub(super) fn explain(
        &mut self,
        context: &Context,
        outlook: &Outlook,
        value: f64,
        lead: &Lead,
    ) -> Option<Judgement> {
        if let Some(echo) = self.echo {
            let old = outlook.shape.at(echo.level());
            if echo.matches(value, old, outlook.expected, outlook.deviation) {
                self.echo = None;
                return Some(self.come_back(context, outlook, value, old));
            }
            let error = lead.error / lead.width as f64;
            if echo.is_unsure(error, old, outlook.expected) {
                return Some(self.come_back(context, outlook, value, outlook.expected + error));
            }
        }
        if self.is_profile(context, outlook, value, outlook.expected) {
            return Some(self.come_back(context, outlook, value, outlook.shape.at(0.0)));
        }
        if let Some(days) = self.other_day(context, outlook, value, lead) {
            return Some(self.put_on(context, outlook, value, lead, days));
        }
        let recurrence = self.habit.knows(outlook.place.number, value, outlook.expected, context.per_day)?;
        Some(self.get_used(context, outlook, value, recurrence))
    }

    /// Whether a value that is far from `expected` is what day and week alone would say: then it is the level that was wrong,
    /// after a weekend that it had followed, or a drift that is over.
    fn is_profile(&self, context: &Context, outlook: &Outlook, value: f64, expected: f64) -> bool {
        let alone = outlook.shape.at(0.0);
        self.baselines.has_shape()
            && self.noise.single() == 0.0
            && self.days(context) >= PROFILE_DAYS
            && (value - alone).abs() <= PROFILE_SHARE * (value - expected).abs()
    }

    /// By how many days the week is ahead, if another weekday's shape explains the values of the window that leads and today's does
    /// not. One value may happen to fit some day or other: so those before must fit it too, unless days begin here, or it
    /// was so a week ago, or the day is what it is after all.
    fn other_day(&self, context: &Context, outlook: &Outlook, value: f64, lead: &Lead) -> Option<usize> {
        if !self.baselines.has_shape() || self.days(context) <= WEEK {
            return None;
        }
        let here = outlook.shape.at(0.0);
        let surprises = (0..7).filter_map(|days| {
            let place = outlook.own.ahead(days);
            let sums = self.baselines.in_guise(&place, lead.width, value, &self.noise)?;
            let there = self.baselines.shape(&self.baselines.shapes(&place, &self.noise)).at(0.0);
            let is_other = (there - here).abs() >= 0.5 * (value - here).abs();
            is_other.then(|| (days, self.windows.odds_of(lead, sums).rarity))
        });
        let (days, rarity) = surprises.min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        let begins = || self.baselines.knows_border(&outlook.place, lead.width) || self.was_other(outlook);
        let is_explained = rarity <= EXPLAINED && (days == 0 || self.fits_before(outlook, days, lead.width));
        let most = (EXPLAINED_SHARE * lead.odds.rarity).clamp(EXPLAINED, EXPLAINED_MAX);
        (is_explained || rarity <= most && begins()).then_some(days)
    }

    /// Whether the shape of the week so many days ahead does as well as today's on the intervals before a window of this width.
    fn fits_before(&self, outlook: &Outlook, days: usize, width: usize) -> bool {
        let lead = (width..width + BEFORE).try_fold(0.0, |lead, back| {
            let distance = |place: &Place| self.baselines.distance_before(&place.before(back), back, &self.noise);
            let (today, other) = (distance(&outlook.place)?, distance(&outlook.own.ahead(days))?);
            Some(lead + other * other - today * today)
        });
        lead.is_some_and(|lead| lead <= AS_WELL)
    }

    /// From here on, for a day, the week is so many days ahead.
    fn put_on(&mut self, context: &Context, outlook: &Outlook, value: f64, lead: &Lead, days: usize) -> Judgement {
        self.guises.put_on(outlook.own.number, days, context.per_day);
        self.baselines.take_back(lead.width);
        let place = outlook.own.ahead(days);
        let outlook = self.outlook_of((outlook.own, place), self.baselines.shapes(&place, &self.noise));
        self.learn(&outlook, (outlook.expected, outlook.expected), value, false);
        self.judgement(context, &outlook, value, 0.0, State::Normal)
    }

    /// Back at a level that was normal before: the levels move there, and that is all.
    fn come_back(&mut self, context: &Context, outlook: &Outlook, value: f64, old: f64) -> Judgement {
        self.baselines.settle_at(&outlook.shapes, old);
        let outlook = self.outlook_of((outlook.own, outlook.place), outlook.shapes);
        self.learn(&outlook, (outlook.expected, outlook.expected), value, false);
        self.judgement(context, &outlook, value, 0.0, State::Normal)
    }

    /// What was odd at this time yesterday too: the shape of the day has changed, the levels around it have not.
    fn get_used(&mut self, context: &Context, outlook: &Outlook, value: f64, recurrence: Recurrence) -> Judgement {
        self.baselines.adopt(&outlook.place, value, recurrence);
        self.follow(outlook, outlook.expected);
        self.habit.follow(outlook.place.number, value, context.per_day);
        self.judgement(context, outlook, value, 0.0, State::Normal)
    }

    /// An interval of a flat line: nothing is taught.
    pub(super) fn stay_flat(
        &mut self,
        context: &Context,
        outlook: &Outlook,
        value: f64,
        flat: f64,
        score: f64,
    ) -> Judgement {
        let number = outlook.place.number;
        if self.flat_since == 0 {
            self.flat_since = number;
            self.baselines.take_back(FLAT_TAUGHT);
        }
        if number - self.flat_since >= i64::from(context.per_day) {
            return self.judgement(context, outlook, value, score, State::Normal);
        }
        let state = State::Anomalous { high: value >= outlook.expected, since: self.flat_since };
        let said = if self.flat_since == number { flat } else { flat.min(TOLD * context.alarm) };
        let mut judgement = self.judgement(context, outlook, value, said.max(score), state);
        judgement.severity = judgement.severity.max(severity(flat / context.alarm));
        judgement
    }

    /// An interval of an open episode.
    pub(super) fn go_on(&mut self, context: &Context, outlook: &Outlook, value: f64) -> Judgement {
        let Some(mut episode) = self.episode.take() else {
            return self.judgement(context, outlook, value, 0.0, State::Normal);
        };
        let expected = match episode.mode {
            Mode::Held { level } => outlook.shape.at(level),
            Mode::Riding { .. } => outlook.expected,
        };
        if let Some(recurrence) = self.habit.knows(outlook.place.number, value, expected, context.per_day) {
            return self.get_used(context, outlook, value, recurrence);
        }
        if self.is_profile(context, outlook, value, expected) {
            return self.come_back(context, outlook, value, outlook.shape.at(0.0));
        }
        let noise = self.noise.deviation(expected);
        if let Some(echo) = self.echo {
            // what looked like an incident is the way back
            let old = outlook.shape.at(echo.level());
            if echo.matches(value, old, expected, noise) {
                self.echo = None;
                return self.come_back(context, outlook, value, old);
            }
        }
        let day_and_margin = (context.per_day, context.margin.at(expected));
        let outcome = episode.step(value, expected, noise, day_and_margin);
        if self.unrest > UNREST {
            self.noise.error(expected, value - expected);
            self.windows.learn_one((value - expected) / noise);
        }
        if let Mode::Riding { jump } = episode.mode {
            let cut = TEACH_CUT * noise;
            let on = expected + (value - jump - expected).clamp(-cut, cut);
            self.follow(outlook, if outcome == Outcome::Goes { on } else { value });
        }
        match outcome {
            Outcome::Ends => {
                self.settle = SETTLE;
                if matches!(episode.mode, Mode::Riding { .. }) {
                    self.baselines.settle_at(&outlook.shapes, value);
                }
            }
            Outcome::Accepted(shift) => {
                self.baselines.settle_at(&outlook.shapes, expected + shift);
                self.settle = SETTLE;
                let level = match episode.mode {
                    Mode::Held { level } => level,
                    Mode::Riding { .. } => outlook.shape.level(expected),
                };
                self.echo = Some(Echo::new(&episode, level, context.per_day));
            }
            Outcome::Goes => self.habit.note(outlook.place.number, value, context.per_day),
            Outcome::Quiet => {}
        }
        let state = match outcome {
            Outcome::Goes => State::Anomalous { high: episode.high, since: episode.since },
            Outcome::Quiet | Outcome::Ends | Outcome::Accepted(_) => State::Normal,
        };
        let threshold = episode.threshold(noise);
        if matches!(outcome, Outcome::Goes | Outcome::Quiet) {
            self.episode = Some(episode);
        }
        // it has been told
        self.band(expected, (threshold, threshold), TOLD * context.alarm, (value - expected).abs(), state)
    }
}
