//! The options that choose an encoder.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use fullrank_vision::encoder::EncoderConfig;

/// Which encoder, and how wide.
#[derive(Args, Clone, Debug, Default)]
pub struct EncoderArgs {
    /// The encoder
    #[arg(long, value_enum)]
    pub encoder: Option<EncoderName>,

    /// Channels after the first convolution of small-cnn
    #[arg(long)]
    pub width: Option<usize>,
}

/// The encoders that the command line can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EncoderName {
    /// Four convolutions, for a CPU
    SmallCnn,
    /// ResNet-18 with the stem for small images
    Resnet18,
}

impl EncoderArgs {
    /// Changes the encoder as the options say.
    ///
    /// # Errors
    ///
    /// If a width is given for an encoder that has none.
    pub fn apply(&self, encoder: &mut EncoderConfig) -> Result<()> {
        match self.encoder {
            Some(EncoderName::SmallCnn) => *encoder = EncoderConfig::small_cnn(),
            Some(EncoderName::Resnet18) => *encoder = EncoderConfig::resnet18(),
            None => {}
        }
        match (self.width, encoder) {
            (Some(wanted), EncoderConfig::SmallCnn { width, .. }) => *width = wanted,
            (Some(_), _) => bail!("--width is a setting of small-cnn"),
            (None, _) => {}
        }
        Ok(())
    }
}
