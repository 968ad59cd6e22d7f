//! Charges reckoned by hand, and the table held against the specification.

use super::*;
use crate::cost::example::{at, prices, rising, tenant};
use crate::cost::{Line, Settings, of_tenant};
use crate::domain::{Tier, TimeRange};

/// The mandatory columns of FOCUS 1.2, and whether each may be null: the column
/// id, "Feature level" and "Allows nulls" of each file in specification/columns
/// of github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec at its tag v1.2.
const MANDATORY: [(&str, bool); 21] = [
    ("BilledCost", false),
    ("BillingAccountId", false),
    ("BillingAccountName", true),
    ("BillingCurrency", false),
    ("BillingPeriodEnd", false),
    ("BillingPeriodStart", false),
    ("ChargeCategory", false),
    ("ChargeClass", true),
    ("ChargeDescription", true),
    ("ChargePeriodEnd", false),
    ("ChargePeriodStart", false),
    ("ContractedCost", false),
    ("EffectiveCost", false),
    ("InvoiceIssuerName", false),
    ("ListCost", false),
    ("PricingQuantity", true),
    ("PricingUnit", true),
    ("ProviderName", false),
    ("PublisherName", false),
    ("ServiceCategory", false),
    ("ServiceName", false),
];

/// The other columns of FOCUS 1.2, which are conditional or recommended.
const OTHERS: [&str; 36] = [
    "AvailabilityZone",
    "BillingAccountType",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "ChargeFrequency",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedUnitPrice",
    "InvoiceId",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
];

fn range(start: &str, end: &str) -> TimeRange {
    TimeRange { start: at(start), end: at(end) }
}

fn cores(limit: f64, changes: &[(&str, f64, f64)]) -> Held {
    let changes =
        changes.iter().map(|(day, before, after)| Change { at: at(day), before: *before, after: *after });
    Held { resource: Resource::CpuCores, limit, changes: changes.collect() }
}

/// The rows of a CSV, each a map of its cells.
fn rows(csv: &[u8]) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(csv);
    reader.deserialize().map(|row| row.unwrap()).collect()
}

/// 8 cores, and 4 from the noon of the 10th on, at 0.5 and from the 11th on at
/// 0.75: 12 hours of 8 and 12 of 4 are 144 core-hours, or 72 dollars.
#[test]
fn each_day_has_the_quota_and_the_price_of_its_time() {
    let (prices, acme) = (rising(), tenant("acme", Tier::Premium, "2026-11-09T06:00:00Z"));
    let held = [cores(4.0, &[("2026-11-10T12:00:00Z", 8.0, 4.0)])];
    let found = charges(&prices, &acme, &held, range("2026-10-01", "2026-11-12T01:30:00.250Z")).unwrap();
    let csv = export(&prices, &found, ExportFormat::Csv).unwrap();
    let days: Vec<_> = rows(&csv)
        .iter()
        .map(|row| ["ChargePeriodStart", "PricingQuantity", "BilledCost"].map(|name| row[name].clone()))
        .collect();
    let day = |start: &str, quantity: &str, cost: &str| [start, quantity, cost].map(str::to_owned);
    assert_eq!(
        days,
        [
            day("2026-11-09T06:00:00Z", "144", "72"),
            day("2026-11-10T00:00:00Z", "144", "72"),
            day("2026-11-11T00:00:00Z", "96", "72"),
            day("2026-11-12T00:00:00Z", "6.000277777778", "4.500208333333"),
        ]
    );
}

