"""The job in Polars' streaming engine: IN OUT [FILES_PER_BATCH]; all files at once where no number is given."""

import os
import sys

os.environ["POLARS_MAX_THREADS"] = "2"
import polars  # noqa: E402
from batches import batches  # noqa: E402

SCHEMA = {"platform": polars.String, "marketplace": polars.String, "event_time": polars.String,
          "views": polars.Int64, "revenue": polars.Float64}
source, target, files = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0
for number, paths in enumerate(batches(source, files)):
    def name(part, number=number):
        keys = part.partition_keys.row(0, named=True)
        folder = "/".join(f"{key}={value}" for key, value in keys.items())
        return f"{folder}/batch{number}_{part.index_in_partition}.csv"

    start = polars.col("event_time").str.to_datetime("%Y-%m-%d %H:%M:%S").dt.truncate("5m")
    rows = polars.scan_ndjson(paths, schema=SCHEMA)
    rows = rows.with_columns(intvl_date=start.dt.strftime("%Y-%m-%d"), intvl_hhmm=start.dt.strftime("%H%M"))
    parts = polars.PartitionBy(target, key=["intvl_date", "intvl_hhmm"], include_key=False, file_path_provider=name)
    rows.sink_csv(parts, mkdir=True, engine="streaming")
