//! The layers, and the weights that they are made of.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::{Linear, Module, ops};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::input::{Batch, CANDIDATES, FEATURES, POINT_COUNT, SPAN_COUNT};
use super::{AHEAD, LEVELS, NeuralError};

/// How wide the layers are.
const WIDTH: usize = 128;
/// Residual blocks.
const BLOCKS: usize = 2;
/// Where the steps ahead are parted; each part has its own weights of the plain
/// forecasts.
const PARTS: [usize; 4] = [0, 6, 24, AHEAD];
/// Quantiles beside the median.
const SIDES: usize = LEVELS.len() - 1;
/// The share of hidden figures that are left out in training.
const LEFT_OUT: f32 = 0.1;
/// How wide the correction starts, on the scale before the softplus.
const NARROW: f32 = -3.0;

/// The weights by name, as tensors that can be trained.
#[derive(Debug, Clone)]
pub struct Weights(pub(super) BTreeMap<String, Var>);

/// How a layer starts: uniform, as wide as suits its inputs times the factor.
struct Shape {
    name: String,
    out: usize,
    inputs: usize,
    start: f64,
    bias: f32,
}

fn shapes() -> Vec<Shape> {
    let shape =
        |name: &str, out, inputs, start, bias| Shape { name: name.to_owned(), out, inputs, start, bias };
    let mut shapes = vec![shape("entry", WIDTH, FEATURES, 1.0, 0.0)];
    for block in 0..BLOCKS {
        shapes.push(shape(&format!("block{block}.in"), WIDTH, WIDTH, 1.0, 0.0));
        // Each block begins as the identity.
        shapes.push(shape(&format!("block{block}.out"), WIDTH, WIDTH, 0.0, 0.0));
    }
    let parts = PARTS.len() - 1;
    shapes.push(shape("gates", CANDIDATES * parts, WIDTH, 0.1, 0.0));
    shapes.push(shape("shift", AHEAD, WIDTH, 0.1, 0.0));
    shapes.push(shape("widths", AHEAD * SIDES, WIDTH, 0.1, NARROW));
    shapes
}

impl Weights {
    /// New weights out of a seed.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn new(seed: u64, device: &Device) -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = BTreeMap::new();
        for shape in shapes() {
            let reach = shape.start * (6.0 / shape.inputs as f64).sqrt();
            let count = shape.out * shape.inputs;
            let values: Vec<f32> =
                (0..count).map(|_| ((2.0 * random.random::<f64>() - 1.0) * reach) as f32).collect();
            let values = Var::from_vec(values, (shape.out, shape.inputs), device)?;
            weights.insert(format!("{}.weight", shape.name), values);
            let bias = Var::from_vec(vec![shape.bias; shape.out], shape.out, device)?;
            weights.insert(format!("{}.bias", shape.name), bias);
        }
        Ok(Weights(weights))
    }

    /// Weights as they were written, for `device`.
    ///
    /// # Errors
    /// Where the bytes are not safetensors, or those of another network.
    pub fn read(bytes: &[u8], device: &Device) -> std::result::Result<Self, NeuralError> {
        let found = candle_core::safetensors::load_buffer(bytes, device)?;
        Weights::new(0, device)?.replaced(&found, "")
    }

    /// The same names with the tensors of `found`, whose names begin with
    /// `prefix`.
    pub(super) fn replaced(
        self,
        found: &HashMap<String, Tensor>,
        prefix: &str,
    ) -> std::result::Result<Self, NeuralError> {
        for (name, var) in &self.0 {
            let tensor = found
                .get(&format!("{prefix}{name}"))
                .filter(|tensor| tensor.shape() == var.shape())
                .ok_or_else(|| NeuralError::OtherWeights(format!("{name} is missing or of another shape")))?;
            var.set(tensor)?;
        }
        Ok(self)
    }

    /// A copy that is not changed by further training.
    pub(super) fn copied(&self) -> Result<Self> {
        let copy = |(name, var): (&String, &Var)| Ok((name.clone(), Var::from_tensor(&var.copy()?)?));
        Ok(Weights(self.0.iter().map(copy).collect::<Result<_>>()?))
    }

    /// Moves the weights by a share of the way to `others`.
    pub(super) fn follow(&self, others: &Weights, share: f64) -> Result<()> {
        for (var, other) in self.0.values().zip(others.0.values()) {
            let kept = (var.as_tensor() * (1.0 - share))?;
            var.set(&(kept + (other.as_tensor().detach() * share)?)?)?;
        }
        Ok(())
    }

    /// How many numbers they are.
    pub fn count(&self) -> usize {
        self.0.values().map(|var| var.elem_count()).sum()
    }

    /// By name, as safetensors wants them.
    pub fn tensors(&self) -> HashMap<String, Tensor> {
        self.0.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect()
    }

    fn linear(&self, name: &str) -> Result<Linear> {
        let find = |part: &str| {
            let name = format!("{name}.{part}");
            self.0
                .get(&name)
                .map(|var| var.as_tensor().clone())
                .ok_or_else(|| candle_core::Error::CannotFindTensor { path: name.clone() }.bt())
        };
        Ok(Linear::new(find("weight")?, Some(find("bias")?)))
    }
}

