//! A directory on disk: making it, and sweeping up what a killed process left in it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use super::StoreError;

/// Where [`Store::sweep`](super::Store::sweep) looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep<'a> {
    /// In a folder and all below it; one that is not there is fine.
    Below(&'a str),
    /// In the root itself and no folder of it.
    Root,
}

/// Opens a directory, which is made where it is missing; gives its full path.
pub(super) fn open(directory: &Path) -> Result<(Arc<dyn ObjectStore>, PathBuf), StoreError> {
    let failed = |source| StoreError::Directory { directory: directory.to_owned(), source };
    fs::create_dir_all(directory).map_err(failed)?;
    let directory = directory.canonicalize().map_err(failed)?;
    let objects = LocalFileSystem::new_with_prefix(&directory);
    let failed = |source| StoreError::Operation { verb: "open", name: directory.display().to_string(), source };
    Ok((Arc::new(objects.map_err(failed)?), directory))
}

/// Removes staged files; gives how many.
pub(super) fn sweep(root: &Path, what: Sweep<'_>) -> Result<u64, StoreError> {
    let (directory, deep) = match what {
        Sweep::Below(folder) => (root.join(folder), true),
        Sweep::Root => (root.to_owned(), false),
    };
    sweep_directory(&directory, deep).map_err(|source| StoreError::Directory { directory, source })
}

fn sweep_directory(directory: &Path, deep: bool) -> io::Result<u64> {
    let mut removed = 0;
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            removed += if deep { sweep_directory(&entry.path(), deep)? } else { 0 };
        } else if is_staged(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// A staged file is named as its object, with `#` and a number behind.
fn is_staged(name: &str) -> bool {
    let ours = |stem: &str| {
        let ending = [".csv", ".parquet", ".json", ".jsonl"].iter().any(|ending| stem.ends_with(ending));
        ending || ["checkpoint-", "raises-", "spill-", "_probe-"].iter().any(|beginning| stem.starts_with(beginning))
    };
    let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    name.rsplit_once('#').is_some_and(|(stem, digits)| ours(stem) && number(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_swept_up() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("deep")).unwrap();
        fs::write(root.join("deep/part.csv#1"), "half").unwrap();
        fs::write(root.join("deep/part.csv"), "whole").unwrap();
        fs::write(root.join("c#"), "not ours").unwrap();
        fs::write(root.join("deep/notes#1"), "not ours").unwrap();
        fs::write(root.join("checkpoint-0000000003#12"), "half").unwrap();
        assert_eq!(sweep(root, Sweep::Root).unwrap(), 1);
        assert!(!root.join("checkpoint-0000000003#12").exists() && root.join("deep/part.csv#1").exists());
        assert_eq!(sweep(root, Sweep::Below("deep")).unwrap(), 1);
        assert_eq!(sweep(root, Sweep::Below("nowhere")).unwrap(), 0);
        assert!(!root.join("deep/part.csv#1").exists());
        for kept in ["deep/part.csv", "deep/notes#1", "c#"] {
            assert!(root.join(kept).exists(), "{kept}");
        }
    }
}
