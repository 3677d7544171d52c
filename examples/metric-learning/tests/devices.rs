//! A training on the device that `BURN_DEVICE` names, or on ndarray, is that on flex over its first ten steps.

mod common;

use fullrank_study::agreement::{Agreement, other_device};
use metric_learning::cell::Cell;
use metric_learning::config::{DataName, LossName, RegularizerName};
use metric_learning::data;

#[test]
fn ten_steps_are_those_of_flex() {
    let mut config = common::tiny(DataName::EmojiMini);
    config.iterations = 20;
    config.validate_every = 10;
    let data = data::load(&config.data).unwrap();
    let device = other_device().unwrap();
    for (loss, regularizer) in [
        (LossName::Contrastive, RegularizerName::None),
        (LossName::Contrastive, RegularizerName::Svmax),
        // Which triplets count is decided by mining.
        (LossName::Triplet, RegularizerName::Svmax),
    ] {
        let case = Cell {
            loss,
            regularizer,
            learning_rate: 0.01,
        };
        let agreement = Agreement::measure(&config, (case, 3), &data, &device, 10).unwrap();
        assert!(
            agreement.worst() < 1e-3,
            "{loss:?}, {regularizer:?}: {agreement}"
        );
    }
}
