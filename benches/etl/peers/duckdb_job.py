"""The job in DuckDB: IN OUT [FILES_PER_BATCH]; all files at once where no number is given."""

import sys

import duckdb
from batches import batches

source, target, files = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0
connection = duckdb.connect()
connection.execute("SET threads = 2; SET preserve_insertion_order = false; SET partitioned_write_max_open_files = 300")
for number, paths in enumerate(batches(source, files)):
    connection.execute(f"""
        COPY (
            SELECT platform, marketplace, event_time, views, revenue,
                   strftime(start, '%Y-%m-%d') AS intvl_date, strftime(start, '%H%M') AS intvl_hhmm
            FROM (
                SELECT *, time_bucket(INTERVAL 5 MINUTE, event_time) AS start
                FROM read_json({paths}, format = 'newline_delimited', timestampformat = '%Y-%m-%d %H:%M:%S',
                    columns = {{platform: 'VARCHAR', marketplace: 'VARCHAR', event_time: 'TIMESTAMP',
                                views: 'BIGINT', revenue: 'DOUBLE'}})
            )
        ) TO '{target}' (FORMAT csv, HEADER, PARTITION_BY (intvl_date, intvl_hhmm), APPEND,
                         FILENAME_PATTERN 'batch{number}_{{uuid}}')""")