/// Which hidden figures are left out in a training step: 0 for those, for the
/// others what makes up for them; shape `[n, WIDTH]`.
pub(super) fn thinning(n: usize, seed: u64, step: u64, device: &Device) -> Result<Tensor> {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x7468_696e);
    random.set_stream(step);
    let mut one = || if random.random::<f32>() < LEFT_OUT { 0.0 } else { 1.0 / (1.0 - LEFT_OUT) };
    let values: Vec<f32> = (0..n * WIDTH).map(|_| one()).collect();
    Tensor::from_vec(values, (n, WIDTH), device)
}

/// The network over some weights.
#[derive(Debug)]
pub(super) struct Network {
    entry: Linear,
    blocks: Vec<(Linear, Linear)>,
    gates: Linear,
    shift: Linear,
    widths: Linear,
    /// Which part each step is in, shape `[parts, AHEAD]`.
    parts: Tensor,
    /// Adds up the widths on each side of the median, shape `[SIDES, 9]`.
    sides: Tensor,
}

impl Network {
    /// The layers over `weights`; they follow the training of these.
    pub fn over(weights: &Weights, device: &Device) -> Result<Self> {
        let block = |block: usize| {
            Ok((weights.linear(&format!("block{block}.in"))?, weights.linear(&format!("block{block}.out"))?))
        };
        Ok(Network {
            entry: weights.linear("entry")?,
            blocks: (0..BLOCKS).map(block).collect::<Result<_>>()?,
            gates: weights.linear("gates")?,
            shift: weights.linear("shift")?,
            widths: weights.linear("widths")?,
            parts: parts(device)?,
            sides: sides(device)?,
        })
    }

    /// The nine tenths on the scales of the inputs, shape `[n, AHEAD, 9]`; none
    /// lies below a smaller one.
    pub fn forward(&self, batch: &Batch) -> Result<Tensor> {
        self.forward_thinned(batch, None)
    }

    /// The same with some of the hidden figures left out, as `kept` says: 0 for
    /// those, shape `[n, WIDTH]` (dropout, Srivastava et al. 2014).
    pub fn forward_thinned(&self, batch: &Batch, kept: Option<&Tensor>) -> Result<Tensor> {
        let n = batch.features.dim(0)?;
        let mut hidden = self.entry.forward(&batch.features)?.relu()?;
        for (inward, outward) in &self.blocks {
            let inside = inward.forward(&hidden)?.relu()?;
            hidden = (hidden + outward.forward(&inside)?)?;
        }
        if let Some(kept) = kept {
            hidden = (hidden * kept)?;
        }
        let plain = self.weighed(&self.gates.forward(&hidden)?, batch)?;
        let shift = self.shift.forward(&hidden)?.unsqueeze(2)?;
        let widths = softplus(&self.widths.forward(&hidden)?.reshape((n * AHEAD, SIDES))?)?;
        let widths = widths.matmul(&self.sides)?.reshape((n, AHEAD, LEVELS.len()))?;
        (plain + widths)?.broadcast_add(&shift)
    }

