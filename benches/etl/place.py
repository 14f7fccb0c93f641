"""Where the benchmark's things lie: the programs, the peers' environment, data sets, outputs."""

import os
import pathlib
import shutil
import subprocess
import sys

CONFIG = """[job]
state = "{out}.state"
{job}
[source.files]
path = "{data}"
[select]
timestamp = "event_time"
timestamp_format = "%Y-%m-%d %H:%M:%S"
dimensions = ["platform", "marketplace"]
measures = ["views", "revenue"]
types = {{ views = "integer", revenue = "float" }}
[interval]
offset = "4m"
close = "{close}"
[partition]
url = "{out}"
format = "{format}"
[detect]
{detect}
"""


def call(*command, **options):
    done = subprocess.run([str(word) for word in command], **options)
    if done.returncode:
        sys.exit(f"`{' '.join(str(word) for word in command)}` failed")
    return done


class Place:
    def __init__(self, root, binary, needs_peers):
        self.cache = pathlib.Path(os.environ.get("TIDEWATCH_BENCH_DIR", root / "target/bench/etl")).resolve()
        self.peers = root / "benches/etl/peers"
        self.cache.mkdir(parents=True, exist_ok=True)
        crate = root / "benches/etl"
        call("cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", crate / "Cargo.toml",
             "--target-dir", self.cache / "build")
        self.tool = self.cache / "build/release/etl-bench"
        if binary:
            self.tidewatch = pathlib.Path(binary).resolve()
        else:
            call("cargo", "build", "--quiet", "--release", "--locked", cwd=root)
            self.tidewatch = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target")).resolve() / "release/tidewatch"
        self.python = self.cache / "venv/bin/python"
        if needs_peers:
            if not self.python.exists():
                call(sys.executable, "-m", "venv", self.cache / "venv")
            call(self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                 "-r", self.peers / "requirements.txt")

    def data(self, kind, records, **options):
        """A data set, made where it is not there: `t` in order of time, `r` shuffled."""
        options = {"files": 40 if records > 5_000_000 else 10, **options}
        tail = "".join(f"-{name}{value}" for name, value in sorted(options.items()) if name != "files")
        directory = self.cache / "data" / f"{kind}{records}{tail}"
        if not directory.with_suffix(".expected").exists():
            shutil.rmtree(directory, ignore_errors=True)
            words = [word for name, value in options.items() for word in (f"--{name}", value)]
            call(self.tool, "generate", directory, "--records", records,
                 "--order", "random" if kind == "r" else "time", *words, stdout=subprocess.DEVNULL)
        return directory

    def fresh(self, name):
        """An output directory that is not there, nor what belongs to it."""
        out = self.cache / name
        for path in (out, pathlib.Path(f"{out}.state"), pathlib.Path(f"{out}.checkpoint")):
            shutil.rmtree(path, ignore_errors=True)
        return out

    def config(self, data, out, **options):
        """A configuration of ours; a shuffled set closes at its end."""
        close = "end" if data.name.startswith("r") else "watermark"
        settings = {"format": "csv", "detect": "", "job": "", "close": close, **options}
        path = pathlib.Path(f"{out}.toml")
        path.write_text(CONFIG.format(data=data, out=out, **settings))
        return path

    def verify(self, out, data):
        expected = self.cache / "data" / f"{data.name.removesuffix('-gz')}.expected"
        # what a detector writes lies beside the partitions
        out = out / "data" if (out / "data").is_dir() else out
        call(self.tool, "verify", out, expected, stdout=subprocess.DEVNULL)
