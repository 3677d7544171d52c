//! A cell of a comparison: a ranking loss with a regularizer at a learning rate.

use fullrank_study::Case;
use fullrank_study::configuration::key;
use serde::{Deserialize, Serialize};

use crate::config::{LossName, RegularizerName, RunConfig};

/// What one training is about, but for its seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The ranking loss.
    pub loss: LossName,
    /// What stands beside it.
    pub regularizer: RegularizerName,
    /// The learning rate of the constant part.
    pub learning_rate: f64,
}

impl Cell {
    /// Every cell of a run, in its order.
    pub fn all(config: &RunConfig) -> Vec<Self> {
        let mut cells = Vec::new();
        for &loss in &config.losses {
            for &learning_rate in &config.learning_rates {
                for &regularizer in &config.regularizers {
                    cells.push(Self {
                        loss,
                        regularizer,
                        learning_rate,
                    });
                }
            }
        }
        cells
    }
}

impl Case for Cell {
    /// Such as `contrastive-svmax-lr-0.1`.
    fn key(&self) -> String {
        let (loss, regularizer) = (key(self.loss), key(self.regularizer));
        format!("{loss}-{regularizer}-lr-{}", self.learning_rate)
    }

    /// Such as `contrastive + SVMax, lr 0.1`.
    fn title(&self) -> String {
        let beside = match self.regularizer {
            RegularizerName::None => String::new(),
            other => format!(" + {}", other.title()),
        };
        let loss = self.loss.title();
        format!("{loss}{beside}, lr {}", self.learning_rate)
    }
}
