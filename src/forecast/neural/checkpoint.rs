//! Where training stands, on disk: the weights, their mean, the best so far, the
//! optimizer's moments, and how far it got. A run that was killed goes on from
//! here and ends as if it had not been.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use super::NeuralError;
use super::network::Weights;
use super::optimizer::AdamW;

/// How far training got.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Standing {
    /// Steps done.
    pub step: usize,
    /// The least held-out loss so far.
    pub best_loss: f64,
    /// The step that had it.
    pub best_step: usize,
    /// Which settings and data the run has.
    pub fingerprint: u64,
}

/// What a checkpoint holds.
pub(super) struct Checkpoint {
    pub standing: Standing,
    pub weights: Weights,
    /// A fading mean of the weights; it forecasts better than they do.
    pub average: Weights,
    /// The best of these so far.
    pub best: Weights,
    pub optimizer: AdamW,
}

const STANDING: &str = "standing";

impl Checkpoint {
    /// The start of a run.
    pub fn start(seed: u64, fingerprint: u64, device: &Device) -> Result<Self, NeuralError> {
        let weights = Weights::new(seed, device)?;
        Ok(Checkpoint {
            standing: Standing { step: 0, best_loss: f64::INFINITY, best_step: 0, fingerprint },
            best: weights.copied()?,
            average: weights.copied()?,
            optimizer: AdamW::new(&weights)?,
            weights,
        })
    }

    /// The checkpoint in `file`, if there is one, else the start.
    pub fn resume(file: &Path, seed: u64, fingerprint: u64, device: &Device) -> Result<Self, NeuralError> {
        let start = Checkpoint::start(seed, fingerprint, device)?;
        if !file.exists() {
            return Ok(start);
        }
        let name = file.display().to_string();
        let unread = |error| NeuralError::NoCheckpoint(name.clone(), error);
        let found = candle_core::safetensors::load(file, device).map_err(unread)?;
        let missing = || NeuralError::OtherWeights(format!("{} is no checkpoint", file.display()));
        let bits = found.get(STANDING).ok_or_else(missing)?.to_vec1::<i64>()?;
        let [step, best_loss, best_step, print] = bits[..] else { return Err(missing()) };
        let standing = Standing {
            step: usize::try_from(step).map_err(|_| missing())?,
            best_loss: f64::from_bits(best_loss.cast_unsigned()),
            best_step: usize::try_from(best_step).map_err(|_| missing())?,
            fingerprint: print.cast_unsigned(),
        };
        if standing.fingerprint != fingerprint {
            return Err(NeuralError::OtherRun(name));
        }
        let mut optimizer = start.optimizer;
        optimizer.read(&found)?;
        Ok(Checkpoint {
            standing,
            weights: start.weights.replaced(&found, "weights.")?,
            best: start.best.replaced(&found, "best.")?,
            average: start.average.replaced(&found, "average.")?,
            optimizer,
        })
    }

    /// Writes it; a file appears only once it is whole.
    pub fn write(&self, file: &Path) -> Result<(), NeuralError> {
        let mut all = HashMap::new();
        self.optimizer.write(&mut all);
        for (prefix, weights) in
            [("weights", &self.weights), ("average", &self.average), ("best", &self.best)]
        {
            all.extend(weights.tensors().into_iter().map(|(name, one)| (format!("{prefix}.{name}"), one)));
        }
        let Standing { step, best_loss, best_step, fingerprint } = self.standing;
        let bits = [
            i64::try_from(step).unwrap_or(i64::MAX),
            best_loss.to_bits().cast_signed(),
            i64::try_from(best_step).unwrap_or(i64::MAX),
            fingerprint.cast_signed(),
        ];
        all.insert(STANDING.to_owned(), Tensor::new(&bits, &Device::Cpu)?);
        write_whole(&all, file)
    }
}

/// Where the checkpoint of a run that ends in `output` stands.
pub(super) fn beside(output: &Path) -> PathBuf {
    output.with_extension("checkpoint")
}

/// Writes tensors under a name for a moment, then under their own.
pub(super) fn write_whole(tensors: &HashMap<String, Tensor>, file: &Path) -> Result<(), NeuralError> {
    let failed = |error| NeuralError::Write(file.display().to_string(), error);
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    candle_core::safetensors::save(tensors, &part)?;
    std::fs::File::open(&part).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&part, file).map_err(failed)
}
