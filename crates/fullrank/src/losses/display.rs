//! How losses and configurations are shown, as Burn's are.

/// What Burn's configurations have beside their fields: `save`, `load`, and JSON as [`Display`](std::fmt::Display).
#[macro_export]
#[doc(hidden)]
macro_rules! burn_config {
    ($config:ty) => {
        impl burn::config::Config for $config {}

        impl std::fmt::Display for $config {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&burn::config::config_to_json(self))
            }
        }
    };
}

/// Shows a loss as Burn's losses are shown: its fields on one line.
#[macro_export]
#[doc(hidden)]
macro_rules! one_line_display {
    ($loss:ident { $($field:ident),+ }) => {
        impl burn::module::ModuleDisplay for $loss {
            fn custom_settings(&self) -> Option<burn::module::DisplaySettings> {
                burn::module::DisplaySettings::new()
                    .with_new_line_after_attribute(false)
                    .optional()
            }

            fn custom_content(
                &self,
                content: burn::module::Content,
            ) -> Option<burn::module::Content> {
                content
                    $(.add(stringify!($field), format!("{:?}", self.$field).as_str()))+
                    .optional()
            }
        }
    };
}
