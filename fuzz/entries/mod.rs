//! An entry for each parser: bytes that somebody else wrote go in, and what must
//! hold of any bytes is asserted. The fuzz targets call them, and so does the test
//! command, on the kept corpus and mutations of it. docs/fuzzing.md names the
//! parsers that have none.

mod answer;
mod body;
mod prices;
mod records;
mod reply;
mod target;

pub use answer::answer;
pub use body::{body, routes_left_out};
pub use prices::prices;
pub use reply::reply;
pub use target::{quantity, quotas};

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use plimsoll::config::Config;
use plimsoll::domain::template::yaml;
use plimsoll::domain::{
    self, ApplyMode, Money, PerMonth, Resource, Role, Step, TenantId, Tier, Timestamp, Timetable, Zone,
};
use plimsoll::series::table;
use plimsoll::telemetry::TraceContext;

/// The config file: read, or every problem named with what to mend.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let known = |name: &str| (name == "SECRET").then(|| "s3cret-s3cret-s3cret".to_owned());
    if let Err(problems) = Config::from_text(text, Path::new("/nowhere/plimsoll.toml"), &known) {
        assert!(!problems.problems.is_empty(), "refused without a reason");
        assert!(problems.problems.iter().all(|problem| !problem.what.is_empty()), "a problem without words");
        assert!(!problems.to_string().contains("s3cret-s3cret"), "a secret is shown");
    }
}

/// Templates in YAML: what is read can be written, and is read as the same.
pub fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(documents) = yaml::read(text) else { return };
    for document in documents {
        let Ok(written) = yaml::write(&document.template) else { continue };
        let again = yaml::read(&written).unwrap_or_else(|fault| panic!("{fault:?} in\n{written}"));
        assert_eq!(again[0].template, document.template, "{written}");
    }
}

/// Usage files as CSV: what is read can be written, and has as many rows then.
pub fn csv(bytes: &[u8]) {
    read_table(bytes, "csv");
}

/// Usage files as Parquet.
pub fn parquet(bytes: &[u8]) {
    read_table(bytes, "parquet");
}

fn read_table(bytes: &[u8], ending: &str) {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("no folder"));
    let file = FOLDER.path().join(format!("{:?}.{ending}", std::thread::current().id()));
    std::fs::write(&file, bytes).expect("no room for the file");
    let Ok(read) = table::read(&file) else { return };
    let _ = table::usage(&read);
    let _ = table::read_fleet(&file);
    if read.rows() > 0 && ending == "csv" {
        let written = table::to_csv(&read).expect("a table that was read can't be written");
        std::fs::write(&file, &written).expect("no room for the file");
        let again = table::read(&file).unwrap_or_else(|error| panic!("{error}: {written:?}"));
        assert_eq!(again.rows(), read.rows());
    }
}

/// Bearer tokens, codes and session cookies: none of them lets anybody in.
pub fn token(bytes: &[u8]) {
    body::knock(bytes);
}

/// Single words of configs, paths, queries and headers: times, durations, money,
/// cron, names, the `Retry-After` of a webhook's answer, the `traceparent` of a
/// request.
pub fn words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let now = Timestamp::from_seconds(1_790_000_000);
    if let Some(wait) = domain::retry_after(text, now) {
        let _ = now.plus(wait);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        assert_eq!(at.to_string().parse(), Ok(at), "{text}");
        let _ = at.floor_to(Step::FIVE_MINUTES);
    }
    if let Ok(money) = text.parse::<Money<PerMonth>>() {
        let _ =
            (money.plus(&money), money.minus(&money), money.times(3.5), money.per_hour(), money.rounded());
    }
    if let Ok(tenant) = text.parse::<TenantId>() {
        assert_eq!(tenant.as_str(), text);
    }
    if let Ok(trace) = text.parse::<TraceContext>() {
        assert!(trace.to_string().parse::<TraceContext>().is_ok(), "{text} is told as {trace}");
    }
    let (expression, zone) = text.split_once('\n').unwrap_or((text, "Europe/Berlin"));
    if let Ok(table) = Timetable::parse(expression, zone) {
        let next = table.next_after(now);
        assert!(next.is_none_or(|next| next > now), "{expression}: {next:?}");
        let _ = (table.latest(now, now.plus(Duration::from_secs(86_400))), table.before(now));
    }
    let _ = (text.parse::<Resource>(), text.parse::<Tier>(), text.parse::<Role>(), text.parse::<Zone>());
    let _ = (text.parse::<ApplyMode>(), text.parse::<domain::Cadence>(), text.parse::<domain::MarkerKind>());
    let _ = (text.parse::<domain::Budget>(), text.parse::<domain::ExchangeRate>());
}
