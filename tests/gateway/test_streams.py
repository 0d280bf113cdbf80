"""Any stream of bytes costs a bystander little time and the process little memory, and ends with an answer.

Which streams, and what is measured, is in ``tests/streams``. ``USERLINE_TEST_STREAM_SECONDS`` is how long they are sent
(60), ``USERLINE_TEST_STREAM_SEED`` the number of the first one (0). A failure tells the number of its stream, which
``python -m tests.streams --seed NUMBER --count 1`` sends alone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.streams.kinds import KINDS
from tests.streams.run import running
from tests.streams.stream import VARIANTS, Stream

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = float(os.environ.get("USERLINE_TEST_STREAM_SECONDS", "60"))
SEED = int(os.environ.get("USERLINE_TEST_STREAM_SEED", "0"))
MOST_SECONDS = 0.05 if os.environ.get("USERLINE_TEST_LONG") == "1" else 0.1


def test_no_stream_costs_others_much(tmp_path: Path) -> None:
    with running(tmp_path, MOST_SECONDS) as run:
        run.go(SECONDS, SEED)
        print(run.summary())
        assert not run.problems, "\n".join(run.problems)
        assert run.streams >= SECONDS / 10


def test_a_stream_is_made_of_its_number_alone() -> None:
    for seed in range(0, 200, 7):
        stream = Stream.of(seed)
        assert stream == Stream.of(seed)
        assert stream.make(b"token") == stream.make(b"token")


def test_every_kind_has_its_turn_at_every_gateway() -> None:
    streams = [Stream.of(seed) for seed in range(len(KINDS) * VARIANTS)]
    assert len({(stream.kind, stream.variant) for stream in streams}) == len(KINDS) * VARIANTS
