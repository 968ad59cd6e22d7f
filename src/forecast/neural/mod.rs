//! A small network that learnt from many series how usage goes on.
//!
//! It looks at up to two weeks of hours and gives the nine tenths of the next
//! two days. Its forecast is a weighted mean of plain ones (recent quantiles,
//! the same hour of earlier days, the last value), with weights that the network
//! chooses for each series, plus a correction: a linear-residual network in the
//! manner of N-HiTS (Challu et al. 2023) and of gated forecast combination
//! (Montero-Manso et al. 2020, FFORMA). It needs no training on the series it
//! forecasts, so that it serves tenants with two days of history.
//!
//! Series are brought to one scale by their median and their mean distance from
//! it, and by an inverse hyperbolic sine for heavy tails, and brought back
//! (reversible normalisation, Kim et al. 2022).

mod checkpoint;
mod examples;
mod input;
mod loss;
pub(super) mod member;
mod network;
mod optimizer;
mod scale;
pub mod training;

use candle_core::Device;

pub use network::Weights;

/// Hours that the network sees, at most.
const CONTEXT: usize = 336;
/// Hours that it forecasts at once.
const AHEAD: usize = 48;
/// Hours of a day, the season that it learnt.
const DAY: usize = 24;
/// The levels that it gives.
const LEVELS: [f64; 9] = super::ensemble::COMPARED_LEVELS;

/// What can go wrong with the network; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum NeuralError {
    /// The tensors could not be computed, read or written.
    #[error("compute with tensors: {0}")]
    Tensor(#[from] candle_core::Error),
    /// There is no such device in this build or on this machine.
    #[error("use a CUDA device: {0}")]
    NoDevice(String),
    /// Nothing to learn from.
    #[error("train on these series: {0}")]
    TooLittle(String),
    /// The weights are of another network.
    #[error("use the weights: {0}")]
    OtherWeights(String),
    /// The checkpoint can't be read.
    #[error("go on from {0}, which is no whole checkpoint ({1}); remove it, and training begins anew")]
    NoCheckpoint(String, candle_core::Error),
    /// The checkpoint belongs to another run.
    #[error("go on from {0}: it was made with other settings or other data; remove it, or train as before")]
    OtherRun(String),
    /// A file could not be written.
    #[error("write {0}: {1}")]
    Write(String, std::io::Error),
}

/// The first graphics card.
///
/// # Errors
/// Where this build can't use one, or there is none.
pub fn cuda() -> Result<Device, NeuralError> {
    if cfg!(feature = "cuda") {
        Device::new_cuda(0).map_err(|error| NeuralError::NoDevice(error.to_string()))
    } else {
        let mend = "this build has no CUDA; build it with --features cuda, or use --device cpu";
        Err(NeuralError::NoDevice(mend.to_owned()))
    }
}
