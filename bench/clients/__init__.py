"""The clients of frontends against each other: CPU time and memory, each against a scripted server in its own process.

``python -m bench.clients [--rounds N] [--clients A,B] [--check]`` installs what it needs with npm, and prints a table.
"""
