//! What resources cost, in which currency, and what may be spent.

use std::path::PathBuf;

use super::reader::{Complaint, Key, Reader, Section};
use super::values::plain_text;
use crate::domain::{Budget, Budgets, Currency, DomainError, ExchangeRate, ExchangeRates, Purchase};

/// What resources cost.
#[derive(Debug, Clone)]
pub struct Costs {
    /// The provider whose prices count for all tenants; each tenant's own
    /// where `None`.
    pub provider: Option<String>,
    /// A price book in the place of those that come along.
    pub file: Option<PathBuf>,
    /// The region whose prices count for all tenants; each tenant's own where
    /// `None`.
    pub region: Option<String>,
    /// How capacity is bought.
    pub purchase: Purchase,
    /// The currency of every cost; the book's where `None`.
    pub currency: Option<Currency>,
    /// What currencies are worth.
    pub rates: ExchangeRates,
    /// What may be spent.
    pub budgets: Budgets,
    /// The account that an export says everything is billed to.
    pub billing_account: String,
    /// Who an export says bills it.
    pub invoice_issuer: String,
    /// The most rows of an export.
    pub export_rows: usize,
}

const ABOUT: &str = "\
What resources cost. Without this section nothing has a cost. Price books for aws, azure, gcp \
and on-premises come along; their heads in config/prices say what the figures are reckoned \
from. Those of on-premises are examples: put your own in a file.";

impl Costs {
    /// `None` where there is no such section.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut section = reader.section("costs", ABOUT);
        let provider = section.choice(
            "book",
            "Whose prices count: those of each tenant's own provider, or those of one provider for all \
             tenants.",
            &[
                ("by_tenant", None),
                ("aws", Some("aws")),
                ("azure", Some("azure")),
                ("gcp", Some("gcp")),
                ("on-premises", Some("on-premises")),
            ],
        );
        let costs = Costs {
            provider: provider.map(str::to_owned),
            file: read_file(&mut section),
            region: read_region(&mut section),
            purchase: section.choice(
                "purchase",
                "How capacity is bought. What a book has no such price of costs what it does on demand.",
                &Purchase::ALL.map(|purchase| (purchase.name(), purchase)),
            ),
            currency: read_currency(&mut section),
            rates: read_rates(&mut section),
            budgets: read_budgets(&mut section),
            billing_account: section.text(
                "billing_account",
                "The account that the export of costs (FOCUS) says everything is billed to.",
                "a name",
                "plimsoll",
                |_| Ok(()),
            ),
            invoice_issuer: section.text(
                "invoice_issuer",
                "Who bills it: your platform's name.",
                "a name",
                "plimsoll",
                |_| Ok(()),
            ),
            export_rows: section.count(
                "export_rows",
                "The most rows of an export, which has one for each quota and day.",
                200_000,
                1..=10_000_000,
            ),
        };
        section.is_given().then_some(costs)
    }
}

fn refuse(error: DomainError, mend: &str) -> Complaint {
    Complaint::new(format!("can't be used: failed to {error}"), mend)
}

fn read_file(section: &mut Section<'_, '_>) -> Option<PathBuf> {
    let about = "A price book of your own, in the place of those that come along; config/prices has \
                 examples of its form.";
    let key = Key::new("file", about, "the path of a TOML file").example("\"prices.toml\"");
    section.file(key)
}

fn read_region(section: &mut Section<'_, '_>) -> Option<String> {
    let about = "The region whose prices count for all tenants; each tenant's own where it is left out. One \
                 that a book does not know costs what region \"*\" does there.";
    let key = Key::new("region", about, "a name").example("\"eu-central-1\"");
    section.take(key, |value| plain_text(value, "\"eu-central-1\""))
}

fn read_currency(section: &mut Section<'_, '_>) -> Option<Currency> {
    let about = "The currency of every cost; the book's, which is USD, where it is left out. Another one \
                 needs a rate.";
    let key = Key::new("currency", about, "a code of three capital letters").example("\"EUR\"");
    section.take(key, |value| {
        let text = plain_text(value, "\"EUR\"")?;
        text.parse().map_err(|error| refuse(error, "write it like \"EUR\""))
    })
}

fn read_rates(section: &mut Section<'_, '_>) -> ExchangeRates {
    let like = "\"1 EUR = 1.0843 USD on 2026-11-20\"";
    let about = "What currencies are worth, each from a date on. None come along: put in those that your \
                 books are kept by. Each works both ways.";
    let key = Key::new("rates", about, "a list of rates").example(format!("[{like}]"));
    let rates = section.list(key, like, |text| {
        text.parse::<ExchangeRate>().map_err(|error| refuse(error, "mend or remove it"))
    });
    ExchangeRates::new(rates.unwrap_or_default())
}

fn read_budgets(section: &mut Section<'_, '_>) -> Budgets {
    let like = "\"fleet 10000EUR/month\"";
    let about = "What may be spent in a month by all tenants, by those of a tier, by one tenant. One that \
                 the calendar month will exceed is an incident; nothing is held back by it.";
    let example = "[\"fleet 10000EUR/month\", \"tier PREMIUM 4000EUR/month\", \"tenant acme 500EUR/month\"]";
    let key = Key::new("budgets", about, "a list of budgets").example(example);
    let budgets = section
        .list(key, like, |text| text.parse::<Budget>().map_err(|error| refuse(error, "mend or remove it")));
    Budgets::new(budgets.unwrap_or_default())
}
