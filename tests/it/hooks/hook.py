"""A hook for tests: what it does with the records is its first argument."""

import base64
import json
import os
import sys
import time


def clean(record):
    fields = json.loads(base64.b64decode(record["data"]))
    kind = fields["n"] % 10
    if kind == 0:
        return {"recordId": record["recordId"], "result": "Dropped"}
    if kind == 1:
        return {"recordId": record["recordId"], "result": "ProcessingFailed", "data": record["data"]}
    fields["region"] = "r-" + fields["shop"]
    fields["views"] = 2 * int(fields["views"])
    lines = json.dumps(fields)
    if kind == 2:
        lines += "\n" + json.dumps({**fields, "region": "twice"}) + "\n"
    return {"recordId": record["recordId"], "result": "Ok", "data": base64.b64encode(lines.encode()).decode()}


def second(record):
    """What runs behind `clean`: sees what it made."""
    fields = json.loads(base64.b64decode(record["data"]))
    fields["region"] = fields["region"].upper()
    return {"recordId": record["recordId"], "result": "Ok", "data": base64.b64encode(json.dumps(fields).encode()).decode()}


def from_stream(metadata):
    """Whether a record is from a stream and came within the last hour."""
    now = time.time() * 1000
    is_recent = now - 3_600_000 < metadata["approximateArrivalTimestamp"] < now + 60_000
    return is_recent and len(metadata["partitionKey"]) > 0 and metadata["sequenceNumber"].isdigit()


def answers(mode, asked):
    if mode == "pass":
        return {"records": [{**record, "result": "Ok"} for record in asked["records"]]}
    if mode == "stream":
        known = [from_stream(record["kinesisStreamRecordMetadata"]) for record in asked["records"]]
        results = ["Ok" if known else "ProcessingFailed" for known in known]
        return {"records": [{**record, "result": result} for record, result in zip(asked["records"], results)]}
    records = [clean(record) for record in asked["records"] if mode != "second"]
    if mode == "second":
        records = [second(record) for record in asked["records"]]
    if mode == "missing":
        records = records[:-1]
    if mode == "doubled":
        records = records + records
    if mode == "unknown":
        records[0]["recordId"] = "nobody"
    if mode == "word":
        records = [{**record, "result": "Fine"} for record in records]
    if mode == "base64":
        records = [{**record, "result": "Ok", "data": "%%%"} for record in records]
    if mode == "form":
        return {"records": "none"}
    return {"records": records}


def main():
    mode = sys.argv[1]
    for number, line in enumerate(sys.stdin):
        asked = json.loads(line)
        if mode == "hang":
            time.sleep(3600)
        if mode == "dies" or (mode == "mortal" and number == 2):
            os._exit(3)
        if mode == "garbage":
            print("hello", flush=True)
        elif mode == "long":
            print(" " * 200_000, flush=True)
        else:
            print(json.dumps(answers(mode, asked)), flush=True)
    if len(sys.argv) > 2:
        with open(sys.argv[2], "a") as end:
            end.write("finished\n")


main()
