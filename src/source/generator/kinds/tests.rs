//! The simple kinds: the same bytes for a seed, records as they are told to be, and labels that fit them.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde_json::Value as Json;

use super::*;
use crate::source::generator::{Limits, Lines, Stream};

fn settings(kind: KindName, change: impl FnOnce(&mut SimpleParameters)) -> Settings {
    let start = NaiveDate::from_ymd_opt(2024, 3, 4).unwrap().and_hms_opt(0, 0, 0).unwrap();
    let mut parameters =
        SimpleParameters { kind, seed: 1, start, seconds: 3600, rate: 10.0, anomaly_probability: None };
    change(&mut parameters);
    Settings::new(parameters).unwrap()
}

/// Where one is there under that name.
fn another(kind: KindName, change: impl FnOnce(&mut SimpleParameters)) -> Settings {
    settings(kind, change)
}

fn text(settings: &Settings, format: Format) -> String {
    let (mut lines, mut out) = (Lines::new(&settings.clone().into(), format), Vec::new());
    while lines.write(&mut out) {}
    String::from_utf8(out).unwrap()
}

fn records(settings: &Settings) -> Vec<Json> {
    text(settings, Format::JsonLines).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const KINDS: [KindName; 3] = [KindName::StockTrades, KindName::Clickstream, KindName::IotSensor];

#[test]
fn a_seed_gives_the_same_bytes_whether_read_at_once_or_resumed() {
    for kind in KINDS {
        let settings = settings(kind, |p| p.seconds = 60);
        let whole = text(&settings, Format::JsonLines);
        assert_eq!(whole, text(&settings, Format::JsonLines));
        assert_ne!(
            whole,
            text(&another(settings.kind().clone(), |p| (p.seed, p.seconds) = (2, 60)), Format::JsonLines)
        );
        assert_eq!(whole.lines().count(), 600);
        let from = whole.lines().take(123).map(|line| line.len() as u64 + 1).sum();
        let mut stream = Stream::resume(settings, Format::JsonLines, from, Vec::new()).unwrap();
        let limits = Limits { bytes_max: 1000, records_max: 7, arrived_by: Timestamp::MAX };
        let mut rest = Vec::new();
        while let Some(paced) = stream.next_chunk(limits).unwrap() {
            rest.extend_from_slice(&paced.chunk.bytes);
        }
        assert_eq!(rest, &whole.as_bytes()[usize::try_from(from).unwrap()..]);
    }
}

#[test]
fn trades_and_sensors_are_within_their_ranges_and_labelled() {
    for seed in 1..4 {
        let trades = settings(KindName::StockTrades, |p| p.seed = seed);
        let truth = trades.truth().unwrap();
        let labelled: BTreeSet<&str> = truth.csv.lines().skip(1).map(|line| line.rsplit(',').next().unwrap()).collect();
        assert_eq!((truth.csv.lines().next(), labelled.len() as u64), (Some("event_time,id"), truth.count));
        let all = records(&trades);
        assert!((1600..2000).contains(&truth.count) && all.len() == 36_000, "{}", truth.count);
        for trade in &all {
            let (price, quantity) = (trade["price"].as_f64().unwrap(), trade["quantity"].as_i64().unwrap());
            let is_odd = labelled.contains(trade["id"].to_string().as_str());
            let [prices, quantities] =
                if is_odd { [200.0..=500.0, 400.0..=1000.0] } else { [20.0..=60.0, 10.0..=100.0] };
            #[expect(clippy::cast_precision_loss, reason = "at most 1000")]
            let quantity = quantity as f64;
            assert!(prices.contains(&price) && quantities.contains(&quantity), "{trade}");
        }
        let sensor = settings(KindName::IotSensor, |p| p.seed = seed);
        let truth = sensor.truth().unwrap();
        let odd = records(&sensor).iter().filter(|record| record["iotValue"].as_i64().unwrap() >= 100).count() as u64;
        assert_eq!((truth.csv.lines().next(), truth.count), (Some("event_time,iotName,iotValue"), odd));
        assert!((270..450).contains(&odd), "{odd}");
    }
}

#[test]
fn clicks_are_rare_but_in_bursts() {
    for rate in [1.0, 50.0] {
        let clicks = settings(KindName::Clickstream, |p| (p.seconds, p.rate) = (40_000, rate));
        let truth = clicks.truth().unwrap();
        assert!((8..40).contains(&truth.count), "{} bursts at {rate}", truth.count);
        let bursts: Vec<(&str, &str)> = truth.csv.lines().skip(1).map(|line| line.split_once(',').unwrap()).collect();
        let (mut counts, mut all) = ([0.0; 2], [0.0; 2]);
        for record in records(&clicks) {
            let second = &record["event_time"].as_str().unwrap()[..19];
            let is_in = usize::from(bursts.iter().any(|(start, end)| (*start..*end).contains(&second)));
            all[is_in] += 1.0;
            counts[is_in] += f64::from(u8::from(record["browseraction"] == "Click"));
        }
        let shares = [counts[0] / all[0], counts[1] / all[1]];
        assert!((shares[0] - 0.15).abs() < 0.02 && (shares[1] - 0.7).abs() < 0.05, "{shares:?} at {rate}");
    }
}

#[test]
fn the_csv_form_says_the_same() {
    let trades = settings(KindName::StockTrades, |p| p.seconds = 30);
    assert_eq!(trades.header(Format::Csv).unwrap(), "event_time,tickerSymbol,tradeType,price,quantity,id");
    assert_eq!(trades.header(Format::JsonLines), None);
    for (line, record) in text(&trades, Format::Csv).lines().zip(records(&trades)) {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields[0], record["event_time"]);
        assert_eq!(fields[1], record["tickerSymbol"]);
        assert_eq!(fields[3].parse::<f64>().ok(), record["price"].as_f64());
        assert_eq!(fields[5], record["id"].to_string());
    }
}

