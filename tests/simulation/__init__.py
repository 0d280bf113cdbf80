"""Whole deployments under a clock of their own, made from a seed, in which everything goes wrong that may.

Several gateways with all of their parts run in one process on a simulated store and bus, in an event loop whose time
jumps from one thing that is due to the next (``loop``). A seed decides who does what and when, what fails, and how
everybody's messages travel (``world``). What was seen is held against the history of each user (``history``): nobody is
shown what was before what was shown before, and when everything works again, everybody knows the last state, and
nothing is left behind. A seed repeats a run exactly. docs/operations/simulation.md says how to use it.
"""

import email_validator  # noqa: F401 - these are there from the beginning: a gateway loads them in a thread, which has no seed
import langcodes  # noqa: F401
import phonenumbers  # noqa: F401
