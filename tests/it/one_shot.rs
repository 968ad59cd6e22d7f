//! The commands for people with a file and no daemon, as real processes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn plimsoll(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plimsoll")).args(arguments).output().unwrap()
}

/// Runs with text on standard input, and gives what came out.
fn piped(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A process that refuses its arguments does not wait for its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The standard output of a run that must have gone well.
fn good(output: &Output) -> &str {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn path<'a>(folder: &'a Path, name: &str, kept: &'a mut Vec<String>) -> String {
    let path = folder.join(name).display().to_string();
    kept.push(path.clone());
    path
}

/// Three days of hours with a rhythm, and a spike at one of them.
fn rhythm(id: &str, hours: usize, spike: Option<usize>) -> String {
    let value = |hour: usize| {
        let usual = 100 + (hour % 24) * 5 + (hour * 7919 % 13);
        if spike == Some(hour) { usual * 10 } else { usual }
    };
    (0..hours).map(|hour| format!("{id},{},{}\n", hour + 1, value(hour))).collect()
}

fn rows(csv: &str) -> Vec<Vec<&str>> {
    csv.lines().skip(1).map(|line| line.split(',').collect()).collect()
}

#[test]
fn a_counter_is_forecast_by_what_it_grows_by() {
    // Ten or thirty an hour; the process restarts at hour 100.
    let grown = |hour: usize| if hour % 24 < 12 { 10 } else { 30 };
    let count = |hour: usize| (if hour < 100 { 0..=hour } else { 100..=hour }).map(grown).sum::<usize>();
    let input: String = (0..240).map(|hour| format!("c,{hour},{}\n", count(hour))).collect();
    let input = format!("unique_id,ds,y\n{input}");
    let arguments =
        ["forecast", "--counter", "--input", "-", "--horizon", "24", "--season", "24", "--output", "-"];
    let output = piped(&arguments, &input);
    let rows = rows(good(&output));
    assert_eq!(rows.len(), 24);
    for (step, row) in rows.iter().enumerate() {
        let (mean, wanted): (f64, usize) = (row[2].parse().unwrap(), grown(240 + step));
        assert!((mean - wanted as f64).abs() < 2.0, "{row:?} {wanted}");
    }
}

#[test]
fn a_forecast_follows_the_clock_on_the_wall_through_the_change_to_summer_time() {
    // Berlin's clock is put forward on 29 March 2026; the work begins at eight there before and after.
    // The first of the month is a Sunday.
    let works = |local: usize| (8..18).contains(&(local % 24)) && ![0, 6].contains(&(local / 24 % 7));
    let day = |local: usize| if works(local) { 10 } else { 2 };
    let line = |n: usize| {
        let (date, hour) = (n / 24, n % 24);
        let ahead = if n > 28 * 24 { 2 } else { 1 };
        let noise = (n * 7919 % 13) as f64 / 20.0;
        format!("a,2026-03-{:02}T{hour:02}:00:00Z,{}\n", 1 + date, day(n + ahead) as f64 + noise)
    };
    let input = format!("unique_id,ds,y\n{}", (0..30 * 24).map(line).collect::<String>());
    let misses = |zone: &str| {
        let arguments = ["forecast", "--input", "-", "--horizon", "24", "--time-zone", zone, "--output", "-"];
        let output = piped(&arguments, &input);
        let found = rows(good(&output));
        assert_eq!((found.len(), found[0][1]), (24, "2026-03-31T00:00:00Z"));
        let expected = |n: usize| day(30 * 24 + n + 2) as f64 + 0.3;
        let miss = |(n, row): (usize, &Vec<&str>)| (row[2].parse::<f64>().unwrap() - expected(n)).abs();
        found.iter().enumerate().map(miss).sum::<f64>() / 24.0
    };
    let (utc, berlin) = (misses("UTC"), misses("Europe/Berlin"));
    assert!(berlin < 0.4 && utc > 1.5 * berlin, "{berlin} {utc}");
    let wrong =
        piped(&["forecast", "--input", "-", "--horizon", "1", "--time-zone", "Mars", "--output", "-"], "");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("a time zone of the IANA database"), "{wrong:?}");
}

