"""Reading the results of strato bench and of llama-bench: JSON, JSON lines or CSV, told apart by how they begin."""
import csv
import io
import json
import statistics

TEXTS = {"samples_ts", "samples_ns"}


class Damaged(Exception):
    pass


def number(text):
    try:
        return float(text) if "." in text or "e" in text or "inf" in text else int(text)
    except ValueError:
        return text


def from_csv(text):
    for row in csv.DictReader(io.StringIO(text)):
        out = {}
        for key, value in row.items():
            if key in TEXTS:
                out[key] = [float(x) for x in (value or "").split(";") if x]
            else:
                out[key] = None if value in ("", None) else {"true": True, "false": False}.get(value, number(value))
        yield out


def parse(text, name):
    """The rows of a result, each with its samples in tokens per second."""
    begin = text.lstrip()[:1]
    try:
        if begin == "[":
            rows = json.loads(text)
        elif begin == "{":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            rows = list(from_csv(text))
    except (ValueError, csv.Error) as e:
        raise Damaged("%s: neither JSON, JSON lines nor CSV of a benchmark: %s" % (name, e)) from e
    if not rows or any(not isinstance(r, dict) or "n_prompt" not in r or "n_gen" not in r for r in rows):
        raise Damaged("%s: no rows with n_prompt and n_gen" % name)
    for row in rows:
        row["n_depth"] = row.get("n_depth") or 0
        samples = row.get("samples_ts")
        row["samples_ts"] = [float(s) for s in samples] if isinstance(samples, list) else []
    return rows


def load(path):
    try:
        with open(path, encoding="utf-8") as f:
            return parse(f.read(), path)
    except (OSError, UnicodeDecodeError) as e:
        raise Damaged("%s: %s" % (path, e)) from e


def test_name(row):
    """pp512, tg128 @ d4096; llama-bench can also do both in one: pp512+tg128."""
    parts = ["pp%d" % row["n_prompt"]] if row["n_prompt"] else []
    parts += ["tg%d" % row["n_gen"]] if row["n_gen"] else []
    return "+".join(parts) + (" @ d%d" % row["n_depth"] if row["n_depth"] else "")


def rate(row):
    """Median of the samples, or the mean where a file has no samples; None for a run that was slowed down."""
    if row.get("throttled"):
        return None
    if row["samples_ts"]:
        return statistics.median(row["samples_ts"])
    return row.get("avg_ts")
