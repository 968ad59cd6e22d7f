//! Charts as inline SVG. Colours come from the page's style, so that they follow
//! light and dark; sizes are in units of a picture that scales with the page.

use std::fmt::Write;

use super::document::{Bar, Chart};
use super::html::escaped;
use super::model::UsageChart;
use super::tenant::top;

/// The width of every chart; on the page it is as wide as that.
const WIDTH: f64 = 720.0;
/// The width of a letter where the style makes letters largest, which is on
/// phones: 15 units high, in a wide font.
const LETTER: f64 = 9.2;
/// The room between a text and what it belongs to.
const GAP: f64 = 8.0;
/// The most letters of a label beside a bar.
const LABEL: usize = 38;
/// The height of a lying bar, and of the room that it has.
const BAR: f64 = 16.0;
/// The height of standing columns and of usage over time.
const HEIGHT: f64 = 200.0;

/// The chart as an `svg` element, below its legend where it has one.
pub fn figure(chart: &Chart) -> String {
    match chart {
        Chart::Bars { title, legend, rows } => {
            key(&["bar-key", "second-key"], legend.iter()) + &bars(title, rows)
        }
        Chart::Columns { title, columns } => standing(title, columns),
        Chart::Usage { title, chart, recommended, legend, days, marks } => {
            let names = legend.iter().take(if recommended.is_some() { 4 } else { 3 });
            key(&["usage-key", "forecast-key", "quota-key", "recommended-key"], names)
                + &usage(title, chart, *recommended, days, marks)
        }
    }
}

/// The legend. It stands outside the picture, so that its lines break on a phone.
fn key<'a>(classes: &[&str], names: impl Iterator<Item = &'a String>) -> String {
    let entry =
        |(class, name): (&&str, &String)| format!("<li><i class=\"{class}\"></i>{}</li>", escaped(name));
    let entries: String = classes.iter().zip(names).map(entry).collect();
    if entries.is_empty() { entries } else { format!("<ul class=\"legend\">{entries}</ul>") }
}

/// The room that the longest of some texts takes, with a gap.
fn room_for<'a>(texts: impl Iterator<Item = &'a str>) -> f64 {
    texts.map(width).fold(0.0, f64::max) + GAP
}

