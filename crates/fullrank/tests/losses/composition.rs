//! Sums and attachments with a user's own regularizer: value and gradient are those of its formula.

use burn::tensor::{DType, Device, Tensor};
use fullrank::{
    Activations, LayerRegularizersConfig, MapRows, Regularizer, RegularizerConfig, RegularizerSum,
    Surrogate, SvMaxConfig, Terms, VarianceConfig,
};

use crate::matrices::{Matrix, f64_device, number};

/// How a user may write a regularizer: here always the sum of the squares of the entries, whose gradient
/// is twice the entries.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// What the trait asks for and nothing more.
    ForwardAlone,
    /// With a gradient by its formula, in whatever graph the embeddings are.
    Coefficients,
    /// Its evaluation leaves the gradient out.
    ValueAlone,
}

#[derive(Debug)]
struct ForwardAlone;

#[derive(Debug)]
struct Whole(Way);

fn energy(embeddings: Tensor<2>) -> Tensor<1> {
    embeddings.square().sum()
}

impl Regularizer for ForwardAlone {
    fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
        energy(embeddings)
    }
}

impl Regularizer for Whole {
    fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
        energy(embeddings)
    }

    fn forward_terms(&self, embeddings: Tensor<2>) -> Terms {
        let energy = energy(embeddings);
        Terms::new(energy.clone()).with("energy", energy)
    }

    fn evaluate(&self, embeddings: Tensor<2>) -> Surrogate<1> {
        Surrogate {
            value: energy(embeddings.clone()),
            coefficients: (self.0 == Way::Coefficients).then(|| [embeddings * 2.0]),
        }
    }
}

fn own(way: Way) -> Box<dyn Regularizer> {
    match way {
        Way::ForwardAlone => Box::new(ForwardAlone),
        _ => Box::new(Whole(way)),
    }
}

const WAYS: [Way; 3] = [Way::ForwardAlone, Way::Coefficients, Way::ValueAlone];

fn gradient(e: &Matrix, dtype: DType, loss: impl FnOnce(Tensor<2>) -> Tensor<1>) -> Matrix {
    let leaf = e
        .tensor(&Device::default().autodiff(), dtype)
        .require_grad();
    let gradients = loss(leaf.clone()).backward();
    Matrix::from(leaf.grad(&gradients).unwrap())
}

fn assert_close(ours: &Matrix, expected: &Matrix, what: &str) {
    let error = ours.clone().zip(expected, |x, y| x - y).norm();
    assert!(
        error <= 1e-6 * expected.norm(),
        "{what}: {error:e} of {}",
        expected.norm()
    );
}

#[test]
fn sums_have_the_gradient_of_a_users_own_regularizer() {
    let e = Matrix::normal(12, 5, 3);
    let twice = e.clone().map(|x| 2.0 * x);
    let svmax = SvMaxConfig::new().with_weight(0.7).init();
    let variance = VarianceConfig::new().init();
    let expected = [
        gradient(&e, DType::F32, |e| svmax.forward(e)),
        gradient(&e, DType::F32, |e| variance.forward(e)),
        twice.clone(),
        twice,
    ]
    .into_iter()
    .reduce(|sum, part| sum.zip(&part, |x, y| x + y))
    .unwrap();
    for way in WAYS {
        // Twice at two depths, beside losses of the crate.
        let inner = RegularizerSum::new(vec![
            ("own".to_owned(), own(way)),
            ("variance".to_owned(), Box::new(variance.clone()) as _),
        ]);
        let sum = RegularizerSum::new(vec![
            ("own".to_owned(), own(way)),
            ("svmax".to_owned(), Box::new(svmax.clone()) as _),
            ("inner".to_owned(), Box::new(inner) as _),
        ]);
        let plain = e.tensor(&Device::default(), DType::F32);
        let value = number(svmax.forward(plain.clone()))
            + number(variance.forward(plain.clone()))
            + 2.0 * e.norm().powi(2);
        approx::assert_relative_eq!(
            number(sum.forward(plain.clone())),
            value,
            max_relative = 1e-5
        );

        let what = |how: &str| format!("{way:?} by {how}");
        assert_close(
            &gradient(&e, DType::F32, |e| sum.forward(e)),
            &expected,
            &what("forward"),
        );
        assert_close(
            &gradient(&e, DType::F32, |e| sum.forward_terms(e).total),
            &expected,
            &what("forward_terms"),
        );
        let plain = e.tensor(&Device::default(), DType::F32);
        let evaluation = sum.evaluate(plain);
        approx::assert_relative_eq!(number(evaluation.value.clone()), value, max_relative = 1e-5);
        assert_close(
            &gradient(&e, DType::F32, |e| evaluation.attach([e])),
            &expected,
            &what("evaluate and attach"),
        );
        // Evaluated on the graph that it is attached to.
        assert_close(
            &gradient(&e, DType::F32, |e| sum.evaluate(e.clone()).attach([e])),
            &expected,
            &what("evaluate on the graph"),
        );
    }
}

