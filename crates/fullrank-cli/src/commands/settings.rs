//! `--set key=value`: a configuration from its defaults and what is said otherwise.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// `defaults` with each `key=value` laid over it.
///
/// A value is read as JSON, and as a string where it is none: `form=linear` needs no quotes.
///
/// # Errors
///
/// If a setting has no `=`, its key is not a field (the error lists the fields) or its value does not
/// fit the field.
pub(crate) fn with_settings<C>(defaults: &C, settings: &[String]) -> Result<C>
where
    C: Serialize + DeserializeOwned,
{
    let Value::Object(mut fields) = serde_json::to_value(defaults)? else {
        bail!("a configuration must be a JSON object");
    };
    for setting in settings {
        let (key, value) = setting
            .split_once('=')
            .with_context(|| format!("'{setting}' is not of the form key=value"))?;
        if !fields.contains_key(key) {
            bail!("unknown key '{key}'; known: {}", names(&fields));
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        fields.insert(key.to_owned(), value);
        // At once, so that an error names the setting it comes from.
        serde_json::from_value::<C>(Value::Object(fields.clone()))
            .with_context(|| format!("in '{setting}'"))?;
    }
    Ok(serde_json::from_value(Value::Object(fields))?)
}

fn names(fields: &Map<String, Value>) -> String {
    fields
        .keys()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use fullrank::{SvMaxConfig, SvMaxForm};

    fn set(settings: &[&str]) -> Result<SvMaxConfig> {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        with_settings(&SvMaxConfig::new(), &settings)
    }

    #[test]
    fn settings_replace_defaults() {
        let config = set(&["weight=0.5", "form=linear", "normalize=false"]).unwrap();
        assert_eq!(
            (config.weight, config.form, config.normalize),
            (0.5, SvMaxForm::Linear, false)
        );
        assert_eq!(set(&[]).unwrap(), SvMaxConfig::new());
    }

    #[test]
    fn errors_name_the_setting() {
        let error = |setting| format!("{:#}", set(&[setting]).unwrap_err());
        assert_eq!(
            error("wieght=1"),
            "unknown key 'wieght'; known: weight, form, normalize, solver, norm_floor"
        );
        assert_eq!(error("weight"), "'weight' is not of the form key=value");
        assert!(error("weight=heavy").starts_with("in 'weight=heavy': invalid type"));
        assert!(error("form=tanh").contains("unknown variant `tanh`"));
    }
}
