//! Which files a configured path means, and the name of each as a source partition.
//!
//! A partition's name is the file's path relative to a base, with `/` between its parts: for a directory the directory
//! itself, for a glob the directories before its first part with a wildcard, for a single file its directory. So the
//! names are the same for `data/in`, `./data/in/` and `/srv/data/in`, and do not depend on the working directory.
//!
//! A directory means all files in it and below it; a directory below it that is a symbolic link is not entered. A name
//! that begins with `.` or `_` is passed over (half-written files, manifests), and so is all that is below it, unless
//! a glob names it. The order is that of the names, byte by byte.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::model::SourcePartition;
use crate::source::SourceError;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) partition: SourcePartition,
    pub(super) path: PathBuf,
    /// Bytes on disk.
    pub(super) size: u64,
}

/// Lists the files that `path` means, in the order of their names.
pub(super) fn list(path: &Path) -> Result<Vec<Found>, SourceError> {
    let mut found = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => below(path)?,
        Ok(metadata) if metadata.is_file() => {
            let base = path.parent().unwrap_or(Path::new(""));
            vec![named(base, path.to_owned(), metadata.len())?]
        }
        Ok(_) => return Err(SourceError::NotAFile(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_glob(path) => matching(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SourceError::NotFound(path.to_owned())),
        Err(error) => return Err(refused(path, error)),
    };
    found.sort_by(|a, b| a.partition.cmp(&b.partition));
    Ok(found)
}

/// All files in `base` and below it.
fn below(base: &Path) -> Result<Vec<Found>, SourceError> {
    let mut found = Vec::new();
    let mut directories = vec![base.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).map_err(|error| refused(&directory, error))? {
            let entry = entry.map_err(|error| refused(&directory, error))?;
            if is_hidden(&entry.file_name()) {
                continue;
            }
            let path = entry.path();
            if entry.file_type().map_err(|error| refused(&path, error))?.is_dir() {
                directories.push(path);
            } else if let Some(size) = file_size(&path)? {
                found.push(named(base, path, size)?);
            }
        }
    }
    Ok(found)
}

/// All files that match a glob.
fn matching(pattern: &Path) -> Result<Vec<Found>, SourceError> {
    let text = pattern.to_str().ok_or_else(|| SourceError::Name(pattern.to_owned()))?;
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
    let wrong = |reason: &str| SourceError::Glob { pattern: text.to_owned(), reason: reason.to_owned() };
    let paths = glob::glob_with(text, options).map_err(|error| wrong(error.msg))?;

    let parts = plain(pattern);
    let fixed: PathBuf = parts.components().take_while(|part| !is_glob(Path::new(part))).collect();
    let names_hidden = |sign: &str| {
        parts.components().skip(fixed.components().count()).any(|part| starts_with(part.as_os_str(), sign))
    };
    let passed_over: Vec<&str> = [".", "_"].into_iter().filter(|sign| !names_hidden(sign)).collect();

    let mut found = Vec::new();
    for path in paths {
        let path =
            path.map_err(|error| SourceError::Read { path: error.path().to_owned(), offset: 0, error: error.into() })?;
        let Some(size) = file_size(&path)? else { continue };
        let file = named(&fixed, path, size)?;
        if !file.partition.name().split('/').any(|part| passed_over.iter().any(|sign| part.starts_with(sign))) {
            found.push(file);
        }
    }
    Ok(found)
}

/// The size of a regular file, following symbolic links; none where it is something else or has just gone.
pub(super) fn file_size(path: &Path) -> Result<Option<u64>, SourceError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused(path, error)),
    }
}

fn named(base: &Path, path: PathBuf, size: u64) -> Result<Found, SourceError> {
    let whole = plain(&path);
    let relative = whole.strip_prefix(plain(base)).unwrap_or(&whole);
    let parts: Option<Vec<&str>> = relative.components().map(|part| part.as_os_str().to_str()).collect();
    match parts {
        Some(parts) => Ok(Found { partition: SourcePartition::new(&parts.join("/")), path, size }),
        None => Err(SourceError::Name(path)),
    }
}

/// The path without `.` parts.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

fn is_glob(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.contains(['*', '?', '[']))
}

fn is_hidden(name: &OsStr) -> bool {
    starts_with(name, ".") || starts_with(name, "_")
}

fn starts_with(name: &OsStr, sign: &str) -> bool {
    name.as_encoded_bytes().starts_with(sign.as_bytes())
}

fn refused(path: &Path, error: io::Error) -> SourceError {
    SourceError::Read { path: path.to_owned(), offset: 0, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        list(path).unwrap().iter().map(|found| found.partition.name().to_owned()).collect()
    }

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.json", "a/2.json", "a/10.json", "a-b/x.json", "_manifest/m.json", ".b.json.tmp", "a/_tmp", "c"]
        {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        dir
    }

    #[test]
    fn a_directory_means_all_files_below_it_in_byte_order() {
        let dir = tree();
        let expected = ["a-b/x.json", "a/10.json", "a/2.json", "b.json", "c"];
        assert_eq!(names(dir.path()), expected);
        assert_eq!(names(&dir.path().join("./")), expected);
        assert_eq!(names(&dir.path().join("a")), ["10.json", "2.json"]);
    }

    #[test]
    fn a_glob_is_relative_to_its_part_without_wildcards() {
        let dir = tree();
        assert_eq!(names(&dir.path().join("*.json")), ["b.json"]);
        assert_eq!(names(&dir.path().join("./a/*.json")), ["10.json", "2.json"]);
        assert_eq!(names(&dir.path().join("**/*.json")), ["a-b/x.json", "a/10.json", "a/2.json", "b.json"]);
        assert_eq!(names(&dir.path().join("_*/*")), ["_manifest/m.json"]);
        assert_eq!(names(&dir.path().join("*.parquet")), [""; 0]);
    }

    #[test]
    fn a_single_file_is_named_by_its_file_name() {
        let dir = tree();
        assert_eq!(names(&dir.path().join("a/2.json")), ["2.json"]);
    }

    #[test]
    fn wrong_paths_are_told_apart() {
        let dir = tree();
        assert!(matches!(list(&dir.path().join("none")), Err(SourceError::NotFound(_))));
        assert!(matches!(list(&dir.path().join("a***")), Err(SourceError::Glob { .. })));
        assert!(matches!(list(Path::new("/dev/null")), Err(SourceError::NotAFile(_))));
    }

    #[cfg(unix)]
    #[test]
    fn names_must_be_utf8_and_linked_directories_are_not_entered() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tree();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("a/loop")).unwrap();
        assert_eq!(names(dir.path()).len(), 5);
        fs::write(dir.path().join(OsStr::from_bytes(b"\xff")), "x").unwrap();
        assert!(matches!(list(dir.path()), Err(SourceError::Name(_))));
    }
}
