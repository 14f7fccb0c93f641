//! What happens to a series while an episode is open, and how it finds back to normal.

use super::{SETTLE, Series, TEACH_CUT, TOLD};
use crate::detect::episode::{Echo, Mode, Outcome};
use crate::detect::habit::Recurrence;
use crate::detect::judgement::{Context, Judgement, State};
use crate::detect::model::{Kind, Place};
use crate::detect::outlook::Outlook;

impl Series {
    /// Back at a level that was normal before: the levels move by `step`, and that is all.
    pub(super) fn come_back(
        &mut self,
        context: &Context,
        place: &Place,
        value: f64,
        outlook: &Outlook,
        step: f64,
    ) -> Judgement {
        self.bank.shift(step, &outlook.shapes);
        self.learn(place, value, value, outlook);
        self.judgement(context, outlook, value, 0.0, State::Normal)
    }

    /// What was odd at this time yesterday too: the shape of the day has changed, the levels around it have not.
    pub(super) fn get_used(
        &mut self,
        context: &Context,
        place: &Place,
        value: f64,
        outlook: &Outlook,
        recurrence: Recurrence,
    ) -> Judgement {
        let mut moved = outlook.shapes;
        for kind in [Kind::Daily, Kind::Weekly] {
            moved[kind as usize] = moved[kind as usize].map(|shape| shape.raised(value - outlook.expected));
        }
        self.bank.learn(value, &moved);
        self.profile.adopt(place, value, recurrence);
        self.habit.follow(place.number, value, context.per_day);
        self.judgement(context, outlook, value, 0.0, State::Normal)
    }

    /// An interval of an open episode.
    pub(super) fn go_on(&mut self, context: &Context, place: &Place, value: f64, outlook: &Outlook) -> Judgement {
        let Some(mut episode) = self.episode.take() else {
            return self.judgement(context, outlook, value, 0.0, State::Normal);
        };
        let expected = match episode.mode {
            Mode::Held { baseline, level } => outlook.held(baseline, level),
            Mode::Riding { .. } => outlook.expected,
        };
        if let Some(recurrence) = self.habit.knows(place.number, value, expected, context.per_day) {
            return self.get_used(context, place, value, outlook, recurrence);
        }
        if outlook.is_profile(value, expected) {
            return self.come_back(context, place, value, outlook, value - outlook.expected);
        }
        let shape = self.noise.shape(expected);
        let before = episode.deviation();
        // neither going on as before nor being back is news
        let news = (value - expected - before).abs().min((value - expected).abs());
        let news = outlook.unit.map_or(0.0, |unit| news / unit);
        let score = self.combined.surprise(self.windows.surprise_of_one(outlook.best.unwrap_or(0), news.min(1e9)));
        // it has been told
        let score = score.min(TOLD * context.alarm);
        let outcome = episode.step(value, expected, shape, (context.per_day, context.margin.at(expected)));
        let threshold = episode.threshold(shape);
        let state = match outcome {
            Outcome::Goes => State::Anomalous { high: episode.high, since: episode.since },
            Outcome::Quiet | Outcome::Ends | Outcome::Accepted(_) => State::Normal,
        };
        let taught = match (episode.mode, outcome) {
            (Mode::Riding { jump }, Outcome::Goes) => {
                let cut = outlook.unit.map_or(0.0, |unit| TEACH_CUT * unit);
                expected + (value - jump - expected).clamp(-cut, cut)
            }
            (Mode::Riding { .. }, _) => value,
            (Mode::Held { .. }, Outcome::Quiet | Outcome::Ends) => {
                expected + (value - expected).clamp(-threshold, threshold)
            }
            (Mode::Held { .. }, _) => expected,
        };
        match outcome {
            Outcome::Ends => {
                if matches!(episode.mode, Mode::Riding { .. }) {
                    self.settle = SETTLE;
                    self.bank.shift(value - expected, &outlook.shapes);
                }
                if self.unrest > 3.0 {
                    self.windows.relearn(30);
                }
            }
            Outcome::Accepted(shift) => {
                self.bank.shift(shift, &outlook.shapes);
                self.settle = SETTLE;
                self.echo = Some(Echo::new(&episode, shift, context.per_day));
                self.windows.relearn(30);
            }
            Outcome::Goes | Outcome::Quiet => {}
        }
        let deviation = (value - expected).abs();
        match outcome {
            Outcome::Accepted(shift) => self.learn(place, expected, expected + shift, outlook),
            // what a riding episode takes for normal is good enough for a level, not for a shape
            Outcome::Goes if matches!(episode.mode, Mode::Riding { .. }) => self.bank.learn(taught, &outlook.shapes),
            _ => self.learn(place, taught, taught, outlook),
        }
        if outcome == Outcome::Goes {
            self.habit.note(place.number, value, context.per_day);
        }
        if matches!(outcome, Outcome::Goes | Outcome::Quiet) {
            self.episode = Some(episode);
        }
        self.band(expected, threshold, score, deviation, state)
    }
}
