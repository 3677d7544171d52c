//! Directions that a batch is looked at along, drawn anew for each step of a training.
//!
//! Each is a normal vector divided by its norm: uniform on the sphere. The numbers are functions of the seed, the
//! step and their place alone (splitmix64 of a counter, by pairs into normal ones: Box and Muller), in
//! f64 on the host. So a step has the same slices on every device and every shard, whatever the number of
//! threads, in whatever order the steps come, and more slices begin with the fewer.

use std::f64::consts::TAU;

use burn::tensor::{Tensor, TensorData};

/// `count` unit columns for this step, shape `[dim, count]`, where and in the precision that `like` is.
pub(crate) fn drawn(seed: u64, step: u64, count: usize, like: &Tensor<2>) -> Tensor<2> {
    let [_, dim] = like.dims();
    let key = mixed(mixed(seed) ^ step);
    let mut entries = vec![0.0; dim * count];
    for (slice, row) in entries.chunks_exact_mut(dim).enumerate() {
        draw(key, slice, row);
    }
    let data = TensorData::new(entries, [count, dim]).convert_dtype(like.dtype());
    Tensor::<2>::from_data(data, (&like.device(), like.dtype())).transpose()
}

/// A unit vector.
fn draw(key: u64, slice: usize, row: &mut [f64]) {
    let pairs = row.len().div_ceil(2);
    let first = (slice * pairs) as u64;
    for (pair, entries) in row.chunks_mut(2).enumerate() {
        let place = 2 * (first + pair as u64);
        let radius = (-2.0 * (1.0 - uniform(key, place)).ln()).sqrt();
        let angle = TAU * uniform(key, place + 1);
        for (entry, normal) in entries.iter_mut().zip([angle.cos(), angle.sin()]) {
            *entry = radius * normal;
        }
    }
    let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
    row.iter_mut().for_each(|x| *x /= norm);
}

/// In [0, 1).
fn uniform(key: u64, place: u64) -> f64 {
    let bits = mixed(key.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// The step of splitmix64 (Steele, Lea and Flood, 2014).
fn mixed(state: u64) -> u64 {
    let mut bits = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn slices(seed: u64, step: u64, count: usize, dim: usize) -> Vec<f64> {
        let like = Tensor::<2>::zeros([1, dim], &Device::default());
        let drawn = drawn(seed, step, count, &like);
        assert_eq!(drawn.dims(), [dim, count]);
        drawn.transpose().into_data().iter::<f64>().collect()
    }

    /// splitmix64 as published: what the seed 0 gives first.
    #[test]
    fn the_generator_is_splitmix64() {
        assert_eq!(mixed(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mixed(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn a_step_has_its_own_slices_and_keeps_them() {
        for dim in [1, 5, 8] {
            let step = slices(3, 7, 12, dim);
            assert_eq!(slices(3, 7, 12, dim), step);
            assert_eq!(slices(3, 7, 4, dim), step[..4 * dim]);
            if dim > 1 {
                assert_ne!(slices(3, 8, 12, dim), step);
                assert_ne!(slices(4, 7, 12, dim), step);
            }
        }
    }

    /// Unit vectors that prefer no direction: the mean of k of them is about 1 / sqrt(k) long, and their
    /// second moments are those of the sphere, 1/d on the diagonal with a deviation of sqrt(2 (d - 1) / (d + 2) / k) / d, and
    /// 0 beside it with one of 1 / sqrt(d (d + 2) k).
    #[test]
    fn slices_are_uniform_on_the_sphere() {
        let (dim, count) = (5, 20_000);
        let drawn = slices(1, 0, count, dim);
        let mut mean = vec![0.0; dim];
        let mut moments = vec![0.0; dim * dim];
        for slice in drawn.chunks_exact(dim) {
            let norm = slice.iter().map(|x| x * x).sum::<f64>();
            assert!((norm - 1.0).abs() < 1e-6, "{norm}");
            for i in 0..dim {
                mean[i] += slice[i] / count as f64;
                for j in 0..dim {
                    moments[i * dim + j] += slice[i] * slice[j] / count as f64;
                }
            }
        }
        let (d, k) = (dim as f64, count as f64);
        assert!(
            mean.iter().all(|m| m.abs() < 4.5 / (d * k).sqrt()),
            "{mean:?}"
        );
        for (place, moment) in moments.iter().enumerate() {
            let (expected, deviation) = match place / dim == place % dim {
                true => (1.0 / d, (2.0 * (d - 1.0) / ((d + 2.0) * k)).sqrt() / d),
                false => (0.0, (d * (d + 2.0) * k).sqrt().recip()),
            };
            assert!((moment - expected).abs() < 4.5 * deviation, "{moments:?}");
        }
    }
}