#[test]
fn forecast_continues_integer_steps_and_orders_its_quantiles() {
    let input = format!("unique_id,ds,y\n{}short,1,4\nshort,2,6\nnone,1,\n", rhythm("day", 240, None));
    let output = piped(
        &["forecast", "--input", "-", "--horizon", "30", "--quantiles", "0.9,0.1,0.5", "--output", "-"],
        &input,
    );
    let csv = good(&output);
    assert_eq!(csv.lines().next(), Some("unique_id,ds,mean,q0.1,q0.5,q0.9"));
    let rows = rows(csv);
    assert_eq!(rows.len(), 60, "{csv}");
    for (index, row) in rows.iter().enumerate() {
        let (id, first) = if index < 30 { ("day", 241) } else { ("short", 3) };
        assert_eq!((row[0], row[1]), (id, (first + index % 30).to_string().as_str()));
        let numbers: Vec<f64> = row[2..].iter().map(|cell| cell.parse().unwrap()).collect();
        assert!(numbers.iter().all(|number| number.is_finite()));
        assert!(numbers[1] <= numbers[2] && numbers[2] <= numbers[3], "{row:?}");
    }
    // The season was found: hour 252 is like hour 12 of any day.
    let usual = 100.0 + 11.0 * 5.0 + 6.0;
    assert!((rows[11][2].parse::<f64>().unwrap() - usual).abs() < 8.0, "{:?}", rows[11]);
    assert_eq!(rows[30][2..], ["5.0", "4.2", "5.0", "5.8"]);
    assert_eq!(
        text(&output.stderr),
        "plimsoll: the series \"none\" has no forecast: no sample is known\n\
         plimsoll: no model forecasts \"short\": there are only 2 samples and 12 are needed; the quantiles of what is \
         known are repeated\n"
    );
}

/// The highest ninth decile of the next day, by these arguments beside the usual ones.
fn highest(input: &str, more: &[&str]) -> f64 {
    let usual = ["forecast", "--input", "-", "--horizon", "24", "--quantiles", "0.9", "--output", "-"];
    let output = piped(&[&usual, more].concat(), input);
    rows(good(&output)).iter().map(|row| row[3].parse().unwrap()).fold(0.0, f64::max)
}

#[test]
fn a_fault_in_the_past_can_be_hidden_from_the_models() {
    let fault = |hour: usize| if (657..660).contains(&hour) { 20.0 } else { 1.0 };
    let noise = |hour: usize| (hour * 7919 % 100) as f64 / 100.0;
    let usage = |hour: usize| 10.0 + 5.0 * (hour as f64 * std::f64::consts::TAU / 24.0).sin() + noise(hour);
    let day = |hour: usize| format!("a,2026-01-{:02} {:02}:00:00", 1 + hour / 24, hour % 24);
    let file = |faulty: bool| {
        let value = |hour| usage(hour) * if faulty { fault(hour) } else { 1.0 };
        let lines: String = (0..672).map(|hour| format!("{},{:.3}\n", day(hour), value(hour))).collect();
        format!("unique_id,ds,y\n{lines}")
    };
    let (sound, seen) = (highest(&file(false), &[]), highest(&file(true), &[]));
    let hidden = highest(&file(true), &["--without-anomalies"]);
    assert!(seen > 3.0 * sound && (hidden / sound - 1.0).abs() < 0.1, "{sound} {seen} {hidden}");
}

