//! Charts as inline SVG. Colours come from the page's style, so that they follow
//! light and dark; sizes are in units of a picture that scales with the page.

use std::fmt::Write;

use super::document::{Bar, Chart};
use super::html::escaped;
use super::model::UsageChart;
use super::tenant::top;

/// The width of every chart.
const WIDTH: f64 = 720.0;
/// The room for labels beside bars.
const LABEL: f64 = 300.0;
/// The room for figures behind bars.
const FIGURE: f64 = 120.0;
/// The height of a lying bar, and of the room that it has.
const BAR: f64 = 12.0;
/// The height of standing columns and of usage over time.
const HEIGHT: f64 = 180.0;
/// The room beside a chart over time for the marks of its axis.
const MARGIN: f64 = 48.0;
/// The most figures that stand above columns.
const SHOWN: usize = 10;

/// The chart as an `svg` element.
pub fn svg(chart: &Chart) -> String {
    match chart {
        Chart::Bars { title, legend, rows } => bars(title, legend, rows),
        Chart::Columns { title, columns } => standing(title, columns),
        Chart::Usage { title, chart, legend, days, marks } => usage(title, chart, legend, days, marks),
    }
}

fn open(title: &str, height: f64) -> String {
    let title = escaped(title);
    format!(
        "<svg role=\"img\" aria-label=\"{title}\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
         xmlns=\"http://www.w3.org/2000/svg\"><title>{title}</title>"
    )
}

fn text(out: &mut String, (x, y): (f64, f64), class: &str, words: &str) {
    let _ = write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{}</text>", escaped(words));
}

fn rect(out: &mut String, (x, y): (f64, f64), (width, height): (f64, f64), class: &str) {
    let _ = write!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"{class}\"/>"
    );
}

/// The parts of a legend in a row.
fn legend_row(out: &mut String, y: f64, parts: &[(&str, &String)]) {
    let mut x = 0.0;
    for (class, words) in parts {
        rect(out, (x, y - 9.0), (10.0, 10.0), class);
        text(out, (x + 15.0, y), "label", words);
        x += 15.0 + 7.2 * words.chars().count() as f64 + 20.0;
    }
}

const SERIES: [&str; 2] = ["bar", "bar second"];

fn bars(title: &str, legend: &[String], rows: &[Bar]) -> String {
    let head = if legend.is_empty() { 0.0 } else { 24.0 };
    let row_height = |row: &Bar| BAR * row.values.len() as f64 + 10.0;
    let mut out = open(title, head + rows.iter().map(row_height).sum::<f64>());
    let parts: Vec<(&str, &String)> = SERIES.into_iter().zip(legend).collect();
    legend_row(&mut out, 12.0, &parts);
    let most = rows.iter().flat_map(|row| &row.values).copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut y = head;
    for row in rows {
        let middle = y + row_height(row) / 2.0 + 1.0;
        text(&mut out, (LABEL - 8.0, middle), "label end", &shortened(&row.label));
        for (index, (value, shown)) in row.values.iter().zip(&row.shown).enumerate() {
            let length = ((WIDTH - LABEL - FIGURE) * (value / most).max(0.0)).max(1.0);
            let at = y + 5.0 + BAR * index as f64;
            rect(&mut out, (LABEL, at), (length, BAR - 2.0), SERIES[index.min(1)]);
            text(&mut out, (LABEL + length + 6.0, at + BAR - 3.0), "figure", shown);
        }
        y += row_height(row);
    }
    out + "</svg>"
}

/// A label that has room beside its bar.
fn shortened(label: &str) -> String {
    let most = 40;
    match label.chars().count() > most {
        true => label.chars().take(most - 1).chain(['…']).collect(),
        false => label.to_owned(),
    }
}

