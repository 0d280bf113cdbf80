from pathlib import Path

import pytest

from userline.storage.factory import check_store_url, make_store
from userline.storage.mongo import MongoUserStore, url_options
from userline.storage.mongo.driver import DriverName
from userline.storage.sqlite import SQLiteUserStore
from userline.users.rules import Rules


@pytest.fixture(autouse=True)
def nothing_extra_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url_options, "_is_there", lambda _: False)


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
    ("url", "hosts", "database", "seconds"),
    [
        ("mongodb://localhost", "localhost:27017", "userline", 1.5),
        ("MongoDB://alice:hunter2@a,b:27018/users?replicaSet=rs", "a:27017, b:27018", "users", 1.5),
        ("mongodb://alice:p%40ss@[::1]:27018/?timeoutMS=500", "[::1]:27018", "userline", 0.5),
        ("mongodb://alice@db/users?retryWrites=true&w=majority&journal=true", "db:27017", "users", 1.5),
        ("mongodb+srv://alice:hunter2@a.example.com/users?srvServiceName=db&w=majority", "a.example.com", "users", 1.5),
    ],
)
@pytest.mark.parametrize("driver", ["motor", "pymongo"])
def test_mongodb_urls(url: str, hosts: str, database: str, seconds: float, driver: DriverName) -> None:
    check_store_url(url)
    store = make_store(url, Rules(), mongodb_driver=driver)
    assert isinstance(store, MongoUserStore)
    assert (store.url.hosts, store.url.database, store.url.seconds) == (hosts, database, seconds)
    assert store.driver == driver


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
        ("sqlite:///userline.db?mode=ro", "cannot have options"),
        ("sqlite:///userline.db#x", "cannot have options"),
        ("sqlite:////var/lib/", "must name a file"),
        ("mongodb:", "must begin with 'mongodb://'"),
        ("mongodb://", "at least one hostname"),
        ("mongodb:///users", "Empty host"),
        ("mongodb://db:99999/users", "Port must be"),
        ("mongodb://alice:hunter2@db:99999/users", "Port must be"),
        ("mongodb://db/users?color=red", "Unknown option: color"),
        ("mongodb://db/users?retryWrites=maybe", "must be 'true' or 'false'"),
        ("mongodb://db/users.people", "no collection"),
        ("mongodb://db/a b", "Bad database name"),
        ("mongodb://alice:hunter2/x@db/users", "percent-encoded"),
        ("mongodb://alice:hunter2@x@db/users", "percent-encoded"),
        ("mongodb://alice:hunter2:x@db/users", "percent-encoded"),
        ("mongodb://alice:hunter2%@db/users", "percent-encoded"),
        ("mongodb://alice:x@db/users?tlsCertificateKeyFilePassword=hunter2&color=red", "Unknown option: color"),
        ("mongodb://db/users?authMechanismProperties=hunter2@", "percent-encoded"),
        ("mongodb://db/users?w=1", "cannot set w to anything but majority"),
        ("mongodb://db/users?w=majority&w=majority", "Duplicate URI option"),
        ("mongodb://db/users?journal=false", "cannot set journal"),
        ("mongodb://db/users?readPreference=secondary", "cannot set readPreference"),
        ("mongodb://db/users?readConcernLevel=local", "cannot set readConcernLevel"),
        ("mongodb://db/users?timeoutMS=0", "timeoutMS=0"),
        ("mongodb://db/users?timeoutMS=1", "write 100 to 60000"),
        ("mongodb://db/users?timeoutMS=99", "write 100 to 60000"),
        ("mongodb://db/users?timeoutMS=60001", "write 100 to 60000"),
        ("mongodb://db/users?connectTimeoutMS=0", "connectTimeoutMS=0: every call needs a time limit"),
        ("mongodb://db/users?socketTimeoutMS=0", "socketTimeoutMS=0: every call needs a time limit"),
        ("mongodb://db/users?serverSelectionTimeoutMS=5", "write 100 to 60000"),
        ("mongodb://db/users?waitQueueTimeoutMS=5", "write 100 to 60000"),
        ("mongodb://db/users?heartbeatFrequencyMS=499", "write 500 to 60000"),
        ("mongodb://db/users?compressors=zlib,snappy", 'extra "snappy"'),
        ("mongodb://db/users?compressors=zstd", 'extra "zstd"'),
        ("mongodb://alice:hunter2@db/users?authMechanism=GSSAPI", 'extra "gssapi"'),
        ("mongodb://alice:hunter2@db/users?authMechanism=MONGODB-AWS", 'extra "aws"'),
        ("mongodb+srv://alice:hunter2@db/users?authMechanism=MONGODB-AWS", 'extra "aws"'),
        ("mongodb://db/users?authMechanism=MONGODB-X509", "add tls=true and tlsCertificateKeyFile="),
        ("mongodb://db/users?authMechanism=MONGODB-X509&tls=true", "add tls=true and tlsCertificateKeyFile="),
        ("mongodb+srv://db/users?authMechanism=MONGODB-X509", "add tls=true and tlsCertificateKeyFile="),
        ("mongodb://db/users?authMechanism=MONGODB-OIDC", "authMechanismProperties=ENVIRONMENT:azure, gcp or k8s"),
        ("mongodb+srv://alice:hunter2@a.example.com,b.example.com/users", "one host name"),
        ("mongodb+srv://alice:hunter2@a.example.com:27017/users", "without a port"),
        ("sqlite:///a%00b", "must name a file"),
    ],
)
def test_urls_that_name_no_store(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        check_store_url(url)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValueError, match=says):
        make_store(url, Rules())


@pytest.mark.parametrize(
    ("options", "module"),
    [
        ("authMechanism=GSSAPI", "kerberos"),
        ("authMechanism=GSSAPI", "winkerberos"),
        ("authMechanism=MONGODB-AWS", "pymongo_auth_aws"),
        ("authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:azure,TOKEN_RESOURCE:api", "none"),
        ("authMechanism=MONGODB-X509&tls=true&tlsCertificateKeyFile={file}", "none"),
        ("authMechanism=SCRAM-SHA-256&compressors=zlib", "none"),
        ("timeoutMS=100&heartbeatFrequencyMS=500&connectTimeoutMS=60000", "none"),
    ],
)
def test_what_is_installed_and_whole_is_taken(
    options: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.pem").touch()
    monkeypatch.setattr(url_options, "_is_there", lambda name: name == module)
    check_store_url(f"mongodb://alice:hunter2@db/users?{options.format(file=tmp_path / 'key.pem')}")
