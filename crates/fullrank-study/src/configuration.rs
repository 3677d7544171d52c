//! Configurations as JSON: any part of one, laid over the defaults; and the checks of their values.

use std::fmt::Display;
use std::ops::RangeBounds;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::StudyError;

/// The file of a run's configuration.
pub const CONFIG: &str = "config.json";

/// `defaults` with a partial JSON document laid over it.
///
/// Two objects are merged key by key, unless both have a `name` and it differs: then they are different
/// things, and the settings of one say nothing about the other.
///
/// # Errors
///
/// For a key that the configuration does not have, with those it has, and for a value that does not fit
/// its key.
pub fn laid_over<T: Serialize + DeserializeOwned>(
    defaults: &T,
    part: Value,
) -> Result<T, StudyError> {
    let mut merged = to_value(defaults)?;
    merge(&mut merged, part);
    let config: T = parsed(merged.clone())?;
    known_only(&merged, &to_value(&config)?, "")?;
    Ok(config)
}

/// What `parse` makes of the text of a file.
///
/// # Errors
///
/// If the file cannot be read, or `parse` finds an error; both name the file.
pub fn read<T>(path: &Path, parse: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let context = || format!("reading the configuration {}", path.display());
    let text = std::fs::read_to_string(path).with_context(context)?;
    parse(&text).with_context(context)
}

/// A JSON document.
///
/// # Errors
///
/// If it is none, with the place.
pub fn parse(text: &str) -> Result<Value, StudyError> {
    serde_json::from_str(text).map_err(settings)
}

/// The whole configuration as indented JSON.
///
/// # Errors
///
/// If it holds something that JSON has no word for.
pub fn to_json(config: &impl Serialize) -> Result<String, StudyError> {
    Ok(serde_json::to_string_pretty(config).map_err(settings)? + "\n")
}

fn settings(error: serde_json::Error) -> StudyError {
    StudyError::Settings {
        problem: error.to_string(),
    }
}

fn to_value(config: &impl Serialize) -> Result<Value, StudyError> {
    serde_json::to_value(config).map_err(settings)
}

fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            let renamed = over
                .get("name")
                .is_some_and(|name| base.get("name") != Some(name));
            if renamed && base.contains_key("name") {
                base.clear();
            }
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

/// `value`, read; the error says in which part of it.
fn parsed<T: DeserializeOwned>(value: Value) -> Result<T, StudyError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.inner());
        StudyError::Settings {
            problem: match path.as_str() {
                "." => error.to_string(),
                _ => format!("in `{path}`: {error}"),
            },
        }
    })
}

/// An error for the first key of `given` that `known`, what was understood of it, lacks.
fn known_only(given: &Value, known: &Value, path: &str) -> Result<(), StudyError> {
    let (Value::Object(given), Value::Object(known)) = (given, known) else {
        return Ok(());
    };
    for (key, value) in given {
        let Some(understood) = known.get(key) else {
            let problem = format!("unknown key `{path}{key}`; known here: {}", keys(known));
            return Err(StudyError::Settings { problem });
        };
        known_only(value, understood, &format!("{path}{key}."))?;
    }
    Ok(())
}

fn keys(object: &Map<String, Value>) -> String {
    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.join(", ")
}

/// The name of a value on the command line, in a configuration, and of its folder.
pub fn key(value: impl ValueEnum) -> String {
    let value = value.to_possible_value().expect("no skipped value");
    value.get_name().to_owned()
}

/// Checks that there are values, none of them twice.
///
/// # Errors
///
/// Otherwise; it names the setting and the value.
pub fn distinct<T: PartialEq>(
    name: &str,
    values: &[T],
    shown: impl Fn(&T) -> String,
) -> Result<()> {
    ensure!(!values.is_empty(), "{name} must hold at least one value");
    for (index, value) in values.iter().enumerate() {
        let twice = values[..index].contains(value);
        ensure!(!twice, "{name} holds {} twice", shown(value));
    }
    Ok(())
}

/// Checks counts, each with its name, against the least that they may be.
///
/// # Errors
///
/// For the first that is below; it names the setting and the value.
pub fn at_least(least: usize, settings: &[(&str, usize)]) -> Result<()> {
    for (name, value) in settings {
        ensure!(
            *value >= least,
            "{name} must be at least {least}, got {value}"
        );
    }
    Ok(())
}

/// Checks that numbers, each with its name, are above zero and finite.
///
/// # Errors
///
/// For the first that is not; it names the setting and the value.
pub fn positive(settings: &[(&str, f64)]) -> Result<()> {
    for (name, value) in settings {
        let is = value.is_finite() && *value > 0.0;
        ensure!(is, "{name} must be above 0 and finite, got {value}");
    }
    Ok(())
}

/// Checks that a number is in a range, which `shown` says in words.
///
/// # Errors
///
/// Otherwise; it names the setting, the range and the value.
pub fn within(
    name: &str,
    value: f64,
    range: impl RangeBounds<f64>,
    shown: impl Display,
) -> Result<()> {
    let is = range.contains(&value);
    ensure!(is, "{name} must be in {shown}, got {value}");
    Ok(())
}
