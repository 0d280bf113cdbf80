"""What no stand-in for MongoDB shows, played by a proxy that speaks the wire protocol.

``messages`` reads and writes the protocol, ``rules`` say what happens to which command, ``proxy`` stands between a
driver and a server (or in place of one), ``replica_set`` makes several proxies into a replica set, and ``streams``
plays a change stream from a script. ``errors`` has the documents that say what went wrong.
"""

from tests.support.mongo_wire.errors import error, write_concern_error, write_errors
from tests.support.mongo_wire.messages import Message
from tests.support.mongo_wire.proxy import WireProxy
from tests.support.mongo_wire.replica_set import ReplicaSet
from tests.support.mongo_wire.rules import Answer, Close, Delay, Hang, LoseAnswer, Rewrite, Rule
from tests.support.mongo_wire.streams import ScriptedStream

__all__ = [
    "Answer",
    "Close",
    "Delay",
    "Hang",
    "LoseAnswer",
    "Message",
    "ReplicaSet",
    "Rewrite",
    "Rule",
    "ScriptedStream",
    "WireProxy",
    "error",
    "write_concern_error",
    "write_errors",
]
