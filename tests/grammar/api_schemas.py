"""Schemas of the kinds that APIs have, and instances of them, from a seed: objects as Kubernetes has them, requests as OpenAPI describes
them, sets of tools, events, configurations. Instances are made from the schema, then broken in one place each; whether a broken one is
still valid is for a validator to say."""
import json
import random
import string

WORDS = ("name id kind spec metadata labels status replicas image port host path query limit offset user email address city street zip country amount "
         "currency items quantity price sku created updated deleted owner group role scope token type value key enabled retries timeout interval level "
         "message code reason source target version region zone size color title summary body tags priority assignee due start end").split()


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def word(self):
        return self.r.choice(WORDS)

    def text(self, lo=0, hi=12):
        pool = string.ascii_letters + string.digits + " .,-_/" + "éß日本😀\"\\\n"
        return "".join(self.r.choice(pool) for _ in range(self.r.randint(lo, hi)))

    # --- schemas
    def scalar(self):
        r = self.r
        kind = r.randrange(9)
        if kind == 0:
            return {"type": "string"}
        if kind == 1:
            lo = r.randint(0, 4)
            return {"type": "string", "minLength": lo, "maxLength": lo + r.randint(0, 40)}
        if kind == 2:
            return {"enum": r.sample(WORDS, r.randint(1, 8))}
        if kind == 3:
            return {"type": "string", "pattern": r.choice([r"^[a-z][a-z0-9-]{0,20}$", r"^\d{3}-\d{4}$", r"^[A-Z]{2,3}$", r"^(v1|v2|beta)$", r"^#[0-9a-f]{6}$"])}
        if kind == 4:
            return {"type": "string", "format": r.choice(["date-time", "date", "uuid", "ipv4", "time"])}
        if kind == 5:
            lo = r.randint(-100, 100)
            return {"type": "integer", "minimum": lo, "maximum": lo + r.randint(0, 1000)}
        if kind == 6:
            return {"type": "number", "minimum": 0, "exclusiveMaximum": r.choice([1, 100, 1e6]), **({"multipleOf": 0.25} if r.random() < 0.2 else {})}
        if kind == 7:
            return {"type": "boolean"}
        return {"type": r.sample(["string", "integer", "boolean", "null"], 2)}

    def schema(self, depth):
        r = self.r
        kind = r.randrange(10) if depth > 0 else 0
        if kind < 4:
            return self.scalar()
        if kind < 7:
            return self.object(depth - 1)
        if kind == 7:
            return {"type": "array", "items": self.schema(depth - 1), "minItems": r.randint(0, 2), "maxItems": r.randint(2, 5),
                    **({"uniqueItems": True} if r.random() < 0.2 else {})}
        if kind == 8:
            return {r.choice(["anyOf", "oneOf"]): [self.tagged(t, depth - 1) for t in r.sample(WORDS, r.randint(2, 3))]}
        return {"type": "object", "additionalProperties": self.scalar(), "maxProperties": r.randint(1, 6)}

    def object(self, depth, most=7):
        r = self.r
        names = r.sample(WORDS, r.randint(1, most))
        out = {"type": "object", "properties": {n: self.schema(depth) for n in names}, "required": r.sample(names, r.randint(0, len(names)))}
        if r.random() < 0.7:
            out["additionalProperties"] = False
        if r.random() < 0.15:
            out["patternProperties"] = {"^x-": {"type": "string"}}
        if len(names) > 2 and r.random() < 0.15:
            out["dependentRequired"] = {names[0]: [names[1]]}
        if len(names) > 2 and r.random() < 0.15:
            out["if"], out["then"] = {"required": [names[0]]}, {"required": [names[2]]}
        return out

    def tagged(self, tag, depth):
        out = self.object(depth, 3)
        out["properties"]["kind"] = {"const": tag}
        out["required"] = sorted({*out["required"], "kind"})
        return out

    def kubernetes(self):
        meta = {"type": "object", "properties": {"name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63},
                                                 "namespace": {"type": "string"}, "labels": {"type": "object", "additionalProperties": {"type": "string"}}},
                "required": ["name"]}
        return {"type": "object", "properties": {"apiVersion": {"enum": ["v1", "apps/v1"]}, "kind": {"const": self.word().title()}, "metadata": {"$ref": "#/$defs/meta"},
                                                 "spec": self.object(3), "status": self.object(1)},
                "required": ["apiVersion", "kind", "metadata", "spec"], "$defs": {"meta": meta}}

    def tools(self, n):
        calls = [{"type": "object", "properties": {"name": {"const": f"{self.word()}_{self.word()}_{i}"}, "arguments": self.object(1)},
                  "required": ["name", "arguments"], "additionalProperties": False} for i in range(n)]
        return {"anyOf": calls}

    def tree(self):
        return {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"label": self.scalar(), "children": {
            "type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 3}}, "required": ["label"], "additionalProperties": False}}}

    def large(self):
        return {"type": "object", "properties": {f"{self.word()}_{i}": self.schema(2) for i in range(250)}, "additionalProperties": False}

    # --- instances
    def instance(self, s, root, depth=0):
        r = self.r
        if "$ref" in s:
            return self.instance(root["$defs"][s["$ref"].rsplit("/", 1)[1]], root, depth + 1)
        for key in ("anyOf", "oneOf"):
            if key in s:
                return self.instance(r.choice(s[key]), root, depth)
        if "const" in s:
            return s["const"]
        if "enum" in s:
            return r.choice(s["enum"])
        kind = s.get("type")
        kind = r.choice(kind) if isinstance(kind, list) else kind
        if kind == "object":
            out = {}
            for name, sub in s.get("properties", {}).items():
                if name in s.get("required", ()) or r.random() < (0.5 if depth < 3 and len(s["properties"]) < 100 else 0.05):
                    out[name] = self.instance(sub, root, depth + 1)
            if isinstance(s.get("additionalProperties"), dict):
                for _ in range(r.randint(0, min(3, s.get("maxProperties", 3)))):
                    out[self.text(1, 6)] = self.instance(s["additionalProperties"], root, depth + 1)
            return out
        if kind == "array":
            n = r.randint(s.get("minItems", 0), s.get("maxItems", 3)) if depth < 4 else s.get("minItems", 0)
            return [self.instance(s["items"], root, depth + 1) for _ in range(n)]
        if kind == "string":
            return self.string(s)
        if kind == "integer":
            return r.randint(s.get("minimum", -5), s.get("maximum", 5))
        if kind == "number":
            return round(r.uniform(0, 0.99), 2) if "multipleOf" not in s else 0.25 * r.randint(0, 3)
        return {"boolean": r.random() < 0.5, "null": None}.get(kind)

    def string(self, s):
        r = self.r
        if "format" in s:
            return {"date-time": "2026-02-03T04:05:06Z", "date": "2024-02-29", "uuid": "123e4567-e89b-12d3-a456-426614174000", "ipv4": "10.0.255.1",
                    "time": "10:20:30Z"}[s["format"]]
        if "pattern" in s:
            samples = {r"^\d{3}-\d{4}$": "555-1234", r"^[A-Z]{2,3}$": "ABC", r"^(v1|v2|beta)$": "beta", r"^#[0-9a-f]{6}$": "#00ff7f"}
            return samples.get(s["pattern"], "a" + str(r.randint(0, 99)) + "-b")
        return self.text(s.get("minLength", 0), s.get("maxLength", 12))

    def broken(self, v):
        """The value with one place changed."""
        r = self.r
        if isinstance(v, dict) and v and r.random() < 0.8:
            key = r.choice(list(v))
            change = r.randrange(4)
            if change == 0:
                return {k: x for k, x in v.items() if k != key}
            if change == 1:
                return v | {r.choice(["x-extra", "zzz", self.word()]): self.text(0, 3)}
            return v | {key: self.broken(v[key])}
        if isinstance(v, list) and v and r.random() < 0.7:
            i = r.randrange(len(v))
            return v[:i] + [self.broken(v[i])] + v[i + 1:] if r.random() < 0.6 else v + [v[i]] * r.randint(1, 4)
        if isinstance(v, str) and r.random() < 0.6:
            return r.choice([v + "x" * r.randint(1, 60), v[1:], v.upper(), ""])
        if isinstance(v, (int, float)) and not isinstance(v, bool) and r.random() < 0.6:
            return r.choice([v + 5000, v - 5000, v + 0.1, -v])
        return r.choice([None, True, 0, 1.5, "?", [], {}, [1], {"a": 1}])


def cases(n=300, seed=13):
    """[(name, schema, instances)]"""
    out = []
    for i in range(n):
        m = Maker(seed * 100000 + i)
        kind = ("api", "kubernetes", "api", "tools", "tree", "api", "deep", "api")[i % 8]
        schema = {"api": lambda m=m: m.object(2), "deep": lambda m=m: m.object(4), "kubernetes": m.kubernetes, "tree": m.tree,
                  "tools": lambda m=m: m.tools(m.r.choice([3, 10, 60]))}[kind]()
        if i % 60 == 59:
            kind, schema = "large", m.large()
        good = [m.instance(schema, schema) for _ in range(4)]
        out.append((f"{kind}-{i}", schema, good + [m.broken(g) for g in good]))
    return out


if __name__ == "__main__":
    for name, schema, instances in cases():
        print(json.dumps({"id": name, "type": "json_schema", "grammar": schema, "tests": [{"text": json.dumps(x)} for x in instances]}))