#[test]
fn forecast_tells_of_members_counters_and_what_it_can_not_take() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    let members = path(folder.path(), "members.csv", &mut kept);
    let counter: String = (0..100).map(|hour| format!("calls,{hour},{}\n", hour % 60 * 3)).collect();
    let huge: String =
        (0..20).map(|hour| format!("huge,{hour},{}\n", if hour == 7 { "1e101" } else { "1" })).collect();
    let input = format!("unique_id,ds,y\n{}{counter}{huge}", rhythm("day", 240, None));
    let usual = ["forecast", "--input", "-", "--horizon", "3", "--output", "-"];
    let output = piped(&[&usual[..], &["--members", &members]].concat(), &input);
    assert_eq!(rows(good(&output)).len(), 6);
    let told = text(&output.stderr);
    assert!(told.contains("a counter: \"calls\"; --counter"), "{told}");
    assert!(told.contains("\"huge\" has no forecast: a sample of 1e101"), "{told}");
    let written = fs::read_to_string(&members).unwrap();
    let of_day: Vec<Vec<&str>> = rows(&written).into_iter().filter(|row| row[0] == "day").collect();
    let weights: f64 = of_day.iter().map(|row| row[2].parse::<f64>().unwrap()).sum();
    assert!((weights - 1.0).abs() < 1e-6, "{written}");
    assert!(of_day.iter().all(|row| row[3].is_empty() != row[4].is_empty()), "a loss or a reason: {written}");
    // Of two days the network says something, and what is fitted to more does not.
    let young =
        piped(&[&usual[..], &["--last", "48", "--season", "24", "--members", &members]].concat(), &input);
    good(&young);
    let written = fs::read_to_string(&members).unwrap();
    let of = |name: &str| rows(&written).into_iter().find(|row| row[..2] == ["day", name]).unwrap().join(",");
    assert!(of("neural network").ends_with(','), "{written}");
    assert!(of("theta").ends_with("there are only 36 samples and 48 are needed"), "{written}");
    let without = piped(&[&usual[..], &["--without", "theta,oracle"]].concat(), &input);
    assert_eq!(without.status.code(), Some(2));
    assert!(text(&without.stderr).contains("leave \"oracle\" out; the members are last value"));
}

#[test]
fn forecast_continues_times_in_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    let input = path(folder.path(), "in.csv", &mut kept);
    let lines = (0..60).map(|n| format!("2026-01-{:02} {:02}:00:00,{}\n", 1 + n / 24, n % 24, n % 24));
    fs::write(&input, format!("timestamp,value\n{}", lines.collect::<String>())).unwrap();
    let parquet = path(folder.path(), "out.parquet", &mut kept);
    good(&plimsoll(&["forecast", "-i", &input, "--horizon", "2", "--quantiles", "0.5", "-o", &parquet]));
    let csv = piped(&["forecast", "-i", &input, "--horizon", "2", "--quantiles", "0.5", "-o", "-"], "");
    assert_eq!(
        good(&csv),
        "unique_id,ds,mean,q0.5\nvalue,2026-01-03T12:00:00Z,12.0,12.0\nvalue,2026-01-03T13:00:00Z,13.0,13.0\n"
    );
    assert!(fs::metadata(&parquet).unwrap().len() > 100);
}

#[test]
fn a_malformed_row_is_named_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    let input = path(folder.path(), "in.csv", &mut kept);
    let output = path(folder.path(), "out.csv", &mut kept);
    fs::write(&input, "unique_id,ds,y\na,1,1\na,2,much\n").unwrap();
    for command in [vec!["detect"], vec!["forecast", "--horizon", "3"]] {
        let mut arguments = command;
        arguments.extend(["--input", &input, "--output", &output]);
        let failed = plimsoll(&arguments);
        assert_eq!(failed.status.code(), Some(2));
        assert_eq!(
            text(&failed.stderr),
            format!(
                "plimsoll: failed to read \"much\" in column y at line 3 of {input}; \
                 use a finite number, or nothing for a gap\n"
            )
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn bad_arguments_end_with_two_and_an_output_that_fails_with_one() {
    let good_input = "unique_id,ds,y\na,1,1\n";
    for (arguments, expected) in [
        (vec!["forecast", "-i", "-", "--horizon", "0", "-o", "-"], "at least 1"),
        (vec!["forecast", "-i", "-", "--horizon", "3", "-o", "out.xlsx"], ".csv, .parquet or .json"),
        (vec!["forecast", "-i", "-", "--horizon", "3", "--quantiles", "2", "-o", "-"], "above 0 and below 1"),
        (vec!["forecast", "-i", "missing.csv", "--horizon", "3", "-o", "-"], "missing.csv"),
        (vec!["detect", "-i", "-"], "--output"),
    ] {
        let failed = piped(&arguments, good_input);
        assert_eq!(failed.status.code(), Some(2), "{arguments:?}");
        assert!(text(&failed.stderr).contains(expected), "{}", text(&failed.stderr));
        assert!(failed.stdout.is_empty());
    }
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("missing/out.csv").display().to_string();
    let failed = piped(&["detect", "-i", "-", "-o", &nowhere], good_input);
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed.stderr));
    assert!(text(&failed.stderr).starts_with("plimsoll: failed to write"));
}

