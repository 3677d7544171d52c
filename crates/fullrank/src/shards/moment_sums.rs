//! Sums over the rows of a batch that add up over its shards.
//!
//! Of shards with `n` and `n'` rows and the column means `m` and `m'`, what is counted about the mean of the shard
//! becomes, about the mean of both (Chan, Golub and LeVeque, 1983),
//!
//! ```text
//! S + S' + n n' / (n + n') (m - m')^T (m - m')
//! ```
//!
//! which loses no digits where the means are far from zero.

use burn::tensor::{FloatDType, Tensor, TensorData};

use super::{Group, GroupError};
use crate::host::is_host;

/// The sums over the rows of one view or several.
#[derive(Clone, Debug)]
pub struct MomentSums {
    rows: usize,
    /// The column means of each view.
    means: Vec<Vec<f64>>,
    /// For each column of each view the sum of the squares about its mean.
    squares: Vec<Vec<f64>>,
    /// The products of the columns of two views about their means.
    products: Vec<Products>,
    /// What adds up as it is.
    sums: Vec<Sum>,
}

#[derive(Clone, Debug)]
struct Products {
    views: [usize; 2],
    /// Row-major, a row for each column of the first of the views.
    entries: Vec<f64>,
}

#[derive(Clone, Debug)]
struct Sum {
    shape: [usize; 2],
    entries: Vec<f64>,
}

impl MomentSums {
    /// With the means of these views, the squares about them, and the products of these pairs of views.
    pub(crate) fn of(views: &[Tensor<2>], products: &[[usize; 2]]) -> Self {
        let rows = views.first().map_or(0, |view| view.dims()[0]);
        let views: Vec<Tensor<2>> = views.iter().map(precise).collect();
        let means = views.iter().map(|view| view.clone().mean_dim(0));
        let means: Vec<Tensor<2>> = means.collect();
        let centred = views.into_iter().zip(&means);
        let centred: Vec<Tensor<2>> = centred.map(|(view, mean)| view - mean.clone()).collect();
        let products = products.iter().map(|&[a, b]| Products {
            views: [a, b],
            entries: numbers(centred[a].clone().transpose().matmul(centred[b].clone())),
        });
        Self {
            rows,
            products: products.collect(),
            squares: (centred.into_iter())
                .map(|view| numbers(view.square().sum_dim(0)))
                .collect(),
            means: means.into_iter().map(numbers).collect(),
            sums: Vec::new(),
        }
    }

    /// Of so many rows, nothing yet.
    pub(crate) fn of_rows(rows: usize) -> Self {
        Self {
            rows,
            ..Self::of(&[], &[])
        }
    }

    /// With a sum over the rows.
    #[must_use]
    pub(crate) fn with(mut self, sum: Tensor<2>) -> Self {
        let shape = sum.dims();
        let entries = numbers(sum);
        self.sums.push(Sum { shape, entries });
        self
    }

    pub(crate) fn of_nothing(mut self) -> Self {
        self.rows = 0;
        self.numbers_mut().for_each(|numbers| numbers.fill(0.0));
        self
    }

    pub(crate) fn bytes(&self) -> usize {
        let vectors = self.means.iter().chain(self.about_means());
        let numbers: usize = vectors.map(Vec::len).sum();
        8 * (1 + numbers)
    }

    /// How many rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The column means of a view, shape `[1, dim]`, beside `like`.
    pub(crate) fn mean(&self, view: usize, like: &Tensor<2>) -> Tensor<2> {
        row(&self.means[view], like)
    }

    /// The squares about the means, shape `[1, dim]`.
    pub(crate) fn squares(&self, view: usize, like: &Tensor<2>) -> Tensor<2> {
        row(&self.squares[view], like)
    }

    /// The products about the means, shape `[dim, dim]`, of the pair at this place.
    pub(crate) fn products(&self, place: usize, like: &Tensor<2>) -> Tensor<2> {
        let Products { views, entries } = &self.products[place];
        matrix(entries, views.map(|view| self.means[view].len()), like)
    }

    /// The squares about the means of a view.
    pub(crate) fn squares_entries(&self, view: usize) -> &[f64] {
        &self.squares[view]
    }

    /// The products at this place, row-major.
    pub(crate) fn products_entries(&self, place: usize) -> &[f64] {
        &self.products[place].entries
    }

    /// The sum at this place.
    pub(crate) fn sum(&self, place: usize, like: &Tensor<2>) -> Tensor<2> {
        let Sum { shape, entries } = &self.sums[place];
        matrix(entries, *shape, like)
    }

    /// The entries of the sum at this place.
    #[cfg(feature = "host-solver")]
    pub(crate) fn sum_entries(&self, place: usize) -> &[f64] {
        &self.sums[place].entries
    }

