use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use chrono::{DateTime, NaiveDateTime};

use crate::model::{Direction, Interval, Position, Timestamp};

use super::*;

const MILLION: f64 = 1e6;
const TIME: &str = "%Y-%m-%d %H:%M:%S";

fn settings(change: impl FnOnce(&mut Parameters)) -> Settings {
    let mut parameters = Parameters { extent: Extent::Days(2), ..Parameters::default() };
    change(&mut parameters);
    Settings::new(parameters).unwrap()
}

fn text(settings: &Settings, format: Format) -> Vec<u8> {
    let (mut writer, mut out) = (LineWriter::new(format), Vec::new());
    for record in Records::new(settings.clone()) {
        writer.write(settings, &record, &mut out);
    }
    out
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

/// What a reader who knows nothing of the generator makes of a line.
fn read(line: &[u8]) -> Option<(String, String, NaiveDateTime, u64, f64)> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    let string = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
    let time = NaiveDateTime::parse_from_str(&string("event_time")?, TIME).ok()?;
    Some((
        string("platform")?,
        string("marketplace")?,
        time,
        value.get("views")?.as_u64()?,
        value.get("revenue")?.as_f64()?,
    ))
}

#[test]
fn the_bytes_of_a_seed_are_pinned() {
    let settings = settings(|p| p.seed = 42);
    let checksums = [
        crc32fast::hash(&text(&settings, Format::JsonLines)),
        crc32fast::hash(&text(&settings, Format::Csv)),
        crc32fast::hash(labels_csv(&settings).as_bytes()),
    ];
    assert_eq!(checksums, [2_863_146_497, 2_994_804_034, 4_143_054_827]);
}

#[test]
fn values_are_a_daily_wave_within_the_ranges_of_the_formula() {
    let settings = settings(|p| p.anomaly_probability = 0.0);
    let mut series = vec![Vec::new(); 21];
    for value in Values::new(settings) {
        // `int` takes half a view off on average
        series[value.series as usize].push(f64::from(value.views) + 0.5);
    }
    for views in series {
        let count = f64::from(u16::try_from(views.len()).unwrap());
        let angle = |step: usize| std::f64::consts::TAU * f64::from(u16::try_from(step % 288).unwrap()) / 288.0;
        let mean = views.iter().sum::<f64>() / count;
        let cos = views.iter().enumerate().map(|(step, v)| v * angle(step).cos()).sum::<f64>() * 2.0 / count;
        let sin = views.iter().enumerate().map(|(step, v)| v * angle(step).sin()).sum::<f64>() * 2.0 / count;
        let (peak, peak_angle) = (cos.hypot(sin), sin.atan2(cos));
        let peak_hour = peak_angle.rem_euclid(std::f64::consts::TAU) * 24.0 / std::f64::consts::TAU;
        assert!((199.0..401.0).contains(&peak), "peak {peak}");
        assert!((99.0..201.0).contains(&(mean - peak)), "offset {}", mean - peak);
        assert!((11.9..21.1).contains(&peak_hour), "peak at {peak_hour} h");
        let noise = |step: usize, v: f64| v - mean - peak * (angle(step) - peak_angle).cos();
        let largest = views.iter().enumerate().map(|(step, v)| noise(step, *v).abs()).fold(0.0, f64::max);
        assert!((1.5..12.0).contains(&largest), "noise up to {largest}");
    }
}

