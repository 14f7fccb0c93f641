//! Reading a description's JSON: values by key, and what nobody asked for.

use serde_json::{Map, Value};

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// An object whose keys are read one by one; what is left over is told.
pub(super) struct Reader<'a> {
    object: &'a Object,
    /// Where it stands, such as `MetricSource.S3SourceConfig`.
    path: String,
    known: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(object: &'a Object, path: &str) -> Reader<'a> {
        Reader { object, path: path.to_owned(), known: Vec::new() }
    }

    /// The path of a key.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn get(&mut self, key: &'a str) -> Option<&'a Value> {
        self.known.push(key);
        self.object.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, key: &'a str) -> Option<&'a str> {
        self.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub(super) fn number(&mut self, key: &'a str) -> Option<f64> {
        self.get(key).and_then(Value::as_f64)
    }

    pub(super) fn integer(&mut self, key: &'a str) -> Option<u64> {
        self.get(key).and_then(Value::as_u64)
    }

    pub(super) fn flag(&mut self, key: &'a str) -> Option<bool> {
        self.get(key).and_then(Value::as_bool)
    }

    pub(super) fn texts(&mut self, key: &'a str) -> Vec<String> {
        let array = self.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        array.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// An object below this one.
    pub(super) fn below(&mut self, key: &'a str) -> Option<Reader<'a>> {
        let path = self.path(key);
        self.get(key).and_then(Value::as_object).map(|object| Reader::new(object, &path))
    }

    /// The objects of an array below this one.
    pub(super) fn all_below(&mut self, key: &'a str) -> Vec<Reader<'a>> {
        let path = self.path(key);
        let array = self.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let objects = array.iter().enumerate().filter_map(|(at, value)| Some((at, value.as_object()?)));
        objects.map(|(at, object)| Reader::new(object, &format!("{path}[{at}]"))).collect()
    }

    /// Says that keys are known and mean nothing to a configuration.
    pub(super) fn ignore(&mut self, keys: &[&'a str]) {
        self.known.extend(keys);
    }

    /// Keys that nobody asked for, with their paths and values.
    pub(super) fn rest(&self) -> Vec<(String, String)> {
        let rest = self.object.iter().filter(|(key, value)| !self.known.contains(&key.as_str()) && !value.is_null());
        rest.map(|(key, value)| (self.path(key), value.to_string())).collect()
    }
}
