//! How far a cycle is, for whoever watches.

/// Is told of a cycle's progress.
pub trait Progress: Send + Sync {
    /// A step begins, with so many things to do.
    fn begin(&self, step: &'static str, things: usize);

    /// One more thing is done.
    fn advance(&self);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _step: &'static str, _things: usize) {}

    fn advance(&self) {}
}
