//! Adam with decoupled weight decay (Loshchilov and Hutter 2019), with clipped
//! gradients and moments that can be written down, so that training goes on
//! where it was stopped. candle's own keeps its moments to itself.

use std::collections::{BTreeMap, HashMap};

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};

use super::NeuralError;
use super::network::Weights;

const FIRST_DECAY: f64 = 0.9;
const SECOND_DECAY: f64 = 0.999;
const EPSILON: f64 = 1e-8;
const WEIGHT_DECAY: f64 = 0.01;
/// Longer gradients are shortened to this.
const LONGEST: f64 = 1.0;

/// The moments of the gradients, by name.
pub(super) struct AdamW {
    moments: BTreeMap<String, (Tensor, Tensor)>,
}

impl AdamW {
    /// Before the first step.
    pub fn new(weights: &Weights) -> Result<Self> {
        let zeros = |(name, var): (&String, &candle_core::Var)| {
            Ok((name.clone(), (var.zeros_like()?.detach(), var.zeros_like()?.detach())))
        };
        Ok(AdamW { moments: weights.0.iter().map(zeros).collect::<Result<_>>()? })
    }

    /// The step of number `step`, counted from 1.
    pub fn step(&mut self, weights: &Weights, gradients: &GradStore, rate: f64, step: i32) -> Result<()> {
        let mut squares = 0.0;
        for gradient in weights.0.values().filter_map(|var| gradients.get(var)) {
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        let length = squares.sqrt();
        if !length.is_finite() {
            // One bad batch must not spoil the weights.
            return Ok(());
        }
        let shorten = (LONGEST / length.max(LONGEST)).min(1.0);
        let (first_bias, second_bias) = (1.0 - FIRST_DECAY.powi(step), 1.0 - SECOND_DECAY.powi(step));
        for (name, var) in &weights.0 {
            let (Some(gradient), Some((first, second))) = (gradients.get(var), self.moments.get_mut(name))
            else {
                continue;
            };
            let gradient = (gradient * shorten)?;
            *first = ((&*first * FIRST_DECAY)? + (&gradient * (1.0 - FIRST_DECAY))?)?;
            *second = ((&*second * SECOND_DECAY)? + (gradient.sqr()? * (1.0 - SECOND_DECAY))?)?;
            let root = ((&*second / second_bias)?.sqrt()? + EPSILON)?;
            let change = ((&*first * (rate / first_bias))? / root)?;
            let kept = (var.as_tensor() * (1.0 - rate * WEIGHT_DECAY))?;
            var.set(&(kept - change)?)?;
        }
        Ok(())
    }

    /// The moments under `first.` and `second.`.
    pub fn write(&self, into: &mut HashMap<String, Tensor>) {
        for (name, (first, second)) in &self.moments {
            into.insert(format!("first.{name}"), first.clone());
            into.insert(format!("second.{name}"), second.clone());
        }
    }

    /// Takes up the moments that were written.
    pub fn read(&mut self, from: &HashMap<String, Tensor>) -> std::result::Result<(), NeuralError> {
        for (name, (first, second)) in &mut self.moments {
            let find = |prefix: &str| {
                let name = format!("{prefix}.{name}");
                from.get(&name)
                    .cloned()
                    .ok_or_else(|| NeuralError::OtherWeights(format!("{name} is missing")))
            };
            (*first, *second) = (find("first")?, find("second")?);
        }
        Ok(())
    }
}
