"""What the benchmark measures besides the job itself. Each part takes where things lie and the command line's options."""

import hashlib
import json
import shutil
import statistics
import subprocess
import threading
import time

import measure

# a measure each: less forest, the same reading
ONE_MEASURE = '[[detect.measure]]\ncolumn = "views"'
ALERT = "[[alert]]\nseverity_threshold = 50"


def line(name, records, run, note=""):
    print(f"  {name:24} {run.wall:8.2f} s wall {run.cpu / records * 1e6:8.3f} cpu s/M {run.peak / 1e6:8.0f} MB {note}", flush=True)


def several(place, args, variants, data):
    """Runs some commands in turn; gives the median of each. `variants` makes a command and its output directory."""
    runs = {name: [] for name in variants}
    for number in range(args.runs):
        for name, make in variants.items():
            out, command, check = make()
            runs[name].append(measure.run(command, data))
            if number == 0 and check:
                check(out)
            shutil.rmtree(out, ignore_errors=True)
    return {name: measure.median(of) for name, of in runs.items()}


def ours(place, data, command="etl", check=True, **options):
    def make():
        out = place.fresh("out")
        config = place.config(data, out, **options)
        return out, [place.tidewatch, command, config], (lambda out: place.verify(out, data)) if check else None
    return make


def startup(place, args):
    """The job over one record."""
    print("\nstart-up: one record")
    data = place.data("t", 1, files=1)

    def peer(name, *rest):
        def make():
            out = place.fresh("out")
            return out, [place.python, place.peers / f"{name}_job.py", data, out, *rest], None
        return make

    jobs = {"tidewatch": ours(place, data), "duckdb": peer("duckdb"), "polars": peer("polars"),
            "datafusion": peer("datafusion"), "spark": peer("spark", "1")}
    for name, run in several(place, args, jobs, data).items():
        print(f"  {name:24} {run.wall * 1000:8.0f} ms")


def gzip(place, args):
    print(f"\ngzip input: {args.records:,} records in order of time")
    plain = place.data("t", args.records)
    data = plain.with_name(plain.name + "-gz")
    if not data.exists():
        half = data.with_name(data.name + ".half")
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(plain, half)
        subprocess.run(["gzip", "-r", str(half)], check=True)
        half.rename(data)
    for name, run in several(place, args, {"plain": ours(place, plain), "gzip": ours(place, data)}, data).items():
        line(name, args.records, run)
    shutil.rmtree(data)


def parquet(place, args):
    print(f"\nParquet output: {args.records:,} records in order of time")
    data = place.data("t", args.records)

    def check(out):
        as_csv = place.fresh("as-csv")
        subprocess.run([place.python, place.peers / "parquet_as_csv.py", out, as_csv], check=True)
        place.verify(as_csv, data)
        shutil.rmtree(as_csv)

    def make():
        out = place.fresh("out")
        return out, [place.tidewatch, "etl", place.config(data, out, format="parquet")], check

    for name, run in several(place, args, {"csv": ours(place, data), "parquet": make}, data).items():
        line(name, args.records, run)


def run(place, args):
    print(f"\ndetection on: {args.records:,} records in order of time; 100 dimension combinations, one measure or two")
    data = place.data("t", args.records)
    variants = {
        "etl": ours(place, data),
        "run, 100 series": ours(place, data, "run", detect=ONE_MEASURE),
        "run, 200 series": ours(place, data, "run"),
    }
    runs = several(place, args, variants, data)
    for name, took in runs.items():
        line(name, args.records, took, f"{took.wall / runs['etl'].wall:.2f} of etl's wall, {took.cpu / runs['etl'].cpu:.2f} of its cpu")


