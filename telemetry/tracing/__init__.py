"""Traces by OpenTelemetry, for whoever has installed ``userline[tracing]``: request, execution, store."""
