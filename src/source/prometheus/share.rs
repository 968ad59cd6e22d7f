//! A query of one share of the tenants, for servers that find even a single
//! instant of all of them too much.
//!
//! The tenants are told apart by the last characters of their names, so that
//! nothing need be known of them: each matcher takes or leaves a class of
//! characters, and the last class is what the others leave, so that together
//! the shares hold every series once. A matcher is set into each selector of
//! the expression, which is only right where all samples of a tenant carry its
//! name from the selector to the answer. [`Splitter::of`] reads the expression
//! to see that, and gives up where it does not.

use promql_parser::label::Matcher;
use promql_parser::parser::token::{T_COUNT_VALUES, T_EQL_REGEX, T_NEQ_REGEX};
use promql_parser::parser::{AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorSelector, parse};

/// The classes of characters; what is in none of them is one more.
const CLASSES: [&str; 5] = ["0-2", "3-5", "6-9", "a-h", "i-q"];

/// How many characters of a name are told apart at most: 216 shares.
const MOST_CHARACTERS: usize = 3;

/// Functions that make of each series one with the same labels.
const SERIES_BY_SERIES: [&str; 45] = [
    "abs",
    "avg_over_time",
    "ceil",
    "changes",
    "clamp",
    "clamp_max",
    "clamp_min",
    "count_over_time",
    "delta",
    "deriv",
    "double_exponential_smoothing",
    "exp",
    "first_over_time",
    "floor",
    "histogram_avg",
    "histogram_count",
    "histogram_fraction",
    "histogram_quantile",
    "histogram_stddev",
    "histogram_stdvar",
    "histogram_sum",
    "holt_winters",
    "idelta",
    "increase",
    "irate",
    "last_over_time",
    "ln",
    "log10",
    "log2",
    "mad_over_time",
    "max_over_time",
    "min_over_time",
    "predict_linear",
    "present_over_time",
    "quantile_over_time",
    "rate",
    "resets",
    "round",
    "sgn",
    "sqrt",
    "stddev_over_time",
    "stdvar_over_time",
    "sum_over_time",
    "time",
    "timestamp",
];

/// A share of the tenants: a class for each of the last characters, the last one first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Share(Vec<usize>);

impl Share {
    /// How many characters it tells apart; 0 for all tenants.
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// The smaller shares that it falls into; `None` where it is as small as can be.
    pub fn split(&self) -> Option<Vec<Share>> {
        let with = |class| Share(self.0.iter().copied().chain([class]).collect());
        (self.depth() < MOST_CHARACTERS).then(|| (0..=CLASSES.len()).map(with).collect())
    }

    /// Whether a tenant is in it.
    pub fn takes(&self, name: &str) -> bool {
        let mut from_the_end = name.chars().rev();
        self.0.iter().all(|class| class_of(from_the_end.next()) == *class)
    }

    fn matchers(&self, label: &str) -> Vec<Matcher> {
        let matcher = |(place, class): (usize, &usize)| {
            let after = if place == 0 { String::new() } else { format!(".{{{place}}}") };
            let (operator, characters) = match CLASSES.get(*class) {
                Some(characters) => (T_EQL_REGEX, (*characters).to_owned()),
                None => (T_NEQ_REGEX, CLASSES.concat()),
            };
            Matcher::new_matcher(operator, label.to_owned(), format!(".*[{characters}]{after}")).ok()
        };
        self.0.iter().enumerate().filter_map(matcher).collect()
    }
}

fn class_of(character: Option<char>) -> usize {
    let Some(character) = character else { return CLASSES.len() };
    let holds = |class: &&str| {
        let mut ends = class.chars().filter(|c| *c != '-');
        ends.next() <= Some(character) && Some(character) <= ends.next()
    };
    CLASSES.iter().position(holds).unwrap_or(CLASSES.len())
}

/// Makes queries of shares out of an expression.
#[derive(Debug, Clone)]
pub(super) struct Splitter {
    expression: Expr,
    tenant_label: String,
}

