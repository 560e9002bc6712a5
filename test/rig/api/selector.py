"""Label and field selectors, as far as an agent uses them."""

from __future__ import annotations

import re
from collections.abc import Callable

from rig.objects import Object

Test = Callable[[Object], bool]

_TERM = re.compile(
    r"\s*(?P<not>!?)(?P<key>[\w./-]+)\s*"
    r"(?:(?P<op>==|=|!=)\s*(?P<value>[\w./:-]*)|(?P<word>in|notin)\s*\((?P<set>[^)]*)\))?\s*(?:,|$)"
)


def _value(o: Object, key: str, *, label: bool) -> str | None:
    if label:
        labels: dict[str, str] = o["metadata"].get("labels", {})
        return labels.get(key)
    for part in key.split("."):
        o = o.get(part, {})
    return str(o) if o else ""


def _term(match: re.Match[str], *, label: bool) -> Test:
    key, op, word = match["key"], match["op"], match["word"]
    if word:
        wanted = {v.strip() for v in match["set"].split(",")}
        return lambda o: (_value(o, key, label=label) in wanted) == (word == "in")
    if op:
        return lambda o: (_value(o, key, label=label) == match["value"]) == (op != "!=")
    return lambda o: (_value(o, key, label=label) is None) == bool(match["not"])


def parse(text: str, *, label: bool) -> Test:
    """Whether an object is selected; ValueError for what this does not know."""
    terms: list[Test] = []
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if not match:
            raise ValueError(text)
        terms.append(_term(match, label=label))
        at = match.end()
    return lambda o: all(term(o) for term in terms)