#[test]
fn detect_gives_the_same_rows_back_with_two_columns_more() {
    let input = format!("note,unique_id,ds,y\n{}", rhythm("\"x, y\",a", 600, Some(500)));
    let input = input.replace(",501,", ",0501,").replace(",10,", ", 10 ,");
    let output = piped(&["detect", "--input", "-", "--output", "-"], &input);
    let csv = good(&output);
    assert_eq!(csv.lines().next(), Some("note,unique_id,ds,y,anomaly_score,is_anomaly"));
    for (before, after) in input.lines().zip(csv.lines()) {
        assert!(after.starts_with(before), "{before} became {after}");
    }
    assert_eq!(csv.lines().count(), input.lines().count());
    let flagged: Vec<usize> =
        csv.lines().enumerate().filter(|(_, line)| line.ends_with(",1")).map(|(line, _)| line).collect();
    assert_eq!(flagged, [501]);
    let scores = csv.lines().skip(1).map(|line| line.rsplit(',').nth(1).unwrap().parse::<f64>().unwrap());
    assert!(scores.into_iter().all(|score| (0.0..=1.0).contains(&score)));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(["simulate", "--tenants", "1", "--days", "7", "--output", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 9];
    std::io::Read::read_exact(&mut child.stdout.take().unwrap(), &mut first).unwrap();
    assert_eq!(text(&first), "unique_id");
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{}", text(&ended.stderr));
}

#[test]
fn detect_looks_at_no_later_row() {
    // Two series whose rows alternate, gaps, a time that goes back, one twice.
    let mut input = String::from("unique_id,ds,y\n");
    for minute in 0..900_i64 {
        let (hour, second) = (minute / 60, if minute % 97 == 0 { -3 } else { 0 });
        let at = 1_700_000_000 + minute * 300 + second * 300;
        let time = chrono::DateTime::from_timestamp(at, 0).unwrap().to_rfc3339();
        let value = if minute % 50 == 7 { String::new() } else { (10 + hour % 5 + minute % 3).to_string() };
        input.push_str(&format!("a,{time},{value}\nb,{time},{}\n", minute * minute % 1000));
    }
    let whole = piped(&["detect", "-i", "-", "-o", "-"], &input);
    let whole = good(&whole);
    for cut in [2, 3, 4, 900, 1501] {
        let prefix: String = input.lines().take(cut).map(|line| format!("{line}\n")).collect();
        let part = piped(&["detect", "-i", "-", "-o", "-"], &prefix);
        assert_eq!(good(&part).lines().collect::<Vec<_>>(), whole.lines().take(cut).collect::<Vec<_>>());
    }
}

#[test]
fn simulate_repeats_and_fewer_tenants_are_the_first_rows() {
    let folder = tempfile::tempdir().unwrap();
    let simulate = |tenants: &str, seed: &str, name: &str| {
        let path = folder.path().join(name).display().to_string();
        let sizes = ["simulate", "--tenants", tenants, "--days", "2", "--step", "30m", "--seed", seed];
        good(&plimsoll(&[&sizes[..], &["--output", &path]].concat()));
        fs::read(path).unwrap()
    };
    for ending in ["csv", "parquet", "om"] {
        let name = |number: u8| format!("{number}.{ending}");
        let (one, again) = (simulate("4", "9", &name(1)), simulate("4", "9", &name(2)));
        assert!(one == again, "{ending}");
        assert!(one != simulate("4", "10", &name(3)), "{ending}");
    }
    let (three, four) = (simulate("3", "9", "3.csv"), simulate("4", "9", "4.csv"));
    assert!(four.starts_with(&three) && four.len() > three.len());
    assert!(text(&four).starts_with("unique_id,ds,y,tenant,name,tier,apply_mode,resource,quota\n"));
    let piped =
        plimsoll(&["simulate", "--tenants", "3", "--days", "2", "--step", "30m", "--seed", "9", "-o", "-"]);
    assert_eq!(good(&piped), text(&three));
    let failed = plimsoll(&["simulate", "--step", "7m", "-o", "-"]);
    assert_eq!(failed.status.code(), Some(2));
    assert!(text(&failed.stderr).contains("a day must be a whole number of them"));
}

#[test]
fn a_simulated_fleet_reads_back_from_both_formats() {
    use plimsoll::series::table::{read_fleet, write_fleet};
    use plimsoll::simulate::{Settings, fleet};

    let made = fleet(&Settings { tenants: 14, days: 2, ..Settings::default() });
    let folder = tempfile::tempdir().unwrap();
    for name in ["fleet.parquet", "fleet.csv"] {
        let path = folder.path().join(name);
        write_fleet(&path, &made).unwrap();
        let back = read_fleet(&path).unwrap();
        assert_eq!(back.step, made.step);
        for (ours, theirs) in made.tenants.iter().zip(&back.tenants) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(back.frames.len(), made.frames.len());
        for (ours, theirs) in made.frames.iter().zip(&back.frames) {
            assert_eq!((ours.resource, ours.samples()), (theirs.resource, theirs.samples()));
            for (tenant, series) in &ours.series {
                let mine: Vec<_> = series.values.iter().enumerate().filter(|(_, v)| v.is_finite()).collect();
                let other = &theirs.series[tenant];
                assert!(
                    mine.iter().all(|(i, v)| other.values[other.index_of(series.at(*i)).unwrap()] == **v)
                );
            }
        }
    }
}

#[test]
fn promtool_takes_the_openmetrics_text() {
    let folder = tempfile::tempdir().unwrap();
    let (file, blocks) = (folder.path().join("fleet.om"), folder.path().join("blocks"));
    let path = file.display().to_string();
    good(&plimsoll(&["simulate", "--tenants", "2", "--days", "2", "--step", "15m", "--output", &path]));
    let made = fs::read_to_string(&file).unwrap();
    assert!(
        made.contains("\ntenant_cpu_cores{tenant=\"harbour-books\",tier=\"STANDARD\"} "),
        "{}",
        &made[..300]
    );
    assert!(made.ends_with("\n# EOF\n"));
    let promtool = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &blocks])
        .output()
        .expect("promtool is needed: run make test-tools");
    assert!(promtool.status.success(), "{}", text(&promtool.stderr));
    assert!(fs::read_dir(&blocks).unwrap().count() > 0);
}

