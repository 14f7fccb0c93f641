#!/usr/bin/env python3
"""Tables of the `nab` part, by the scorer that comes with the data.

    nab.py SCORE_PY LABELS_JSON WORK [--per-file]

WORK/results/<detector>/<seed>/<category>/<file>.csv is what `nab.rs` wrote. All figures are means over the seeds.

  standard, low FP, low FN   one threshold for all files, the best in hindsight, as the benchmark defines it
  sd                         of the standard figure over the seeds
  cross-validated            the threshold of each category is the best one of all other categories
  per category               at the common best threshold of the standard profile: score of the category alone
                             (100: all windows at once, nothing else), windows hit, rows of false detection;
                             and the score with the threshold of the other categories

Rows named `as shipped` are the alarm at the shipped sensitivity: 0 or 1, no threshold is chosen; `with gaps` has what was said of intervals
without a row on the next row.
"""
import importlib.util
import json
import os
import statistics
import sys


def load_scorer(path):
    spec = importlib.util.spec_from_file_location("nab_score", path)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


def category(file):
    return file.rel.split("/")[0]


def bounds(scorer, files, profile):
    tp, _, fn = scorer.PROFILES[profile]
    return -fn * sum(len(f.live) for f in files), tp * sum(f.total_windows for f in files)


def final(raw, null, perfect):
    return 100.0 * (raw - null) / (perfect - null) if perfect > null else float("nan")


def crossed(scorer, files, profile):
    """Raw score per category at the best threshold of the others."""
    raw = {}
    for name in sorted({category(f) for f in files}):
        threshold = scorer.sweep([f for f in files if category(f) != name], profile)[1]
        raw[name] = sum(f.score_at(threshold, profile)[0] for f in files if category(f) == name)
    return raw


def shown(name):
    head, _, tail = name.partition(" ")
    return tail if head.isdigit() else name


def main():
    scorer = load_scorer(sys.argv[1])
    with open(sys.argv[2]) as file:
        labels = json.load(file)
    results = os.path.join(sys.argv[3], "results")
    per_file = "--per-file" in sys.argv[4:]
    profiles = list(scorer.PROFILES)
    loaded, judged = {}, {}
    for detector in sorted(os.listdir(results)):
        root = os.path.join(results, detector)
        seeds = sorted(os.listdir(root), key=int)
        loaded[detector] = [scorer.load(os.path.join(root, seed), labels, partial=True) for seed in seeds]

    print()
    print("%-24s %8s %8s %8s %5s   %8s %8s %8s %10s" % (
        "one threshold for all", "standard", "low FP", "low FN", "sd", "crossed", "low FP", "low FN", "threshold"))
    for detector, runs in loaded.items():
        found = {profile: [] for profile in profiles}
        cross = {profile: [] for profile in profiles}
        thresholds = []
        for files in runs:
            result = scorer.evaluate(files)
            across = {profile: crossed(scorer, files, profile) for profile in profiles}
            judged.setdefault(detector, []).append((result["standard"]["threshold"], across["standard"]))
            thresholds.append(result["standard"]["threshold"])
            for profile in profiles:
                found[profile].append(result[profile]["final"])
                raw = sum(across[profile].values())
                cross[profile].append(final(raw, *bounds(scorer, files, profile)))
        mean = [statistics.mean(found[p]) for p in profiles] + [statistics.pstdev(found["standard"])]
        mean += [statistics.mean(cross[p]) for p in profiles] + [statistics.mean(thresholds)]
        print("%-24s %8.2f %8.2f %8.2f %5.2f   %8.2f %8.2f %8.2f %10.4g" % (shown(detector), *mean))

    for detector, runs in loaded.items():
        rows = {}
        for files, (threshold, cross) in zip(runs, judged[detector]):
            for name in cross:
                group = [f for f in files if category(f) == name]
                null, perfect = bounds(scorer, group, "standard")
                parts = [f.score_at(threshold, "standard") for f in group]
                raw, hit, false = (sum(part[i] for part in parts) for i in range(3))
                cost = sum(part[3] for part in parts)
                row = [len(group), sum(f.total_windows for f in group), hit, false, cost, raw,
                       final(raw, null, perfect), final(cross[name], null, perfect), cross[name]]
                rows.setdefault(name, []).append(row)
        print("\n%-24s %5s %7s %6s %8s %8s %7s %7s %8s %9s" % (
            shown(detector), "files", "windows", "hit", "FP rows", "FP cost", "raw", "score", "crossed", "raw cross"))
        for name, row in sorted(rows.items()):
            row = [statistics.mean(column) for column in zip(*row)]
            print("  %-22s %5d %7d %6.1f %8.1f %8.2f %7.2f %7.1f %8.1f %9.2f" % (name, *row))

    if per_file:
        print("\nfiles of the first detector, first seed, by what they lose at the common threshold")
        files, (threshold, _) = next(iter(loaded.values()))[0], next(iter(judged.values()))[0]
        lines = []
        for f in files:
            raw, hit, false, cost = f.score_at(threshold, "standard")
            lines.append((f.total_windows - raw, f.rel, f.total_windows, hit, false, cost))
        for loss, rel, windows, hit, false, cost in sorted(lines, reverse=True):
            print("  %-64s windows %d hit %d FP rows %3d (%6.2f) loss %5.2f" % (rel, windows, hit, false, cost, loss))


if __name__ == "__main__":
    main()