    /// The weighted mean of the plain forecasts.
    fn weighed(&self, gates: &Tensor, batch: &Batch) -> Result<Tensor> {
        let (n, parts) = (gates.dim(0)?, PARTS.len() - 1);
        let gates = ops::softmax(&gates.reshape((n, CANDIDATES, parts))?, 1)?;
        let gates =
            gates.reshape((n * CANDIDATES, parts))?.matmul(&self.parts)?.reshape((n, CANDIDATES, AHEAD))?;
        let spans = gates.narrow(1, 0, SPAN_COUNT)?.transpose(1, 2)?.contiguous()?.matmul(&batch.spans)?;
        let hours =
            gates.narrow(1, SPAN_COUNT, 1)?.transpose(1, 2)?.contiguous()?.broadcast_mul(&batch.hours)?;
        let points = (gates.narrow(1, SPAN_COUNT + 1, POINT_COUNT)?.contiguous()? * &batch.points)?.sum(1)?;
        (spans + hours)?.broadcast_add(&points.unsqueeze(2)?)
    }
}

/// `ln(1 + exp(x))` without overflow.
fn softplus(values: &Tensor) -> Result<Tensor> {
    let small = (values.abs()?.neg()?.exp()? + 1.0)?.log()?;
    values.relu()? + small
}

fn parts(device: &Device) -> Result<Tensor> {
    let holds = |pair: &[usize], step: usize| f32::from(u8::from((pair[0]..pair[1]).contains(&step)));
    let values: Vec<f32> =
        PARTS.windows(2).flat_map(|pair| (0..AHEAD).map(move |step| holds(pair, step))).collect();
    Tensor::from_vec(values, (PARTS.len() - 1, AHEAD), device)
}

fn sides(device: &Device) -> Result<Tensor> {
    let half = SIDES / 2;
    let cell = |width: usize, level: usize| match level {
        // The first half are distances downwards, from the median on.
        _ if width < half => {
            if level < half && half - 1 - level >= width {
                -1.0
            } else {
                0.0
            }
        }
        _ => {
            if level > half && level - half > width - half {
                1.0
            } else {
                0.0_f32
            }
        }
    };
    let values: Vec<f32> =
        (0..SIDES).flat_map(|width| (0..LEVELS.len()).map(move |level| cell(width, level))).collect();
    Tensor::from_vec(values, (SIDES, LEVELS.len()), device)
}

#[cfg(test)]
mod tests {
    use super::super::input::Inputs;
    use super::*;

    #[test]
    fn quantiles_are_in_order_whatever_the_weights() {
        let values: Vec<f64> = (0..500).map(|hour| f64::from(hour % 24 * (hour % 7))).collect();
        let mut inputs = Inputs::default();
        for end in [30, 48, 200, 500] {
            inputs.push(&values[..end], &values[..end]).unwrap();
        }
        let weights = Weights::new(3, &Device::Cpu).unwrap();
        for (name, var) in &weights.0 {
            let loud = (var.as_tensor() * if name.starts_with("widths") { 30.0 } else { 3.0 }).unwrap();
            var.set(&loud).unwrap();
        }
        let network = Network::over(&weights, &Device::Cpu).unwrap();
        let found = network.forward(&inputs.batch(&Device::Cpu).unwrap()).unwrap();
        let found = found.to_vec3::<f32>().unwrap();
        assert_eq!((found.len(), found[0].len()), (4, AHEAD));
        for row in found.iter().flatten() {
            assert!(row.windows(2).all(|pair| pair[0] <= pair[1] + 1e-4 * pair[1].abs()), "{row:?}");
        }
    }

    #[test]
    fn weights_of_another_network_are_refused() {
        let other =
            HashMap::from([("entry.weight".to_owned(), Tensor::new(&[1.0_f32], &Device::Cpu).unwrap())]);
        let weights = Weights::new(1, &Device::Cpu).unwrap();
        assert!(weights.count() < 375_000, "{} weights are too many to ship", weights.count());
        assert!(matches!(weights.replaced(&other, ""), Err(NeuralError::OtherWeights(_))));
        assert!(Weights::read(b"no safetensors", &Device::Cpu).is_err());
    }
}
