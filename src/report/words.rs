//! Every text of a report, in each language. `{name}` stands for what is filled in.

use crate::domain::{FindingKind, Language, Resource, Severity};

macro_rules! words {
    ($($word:ident: $english:literal, $german:literal;)*) => {
        /// A text of a report.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Word { $(#[doc = $english] $word,)* }

        impl Word {
            /// All texts.
            pub const ALL: &[Word] = &[$(Word::$word,)*];

            /// The text in a language.
            pub fn text(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Word::$word, Language::English) => $english,
                    (Word::$word, Language::German) => $german,)*
                }
            }
        }
    };
}

words! {
    FleetTitle: "Fleet report", "Flottenbericht";
    TenantTitle: "Report for {tenant}", "Bericht für {tenant}";
    Period: "{from} to {to}", "{from} bis {to}";
    SumSimulated: "The usage is simulated: none of these figures is of a real tenant.", "Die Nutzung ist simuliert: Keine dieser Zahlen gehört zu einem echten Mandanten.";
    MadeAt: "Made {at} by {product}. All times are UTC.", "Erstellt {at} von {product}. Alle Zeiten in UTC.";
    InShort: "In short", "In Kürze";
    SumTenants: "Tenants: {tenants}. At the quotas that stand they cost {cost} a month.", "Mandanten: {tenants}. Bei den geltenden Kontingenten kosten sie {cost} im Monat.";
    SumTenantsOnly: "Tenants: {tenants}. There are no prices, so nothing is said of costs.", "Mandanten: {tenants}. Es gibt keine Preise, daher steht hier nichts zu Kosten.";
    SumSaving: "Of that {saving} a month could be saved. Recommendations that wait for a decision: {waiting}.", "Davon lassen sich {saving} im Monat sparen. Empfehlungen, die auf eine Entscheidung warten: {waiting}.";
    SumMore: "What is recommended costs {cost} a month more, because some tenants need more. Recommendations that wait for a decision: {waiting}.", "Das Empfohlene kostet {cost} im Monat mehr, weil einige Mandanten mehr brauchen. Empfehlungen, die auf eine Entscheidung warten: {waiting}.";
    SumNoneWait: "No recommendation waits for a decision.", "Keine Empfehlung wartet auf eine Entscheidung.";
    SumWaiting: "Recommendations that wait for a decision: {waiting}.", "Empfehlungen, die auf eine Entscheidung warten: {waiting}.";
    SumIdle: "{idle} a month pay for room that neither the past nor the forecast asks for.", "{idle} im Monat bezahlen Spielraum, den weder Vergangenheit noch Prognose verlangen.";
    SumRisk: "Quotas that are reached or will be within the forecast: {count}; the first one, {resource} of {tenant}, {when}.", "Erreichte und im Prognosezeitraum bald erreichte Kontingente: {count}; das erste, {resource} von {tenant}, {when}.";
    SumNoRisk: "No quota will be reached within the forecast.", "Kein Kontingent wird im Prognosezeitraum erreicht.";
    SumApplied: "Quotas changed: {count}. Measured, not promised, all changes that count saved {saved} in this time.", "Geänderte Kontingente: {count}. Gemessen, nicht versprochen, haben alle Änderungen in dieser Zeit {saved} gespart.";
    SumAppliedCost: "Quotas changed: {count}. Measured, not promised, all changes that count cost {saved} more in this time.", "Geänderte Kontingente: {count}. Gemessen, nicht versprochen, haben alle Änderungen in dieser Zeit {saved} mehr gekostet.";
    SumAppliedOnly: "Quotas changed: {count}.", "Geänderte Kontingente: {count}.";
    SumIncidents: "Incidents: {opened} began, {resolved} ended, {open} open.", "Vorfälle: {opened} neu, {resolved} beendet, {open} offen.";
    SumTenant: "{tenant} is on the tier {tier} and costs {cost} a month; as recommended it would be {then}.", "{tenant} hat den Tarif {tier} und kostet {cost} im Monat; wie empfohlen wären es {then}.";
    SumTenantOnly: "{tenant} is on the tier {tier}. There are no prices, so nothing is said of costs.", "{tenant} hat den Tarif {tier}. Es gibt keine Preise, daher steht hier nichts zu Kosten.";
    SumQuotas: "Quotas that are measured: {count}; of these to be changed: {change}.", "Gemessene Kontingente: {count}; davon zu ändern: {change}.";
    SumMode: "Its recommendations are {mode}.", "Ihre Empfehlungen werden {mode}.";
    ModeObserve: "only shown", "nur gezeigt";
    ModeReview: "applied once a person approves them", "angewandt, sobald ein Mensch zustimmt";
    ModeApproved: "applied by the daemon within its guardrails", "vom Dienst innerhalb der Leitplanken selbst angewandt";
    CostNow: "Cost now", "Kosten jetzt";
    CostRecommended: "As recommended", "Wie empfohlen";
    CostIdle: "Unused room", "Ungenutzter Spielraum";
    Saved: "Saved, measured", "Gemessen gespart";
    InThisTime: "in this time", "in dieser Zeit";
    AMonth: "a month", "im Monat";
    OfCost: "{share} of the cost", "{share} der Kosten";
    Risks: "Quotas at risk", "Kontingente in Gefahr";
    OpenIncidents: "Open incidents", "Offene Vorfälle";
    WithinForecast: "within the forecast", "im Prognosezeitraum";
    AtEnd: "at the end", "am Ende";
    Since: "Since the last report", "Seit dem letzten Bericht";
    SinceAbout: "Compared with the report of {at}.", "Verglichen mit dem Bericht vom {at}.";
    SinceCostMore: "The fleet costs {cost} a month more.", "Die Flotte kostet {cost} im Monat mehr.";
    SinceCostLess: "The fleet costs {cost} a month less.", "Die Flotte kostet {cost} im Monat weniger.";
    SinceCostSame: "The fleet costs the same.", "Die Flotte kostet gleich viel.";
    SinceCame: "Tenants that came ({count}): {names}.", "Neue Mandanten ({count}): {names}.";
    SinceLeft: "Tenants that left ({count}): {names}.", "Gegangene Mandanten ({count}): {names}.";
    SinceRisk: "Newly at risk ({count}): {names}.", "Neu in Gefahr ({count}): {names}.";
    SinceRelieved: "No longer at risk ({count}): {names}.", "Nicht mehr in Gefahr ({count}): {names}.";
    SinceNothing: "Nothing else is different.", "Sonst ist nichts anders.";
    Costs: "Costs by tier", "Kosten nach Tarif";
    CostsAbout: "A month of 730 hours, at the quotas that stand and as recommended.", "Ein Monat zu 730 Stunden, bei den geltenden Kontingenten und wie empfohlen.";
    Budgets: "Budgets", "Budgets";
    BudgetOf: "Budget of", "Budget von";
    BudgetLimit: "Limit", "Grenze";
    BudgetSoFar: "So far", "Bisher";
    BudgetMonthEnd: "Month's end", "Monatsende";
    BudgetState: "State", "Stand";
    BudgetKept: "kept", "eingehalten";
    BudgetExceeded: "exceeded", "überschritten";
    TopSavings: "Top savings", "Größte Einsparungen";
    TopSavingsAbout: "What waits for a decision and would save the most. The confidence says how far the past bears it out.", "Was auf eine Entscheidung wartet und am meisten sparen würde. Die Sicherheit sagt, wie weit die Vergangenheit es stützt.";
    TopSavingsNone: "Nothing that would save money waits for a decision.", "Nichts, was Geld sparen würde, wartet auf eine Entscheidung.";
    AtRisk: "Tenants at risk", "Gefährdete Mandanten";
    AtRiskAbout: "Quotas that usage has reached, or that the forecast expects to be reached, the soonest first.", "Kontingente, die erreicht sind oder laut Prognose erreicht werden, das nächste zuerst.";
    TierMoves: "Tier moves", "Tarifwechsel";
    TierMovesAbout: "Tenants whose demand fits another tier than their own.", "Mandanten, deren Bedarf zu einem anderen Tarif passt.";
    TierMovesNone: "Every tenant's demand fits its tier.", "Der Bedarf jedes Mandanten passt zu seinem Tarif.";
    Incidents: "Incidents", "Vorfälle";
    IncidentsNone: "There was no incident in this time.", "In dieser Zeit gab es keinen Vorfall.";
    Promises: "Promises to tenants", "Zusagen an Mandanten";
    PromisesOwn: "Promises to this tenant", "Zusagen an diesen Mandanten";
    PromisesAbout: "How promises stand over the {days} days up to now. The error budget is what a promise leaves of 100 %; a burn rate of 1 spends it in exactly that time.", "Wie die Zusagen über die {days} Tage bis jetzt stehen. Das Fehlerbudget ist, was eine Zusage von 100 % übrig lässt; eine Verbrauchsrate von 1 braucht es in genau dieser Zeit auf.";
    PromisesAvailability: "Availability: {kept} of {count} promises are kept.", "Verfügbarkeit: {kept} von {count} Zusagen werden eingehalten.";
    PromisesUnmeasured: "Availability is promised and not measured; the setting sla.availability says where it comes from.", "Die Verfügbarkeit ist zugesagt und wird nicht gemessen; die Einstellung sla.availability sagt, woher sie kommt.";
    PromisesLatency: "Answers in time: {kept} of {count} promises are kept.", "Antworten in der Zeit: {kept} von {count} Zusagen werden eingehalten.";
    PromisesQuotas: "Room below quotas: {kept} of {count} promises are kept.", "Spielraum unter den Kontingenten: {kept} von {count} Zusagen werden eingehalten.";
    PromisesNoneInDanger: "Each of them has more than half of its error budget left.", "Jede von ihnen hat mehr als die Hälfte ihres Fehlerbudgets übrig.";
    SumPromises: "Promises that are kept: {kept} of the {count} that are measured.", "Eingehaltene Zusagen: {kept} von {count}, die gemessen werden.";
    PromisesCard: "Promises kept", "Zusagen eingehalten";
    OfMeasured: "of {count} that are measured", "von {count}, die gemessen werden";
    Promise: "Promise", "Zusage";
    PromiseAvailability: "availability", "Verfügbarkeit";
    PromiseLatency: "answers in time", "Antworten in der Zeit";
    PromiseQuota: "{resource} below its quota", "{resource} unter dem Kontingent";
    Promised: "Promised", "Zugesagt";
    PromiseGood: "Held", "Gehalten";
    PromiseLeft: "Error budget left", "Fehlerbudget übrig";
    PromiseBurn: "Burn rate, {hours} h", "Verbrauchsrate, {hours} h";
    PromiseState: "State", "Stand";
    PromiseKept: "kept", "eingehalten";
    PromiseUsedUp: "budget used up", "Budget aufgebraucht";
    PromiseBurnsFast: "burns fast", "verbraucht sich schnell";
    PromiseBurnsSlowly: "burns too fast to last", "verbraucht sich zu schnell";
    Accuracy: "Forecast accuracy", "Prognosegüte";
    AccuracyAbout: "The loss of the forecasts as a share of that of carrying the last day on: below 100 % is better. Of 100 values 80 should lie inside the interval.", "Der Verlust der Prognosen als Anteil dessen, was die Fortschreibung des letzten Tages ergäbe: unter 100 % ist besser. Von 100 Werten sollten 80 im Intervall liegen.";
    AccuracyNone: "No forecast could be scored yet.", "Noch konnte keine Prognose bewertet werden.";
    Applied: "What was applied", "Was angewandt wurde";
    AppliedAbout: "What the limit before would have cost less what the limit since did, over the time that has passed. Negative where a change costs more.", "Was die Grenze davor gekostet hätte, weniger dem, was die Grenze seither gekostet hat, über die vergangene Zeit. Negativ, wo eine Änderung mehr kostet.";
    AppliedNone: "No quota was changed in this time.", "In dieser Zeit wurde kein Kontingent geändert.";
    AppliedByDay: "Saved each day", "Gespart je Tag";
    AppliedRate: "At this rate {rate} a month. Samples above the quota: {before} before the changes, {since} since.", "Bei diesem Stand {rate} im Monat. Messwerte über dem Kontingent: {before} vor den Änderungen, {since} seither.";
    Quotas: "Quotas and usage", "Kontingente und Nutzung";
    Reasons: "Why", "Warum";
    More: "And {count} more.", "Und {count} weitere.";
    Tenant: "Tenant", "Mandant";
    Tier: "Tier", "Tarif";
    Resource: "Resource", "Ressource";
    Quota: "Quota", "Kontingent";
    Recommended: "Recommended", "Empfohlen";
    Saving: "Saves a month", "Spart im Monat";
    Confidence: "Confidence", "Sicherheit";
    Used: "Used", "Genutzt";
    Expected: "Expected peak", "Erwartete Spitze";
    ReachedIn: "Reached", "Erreicht";
    ReachedNow: "now", "jetzt";
    InHours: "in {hours} h", "in {hours} h";
    FromTier: "From", "Von";
    ToTier: "To", "Nach";
    CostChange: "Cost a month", "Kosten im Monat";
    When: "When", "Wann";
    Until: "Until", "Bis";
    StillOpen: "open", "offen";
    Severity: "Severity", "Schwere";
    SeverityInfo: "info", "Hinweis";
    SeverityWarning: "warning", "Warnung";
    SeverityCritical: "critical", "kritisch";
    What: "What", "Was";
    KindUnusual: "unusual usage", "ungewöhnliche Nutzung";
    KindBreach: "quota will be crossed", "Kontingent wird überschritten";
    KindCost: "unusual cost", "ungewöhnliche Kosten";
    KindRolledBack: "change taken back", "Änderung zurückgenommen";
    KindSla: "promise broken", "Zusage gebrochen";
    KindMeter: "granted amount used up", "gewährte Menge aufgebraucht";
    KindBudget: "budget overrun", "Budget überzogen";
    KindPinned: "stands at the quota", "steht am Kontingent";
    KindNoData: "no data", "keine Daten";
    Model: "Version", "Fassung";
    ScoredOn: "Scored on", "Bewertet an";
    ScoredLive: "{values} values as they came", "{values} Werten, wie sie kamen";
    ScoredBacktest: "{values} values of the past", "{values} Werten der Vergangenheit";
    ToNaive: "Loss to the last day's", "Verlust zum Vortag";
    Cover: "Inside the interval", "Im Intervall";
    Before: "Before", "Davor";
    After: "Since", "Seither";
    ByWhom: "By", "Durch";
    ByRecommendation: "recommendation", "Empfehlung";
    ByPerson: "a person", "Mensch";
    Realised: "Saved", "Gespart";
    AboveBefore: "Above before", "Darüber davor";
    AboveSince: "Above since", "Darüber seither";
    Mean: "Mean", "Mittel";
    Peak: "Peak", "Spitze";
    Above: "Above", "Darüber";
    ChartUsage: "usage, the largest of each step", "Nutzung, das Größte jedes Schritts";
    ChartForecast: "forecast with its interval", "Prognose mit Intervall";
    ChartQuota: "quota", "Kontingent";
    ChartRecommended: "recommended quota", "empfohlenes Kontingent";
    NotMeasured: "not measured", "nicht gemessen";
    Cpu: "CPU", "CPU";
    Memory: "Memory", "Arbeitsspeicher";
    Storage: "Storage", "Speicherplatz";
    Network: "Network", "Netzwerk";
    Connections: "Connections", "Verbindungen";
    ApiRequests: "API requests", "API-Anfragen";
    ModelInstances: "Model instances", "Modellinstanzen";
    AiUnits: "AI units", "KI-Einheiten";
    DatabaseConnections: "Database connections", "Datenbankverbindungen";
    Cache: "Cache", "Cache";
    UnitCore: "core", "Kern";
    UnitCores: "cores", "Kerne";
    UnitConnection: "connection", "Verbindung";
    UnitConnections: "connections", "Verbindungen";
    UnitRequest: "request/min", "Anfrage/min";
    UnitRequests: "requests/min", "Anfragen/min";
    UnitInstance: "instance", "Instanz";
    UnitInstances: "instances", "Instanzen";
    UnitAi: "AI unit", "KI-Einheit";
    UnitAis: "AI units", "KI-Einheiten";
}

