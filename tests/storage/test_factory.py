from pathlib import Path

import pytest

from userline.storage.factory import check_store_url, make_store
from userline.storage.sqlite import SQLiteUserStore
from userline.users.rules import Rules


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///userline.db", Path.cwd() / "userline.db"),
        ("sqlite:///data/userline.db", Path.cwd() / "data" / "userline.db"),
        ("SQLite:////var/lib/userline.db", Path("/var/lib/userline.db")),
        ("sqlite:////tmp/100%25%20sure%3F.db", Path("/tmp/100% sure?.db")),  # noqa: S108 - never opened
    ],
)
def test_sqlite_urls(url: str, path: Path) -> None:
    check_store_url(url)
    store = make_store(url, Rules())
    assert isinstance(store, SQLiteUserStore)
    assert store.path == path


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "has no scheme"),
        ("userline.db", "has no scheme"),
        ("/var/lib/userline.db", "has no scheme"),
        ("postgres://alice:hunter2@db/users", "starts with postgres:, and only these are supported: sqlite:///"),
        ("sqlite:", "needs a file"),
        ("sqlite://", "needs a file"),
        ("sqlite:///", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite://userline.db", "three slashes"),
        ("sqlite:userline.db", "three slashes"),
        ("sqlite:///userline.db?mode=ro", "takes no options"),
        ("sqlite:///userline.db#x", "takes no options"),
        ("sqlite:////var/lib/", "must name a file"),
        ("sqlite:///a%00b", "must name a file"),
    ],
)
def test_urls_that_name_no_store(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        check_store_url(url)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValueError, match=says):
        make_store(url, Rules())
