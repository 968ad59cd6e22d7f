#!/usr/bin/env python3
"""What it costs that the days after the next are forecast every six hours only.

  scripts/aged.py HOURS.csv [--forecast 'plimsoll forecast …']

HOURS.csv is what scripts/hourly.py writes. The hours 27 to 168 after each of three cut-offs are forecast from the cut-off, and
from 2, 5, 8, 11 and 23 hours before it. The losses stand beside those of the forecast that is not aged: the weighted quantile
loss of 0.1 to 0.9, that of 0.9 alone, and the absolute error. Needs numpy.
"""

import argparse
import csv
import pathlib
import shlex
import subprocess
import tempfile

import numpy as np

LEVELS = np.arange(1, 10) / 10
AGES = (0, 2, 5, 8, 11, 23)
NEAR, FAR = 26, 168
# The cut-offs fall on three hours of the day.
BETWEEN_CUTS = 31
FORECAST = "plimsoll forecast --input {in} --horizon {h} --season 24,168 --quantiles {q} --output {out}"


def hourly(path):
    """The hours of each series, shape [series, hours]."""
    series = {}
    for row in csv.DictReader(open(path)):
        series.setdefault(row["unique_id"], []).append(float(row["y"]))
    return np.array(list(series.values()))


def forecast(command, hours, horizon):
    """Means and quantiles, shapes [series, horizon] and [series, horizon, levels]."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder, "in.csv"), pathlib.Path(folder, "out.csv")
        lines = [f"{name},{step},{value:.8g}" for name, row in enumerate(hours) for step, value in enumerate(row, 1)]
        source.write_text("\n".join(["unique_id,ds,y", *lines, ""]))
        levels = ",".join(f"{level:.1f}" for level in LEVELS)
        words = {"{in}": str(source), "{out}": str(target), "{h}": str(horizon), "{q}": levels}
        arguments = [words.get(word, word) for word in shlex.split(command)]
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
        means, quantiles = [[] for _ in hours], [[] for _ in hours]
        for row in csv.DictReader(target.open()):
            means[int(row["unique_id"])].append(float(row["mean"]))
            quantiles[int(row["unique_id"])].append([float(row[f"q{level:.1f}"]) for level in LEVELS])
    return np.array(means), np.array(quantiles)


def losses(truth, means, quantiles):
    missed = truth[:, :, None] - quantiles
    pinball = 2 * np.maximum(LEVELS * missed, (LEVELS - 1) * missed)
    total = np.abs(truth).sum()
    return np.array([pinball.mean(2).sum(), pinball[:, :, 8].sum(), np.abs(truth - means).sum()]) / total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hours")
    parser.add_argument("--forecast", default=FORECAST)
    asked = parser.parse_args()
    hours = hourly(asked.hours)
    found = {age: [] for age in AGES}
    for cut in range(3):
        end = hours.shape[1] - BETWEEN_CUTS * cut
        last = end - FAR
        for age in AGES:
            means, quantiles = forecast(asked.forecast, hours[:, : last - age], FAR + age)
            far = slice(age + NEAR, age + FAR)
            found[age].append(losses(hours[:, last + NEAR : end], means[:, far], quantiles[:, far]))
    print(f"{asked.hours}: {len(hours)} series, hours {NEAR + 1} to {FAR} after three cut-offs")
    fresh = np.mean(found[0], 0)
    for age in AGES[1:]:
        all_loss, high_loss, error = np.mean(found[age], 0) / fresh
        print(f"  {age:2} hours old: loss {all_loss:.3f}, at 0.9 {high_loss:.3f}, error {error:.3f} of the new one's")


if __name__ == "__main__":
    main()
