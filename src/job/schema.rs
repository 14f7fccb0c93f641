//! The columns of a job: named in the configuration, typed there or looked at in the data, and pinned beside the
//! partitions at the first start, so that a later sample cannot change them.

use arrow_array::cast::AsArray as _;
use chrono::NaiveDate;

use super::error::JobError;
use super::feed::{Input, decode_settings};
use crate::config::Config;
use crate::decode::discover::discover;
use crate::decode::{Decoder, Format};
use crate::model::{ColumnType, Columns, MeasureType, nearest};
use crate::partition::{Descriptor, Reader, Tree};
use crate::store::Store;

/// Columns whose types cannot be found out.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// No type is given and there is no sample.
    #[error(
        "the type of measure `{measure}` is not known and there is no data to look at; hint: set `select.types.{measure}` to `integer` or `float`"
    )]
    NoSample {
        /// The measure.
        measure: String,
    },
    /// No record of the sample has the column, and one of a like name is there.
    #[error("no record at the beginning of `{place}` has the column `{column}`; hint: did you mean `{near}`?")]
    Misspelt {
        /// The column.
        column: String,
        /// Where the sample is from.
        place: String,
        /// A column of the sample that no setting names.
        near: String,
    },
    /// The sample does not have the column, or not as numbers.
    #[error(
        "measure `{measure}` has no numbers in the first records of `{place}`; hint: check `select.measures`, or set `select.types.{measure}`"
    )]
    NoNumbers {
        /// The measure.
        measure: String,
        /// Where the sample is from.
        place: String,
    },
}

/// The columns of a tree of partitions, which is described by them from now on.
pub(super) async fn claim(config: &Config, store: &Store, input: Option<&mut Input>) -> Result<Columns, JobError> {
    let there = Descriptor::load(store).await?;
    let known = |measure: &str| {
        let there = there.as_ref()?.columns.measures.iter().find(|(name, _)| name == measure);
        there.map(|(_, kind)| *kind)
    };
    let mut input = input;
    if let Some(input) = input.as_deref_mut().filter(|_| there.is_none()) {
        misspelt(config, input).await?;
    }
    let columns = typed(config, known, input).await?;
    let interval = &config.interval;
    let zone = interval.zone.name().to_owned();
    Descriptor::new(columns.clone(), interval.length.seconds(), zone, config.partition.format).claim(store).await?;
    Ok(columns)
}

/// The columns of a source that is only read.
pub(super) async fn of_source(config: &Config, input: &mut Input) -> Result<Columns, JobError> {
    misspelt(config, input).await?;
    typed(config, |_| None, Some(input)).await
}

/// The columns of partitions that another job wrote, which have no description.
pub(super) async fn of_partitions(
    config: &Config,
    store: &Store,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Columns, JobError> {
    // nothing is kept of what another job wrote but what measures look at
    let mut keep = config.select.keep.clone();
    keep.retain(|name| config.detect.columns().any(|column| column == name));
    let columns = |measures| Columns {
        dimensions: config.select.dimensions.clone(),
        timestamp: config.select.timestamp.clone(),
        keep: keep.clone(),
        measures,
    };
    let declared = |(name, kind): &(String, Option<MeasureType>)| (name.clone(), kind.unwrap_or(MeasureType::Float));
    let reader = Reader::new(store.clone(), columns(Vec::new()), config.interval.length, Tree::Foreign);
    if !reader.any(from, to).await? {
        return Err(JobError::NoHistory(config.partition.url.clone()));
    }
    // every integer of a measure is a float as well: what another job wrote is judged, not written
    let measures = config.select.measures.iter().map(declared).collect();
    Ok(columns(measures))
}

async fn typed(
    config: &Config,
    known: impl Fn(&str) -> Option<MeasureType>,
    mut input: Option<&mut Input>,
) -> Result<Columns, JobError> {
    let mut measures = Vec::new();
    for (name, declared) in &config.select.measures {
        let kind = match declared.or_else(|| known(name)) {
            Some(kind) => kind,
            None => sampled(config, name, input.as_deref_mut()).await?,
        };
        measures.push((name.clone(), kind));
    }
    Ok(Columns {
        dimensions: config.select.dimensions.clone(),
        timestamp: config.select.timestamp.clone(),
        keep: config.select.keep.clone(),
        measures,
    })
}

/// Refuses a column that no record of the sample has while it has one of a like name. Only JSON needs the look: the
/// header of a CSV is checked by the decoder.
async fn misspelt(config: &Config, input: &mut Input) -> Result<(), JobError> {
    let Some(chunk) = input.peek().await?.filter(|_| config.decode.format == Format::JsonLines) else { return Ok(()) };
    let Ok(sample) = discover(std::slice::from_ref(chunk), config.select.zone) else { return Ok(()) };
    let select = &config.select;
    let filtered = select.filters.iter().map(|(name, _)| name);
    let measures = select.measures.iter().map(|(name, _)| name);
    let joins = || config.references.iter().map(|reference| &reference.join);
    let is_given = |name: &&String| joins().any(|join| join.columns.contains(name));
    let used: Vec<&String> = [&select.timestamp]
        .into_iter()
        .chain(&select.dimensions)
        .chain(measures)
        .chain(&select.keep)
        .chain(filtered)
        .filter(|name| !is_given(name))
        .chain(joins().flat_map(|join| join.key.iter().map(|(column, _)| column)))
        .collect();
    let names = || sample.columns.iter().map(|column| column.name.as_str());
    for column in used.iter().filter(|column| !names().any(|name| name == **column)) {
        let free = names().filter(|name| !used.iter().any(|used| used == name));
        if let Some(near) = nearest(column, free) {
            let (column, near) = ((*column).clone(), near.to_owned());
            return Err(SchemaError::Misspelt { column, place: chunk.partition.to_string(), near }.into());
        }
    }
    Ok(())
}

/// Integer where every value of the sample is one, float where every value is a number.
async fn sampled(config: &Config, measure: &str, input: Option<&mut Input>) -> Result<MeasureType, JobError> {
    let no_sample = || SchemaError::NoSample { measure: measure.to_owned() };
    let chunk = input.ok_or_else(no_sample)?.peek().await?.ok_or_else(no_sample)?;
    let as_text = vec![(measure.to_owned(), ColumnType::Text)];
    let decoded = Decoder::new(decode_settings(config, as_text))?.decode(chunk)?;
    if let Some(reject) = decoded.rejects.first().filter(|_| decoded.rows.is_empty()) {
        let (place, reason) = (chunk.partition.to_string(), reject.reason.to_string());
        return Err(JobError::Unreadable { place, reason });
    }
    let values = decoded.rows.batch().column(0).as_string_opt::<i32>();
    let values: Vec<&str> = values.into_iter().flatten().flatten().filter(|value| !value.is_empty()).collect();
    if !values.is_empty() && values.iter().all(|value| value.parse::<i64>().is_ok()) {
        return Ok(MeasureType::Integer);
    }
    // a few values may be rejects; a column without a single number is a mistake
    if values.iter().any(|value| value.parse::<f64>().is_ok_and(f64::is_finite)) {
        return Ok(MeasureType::Float);
    }
    Err(SchemaError::NoNumbers { measure: measure.to_owned(), place: chunk.partition.to_string() }.into())
}
