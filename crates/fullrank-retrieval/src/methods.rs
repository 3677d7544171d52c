//! What every loss has, written once.

/// A default, a one-line display as Burn's losses have it, and `forward` without the trait in scope.
macro_rules! loss_module {
    ($loss:ident, $config:ident { $($field:ident),+ }) => {
        impl $loss {
            /// The loss of a labelled batch.
            ///
            /// # Shapes
            ///
            /// - embeddings: `[batch, dim]`
            /// - labels: `[batch]`
            /// - output: `[1]`, in f32, or in f64 for f64 input
            ///
            /// # Panics
            ///
            /// If `batch` or `dim` is zero, or the labels are not `batch`.
            pub fn forward(
                &self,
                embeddings: burn::tensor::Tensor<2>,
                labels: burn::tensor::Tensor<1, burn::tensor::Int>,
            ) -> burn::tensor::Tensor<1> {
                $crate::RankingLoss::forward(self, embeddings, labels)
            }
        }

        impl Default for $loss {
            /// The loss with its default configuration.
            fn default() -> Self {
                $config::new().init()
            }
        }

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

/// # Panics
///
/// If the value is not finite.
pub(crate) fn assert_finite(what: &str, value: f64) {
    assert!(value.is_finite(), "the {what} must be finite, got {value}");
}

/// # Panics
///
/// If the value is not positive and finite.
pub(crate) fn assert_positive(what: &str, value: f64) {
    assert!(
        value.is_finite() && value > 0.0,
        "the {what} must be positive and finite, got {value}"
    );
}

/// # Panics
///
/// If the value is negative or not finite.
pub(crate) fn assert_not_negative(what: &str, value: f64) {
    assert!(
        value.is_finite() && value >= 0.0,
        "the {what} must be finite and not negative, got {value}"
    );
}

pub(crate) use loss_module;
