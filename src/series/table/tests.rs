//! Tests of the tables in files.

use std::fs;
use std::path::PathBuf;

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn csv(text: &str) -> Result<Table, TableError> {
    text::read(text.as_bytes(), "usage.csv")
}

fn read_series(text: &str) -> Result<Vec<SampledSeries>, TableError> {
    series(&csv(text)?)
}

#[test]
fn both_forms_are_read_with_gaps_and_in_any_order() {
    let found = read_series("unique_id,ds,y,note\nb,3,3\u{20},x\nb,1,1,\na,1,,\nb,2,NaN,\n").unwrap();
    assert_eq!(found.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(found[0].timeline, Timeline { kind: TimeKind::Steps, first: 1, step: 1 });
    assert_eq!((found[0].values[0], found[0].values[2]), (1.0, 3.0));
    assert!(found[0].values[1].is_nan() && found[1].values[0].is_nan());

    let found = read_series("unique_id,ds,y\na,2026-01-01,1\nb,2026-01-01,1\nb,2026-01-02,2\n").unwrap();
    assert_eq!(found[0].timeline.step, 86_400_000, "a single row has the step of the others");

    let found = read_series(
        "value,timestamp\n1,2014-04-01 00:00:00\n2,2014-04-01T00:05:00Z\n3,2014-04-01T02:15:00+02:00\n",
    )
    .unwrap();
    assert_eq!(
        found[0].timeline,
        Timeline { kind: TimeKind::Instants, first: 1_396_310_400_000, step: 300_000 }
    );
    assert_eq!(found[0].values.len(), 4);
    assert!(found[0].values[2].is_nan());
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, expected) in [
        (
            "unique_id,ds,y\na,1,1\n,2,2\n",
            "read \"\" in column unique_id at line 3 of usage.csv; name the series",
        ),
        ("unique_id,ds,y\na,1,1\na,2,two\n", "read \"two\" in column y at line 3 of usage.csv; use a finite"),
        ("unique_id,ds,y\n\n\na,1,1\na,2,inf\n", "column y at line 5"),
        ("unique_id,ds,y\na,1,1\na,x,1\n", "read \"x\" in column ds at line 3"),
        ("unique_id,ds,y\na,1,1\na,2\n", "read line 3 of usage.csv: it has 2 fields and the header has 3"),
        (
            "unique_id,ds,y\n\"a\nb\",1,1\na,2,2\na,2,3\n",
            "use line 5 of usage.csv: the series \"a\" has this time already at line 4",
        ),
        (
            "unique_id,y\na,1\n",
            "find unique_id, ds, y or timestamp, value in the header of usage.csv; its columns are unique_id, y",
        ),
        ("", "its columns are none"),
        ("unique_id,ds,y\n", "read usage.csv: it has a header and no rows"),
        ("y,y\n", "two columns are named \"y\""),
        ("unique_id,ds,y\na,1,1\na,2,1\na,900000000,1\n", "its 3 samples span 900000000 steps"),
    ] {
        let error = read_series(text).unwrap_err();
        assert!(error.is_bad_input());
        assert!(error.to_string().contains(expected), "{error}\nlacks {expected}");
    }
}

#[test]
fn no_input_makes_it_panic_or_ask_for_much_memory() {
    for ends in [(i64::MIN, i64::MAX), (0, i64::MAX), (i64::MIN, 0)] {
        let text = format!("unique_id,ds,y\na,{},1\na,0{},1\n", ends.0, ends.1);
        let _ = read_series(&text.replace("0-", "-"));
    }
}

fn every_kind() -> Table {
    let mut table = Table::new();
    table.set("unique_id", Column::Text(["a", "a, \"b\"", ""].into_iter().collect()));
    table.set("ds", Column::Times([0, 300_000, 600_001].map(Timestamp::from_millis).to_vec()));
    table.set("y", Column::Numbers(vec![1.5, f64::NAN, 1e-12]));
    table.set("steps", Column::Integers(vec![-1, 0, i64::MAX]));
    table
}

#[test]
fn tables_survive_both_formats_and_the_way_between_them() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    write(&path("one.csv"), &every_kind()).unwrap();
    write(&path("one.parquet"), &every_kind()).unwrap();
    let text = fs::read_to_string(path("one.csv")).unwrap();
    assert_eq!(
        text,
        "unique_id,ds,y,steps\na,1970-01-01T00:00:00Z,1.5,-1\n\"a, \"\"b\"\"\",1970-01-01T00:05:00Z,,0\n\
         ,1970-01-01T00:10:00.001Z,1e-12,9223372036854775807\n"
    );
    write(&path("two.csv"), &read(&path("one.parquet")).unwrap()).unwrap();
    assert_eq!(fs::read_to_string(path("two.csv")).unwrap(), text);
    write(&path("two.parquet"), &read(&path("one.csv")).unwrap()).unwrap();
    write(&path("three.csv"), &read(&path("two.parquet")).unwrap()).unwrap();
    assert_eq!(fs::read_to_string(path("three.csv")).unwrap(), text);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 5, "temporary files were left: {left:?}");
}

