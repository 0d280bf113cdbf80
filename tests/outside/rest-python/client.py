"""A client that openapi-python-client makes of the description of the REST API."""

import os
import urllib.request

from api import AuthenticatedClient
from api.api.default import delete_user, get_user, set_user, set_users
from api.models import (
    Deleted,
    Error,
    ErrorCode,
    SetUsersBody,
    User,
    UserPatch,
    UserPatchCustomType0,
    UserPatchPushTokensType0,
    Written,
)

USER_ID = "rest/python 🙂"

with urllib.request.urlopen(os.environ["USERLINE_CONTROL"] + "/token") as answer:
    client = AuthenticatedClient(os.environ["USERLINE_URL"], token=answer.read().decode())


def put(patch: UserPatch) -> Written | Error | None:
    return set_user.sync("userline", USER_ID, client=client, body=patch)


def get() -> User:
    user = get_user.sync("userline", USER_ID, client=client)
    assert isinstance(user, User), user
    return user


patch = UserPatch(
    name="Ann",
    photo_url="https://example.com/ä.png",
    welcome_message="Hello",
    email=["ann@example.com"],
    custom=UserPatchCustomType0.from_dict({"a": "1", "b": "2"}),
    push_tokens=UserPatchPushTokensType0.from_dict({"fcm:x": True}),
)
assert put(patch) == Written(created=True, changed=True)
print("done: create")

user = get()
assert (user.id, user.custom.to_dict(), user.push_tokens.to_dict()) == (USER_ID, {"a": "1", "b": "2"}, {"fcm:x": True})
print("done: get")

assert put(UserPatch.from_dict(user.to_dict())) == Written(created=False, changed=False)
print("done: put what was read")

put(UserPatch(locale="pt-BR", custom=UserPatchCustomType0.from_dict({"a": None})))
patched = get()
assert (patched.locale, patched.custom.to_dict()) == ("pt-BR", {"b": "2"})
assert (patched.photo_url, patched.email) == (user.photo_url, user.email)
print("done: patch")

put(UserPatch(photo_url=None, email=None, push_tokens=UserPatchPushTokensType0.from_dict({"fcm:x": None})))
after = get()
assert (after.photo_url, after.email, after.push_tokens.to_dict()) == (None, [], {})
assert after.welcome_message == "Hello"
print("done: null")

several = SetUsersBody.from_dict({USER_ID: {"name": "Bob"}, "rest/python 2": {"name": "Two"}})
written = set_users.sync("userline", client=client, body=several)
assert written[USER_ID] == Written(created=False, changed=True)
print("done: batch")

another = UserPatch(name="Another")
exists = set_user.sync("userline", USER_ID, client=client, body=another, if_none_match="*")
assert isinstance(exists, Error)
assert exists.error_code == ErrorCode.PRECONDITION_FAILED
print("done: condition")

assert delete_user.sync("userline", USER_ID, client=client) == Deleted(deleted=True)
gone = get_user.sync("userline", USER_ID, client=client)
assert isinstance(gone, Error)
assert gone.error_code == ErrorCode.NOT_FOUND
print("done: delete")

refused = put(UserPatch(name="", locale="x_y"))
assert isinstance(refused, Error)
assert (refused.error_code, len(refused.reasons)) == (ErrorCode.BAD_USER_INPUT, 2)
print("done: error")