    /// Those of both shards.
    pub(crate) fn merge(mut self, other: Self) -> Result<Self, GroupError> {
        if !self.matches(&other) {
            return Err(GroupError::Mismatch);
        }
        if other.rows == 0 {
            return Ok(self);
        }
        let (ours, theirs) = (self.rows as f64, other.rows as f64);
        let rows = ours + theirs;
        self.rows += other.rows;
        let apart: Vec<Vec<f64>> = (self.means.iter().zip(&other.means))
            .map(|(ours, theirs)| difference(theirs, ours))
            .collect();
        self.spread(ours * theirs / rows, &apart);
        for (sum, more) in self.about_means_mut().zip(other.about_means()) {
            add(sum, more, 1.0);
        }
        for (mean, apart) in self.means.iter_mut().zip(&apart) {
            add(mean, apart, theirs / rows);
        }
        Ok(self)
    }

    /// Those of the shards of all workers.
    pub(crate) fn exchange(mut self, group: &dyn Group) -> Result<Self, GroupError> {
        let own_rows = self.rows as f64;
        let mut head = vec![own_rows];
        head.extend(self.means.iter().flatten().map(|mean| own_rows * mean));
        let shape = [head.len()];
        let summed = group.all_sum(vec![TensorData::new(head, shape)])?;
        let mut summed = summed[0].iter::<f64>();
        let rows = summed.next().expect("the rows come first");
        let of_view = |own: &Vec<f64>| {
            summed
                .by_ref()
                .take(own.len())
                .map(|sum| sum / rows)
                .collect()
        };
        let means: Vec<Vec<f64>> = self.means.iter().map(of_view).collect();
        // About the mean of the whole batch, the sums of the shards add up.
        let apart: Vec<Vec<f64>> = (self.means.iter().zip(&means))
            .map(|(ours, whole)| difference(whole, ours))
            .collect();
        self.spread(own_rows, &apart);
        let own = self
            .about_means()
            .map(|sum| TensorData::new(sum.clone(), [sum.len()]));
        let summed = group.all_sum(own.collect())?;
        for (sum, summed) in self.about_means_mut().zip(summed) {
            *sum = summed.iter::<f64>().collect();
        }
        self.rows = rows as usize;
        self.means = means;
        Ok(self)
    }

    /// Adds `weight` times the products of vectors, one a view, to the squares and products.
    fn spread(&mut self, weight: f64, apart: &[Vec<f64>]) {
        for (squares, apart) in self.squares.iter_mut().zip(apart) {
            for (square, apart) in squares.iter_mut().zip(apart) {
                *square += weight * apart * apart;
            }
        }
        for Products {
            views: [a, b],
            entries,
        } in &mut self.products
        {
            let (a, b) = (&apart[*a], &apart[*b]);
            for (row, a) in entries.chunks_exact_mut(b.len()).zip(a) {
                add(row, b, weight * a);
            }
        }
    }

    /// Everything but the means.
    fn about_means(&self) -> impl Iterator<Item = &Vec<f64>> {
        let products = self.products.iter().map(|products| &products.entries);
        let sums = self.sums.iter().map(|sum| &sum.entries);
        self.squares.iter().chain(products).chain(sums)
    }

    fn about_means_mut(&mut self) -> impl Iterator<Item = &mut Vec<f64>> {
        let products = self
            .products
            .iter_mut()
            .map(|products| &mut products.entries);
        let sums = self.sums.iter_mut().map(|sum| &mut sum.entries);
        self.squares.iter_mut().chain(products).chain(sums)
    }

    fn numbers_mut(&mut self) -> impl Iterator<Item = &mut Vec<f64>> {
        let products = self
            .products
            .iter_mut()
            .map(|products| &mut products.entries);
        let sums = self.sums.iter_mut().map(|sum| &mut sum.entries);
        let squares = self.squares.iter_mut();
        self.means
            .iter_mut()
            .chain(squares)
            .chain(products)
            .chain(sums)
    }

    fn matches(&self, other: &Self) -> bool {
        let lengths = |sums: &Self| {
            let vectors = sums.means.iter().chain(sums.about_means());
            vectors.map(Vec::len).collect::<Vec<_>>()
        };
        lengths(self) == lengths(other)
    }
}

/// In f64 where the host computes it.
pub(crate) fn precise(matrix: &Tensor<2>) -> Tensor<2> {
    match is_host(&matrix.device()) {
        true => matrix.clone().cast(FloatDType::F64),
        false => matrix.clone(),
    }
}

fn numbers(tensor: Tensor<2>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn row(entries: &[f64], like: &Tensor<2>) -> Tensor<2> {
    matrix(entries, [1, entries.len()], like)
}

fn matrix(entries: &[f64], shape: [usize; 2], like: &Tensor<2>) -> Tensor<2> {
    let data = TensorData::new(entries.to_vec(), shape);
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Adds `factor` times the second to the first.
fn add(sum: &mut [f64], more: &[f64], factor: f64) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += factor * more;
    }
}
