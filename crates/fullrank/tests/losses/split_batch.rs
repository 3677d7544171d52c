//! A batch in parts has the gradient of the whole.

use burn::tensor::{DType, Device};
use fullrank::{
    CovarianceToIdentityConfig, LeJepaLossConfig, MmcrLossConfig, NtXentLossConfig, Regularizer,
    RegularizerConfig, SigRegConfig, SvMaxConfig, TwoViewLoss, TwoViewLossConfig,
    VarianceCovarianceConfig, VicRegLossConfig,
};

use crate::matrices::{Matrix, number};

#[test]
fn parts_add_up_to_the_whole() {
    let device = Device::default();
    let e = Matrix::normal(24, 10, 1);
    let weights = Matrix::normal(10, 6, 2);
    for config in [
        RegularizerConfig::SvMax(SvMaxConfig::new()),
        RegularizerConfig::VarianceCovariance(VarianceCovarianceConfig::new()),
        RegularizerConfig::CovarianceToIdentity(CovarianceToIdentityConfig::new()),
        RegularizerConfig::SigReg(SigRegConfig::new()),
    ] {
        let loss = config.init();
        // embeddings = e * weights; the gradient in the weights of a layer
        let whole = weights
            .tensor(&device.clone().autodiff(), DType::F32)
            .require_grad();
        let embeddings = e.tensor(&device, DType::F32).matmul(whole.clone());
        let gradients = loss.forward(embeddings.clone()).backward();
        let expected = Matrix::from(whole.grad(&gradients).unwrap());

        let evaluation = loss.evaluate(embeddings);
        let mut sum = Matrix::from_fn(10, 6, |_, _| 0.0);
        for part in [0..5, 5..6, 6..24] {
            let leaf = weights
                .tensor(&device.clone().autodiff(), DType::F32)
                .require_grad();
            let rows = e.tensor(&device, DType::F32).slice([part.clone()]);
            let total = evaluation
                .clone()
                .rows(part)
                .attach([rows.matmul(leaf.clone())]);
            approx::assert_relative_eq!(
                number(total.clone()),
                number(evaluation.value.clone()),
                max_relative = 1e-6
            );
            let gradient = Matrix::from(leaf.grad(&total.backward()).unwrap());
            sum = sum.zip(&gradient, |x, y| x + y);
        }
        let error = sum.zip(&expected, |x, y| x - y).norm();
        assert!(
            error <= 1e-5 * expected.norm(),
            "{config:?}: {error:e} of {}",
            expected.norm()
        );
    }
}

#[test]
fn two_views_in_parts() {
    let device = Device::default();
    let [a, b] = [3, 4].map(|seed| Matrix::normal(12, 20, seed));
    for config in [
        TwoViewLossConfig::VicReg(VicRegLossConfig::new()),
        TwoViewLossConfig::NtXent(NtXentLossConfig::new()),
        TwoViewLossConfig::Mmcr(MmcrLossConfig::new().with_local_weight(0.7)),
        TwoViewLossConfig::LeJepa(LeJepaLossConfig::new()),
    ] {
        let loss = config.init();
        let evaluation =
            loss.evaluate(a.tensor(&device, DType::F32), b.tensor(&device, DType::F32));

        let leaf = a
            .tensor(&device.clone().autodiff(), DType::F32)
            .require_grad();
        let gradients = loss
            .forward(leaf.clone(), b.tensor(&device, DType::F32))
            .backward();
        let expected = Matrix::from(leaf.grad(&gradients).unwrap());

        let mut rows = Vec::new();
        for part in [0..7, 7..12] {
            let leaf = a
                .tensor(&device, DType::F32)
                .slice([part.clone()])
                .autodiff()
                .require_grad();
            let other = b.tensor(&device, DType::F32).slice([part.clone()]);
            let loss = evaluation.clone().rows(part).attach([leaf.clone(), other]);
            rows.extend(Matrix::from(leaf.grad(&loss.backward()).unwrap()).entries);
        }
        assert_eq!(rows, expected.entries, "{config:?}");
    }
}