/// An evaluation that was made on a graph is attached as the numbers it holds.
#[test]
fn attach_detaches() {
    let e = Matrix::normal(6, 4, 5);
    let twice = e.clone().map(|x| 2.0 * x);
    let ours = gradient(&e, DType::F32, |e| {
        Whole(Way::Coefficients).evaluate(e.clone()).attach([e])
    });
    assert_close(&ours, &twice, "on the graph");
    // Without coefficients the value is a constant.
    let leaf = e
        .tensor(&Device::default().autodiff(), DType::F32)
        .require_grad();
    let constant = Whole(Way::ValueAlone)
        .evaluate(leaf.clone())
        .attach([leaf.clone()]);
    let gradients = (constant + leaf.clone().sum()).backward();
    let ones = Matrix::from_fn(6, 4, |_, _| 1.0);
    assert_close(
        &Matrix::from(leaf.grad(&gradients).unwrap()),
        &ones,
        "constant",
    );
}

/// A regularizer that does not depend on the embeddings has no gradient, and no one is missed.
#[test]
fn a_constant_regularizer() {
    #[derive(Debug)]
    struct Constant;

    impl Regularizer for Constant {
        fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
            Tensor::ones([1], &embeddings.device())
        }
    }

    let e = Matrix::normal(6, 4, 7);
    let svmax = SvMaxConfig::new().init();
    let sum = RegularizerSum::new(vec![
        ("one".to_owned(), Box::new(Constant) as Box<dyn Regularizer>),
        ("svmax".to_owned(), Box::new(svmax.clone()) as _),
    ]);
    let expected = gradient(&e, DType::F32, |e| svmax.forward(e));
    assert_close(
        &gradient(&e, DType::F32, |e| sum.forward(e)),
        &expected,
        "forward",
    );
    let evaluation = sum.evaluate(e.tensor(&Device::default(), DType::F32));
    assert_close(
        &gradient(&e, DType::F32, |e| evaluation.attach([e])),
        &expected,
        "evaluate",
    );
}

/// Half precision is raised before it meets a regularizer of either kind.
#[test]
fn sums_in_half_precision() {
    let e = Matrix::normal(12, 5, 3);
    let device = f64_device();
    if !device.supports_dtype(DType::BF16) {
        return;
    }
    let half = e.tensor(&device, DType::F32).cast(DType::BF16);
    for way in WAYS {
        let sum = RegularizerSum::new(vec![
            ("own".to_owned(), own(way)),
            (
                "variance".to_owned(),
                Box::new(VarianceConfig::new().init()) as _,
            ),
        ]);
        let raised = half.clone().cast(DType::F32);
        let value = number(sum.forward(raised.clone()));
        assert_eq!(number(sum.forward(half.clone())), value, "{way:?}");
        assert_eq!(number(sum.forward_terms(half.clone()).total), value);
        let [ours] = sum.evaluate(half.clone()).coefficients.unwrap();
        let [expected] = sum.evaluate(raised).coefficients.unwrap();
        assert_eq!(Matrix::from(ours).entries, Matrix::from(expected).entries);
    }
}

/// The second of a name has another, which none of the others has.
#[test]
fn names_of_a_sum() {
    let variance = VarianceConfig::new().init();
    let sum = RegularizerSum::new(["a", "a", "a-2", "a"].map(|name| (name, variance.clone())));
    let e = Matrix::normal(6, 4, 7).tensor(&Device::default(), DType::F32);
    let terms = sum.forward_terms(e);
    let names: Vec<&str> = terms.iter().map(|(name, _)| name).collect();
    let expected = ["a.variance", "a-3.variance", "a-2.variance", "a-4.variance"];
    assert_eq!(names, expected);
    assert_eq!(sum.term_names(), expected);
}

fn whole() -> Surrogate<1> {
    let e = Matrix::normal(24, 10, 1).tensor(&Device::default(), DType::F32);
    SvMaxConfig::new().init().evaluate(e)
}

