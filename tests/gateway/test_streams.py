"""Any stream of bytes costs a bystander little time and the process little memory, and ends with an answer.

Which streams, and what is measured, is in ``tests/streams``. ``USERLINE_TEST_STREAM_SECONDS`` is how long they are sent
(25), ``USERLINE_TEST_STREAM_SEED`` the number of the first one (0). A failure tells the number of its stream, which
``python -m tests.streams --seed NUMBER --count 1`` sends alone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.streams.kinds import KINDS
from tests.streams.run import Run, running
from tests.streams.stream import VARIANTS, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.alone

SECONDS = float(os.environ.get("USERLINE_TEST_STREAM_SECONDS", "25"))
SEED = int(os.environ.get("USERLINE_TEST_STREAM_SEED", "0"))
MOST_SECONDS = 0.05 if os.environ.get("USERLINE_TEST_LONG") == "1" else 0.1

LARGE = 64 * 1_048_576
KNOWN = {
    "new socket: ping messages": ("always", "never"),
    "new socket: pong messages": ("always",),
    "socket: ping messages": ("always", "never"),
    "socket: pong messages": ("always",),
    "chunks: a trailer without end": ("always",),
    "chunks: trailers": ("always",),
    "chunks: an extension without end": ("always",),
    "pipelined: healthz": ("always", "never"),
    "pipelined: users": ("always", "never"),
    "pipelined: app, as if by h2c": ("never",),
    "body behind h2c": ("always",),
    "large messages: small numbers": ("always",),
    "large messages: ids watched": ("always",),
}
"""Streams that have held gateways for seconds or have filled their memory, and the largest watch there may be."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with running(tmp_path_factory.mktemp("streams"), MOST_SECONDS) as made:
        yield made


def test_no_stream_costs_others_much(run: Run) -> None:
    run.go(SECONDS, SEED)
    print(run.summary())
    assert not run.problems, "\n".join(run.problems)
    assert run.streams >= SECONDS / 10


@pytest.mark.parametrize("variant", [0, 3], ids=["lane", "tokens"])
@pytest.mark.parametrize(("kind", "reads"), [(kind, reads) for kind in KNOWN for reads in KNOWN[kind]])
def test_known_attacks_cost_others_little(run: Run, kind: str, reads: str, variant: int) -> None:
    stream = Stream(seed=0, kind=kind, variant=variant, size=LARGE, steps=(), pause=0.0, reads=reads, ends="reset")
    assert run.send(stream) == []


def test_a_stream_is_made_of_its_number_alone() -> None:
    for seed in range(0, 200, 7):
        stream = Stream.of(seed)
        assert stream == Stream.of(seed)
        assert stream.make(b"token") == stream.make(b"token")


def test_every_kind_has_its_turn_at_every_gateway() -> None:
    streams = [Stream.of(seed) for seed in range(len(KINDS) * VARIANTS)]
    assert len({(stream.kind, stream.variant) for stream in streams}) == len(KINDS) * VARIANTS
