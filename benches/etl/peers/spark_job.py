"""The job in Spark structured streaming, as a Glue streaming job is written (foreachBatch, checkpoint, all there is and
then the end): IN OUT FILES_PER_BATCH."""

import shutil
import sys

from pyspark.sql import SparkSession, functions as f
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

source, target, files = sys.argv[1], sys.argv[2].rstrip("/"), sys.argv[3]
KINDS = {"platform": StringType(), "marketplace": StringType(), "event_time": StringType(), "views": LongType(),
         "revenue": DoubleType()}
spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
         .config("spark.driver.memory", "6g").config("spark.sql.shuffle.partitions", "2")
         .config("spark.sql.session.timeZone", "UTC").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
checkpoint = target + ".checkpoint"
shutil.rmtree(checkpoint, ignore_errors=True)


def write(rows, _):
    seconds = f.unix_timestamp(f.to_timestamp("event_time", "yyyy-MM-dd HH:mm:ss"))
    rows = rows.withColumn("start", f.timestamp_seconds(f.floor(seconds / 300) * 300))
    rows = rows.withColumn("intvl_date", f.date_format("start", "yyyy-MM-dd"))
    rows = rows.withColumn("intvl_hhmm", f.date_format("start", "HHmm")).drop("start")
    rows.write.mode("append").option("header", "true").partitionBy("intvl_date", "intvl_hhmm").csv(target)


records = spark.readStream.schema(StructType([StructField(name, kind) for name, kind in KINDS.items()]))
records = records.option("maxFilesPerTrigger", files).json(source)
query = records.writeStream.foreachBatch(write).option("checkpointLocation", checkpoint).trigger(availableNow=True)
query.start().awaitTermination()
spark.stop()
shutil.rmtree(checkpoint, ignore_errors=True)
