#!/usr/bin/env python3
"""Write hourly means of 5-minute usage as a CSV, for `plimsoll backtest`.

  scripts/hourly.py SET.parquet --output SET.csv [--group 10] [--drop 144]

Gaps are filled with the hour before, and `--group N` makes sums of N series at
random (seed 5) of them, as the scorer of docs/forecasting.md does; `--drop N`
leaves the last N hours out. An .csv of M4 (a series a row) is taken as it is,
with `--after FILE` the hours that follow. Needs numpy and polars.
"""
import argparse
import csv

import numpy as np
import polars as pl

arguments = argparse.ArgumentParser()
arguments.add_argument("input")
arguments.add_argument("--after")
arguments.add_argument("--output", required=True)
arguments.add_argument("--group", type=int, default=1)
arguments.add_argument("--drop", type=int, default=0)
given = arguments.parse_args()


def rows(path):
    with open(path) as file:
        lines = list(csv.reader(file))[1:]
    return {line[0]: np.array([float(value) for value in line[1:] if value]) for line in lines}


def hours(path):
    wide = pl.read_parquet(path).with_columns(pl.col("unique_id").cast(pl.String))
    wide = wide.pivot(on="unique_id", index="ds", values="y", aggregate_function="first").sort("ds")
    names, values = [name for name in wide.columns if name != "ds"], wide.drop("ds").to_numpy().T.astype(float)
    values = values[:, : values.shape[1] // 12 * 12].reshape(len(values), -1, 12)
    known = np.isfinite(values).sum(2)
    values = np.where(known > 0, np.nansum(values, 2) / np.maximum(known, 1), np.nan)
    last = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(values.shape[1]), 0), 1)
    values = np.nan_to_num(np.take_along_axis(values, last, 1))
    if given.group > 1:
        order = np.random.default_rng(5).permutation(len(values))[: len(values) // given.group * given.group]
        values = values[order].reshape(-1, given.group, values.shape[1]).sum(1)
        names = [f"t{place}" for place in range(len(values))]
    return dict(zip(names, values))


series = rows(given.input) if given.input.endswith(".csv") else hours(given.input)
if given.after:
    after = rows(given.after)
    series = {name: np.concatenate([values, after[name]]) for name, values in series.items()}
with open(given.output, "w") as file:
    file.write("unique_id,ds,y\n")
    for name, values in series.items():
        kept = values[: len(values) - given.drop]
        file.writelines(f"{name},{hour + 1},{value:.8g}\n" for hour, value in enumerate(kept))
