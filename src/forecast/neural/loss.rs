//! What a forecast loses: the pinball loss on the network's scale, and on the
//! plain one.
//!
//! The network's scale takes all series alike and bursts lightly. What bursts
//! cost shows on the plain scale, of which a share is added, cut off so that
//! one burst does not rule a batch.

use candle_core::{Result, Tensor};

use super::LEVELS;

/// The weight of the loss on the plain scale.
const PLAIN: f64 = 0.3;
/// Where the plain scale is cut off, on the network's: 27 times the spread.
const LARGEST: f64 = 4.0;

/// Twice the pinball loss, the mean over the nine tenths and the steps that are
/// known. `found` has the shape `[n, AHEAD, 9]`, `wanted` and `known` (1 where
/// there is a value, else 0) `[n, AHEAD]`.
pub(super) fn pinball(found: &Tensor, wanted: &Tensor, known: &Tensor) -> Result<Tensor> {
    let plain = pinball_on_one_scale(&plain(found)?, &plain(wanted)?, known)?;
    pinball_on_one_scale(found, wanted, known)? + (plain * PLAIN)?
}

/// From the network's scale to the plain one.
fn plain(scaled: &Tensor) -> Result<Tensor> {
    let cut = scaled.clamp(-LARGEST, LARGEST)?;
    (cut.exp()? - cut.neg()?.exp()?)? * 0.5
}

fn pinball_on_one_scale(found: &Tensor, wanted: &Tensor, known: &Tensor) -> Result<Tensor> {
    let levels: Vec<f32> = LEVELS.iter().map(|level| *level as f32).collect();
    let levels = Tensor::from_vec(levels, (1, 1, LEVELS.len()), found.device())?;
    let miss = wanted.unsqueeze(2)?.broadcast_sub(found)?;
    // max(q m, (q - 1) m) = q m + max(-m, 0)
    let loss = (miss.broadcast_mul(&levels)? + miss.neg()?.relu()?)?.sum(2)?;
    let scored = (known.sum_all()? + 1e-9)?;
    let factor = 2.0 / LEVELS.len() as f64;
    (loss * known)?.sum_all()?.div(&scored)? * factor
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn it_is_the_mean_of_the_known_steps() {
        let device = &Device::Cpu;
        let found = Tensor::zeros((1, 2, 9), candle_core::DType::F32, device).unwrap();
        let known = Tensor::new(&[[1.0_f32, 0.0]], device).unwrap();
        let wanted = Tensor::new(&[[1.0_f32, 50.0]], device).unwrap();
        let right = 1.0 + PLAIN * 1.0_f64.sinh();
        for wanted in [wanted.clone(), wanted.neg().unwrap()] {
            let loss = pinball(&found, &wanted, &known).unwrap().to_scalar::<f32>().unwrap();
            assert!((f64::from(loss) - right).abs() < 1e-5, "{loss} {right}");
        }
    }
}
