//! The methods every loss has, written once.

/// Gives a loss that implements `Parts<$count>` its public methods.
macro_rules! loss_methods {
    ($loss:ident, $config:ident, $count:literal, $($input:ident),+) => {
        impl $loss {
            /// The loss.
            ///
            /// # Shapes
            ///
            $(#[doc = concat!("- ", stringify!($input), ": `[batch, dim]`")])+
            /// - output: `[1]`, in f32, or in f64 for f64 input
            ///
            /// # Panics
            ///
            /// If `batch` or `dim` is zero, or the shapes of the inputs differ.
            pub fn forward(
                &self,
                $($input: burn::tensor::Tensor<2>),+
            ) -> burn::tensor::Tensor<1> {
                $crate::surrogate::forward(self, [$($input),+])
            }

            /// The loss and its named terms; shapes and panics as in [`forward`](Self::forward).
            pub fn forward_terms(&self, $($input: burn::tensor::Tensor<2>),+) -> $crate::Terms {
                $crate::surrogate::forward_terms(self, [$($input),+])
            }

            /// The loss and its gradients on plain tensors; shapes and panics as in
            /// [`forward`](Self::forward).
            pub fn evaluate(
                &self,
                $($input: burn::tensor::Tensor<2>),+
            ) -> $crate::Evaluation<$count> {
                $crate::surrogate::evaluate(self, [$($input),+], true)
            }
        }

        impl Default for $loss {
            /// The loss with its default configuration.
            fn default() -> Self {
                $config::new().init()
            }
        }
    };
}

/// Shows a loss as Burn's losses are shown: its fields on one line.
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

pub(crate) use {loss_methods, one_line_display};
