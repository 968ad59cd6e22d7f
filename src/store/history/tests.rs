//! Whatever happens to the segments: what was added is given, the latest of
//! two for one instant.

use std::fs;

use proptest::prelude::*;

use super::*;

const CPU: Resource = Resource::CpuCores;
const STEP: Step = Step::FIVE_MINUTES;
/// Grid points of a day.
const DAY: i64 = 288;

fn at(point: i64) -> Timestamp {
    Timestamp::from_millis(point * STEP.millis())
}

/// A frame of series that each begin at a grid point.
fn frame(series: &[(&str, i64, &[f64])]) -> Frame {
    let mut frame = Frame::empty(CPU, STEP);
    for (tenant, start, values) in series {
        let series = UsageSeries { start: at(*start), step: STEP, values: values.to_vec().into() };
        frame.series.insert(tenant.parse().unwrap(), series);
    }
    frame
}

/// The samples of a frame: tenant, grid point, value.
fn samples(frame: &Frame) -> Vec<(String, i64, f64)> {
    let of = |(tenant, series): (&TenantId, &UsageSeries)| {
        let name = tenant.to_string();
        let points = series.values.iter().enumerate().filter(|(_, value)| value.is_finite());
        points
            .map(|(index, value)| (name.clone(), series.at(index).millis() / STEP.millis(), *value))
            .collect::<Vec<_>>()
    };
    frame.series.iter().flat_map(of).collect()
}

fn load(history: &ParquetHistory, since: i64) -> Vec<(String, i64, f64)> {
    samples(&history.load(CPU, STEP, at(since)).unwrap())
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    files::files_in(&folder.join("cpu_cores")).unwrap()
}

#[test]
fn what_is_added_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let history = ParquetHistory::open(folder.path()).unwrap();
    assert!(history.load(CPU, STEP, at(0)).unwrap().series.is_empty());
    let long: Vec<f64> = (0..3 * DAY).map(|n| if n % 7 == 3 { f64::NAN } else { n as f64 }).collect();
    let added = frame(&[("acme", 100, &long), ("zeta", 2 * DAY, &[1.0, f64::NAN, 0.1 + 0.2])]);
    history.append(&added).unwrap();
    history.append(&frame(&[])).unwrap();
    drop(history);
    let history = ParquetHistory::open(folder.path()).unwrap();
    assert_eq!(load(&history, 0), samples(&added));
    let late = load(&history, 2 * DAY + 1);
    assert_eq!(late.len(), samples(&added).iter().filter(|sample| sample.1 > 2 * DAY).count());
    assert!(history.load(Resource::MemoryGb, STEP, at(0)).unwrap().series.is_empty());
    assert_eq!(files_of(folder.path()).len(), 4, "a segment a day");
}

#[test]
fn the_latest_segment_wins() {
    let folder = tempfile::tempdir().unwrap();
    let history = ParquetHistory::open(folder.path()).unwrap();
    history.append(&frame(&[("acme", 0, &[1.0, 2.0, 3.0])])).unwrap();
    history.append(&frame(&[("acme", 1, &[9.0]), ("zeta", 1, &[5.0])])).unwrap();
    history.append(&frame(&[("acme", 0, &[f64::NAN, f64::NAN, 7.0])])).unwrap();
    let of = |tenant: &str, point, value| (tenant.to_owned(), point, value);
    let expected = [of("acme", 0, 1.0), of("acme", 1, 9.0), of("acme", 2, 7.0), of("zeta", 1, 5.0)];
    assert_eq!(load(&history, 0), expected);
}

