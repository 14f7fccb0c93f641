//! What a url names: a directory, or a bucket with a prefix.

use std::path::PathBuf;

use super::StoreError;

/// Where objects lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a directory on disk.
    Directory(PathBuf),
    /// In a bucket.
    Bucket {
        /// Its name.
        bucket: String,
        /// What all names begin with, without slashes at its ends; perhaps empty.
        prefix: String,
    },
}

impl Place {
    /// Reads a path, a `file://` url or `s3://bucket/prefix`. Nothing in it is percent-decoded.
    ///
    /// # Errors
    /// When it is of another kind, or a bucket's name or prefix cannot be one.
    pub fn parse(url: &str) -> Result<Place, StoreError> {
        let refused = || StoreError::Url { url: url.to_owned() };
        match url.split_once("://") {
            Some(("file", path)) if !path.is_empty() => Ok(Place::Directory(PathBuf::from(path))),
            Some(("s3", rest)) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let prefix = prefix.trim_matches('/');
                let is_bucket = !bucket.is_empty()
                    && bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
                if !is_bucket || object_store::path::Path::parse(prefix).is_err() {
                    return Err(refused());
                }
                Ok(Place::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
            }
            Some(_) => Err(refused()),
            None if url.is_empty() => Err(refused()),
            None => Ok(Place::Directory(PathBuf::from(url))),
        }
    }

    /// The directory, where it is one.
    pub fn directory(&self) -> Option<&std::path::Path> {
        match self {
            Place::Directory(directory) => Some(directory),
            Place::Bucket { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_directories_and_buckets() {
        let bucket = |bucket: &str, prefix: &str| Place::Bucket { bucket: bucket.into(), prefix: prefix.into() };
        for (url, place) in [
            ("out/x", Place::Directory("out/x".into())),
            ("file:///tmp/x", Place::Directory("/tmp/x".into())),
            ("s3://shop", bucket("shop", "")),
            ("s3://shop/", bucket("shop", "")),
            ("s3://shop.data/a b/ü+%41=1/", bucket("shop.data", "a b/ü+%41=1")),
        ] {
            assert_eq!(Place::parse(url).unwrap(), place, "{url}");
        }
        for url in ["", "ftp://host/x", "file://", "s3://", "s3:///x", "s3://a?b/c", "s3://shop/a//b", "s3://shop/../x"]
        {
            let error = Place::parse(url).unwrap_err().to_string();
            assert!(error.contains(&format!("`{url}`")) && error.contains("hint:"), "{error}");
        }
    }
}
