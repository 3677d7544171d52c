//! Losses from a configuration file, in a module, behind a pointer, and what they say of their terms.

use std::sync::Arc;

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{DType, Device};
use fullrank::{
    AnyRegularizer, AnyTwoViewLoss, BarlowTwinsLossConfig, CovarianceConfig,
    CovarianceToIdentityConfig, LeJepaLossConfig, MmcrLossConfig, NtXentLossConfig, Regularizer,
    RegularizerConfig, SigRegConfig, Solver, SvMaxConfig, SvMaxForm, Terms, TwoViewLoss,
    TwoViewLossConfig, VarianceConfig, VarianceCovarianceConfig, VicRegLossConfig,
};

use crate::matrices::{Matrix, number};

fn regularizer(json: &str) -> Result<RegularizerConfig, serde_json::Error> {
    serde_json::from_str(json)
}

fn every_regularizer() -> Vec<RegularizerConfig> {
    vec![
        RegularizerConfig::SvMax(SvMaxConfig::new()),
        RegularizerConfig::Variance(VarianceConfig::new()),
        RegularizerConfig::Covariance(CovarianceConfig::new()),
        RegularizerConfig::VarianceCovariance(VarianceCovarianceConfig::new()),
        RegularizerConfig::CovarianceToIdentity(CovarianceToIdentityConfig::new()),
        RegularizerConfig::SigReg(SigRegConfig::new()),
        RegularizerConfig::Sum(vec![
            RegularizerConfig::SvMax(SvMaxConfig::new()),
            RegularizerConfig::Sum(vec![RegularizerConfig::Variance(VarianceConfig::new())]),
        ]),
    ]
}

fn every_two_view_loss() -> Vec<TwoViewLossConfig> {
    vec![
        TwoViewLossConfig::VicReg(VicRegLossConfig::new()),
        TwoViewLossConfig::BarlowTwins(BarlowTwinsLossConfig::new()),
        TwoViewLossConfig::NtXent(NtXentLossConfig::new()),
        TwoViewLossConfig::Mmcr(MmcrLossConfig::new()),
        TwoViewLossConfig::LeJepa(LeJepaLossConfig::new()),
    ]
}