fn standing(title: &str, columns: &[Bar]) -> String {
    let values: Vec<f64> = columns.iter().filter_map(|column| column.values.first().copied()).collect();
    let (low, high) =
        values.iter().fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(*value), high.max(*value)));
    let span = (high - low).max(f64::MIN_POSITIVE);
    let (begin, room) = (18.0, HEIGHT - 36.0);
    let y = |value: f64| begin + room * (high - value) / span;
    let mut out = open(title, HEIGHT + 18.0);
    let slot = WIDTH / columns.len().max(1) as f64;
    let every = columns.len().div_ceil(SHOWN).max(1);
    for (index, (column, value)) in columns.iter().zip(&values).enumerate() {
        let x = slot * index as f64;
        let (above, below) = (y(value.max(0.0)), y(value.min(0.0)));
        let class = if *value < 0.0 { "bar loss" } else { "bar" };
        rect(&mut out, (x + slot * 0.15, above), (slot * 0.7, (below - above).max(1.0)), class);
        if index.is_multiple_of(every) {
            let at = if *value < 0.0 { below + 12.0 } else { above - 4.0 };
            let shown = column.shown.first().map(String::as_str).unwrap_or_default();
            text(&mut out, (x + slot / 2.0, at), "figure middle", shown);
            text(&mut out, (x + slot / 2.0, HEIGHT + 12.0), "label middle", &column.label);
        }
    }
    line(&mut out, (0.0, y(0.0)), (WIDTH, y(0.0)), "axis");
    out + "</svg>"
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64), class: &str) {
    let _ = write!(
        out,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" class=\"{class}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn usage(
    title: &str,
    chart: &UsageChart,
    legend: &[String; 3],
    days: &[(usize, String)],
    marks: &[(f64, String)],
) -> String {
    let steps = (chart.usage.len() + chart.forecast.len()).max(2);
    let head = 26.0;
    let highest = top(chart) * 1.05;
    let x = |step: usize| MARGIN + (WIDTH - MARGIN) * step as f64 / (steps - 1) as f64;
    let y = |value: f64| head + HEIGHT * (1.0 - (value / highest).clamp(0.0, 1.0));
    let mut out = open(title, head + HEIGHT + 22.0);
    let parts: Vec<(&str, &String)> =
        ["usage-key", "forecast-key", "quota-key"].into_iter().zip(legend).collect();
    legend_row(&mut out, 12.0, &parts);
    for (value, shown) in marks {
        line(&mut out, (MARGIN, y(*value)), (WIDTH, y(*value)), "grid");
        text(&mut out, (MARGIN - 6.0, y(*value) + 4.0), "label end", shown);
    }
    for (step, day) in days {
        text(&mut out, (x(*step), head + HEIGHT + 16.0), "label", day);
    }
    band(&mut out, chart, x, y);
    let mut place = |values: Vec<Option<f64>>, first: usize, class: &str| {
        let path =
            path_of(values.into_iter().enumerate().map(|(step, value)| (x(first + step), value.map(y))));
        let _ = write!(out, "<path d=\"{path}\" class=\"{class}\"/>");
    };
    let now = chart.usage.len();
    place(chart.forecast.iter().map(|[_, middle, _]| Some(*middle)).collect(), now, "forecast");
    place(chart.usage.clone(), 0, "usage");
    let quota = path_of(chart.quota.iter().enumerate().map(|(step, value)| (x(step), Some(y(*value)))));
    let _ = write!(out, "<path d=\"{quota}\" class=\"quota\"/>");
    if now > 0 && !chart.forecast.is_empty() {
        line(&mut out, (x(now), head), (x(now), head + HEIGHT), "now");
    }
    out + "</svg>"
}

/// The area between the lowest and the highest quantile.
fn band(out: &mut String, chart: &UsageChart, x: impl Fn(usize) -> f64, y: impl Fn(f64) -> f64) {
    if chart.forecast.is_empty() {
        return;
    }
    let now = chart.usage.len();
    let high = chart.forecast.iter().enumerate().map(|(step, [_, _, high])| (x(now + step), y(*high)));
    let low = chart.forecast.iter().enumerate().rev().map(|(step, [low, _, _])| (x(now + step), y(*low)));
    let points: Vec<String> = high.chain(low).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = write!(out, "<polygon points=\"{}\" class=\"band\"/>", points.join(" "));
}

/// A line through the points, broken at gaps.
fn path_of(points: impl Iterator<Item = (f64, Option<f64>)>) -> String {
    let (mut path, mut is_down) = (String::new(), false);
    for (x, y) in points {
        if let Some(y) = y {
            let _ = write!(path, "{}{x:.1} {y:.1}", if is_down { "L" } else { "M" });
        }
        is_down = y.is_some();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_at_a_gap() {
        let points = [(0.0, Some(1.0)), (1.0, Some(2.0)), (2.0, None), (3.0, Some(1.5))];
        assert_eq!(path_of(points.into_iter()), "M0.0 1.0L1.0 2.0M3.0 1.5");
    }

    #[test]
    fn names_in_charts_are_escaped() {
        let bar = Bar { label: "<script>".to_owned(), values: vec![1.0], shown: vec!["\"1\"".to_owned()] };
        let chart = Chart::Bars { title: "a & b".to_owned(), legend: Vec::new(), rows: vec![bar] };
        let drawn = svg(&chart);
        assert!(!drawn.contains("<script") && drawn.contains("aria-label=\"a &amp; b\""), "{drawn}");
    }
}