def tree(out):
    """Names and bytes of everything that was written."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def threads(place, args):
    print(f"\nthreads: {args.records:,} records")
    for kind in args.sets.split(","):
        data = place.data(kind, args.records)
        trees = {}
        for count in (1, 2, 5):
            out = place.fresh("out")
            took = measure.run([place.tidewatch, "etl", place.config(data, out, job=f"threads = {count}")], data)
            trees[count] = tree(out)
            line(f"{data.name}, {count}", args.records, took)
            shutil.rmtree(out)
        same = all(found == trees[1] for found in trees.values())
        print(f"  {'the same bytes' if same else 'OTHER BYTES'} in {len(trees[1])} objects")


def backtest(place, args):
    """Thirty days of partitions, judged by one detector; DuckDB reads and groups the same files."""
    print(f"\nbacktest: {args.records:,} records over 30 days; DuckDB groups the same CSV by interval and series")
    for series in args.series:
        data = place.data("t", args.records, days=30, series=series)
        kept = place.fresh("history")
        config = place.config(data, kept, detect=f"{ONE_MEASURE}")
        measure.run([place.tidewatch, "etl", config], data)

        def judge():
            return place.fresh("none"), [place.tidewatch, "backtest", config, "--input", "partitions"], None

        def group():
            return place.fresh("none"), [place.python, place.peers / "group.py", kept], None

        for name, took in several(place, args, {"tidewatch backtest": judge, "duckdb group by": group}, data).items():
            line(f"{name}, {series} series", args.records, took)
        shutil.rmtree(kept)
        shutil.rmtree(data)
        data.with_suffix(".expected").unlink()


SERIES, LEARNED, ROWS = 10_000, 40, 1_000_000


def latency(place, args):
    """From the last record before an interval closes to the alert on standard output."""
    print(f"\nlatency: an interval of {ROWS:,} rows and {SERIES:,} series closes, one of them is wrong")
    took = []
    for _ in range(args.runs):
        out = place.fresh("out")
        config = place.config(place.cache, out, detect=f"{ONE_MEASURE}\n{ALERT}")
        config.write_text(config.read_text().replace("[source.files]", "[source.stdin]").replace(f'path = "{place.cache}"', ""))
        job = subprocess.Popen([place.tidewatch, "run", config], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
        told = []
        reader = threading.Thread(target=lambda: told.extend((time.monotonic(), text) for text in job.stdout))
        reader.start()
        for number in range(LEARNED):
            job.stdin.write(interval(number, 1, lambda series: 95 + (series * 7 + number * 13) % 11))
        job.stdin.write(interval(LEARNED, ROWS // SERIES, lambda series: 100 if series == 77 else 1))
        job.stdin.flush()
        # everything before has been judged, and these rows are held
        wait_for(out, LEARNED)
        begin = time.monotonic()
        job.stdin.write(record(LEARNED + 2, 0, 1))
        job.stdin.flush()
        first = None
        while first is None and time.monotonic() < begin + 60:
            time.sleep(0.005)
            first = next((at for at, text in told if at >= begin and b"platform=s7, marketplace=m7" in text), None)
        took.append(first - begin if first else float("nan"))
        job.kill()
        job.wait()
        reader.join()
        shutil.rmtree(out)
    print(f"  {statistics.median(took) * 1000:8.0f} ms median of {len(took)}: {', '.join(f'{each * 1000:.0f}' for each in took)}")


def record(number, series, views):
    minute = number * 5
    fields = {"platform": f"s{series % 10}", "marketplace": f"m{series // 10}",
              "event_time": f"2026-01-15 {minute // 60:02}:{minute % 60:02}:30", "views": views, "revenue": 1.5}
    return (json.dumps(fields) + "\n").encode()


def interval(number, rows, views):
    one = [record(number, series, views(series)) for series in range(SERIES)]
    return b"".join(one) * rows


def wait_for(out, intervals):
    """Until so many intervals are committed and the input has been taken in."""
    until = time.monotonic() + 900
    while len(list(out.glob("data/*/*/_manifest-*.json"))) < intervals - 1 and time.monotonic() < until:
        time.sleep(0.5)
    # the checkpoint that so many bytes bring about is written as well
    time.sleep(25)