#[test]
fn written_records_add_up_to_the_value_of_every_series_and_step() {
    for cadence_seconds in [300, 600, 86_400] {
        let settings = settings(|p| {
            p.cadence_seconds = cadence_seconds;
            p.late_per_million = 20_000;
            p.malformed_per_million = 20_000;
            p.anomaly_probability = 0.02;
        });
        let mut views = BTreeMap::new();
        let mut revenue = BTreeMap::new();
        for line in lines(&text(&settings, Format::JsonLines)) {
            let Some((platform, marketplace, time, count, amount)) = read(line) else { continue };
            let interval = Interval::containing(time.and_utc().timestamp_micros(), settings.cadence());
            *views.entry((interval, platform.clone(), marketplace.clone())).or_insert(0) += count;
            *revenue.entry((interval, platform, marketplace)).or_insert(0.0) += amount;
        }
        let mut zeros = 0;
        for value in Values::new(settings.clone()) {
            let (platform, marketplace) = settings.names(value.series);
            let key = (value.interval, platform.to_owned(), marketplace.to_owned());
            assert_eq!(views.remove(&key), Some(u64::from(value.views)), "{key:?}");
            assert!((revenue[&key] - 0.3 * f64::from(value.views)).abs() < 1e-6, "{key:?}");
            zeros += usize::from(value.views == 0);
        }
        assert!(views.is_empty(), "records outside all steps");
        assert!(zeros > 0 || cadence_seconds == 86_400, "no value was held at 0");
    }
}

#[test]
fn the_csv_form_says_the_same() {
    let settings = settings(|p| p.malformed_per_million = 20_000);
    let csv = text(&settings, Format::Csv);
    let json = text(&settings, Format::JsonLines);
    assert_eq!(lines(&csv).count(), lines(&json).count());
    for (csv, json) in lines(&csv).zip(lines(&json)) {
        let Some((platform, marketplace, time, views, revenue)) = read(json) else {
            let fields: Vec<_> = csv.split(|byte| *byte == b',').collect();
            let bad_time =
                |field: &&[u8]| NaiveDateTime::parse_from_str(&String::from_utf8_lossy(field), TIME).is_err();
            let bad_views = |field: &&[u8]| !field.iter().all(u8::is_ascii_digit);
            assert!(
                std::str::from_utf8(csv).is_err()
                    || fields.len() != 5
                    || fields.get(2).is_some_and(bad_time)
                    || fields.get(3).is_some_and(bad_views),
                "{}",
                String::from_utf8_lossy(csv)
            );
            continue;
        };
        assert_eq!(
            String::from_utf8_lossy(csv),
            format!("{platform},{marketplace},{},{views},{revenue:.1}\n", time.format(TIME))
        );
    }
}

#[test]
fn arrival_order_is_event_order_up_to_the_jitter() {
    let settings = settings(|p| p.late_per_million = 5_000);
    let (mut newest, mut last, mut disordered) = (Timestamp::MIN, Timestamp::MIN, 0);
    for record in Records::new(settings.clone()) {
        assert!(record.arrival() >= last, "arrivals fall back");
        last = record.arrival();
        let way = record.arrival().micros() - record.event_time().micros();
        let interval = Interval::containing(record.event_time().micros(), settings.cadence());
        let after = record.arrival().micros() - interval.end().and_utc().timestamp_micros();
        match record.kind() {
            Kind::Late => assert!((10 * 60_000_000..40 * 60_000_000).contains(&after), "late by {after}"),
            Kind::InTime | Kind::Malformed(_) => {
                assert!((0..=20_000_000).contains(&way), "on its way for {way}");
                assert!(newest.micros() - record.event_time().micros() <= 20_000_000);
                disordered += usize::from(record.event_time() < newest);
                newest = newest.max(record.event_time());
            }
        }
    }
    assert!(disordered > 1000, "{disordered} records out of order");
}

