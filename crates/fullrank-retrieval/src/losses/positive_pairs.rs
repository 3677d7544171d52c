//! The positive pairs of a batch in blocks, each pair with the negatives of its anchor: `[pairs, batch]`
//! numbers at once where all triplets together would be `[batch, batch, batch]`.

use burn::tensor::{Bool, IndexingUpdateOp, Int, Tensor, TensorData};

use super::masks::{Masks, any_in_row};
use crate::kernel::{KernelMatrix, Place};

/// Some pairs `(a, p)`.
pub(crate) struct PositivePairs {
    /// `a`, shape `[pairs]`.
    pub(crate) anchors: Tensor<1, Int>,
    /// `p`, shape `[pairs]`.
    pub(crate) positives: Tensor<1, Int>,
    /// `a * batch + p`: where the pair stands in a row-major matrix, shape `[pairs]`.
    pub(crate) places: Tensor<1, Int>,
    /// Whether the pair is positive and its anchor has a negative, shape `[pairs, 1]`.
    pub(crate) valid: Tensor<2, Bool>,
}

impl PositivePairs {
    /// All positive pairs in blocks, of which those with an anchor without negatives are not valid. On
    /// a device, where it is not known which pairs are positive, all pairs of which those are valid.
    pub(crate) fn blocks(kernel: &KernelMatrix, masks: &Masks) -> impl Iterator<Item = Self> {
        let batch = kernel.batch();
        let device = kernel.values.device();
        let positive = masks.positive.clone().reshape([batch * batch]);
        let has_negative = any_in_row(&masks.negative).reshape([batch]);
        let (known, numbers) = match kernel.place {
            Place::Host => {
                let positive = positive.to_data();
                let places = positive.iter::<bool>().enumerate();
                let places =
                    places.filter_map(|(place, positive)| positive.then_some(place as i64));
                // Few enough to stay in the second cache.
                (Some(places.collect::<Vec<i64>>()), 1 << 17)
            }
            Place::Device => (None, 1 << 22),
        };
        let count = known.as_ref().map_or(batch * batch, Vec::len);
        let block = (numbers / batch).max(1);
        (0..count).step_by(block).map(move |start| {
            let range = start..count.min(start + block);
            let places = match &known {
                Some(places) => {
                    let data = TensorData::new(places[range.clone()].to_vec(), [range.len()]);
                    Tensor::from_data(data, &device)
                }
                None => Tensor::arange(range.start as i64..range.end as i64, &device),
            };
            let anchors = places.clone().div_scalar(batch as i64);
            let valid = positive.clone().select(0, places.clone());
            let valid = valid.bool_and(has_negative.clone().select(0, anchors.clone()));
            Self {
                positives: places.clone().remainder_scalar(batch as i64),
                anchors,
                places,
                valid: valid.unsqueeze_dim(1),
            }
        })
    }
}

/// The entries of a matrix at places `row * columns + column`, shape `[places, 1]`.
pub(crate) fn entries_at(matrix: &Tensor<2>, places: &Tensor<1, Int>) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    let entries = matrix.clone().reshape([rows * columns]);
    entries.select(0, places.clone()).unsqueeze_dim(1)
}

/// Adds numbers, shape `[places, 1]`, to the entries of a matrix at places `row * columns + column`.
pub(crate) fn add_at(matrix: Tensor<2>, places: &Tensor<1, Int>, numbers: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    let [count] = places.dims();
    matrix
        .reshape([rows * columns])
        .select_assign(
            0,
            places.clone(),
            numbers.reshape([count]),
            IndexingUpdateOp::Add,
        )
        .reshape([rows, columns])
}

/// Adds rows to those of a matrix with the given indices.
pub(crate) fn add_rows(matrix: Tensor<2>, indices: &Tensor<1, Int>, rows: Tensor<2>) -> Tensor<2> {
    matrix.select_assign(0, indices.clone(), rows, IndexingUpdateOp::Add)
}
