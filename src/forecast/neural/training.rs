//! Training: examples in, weights out; it shows how far it is, goes on after a
//! kill, and gives the same weights for the same seed.

use std::path::Path;

use candle_core::Device;
use ndarray::Array1;

use super::NeuralError;
use super::checkpoint::{self, Checkpoint};
use super::examples::{Lesson, Shelf};
use super::loss::pinball;
use super::network::{Network, thinning};

/// The share of steps in which the learning rate rises to its full height.
const WARM_UP: f64 = 0.05;
/// The share of the learning rate that is left at the end.
const LEAST_RATE: f64 = 0.02;

/// The share of the way that the mean weights go to the weights in a step.
const FOLLOW: f64 = 0.003;

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Where all that is random comes from.
    pub seed: u64,
    /// Steps, at most.
    pub steps: usize,
    /// Examples of a step.
    pub batch: usize,
    /// The highest learning rate; it rises at first and falls as a cosine.
    pub rate: f64,
    /// Hours at the end of each series that are not looked at.
    pub hold_back: usize,
    /// Hours before those by which the best weights are chosen.
    pub validate: usize,
    /// Steps between two looks at these; a checkpoint is written at each.
    pub look_every: usize,
    /// Looks without a better one after which training ends.
    pub patience: usize,
}

/// How far training is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// The loss of the last step's examples.
    pub loss: f64,
    /// The mean loss of the held-out examples, at the last look.
    pub held_out: Option<f64>,
    /// The least of these.
    pub best: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The weights' least held-out loss.
    pub loss: f64,
    /// The step that had it.
    pub best_step: usize,
    /// Steps done.
    pub steps: usize,
    /// How many weights there are.
    pub weights: usize,
    /// Series that were learnt from, by group.
    pub series: Vec<usize>,
    /// The held-out loss of the weights, by group.
    pub losses: Vec<f64>,
}

/// Trains on hourly series, in groups that may be summed, and writes the best
/// weights to `output`. A checkpoint stands beside it until the end.
///
/// # Errors
/// Where there is too little to learn from, the checkpoint is of another run,
/// or files or the device fail.
pub fn train(
    plan: &Plan,
    groups: &[Vec<Array1<f64>>],
    device: &Device,
    output: &Path,
    show: &mut dyn FnMut(&Progress),
) -> Result<Outcome, NeuralError> {
    let shelf = Shelf::new(groups, plan.hold_back, plan.validate).ok_or_else(|| {
        let (held, tried) = (plan.hold_back, plan.validate);
        NeuralError::TooLittle(format!("none has three days more than the {held} + {tried} hours held out"))
    })?;
    let lessons: Vec<Lesson> =
        shelf.held_out().iter().map(|examples| examples.lesson(device)).collect::<Result<_, _>>()?;
    if lessons.is_empty() {
        return Err(NeuralError::TooLittle("nothing varies in the hours to validate on".to_owned()));
    }
    let file = checkpoint::beside(output);
    let fingerprint = plan.fingerprint(&shelf);
    let mut run = Checkpoint::resume(&file, plan.seed, fingerprint, device)?;
    let (network, average) = (Network::over(&run.weights, device)?, Network::over(&run.average, device)?);
    let mut held_out = None;
    while run.standing.step < plan.steps && !plan.is_enough(&run) {
        let lesson = shelf.draw(plan.seed, run.standing.step as u64, plan.batch).lesson(device)?;
        let thinned = thinning(lesson.len()?, plan.seed, run.standing.step as u64, device)?;
        let found = network.forward_thinned(&lesson.batch, Some(&thinned))?;
        let loss = pinball(&found, &lesson.wanted, &lesson.known)?;
        run.standing.step += 1;
        let step = i32::try_from(run.standing.step).unwrap_or(i32::MAX);
        run.optimizer.step(&run.weights, &loss.backward()?, plan.rate_at(run.standing.step), step)?;
        run.average.follow(&run.weights, share_at(run.standing.step))?;
        if run.standing.step % plan.look_every == 0 || run.standing.step == plan.steps {
            let losses = losses(&average, &lessons)?;
            held_out = Some(mean(&losses));
            take_if_better(&mut run, mean(&losses))?;
            run.write(&file)?;
        }
        let loss = f64::from(loss.to_scalar::<f32>()?);
        show(&Progress { step: run.standing.step, loss, held_out, best: run.standing.best_loss });
    }
    finish(&run, &shelf, &lessons, output, device)
}

/// At first the mean goes faster, to leave the start behind.
fn share_at(step: usize) -> f64 {
    FOLLOW.max(1.0 / (1.0 + 0.1 * step as f64)).min(1.0)
}

/// Writes the best weights, then takes the checkpoint away.
fn finish(
    run: &Checkpoint,
    shelf: &Shelf,
    lessons: &[Lesson],
    output: &Path,
    device: &Device,
) -> Result<Outcome, NeuralError> {
    let losses = losses(&Network::over(&run.best, device)?, lessons)?;
    checkpoint::write_whole(&run.best.tensors(), output)?;
    let file = checkpoint::beside(output);
    std::fs::remove_file(&file).map_err(|error| NeuralError::Write(file.display().to_string(), error))?;
    Ok(Outcome {
        loss: run.standing.best_loss,
        best_step: run.standing.best_step,
        steps: run.standing.step,
        weights: run.best.count(),
        series: shelf.counts(),
        losses,
    })
}

fn take_if_better(run: &mut Checkpoint, loss: f64) -> Result<(), NeuralError> {
    if loss < run.standing.best_loss {
        run.standing.best_loss = loss;
        run.standing.best_step = run.standing.step;
        run.best = run.average.copied()?;
    }
    Ok(())
}

/// The held-out loss of each group.
fn losses(network: &Network, lessons: &[Lesson]) -> Result<Vec<f64>, NeuralError> {
    let one = |lesson: &Lesson| {
        let found = network.forward(&lesson.batch)?.detach();
        Ok(f64::from(pinball(&found, &lesson.wanted, &lesson.known)?.to_scalar::<f32>()?))
    };
    lessons.iter().map(one).collect()
}

fn mean(losses: &[f64]) -> f64 {
    losses.iter().sum::<f64>() / losses.len().max(1) as f64
}

impl Plan {
    /// The learning rate of a step, counted from 1.
    fn rate_at(&self, step: usize) -> f64 {
        let done = step as f64 / self.steps.max(1) as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        self.rate * (done / WARM_UP).min(1.0) * (LEAST_RATE + (1.0 - LEAST_RATE) * cosine)
    }

    /// Whether there was no better look for long enough.
    fn is_enough(&self, run: &Checkpoint) -> bool {
        run.standing.step - run.standing.best_step.min(run.standing.step) >= self.patience * self.look_every
    }

    fn fingerprint(&self, shelf: &Shelf) -> u64 {
        let plan = format!("{self:?}");
        plan.bytes().fold(shelf.fingerprint(), |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

#[cfg(test)]
mod tests;