#[test]
fn records_are_as_many_late_and_malformed_as_asked() {
    let settings = settings(|p| {
        p.extent = Extent::Days(10);
        p.late_per_million = 10_000;
        p.malformed_per_million = 5_000;
    });
    let (mut in_time, mut late, mut faults) = (0.0, 0.0, BTreeMap::new());
    for record in Records::new(settings.clone()) {
        match record.kind() {
            Kind::InTime => in_time += 1.0,
            Kind::Late => {
                late += 1.0;
                assert!((1..=3).contains(&record.views()));
            }
            Kind::Malformed(fault) => *faults.entry(fault).or_insert(0.0) += 1.0,
        }
    }
    let near = |count: f64, wanted: f64| (count - wanted).abs() < 5.0 * wanted.sqrt();
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let cells = (settings.steps() * u64::from(settings.series_count())) as f64;
    assert!((in_time / cells - 4.0).abs() < 0.1, "{} records per value", in_time / cells);
    // a record of less than 2 views, as in steps held at 0, has no straggler to give
    assert!(near(late, in_time * 10_000.0 / MILLION), "{late} late of {in_time}");
    assert!(near(faults.values().sum(), in_time * 5_000.0 / MILLION), "{faults:?} of {in_time}");
    assert_eq!(faults.len(), 5, "every fault occurs: {faults:?}");
}

#[test]
fn no_malformed_line_can_be_read_and_every_other_can() {
    let settings = settings(|p| p.malformed_per_million = 50_000);
    let mut writer = LineWriter::new(Format::JsonLines);
    let mut malformed = 0;
    for record in Records::new(settings.clone()) {
        let mut line = Vec::new();
        writer.write(&settings, &record, &mut line);
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        let bad = matches!(record.kind(), Kind::Malformed(_));
        assert_eq!(read(&line).is_none(), bad, "{:?}: {}", record.kind(), String::from_utf8_lossy(&line));
        malformed += usize::from(bad);
    }
    assert!(malformed > 100);
}

#[test]
fn labels_are_the_steps_that_differ_from_the_data_without_incidents() {
    let with = settings(|p| p.anomaly_probability = 0.02);
    let without = settings(|p| p.anomaly_probability = 0.0);
    assert!(labels(&without).is_empty());
    let mut labelled: BTreeMap<_, Label> = BTreeMap::new();
    let mut ends = BTreeMap::new();
    for label in labels(&with) {
        assert!(label.start() < label.end());
        assert!(label.end() <= with.end().start());
        let end = ends.insert(label.series(), label.end());
        assert!(end.is_none_or(|end| end < label.start()), "two incidents of a series touch");
        let micros = label.start().and_utc().timestamp_micros();
        let mut interval = Interval::starting(label.start(), with.cadence()).unwrap();
        assert_eq!(interval.start().and_utc().timestamp_micros(), micros);
        while interval.start() < label.end() {
            labelled.insert((interval, label.series()), label.clone());
            interval = interval.offset(1);
        }
    }
    let mut clipped = 0;
    for (value, clean) in Values::new(with).zip(Values::new(without)) {
        let label = labelled.remove(&(value.interval, value.series));
        assert_eq!(value.anomalous, label.is_some());
        let Some(label) = label else {
            assert_eq!(value, clean);
            continue;
        };
        assert!((100.0..=600.0).contains(&label.shift()));
        let change = f64::from(value.views) - f64::from(clean.views);
        match label.direction() {
            Direction::High => assert!((change - label.shift()).abs() < 1.0, "{change} for {label:?}"),
            Direction::Low if value.views == 0 => {
                assert!(change <= -90.0 && -change < label.shift() + 1.0, "{change} for {label:?}");
                clipped += 1;
            }
            Direction::Low => assert!((change + label.shift()).abs() < 1.0, "{change} for {label:?}"),
        }
    }
    assert!(labelled.is_empty(), "labels of steps that have no value");
    assert!(clipped > 0, "no incident was held at 0");
}

#[test]
fn incidents_begin_at_their_rate() {
    let settings = settings(|p| p.extent = Extent::Days(100));
    let labels = labels(&settings);
    let steps_under = |label: &Label| (label.end() - label.start()).num_minutes() / 5;
    let under: i64 = labels.iter().map(steps_under).sum();
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let (count, free) = {
        let all = i64::try_from(settings.steps() * u64::from(settings.series_count())).unwrap();
        // the step after an incident is free of them too
        (labels.len() as f64, (all - under) as f64 - labels.len() as f64)
    };
    assert!((count - free * 0.005).abs() < 5.0 * (free * 0.005).sqrt(), "{count} incidents in {free} free steps");
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let high = labels.iter().filter(|label| label.direction() == Direction::High).count() as f64;
    assert!((high - count / 2.0).abs() < 2.5 * count.sqrt(), "{high} of {count} up");
    assert_eq!(labels.iter().map(steps_under).max(), Some(60));
    assert_eq!(labels.iter().map(steps_under).min(), Some(1));
}

