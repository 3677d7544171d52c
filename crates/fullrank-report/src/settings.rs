//! Names and values.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use crate::html::escaped;

pub(crate) fn html(settings: &[(String, String)]) -> String {
    let mut html = String::from("<dl>\n");
    for (name, value) in settings {
        let _ = writeln!(
            html,
            "<dt>{}</dt><dd>{}</dd>",
            escaped(name),
            escaped(value)
        );
    }
    html + "</dl>\n"
}

/// The leaves of a configuration, each with the names that lead to it.
pub(crate) fn flat(configuration: &impl Serialize) -> Vec<(String, String)> {
    let value = serde_json::to_value(configuration).expect("the configuration is plain data");
    let mut leaves = vec![];
    gather("", &value, &mut leaves);
    leaves
}

fn gather(name: &str, value: &Value, leaves: &mut Vec<(String, String)>) {
    match value {
        Value::Object(parts) if !parts.is_empty() => {
            for (key, part) in parts {
                let name = match name {
                    "" => key.clone(),
                    _ => format!("{name}.{key}"),
                };
                gather(&name, part, leaves);
            }
        }
        Value::Array(parts) if !parts.iter().any(|part| part.is_object() || part.is_array()) => {
            let words: Vec<String> = parts.iter().map(word).collect();
            leaves.push((name.into(), words.join(", ")));
        }
        value => leaves.push((name.into(), word(value))),
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        other => other.to_string(),
    }
}
