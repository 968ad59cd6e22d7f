//! How reports are made, which are made again and again, and for whom.

use std::time::Duration;

use super::notify::bad_value;
use super::reader::{Key, Reader, Section};
use super::units::days;
use super::values::plain_text;
use crate::domain::{
    Language, Receiver, ReceiverName, ReportFormat, ReportSchedule, ReportTenants, TenantId, Timetable, Zone,
};

/// How reports are made.
#[derive(Debug, Clone)]
pub struct Reports {
    /// The most rows of a list.
    pub max_rows: usize,
    /// The time that a report is on where nobody says.
    pub period: Duration,
    /// How long those of a schedule are kept.
    pub keep: Duration,
    /// The most tenants' reports of a schedule.
    pub max_tenants: usize,
    /// How often it is looked whether one is due.
    pub check_every: Duration,
    /// Those that are made again and again.
    pub schedules: Vec<ReportSchedule>,
}

const ABOUT: &str = "How reports are made; docs/reports.md shows them.";

const SCHEDULES: &str = "\
Reports that are made again and again, a section each, under a name of your choice. One that was \
missed while the daemon was down is made once at the next start.";

/// Stands for all tenants.
const EACH: &str = "*";

impl Reports {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("reports", ABOUT);
        let section = &mut section;
        let max_rows = section.count("max_rows", "The most rows of each list in a report.", 20, 1..=10_000);
        let period = section.duration(
            "period",
            "The time up to now that a report is on where the caller names none. A scheduled report begins \
             where the one before ended.",
            days(7),
            Duration::from_secs(3600)..=days(366),
        );
        let keep = section.duration(
            "keep",
            "How long reports of a schedule are kept, to be read again and to be compared with.",
            days(400),
            days(1)..=days(3650),
        );
        let max_tenants = section.count(
            "max_tenants",
            "The most tenants of a schedule that get a report of their own.",
            1_000,
            1..=100_000,
        );
        let check_every = section.duration(
            "check_every",
            "How often it is looked whether a report is due.",
            Duration::from_secs(30),
            Duration::from_millis(10)..=Duration::from_secs(3600),
        );
        let mut schedules = Vec::new();
        for name in reader.names_of_sections("report_schedules", SCHEDULES, "weekly") {
            let about = "A schedule.";
            let mut section = reader.named_section("report_schedules", &name, about);
            schedules.extend(read_schedule(&mut section, &name));
        }
        Reports { max_rows, period, keep, max_tenants, check_every, schedules }
    }
}

fn read_schedule(section: &mut Section<'_, '_>, name: &str) -> Option<ReportSchedule> {
    let timetable = read_timetable(section);
    let format = section.choice(
        "format",
        "How it is written for receivers of the kinds folder and email; all others are told where it is.",
        &ReportFormat::ALL.map(|format| (format.name(), format)),
    );
    let language = section.choice(
        "language",
        "In which language.",
        &Language::ALL.map(|language| (language.code(), language)),
    );
    let fleet = section.switch("fleet", "Whether a report on the whole fleet is made.", true);
    let tenants = read_tenants(section);
    let deliver_to = read_deliver_to(section);
    if !section.is_given() {
        return None;
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        let mend = "use up to 64 of the characters a-z 0-9 _ -";
        section.conflict(&[], "is no name of a schedule", mend);
        return None;
    }
    if !fleet && tenants == ReportTenants::These(Vec::new()) {
        let mend = "set fleet = true, or name tenants";
        section.conflict(
            &["fleet"],
            "is false and no tenants are named, so there is nothing to report on",
            mend,
        );
    }
    let name = name.to_owned();
    Some(ReportSchedule { name, timetable: timetable?, format, language, fleet, tenants, deliver_to })
}

/// Reads a cron expression with its time zone; `about` says what is due then.
pub(super) fn read_timetable(section: &mut Section<'_, '_>) -> Option<Timetable> {
    let key = Key::new(
        "cron",
        "When it is due: minute, hour, day of the month, month, weekday. A fixed time that the clock skips in \
         spring is due right after; one that comes twice in autumn is due once.",
        "a cron expression",
    );
    let expression = section.take(key.example("\"0 7 * * MON\""), |value| {
        let text = plain_text(value, "\"0 7 * * MON\"")?;
        Timetable::parse(&text, "UTC").map_err(bad_value)?;
        Ok(text)
    });
    if section.is_given() && !section.has("cron") {
        section.conflict(&["cron"], "is missing", "add cron = \"0 7 * * MON\" to the section");
    }
    let zone = section.text(
        "time_zone",
        "In which time zone, by its name in the IANA database.",
        "a time zone",
        "UTC",
        |text| text.parse::<Zone>().map(|_| ()).map_err(bad_value),
    );
    Timetable::parse(&expression?, &zone).ok()
}

fn read_tenants(section: &mut Section<'_, '_>) -> ReportTenants {
    let key = Key::new(
        "tenants",
        "The tenants that get a report of their own each; [\"*\"] for all of them.",
        "a list of tenant ids",
    );
    let named = section.list(key.example("[\"acme\"]"), "\"acme\"", |text| match text {
        EACH => Ok(None),
        text => text.parse::<TenantId>().map(Some).map_err(bad_value),
    });
    let named: Option<Vec<TenantId>> = named.unwrap_or_default().into_iter().collect();
    named.map_or(ReportTenants::All, ReportTenants::These)
}

fn read_deliver_to(section: &mut Section<'_, '_>) -> Vec<ReceiverName> {
    let key = Key::new(
        "deliver_to",
        "The receivers that get it, by their names; one that takes no files is told where it is. Where it is \
         left out, the report is only kept.",
        "a list of receivers",
    );
    let names = section.list(key.example("[\"archive\", \"finops\"]"), "\"archive\"", |text| {
        text.parse::<ReceiverName>().map_err(bad_value)
    });
    names.unwrap_or_default()
}

/// Reports receivers that a schedule names and that there are not.
pub(super) fn check_receivers(reports: &Reports, receivers: &[Receiver], reader: &mut Reader<'_>) {
    let known: Vec<&str> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
    for schedule in &reports.schedules {
        for name in schedule.deliver_to.iter().filter(|name| !known.contains(&name.as_str())) {
            let key = format!("report_schedules.{}.deliver_to", schedule.name);
            let what = format!("names the receiver {name}, which the config does not have");
            reader.conflict(&[&key], what, format!("add a section [receivers.{name}], or remove the name"));
        }
    }
}