#[test]
fn the_labels_file_has_a_line_per_measure() {
    let csv = labels_csv(&settings(|p| p.seed = 42));
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some(LABELS_HEADER));
    let first: Vec<_> = lines.next().unwrap().split(',').collect();
    let second: Vec<_> = lines.next().unwrap().split(',').collect();
    assert_eq!(first[..4], second[..4]);
    assert_eq!((first[4], second[4]), ("views", "revenue"));
    assert_eq!(first[5], second[5]);
    assert!(["high", "low"].contains(&first[5]));
    let (views, revenue): (f64, f64) = (first[6].parse().unwrap(), second[6].parse().unwrap());
    assert!((views * 0.3 - revenue).abs() < 0.01, "{views} {revenue}");
    assert!(
        NaiveDateTime::parse_from_str(first[0], TIME).unwrap() < NaiveDateTime::parse_from_str(first[1], TIME).unwrap()
    );
}

#[test]
fn more_series_or_days_and_other_knobs_leave_the_rest_as_it_was() {
    let values = |settings: Settings, steps: usize| -> Vec<_> {
        Values::new(settings)
            .filter(|value| value.series < 21)
            .take(21 * steps)
            .map(|value| (value.interval, value.series, value.views))
            .collect()
    };
    let base = values(settings(|_| {}), 576);
    assert_eq!(base, values(settings(|p| p.series = SeriesSet::Count(100)), 576));
    assert_eq!(base, values(settings(|p| p.extent = Extent::Days(9)), 576));
    assert_eq!(base, values(settings(|p| p.records_mean = 1), 576));
    let marketplaces = ["us", "uk", "de", "fr", "es", "it", "jp"].map(str::to_owned).to_vec();
    let platforms = ["pc_web", "mobile_web", "mobile_app"].map(str::to_owned).to_vec();
    assert_eq!(base, values(settings(|p| p.series = SeriesSet::Product { platforms, marketplaces }), 576));
    assert_ne!(base, values(settings(|p| p.seed = 2), 576));

    // the records of a shorter run are those of a longer one, up to the end of its last step
    let short: Vec<_> = Records::new(settings(|p| p.anomaly_probability = 0.0)).collect();
    let long: Vec<_> = Records::new(settings(|p| {
        p.anomaly_probability = 0.0;
        p.extent = Extent::Days(3);
    }))
    .take(short.len())
    .collect();
    let end = settings(|_| {}).end().start().and_utc().timestamp_micros();
    let before = |record: &&Record| record.arrival().micros() < end;
    assert!(short.iter().filter(before).eq(long.iter().filter(before)));

    // a fault rate leaves the other records
    let clean = |p: &mut Parameters| (p.late_per_million, p.malformed_per_million) = (0, 0);
    let faulty = |p: &mut Parameters| (p.late_per_million, p.malformed_per_million) = (0, 100_000);
    let in_time = |settings| Records::new(settings).filter(|record| record.kind() == Kind::InTime);
    assert!(in_time(settings(clean)).eq(in_time(settings(faulty))));
}

