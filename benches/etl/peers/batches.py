"""Which files make a batch: the same for every peer."""

import pathlib


def batches(source, files):
    paths = sorted(str(path) for path in pathlib.Path(source).iterdir())
    step = files or len(paths)
    return [paths[at:at + step] for at in range(0, len(paths), step)]
