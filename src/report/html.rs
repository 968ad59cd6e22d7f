//! A report as one HTML file: its style and charts are inside, it runs no
//! script, and a content security policy holds it to that. It prints well.

use std::fmt::Write;

use super::charts;
use super::document::{Block, Card, Document, Table};
use super::model::Brand;

const STYLE: &str = include_str!("style.css");
/// What holds for paper, whether a reader prints the page or it was made for that.
const SHEETS: &str = include_str!("sheets.css");
/// A sheet and its page number.
const SHEET: &str = "@page { size: A4; margin: 14mm 14mm 18mm; \
                     @bottom-right { content: counter(page) \" / \" counter(pages); font: 8pt sans-serif; color: #444444; } }\n";

/// What a report is looked at on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A screen of any width, light or dark; printed it looks as on sheets.
    Screen,
    /// White sheets, also on a screen.
    Sheets,
}

impl Medium {
    fn style(self) -> String {
        match self {
            Medium::Screen => format!("{STYLE}{SHEET}@media print {{\n{SHEETS}}}\n"),
            Medium::Sheets => format!(
                "{STYLE}{SHEET}{SHEETS}@media screen {{ body {{ max-width: 182mm; margin: 14mm auto; }} }}\n"
            ),
        }
    }
}

/// A text with what HTML would read as its own made harmless, in text and in
/// attributes with double quotes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Writes the file.
pub fn write(document: &Document, medium: Medium) -> String {
    let logo = document.brand.logo_url.as_deref().and_then(|url| Some((url, origin(url)?)));
    let images = logo.map_or("'none'", |(_, origin)| origin);
    let (title, product) =
        (escaped(&document.title), escaped(document.brand.product_name.as_deref().unwrap_or_default()));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         img-src {images}; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · {product}</title>\n\
         <style>\n{style}{look}</style>\n</head>\n<body>\n<header>\n",
        language = document.language.code(),
        style = medium.style(),
        look = look(&document.brand),
    );
    if let Some((url, _)) = logo {
        let _ = writeln!(out, "<img class=\"logo\" src=\"{}\" alt=\"{product}\">", escaped(url));
    } else {
        let _ = writeln!(out, "<p class=\"product\">{product}</p>");
    }
    let period = escaped(&document.period);
    let _ = write!(out, "<h1>{title}</h1>\n<p class=\"period\">{period}</p>\n</header>\n<main>\n");
    for block in &document.blocks {
        write_block(&mut out, block);
    }
    let _ = write!(out, "</main>\n<footer>{}</footer>\n</body>\n</html>\n", escaped(&document.footer));
    out
}

/// The colours of a brand. They come in as `#rrggbb`; anything else is left out.
fn look(brand: &Brand) -> String {
    let colour = |text: &Option<String>| {
        let text = text.as_deref()?;
        let plain =
            text.len() == 7 && text.starts_with('#') && text[1..].chars().all(|c| c.is_ascii_hexdigit());
        plain.then(|| text.to_owned())
    };
    let mut out = String::new();
    if let Some(primary) = colour(&brand.primary) {
        let _ = writeln!(out, ":root {{ --brand: {primary}; --on-brand: {}; }}", on(&primary));
    }
    if let Some(accent) = colour(&brand.accent) {
        let _ = writeln!(out, ":root {{ --accent: {accent}; }}");
    }
    out
}

/// Black or white, whichever can be read better on a colour: by its relative
/// luminance (WCAG 2.2).
fn on(colour: &str) -> &'static str {
    let part = |at: usize| {
        let byte = colour.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0);
        let share = f64::from(byte) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
    if luminance > 0.179 { "#000000" } else { "#ffffff" }
}

/// Scheme, host and port of a URL, where nothing in them could end the policy
/// that names them. A picture that is written in the URL comes from nowhere.
fn origin(url: &str) -> Option<&str> {
    if url.starts_with("data:image/") {
        return Some("data:");
    }
    let after_scheme = url.find("://")? + 3;
    let end = url[after_scheme..].find(['/', '?', '#']).map_or(url.len(), |end| after_scheme + end);
    let (scheme, host) = (&url[..after_scheme - 3], &url[after_scheme..end]);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    (matches!(scheme, "http" | "https") && !host.is_empty() && host.chars().all(plain)).then(|| &url[..end])
}

fn write_block(out: &mut String, block: &Block) {
    let _ = match block {
        Block::Lead(title, sentences) => {
            let _ = write!(out, "<section class=\"lead\"><h2>{}</h2>\n<ul>\n", escaped(title));
            sentences.iter().for_each(|one| {
                let _ = writeln!(out, "<li>{}</li>", escaped(one));
            });
            writeln!(out, "</ul></section>")
        }
        Block::Cards(cards) => {
            out.push_str("<dl class=\"cards\">\n");
            cards.iter().for_each(|card| write_card(out, card));
            writeln!(out, "</dl>")
        }
        Block::Heading(title, about) => {
            let _ = writeln!(out, "<h2>{}</h2>", escaped(title));
            about.as_ref().map_or(Ok(()), |about| writeln!(out, "<p class=\"about\">{}</p>", escaped(about)))
        }
        Block::Subheading(title) => writeln!(out, "<h3>{}</h3>", escaped(title)),
        Block::Text(text) => writeln!(out, "<p>{}</p>", escaped(text)),
        Block::English(label, sentences) => {
            let text = escaped(&sentences.join(" "));
            writeln!(out, "<p class=\"why\"><b>{}:</b> <span lang=\"en\">{text}</span></p>", escaped(label))
        }
        Block::Table(table) => {
            write_table(out, table);
            Ok(())
        }
        Block::Chart(chart) => writeln!(out, "<figure>{}</figure>", charts::figure(chart)),
    };
}

fn write_card(out: &mut String, card: &Card) {
    let class = if card.alarms { "card alarms" } else { "card" };
    let (label, value, note) = (escaped(&card.label), escaped(&card.value), escaped(&card.note));
    let _ = writeln!(
        out,
        "<div class=\"{class}\"><dt>{label}</dt><dd><strong>{value}</strong><small>{note}</small></dd></div>"
    );
}

fn write_table(out: &mut String, table: &Table) {
    let class = |is_figure: bool| if is_figure { " class=\"n\"" } else { "" };
    out.push_str("<div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr>");
    for (title, is_figure) in &table.columns {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(*is_figure), escaped(title));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (cell, (_, is_figure)) in row.iter().zip(&table.columns) {
            let _ = write!(out, "<td{}>{}</td>", class(*is_figure), escaped(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    if let Some(more) = &table.more {
        let _ = writeln!(out, "<p class=\"more\">{}</p>", escaped(more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_as_markup() {
        assert_eq!(escaped("<a b='c' d=\"e\">&"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;");
        assert_eq!(origin("https://cdn.example:8443/logo.svg?x#y"), Some("https://cdn.example:8443"));
        assert_eq!(origin("data:image/png;base64,AAAA"), Some("data:"));
        for bad in ["https://a;script-src/x", "javascript:alert(1)", "https:///x", "data://x y/"] {
            assert_eq!(origin(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_heading_can_be_read_on_any_colour() {
        assert_eq!(
            [on("#ffffff"), on("#ffee00"), on("#0a2540"), on("#d00000")],
            ["#000000", "#000000", "#ffffff", "#ffffff"]
        );
        let odd = Brand { primary: Some("red; } body { x".to_owned()), ..Brand::default() };
        assert_eq!(look(&odd), "");
    }
}