/// Ten days of five minutes with a day's rhythm.
fn busy_days(id: &str) -> String {
    let line = |n: usize| {
        let hour = n / 12 % 24;
        let value = if (8..18).contains(&hour) { 90 } else { 30 } + n * 7919 % 13;
        format!("{id},2026-01-{:02}T{hour:02}:{:02}:00Z,{value}\n", 1 + n / 288, n % 12 * 5)
    };
    (0..10 * 288).map(line).collect()
}

#[test]
fn replay_sets_limits_after_the_warmup_and_shows_what_they_were_worth() {
    let input = format!("unique_id,ds,y\n{}{}", busy_days("a"), busy_days("b"));
    let arguments = ["replay", "--input", "-", "--every", "6h", "--warmup", "7d"];
    let output = piped(&[&arguments[..], &["--output", "-"]].concat(), &input);
    let csv = good(&output);
    assert_eq!(csv.lines().next(), Some("unique_id,ds,limit"));
    let rows = rows(csv);
    assert_eq!(rows.len(), 2 * 3 * 4, "{csv}");
    assert_eq!(rows[0][..2], ["a", "2026-01-08T00:00:00Z"]);
    assert_eq!(rows[23][..2], ["b", "2026-01-10T18:00:00Z"]);
    assert!(rows.iter().all(|row| row[2].parse::<f64>().unwrap() > 30.0));
    let output = piped(&arguments, &input);
    let table = good(&output);
    for name in ["Plimsoll", "VPA for CPU", "VPA for memory", "KRR for CPU", "KRR for memory", "clairvoyant"]
    {
        assert!(table.contains(name), "{table}");
    }
}

