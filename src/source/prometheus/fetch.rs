//! One fetch: a range in as many queries as it takes.
//!
//! A part that the server finds too large, takes too long over or answers
//! slowly is halved, and so are the parts that follow it. Where a single
//! instant is still too much, the tenants are asked for in smaller shares, and
//! parts may be long again. What was answered before a failure is kept.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::SemaphorePermit;

use super::answer::Series;
use super::client::{Answered, Client, Query, When};
use super::failure::Failure;
use super::grid::Grid;
use super::share::{Share, Splitter};
use crate::domain::{TenantId, Timestamp};
use crate::ports::{Asked, SourceError};

/// How much may be asked for at once, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portion {
    /// The most points a query.
    pub points: usize,
    /// How many characters of the tenants' names tell their shares apart; 0
    /// where all are asked for together.
    pub depth: usize,
}

/// One fetch under way.
pub(super) struct Fetch<'a> {
    client: &'a Client,
    asked: Asked,
    expression: &'a str,
    tenant_label: &'a str,
    /// The most points a query; falls when the server found one too large.
    most_points: AtomicUsize,
    /// As many as they are at first, and again for smaller shares.
    first_points: usize,
    /// A query of no more points is not halved again.
    least_points: usize,
    depth: AtomicUsize,
    timed_out: AtomicUsize,
}

/// What a part of the range gave.
pub(super) struct Part {
    /// The series, in no order.
    pub series: Vec<Series>,
    /// Why the rest is missing, and from which instant on.
    pub broken_off: Option<(Timestamp, Failure)>,
}

impl<'a> Fetch<'a> {
    /// A fetch that begins with `portion` and halves it `max_halvings` times.
    pub fn new(
        client: &'a Client,
        (asked, expression, tenant_label): (Asked, &'a str, &'a str),
        portion: Portion,
        max_halvings: u32,
    ) -> Self {
        Fetch {
            client,
            asked,
            expression,
            tenant_label,
            most_points: AtomicUsize::new(portion.points),
            first_points: portion.points,
            least_points: portion.points.checked_shr(max_halvings).unwrap_or(0).max(1),
            depth: AtomicUsize::new(portion.depth),
            timed_out: AtomicUsize::new(0),
        }
    }

    /// How much may be asked for at once, as far as it is known by now.
    pub fn portion(&self) -> Portion {
        Portion {
            points: self.most_points.load(Ordering::Relaxed),
            depth: self.depth.load(Ordering::Relaxed),
        }
    }

    /// The series of one part, in as many queries as it takes.
    pub async fn part(&self, whole: Grid) -> Part {
        let mut series = Vec::new();
        // The earliest lies on top.
        let mut waiting = vec![(whole, Share::default())];
        while let Some((grid, share)) = waiting.pop() {
            let portion = self.portion();
            let Portion { points, depth } = portion;
            if grid.points > points {
                waiting.extend(grid.split(points).into_iter().rev().map(|part| (part, share.clone())));
                continue;
            }
            if let Some(shares) = share.split().filter(|_| share.depth() < depth) {
                waiting.extend(shares.into_iter().map(|share| (grid, share)));
                continue;
            }
            let turn = self.client.turn().await;
            // Another part may have found meanwhile that it is too much.
            if self.portion() != portion {
                waiting.push((grid, share));
                continue;
            }
            match self.ask(turn, grid, &share).await {
                Ok(answered) => {
                    series.extend(answered.series);
                    if answered.was_slow {
                        self.halve(grid, "the last answer came slowly");
                    }
                }
                Err(failure) => {
                    let adapted = self.adapt(&failure, grid, &share);
                    waiting.push((grid, share));
                    if !adapted {
                        let until = waiting.iter().map(|(grid, _)| grid.start).min();
                        let failure = self.named(failure);
                        return Part { series, broken_off: Some((until.unwrap_or(whole.start), failure)) };
                    }
                }
            }
        }
        Part { series, broken_off: None }
    }

    async fn ask(&self, turn: SemaphorePermit<'_>, grid: Grid, share: &Share) -> Result<Answered, Failure> {
        let query = |expression| Query { asked: self.asked, expression, when: When::Grid(grid) };
        if share.depth() == 0 {
            return self.client.ask(turn, query(self.expression)).await;
        }
        let expression = self.splitter().map(|splitter| splitter.expression(share));
        let answered = self.client.ask(turn, query(expression.as_deref().unwrap_or(self.expression))).await?;
        let names = answered.series.iter().filter_map(|series| series.metric.get(self.tenant_label));
        let stray = names.filter(|name| name.parse::<TenantId>().is_ok()).find(|name| !share.takes(name));
        match stray {
            None => Ok(answered),
            Some(name) => {
                // The next fetch asks for all tenants again: what a server that hung
                // could not answer it may answer by now.
                self.depth.store(0, Ordering::Relaxed);
                Err(Failure::Final(SourceError::Malformed {
                    asked: self.asked,
                    message: format!(
                        "{name} is among the series of other tenants; a single instant is too much for the \
                         server, and the expression can't be asked in parts: record it by a rule"
                    ),
                }))
            }
        }
    }

    fn splitter(&self) -> Option<Splitter> {
        Splitter::of(self.expression, self.tenant_label)
    }

    /// Asks for less from now on; gives whether that may help.
    fn adapt(&self, failure: &Failure, grid: Grid, share: &Share) -> bool {
        let Failure::TooMuch { message, timed_out } = failure else { return false };
        if *timed_out && !self.client.may_try(self.timed_out.fetch_add(1, Ordering::Relaxed)) {
            self.client.give_up();
            // The next fetch begins with less.
            self.halve(grid, message);
            return false;
        }
        self.halve(grid, message) || self.narrow(share, message)
    }

    fn halve(&self, grid: Grid, why: &str) -> bool {
        let may = grid.points > self.least_points;
        if may {
            let half = grid.points.div_ceil(2);
            self.most_points.fetch_min(half, Ordering::Relaxed);
            tracing::debug!(asked = %self.asked, points = half, "asking for less: {why}");
        }
        may
    }

    fn narrow(&self, share: &Share, why: &str) -> bool {
        let may = share.split().is_some() && self.splitter().is_some();
        let depth = share.depth() + 1;
        if may && self.depth.fetch_max(depth, Ordering::Relaxed) < depth {
            self.most_points.store(self.first_points, Ordering::Relaxed);
            tracing::info!(asked = %self.asked, depth, "asking for smaller shares of the tenants: {why}");
        }
        may
    }

    /// The failure, with what to do where nothing smaller can be asked for.
    fn named(&self, failure: Failure) -> Failure {
        match failure {
            Failure::TooMuch { message, timed_out: false } => Failure::TooMuch {
                message: format!(
                    "{message}; asking for less did not help: have a rule record the expression by tenant, or \
                     raise the limit"
                ),
                timed_out: false,
            },
            failure => failure,
        }
    }
}
