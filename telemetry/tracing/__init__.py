"""Traces by OpenTelemetry, if ``userline[tracing]`` is installed: request, execution, store."""