#[test]
#[should_panic(expected = "the rows 20..28 are not in a batch of 24")]
fn rows_beyond_the_end() {
    whole().rows(20..28);
}

#[test]
#[should_panic(expected = "the rows 25..25 are not in a batch of 24")]
fn rows_that_begin_beyond_the_end() {
    whole().rows(25..25);
}

/// Each layer's own regularizer, in one loss: value and gradients are the sums of theirs, a negative weight turns the
/// gradient about.
#[test]
fn regularizers_of_layers() {
    let device = Device::default().autodiff();
    let layers = [Matrix::normal(12, 5, 51), Matrix::normal(12, 8, 52)];
    let leaves = layers
        .each_ref()
        .map(|layer| layer.tensor(&device, DType::F32).require_grad());
    let svmax = SvMaxConfig::new().with_weight(-0.4);
    let variance = VarianceConfig::new().with_weight(2.0);
    let config = LayerRegularizersConfig::new([
        ("first", RegularizerConfig::SvMax(svmax.clone())),
        ("second", RegularizerConfig::Variance(variance.clone())),
    ]);
    let mut activations = Activations::new();
    activations.push("first", leaves[0].clone());
    activations.push("unregularized", leaves[0].clone() * 3.0);
    activations.push("second", leaves[1].clone());
    let regularizers = config.init();
    let terms = regularizers.forward(&activations);
    let names: Vec<String> = terms.iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, regularizers.term_names());
    assert_eq!(names[0], "first.mean_singular_value");

    let gradients = terms.total.backward();
    let plain = |layer: usize| layers[layer].tensor(&Device::default(), DType::F32);
    let alone = [
        svmax.init().evaluate(plain(0)),
        variance.init().evaluate(plain(1)),
    ];
    let sum: f64 = alone.iter().map(|layer| number(layer.value.clone())).sum();
    approx::assert_relative_eq!(
        number(terms.total.without_autodiff()),
        sum,
        max_relative = 1e-6
    );
    for (leaf, alone) in leaves.iter().zip(alone) {
        let [expected] = alone.coefficients.unwrap();
        let gradient = Matrix::from(leaf.grad(&gradients).unwrap());
        assert_eq!(gradient.entries, Matrix::from(expected).entries);
    }
    let positive = svmax
        .with_weight(0.4)
        .init()
        .evaluate(plain(0))
        .coefficients
        .unwrap();
    let turned = Matrix::from(leaves[0].grad(&gradients).unwrap());
    approx::assert_relative_eq!(
        turned.cosine(&Matrix::from(positive[0].clone())),
        -1.0,
        max_relative = 1e-6
    );
}

#[test]
fn rows_of_a_convolutional_map() {
    let device = Device::default();
    // Image 0 has channels [0 1 2 3] and [4 5 6 7], image 1 ten times these.
    let map = Tensor::<4>::from_floats(
        [
            [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0], [6.0, 7.0]]],
            [[[0.0, 10.0], [20.0, 30.0]], [[40.0, 50.0], [60.0, 70.0]]],
        ],
        &device,
    );
    let mut activations = Activations::new();
    activations.push_map("pooled", map.clone(), MapRows::Pooled);
    activations.push_map("positions", map, MapRows::Positions);
    let entries = |layer: &str| Matrix::from(activations.get(layer).unwrap().clone()).entries;
    assert_eq!(entries("pooled"), [1.5, 5.5, 15.0, 55.0]);
    let first = [0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0];
    let second = first.map(|x| 10.0 * x);
    assert_eq!(entries("positions"), [first, second].concat());
}

#[test]
#[should_panic(expected = "there are no activations of a layer fc3, only of: fc1, fc2")]
fn a_layer_without_activations() {
    let mut activations = Activations::new();
    for layer in ["fc1", "fc2"] {
        activations.push(layer, Tensor::ones([4, 3], &Device::default()));
    }
    let svmax = RegularizerConfig::SvMax(SvMaxConfig::new());
    LayerRegularizersConfig::new([("fc3", svmax)])
        .init()
        .forward(&activations);
}

#[test]
fn a_layer_with_a_bad_hyper_parameter_is_named() {
    let config: LayerRegularizersConfig =
        serde_json::from_str(r#"{"fc1": {"variance": {"margin": -1.0}}}"#).unwrap();
    let error = config.check().unwrap_err().to_string();
    assert!(error.starts_with("fc1: variance: the margin"), "{error}");
    let none = LayerRegularizersConfig::default()
        .check()
        .unwrap_err()
        .to_string();
    assert!(none.contains("at least one layer"), "{none}");
}