fn width(text: &str) -> f64 {
    LETTER * text.chars().count() as f64
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

const SERIES: [&str; 2] = ["bar", "bar second"];

fn bars(title: &str, rows: &[Bar]) -> String {
    let row_height = |row: &Bar| BAR * row.values.len() as f64 + 10.0;
    let mut out = open(title, rows.iter().map(row_height).sum::<f64>());
    let labels: Vec<String> = rows.iter().map(|row| shortened(&row.label)).collect();
    let begin = room_for(labels.iter().map(String::as_str));
    let figures = room_for(rows.iter().flat_map(|row| &row.shown).map(String::as_str));
    let longest = (WIDTH - begin - figures).max(GAP);
    let most = rows.iter().flat_map(|row| &row.values).copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut y = 0.0;
    for (row, label) in rows.iter().zip(&labels) {
        let middle = y + row_height(row) / 2.0 + 4.0;
        text(&mut out, (begin - GAP, middle), "label end", label);
        for (index, (value, shown)) in row.values.iter().zip(&row.shown).enumerate() {
            let length = (longest * (value / most).max(0.0)).max(1.0);
            let at = y + 5.0 + BAR * index as f64;
            rect(&mut out, (begin, at), (length, BAR - 2.0), SERIES[index.min(1)]);
            text(&mut out, (begin + length + GAP / 2.0, at + BAR - 4.0), "figure", shown);
        }
        y += row_height(row);
    }
    out + "</svg>"
}

/// A label that has room beside its bar.
fn shortened(label: &str) -> String {
    match label.chars().count() > LABEL {
        true => label.chars().take(LABEL - 1).chain(['…']).collect(),
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
    let texts = columns.iter().flat_map(|column| column.shown.iter().chain([&column.label]));
    // Only so many columns are named as have room for their names.
    let every = (room_for(texts.map(String::as_str)) / slot).ceil().max(1.0) as usize;
    let middle = |x: f64, words: &str| {
        let half = width(words) / 2.0;
        (x + slot / 2.0).max(half).min(WIDTH - half)
    };
    for (index, (column, value)) in columns.iter().zip(&values).enumerate() {
        let x = slot * index as f64;
        let (above, below) = (y(value.max(0.0)), y(value.min(0.0)));
        let class = if *value < 0.0 { "bar loss" } else { "bar" };
        rect(&mut out, (x + slot * 0.15, above), (slot * 0.7, (below - above).max(1.0)), class);
        if index.is_multiple_of(every) {
            let at = if *value < 0.0 { below + 12.0 } else { above - 4.0 };
            let shown = column.shown.first().map(String::as_str).unwrap_or_default();
            text(&mut out, (middle(x, shown), at), "figure middle", shown);
            text(&mut out, (middle(x, &column.label), HEIGHT + 14.0), "label middle", &column.label);
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
    recommended: Option<f64>,
    days: &[(usize, String)],
    marks: &[(f64, String)],
) -> String {
    let steps = (chart.usage.len() + chart.forecast.len()).max(2);
    // The mark at the top is as high as its letters.
    let head = 8.0;
    let highest = top(chart, recommended) * 1.05;
    let margin = room_for(marks.iter().map(|(_, shown)| shown.as_str()));
    let x = |step: usize| margin + (WIDTH - margin) * step as f64 / (steps - 1) as f64;
    let y = |value: f64| head + HEIGHT * (1.0 - (value / highest).clamp(0.0, 1.0));
    let mut out = open(title, head + HEIGHT + 22.0);
    for (value, shown) in marks {
        line(&mut out, (margin, y(*value)), (WIDTH, y(*value)), "grid");
        text(&mut out, (margin - GAP, y(*value) + 4.0), "label end", shown);
    }
    // The name of a day that begins at the very end would run off.
    for (step, day) in days.iter().filter(|(step, day)| x(*step) + width(day) <= WIDTH) {
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
    if let Some(limit) = recommended {
        line(&mut out, (margin, y(limit)), (WIDTH, y(limit)), "recommended");
    }
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
        let drawn = figure(&chart);
        assert!(!drawn.contains("<script") && drawn.contains("aria-label=\"a &amp; b\""), "{drawn}");
    }

    /// Where each text of these classes begins, by its anchor.
    fn begins(drawn: &str, class: &str) -> Vec<(f64, f64)> {
        let texts =
            drawn.split("<text x=\"").skip(1).filter(|text| text.contains(&format!("class=\"{class}\"")));
        let begin = |text: &str| {
            let x: f64 = text.split('"').next().unwrap().parse().unwrap();
            let wide = width(text.split(['>', '<']).nth(1).unwrap());
            match class.split(' ').nth(1) {
                Some("end") => (x - wide, x),
                Some(_) => (x - wide / 2.0, x + wide / 2.0),
                None => (x, x + wide),
            }
        };
        texts.map(begin).collect()
    }

    #[test]
    fn no_text_runs_off() {
        let bar = |label: &str, value: f64, shown: &str| Bar {
            label: label.to_owned(),
            values: vec![value],
            shown: vec![shown.to_owned()],
        };
        let chart = UsageChart {
            start: crate::domain::Timestamp::from_seconds(0),
            step_hours: 1,
            usage: vec![Some(150_000.0); 48],
            quota: vec![200_000.0; 49],
            forecast: vec![[1.0; 3]],
        };
        let usage = Chart::Usage {
            title: "usage".to_owned(),
            chart,
            recommended: Some(90_000.0),
            legend: ["a", "b", "c", "proposed"].map(str::to_owned),
            days: vec![(0, "1 Jan".to_owned()), (48, "3 Jan".to_owned())],
            marks: vec![(0.0, "0".to_owned()), (200_000.0, "200,000".to_owned())],
        };
        let rows = vec![bar(&"tenant ".repeat(20), 1.0, "1,234,567.89 USD"), bar("short", 0.5, "1 USD")];
        let lying = Chart::Bars { title: "lying".to_owned(), legend: Vec::new(), rows };
        let columns =
            (1..=30).map(|day| bar(&format!("{day} Nov"), f64::from(day), "1,234.56 USD")).collect();
        let standing = Chart::Columns { title: "standing".to_owned(), columns };
        for chart in [&usage, &lying, &standing] {
            let drawn = figure(chart);
            let classes = ["label", "label end", "label middle", "figure", "figure middle"];
            let texts: Vec<(f64, f64)> = classes.iter().flat_map(|class| begins(&drawn, class)).collect();
            assert!(texts.len() > 2, "{drawn}");
            for (from, to) in texts {
                assert!(from > -0.1 && to < WIDTH + 0.1, "{from} to {to}: {drawn}");
            }
        }
        let drawn = figure(&usage);
        assert!(drawn.contains("class=\"recommended\"") && drawn.contains("proposed</li>"), "{drawn}");
        assert!(!drawn.contains("3 Jan"), "there is no room for it");
    }
}
