"""What a detector needs of partitions, in DuckDB: rows and sums by interval and series: IN."""

import sys

import duckdb

duckdb.sql("SET threads = 2")
duckdb.sql(f"""
    SELECT intvl_date, intvl_hhmm, platform, marketplace, count(*), sum(views), sum(revenue)
    FROM read_csv('{sys.argv[1]}/data/*/*/*.csv', hive_partitioning = true, hive_types_autocast = false,
        columns = {{platform: 'VARCHAR', marketplace: 'VARCHAR', event_time: 'TIMESTAMP', views: 'BIGINT',
                    revenue: 'DOUBLE'}})
    GROUP BY ALL""").fetchall()
