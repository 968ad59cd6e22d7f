//! A report as Markdown (CommonMark with the tables of GitHub). Charts become
//! tables of their figures.

use std::fmt::Write;

use super::document::{Bar, Block, Chart, Document, Table};

/// Writes the text.
pub fn write(document: &Document) -> String {
    let product = document.brand.product_name.as_deref().unwrap_or_default();
    let mut out = format!("# {}\n\n", escaped(&document.title));
    let _ = write!(out, "{} · {}\n\n", escaped(product), escaped(&document.period));
    for block in &document.blocks {
        write_block(&mut out, block);
    }
    let _ = writeln!(out, "---\n\n{}", escaped(&document.footer));
    out
}

/// A text that Markdown reads as no markup of its own.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '#' | '!' | '~' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

fn write_block(out: &mut String, block: &Block) {
    match block {
        Block::Lead(title, sentences) => {
            let _ = write!(out, "## {}\n\n", escaped(title));
            for sentence in sentences {
                let _ = writeln!(out, "- {}", escaped(sentence));
            }
            out.push('\n');
        }
        Block::Cards(cards) => {
            let row = cards.iter().map(|card| format!("{} ({})", card.value, card.note)).collect();
            let columns = cards.iter().map(|card| (card.label.clone(), true)).collect();
            write_table(out, &Table { columns, rows: vec![row], more: None });
        }
        Block::Heading(title, about) => {
            let _ = write!(out, "## {}\n\n", escaped(title));
            if let Some(about) = about {
                let _ = write!(out, "{}\n\n", escaped(about));
            }
        }
        Block::Subheading(title) => {
            let _ = write!(out, "### {}\n\n", escaped(title));
        }
        Block::Text(text) => {
            let _ = write!(out, "{}\n\n", escaped(text));
        }
        Block::English(label, sentences) => {
            let _ = write!(out, "**{}:** {}\n\n", escaped(label), escaped(&sentences.join(" ")));
        }
        Block::Table(table) => write_table(out, table),
        Block::Chart(chart) => write_chart(out, chart),
    }
}

fn write_chart(out: &mut String, chart: &Chart) {
    match chart {
        // A row each stands in the table that follows.
        Chart::Bars { legend, .. } if legend.is_empty() => {}
        Chart::Bars { title, legend, rows } => write_bars(out, title, legend, rows),
        Chart::Columns { title, columns } => write_bars(out, "", std::slice::from_ref(title), columns),
        // The curve itself says nothing as text.
        Chart::Usage { .. } => {}
    }
}

fn write_bars(out: &mut String, title: &str, legend: &[String], rows: &[Bar]) {
    let names = legend.iter().map(|name| (name.clone(), true));
    let columns = std::iter::once((title.to_owned(), false)).chain(names).collect();
    let cells = |row: &Bar| std::iter::once(row.label.clone()).chain(row.shown.iter().cloned()).collect();
    write_table(out, &Table { columns, rows: rows.iter().map(cells).collect(), more: None });
}

fn write_table(out: &mut String, table: &Table) {
    let line = |cells: &mut dyn Iterator<Item = String>| {
        let cells: Vec<String> = cells.collect();
        format!("| {} |\n", cells.join(" | "))
    };
    out.push_str(&line(&mut table.columns.iter().map(|(title, _)| escaped(title))));
    let side = |is_figure: bool| if is_figure { "---:" } else { "---" };
    out.push_str(&line(&mut table.columns.iter().map(|(_, is_figure)| side(*is_figure).to_owned())));
    for row in &table.rows {
        out.push_str(&line(&mut row.iter().map(|cell| escaped(cell))));
    }
    out.push('\n');
    if let Some(more) = &table.more {
        let _ = write!(out, "{}\n\n", escaped(more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_not_break_a_table_or_make_a_link() {
        assert_eq!(escaped("a|b [x](y) <i>\n"), "a\\|b \\[x\\](y) \\<i\\> ");
        let table = Table {
            columns: vec![("a".to_owned(), false), ("b".to_owned(), true)],
            rows: vec![vec!["x|y".to_owned(), "1".to_owned()]],
            more: None,
        };
        let mut out = String::new();
        write_table(&mut out, &table);
        assert_eq!(out, "| a | b |\n| --- | ---: |\n| x\\|y | 1 |\n\n");
    }
}
