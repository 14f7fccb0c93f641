//! Stock trades: `{tickerSymbol, tradeType, price, quantity, id}`. An ordinary trade has a price from 20 to 60 and a quantity
//! from 10 to 100; an anomalous one, 5 in 100 by default, a price from 200 to 500 and a quantity from 400 to 1000.

use super::value::Value;
use super::{Draw, Drawn};
use crate::source::generator::random::Random;

pub(super) const COLUMNS: [&str; 5] = ["tickerSymbol", "tradeType", "price", "quantity", "id"];
const TICKERS: [&str; 5] = ["AAPL", "AMZN", "GOOG", "INTC", "MSFT"];
const TYPES: [&str; 2] = ["BUY", "SELL"];

#[derive(Clone, Copy, Debug)]
pub(super) struct StockTrades;

impl StockTrades {
    pub(super) fn draw(self, draw: Draw<'_>) -> Drawn {
        let Draw { number, looks, fate, anomaly_probability, .. } = draw;
        let (ticker, kind) = (one_of(&TICKERS, looks), one_of(&TYPES, looks));
        let (mut cents, mut quantity) = (within(2000, 6000, looks), within(10, 100, looks));
        let is_anomalous = fate.unit() < anomaly_probability;
        if is_anomalous {
            (cents, quantity) = (within(20_000, 50_000, fate), within(400, 1000, fate));
        }
        let id = i64::try_from(number + 1).unwrap_or(i64::MAX);
        let text = |text: &str| Value::Text(text.to_owned());
        let values =
            vec![text(ticker), text(kind), Value::Hundredths(cents), Value::Integer(quantity), Value::Integer(id)];
        Drawn { values, is_anomalous }
    }
}

/// One of some values, each as likely.
pub(super) fn one_of<'a>(all: &[&'a str], random: &mut Random) -> &'a str {
    let at = usize::try_from(random.below(all.len() as u64)).unwrap_or(0);
    all.get(at).copied().unwrap_or_default()
}

/// Uniform from `low` to `high`, both included.
pub(super) fn within(low: i64, high: i64, random: &mut Random) -> i64 {
    low + i64::try_from(random.below(high.abs_diff(low) + 1)).unwrap_or(0)
}
