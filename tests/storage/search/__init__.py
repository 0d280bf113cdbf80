"""A search for histories of one user that no sequential user could have.

A schedule is made from a seed: some gateways with their calls, programs that write by hand, and the order in which all
their commands take effect and are answered. What was seen is held against a user whose calls happen one at a time
(``linear``). ``USERLINE_TEST_SCHEDULES`` says how many schedules each test tries, and ``USERLINE_TEST_FIRST_SCHEDULE``
with which seed it begins; a failure names its seed and every step.
"""