#[test]
fn every_row_is_as_the_specification_asks() {
    let (prices, acme) = (prices(&[]), tenant("acme", Tier::Premium, "2026-10-30"));
    let quota = |resource| Held { resource, limit: 3.0, changes: Vec::new() };
    let held = Resource::ALL.map(quota);
    let found = charges(&prices, &acme, &held, range("2026-10-01", "2026-11-03")).unwrap();
    let csv = export(&prices, &found, ExportFormat::Csv).unwrap();
    let rows = rows(&csv);
    assert_eq!(rows.len(), 4, "only cores have a price here");
    for row in &rows {
        for (column, nullable) in MANDATORY {
            assert!(nullable || !row[column].is_empty(), "{column} is null in {row:?}");
        }
        for (column, allowed) in
            [("ChargeCategory", "Usage"), ("ChargeClass", ""), ("PricingCategory", "Standard")]
        {
            assert_eq!(row[column], allowed);
        }
        for column in ["BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"] {
            let time = chrono::NaiveDateTime::parse_from_str(&row[column], "%Y-%m-%dT%H:%M:%SZ").unwrap();
            assert!(time.to_string().ends_with("00:00:00"), "{time}");
        }
        let number = |column: &str| row[column].parse::<Decimal>().unwrap();
        assert_eq!(number("ListUnitPrice") * number("PricingQuantity"), number("ListCost"));
        assert_eq!(number("ContractedUnitPrice") * number("PricingQuantity"), number("ContractedCost"));
        let tags: serde_json::Value = serde_json::from_str(&row["Tags"]).unwrap();
        assert_eq!(tags["plimsoll/tier"], "PREMIUM");
        assert!(row["BillingPeriodStart"] <= row["ChargePeriodStart"], "{row:?}");
        assert!(row["ChargePeriodEnd"] <= row["BillingPeriodEnd"], "{row:?}");
    }
    // Columns of our own come last and say so.
    let header = csv.split(|byte| *byte == b'\n').next().unwrap();
    let names: Vec<_> = std::str::from_utf8(header).unwrap().split(',').collect();
    let own = names.iter().position(|name| name.starts_with("x_")).unwrap();
    assert!(names[own..].iter().all(|name| name.starts_with("x_")), "{names:?}");
    assert!(names[..own].is_sorted(), "{names:?}");
    let mandatory = || MANDATORY.iter().map(|(name, _)| name);
    assert!(mandatory().all(|name| names[..own].contains(name)), "{names:?}");
    assert!(
        names[..own].iter().all(|name| mandatory().chain(&OTHERS).any(|known| known == name)),
        "{names:?}"
    );
}

/// The days of a month add up to what the month has cost so far.
#[test]
fn the_rows_add_up_to_the_costs() {
    let (prices, acme) = (rising(), tenant("acme", Tier::Premium, "2026-11-02T07:11:13.017Z"));
    let held = cores(4.1, &[("2026-11-10T12:34:56Z", 7.3, 4.1)]);
    let now = at("2026-11-23T17:05:09.123Z");
    let line = Line {
        resource: held.resource,
        limit: held.limit,
        recommended: None,
        needed: None,
        changes: held.changes.clone(),
    };
    let costs = of_tenant(&prices, &acme, &[line], now).unwrap();
    let month = TimeRange { start: month_of(now).start, end: now };
    let found = charges(&prices, &acme, &[held], month).unwrap();
    let sum: Decimal = found.iter().map(Charge::cost).sum();
    assert_eq!(sum.round_dp(6).normalize(), costs.costs.so_far.amount.normalize());
}

/// A committed price is less than the list's; what is sold at the moment's
/// price has no other.
#[test]
fn the_list_price_is_that_on_demand() {
    let book = crate::cost::PriceBook::shipped().unwrap();
    let acme = crate::domain::Tenant {
        provider: "aws".to_owned(),
        region: "us-east-1".to_owned(),
        ..tenant("acme", Tier::Premium, "2026-11-01")
    };
    for (purchase, category, share) in [
        (Purchase::OnDemand, "Standard", 1.0..1.000_001),
        (Purchase::Committed1y, "Other", 0.3..0.9),
        (Purchase::Spot, "Dynamic", 1.0..1.000_001),
    ] {
        let settings = Settings { purchase, ..Settings::default() };
        let prices = Prices::new(book.clone(), settings, at("2026-11-21")).unwrap();
        let found = charges(&prices, &acme, &[cores(2.0, &[])], range("2026-11-20", "2026-11-21")).unwrap();
        let csv = export(&prices, &found, ExportFormat::Csv).unwrap();
        let row = &rows(&csv)[0];
        let number = |column: &str| row[column].parse::<f64>().unwrap();
        assert_eq!(
            (row["PricingCategory"].as_str(), row["x_Purchase"].as_str()),
            (category, purchase.name())
        );
        let of_list = number("EffectiveCost") / number("ListCost");
        assert!(share.contains(&of_list), "{purchase}: {of_list}");
    }
}