#[test]
fn a_day_that_is_over_becomes_one_segment_and_a_crash_in_between_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = HistorySettings { segments_of_last_day: 1000, ..HistorySettings::default() };
    let history = ParquetHistory::open_with(folder.path(), settings).unwrap();
    for point in 0..DAY {
        history
            .append(&frame(&[("acme", point, &[point as f64]), ("zeta", point / 2, &[point as f64])]))
            .unwrap();
    }
    let parts = files_of(folder.path());
    assert_eq!(parts.len(), 288, "the day is not over");
    let kept: Vec<_> = parts.iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    let before = load(&history, 0);
    history.append(&frame(&[("acme", DAY, &[0.5])])).unwrap();
    let after = files_of(folder.path());
    assert_eq!(after.len(), 2);
    let mut expected = before;
    expected.insert(DAY as usize, ("acme".to_owned(), DAY, 0.5));
    assert_eq!(load(&history, 0), expected);

    // As if the parts had not been removed, or only some of them.
    for (path, bytes) in kept.iter().filter(|(path, _)| !after.contains(path)) {
        fs::write(path, bytes).unwrap();
    }
    assert_eq!(load(&history, 0), expected);
    for (path, _) in &kept[..200] {
        fs::remove_file(path).ok();
    }
    assert_eq!(load(&history, 0), expected);
    history.append(&frame(&[("acme", DAY + 1, &[1.5])])).unwrap();
    assert_eq!(files_of(folder.path()).len(), 3);
    expected.insert(DAY as usize + 1, ("acme".to_owned(), DAY + 1, 1.5));
    assert_eq!(load(&history, 0), expected);
}

#[test]
fn an_unreadable_segment_is_left_out_and_noted_once() {
    let folder = tempfile::tempdir().unwrap();
    let history = ParquetHistory::open(folder.path()).unwrap();
    for point in 0..4 {
        history.append(&frame(&[("acme", point, &[point as f64])])).unwrap();
    }
    let parts = files_of(folder.path());
    let whole = fs::read(&parts[0]).unwrap();
    fs::write(&parts[0], &whole[..whole.len() / 2]).unwrap();
    fs::write(&parts[1], b"").unwrap();
    fs::write(&parts[2], b"PAR1 is how it begins, and how it ends: PAR1").unwrap();
    for _ in 0..2 {
        let points: Vec<i64> = load(&history, 0).iter().map(|sample| sample.1).collect();
        assert_eq!(points, [3]);
    }
    assert_eq!(history.unreadable.lock().len(), 3);
    for point in [5, DAY, DAY + 1] {
        history.append(&frame(&[("acme", point, &[1.0])])).unwrap();
    }
    assert!(parts.iter().all(|part| part.exists()), "a day with damage is left for a person");
    fs::write(&parts[0], whole).unwrap();
    assert_eq!(load(&history, 0).len(), 5, "mended, it counts again");
}

#[test]
fn old_segments_go_and_other_files_stay() {
    let folder = tempfile::tempdir().unwrap();
    let history = ParquetHistory::open(folder.path()).unwrap();
    for day in 0..4 {
        history.append(&frame(&[("acme", day * DAY, &[day as f64, 1.0])])).unwrap();
    }
    let notes = folder.path().join("cpu_cores/notes.parquet");
    fs::write(&notes, b"somebody's").unwrap();
    fs::write(folder.path().join("cpu_cores/1_2_00000001.parquet.tmp"), b"half").unwrap();
    history.retain(at(0), at(DAY + 1)).unwrap();
    assert_eq!(load(&history, 0).len(), 6, "a segment goes once all of it is old");
    history.retain(at(0), at(DAY + 2)).unwrap();
    assert_eq!(load(&history, 0).len(), 4);
    ParquetHistory::open(folder.path()).unwrap();
    assert_eq!(files_of(folder.path()).len(), 3, "half a segment is swept, notes are not");
    assert!(notes.exists());
}

#[test]
fn the_last_day_does_not_fall_to_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let history = ParquetHistory::open(folder.path()).unwrap();
    for point in 0..DAY {
        history.append(&frame(&[("acme", point, &[point as f64])])).unwrap();
        assert!(files_of(folder.path()).len() <= 32);
    }
    let points: Vec<i64> = load(&history, 0).iter().map(|sample| sample.1).collect();
    assert_eq!(points, (0..DAY).collect::<Vec<_>>());
}

