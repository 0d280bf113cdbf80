"""The servers that the gateway is measured against.

Those in Python run by ``python -m bench.peers NAME STORE``, those on Node by ``node bench/peers/node/serve.mjs NAME
STORE``. A store is ``memory:FILE`` (an array of users in JSON) or the URL of a database that the gateway made.
"""
