"""Prometheus's text format, written by hand: a library that makes an object of each sample takes thirty times as long.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from userline.telemetry.metrics.histogram import Histogram

    Labels: TypeAlias = tuple[tuple[str, str], ...]


def counter(name: str, text: str, samples: Iterable[tuple[Labels, float]]) -> str:
    """Return a family of counters; ``_total`` is added to its name."""
    return _family(f"{name}_total", text, "counter", samples)


def gauge(name: str, text: str, samples: Iterable[tuple[Labels, float]]) -> str:
    """Return a family of gauges."""
    return _family(name, text, "gauge", samples)


def histogram(name: str, text: str, label: str, histograms: Mapping[str, Histogram]) -> Iterator[str]:
    """Yield a family of histograms by the value of a label, in parts; ``""`` is the one without it."""
    yield _head(name, text, "histogram")
    for value, one in sorted(histograms.items()):
        inner = _inner(((label, value),)) if value else ""
        start = f'{name}_bucket{{{inner},le="' if inner else f'{name}_bucket{{le="'
        around = f"{{{inner}}}" if inner else ""
        buckets = one.buckets()
        parts = [f'{start}{bound}"}} {count}\n' for bound, count in buckets]
        parts.append(f"{name}_count{around} {buckets[-1][1]}\n{name}_sum{around} {one.total}\n")
        yield "".join(parts)


def labelled(families: str, label: str) -> str:
    """Return families in this format with one more label, such as ``worker="1"``, at each sample."""
    lines = []
    for line in families.splitlines():
        if not line or line.startswith("#"):
            lines.append(line)
            continue
        place = line.find("{")
        if place >= 0 and place < line.find(" "):
            lines.append(f"{line[: place + 1]}{label},{line[place + 1 :]}")
        else:
            name, _, value = line.partition(" ")
            lines.append(f"{name}{{{label}}} {value}")
    return "".join(f"{line}\n" for line in lines)


def merged(texts: Iterable[str]) -> str:
    """Return one text from several: the families of all, each once, with the samples of all."""
    families: dict[str, list[str]] = {}
    for text in texts:
        for family in f"\n{text}".split("\n# HELP ")[1:]:
            about, kind, *samples = family.rstrip().split("\n", 2)
            name = about.partition(" ")[0]
            if name not in families:
                families[name] = [f"# HELP {about}\n{kind}\n"]
            families[name] += (f"{part}\n" for part in samples)
    return "".join(part for family in families.values() for part in family)


def _family(name: str, text: str, kind: str, samples: Iterable[tuple[Labels, float]]) -> str:
    lines = [f"{name}{_braced(labels)} {float(value)}\n" for labels, value in samples]
    return _head(name, text, kind) + "".join(lines)


def _head(name: str, text: str, kind: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _braced(labels: Labels) -> str:
    return f"{{{_inner(labels)}}}" if labels else ""


def _inner(labels: Labels) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
