//! Sensor values: `{iotName, iotValue}`, of three sensors. An ordinary value is a whole number from 10 to 20, an anomalous
//! one, 1 in 100 by default, from 100 to 120.

use super::stock_trades::{one_of, within};
use super::value::Value;
use super::{Draw, Drawn};

pub(super) const COLUMNS: [&str; 2] = ["iotName", "iotValue"];
const NAMES: [&str; 3] = ["sensor-1", "sensor-2", "sensor-3"];

#[derive(Clone, Copy, Debug)]
pub(super) struct IotSensor;

impl IotSensor {
    pub(super) fn draw(self, draw: Draw<'_>) -> Drawn {
        let Draw { looks, fate, anomaly_probability, .. } = draw;
        let (name, mut value) = (one_of(&NAMES, looks), within(10, 20, looks));
        let is_anomalous = fate.unit() < anomaly_probability;
        if is_anomalous {
            value = within(100, 120, fate);
        }
        Drawn { values: vec![Value::Text(name.to_owned()), Value::Integer(value)], is_anomalous }
    }
}
