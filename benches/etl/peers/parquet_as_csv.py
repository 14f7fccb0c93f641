"""Parquet partitions as CSV partitions, to be checked by what checks CSV: IN OUT."""

import sys

import duckdb

duckdb.sql("SET TimeZone = 'UTC'")
duckdb.sql(f"""
    COPY (SELECT platform, marketplace, strftime(event_time, '%Y-%m-%d %H:%M:%S') AS event_time, views, revenue,
                 intvl_date, intvl_hhmm
          FROM read_parquet('{sys.argv[1]}/data/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false))
    TO '{sys.argv[2]}' (FORMAT csv, HEADER, PARTITION_BY (intvl_date, intvl_hhmm))""")
