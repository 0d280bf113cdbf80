"""``python -m userline`` is the ``userline`` command."""

from userline.gateway.cli import main

main()
