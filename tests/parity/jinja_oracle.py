"""jinja2, set up as transformers sets it up for chat templates, and Wick's engine behind the same call."""
import json
import os
import pathlib
import subprocess
from datetime import datetime

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = 1_750_000_000


class Generation(jinja2.ext.Extension):
    """{% generation %} marks assistant text; its body is printed as it is."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


class Namespace(jinja2.utils.Namespace):
    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        values = dict(*args, **kwargs)
        for name in values:
            Namespace._check(name)
        jinja2.utils.Namespace.__init__(self, values)

    def __setitem__(self, name, value):
        Namespace._check(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def _check(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(name)


class Dict:
    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals.update(raise_exception=raise_exception, dict=Dict(), namespace=Namespace,
                       strftime_now=lambda f: datetime.fromtimestamp(NOW).strftime(f))
    return env


ENV = environment()


def oracle(template, variables):
    """("out", text) or ("error", message)"""
    try:
        return "out", ENV.from_string(template).render(**variables)
    except Exception as e:  # every error of a template counts
        return "error", f"{type(e).__name__}: {e}"


def program():
    root = pathlib.Path(__file__).resolve().parents[2]
    named = os.environ.get("WICK_JINJA")
    if named:
        return named
    wick = os.environ.get("WICK_BIN")
    places = [pathlib.Path(wick).parent] if wick else []
    places += sorted((root / "build").glob("*")) if (root / "build").is_dir() else []
    for p in places:
        for q in (p / "tests/tools/wick_jinja", p / "wick_jinja"):
            if q.is_file():
                return str(q)
    return None


def wick(cases, timeout=300):
    """Answers for [(template, vars[, limits])] from one process."""
    lines = []
    for c in cases:
        request = {"template": c[0], "vars": c[1], "limits": {"now": NOW}}
        if len(c) > 2:
            request["limits"].update(c[2])
        lines.append(json.dumps(request))
    p = subprocess.run([program()], input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=timeout)
    assert p.returncode == 0, p.stderr[-3000:]
    answers = [json.loads(x) for x in p.stdout.splitlines()]
    assert len(answers) == len(cases), p.stderr[-3000:]
    return answers
