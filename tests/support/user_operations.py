"""Operations of tests that write users by GraphQL, and hold what is answered against what is seen."""

from __future__ import annotations

from typing import Final

SET: Final = (
    "mutation($id: ID!, $name: String!) { setUser(id: $id, input: {name: $name}) { created user { name version } } }"
)
CREATE: Final = (
    "mutation($id: ID!, $name: String!) {"
    " createUserIfNotExists(id: $id, input: {name: $name}) { created user { name version } } }"
)
DELETE: Final = "mutation($id: ID!) { deleteUser(id: $id) { deleted } }"
READ: Final = "query($id: ID!) { user(id: $id) { name version } }"
VERSIONS: Final = "subscription($id: ID!) { userChanged(id: $id) { name: version } }"
"""For ``Watching``, which collects names."""