#[test]
fn an_output_that_fails_leaves_the_old_file_as_it_was() {
    let folder = folder();
    let path = folder.path().join("kept.csv");
    fs::write(&path, "old").unwrap();
    let failed = sink::write_whole(&path, |out| {
        out.write_all(b"half")?;
        Err(std::io::Error::other("the disk is full"))
    });
    assert!(!failed.unwrap_err().is_bad_input());
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(matches!(write(&PathBuf::from("usage.xlsx"), &every_kind()), Err(TableError::Ending { .. })));
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_a_pipe_a_pipe() {
    use std::os::unix::fs::FileTypeExt;

    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("real.csv"), "old").unwrap();
    std::os::unix::fs::symlink(path("real.csv"), path("link.csv")).unwrap();
    write(&path("link.csv"), &every_kind()).unwrap();
    assert!(fs::symlink_metadata(path("link.csv")).unwrap().is_symlink());
    assert!(fs::read_to_string(path("real.csv")).unwrap().starts_with("unique_id"));

    let made = std::process::Command::new("mkfifo").arg(path("pipe.csv")).status().unwrap();
    assert!(made.success());
    let reader = std::thread::spawn({
        let pipe = path("pipe.csv");
        move || fs::read_to_string(pipe).unwrap()
    });
    write(&path("pipe.csv"), &every_kind()).unwrap();
    assert!(reader.join().unwrap().starts_with("unique_id"));
    assert!(fs::metadata(path("pipe.csv")).unwrap().file_type().is_fifo());
}

#[test]
fn the_step_is_the_most_frequent_distance() {
    use timeline::most_frequent;
    assert_eq!(most_frequent([5, 5, 1, 5, 20].into_iter()), Some(5));
    assert_eq!(most_frequent([7, 3].into_iter()), Some(3));
    assert_eq!(most_frequent(std::iter::empty()), None);
}

#[test]
fn the_step_of_times_that_come_late_is_the_usual_one_that_they_are_about() {
    // Each hour's sample comes up to ten minutes late, to the millisecond.
    let late = |hour: i64| hour * 3_600_000 + (hour * hour * 7_919 + hour * 104_729) % 600_000;
    let rows: String = (0..400).map(|hour| format!("a,{},{hour}\n", instant(late(hour)))).collect();
    let one = series(&csv(&format!("unique_id,ds,y\n{rows}")).unwrap()).unwrap().remove(0);
    assert_eq!((one.timeline.step, one.values.len()), (3_600_000, 400));
    assert!(one.values.iter().enumerate().all(|(hour, value)| *value == hour as f64));
    // No usual step is near.
    let odd = |row: i64| row * 2_500_000 + (row * row * 7_919 + row * 104_729) % 60_000;
    let rows: String = (0..40).map(|row| format!("a,{},1\n", instant(odd(row)))).collect();
    let one = series(&csv(&format!("unique_id,ds,y\n{rows}")).unwrap()).unwrap().remove(0);
    assert!((2_440_000..2_560_000).contains(&one.timeline.step), "{}", one.timeline.step);
}

fn instant(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(1_767_225_600_000 + millis).unwrap().to_rfc3339()
}

#[test]
fn a_fleet_without_its_extra_columns_takes_what_the_id_says() {
    let table =
        csv("unique_id,ds,y\nacme/cpu_cores,2026-01-01 00:00:00,1\nacme/cpu_cores,2026-01-01 01:00:00,2\n");
    let folder = folder();
    let path = folder.path().join("usage.csv");
    write(&path, &table.unwrap()).unwrap();
    assert!(read_fleet(&path).unwrap_err().to_string().starts_with("find tier in the header"));
    let fleet = read_fleet_as(&path, crate::domain::Tier::Premium).unwrap();
    assert_eq!(fleet.step, crate::domain::Step::HOUR);
    assert_eq!(fleet.tenants[0].quotas.values().copied().collect::<Vec<_>>(), [8.0]);
    assert_eq!(fleet.frames[0].samples(), 2);
}

#[test]
fn one_time_far_away_is_refused_before_room_is_made_for_it() {
    let folder = folder();
    let path = folder.path().join("usage.csv");
    let row = |year: u32, minute: u32| format!("acme/cpu_cores,{year}-01-01 00:{minute:02}:00,1\n");
    let rows: String = [(2026, 0), (2026, 1), (2026, 2), (9026, 3)].map(|(year, at)| row(year, at)).concat();
    fs::write(&path, format!("unique_id,ds,y\n{rows}")).unwrap();
    let refused = read_fleet_as(&path, crate::domain::Tier::Premium).unwrap_err().to_string();
    assert!(refused.contains("\"acme/cpu_cores\"") && refused.contains("its 4 samples span"), "{refused}");
}
