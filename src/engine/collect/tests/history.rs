//! Collecting into a history that takes nothing for a while, or that was lost:
//! no cycle ends by that, and nothing stays missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{CPU, Moody, samples};
use crate::domain::{Step, Timestamp};
use crate::engine::tests::{clock, pass, start};
use crate::engine::{Compute, Engine, Ids, Parts, Settings, Silent};
use crate::ports::hands::Hands;
use crate::ports::{Clock, History};
use crate::registry::Registry;
use crate::store::{MemoryShelf, MemoryStore, ParquetHistory};
use crate::target::RegistryTarget;
use crate::telemetry::Metrics;

/// Hours of usage at the first cycle.
const FIRST: usize = 21 * 24;

/// An engine over a history in this folder, as after a start.
fn engine_with(folder: &Path, store: &Arc<MemoryStore>, clock: &Arc<Hands>) -> Arc<Engine> {
    let parts = Parts {
        source: Moody::new(),
        history: Arc::new(ParquetHistory::open(folder).unwrap()),
        shelf: Arc::new(MemoryShelf::default()),
        registry: Registry::new(store.clone(), clock.clone()),
        target: Arc::new(RegistryTarget),
        prices: None,
        clock: clock.clone(),
        ids: Ids::from_seed(1),
        compute: Compute::new(2, 1).unwrap(),
        metrics: Arc::new(Metrics::default()),
    };
    Arc::new(Engine::new(parts, Settings::default()))
}

/// Samples that are on disk.
fn kept(folder: &Path) -> usize {
    let history = ParquetHistory::open(folder).unwrap();
    history.load(CPU, Step::HOUR, start()).unwrap().samples()
}

async fn watermark(engine: &Engine) -> Option<Timestamp> {
    engine.registry().watermark(CPU).await.unwrap()
}

/// The folder of the resource, put aside while a file stands in its place.
struct Broken {
    folder: PathBuf,
    aside: PathBuf,
}

impl Broken {
    fn below(history: &Path) -> Broken {
        let (folder, aside) = (history.join(CPU.name()), history.join("aside"));
        fs::rename(&folder, &aside).unwrap();
        fs::write(&folder, b"").unwrap();
        Broken { folder, aside }
    }

    fn mend(self) {
        fs::remove_file(&self.folder).unwrap();
        fs::rename(&self.aside, &self.folder).unwrap();
    }
}

#[tokio::test]
async fn what_the_history_does_not_take_is_held_and_kept_later() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let store = Arc::new(MemoryStore::default());
    let engine = engine_with(folder.path(), &store, &clock);
    engine.cycle(&Silent).await.unwrap();
    let until = watermark(&engine).await;
    assert_eq!((samples(&engine), engine.history_problem()), (FIRST, None));
    let failing = |engine: &Engine, is_failing: u8| {
        let line = format!("plimsoll_history_failing {is_failing}");
        engine.metrics().render().lines().any(|shown| shown == line)
    };
    assert!(failing(&engine, 0));

    let broken = Broken::below(folder.path());
    for hours in 1..=2 {
        pass(&engine, &clock, 1).await;
        let problem = engine.history_problem().unwrap();
        assert!(problem.starts_with("failed to use the history file"), "{problem}");
        assert!(problem.contains(CPU.name()) && failing(&engine, 1), "{problem}");
        assert_eq!(samples(&engine), FIRST + hours, "what came is worked with");
        assert_eq!(watermark(&engine).await, until, "and not marked as collected");
        assert_eq!(engine.workspace().last_cycle_at(), Some(clock.now()), "the cycle went on to its end");
    }
    broken.mend();
    pass(&engine, &clock, 1).await;
    assert_eq!(engine.history_problem(), None);
    assert!(failing(&engine, 0));
    assert_eq!((samples(&engine), kept(folder.path())), (FIRST + 3, FIRST + 3), "each of them once");
    assert!(watermark(&engine).await > until);
}

#[tokio::test]
async fn a_history_that_was_lost_is_fetched_again_after_a_start() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let store = Arc::new(MemoryStore::default());
    let engine = engine_with(folder.path(), &store, &clock);
    engine.cycle(&Silent).await.unwrap();
    let until = watermark(&engine).await;
    drop(engine);

    let engine = engine_with(folder.path(), &store, &clock);
    engine.restore().await.unwrap();
    assert_eq!((samples(&engine), watermark(&engine).await), (FIRST, until), "it is all there");
    drop(engine);

    fs::remove_dir_all(folder.path().join(CPU.name())).unwrap();
    let engine = engine_with(folder.path(), &store, &clock);
    engine.restore().await.unwrap();
    assert_eq!((samples(&engine), watermark(&engine).await), (0, None));
    engine.cycle(&Silent).await.unwrap();
    assert_eq!((samples(&engine), kept(folder.path())), (FIRST, FIRST));
    assert_eq!(watermark(&engine).await, until);
}
