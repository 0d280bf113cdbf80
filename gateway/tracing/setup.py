"""From the settings to a tracer; imports OpenTelemetry only if it is wanted."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from userline.gateway.settings import Settings
    from userline.gateway.tracing.tracer import Tracer


def is_installed() -> bool:
    """Whether what tracing needs is there."""
    return all(
        find_spec("opentelemetry") and find_spec(name) for name in ("opentelemetry.sdk", "opentelemetry.exporter")
    )


def make_tracer(settings: Settings) -> Tracer | None:
    """Return the tracer that the settings ask for, None if nothing is to be traced."""
    if not settings.tracing:
        return None
    # They are installed only with userline[tracing].
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    from userline.gateway.tracing.tracer import Tracer  # noqa: PLC0415

    return Tracer(OTLPSpanExporter(), app_id=settings.app_id)
