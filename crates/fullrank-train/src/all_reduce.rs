//! The gradients of workers that share a batch, added up.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Element, ElementConversion, Tensor, TensorData};
use fullrank::shards::{Group, GroupError};

/// The sum of the workers' gradients, of the same bits for all of them: what an optimizer step of each takes, so that
/// their weights stay the same. With losses over the [whole batch](fullrank::shards::Sharded) it is the gradient of
/// the whole batch.
///
/// All gradients are exchanged at once, as f32 in the order of the module's parameters, or as f64 if one of these is.
/// A parameter that has no gradient on some worker, because the rows there did not reach it, counts as zero; one that
/// has none anywhere still has none.
///
/// # Errors
///
/// If the workers cannot exchange their gradients, or have modules of different shapes.
pub fn sum_gradients<M: Module>(
    group: &dyn Group,
    module: &M,
    gradients: GradientsParams,
) -> Result<GradientsParams, GroupError> {
    let mut own = Own {
        gradients,
        parameters: Vec::new(),
    };
    module.visit(&mut own);
    let Own {
        gradients,
        parameters,
    } = own;
    let double = parameters.iter().any(|parameter| parameter.double);
    let values = match double {
        true => sums::<f64>(group, &parameters)?,
        false => sums::<f32>(group, &parameters)?,
    };
    let mut sum = Sum {
        values: values.into_iter(),
        gradients,
    };
    module.visit(&mut sum);
    Ok(sum.gradients)
}

/// A parameter of the module.
struct Parameter {
    gradient: Option<TensorData>,
    entries: usize,
    double: bool,
}

/// Takes the gradients of a module.
struct Own {
    gradients: GradientsParams,
    parameters: Vec<Parameter>,
}

impl ModuleVisitor for Own {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let gradient = self.gradients.remove::<D>(param.id);
        self.parameters.push(Parameter {
            gradient: gradient.map(Tensor::into_data),
            entries: value.shape().num_elements(),
            double: value.dtype() == DType::F64,
        });
    }
}

/// Of each parameter the sum of the gradients, where a worker has one.
fn sums<T: Element>(
    group: &dyn Group,
    parameters: &[Parameter],
) -> Result<Vec<Option<TensorData>>, GroupError> {
    let entries: usize = parameters.iter().map(|parameter| parameter.entries).sum();
    let mut buffer: Vec<T> = Vec::with_capacity(entries + parameters.len());
    for Parameter {
        gradient, entries, ..
    } in parameters
    {
        match gradient {
            Some(gradient) => buffer.extend(gradient.iter::<T>()),
            None => buffer.resize(buffer.len() + entries, 0_u8.elem()),
        }
    }
    // Behind them, how many workers have a gradient of each parameter.
    let present = |parameter: &Parameter| u8::from(parameter.gradient.is_some()).elem::<T>();
    buffer.extend(parameters.iter().map(present));
    let length = buffer.len();
    let sum = group.all_sum(vec![TensorData::new(buffer, [length])])?;
    let sum: Vec<T> = sum.iter().flat_map(TensorData::iter::<T>).collect();
    let (mut values, present) = sum.split_at(entries);
    let of_parameter = |(parameter, present): (&Parameter, &T)| {
        let (own, rest) = values.split_at(parameter.entries);
        values = rest;
        (present.elem::<f64>() > 0.0).then(|| TensorData::new(own.to_vec(), [own.len()]))
    };
    Ok(parameters.iter().zip(present).map(of_parameter).collect())
}

/// Gives a module's parameters their gradients.
struct Sum<I> {
    values: I,
    gradients: GradientsParams,
}

impl<I: Iterator<Item = Option<TensorData>>> ModuleVisitor for Sum<I> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = self.values.next().expect("one for each parameter");
        if let Some(values) = values {
            let like = param.val();
            let device = like.device().without_autodiff();
            let gradient = Tensor::<1>::from_data(values, (&device, like.dtype()));
            self.gradients
                .register(param.id, gradient.reshape::<D, _>(like.shape()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use burn::module::ParamId;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, Distribution};
    use fullrank::shards::ThreadGroup;

    use super::*;

    #[derive(Module, Debug)]
    struct Model {
        every: Linear,
        some: Linear,
        none: Linear,
    }

    impl Model {
        fn new(device: &Device) -> Self {
            let layer = || LinearConfig::new(3, 2).init(device);
            Self {
                every: layer(),
                some: layer(),
                none: layer(),
            }
        }

        /// The gradients of a loss of these rows that is a sum over them.
        fn gradients(&self, rows: Tensor<2>, some: bool) -> GradientsParams {
            let mut loss = self.every.forward(rows.clone()).square().sum();
            if some {
                loss = loss + self.some.forward(rows).exp().sum();
            }
            GradientsParams::from_grads(loss.backward(), self)
        }
    }

    fn ids(layer: &Linear) -> [ParamId; 2] {
        [
            layer.weight.id,
            layer.bias.as_ref().expect("with a bias").id,
        ]
    }

    fn values(gradients: &GradientsParams, layer: &Linear) -> Vec<f32> {
        let [weight, bias] = ids(layer);
        let weight = gradients.get::<2>(weight).expect("a gradient").into_data();
        let bias = gradients.get::<1>(bias).expect("a gradient").into_data();
        assert_eq!(
            (weight.shape().to_vec(), bias.num_elements()),
            (vec![3, 2], 2)
        );
        weight.iter::<f32>().chain(bias.iter::<f32>()).collect()
    }

    #[test]
    fn workers_have_the_gradient_of_all_rows() {
        let device = Device::default().autodiff();
        let model = Model::new(&device);
        let rows = Tensor::<2>::random([7, 3], Distribution::Default, &device);
        let whole = model.gradients(rows.clone(), true);
        // The last layer but one is reached by the rows of the second worker alone: only these count.
        let part = |range| rows.clone().slice([range]);
        let second = model.gradients(part(2..3), true);
        let group = ThreadGroup::new(3);
        let sums = thread::scope(|scope| {
            let workers = [(0..2, false), (2..3, true), (3..7, false)].map(|(range, some)| {
                let (rows, model, group) = (part(range), &model, group.clone());
                scope.spawn(move || {
                    let own = model.gradients(rows, some);
                    sum_gradients(&group, model, own).unwrap()
                })
            });
            workers.map(|worker| worker.join().unwrap())
        });
        for sum in &sums {
            let every = values(sum, &model.every);
            for (own, expected) in every.iter().zip(values(&whole, &model.every)) {
                assert!(
                    (own - expected).abs() <= 1e-5 * expected.abs(),
                    "{own} {expected}"
                );
            }
            assert_eq!(every, values(&sums[0], &model.every));
            assert_eq!(values(sum, &model.some), values(&second, &model.some));
            assert_eq!(sum.len(), 4);
        }
    }

    #[test]
    fn workers_with_other_modules_have_an_error() {
        let device = Device::default().autodiff();
        let group = ThreadGroup::new(2);
        let errors = thread::scope(|scope| {
            let workers = [2, 3].map(|width| {
                let (device, group) = (device.clone(), group.clone());
                scope.spawn(move || {
                    let layer = LinearConfig::new(3, width).init(&device);
                    let loss = layer.forward(Tensor::<2>::ones([1, 3], &device)).sum();
                    let own = GradientsParams::from_grads(loss.backward(), &layer);
                    sum_gradients(&group, &layer, own).unwrap_err()
                })
            });
            workers.map(|worker| worker.join().unwrap())
        });
        assert_eq!(errors, [GroupError::Mismatch, GroupError::Mismatch]);
    }
}
