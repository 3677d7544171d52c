//! The Rust side of `compare`: answers requests, one JSON object a line, from standard input.
//!
//! It computes on the device that its argument names.

mod batches;
mod losses;
mod npy;
mod profile;
mod training_step;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use clap::Parser;
use faer::Par;
use fullrank_study::device::DeviceArg;
use serde_json::{Value, json};

use crate::batches::Batches;
use crate::losses::loss;
use crate::training_step::TrainingStep;

/// Answers requests of the program `compare`, one JSON object a line.
#[derive(Parser)]
struct Args {
    /// Where to compute
    #[arg(value_enum)]
    device: DeviceArg,
}

fn main() -> Result<()> {
    let device = Args::parse().device.device()?;
    let mut worker = Worker {
        batches: Batches::none(&device),
        step: None,
        device,
    };
    for line in std::io::stdin().lines() {
        let request = serde_json::from_str(&line?)?;
        println!("{}", worker.answer(&request)?);
    }
    Ok(())
}

/// What is loaded, and what can be asked about it.
struct Worker {
    device: Device,
    batches: Batches,
    step: Option<TrainingStep>,
}

impl Worker {
    fn answer(&mut self, request: &Value) -> Result<Value> {
        Ok(match text(&request["op"]) {
            "hello" => json!({
                "device": format!("{:?}", self.device),
                "threads": Par::rayon(0).degree(),
            }),
            "load" => {
                self.batches = Batches::read(&self.device, strings(&request["inputs"]));
                json!({})
            }
            "run" => {
                let time = self.timed(text(&request["loss"]))?;
                let discard = number(&request["discard"]);
                let runs = discard + number(&request["repeat"]);
                let times: Vec<f64> = (0..runs).map(|_| time()).collect();
                json!({ "ms": times[discard..] })
            }
            "evaluate" => match text(&request["loss"]) {
                "training step" => {
                    let mut paths = strings(&request["gradients"]);
                    self.step()?.evaluate(paths.next().context("no path")?)
                }
                loss => self.batches.evaluate(loss, strings(&request["gradients"])),
            },
            "rate" => profile::rate(&self.device, number(&request["size"])),
            "profile" => profile::profile(&self.batches, text(&request["loss"])),
            "make step" => {
                let step = TrainingStep::new(number(&request["batch"]), &self.device);
                let files = step.export(text(&request["folder"]));
                self.step = Some(step);
                files
            }
            "make untrained" => {
                let [rows, dims] = [0, 1].map(|i| number(&request["shape"][i]));
                let embeddings = TrainingStep::new(rows, &self.device).embeddings();
                npy::write(text(&request["path"]), embeddings.narrow(1, 0, dims));
                json!({})
            }
            other => bail!("unknown request: {other}"),
        })
    }

    /// What takes the milliseconds that it gives.
    fn timed(&self, name: &str) -> Result<Box<dyn Fn() -> f64 + '_>> {
        Ok(match name {
            "training step" => {
                let step = self.step()?;
                Box::new(|| step.time())
            }
            "views" => {
                let step = self.step()?;
                Box::new(|| step.time_views())
            }
            name => {
                let loss = loss(name);
                Box::new(move || self.batches.step(&loss).milliseconds)
            }
        })
    }

    fn step(&self) -> Result<&TrainingStep> {
        self.step.as_ref().context("no training step was made")
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn number(value: &Value) -> usize {
    value.as_u64().expect("a whole number") as usize
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().expect("a list").iter().map(text)
}
