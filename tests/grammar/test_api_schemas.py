"""300 schemas of the kinds that APIs have: an instance is accepted exactly where the jsonschema package says that it is valid."""
import datetime
import json
import re

import jsonschema
from api_schemas import cases
from grammar_common import batch


FORMATS = jsonschema.FormatChecker()  # the package looks at these two only with further packages


@FORMATS.checks("date-time")
def is_date_time(v):
    shape = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
    return not isinstance(v, str) or (re.fullmatch(shape, v, re.I) is not None and datetime.datetime.fromisoformat(v.upper()) is not None)


@FORMATS.checks("time")
def is_time(v):
    return not isinstance(v, str) or is_date_time("2024-01-01T" + v)


def test_instances():
    made = cases()
    rows = [{"id": n, "type": "json_schema", "grammar": s, "tests": [{"text": json.dumps(x, ensure_ascii=i % 2 == 0)} for i, x in enumerate(xs)]} for n, s, xs in made]
    answers = {a["id"]: a for a in batch(rows)}
    n_valid = n_invalid = 0
    for name, schema, instances in made:
        a = answers[name]
        assert a["error"] is None, (name, a["error"], schema)
        check = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
        for x, t in zip(instances, a["tests"]):
            valid = check.is_valid(x)
            n_valid, n_invalid = n_valid + valid, n_invalid + (not valid)
            assert t["accepted"] == valid, (name, schema, x)
    assert len(made) == 300 and n_valid >= 1000 and n_invalid >= 700, (n_valid, n_invalid)
    assert max(len(json.dumps(s)) for _, s, _ in made) > 50000