#[test]
fn any_flipped_or_missing_byte_of_a_segment_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let history = ParquetHistory::open(folder.path()).unwrap();
    let values: Vec<f64> = (0..40).map(f64::from).collect();
    history.append(&frame(&[("acme", 0, &values)])).unwrap();
    history.append(&frame(&[("acme", DAY, &[1.0])])).unwrap();
    let path = &files_of(folder.path())[0];
    let whole = fs::read(path).unwrap();
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        fs::write(path, bytes).unwrap();
        assert_eq!(load(&history, 0).len(), 1, "byte {place}; the rest stays usable");
        let (count, damaged) = check_history(folder.path()).unwrap();
        assert_eq!((count, damaged.len(), &damaged[0].path), (2, 1, path));
    }
    for length in 0..whole.len() {
        fs::write(path, &whole[..length]).unwrap();
        assert_eq!(load(&history, 0).len(), 1, "{length} bytes");
    }
    assert_eq!(history.unreadable.lock().len(), 1, "it is named once");
    fs::write(path, whole).unwrap();
    assert_eq!(load(&history, 0).len(), 41);
    assert_eq!(check_history(folder.path()).unwrap(), (2, Vec::new()));
}

#[test]
fn segments_of_versions_that_wrote_no_hash_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let history = ParquetHistory::open(folder.path()).unwrap();
    history.append(&frame(&[("acme", 0, &[1.0, 2.0])])).unwrap();
    let path = &files_of(folder.path())[0];
    let name = path.file_name().unwrap().to_str().unwrap();
    let old = name.rsplit_once('_').unwrap().0.to_owned() + ".parquet";
    fs::rename(path, path.with_file_name(old)).unwrap();
    assert_eq!(load(&history, 0).len(), 2);
    for point in 2..8 {
        history.append(&frame(&[("acme", point, &[point as f64])])).unwrap();
    }
    history.append(&frame(&[("acme", DAY, &[1.0])])).unwrap();
    assert_eq!(files_of(folder.path()).len(), 2, "and put together with others");
    assert_eq!(load(&history, 0).len(), 9);
}

#[test]
fn old_days_become_hours_that_keep_mean_and_peak() {
    let folder = tempfile::tempdir().unwrap();
    let history = ParquetHistory::open(folder.path()).unwrap();
    let values: Vec<f64> = (0..3 * DAY).map(|n| if n % 12 == 5 { 50.0 } else { 1.0 }).collect();
    history.append(&frame(&[("acme", 0, &values), ("zeta", 6, &[3.0, f64::NAN, 5.0])])).unwrap();
    history.retain(at(2 * DAY - 1), at(0)).unwrap();
    assert_eq!(files_of(folder.path()).len(), 2, "a day is thinned out once all of it is old");
    let points: Vec<i64> = load(&history, 0).iter().map(|sample| sample.1).collect();
    assert_eq!(points, (DAY..3 * DAY).collect::<Vec<_>>(), "what is loaded is never a mean");

    let hours = |history: &ParquetHistory| {
        let segments = history.hourly_segments(CPU).unwrap();
        let read = segments.iter().map(|segment| Hours::read(segment.bytes().unwrap()).unwrap());
        read.fold(Hours::default(), |mut all, hours| {
            all.append(hours);
            all
        })
    };
    let found = hours(&history);
    assert_eq!(found.0["acme"].len(), 24);
    let mean = (50.0 + 11.0) / 12.0;
    assert!(found.0["acme"].values().all(|hour| hour.peak == 50.0 && (hour.mean - mean).abs() < 1e-9));
    assert_eq!(found.0["zeta"][&at(0)], hours::Hour { mean: 4.0, peak: 5.0, samples: 2 });

    // As if it was cut before the full samples were removed, and then more came.
    history.append(&frame(&[("acme", 0, &values[..DAY as usize]), ("late", 3, &[7.0])])).unwrap();
    history.retain(at(2 * DAY), at(0)).unwrap();
    let again = hours(&history);
    assert_eq!((again.0["acme"].len(), again.0["late"][&at(0)].peak), (48, 7.0));
    assert_eq!(again.0["zeta"], found.0["zeta"]);
    assert_eq!(history.hourly_segments(CPU).unwrap().len(), 2, "one for each day");

    let hourly = &history.hourly_segments(CPU).unwrap()[0].path.clone();
    let whole = fs::read(hourly).unwrap();
    let mut bytes = whole.clone();
    bytes[40] ^= 1;
    fs::write(hourly, bytes).unwrap();
    assert_eq!(check_history(folder.path()).unwrap().1.len(), 1);
    fs::write(hourly, whole).unwrap();
    history.retain(at(2 * DAY), at(DAY)).unwrap();
    assert_eq!(history.hourly_segments(CPU).unwrap().len(), 1, "hours go, too, once they are old");
}

