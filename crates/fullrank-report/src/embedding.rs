//! An embedding matrix as it is given to a report.

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::tensor::Tensor;
use fullrank::diagnostics::{Diagnostics, Thresholds, readable};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use crate::plots::{Correlations, Scatter, ScatterClass};
use crate::projection::{Projection, principal_components};
use crate::{Error, SEED};

/// Points of a projection.
const POINTS: usize = 1500;
/// Rows that correlations are taken over.
const CORRELATED: usize = 10_000;
/// Dimensions of a picture of correlations.
const CELLS: usize = 128;

/// An embedding matrix, one row for each sample, with its labels if it has them.
#[derive(Clone, Debug)]
pub struct Embedding<'a> {
    pub(crate) name: String,
    pub(crate) rows: Cow<'a, [f32]>,
    pub(crate) dims: usize,
    pub(crate) diagnostics: Option<Diagnostics>,
    pub(crate) thresholds: Thresholds,
    labels: Option<Labels>,
}

#[derive(Clone, Debug)]
struct Labels {
    of_rows: Vec<usize>,
    classes: Vec<String>,
}

impl<'a> Embedding<'a> {
    /// The matrix of `dims` columns whose rows follow one another in `rows`. `name` says whose it
    /// is: a method, a file, an epoch.
    pub fn new(name: impl Into<String>, rows: impl Into<Cow<'a, [f32]>>, dims: usize) -> Self {
        Self {
            name: name.into(),
            rows: rows.into(),
            dims,
            diagnostics: None,
            thresholds: Thresholds::default(),
            labels: None,
        }
    }

    /// The matrix of a tensor of shape `[rows, dims]`, read from its device.
    pub fn from_tensor(name: impl Into<String>, rows: &Tensor<2>) -> Self {
        let [_, dims] = rows.dims();
        let values: Vec<f32> = rows.clone().without_autodiff().into_data().iter().collect();
        Self::new(name, values, dims)
    }

    /// Gives each row its class, an index into `classes`; an index beyond is named by its number.
    pub fn with_labels(self, labels: &[usize], classes: &[String]) -> Self {
        let most = labels.iter().max().map_or(0, |&label| label + 1);
        let named = classes.iter().cloned();
        let numbered = (classes.len()..most).map(|label| format!("class {label}"));
        Self {
            labels: Some(Labels {
                of_rows: labels.to_vec(),
                classes: named.chain(numbered).collect(),
            }),
            ..self
        }
    }

    /// Gives each row a label that is a number and nothing more.
    pub fn with_numbered_labels(self, labels: &[i64]) -> Self {
        let mut places: BTreeMap<i64, usize> = labels.iter().map(|&label| (label, 0)).collect();
        for (place, (_, value)) in places.iter_mut().enumerate() {
            *value = place;
        }
        let classes: Vec<String> = places
            .keys()
            .map(|label| format!("class {label}"))
            .collect();
        let of_rows = labels.iter().map(|label| places[label]).collect();
        Self {
            labels: Some(Labels { of_rows, classes }),
            ..self
        }
    }

    /// Takes the figures as they were computed elsewhere, say over more rows than are given here:
    /// the pictures of correlations and points are of these rows, all else is of `diagnostics`.
    pub fn with_diagnostics(self, diagnostics: Diagnostics) -> Self {
        Self {
            diagnostics: Some(diagnostics),
            ..self
        }
    }

    /// Judges it by these thresholds instead of the default ones.
    pub fn with_thresholds(self, thresholds: Thresholds) -> Self {
        Self { thresholds, ..self }
    }

    /// The class of each row as a number.
    pub(crate) fn label_numbers(&self) -> Option<Vec<i64>> {
        let labels = self.labels.as_ref()?;
        Some(labels.of_rows.iter().map(|&label| label as i64).collect())
    }

