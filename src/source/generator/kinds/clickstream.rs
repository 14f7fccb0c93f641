//! Clicks and impressions: `{browseraction}`, `Click` or `Impression`. Fifteen records in a hundred are clicks. Now and then
//! there is a burst, in which seventy are: at every whole second without one it starts with the anomaly probability (once
//! in about half an hour by default), and it lasts 20 to 60 seconds.

use super::stock_trades::within;
use super::value::Value;
use super::{Draw, Drawn};

pub(super) const COLUMNS: [&str; 1] = ["browseraction"];
/// Share of clicks, ordinarily and in a burst.
const CLICKS: [f64; 2] = [0.15, 0.7];
const BURST_SECONDS: (i64, i64) = (20, 60);

/// The burst that runs or was the last, in seconds, the end exclusive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clickstream {
    burst: Option<(i64, i64)>,
    /// The last second that was drawn for.
    second: Option<i64>,
}

impl Clickstream {
    pub(super) fn draw(&mut self, draw: Draw<'_>) -> Drawn {
        let Draw { millis, looks, fate, anomaly_probability, .. } = draw;
        let second = millis.div_euclid(1000);
        // a slow stream draws for the seconds that it passes over, so that bursts do not hang on its pace
        for second in self.second.map_or(second, |last| last + 1)..=second {
            let is_free = self.burst.is_none_or(|(_, end)| end < second);
            if is_free && fate.unit() < anomaly_probability {
                self.burst = Some((second, second + within(BURST_SECONDS.0, BURST_SECONDS.1, fate)));
            }
            self.second = Some(second);
        }
        let is_anomalous = self.burst(millis).is_some();
        let action = if looks.unit() < CLICKS[usize::from(is_anomalous)] { "Click" } else { "Impression" };
        Drawn { values: vec![Value::Text(action.to_owned())], is_anomalous }
    }

    /// The burst that a time is in.
    pub(super) fn burst(&self, millis: i64) -> Option<(i64, i64)> {
        self.burst.filter(|(start, end)| (*start..*end).contains(&millis.div_euclid(1000)))
    }
}
