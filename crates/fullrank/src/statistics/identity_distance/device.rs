//! The distance on its device: see [`identity_distance`](super).

use burn::tensor::Tensor;

use crate::statistics::moments::degrees_of_freedom;
use crate::statistics::unit_rows::safe_scale;
use crate::surrogate::Surrogate;

pub(super) fn identity_distance(view: &Tensor<2>, gradient: bool) -> Surrogate<1> {
    let [batch, dim] = view.dims();
    let n = degrees_of_freedom(batch);
    let wide = batch < dim;
    let centred = view.clone() - view.clone().mean_dim(0);
    let (left, right) = match wide {
        true => (centred.clone(), centred.clone().transpose()),
        false => (centred.clone().transpose(), centred.clone()),
    };
    let gram = left.matmul(right).div_scalar(n);
    let identity = Tensor::<2>::eye(batch.min(dim), &gram.device()).cast(gram.dtype());
    let deviation = gram - identity;
    // So that no square leaves the range of the type; 1 for most batches.
    let scale = safe_scale(deviation.clone().abs().max());
    let deviation = deviation / scale.clone().unsqueeze::<2>();
    let mut squares = deviation.clone().square().sum();
    if wide {
        let zeros = (dim - batch) as f64;
        squares = squares + scale.clone().square().recip().mul_scalar(zeros);
    }
    let distance = squares.sqrt();
    let coefficients = gradient.then(|| {
        let at_identity = distance.clone().equal_elem(0.0);
        let divisor = distance.clone().mask_fill(at_identity, 1.0);
        let side = deviation.mul_scalar(2.0 / n) / divisor.unsqueeze::<2>();
        [match wide {
            true => side.matmul(centred),
            false => centred.matmul(side),
        }]
    });
    Surrogate {
        value: distance * scale,
        coefficients,
    }
}