    /// Whose it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rows, one after another.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    pub(crate) fn count(&self) -> usize {
        self.rows.len().checked_div(self.dims).unwrap_or(0)
    }

    /// The rows that the figures are of.
    fn total(&self) -> usize {
        let diagnosed = self.diagnostics.as_ref();
        diagnosed.map_or(self.count(), |diagnostics| diagnostics.rows)
    }

    fn row(&self, index: usize) -> &[f32] {
        &self.rows[index * self.dims..][..self.dims]
    }

    /// Refuses what no figure can be made of.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let name = || self.name.clone();
        if self.dims == 0 || !self.rows.len().is_multiple_of(self.dims) {
            return Err(Error::Shape {
                name: name(),
                values: self.rows.len(),
                dims: self.dims,
            });
        }
        if self.count() < 2 {
            return Err(Error::TooFewRows {
                name: name(),
                rows: self.count(),
            });
        }
        if let Some(index) = self.rows.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite {
                name: name(),
                value: self.rows[index],
                row: index / self.dims,
                column: index % self.dims,
            });
        }
        match &self.labels {
            Some(labels) if labels.of_rows.len() != self.count() => Err(Error::Labels {
                name: name(),
                labels: labels.of_rows.len(),
                rows: self.count(),
            }),
            _ => Ok(()),
        }
    }

    /// At most `most` rows, drawn with a fixed seed, in their order.
    fn sample(&self, most: usize) -> Vec<usize> {
        let count = self.count();
        if count <= most {
            return (0..count).collect();
        }
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut chosen = index::sample(&mut random, count, most).into_vec();
        chosen.sort_unstable();
        chosen
    }

    /// The correlations of at most [`CELLS`] dimensions, evenly spaced, over at most
    /// [`CORRELATED`] rows, and a sentence that says so.
    pub(crate) fn correlations(&self) -> (Correlations, String) {
        let side = self.dims.min(CELLS);
        let dimensions: Vec<usize> = (0..side).map(|cell| cell * self.dims / side).collect();
        let rows = self.sample(CORRELATED);
        let columns: Vec<Option<Vec<f64>>> = dimensions
            .iter()
            .map(|&j| standardized(rows.iter().map(|&i| f64::from(self.row(i)[j]))))
            .collect();
        let values = columns
            .iter()
            .flat_map(|a| {
                columns
                    .iter()
                    .map(move |b| correlation(a.as_deref(), b.as_deref()))
            })
            .collect();
        let mut words = match side < self.dims {
            true => format!("{side} of {} dimensions, evenly spaced", self.dims),
            false => format!("all {side} dimensions"),
        };
        if rows.len() < self.total() {
            words += &format!("; {} of {} rows", rows.len(), self.total());
        }
        let correlations = Correlations {
            values,
            side,
            axis_label: match side < self.dims {
                true => format!("dimension ({side} of {})", self.dims),
                false => "dimension".into(),
            },
            ends: (0, dimensions.last().copied().unwrap_or(0)),
        };
        (correlations, words)
    }

    /// At most [`POINTS`] rows in the plane, by class, and a sentence that says what was drawn: for
    /// one or two dimensions the rows themselves, else the first two principal components of the
    /// unit rows.
    pub(crate) fn projection(&self) -> (Scatter, String) {
        let chosen = self.sample(POINTS);
        let drawn = match chosen.len() < self.total() {
            true => format!("{} of {} rows, drawn at random", chosen.len(), self.total()),
            false => format!("all {} rows", chosen.len()),
        };
        let (points, labels, circle, words);
        if self.dims <= 2 {
            let coordinate = |i: usize, j: usize| self.row(i).get(j).map_or(0.0, |&x| f64::from(x));
            points = chosen
                .iter()
                .map(|&i| (coordinate(i, 0), coordinate(i, 1)))
                .collect();
            labels = match self.dims {
                1 => ["the only dimension".to_string(), "nothing".into()],
                _ => ["dimension 0".to_string(), "dimension 1".into()],
            };
            circle = (1.0, "unit circle".to_string());
            words = format!("{drawn}, as they are");
        } else {
            let unit: Vec<Vec<f64>> = chosen.iter().map(|&i| unit(self.row(i))).collect();
            let variance = variance(&unit);
            let Projection {
                points: found,
                shares,
            } = principal_components(&unit);
            points = found;
            labels = [1, 2].map(|k| match shares[k - 1].is_nan() {
                true => format!("principal component {k} (no variance)"),
                false => format!(
                    "principal component {k} ({:.1} % of the variance)",
                    100.0 * shares[k - 1]
                ),
            });
            let radius = 2.0 / (self.dims as f64).sqrt();
            circle = (
                radius,
                "2/√d: two standard deviations of random rows".to_string(),
            );
            words = format!(
                "{drawn}; their variance is {} of at most 1",
                readable(variance)
            );
        }
        let [x_label, y_label] = labels;
        let scatter = Scatter {
            x_label,
            y_label,
            classes: self.by_class(&chosen, points),
            circle: Some(circle),
        };
        (scatter, words)
    }

    /// The least half side of the picture of a projection.
    pub(crate) fn least_extent(&self) -> f64 {
        (4.0 / (self.dims as f64).sqrt()).min(1.0)
    }

    /// The points of each class, in the order of the classes; if these are more than can be told
    /// apart, the most frequent first.
    fn by_class(&self, rows: &[usize], points: Vec<(f64, f64)>) -> Vec<ScatterClass> {
        let Some(labels) = &self.labels else {
            return vec![ScatterClass {
                name: "rows".into(),
                points,
            }];
        };
        let mut classes: Vec<ScatterClass> = labels
            .classes
            .iter()
            .map(|name| ScatterClass {
                name: name.clone(),
                points: vec![],
            })
            .collect();
        for (&row, point) in rows.iter().zip(points) {
            classes[labels.of_rows[row]].points.push(point);
        }
        classes.retain(|class| !class.points.is_empty());
        if classes.len() > Scatter::CLASSES {
            classes.sort_by_key(|class| std::cmp::Reverse(class.points.len()));
        }
        classes
    }
}

/// `values` minus their mean, of length one; none if they do not vary.
fn standardized(values: impl Iterator<Item = f64>) -> Option<Vec<f64>> {
    let values: Vec<f64> = values.collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let centred: Vec<f64> = values.iter().map(|value| value - mean).collect();
    let norm = dot(&centred, &centred).sqrt();
    let magnitude = dot(&values, &values).sqrt();
    (norm > 1e-12 * magnitude).then(|| centred.iter().map(|value| value / norm).collect())
}

fn correlation(a: Option<&[f64]>, b: Option<&[f64]>) -> f64 {
    a.zip(b).map_or(f64::NAN, |(a, b)| dot(a, b))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A row divided by its length; a row of zeros stays one.
fn unit(row: &[f32]) -> Vec<f64> {
    let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
    let norm = dot(&row, &row).sqrt().max(f64::MIN_POSITIVE);
    row.iter().map(|x| x / norm).collect()
}

/// The mean squared distance of the rows from their mean.
fn variance(rows: &[Vec<f64>]) -> f64 {
    let count = rows.len() as f64;
    let squares: f64 = rows.iter().map(|row| dot(row, row)).sum();
    let mean: Vec<f64> = (0..rows[0].len())
        .map(|j| rows.iter().map(|row| row[j]).sum::<f64>() / count)
        .collect();
    (squares / count - dot(&mean, &mean)).max(0.0)
}
