"""The official JSON Schema test suite: every case is enforced right or refused by name; nothing invalid is accepted."""
import re

import pytest
from grammar_common import URIS, batch, suite, suite_line

# Valid instances that are not accepted. Each is a text that Wick leaves out on purpose; docs/GRAMMAR.md says why.
LEFT_OUT = [
    r"/format\.json#",                       # formats are asserted, the suite's main part has them as annotations
    r"/optional/float-overflow\.json#",      # exponents end at 307
    r"/optional/format/(date-time|time)\.json#",  # leap seconds are accepted in UTC only
    r"/optional/format/idn-hostname\.json#",  # characters that IDNA allows beside certain others only
    r"/vocabulary\.json#",                   # a metaschema of one's own that switches keywords off
]
# Invalid instances that are accepted: contentEncoding and contentMediaType are annotations in every draft but 7, and here.
ANNOTATIONS = r"draft7/optional/content\.json#"
# What is refused, by the message.
REFUSALS = r"is not in this document$|more than one (recursive )?anchor|no value fulfils it$|too many alternatives beside it$|are not supported|is not supported"


@pytest.mark.parametrize("draft", list(URIS))
def test_suite(draft):
    cases = list(suite(draft))
    answers = batch([suite_line(draft, *c) for c in cases])
    ok = refused = left_out = 0
    for (name, i, case), a in zip(cases, answers):
        if a["error"]:
            assert re.search(REFUSALS, a["error"]), (a["id"], a["error"])
            if "no value fulfils it" in a["error"]:
                assert not any(t["valid"] for t in case["tests"]), a["id"]
            refused += 1
            continue
        for t, r in zip(case["tests"], a["tests"]):
            where = (a["id"], case["description"], t["description"], r)
            if r["accepted"] == t["valid"]:
                ok += 1
            elif r["accepted"]:
                assert re.search(ANNOTATIONS, a["id"]), where
            else:
                assert any(re.search(x, a["id"]) for x in LEFT_OUT), where
                left_out += 1
    print(f"{draft}: {ok} right, {left_out} valid ones left out, {refused} of {len(cases)} schemas refused")
    assert ok > 800 and refused < 0.1 * len(cases)
