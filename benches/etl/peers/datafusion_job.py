"""The job in DataFusion, all files at once: IN OUT."""

import os
import sys

import pyarrow
from datafusion import SessionConfig, SessionContext

source, target = sys.argv[1], sys.argv[2]
context = SessionContext(SessionConfig().with_target_partitions(2))
schema = pyarrow.schema([("platform", pyarrow.string()), ("marketplace", pyarrow.string()),
                         ("event_time", pyarrow.string()), ("views", pyarrow.int64()), ("revenue", pyarrow.float64())])
context.register_json("records", source, schema=schema, file_extension=".jsonl")
os.makedirs(target, exist_ok=True)
START = "date_bin(interval '5 minutes', to_timestamp_seconds(event_time, '%Y-%m-%d %H:%M:%S'))"
context.sql(f"""
    COPY (
        SELECT platform, marketplace, event_time, views, revenue,
               to_char({START}, '%Y-%m-%d') AS intvl_date, to_char({START}, '%H%M') AS intvl_hhmm
        FROM records
    ) TO '{target}/' STORED AS CSV PARTITIONED BY (intvl_date, intvl_hhmm) OPTIONS ('format.has_header' 'true')
""").collect()