#[test]
fn what_a_file_leaves_out_has_its_default() {
    let config = regularizer(r#"{"svmax": {"weight": 0.1}}"#).unwrap();
    assert_eq!(
        config,
        RegularizerConfig::SvMax(SvMaxConfig::new().with_weight(0.1))
    );
    let config = regularizer(r#"{"sum": [{"svmax": {}}, {"variance-covariance": {"margin": 2}}]}"#);
    let both = VarianceCovarianceConfig::new().with_margin(2.0);
    let expected = vec![
        RegularizerConfig::SvMax(SvMaxConfig::new()),
        RegularizerConfig::VarianceCovariance(both),
    ];
    assert_eq!(config.unwrap(), RegularizerConfig::Sum(expected));
    let config: TwoViewLossConfig = serde_json::from_str(r#"{"barlow-twins": {}}"#).unwrap();
    assert_eq!(
        config,
        TwoViewLossConfig::BarlowTwins(BarlowTwinsLossConfig::new())
    );
}

/// What each choice is called in a file is what it calls itself.
#[test]
fn names_in_files() {
    let name = |json: serde_json::Value| {
        let object = json.as_object().expect("an object").clone();
        object.keys().next().expect("one key").clone()
    };
    let regularizers = every_regularizer();
    let two_view_losses = every_two_view_loss();
    let names = (regularizers.iter())
        .map(|config| (config.name(), serde_json::to_value(config)))
        .chain(
            (two_view_losses.iter()).map(|config| (config.name(), serde_json::to_value(config))),
        );
    for (expected, json) in names {
        assert_eq!(name(json.unwrap()), expected);
    }
}

#[test]
fn unknown_names_are_errors_that_list_the_known() {
    let message = |json| regularizer(json).unwrap_err().to_string();
    let unknown = message(r#"{"svmax": {"wieght": 0.1}}"#);
    for part in [
        "`wieght`",
        "`weight`",
        "`form`",
        "`normalize`",
        "`solver`",
        "`norm_floor`",
    ] {
        assert!(unknown.contains(part), "{unknown}");
    }
    let unknown = message(r#"{"sv-max": {}}"#);
    for part in [
        "`sv-max`",
        "`svmax`",
        "`variance`",
        "`variance-covariance`",
        "`sum`",
    ] {
        assert!(unknown.contains(part), "{unknown}");
    }
}

/// What `check` returns names the hyper-parameter, its value and its place.
#[test]
fn check_finds_what_init_panics_with() {
    let of = |json: &str| regularizer(json).unwrap().check().unwrap_err().to_string();
    assert_eq!(
        of(r#"{"sum": [{"svmax": {}}, {"variance": {"margin": -1}}]}"#),
        "sum: variance: the margin of the variance term must be positive and finite, got -1"
    );
    assert_eq!(
        of(r#"{"sum": []}"#),
        "sum: a sum of regularizers needs at least one, got none"
    );
    let config = SvMaxConfig::new().with_norm_floor(-1.0);
    let error = config.check().unwrap_err().to_string();
    assert_eq!(
        error,
        "the norm floor of SVMax must be finite and not negative, got -1"
    );
    let panic = std::panic::catch_unwind(|| config.init()).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>(), Some(&error));
}

/// Burn's own `save` and `load`.
#[test]
fn a_configuration_is_one_of_burns() {
    let path = std::env::temp_dir().join(format!("fullrank-config-{}.json", std::process::id()));
    let config = SvMaxConfig::new().with_form(SvMaxForm::Normalized);
    config.save(&path).unwrap();
    let loaded = SvMaxConfig::load(&path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(loaded.unwrap(), config);
    assert!(
        config.to_string().contains("\"form\": \"normalized\""),
        "{config}"
    );
}

#[derive(Module, Debug)]
struct Model {
    layer: Linear,
    regularizer: AnyRegularizer,
    two_views: Option<AnyTwoViewLoss>,
}

/// A module with any loss in it clones, validates, trains and has no parameters of the loss.
#[test]
fn every_choice_lives_in_a_module() {
    let device = Device::default().autodiff();
    for regularizer in every_regularizer() {
        for two_views in every_two_view_loss() {
            let model = Model {
                layer: LinearConfig::new(6, 4).init(&device),
                regularizer: regularizer.init(),
                two_views: Some(two_views.init()),
            };
            assert_eq!(model.num_params(), 6 * 4 + 4);
            let before = model.layer.weight.val().into_data();
            let input = Matrix::normal(12, 6, 3).tensor(&device, DType::F32);
            let z = model.layer.forward(input);
            let two = model.two_views.as_ref().expect("given");
            let loss = model.regularizer.forward(z.clone()) + two.forward(z.clone(), z * 0.5);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            let trained =
                SgdConfig::new()
                    .init()
                    .step(0.1, model.clone().valid().train(), gradients);
            assert_eq!(
                trained.regularizer.term_names(),
                model.regularizer.term_names()
            );
            assert_ne!(
                trained.layer.weight.val().into_data(),
                before,
                "{regularizer:?}"
            );
        }
    }
}

fn names(terms: &Terms) -> Vec<String> {
    terms.iter().map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn terms_are_named_beforehand() {
    let view = Matrix::normal(12, 5, 4).tensor(&Device::default(), DType::F32);
    for config in every_regularizer() {
        let regularizer = config.init();
        let terms = regularizer.forward_terms(view.clone());
        assert_eq!(regularizer.term_names(), names(&terms));
        assert!(!regularizer.term_names().is_empty());
    }
    for config in every_two_view_loss() {
        let loss = config.init();
        assert_eq!(
            loss.term_names(),
            names(&loss.forward_terms(view.clone(), view.clone()))
        );
    }
}

/// In one transfer what reading them one by one gives.
#[test]
fn values_of_terms() {
    for dtype in [DType::F32, DType::F64] {
        let device = crate::matrices::f64_device();
        let view = Matrix::normal(12, 5, 4)
            .tensor(&device.autodiff(), dtype)
            .require_grad();
        let terms = VarianceCovarianceConfig::new().init().forward_terms(view);
        let values = terms.values();
        let expected = [
            ("total".to_owned(), number(terms.total.clone())),
            (
                "variance".to_owned(),
                number(terms.get("variance").unwrap().clone()),
            ),
            (
                "covariance".to_owned(),
                number(terms.get("covariance").unwrap().clone()),
            ),
        ];
        assert_eq!(values, expected);
    }
}

#[test]
fn pointers_to_losses_are_losses() {
    let view = Matrix::normal(12, 5, 4).tensor(&Device::default(), DType::F32);
    let svmax = SvMaxConfig::new().init();
    let expected = number(svmax.forward(view.clone()));
    let boxed: Box<dyn Regularizer> = Box::new(svmax.clone());
    let shared: Arc<dyn Regularizer> = Arc::new(svmax);
    for regularizer in [
        &boxed as &dyn Regularizer,
        &shared,
        &Box::new(shared.clone()),
    ] {
        assert_eq!(number(regularizer.forward(view.clone())), expected);
        assert_eq!(number(regularizer.evaluate(view.clone()).value), expected);
        assert_eq!(regularizer.term_names().len(), 4);
    }
    let vicreg = VicRegLossConfig::new().init();
    let expected = number(vicreg.forward(view.clone(), view.clone() * 0.5));
    let boxed: Box<dyn TwoViewLoss> = Box::new(vicreg.clone());
    let shared: Arc<dyn TwoViewLoss> = Arc::new(vicreg);
    for loss in [&boxed as &dyn TwoViewLoss, &shared] {
        let value = loss.forward(view.clone(), view.clone() * 0.5);
        assert_eq!(number(value), expected);
    }
}

/// A two-view loss of a user's own that has only `forward`.
#[derive(Debug)]
struct Distance;

impl TwoViewLoss for Distance {
    fn forward(
        &self,
        first: burn::tensor::Tensor<2>,
        second: burn::tensor::Tensor<2>,
    ) -> burn::tensor::Tensor<1> {
        (first - second).square().sum()
    }
}

#[test]
fn a_two_view_loss_of_ones_own_has_its_gradient() {
    let device = Device::default();
    let first = Matrix::normal(6, 3, 5).tensor(&device, DType::F32);
    let second = Matrix::normal(6, 3, 6).tensor(&device, DType::F32);
    let [in_first, in_second] = Distance
        .evaluate(first.clone(), second.clone())
        .coefficients
        .unwrap();
    let expected = (first - second).mul_scalar(2.0);
    expected
        .clone()
        .into_data()
        .assert_approx_eq::<f32>(&in_first.into_data(), Default::default());
    expected
        .neg()
        .into_data()
        .assert_approx_eq::<f32>(&in_second.into_data(), Default::default());
}

/// On a CPU, both ways of every loss agree where they are asked for; [`Solver::Auto`] takes the host's
/// there, to the bit.
#[test]
#[cfg(feature = "host-solver")]
fn every_loss_takes_the_solver_it_is_told() {
    if !crate::matrices::on_host() {
        return;
    }
    let view = Matrix::normal(24, 9, 4).tensor(&Device::default(), DType::F32);
    let other = Matrix::normal(24, 9, 5).tensor(&Device::default(), DType::F32);
    let values = |solver: Solver| -> Vec<f64> {
        let regularizers = [
            RegularizerConfig::SvMax(SvMaxConfig::new().with_solver(solver)),
            RegularizerConfig::Variance(VarianceConfig::new().with_margin(3.0).with_solver(solver)),
            RegularizerConfig::Covariance(CovarianceConfig::new().with_solver(solver)),
            RegularizerConfig::VarianceCovariance(
                VarianceCovarianceConfig::new().with_solver(solver),
            ),
            RegularizerConfig::CovarianceToIdentity(
                CovarianceToIdentityConfig::new().with_solver(solver),
            ),
            RegularizerConfig::SigReg(SigRegConfig::new().with_solver(solver)),
        ];
        let losses = [
            TwoViewLossConfig::VicReg(VicRegLossConfig::new().with_solver(solver)),
            TwoViewLossConfig::BarlowTwins(BarlowTwinsLossConfig::new().with_solver(solver)),
            TwoViewLossConfig::Mmcr(MmcrLossConfig::new().with_solver(solver)),
            TwoViewLossConfig::LeJepa(LeJepaLossConfig::new().with_solver(solver)),
        ];
        let single = regularizers
            .iter()
            .map(|config| config.init().forward(view.clone()));
        let double = losses
            .iter()
            .map(|config| config.init().forward(view.clone(), other.clone()));
        single.chain(double).map(number).collect()
    };
    let [auto, host, device] = [Solver::Auto, Solver::Host, Solver::Device].map(values);
    assert_eq!(auto, host);
    assert!(
        host.iter()
            .zip(&device)
            .all(|(h, d)| (h - d).abs() <= 1e-3 * h.abs())
    );
    assert_ne!(host, device, "one way was taken for both");
}

/// Slices are a function of the step: the same step the same loss, another step another, at any depth of a sum;
/// what does not draw is what it is. Nothing counts behind the caller's back, so that a loss can be shared.
#[test]
fn steps() {
    fn assert_shared<T: Send + Sync>(_: &T) {}
    let device = Device::default();
    let view = Matrix::normal(24, 9, 4).tensor(&device, DType::F32);
    let other = Matrix::normal(24, 9, 5).tensor(&device, DType::F32);
    let drawing = ["sigreg", "sum of sigreg", "lejepa"];
    let sum = RegularizerConfig::Sum(vec![
        RegularizerConfig::SvMax(SvMaxConfig::new()),
        RegularizerConfig::Sum(vec![RegularizerConfig::SigReg(SigRegConfig::new())]),
    ]);
    let regularizers = every_regularizer()
        .into_iter()
        .map(|config| (config.name(), config));
    for (name, config) in regularizers.chain([("sum of sigreg", sum)]) {
        let loss = config.init();
        assert_shared(&loss);
        let value = |step: u64| number(loss.at_step(step).forward(view.clone()));
        assert_eq!(value(7), value(7), "{name}");
        assert_eq!(value(0), number(loss.forward(view.clone())), "{name}");
        assert_eq!(value(7) != value(8), drawing.contains(&name), "{name}");
    }
    for config in every_two_view_loss() {
        let (name, loss) = (config.name(), config.init());
        assert_shared(&loss);
        let value = |step: u64| number(loss.at_step(step).forward(view.clone(), other.clone()));
        assert_eq!(value(7), value(7), "{name}");
        assert_eq!(value(7) != value(8), drawing.contains(&name), "{name}");
    }
    // And of the seed.
    let of = |seed: u64| {
        let sigreg = SigRegConfig::new().with_seed(seed).init();
        number(sigreg.at_step(7).forward(view.clone()))
    };
    assert_ne!(of(1), of(2));
}

/// [`Solver::Auto`] goes by the name that Burn shows of a device: this fails where it is another one.
#[test]
fn devices_are_known_by_their_names() {
    let device = Device::default();
    let cpu = !std::env::var("BURN_DEVICE").is_ok_and(|name| {
        ["wgpu", "vulkan", "metal", "cuda", "rocm"]
            .iter()
            .any(|gpu| name.starts_with(gpu))
    });
    for device in [device.clone(), device.autodiff()] {
        let expected = cpu && cfg!(feature = "host-solver");
        assert_eq!(Solver::Auto.on_host(&device), expected, "{device:?}");
        assert!(Solver::Host.on_host(&device) && !Solver::Device.on_host(&device));
    }
}
