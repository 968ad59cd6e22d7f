//! Tables as JSON: an array with an object a row.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Column, Table};

/// Writes the rows, a line each.
pub(super) fn write(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    let columns: Vec<_> = table.columns.iter().map(|(name, column)| (name, column.plain())).collect();
    for row in 0..table.rows {
        out.write_all(if row == 0 { b"[\n" } else { b",\n" })?;
        let cells = columns.iter().map(|(name, column)| ((*name).clone(), cell(column, row)));
        let object: serde_json::Map<String, Value> = cells.collect();
        serde_json::to_writer(&mut *out, &object)?;
    }
    out.write_all(if table.rows == 0 { b"[]\n" } else { b"\n]\n" })
}

/// JSON has no `NaN`: a gap is `null`.
fn cell(column: &Column, row: usize) -> Value {
    match column {
        Column::Integers(integers) => json!(integers[row]),
        Column::Numbers(numbers) => json!(numbers[row]),
        Column::Maybe(texts) => json!(texts[row]),
        other => Value::String(other.cell(row).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::table::Texts;

    #[test]
    fn rows_become_objects_and_gaps_null() {
        let mut table = Table::new();
        table.set("unique_id", Column::Text(["a", "b\""].into_iter().collect::<Texts>()));
        table.set("ds", Column::Integers(vec![1, 2]));
        table.set("y", Column::Numbers(vec![0.5, f64::NAN]));
        let mut written = Vec::new();
        write(&mut written, &table).unwrap();
        let rows: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(
            rows,
            json!([{"unique_id": "a", "ds": 1, "y": 0.5}, {"unique_id": "b\"", "ds": 2, "y": null}])
        );
        let mut empty = Vec::new();
        write(&mut empty, &Table::new()).unwrap();
        assert_eq!(empty, b"[]\n");
    }
}
