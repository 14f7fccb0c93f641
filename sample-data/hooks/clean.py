"""A hook before the line: reads requests, a JSON object a line, and answers each with a line.

It casts numbers that came as text, drops records of test traffic, gives each record the country of its marketplace and
refuses what it cannot read. Nothing depends on the time or on other records: the same record gets the same answer.
"""

import base64
import json
import sys

COUNTRIES = {
    "us": "United States",
    "uk": "United Kingdom",
    "de": "Germany",
    "fr": "France",
    "es": "Spain",
    "it": "Italy",
    "jp": "Japan",
}


def clean(data):
    """The record as it goes on, or none to drop it."""
    record = json.loads(data)
    if record["platform"].startswith("test_"):
        return None
    record["views"] = int(record["views"])
    record["revenue"] = round(float(record["revenue"]), 2)
    record["country"] = COUNTRIES.get(record["marketplace"], "elsewhere")
    return json.dumps(record)


def answer(record):
    try:
        cleaned = clean(base64.b64decode(record["data"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return {"recordId": record["recordId"], "result": "ProcessingFailed", "data": record["data"]}
    if cleaned is None:
        return {"recordId": record["recordId"], "result": "Dropped"}
    return {"recordId": record["recordId"], "result": "Ok", "data": base64.b64encode(cleaned.encode()).decode()}


for line in sys.stdin:
    answers = [answer(record) for record in json.loads(line)["records"]]
    print(json.dumps({"records": answers}), flush=True)
