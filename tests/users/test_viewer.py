"""Who may write whom."""

from __future__ import annotations

import pytest

from userline.users.errors import Forbidden, UserlineError, UserSyncDisabled
from userline.users.viewer import OPEN_VIEWER, ClientUserSyncing, Viewer, ViewerKind, check_may_write

ALICE = Viewer(ViewerKind.USER, "alice", 2e9)
APP = Viewer(ViewerKind.APP)


@pytest.mark.parametrize(
    ("viewer", "user_id", "syncing", "refusal"),
    [
        (ALICE, "alice", ClientUserSyncing.OFF, UserSyncDisabled),
        (ALICE, "bob", ClientUserSyncing.OFF, UserSyncDisabled),
        (ALICE, "alice", ClientUserSyncing.OWN, None),
        (ALICE, "bob", ClientUserSyncing.OWN, Forbidden),
        (ALICE, "Alice", ClientUserSyncing.OWN, Forbidden),
        (ALICE, "alice", ClientUserSyncing.ANY, None),
        (ALICE, "bob", ClientUserSyncing.ANY, None),
        *((viewer, "bob", syncing, None) for viewer in (APP, OPEN_VIEWER) for syncing in ClientUserSyncing),
    ],
)
def test_who_may_write_whom(
    viewer: Viewer, user_id: str, syncing: ClientUserSyncing, refusal: type[UserlineError] | None
) -> None:
    if refusal is None:
        check_may_write(viewer, user_id, syncing)
    else:
        with pytest.raises(refusal):
            check_may_write(viewer, user_id, syncing)