#[test]
fn replay_keeps_to_the_allowed_changes_and_says_what_a_small_budget_costs() {
    let input = format!("unique_id,ds,y\n{}", busy_days("a"));
    let arguments = ["replay", "--input", "-", "--every", "1h", "--warmup", "7d"];
    let changes = |most: &str| {
        let written =
            piped(&[&arguments[..], &["--max-changes-per-day", most, "--output", "-"]].concat(), &input);
        let limits: Vec<f64> = rows(good(&written)).iter().map(|row| row[2].parse().unwrap()).collect();
        limits.windows(2).filter(|pair| pair[0] != pair[1]).count()
    };
    // Three days, with two changes saved up.
    let (few, many) = (changes("0.5"), changes("8"));
    assert!(few <= 3 && many > few && many <= 3 * 8 + 8, "{few} {many}");
    let insured = piped(&[&arguments[..], &["--budget", "0.001"]].concat(), &input);
    assert!(
        good(&insured).contains("A budget of 0.1 % allows 4.03 samples in two weeks"),
        "{}",
        good(&insured)
    );
    let proven = piped(&arguments, &input);
    assert!(!good(&proven).contains("two weeks at this step"), "{}", good(&proven));
}

#[test]
fn usage_below_zero_is_refused_by_its_line() {
    let input = format!("unique_id,ds,y\n{}a,2026-01-11T00:00:00Z,-3\n", busy_days("a"));
    let output = piped(&["replay", "--input", "-"], &input);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("\"-3\" in column y at line 2882"), "{said}");
    assert!(said.contains("usage is never below zero"), "{said}");
}

#[test]
fn replay_names_what_it_cannot_use() {
    let input = "unique_id,ds,y\na,1,1\na,2,2\n";
    for (arguments, message) in [
        (vec!["--every", "90m"], "failed to use --every 1h 30m; give whole hours, such as 6h"),
        (vec!["--budget", "1"], "failed to use --budget 1; give a share above 0 and below 1, such as 0.01"),
        (vec![], "failed to replay integer steps, which say nothing of hours"),
        (
            vec!["--policy", "magic"],
            "use auto, daemon, schedule, or one of reaction, window, histogram, smoothed, seasonal",
        ),
    ] {
        let failed = piped(&[&["replay", "--input", "-"][..], &arguments[..]].concat(), input);
        assert_eq!(failed.status.code(), Some(2));
        assert!(text(&failed.stderr).contains(message), "{}", text(&failed.stderr));
    }
}

#[test]
fn backtest_scores_the_combination_beside_the_naive_forecast() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    let output = path(folder.path(), "scores.json", &mut kept);
    let input = format!("unique_id,ds,y\n{}{}", rhythm("day", 400, None), rhythm("short", 60, None));
    let run = piped(
        &["backtest", "-i", "-", "--horizon", "24", "--cuts", "2", "--season", "24", "--output", &output],
        &input,
    );
    let shown = good(&run);
    assert!(shown.contains("combination") && shown.contains("seasonal naive"), "{shown}");
    assert!(shown.contains("2 series, 2 cuts of 24 steps"), "{shown}");
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(&output).unwrap()).unwrap();
    let losses: Vec<f64> = rows
        .iter()
        .filter(|row| row["model"] == "combination" && row["unique_id"] == "day" && row["ds"] == 377)
        .map(|row| row["wql"].as_f64().unwrap())
        .collect();
    assert_eq!(losses.len(), 2, "the blocks 1 to 6 and 7 to 24: {rows:?}");
    assert!(losses.iter().all(|loss| *loss > 0.0 && *loss < 0.1), "{losses:?}");
    let refused = piped(&["backtest", "-i", "-", "--horizon", "200", "--cuts", "2"], &input);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("the longest series has 400"), "{}", text(&refused.stderr));
}
