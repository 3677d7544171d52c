//! Configurations as JSON: any part of one, laid over the defaults.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::StudyError;

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