#[test]
fn closed_intervals_carry_the_values_ordered_by_key() {
    let settings = settings(|p| p.series = SeriesSet::Count(30));
    let mut values = Values::new(settings.clone());
    let mut intervals = 0;
    for closed in closed_intervals(settings.clone()) {
        assert!(closed.cells.windows(2).all(|pair| pair[0].key < pair[1].key));
        assert_eq!(closed.cells.len(), 30);
        let by_key: BTreeMap<_, _> = closed.cells.iter().map(|cell| (&cell.key, &cell.stats)).collect();
        for value in values.by_ref().take(30) {
            assert_eq!(value.interval, closed.interval);
            let stats = by_key[&settings.key(value.series)];
            assert_eq!(stats[0].sum().to_bits(), f64::from(value.views).to_bits());
            let written = format!("{}.{}", value.views * 3 / 10, value.views * 3 % 10);
            assert_eq!(stats[1].sum().to_bits(), written.parse::<f64>().unwrap().to_bits());
        }
        intervals += 1;
    }
    assert_eq!(intervals, settings.steps());
}

const ALL: Limits = Limits { bytes_max: usize::MAX, records_max: usize::MAX, arrived_by: Timestamp::MAX };

fn drain(stream: &mut Stream, limits: Limits) -> Vec<Paced> {
    std::iter::from_fn(|| stream.next_chunk(limits).unwrap()).collect()
}

#[test]
fn chunks_keep_to_their_limits_and_follow_one_another() {
    let settings = settings(|p| p.extent = Extent::Steps(20));
    let whole = text(&settings, Format::JsonLines);
    let paced =
        drain(&mut Stream::new(settings.clone(), Format::JsonLines), Limits { bytes_max: 1000, records_max: 5, ..ALL });
    let mut offset = 0;
    for Paced { chunk, .. } in &paced {
        assert_eq!(chunk.offset, offset);
        assert_eq!(chunk.partition, Stream::partition());
        assert!(chunk.bytes.ends_with(b"\n") && chunk.bytes.len() <= 1000);
        assert!((1..=5).contains(&lines(&chunk.bytes).count()));
        offset += chunk.bytes.len() as u64;
    }
    let (last, others) = paced.split_last().unwrap();
    assert!(others.iter().all(|p| p.chunk.read_to == Position::Offset(p.chunk.offset + p.chunk.bytes.len() as u64)));
    assert_eq!(last.chunk.read_to, Position::End);
    assert!(paced.windows(2).all(|pair| pair[0].arrival <= pair[1].arrival));
    assert_eq!(paced.iter().flat_map(|p| p.chunk.bytes.to_vec()).collect::<Vec<_>>(), whole);

    let tiny = drain(&mut Stream::new(settings, Format::JsonLines), Limits { bytes_max: 0, ..ALL });
    assert_eq!(tiny.len(), lines(&whole).count(), "one record at least");
}

#[test]
fn a_chunk_takes_only_what_has_arrived() {
    let settings = settings(|p| p.extent = Extent::Steps(20));
    let mut stream = Stream::new(settings.clone(), Format::Csv);
    let first = stream.next_arrival().unwrap();
    let before = Limits { arrived_by: first.saturating_add_micros(-1), ..ALL };
    assert_eq!(stream.next_chunk(before), Ok(None));
    let (mut bytes, mut now) = (Vec::new(), first);
    while let Some(next) = stream.next_arrival() {
        now = now.saturating_add_micros(60_000_000);
        if let Some(paced) = stream.next_chunk(Limits { arrived_by: now, ..ALL }).unwrap() {
            assert!(paced.arrival <= now);
            assert_eq!(paced.chunk.header.as_deref(), Some(b"platform,marketplace,event_time,views,revenue".as_ref()));
            bytes.extend_from_slice(&paced.chunk.bytes);
        } else {
            assert!(next > now);
        }
        assert!(stream.next_arrival().is_none_or(|next| next > now), "all that has arrived is taken");
    }
    assert_eq!(bytes, text(&settings, Format::Csv));
}

