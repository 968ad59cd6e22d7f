//! Price books, as `costs.file` names one.

use std::path::Path;
use std::time::Duration;

use plimsoll::cost::{PriceBook, PriceBookError, Prices};
use plimsoll::domain::{Resource, Site, TimeRange, Timestamp};

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const MONTH: Duration = Duration::from_secs(30 * 86_400);
/// Where the books of the corpus have prices.
const SITE: Site<'_> = Site { provider: "aws", region: "eu-central-1" };

/// A price book: it is read, and nothing costs less than nothing; or every problem
/// has its place in the text and its words.
pub fn prices(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match PriceBook::from_toml(text) {
        Ok(book) => spend(&Prices::listed(book)),
        Err(error) => check(text, &error),
    }
}

fn check(text: &str, error: &PriceBookError) {
    assert!(!error.problems.is_empty(), "refused without a reason");
    assert!(error.problems.is_sorted_by_key(|problem| problem.place), "{error}");
    let lines = text.matches('\n').count() + 1;
    for problem in &error.problems {
        assert!((1..=lines).contains(&problem.place.line), "{error}");
        assert!(!problem.text.is_empty(), "a problem without words");
    }
    let told = error.lines(Path::new("own.toml"));
    assert!(told.lines().count() >= error.problems.len(), "{told}");
}

fn spend(prices: &Prices) {
    let range = TimeRange { start: NOW, end: NOW.plus(MONTH) };
    for resource in Resource::ALL {
        let month = prices.per_month(SITE, resource, 2.5, NOW).map(|cost| cost.amount);
        let span = prices.over(SITE, resource, range, 2.5).map(|cost| cost.amount);
        for amount in [month, span].into_iter().flatten() {
            assert!(!amount.is_sign_negative(), "{resource}: {amount}");
        }
    }
}
