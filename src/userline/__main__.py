"""``python -m userline`` is the ``userline`` command."""

from userline.cli.main import main

main()
