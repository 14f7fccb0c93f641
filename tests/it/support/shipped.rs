//! A shipped configuration with some of its text changed, each change of which must be needed.

use std::fs;
use std::path::{Path, PathBuf};

/// Writes `config/NAME.toml` with these changes into a directory, `out/NAME` below it; gives its path.
pub(crate) fn shipped(name: &str, directory: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = fs::read_to_string(root.join(format!("config/{name}.toml"))).unwrap();
    let out = directory.join("out").display().to_string();
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "`{from}` in config/{name}.toml");
        text = text.replace(from, to);
    }
    let text = text.replace(&format!("out/{name}"), &out);
    fs::create_dir_all(directory).unwrap();
    let path = directory.join("changed.toml");
    fs::write(&path, text).unwrap();
    path
}
