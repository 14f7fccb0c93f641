//! How much history there is in partitions, without reading any: what a detector could learn from before the first row of
//! the stream comes.

use chrono::{NaiveDate, TimeDelta};

use super::error::JobError;
use crate::config::Config;
use crate::detect::Detector;
use crate::model::{Area, Columns};
use crate::partition::{Descriptor, Reader, Tree};
use crate::store::{Place, Store};

/// The partitions that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// First local date.
    pub first: NaiveDate,
    /// Last local date.
    pub last: NaiveDate,
    /// Intervals of the last days: of as many as it takes to know the shape of the week.
    pub intervals: u64,
    /// Whether they are ours; another program's are for `detect`.
    pub is_ours: bool,
}

impl Past {
    /// Local dates from the first to the last.
    pub fn days(&self) -> u64 {
        u64::try_from((self.last - self.first).num_days() + 1).unwrap_or(0)
    }
}

/// Looks at the folders of the partitions, and into those of the last days. None where there are no partitions.
pub(super) async fn look(config: &Config, columns: &Columns) -> Result<Option<Past>, JobError> {
    let url = &config.partition.url;
    if Place::parse(url)?.directory().is_some_and(|directory| !directory.is_dir()) {
        return Ok(None);
    }
    let store = Store::open(url, &config.store).await?;
    let folders = store.list_folders(Area::Data.folder()).await?;
    let dates = || folders.iter().filter_map(|folder| Area::Data.parse_date_folder(folder));
    let (Some(first), Some(last)) = (dates().min(), dates().max()) else { return Ok(None) };
    let is_ours = Descriptor::load(&store).await?.is_some();
    let tree = if is_ours { Tree::Ours } else { Tree::Foreign };
    let from = last - TimeDelta::days(i64::from(Detector::WEEKLY_SHAPE_DAYS) - 1);
    let listed = Reader::new(store, columns.clone(), config.interval.length, tree).list(from, last).await?;
    Ok((!listed.is_empty()).then_some(Past { first, last, intervals: listed.len() as u64, is_ours }))
}