#[test]
fn a_template_is_filled_in() {
    let text = r#"{"at": "{{date.now("YYYY-MM-DD HH:mm:ss.SSS")}}", "t": {{date.timestamp}},
        "n": {{random.number({"min":10,"max":20})}}, "small": {{random.number(3)}}, "f": {{ random.float({"min":1,"max":2}) }},
        "one": "{{random.arrayElement(["a","b}}",3])}}", "w": "{{random.weightedArrayElement({"weights":[0.9,0.1],"data":["often","rarely"]})}}",
        "u": "{{random.uuid}}", "b": {{random.boolean}}, "x": "{{random.alphaNumeric(8)}}", "ip": "{{internet.ip}}", "iso": "{{date.utc}}",
        "log": "{{date.now("DD/MMM/YYYY:HH:mm:ss ZZ")}}", "zone": "{{date.now("HH:mmZ")}}"}"#;
    let template = Template::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let settings = settings(KindName::Template(template), |p| p.seconds = 100);
    assert_eq!((settings.truth(), settings.header(Format::Csv)), (None, None));
    let all = records(&settings);
    assert_eq!((all.len(), all[1]["at"].as_str()), (1000, Some("2024-03-04 00:00:00.100")));
    assert_eq!(
        (all[1]["iso"].as_str(), all[1]["t"].as_i64()),
        (Some("2024-03-04T00:00:00.100Z"), Some(1_709_510_400_100))
    );
    assert_eq!(
        (all[0]["log"].as_str(), all[0]["zone"].as_str()),
        (Some("04/Mar/2024:00:00:00 +0000"), Some("00:00+00:00"))
    );
    let values = |name: &str| all.iter().map(|record| record[name].to_string()).collect::<BTreeSet<String>>();
    assert_eq!((values("n").len(), values("small").len(), values("one").len()), (11, 4, 3));
    assert!(values("one").contains("\"b}}\"") && values("one").contains("\"3\""));
    let often = all.iter().filter(|record| record["w"] == "often").count();
    assert!((850..950).contains(&often), "{often}");
    assert_eq!((values("u").len(), values("b").len()), (1000, 2));
    assert!(
        all.iter().all(|record| record["x"].as_str().unwrap().len() == 8 && record["u"].as_str().unwrap().len() == 36)
    );
    assert!(all.iter().all(|record| (1.0..=2.0).contains(&record["f"].as_f64().unwrap())));
}

#[test]
fn a_template_that_is_wrong_says_so() {
    let error = |text: &str| Template::parse(text).unwrap_err().to_string();
    for (text, word) in [
        (" \n ", "is empty; hint:"),
        ("{{random.number", "has `{{` without `}}` at `{{random.number`"),
        ("{{random.nmber(3)}}", "the function `random.nmber`, which is not known; hint: did you mean `random.number`?"),
        ("{{name.firstName}}", "which is not known; hint: known are random.number, random.float"),
        ("{{random.number({\"min\":3,\"max\":2})}}", "whose arguments are wrong; hint: a largest whole number"),
        ("{{random.number({\"min\":-9223372036854775808,\"max\":9})}}", "whose arguments are wrong; hint: a largest"),
        ("{{random.number(9223372036854775807)}}", "whose arguments are wrong; hint: a largest"),
        ("{{random.float({\"min\":-1e308,\"max\":1e308})}}", "whose arguments are wrong"),
        ("{{random.number(min)}}", "hint: they are JSON"),
        ("{{random.arrayElement([])}}", "hint: some values"),
        ("{{random.weightedArrayElement({\"weights\":[1],\"data\":[1,2]})}}", "hint: as many weights as values"),
        ("{{random.uuid(3)}}", "hint: it takes none"),
        ("{{date.now(3)}}", "hint: a format such as"),
    ] {
        assert!(error(text).contains(word), "{}", error(text));
    }
    // text that only looks like it
    assert!(Template::parse("{ } {\"a\":{}}").is_ok());
}

#[test]
fn all_that_is_out_of_range_is_told() {
    let parameters = SimpleParameters {
        kind: KindName::IotSensor,
        seed: 1,
        start: NaiveDate::from_ymd_opt(2024, 3, 4).unwrap().and_hms_opt(0, 0, 0).unwrap(),
        seconds: 0,
        rate: 0.0,
        anomaly_probability: Some(2.0),
    };
    let problems = Settings::new(parameters).unwrap_err();
    let keys: Vec<String> = problems.iter().map(|one| one.to_string().split('`').nth(1).unwrap().to_owned()).collect();
    assert_eq!(keys, ["duration", "rate", "anomaly_probability"]);
}