#[test]
fn whether_anything_is_held_is_known_whatever_its_age_and_state() {
    let folder = tempfile::tempdir().unwrap();
    let history = ParquetHistory::open(folder.path()).unwrap();
    assert!(!history.holds(CPU).unwrap());
    fs::write(folder.path().join("cpu_cores/notes.parquet"), b"somebody's").unwrap();
    assert!(!history.holds(CPU).unwrap(), "other files are no history");
    history.append(&frame(&[("acme", 0, &[1.0, 2.0])])).unwrap();
    assert!(history.holds(CPU).unwrap() && !history.holds(Resource::MemoryGb).unwrap());
    history.retain(at(2 * DAY), at(0)).unwrap();
    assert!(load(&history, 0).is_empty() && history.holds(CPU).unwrap(), "hours are something");
    fs::write(&history.hourly_segments(CPU).unwrap()[0].path, b"").unwrap();
    assert!(history.holds(CPU).unwrap(), "and so are damaged ones");
    drop(history);
    fs::remove_dir_all(folder.path().join("cpu_cores")).unwrap();
    assert!(!ParquetHistory::open(folder.path()).unwrap().holds(CPU).unwrap());
}

#[test]
fn what_is_left_out_is_told_until_it_is_read_again_or_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let history = ParquetHistory::open(folder.path()).unwrap();
    for day in 0..2 {
        history.append(&frame(&[("acme", day * DAY, &[1.0, 2.0])])).unwrap();
    }
    let parts = files_of(folder.path());
    let whole = fs::read(&parts[0]).unwrap();
    fs::write(&parts[0], b"").unwrap();
    assert_eq!(history.damage(), None, "nobody has read it yet");
    let told = || {
        load(&history, 0);
        history.damage().unwrap()
    };
    let path = |part: &Path| part.display().to_string();
    let of_one = told();
    assert!(of_one.contains(&path(&parts[0])) && !of_one.contains("more"), "{of_one}");
    fs::write(&parts[1], b"").unwrap();
    let of_both = told();
    assert!(of_both.contains(&path(&parts[0])) && of_both.ends_with(", and 1 more"), "{of_both}");
    fs::write(&parts[0], whole).unwrap();
    let of_other = told();
    assert!(of_other.contains(&path(&parts[1])) && !of_other.contains("more"), "{of_other}");
    fs::remove_file(&parts[1]).unwrap();
    history.retain(at(0), at(0)).unwrap();
    assert_eq!(history.damage(), None, "somebody wants the gap");
}

#[test]
fn a_folder_that_can_not_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history");
    fs::write(&file, b"").unwrap();
    let refused = ParquetHistory::open(&file).unwrap_err().to_string();
    assert!(refused.contains("history"), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is added in whatever order: what is loaded is what a plain map
    /// would hold, also after days were put together.
    #[test]
    fn holds_what_a_map_would(
        pieces in prop::collection::vec((0..3_usize, 0..3 * DAY, prop::collection::vec(prop::option::of(0..100_u32), 1..400)), 1..14),
        since in 0..2 * DAY,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let history = ParquetHistory::open_with(folder.path(), HistorySettings { segments_per_day: 2, segments_of_last_day: 3 }).unwrap();
        let mut map = BTreeMap::new();
        for (tenant, start, values) in pieces {
            let name = ["acme", "beta", "zeta"][tenant];
            let values: Vec<f64> = values.iter().map(|value| value.map_or(f64::NAN, f64::from)).collect();
            for (point, value) in (start..).zip(&values).filter(|(_, value)| value.is_finite()) {
                map.insert((name.to_owned(), point), *value);
            }
            history.append(&frame(&[(name, start, &values)])).unwrap();
        }
        let expected: Vec<_> = map.into_iter().filter(|((_, point), _)| *point >= since)
            .map(|((tenant, point), value)| (tenant, point, value)).collect();
        prop_assert_eq!(load(&history, since), expected);
    }
}