impl Word {
    /// The text with what is filled in.
    pub fn fill(self, language: Language, parts: &[(&str, &str)]) -> String {
        let text = self.text(language).to_owned();
        parts.iter().fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// What a resource is called, as on the pages.
    pub fn of_resource(resource: Resource) -> Word {
        match resource {
            Resource::CpuCores => Word::Cpu,
            Resource::MemoryGb => Word::Memory,
            Resource::StorageGb => Word::Storage,
            Resource::NetworkBandwidthMbps => Word::Network,
            Resource::ConcurrentConnections => Word::Connections,
            Resource::ApiRequestsPerMinute => Word::ApiRequests,
            Resource::MlModelInstances => Word::ModelInstances,
            Resource::AiProcessingUnits => Word::AiUnits,
            Resource::DatabaseConnections => Word::DatabaseConnections,
            Resource::CacheSizeMb => Word::Cache,
        }
    }

    /// The unit behind one of a resource and behind many; `None` where it is
    /// the same in all languages, such as GB.
    pub fn of_unit(resource: Resource) -> Option<[Word; 2]> {
        match resource {
            Resource::CpuCores => Some([Word::UnitCore, Word::UnitCores]),
            Resource::ConcurrentConnections | Resource::DatabaseConnections => {
                Some([Word::UnitConnection, Word::UnitConnections])
            }
            Resource::ApiRequestsPerMinute => Some([Word::UnitRequest, Word::UnitRequests]),
            Resource::MlModelInstances => Some([Word::UnitInstance, Word::UnitInstances]),
            Resource::AiProcessingUnits => Some([Word::UnitAi, Word::UnitAis]),
            Resource::MemoryGb
            | Resource::StorageGb
            | Resource::NetworkBandwidthMbps
            | Resource::CacheSizeMb => None,
        }
    }

    /// What a severity is called.
    pub fn of_severity(severity: Severity) -> Word {
        match severity {
            Severity::Info => Word::SeverityInfo,
            Severity::Warning => Word::SeverityWarning,
            Severity::Critical => Word::SeverityCritical,
        }
    }

    /// What a kind of finding is called.
    pub fn of_finding(kind: FindingKind) -> Word {
        match kind {
            FindingKind::UnusualUsage => Word::KindUnusual,
            FindingKind::ForecastBreach => Word::KindBreach,
            FindingKind::CostAnomaly => Word::KindCost,
            FindingKind::SlaBreach => Word::KindSla,
            FindingKind::BudgetOverrun => Word::KindBudget,
            FindingKind::PinnedAtQuota => Word::KindPinned,
            FindingKind::NoData => Word::KindNoData,
            FindingKind::RolledBack => Word::KindRolledBack,
            FindingKind::MeterUsedUp => Word::KindMeter,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The names in braces.
    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
    }

    /// Words that are the same in both languages.
    const ALIKE: [Word; 5] = [Word::Period, Word::InHours, Word::Budgets, Word::Cpu, Word::Cache];

    #[test]
    fn every_text_stands_in_both_languages() {
        assert!(Word::ALL.len() > 100);
        for word in Word::ALL {
            let [english, german] = Language::ALL.map(|language| word.text(language));
            assert!(!english.trim().is_empty() && !german.trim().is_empty(), "{word:?}");
            assert_eq!(places(english), places(german), "{word:?} fills in others");
            assert!(english != german || ALIKE.contains(word), "{word:?} is not translated: {english}");
        }
    }

    #[test]
    fn resources_are_called_what_the_pages_call_them() {
        for (language, page) in [
            (Language::English, include_str!("../web/page/english.js")),
            (Language::German, include_str!("../web/page/german.js")),
        ] {
            // The pages say where long words may be broken.
            let page = page.replace('\u{ad}', "");
            for resource in Resource::ALL {
                let line =
                    format!("\"resource.{resource}\": \"{}\"", Word::of_resource(resource).text(language));
                assert!(page.contains(&line), "the page does not say {line}");
            }
        }
    }

    #[test]
    fn units_are_those_of_the_api() {
        for resource in Resource::ALL {
            let Some([one, many]) = Word::of_unit(resource) else { continue };
            let said = [one, many].map(|word| word.text(Language::English));
            assert_eq!(said, [resource.unit_behind("1"), resource.unit()]);
        }
    }

    #[test]
    fn what_is_filled_in_is_in_its_place() {
        let text = Word::Period.fill(Language::German, &[("to", "B"), ("from", "A")]);
        assert_eq!(text, "A bis B");
    }
}
