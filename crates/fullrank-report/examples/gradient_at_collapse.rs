//! The gradient that each loss gives a batch on its way into a collapse: as the embeddings shrink to a point, and as
//! they come to lie on one line. A regularizer that is to revive a collapsed network must not lose its own.
//!
//! ```sh
//! cargo run --release -p fullrank-report --example gradient_at_collapse -- figure.svg
//! ```

use std::error::Error;

use burn::tensor::{Device, Distribution, Tensor};
use fullrank::{
    BarlowTwinsLoss, Covariance, CovarianceToIdentity, MmcrLoss, NtXentLoss, Regularizer, SigReg,
    SvMax, SvMaxConfig, SvMaxForm, TwoViewLoss, Variance, VicRegLoss,
};
use fullrank_report::Table;
use fullrank_report::plots::{Palette, Trend, TrendPanel, trends};

const ROWS: usize = 64;
const DIM: usize = 16;
/// The first losses are in the figure, which has so many colours.
const DRAWN: usize = 7;
const SCALES: [f64; 9] = [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8];

/// Standard normal entries.
fn normal(device: &Device) -> Tensor<2> {
    Tensor::random([ROWS, DIM], Distribution::Normal(0.0, 1.0), device)
}

/// The norm of the gradient in the first view, less the mean of its rows, which moves them all alike: of what moves
/// them apart.
fn gradient_norm(loss: &dyn TwoViewLoss, [first, second]: [Tensor<2>; 2]) -> f64 {
    let leaf = first.autodiff().require_grad();
    let gradients = loss.forward(leaf.clone(), second.autodiff()).backward();
    let gradient = leaf.grad(&gradients).expect("on the graph");
    let apart = gradient.clone() - gradient.mean_dim(0);
    // In f64: the squares of small ones are below f32.
    let entries = apart.into_data();
    entries.iter::<f64>().map(|x| x * x).sum::<f64>().sqrt()
}

/// A penalty of the first view.
#[derive(Debug)]
struct FirstView<R>(R);

impl<R: Regularizer> TwoViewLoss for FirstView<R> {
    fn forward(&self, first: Tensor<2>, _: Tensor<2>) -> Tensor<1> {
        self.0.forward(first)
    }
}

fn losses() -> Vec<(&'static str, Box<dyn TwoViewLoss>)> {
    let mean_singular_value: SvMax = SvMaxConfig::paper()
        .with_form(SvMaxForm::Linear)
        .with_normalize(false)
        .init();
    vec![
        (
            "mean singular value",
            Box::new(FirstView(mean_singular_value)) as _,
        ),
        ("variance", Box::new(FirstView(Variance::default()))),
        ("covariance", Box::new(FirstView(Covariance::default()))),
        (
            "covariance to I",
            Box::new(FirstView(CovarianceToIdentity::default())),
        ),
        ("SIGReg", Box::new(FirstView(SigReg::default()))),
        ("Barlow Twins", Box::new(BarlowTwinsLoss::default())),
        ("NT-Xent", Box::new(NtXentLoss::default())),
        // In the table alone.
        ("SVMax", Box::new(FirstView(SvMax::default()))),
        ("VICReg", Box::new(VicRegLoss::default())),
        ("MMCR", Box::new(MmcrLoss::default())),
    ]
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::default();
    device.seed(1);
    let first = normal(&device);
    let second = first.clone() * 0.8 + normal(&device) * 0.6;
    let direction = normal(&device).narrow(0, 0, 1);
    let losses = losses();
    let mut panels = Vec::new();
    for (title, on_a_line) in [
        ("shrinking to a point", false),
        ("towards one direction", true),
    ] {
        let batch = |scale: f64| {
            [&first, &second].map(|view| {
                let view = view.clone() * scale;
                if on_a_line {
                    view + direction.clone()
                } else {
                    view
                }
            })
        };
        let norms: Vec<Vec<f64>> = losses
            .iter()
            .map(|(_, loss)| {
                SCALES
                    .map(|scale| gradient_norm(loss.as_ref(), batch(scale)))
                    .into()
            })
            .collect();

        println!(
            "{title}: norm of the gradient, less the mean of its rows, of a batch of {ROWS} x {DIM}, by the scale of what varies\n"
        );
        let head = ["loss".to_owned()]
            .into_iter()
            .chain(SCALES.map(|s| format!("{s:e}")));
        let mut table = Table::new(head);
        for ((name, _), norms) in losses.iter().zip(&norms) {
            let cells = norms.iter().map(|norm| format!("{norm:.0e}"));
            table = table.with_row([(*name).to_owned()].into_iter().chain(cells));
        }
        println!("{}", table.to_markdown());

        let trend = |((name, _), norms): (&(&str, _), &Vec<f64>)| Trend {
            name: (*name).to_owned(),
            points: (SCALES.iter().zip(norms))
                .filter(|(_, norm)| **norm > 0.0)
                .map(|(scale, norm)| (*scale, vec![norm.log10()]))
                .collect(),
        };
        panels.push(TrendPanel {
            name: title.to_owned(),
            y_label: "log10 of the norm of the gradient".to_owned(),
            trends: losses.iter().zip(&norms).take(DRAWN).map(trend).collect(),
            levels: Vec::new(),
        });
    }
    if let Some(path) = std::env::args().nth(1) {
        let palette = Palette::new(losses.iter().take(DRAWN).map(|(name, _)| *name));
        let title = "The gradient of a batch that collapses";
        std::fs::write(
            path,
            trends(title, "scale of what varies", &panels, &palette),
        )?;
    }
    Ok(())
}