#[test]
fn a_resumed_stream_gives_the_same_bytes_and_cuts_where_it_was_told() {
    let settings = settings(|p| {
        p.extent = Extent::Steps(12);
        p.malformed_per_million = 10_000;
    });
    let whole = text(&settings, Format::JsonLines);
    let mut starts = vec![0];
    starts.extend(lines(&whole).scan(0, |offset, line| {
        *offset += line.len();
        Some(*offset)
    }));
    for (number, from) in starts.iter().copied().enumerate().step_by(37) {
        for cut in starts[number..].iter().copied().step_by(53) {
            let cuts = vec![cut as u64];
            let mut stream = Stream::resume(settings.clone(), Format::JsonLines, from as u64, cuts).unwrap();
            let paced = drain(&mut stream, Limits { bytes_max: 4000, ..ALL });
            let mut bytes = Vec::new();
            for Paced { chunk, .. } in &paced {
                assert_eq!(chunk.offset, (from + bytes.len()) as u64);
                bytes.extend_from_slice(&chunk.bytes);
                assert!(from + bytes.len() <= cut || chunk.offset >= cut as u64, "a chunk spans the cut");
            }
            assert_eq!(bytes, whole[from..], "from {from}, cut at {cut}");
        }
    }
}

#[test]
fn a_resume_where_no_record_begins_is_refused() {
    let settings = settings(|p| p.extent = Extent::Steps(2));
    let length = text(&settings, Format::JsonLines).len() as u64;
    let resume = |from, cut| Stream::resume(settings.clone(), Format::JsonLines, from, vec![cut]);
    assert_eq!(resume(1, 1).unwrap_err(), StreamError::InsideRecord(1));
    assert_eq!(resume(length + 1, length + 1).unwrap_err(), StreamError::PastEnd(length + 1));
    assert_eq!(resume(length, length).unwrap().next_chunk(ALL), Ok(None));
    assert_eq!(resume(0, 1).unwrap().next_chunk(ALL), Err(StreamError::InsideRecord(1)));
    assert_eq!(resume(0, length + 1).unwrap().next_chunk(ALL), Err(StreamError::PastEnd(length + 1)));
}

#[test]
fn names_of_many_series_are_distinct() {
    let settings = settings(|p| p.series = SeriesSet::Count(1000));
    let mut keys: Vec<_> = (0..1000).map(|series| settings.key(series)).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 1000);
    assert_eq!(settings.names(0), ("pc_web", "us"));
    assert_eq!(settings.names(20), ("mobile_app", "jp"));
    assert_eq!(settings.names(21), ("pc_web", "m0007"));
}

#[test]
fn every_parameter_out_of_range_is_named() {
    let bad = Parameters {
        start: DateTime::UNIX_EPOCH.naive_utc() + chrono::TimeDelta::seconds(1),
        extent: Extent::Steps(0),
        series: SeriesSet::Product { platforms: vec!["a".into(), "a".into()], marketplaces: vec!["a,b".into()] },
        anomaly_probability: f64::NAN,
        anomaly_minutes: RangeInclusive::new(5, 4),
        anomaly_shift: 0.0..=f64::INFINITY,
        records_mean: 0,
        jitter_seconds_max: 3601,
        late_per_million: 1_000_001,
        malformed_per_million: 1_000_001,
        ..Parameters::default()
    };
    let keys: Vec<_> = Settings::new(bad).unwrap_err().iter().map(SettingsError::key).collect();
    let wanted = [
        "start",
        "extent",
        "platforms",
        "marketplaces",
        "anomaly_probability",
        "anomaly_minutes",
        "anomaly_shift",
        "records_mean",
        "jitter_seconds_max",
        "late_per_million",
        "malformed_per_million",
    ];
    assert_eq!(keys, wanted);
    let cadence = Settings::new(Parameters { cadence_seconds: 420, ..Parameters::default() }).unwrap_err();
    assert_eq!(
        cadence[0].to_string(),
        "`cadence_seconds` is `420`; hint: a number of seconds that makes whole minutes and divides a day"
    );
    let endless = Settings::new(Parameters { extent: Extent::Days(u32::MAX), ..Parameters::default() }).unwrap_err();
    assert_eq!(endless[0].key(), "extent");
    let none = Settings::new(Parameters { series: SeriesSet::Count(0), ..Parameters::default() }).unwrap_err();
    assert_eq!(none[0].key(), "series");
}
