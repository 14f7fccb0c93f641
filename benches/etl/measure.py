"""Runs a command and says what it took: wall and CPU seconds and peak resident memory of the whole process tree."""

import ctypes
import dataclasses
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
# a JVM that outlives its launcher is ours to wait for, and so its time counts
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclasses.dataclass
class Run:
    wall: float
    cpu: float
    peak: float
    # CPU seconds that other processes had meanwhile
    others: float
    output: str = ""


def median(runs):
    middle = lambda name: statistics.median(getattr(run, name) for run in runs)
    return Run(middle("wall"), middle("cpu"), middle("peak"), middle("others"))


def tree(root):
    """The process and all below it."""
    children = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                parent = int(pathlib.Path(entry.path, "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, ahead = [], [root]
    while ahead:
        process = ahead.pop()
        found.append(process)
        ahead += children.get(process, [])
    return found


def resident(processes):
    total = 0
    for process in processes:
        try:
            total += int(pathlib.Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
        except (OSError, IndexError):
            pass
    return total


def busy():
    fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def warm(data):
    """Reads the input once: all jobs find it in the page cache."""
    for path in pathlib.Path(data).iterdir():
        with open(path, "rb", buffering=0) as file:
            while file.read(1 << 22):
                pass


def run(command, data=None, threads=None, environment=None):
    if data:
        warm(data)
    command = [str(word) for word in command]
    if threads:
        command = ["taskset", "-c", ",".join(str(core) for core in range(threads)), *command]
    others, before, begin = busy(), resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    peak, done = 0, threading.Event()

    def watch():
        nonlocal peak
        processes, looks = [process.pid], 0
        while not done.is_set():
            # one process needs no look at all of them
            if looks % 20 == 0:
                processes = tree(process.pid)
            peak = max(peak, resident(processes))
            looks += 1
            done.wait(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output = process.stdout.read().decode(errors="replace")
    status = process.wait()
    wall = time.monotonic() - begin
    done.set()
    watcher.join()
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if status:
        sys.exit(f"`{' '.join(command)}` failed:\n{output[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, cpu, peak, max(0, busy() - others - cpu), output)
