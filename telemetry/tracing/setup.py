"""Makes a tracer by the settings; imports OpenTelemetry only if it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from userline.settings.settings import Settings
    from userline.telemetry.tracing.tracer import Tracer


def make_tracer(settings: Settings) -> Tracer | None:
    """Return the tracer that the settings ask for, None if nothing is to be traced."""
    if not settings.tracing:
        return None
    # They are installed only with userline[tracing].
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    from userline.telemetry.tracing.tracer import Tracer  # noqa: PLC0415

    return Tracer(OTLPSpanExporter(), app_id=settings.app_id)
