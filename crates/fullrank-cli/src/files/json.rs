//! Matrices in JSON: a list of numbers a line, or a list of such lists.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use super::lines::Lines;
use super::source::Source;
use super::{Sink, matrix_shape};

/// Entries handed on at once.
const BLOCK: usize = 1 << 16;

/// Reads the matrix of a file with a row a line: a list of numbers, or an object with one, of the
/// name if there is one.
pub(super) fn read_lines(source: Source, name: Option<&str>, sink: &mut dyn Sink) -> Result<()> {
    let mut lines = Lines::new(source.reader)?;
    let mut rows = Rows::new(name, sink);
    while let Some((number, line)) = lines.next()? {
        if line.trim().is_empty() {
            continue;
        }
        let value = serde_json::from_str(&line);
        let value = value.with_context(|| format!("line {number} is no JSON"));
        rows.add(&value?)
            .with_context(|| format!("line {number}"))?;
    }
    rows.end()
}

/// Reads the matrix of a file that is one list of rows.
pub(super) fn read_whole(source: Source, name: Option<&str>, sink: &mut dyn Sink) -> Result<()> {
    let value: Value = serde_json::from_reader(source.reader).context("the file is no JSON")?;
    let mut value = &value;
    // {"embeddings": [[..], ..]}
    if let Value::Object(object) = value {
        let is_list = |value: &Value| matches!(value, Value::Array(_));
        value = member(object, name, is_list)?;
    }
    let Value::Array(list) = value else {
        bail!("expected a list of rows");
    };
    let mut rows = Rows::new(name, sink);
    for (row, value) in list.iter().enumerate() {
        rows.add(value).with_context(|| format!("row {row}"))?;
    }
    rows.end()
}

/// Rows on their way to a sink.
struct Rows<'a> {
    name: Option<&'a str>,
    sink: &'a mut dyn Sink,
    dims: Option<usize>,
    entries: Vec<f64>,
}

impl<'a> Rows<'a> {
    fn new(name: Option<&'a str>, sink: &'a mut dyn Sink) -> Self {
        Self {
            name,
            sink,
            dims: None,
            entries: Vec::new(),
        }
    }

    fn add(&mut self, row: &Value) -> Result<()> {
        let list = match row {
            Value::Array(list) => list,
            Value::Object(object) => match member(object, self.name, is_row)? {
                Value::Array(list) => list,
                _ => bail!("'{}' is no list of numbers", self.name.unwrap_or_default()),
            },
            _ => bail!("expected a list of numbers, or an object with one"),
        };
        if self.dims.is_none() {
            matrix_shape(&[1, list.len() as u64])?;
            self.sink.start(list.len(), f64::EPSILON)?;
        }
        let dims = *self.dims.get_or_insert(list.len());
        ensure!(
            list.len() == dims,
            "{} numbers, the first row has {dims}",
            list.len()
        );
        for (column, value) in list.iter().enumerate() {
            let number = value.as_f64().with_context(|| {
                let text: String = value.to_string().chars().take(40).collect();
                format!("column {column}: {text} is not a number")
            })?;
            self.entries.push(number);
        }
        if self.entries.len() >= BLOCK {
            self.sink.rows(&self.entries)?;
            self.entries.clear();
        }
        Ok(())
    }

    fn end(self) -> Result<()> {
        ensure!(
            self.dims.is_some(),
            "expected a matrix with entries, found no rows"
        );
        self.sink.rows(&self.entries)
    }
}

/// Whether a value is a list that starts as a row does.
fn is_row(value: &Value) -> bool {
    matches!(value, Value::Array(list) if list.first().is_some_and(|x| x.is_number() || x.is_null()))
}

/// The member of the name, or the only one that is as wanted.
fn member<'a>(
    object: &'a Map<String, Value>,
    name: Option<&str>,
    wanted: impl Fn(&Value) -> bool,
) -> Result<&'a Value> {
    let names = |all: &[(&String, &Value)]| {
        let names: Vec<&str> = all.iter().take(20).map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    };
    let all: Vec<_> = object.iter().collect();
    if let Some(name) = name {
        let found = object.get(name);
        return found.with_context(|| format!("no field '{name}'; there are: {}", names(&all)));
    }
    let lists: Vec<_> = object.iter().filter(|(_, value)| wanted(value)).collect();
    match lists[..] {
        [(_, value)] => Ok(value),
        [] => bail!("no field is a list of numbers; there are: {}", names(&all)),
        _ => bail!(
            "several fields are lists, choose one with --tensor: {}",
            names(&lists)
        ),
    }
}