impl Splitter {
    /// `None` where the samples of a tenant can't be told apart in every
    /// selector of the expression.
    pub fn of(expression: &str, tenant_label: &str) -> Option<Self> {
        let expression = parse(expression).ok()?;
        let mut selectors = 0;
        visit(&mut expression.clone(), tenant_label, &mut |_, _| selectors += 1)?;
        (selectors > 0).then(|| Splitter { expression, tenant_label: tenant_label.to_owned() })
    }

    /// The expression of a share.
    pub fn expression(&self, share: &Share) -> String {
        let mut expression = self.expression.clone();
        let narrow = &mut |selector: &mut VectorSelector, label: &str| {
            selector.matchers.matchers.extend(share.matchers(label));
        };
        // It was walked through once already.
        let _ = visit(&mut expression, &self.tenant_label, narrow);
        expression.to_string()
    }
}

/// Calls `each` with every selector and the label that names the tenant there.
fn visit(expression: &mut Expr, label: &str, each: &mut impl FnMut(&mut VectorSelector, &str)) -> Option<()> {
    match expression {
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Some(()),
        Expr::VectorSelector(selector) => select(selector, label, each),
        Expr::MatrixSelector(matrix) => select(&mut matrix.vs, label, each),
        Expr::Paren(inner) => visit(&mut inner.expr, label, each),
        Expr::Unary(inner) => visit(&mut inner.expr, label, each),
        Expr::Subquery(inner) => visit(&mut inner.expr, label, each),
        Expr::Aggregate(aggregate) => visit_aggregate(aggregate, label, each),
        Expr::Binary(binary) => visit_binary(binary, label, each),
        Expr::Call(call) => visit_call(call, label, each),
        Expr::Extension(_) => None,
    }
}

fn select(
    selector: &mut VectorSelector,
    label: &str,
    each: &mut impl FnMut(&mut VectorSelector, &str),
) -> Option<()> {
    if !selector.matchers.or_matchers.is_empty() {
        return None;
    }
    each(selector, label);
    Some(())
}

/// Whether series that differ in the label stay apart.
fn keeps(modifier: Option<&LabelModifier>, label: &str, without_any: bool) -> bool {
    match modifier {
        None => without_any,
        Some(LabelModifier::Include(labels)) => labels.labels.iter().any(|name| name == label),
        Some(LabelModifier::Exclude(labels)) => !labels.labels.iter().any(|name| name == label),
    }
}

fn visit_aggregate(
    aggregate: &mut AggregateExpr,
    label: &str,
    each: &mut impl FnMut(&mut VectorSelector, &str),
) -> Option<()> {
    let number = aggregate.param.as_ref().is_none_or(|param| matches!(**param, Expr::NumberLiteral(_)));
    let apart = keeps(aggregate.modifier.as_ref(), label, false);
    if !apart || !number || aggregate.op.id() == T_COUNT_VALUES {
        return None;
    }
    visit(&mut aggregate.expr, label, each)
}

fn visit_binary(
    binary: &mut BinaryExpr,
    label: &str,
    each: &mut impl FnMut(&mut VectorSelector, &str),
) -> Option<()> {
    let matching = binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref());
    if !keeps(matching, label, true) {
        return None;
    }
    visit(&mut binary.lhs, label, each)?;
    visit(&mut binary.rhs, label, each)
}

