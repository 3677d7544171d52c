//! Rows in two dimensions.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par, Side};

/// Rows in the plane of the two directions in which they vary most.
pub(crate) struct Projection {
    /// One point for each row.
    pub(crate) points: Vec<(f64, f64)>,
    /// The share of the variance in each of the two directions; NaN if there is no variance.
    pub(crate) shares: [f64; 2],
}

/// The first two principal components of `rows`.
///
/// From the eigenvectors of the smaller of the two matrices of inner products, in f64. The sign of
/// each component is such that the coordinate of greatest magnitude is positive.
pub(crate) fn principal_components(rows: &[Vec<f64>]) -> Projection {
    let (count, dims) = (rows.len(), rows.first().map_or(0, Vec::len));
    let mean: Vec<f64> = (0..dims)
        .map(|j| rows.iter().map(|row| row[j]).sum::<f64>() / count as f64)
        .collect();
    let centred = Mat::from_fn(count, dims, |i, j| rows[i][j] - mean[j]);
    let side = count.min(dims);
    let mut gram = Mat::<f64>::zeros(side, side);
    let (left, right) = match dims <= count {
        true => (centred.transpose(), centred.as_ref()),
        false => (centred.as_ref(), centred.transpose()),
    };
    matmul(gram.as_mut(), Accum::Replace, left, right, 1.0, Par::Seq);
    let none = Projection {
        points: vec![(0.0, 0.0); count],
        shares: [f64::NAN; 2],
    };
    let total: f64 = (0..side).map(|i| gram[(i, i)]).sum();
    let Ok(decomposition) = gram.self_adjoint_eigen(Side::Lower) else {
        return none;
    };
    if total <= 0.0 {
        return none;
    }
    // The eigenvalues ascend.
    let component = |from_last: usize| -> (f64, Vec<f64>) {
        let Some(index) = side.checked_sub(from_last) else {
            return (0.0, vec![0.0; count]);
        };
        let value = decomposition.S()[index].max(0.0);
        let vector = decomposition.U().col(index);
        let mut coordinates: Vec<f64> = match dims <= count {
            true => (0..count)
                .map(|i| (0..dims).map(|j| centred[(i, j)] * vector[j]).sum())
                .collect(),
            false => (0..count).map(|i| vector[i] * value.sqrt()).collect(),
        };
        let greatest = coordinates
            .iter()
            .copied()
            .fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        if greatest < 0.0 {
            coordinates.iter_mut().for_each(|x| *x = -*x);
        }
        (value / total, coordinates)
    };
    let ((first, x), (second, y)) = (component(1), component(2));
    Projection {
        points: x.into_iter().zip(y).collect(),
        shares: [first, second],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on an ellipse in a plane of five dimensions have its axes as components.
    #[test]
    fn an_ellipse_is_found() {
        let (p, q) = ([0.6, 0.0, 0.8, 0.0, 0.0], [0.0, 0.6, 0.0, -0.8, 0.0]);
        let rows = |count: u32| -> Vec<Vec<f64>> {
            (0..count)
                .map(|i| {
                    let angle = f64::from(i) * std::f64::consts::TAU / f64::from(count);
                    let (x, y) = (3.0 * angle.cos(), angle.sin());
                    (0..5).map(|j| 7.0 + x * p[j] + y * q[j]).collect()
                })
                .collect()
        };
        // More rows than dimensions, and fewer.
        for count in [40, 4] {
            let found = principal_components(&rows(count));
            approx::assert_relative_eq!(found.shares[0], 0.9, max_relative = 1e-9);
            approx::assert_relative_eq!(found.shares[1], 0.1, max_relative = 1e-9);
            for (x, y) in found.points {
                approx::assert_abs_diff_eq!((x / 3.0).powi(2) + y * y, 1.0, epsilon = 1e-9);
            }
        }
    }

    #[test]
    fn equal_rows_and_single_dimensions_have_points_too() {
        let same = principal_components(&vec![vec![1.0, 2.0, 3.0]; 4]);
        assert_eq!(same.points, vec![(0.0, 0.0); 4]);
        let line = principal_components(&[vec![1.0], vec![3.0]]);
        assert_eq!(line.points, vec![(1.0, 0.0), (-1.0, 0.0)]);
    }
}
