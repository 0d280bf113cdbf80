"""A deployment of three gateways, what may happen to it, and what must hold all the same.

``tests/gateway/many`` plays each scenario once; ``python -m tests.chaos`` plays them many times and
says how long each took.
"""