fn visit_call(call: &mut Call, label: &str, each: &mut impl FnMut(&mut VectorSelector, &str)) -> Option<()> {
    let text = |argument: &Expr| match argument {
        Expr::StringLiteral(text) => Some(text.val.clone()),
        _ => None,
    };
    let texts: Vec<Option<String>> = call.args.args.iter().map(|argument| text(argument)).collect();
    let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
    let label = match (call.func.name, &texts[..]) {
        // The name as it stands in another label is where to tell tenants apart.
        ("label_replace", [_, Some(to), Some("$1" | "${1}"), Some(from), Some("(.+)" | "(.*)")])
            if *to == label =>
        {
            *from
        }
        ("label_replace" | "label_join", [_, Some(to), ..]) if *to != label => label,
        (name, _) if SERIES_BY_SERIES.contains(&name) => label,
        _ => return None,
    };
    call.args.args.iter_mut().try_for_each(|argument| visit(argument, label, each))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_share(expression: &str, share: &Share) -> Option<String> {
        Some(Splitter::of(expression, "tenant")?.expression(share))
    }

    #[test]
    fn every_name_is_in_one_share_of_each_depth() {
        let whole = Share::default();
        let deep: Vec<Share> =
            whole.split().unwrap().iter().flat_map(|share| share.split().unwrap()).collect();
        assert_eq!((whole.split().unwrap().len(), deep.len()), (6, 36));
        for name in ["a", "t0", "acme", "t1999", "Z-", "ä", "beacon-health", ""] {
            assert!(whole.takes(name));
            for shares in [&whole.split().unwrap(), &deep] {
                assert_eq!(shares.iter().filter(|share| share.takes(name)).count(), 1, "{name}");
            }
            // The matchers say the same.
            let taken = deep.iter().find(|share| share.takes(name)).unwrap();
            for share in &deep {
                let all = share.matchers("tenant").iter().all(|matcher| matcher.is_match(name));
                assert_eq!(all, share == taken, "{name} {share:?}");
            }
        }
        let deepest = Share(vec![0, 1, 2]);
        assert_eq!(deepest.split(), None);
    }

    #[test]
    fn matchers_stand_in_every_selector() {
        let share = Share(vec![0, 5]);
        let matchers = r#"tenant!~".*[0-23-56-9a-hi-q].{1}",tenant=~".*[0-2]""#;
        assert_eq!(of_share("usage", &share).unwrap(), format!("usage{{{matchers}}}"));
        let used = "sum by (tenant) (rate(cpu{job=\"x\"}[5m])) / on (tenant) max by (tenant) (cores) * 100";
        let narrowed = of_share(used, &share).unwrap();
        assert_eq!(narrowed.matches(matchers).count(), 2, "{narrowed}");
        assert!(narrowed.contains(r#"cpu{job="x",tenant!~"#), "{narrowed}");
        parse(&narrowed).unwrap();
        let replaced =
            r#"sum by (tenant) (label_replace(rate(cpu[5m]), "tenant", "$1", "namespace", "(.+)"))"#;
        let narrowed = of_share(replaced, &share).unwrap();
        assert!(
            narrowed.contains(r#"cpu{namespace!~".*[0-23-56-9a-hi-q].{1}",namespace=~".*[0-2]"}"#),
            "{narrowed}"
        );
    }

    #[test]
    fn what_mixes_tenants_is_not_split() {
        for whole in [
            "sum(usage)",
            "sum by (job) (usage)",
            "sum without (tenant) (usage)",
            "usage / scalar(sum(usage))",
            "usage / ignoring (tenant) group_left () total",
            "usage / on (job) group_left () total",
            "absent(usage)",
            "topk(3, usage)",
            "topk by (tenant) (scalar(x), usage)",
            "count_values by (tenant) (\"v\", usage)",
            r#"label_replace(usage, "tenant", "x-$1", "namespace", "(.+)")"#,
            r#"label_replace(usage, "tenant", "$1", "namespace", "(.+)-.*")"#,
            r#"label_join(usage, "tenant", "-", "a", "b")"#,
            "vector(1)",
            "1 + 1",
            "usage or vector(0)",
            "not promql (",
        ] {
            assert_eq!(of_share(whole, &Share(vec![0])), None, "{whole}");
        }
        for split in
            ["topk by (tenant) (3, usage)", "max without (pod) (usage)", "-(usage)", "usage offset 5m"]
        {
            assert!(of_share(split, &Share(vec![0])).is_some(), "{split}");
        }
    }
}
