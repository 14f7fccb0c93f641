//! Packed rows come back as they were.

use arrow_schema::{Field, Schema};
use proptest::prelude::*;

use super::super::Picked;
use super::*;

/// Rows with these texts; numbers follow from them, one in three integers is missing.
fn rows(texts: &[String], first: u64, more: usize) -> Rows {
    let mut fields = vec![
        Field::new("text", DataType::Utf8, false),
        Field::new("integer", DataType::Int64, true),
        Field::new("again", DataType::Utf8, false),
        Field::new("float", DataType::Float64, true),
    ];
    let number = |at: usize| (!at.is_multiple_of(3)).then_some(i64::MIN + at as i64);
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(texts.to_vec())),
        Arc::new((0..texts.len()).map(number).collect::<Int64Array>()),
        Arc::new(StringArray::from_iter_values(texts.iter().map(|text| text.repeat(9)))),
        Arc::new(Float64Array::from_iter_values(texts.iter().map(|text| text.len() as f64 / -3.0))),
    ];
    for column in 0..more {
        fields.push(Field::new(format!("more{column}"), DataType::Float64, true));
        let value = |at: usize| (at % 8 != column % 8).then_some(at as f64);
        columns.push(Arc::new((0..texts.len()).map(value).collect::<Float64Array>()));
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let at = first..first + texts.len() as u64;
    let times = at.clone().map(|at| Timestamp::from_micros(at as i64 % 1000 - 500).unwrap()).collect();
    Rows::new(batch, times, at.collect()).unwrap()
}

proptest! {
    /// Whatever is packed, row by row or in runs, comes out as it went in.
    #[test]
    fn what_is_packed_comes_out(
        batches in proptest::collection::vec((
            proptest::collection::vec("[a-z é]{0,8}|[a-z]{27,34}|[a-z]{250,260}", 1..60),
            proptest::collection::vec((0..3usize, 1..9usize), 1..20),
        ), 1..5),
        first in prop_oneof![Just(0u64), Just(u64::from(u32::MAX) - 20), Just(u64::MAX / 2)],
        more in prop_oneof![Just(0usize), 1..3usize, 7..12usize],
    ) {
        let mut packed: Option<Packed> = None;
        let (mut expected, mut bytes, mut first) = (Vec::new(), 0, first);
        for (texts, steps) in &batches {
            let rows = rows(texts, first, more);
            first += texts.len() as u64;
            let (mut runs, mut at) = (Vec::new(), 0);
            for (gap, length) in steps {
                let run = (at + gap).min(texts.len())..(at + gap + length).min(texts.len());
                at = run.end + 1;
                runs.extend((!run.is_empty()).then_some(run));
            }
            let numbers: Vec<u32> = runs.iter().flat_map(Clone::clone).map(|row| row as u32).collect();
            let rows = Arc::new(rows);
            let picked = Picked::new(&rows, &runs);
            expected.push(rows.picked(&numbers).unwrap());
            prop_assert_eq!(&picked.unpacked().unwrap(), expected.last().unwrap());
            prop_assert_eq!(&picked.packed().unwrap().unpacked().unwrap(), expected.last().unwrap());
            let packing = Packing::of(&rows).unwrap();
            let to = packed.get_or_insert_with(|| Packed::new(&packing, Room::default()));
            prop_assert!(to.takes(&packing));
            bytes += packing.copy(&runs, to);
        }
        let packed = packed.unwrap();
        let found = packed.unpacked().unwrap();
        let whole = arrow_select::concat::concat_batches(
            &found.batch().schema(), expected.iter().map(Rows::batch)).unwrap();
        prop_assert_eq!(found.batch(), &whole);
        prop_assert_eq!(found.times(), expected.iter().flat_map(Rows::times).copied().collect::<Vec<_>>());
        prop_assert_eq!(found.offsets(), expected.iter().flat_map(Rows::offsets).copied().collect::<Vec<_>>());
        prop_assert_eq!(packed.len(), whole.num_rows());
        prop_assert_eq!(bytes, packed.bytes().iter().map(|bytes| bytes.len()).sum::<usize>());
        let [fixed, texts] = packed.bytes().map(<[u8]>::to_vec);
        let again = packed.clone().with_bytes([Vec::new(), Vec::new()]);
        prop_assert!(packed.is_empty() || again.unpacked().is_err());
        prop_assert_eq!(again.with_bytes([fixed, texts]), packed);
    }
}

#[test]
fn slices_are_packed_and_cut_texts_are_noticed() {
    let texts: Vec<String> = ["é", "", "long enough", "x"].map(str::to_owned).to_vec();
    let slice = rows(&texts, 5, 0).sliced(1..3);
    let packed = Packed::of(&slice).unwrap();
    assert_eq!(packed.unpacked().unwrap(), slice);
    let [fixed, texts] = packed.bytes().map(<[u8]>::to_vec);
    let cut = texts[..texts.len() - 1].to_vec();
    assert!(packed.with_bytes([fixed, cut]).unpacked().is_err());
}

#[test]
fn no_rows_are_packed_too() {
    let none = rows(&[], 0, 1);
    assert_eq!(Packed::of(&none).unwrap().unpacked().unwrap(), none);
}

#[test]
fn rows_far_behind_or_of_other_columns_are_not_taken() {
    let texts = ["x".to_owned()];
    let here = Packed::of(&rows(&texts, 7, 0)).unwrap();
    let takes = |first, more| here.takes(&Packing::of(&rows(&texts, first, more)).unwrap());
    assert!(takes(8, 0) && takes(7 + u64::from(u32::MAX), 0));
    assert!(!takes(8 + u64::from(u32::MAX), 0) && !takes(6, 0) && !takes(8, 1));
    let elsewhere = rows(&texts, 8, 0).placed(Places::Records(Vec::new().into()));
    assert!(!here.takes(&Packing::of(&elsewhere).unwrap()));
}
