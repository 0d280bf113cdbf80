"""What the formats in the description look like, and what may be refused although the description allows it."""

import re
from typing import Any

import schemathesis
from hypothesis import strategies as st

schemathesis.openapi.format("language-tag", st.sampled_from(["en", "pt-BR", "zh-Hant-TW"]))
schemathesis.openapi.format("iri", st.sampled_from(["https://example.com/ä.png", "http://a.example/?q=%20"]))
schemathesis.openapi.format("idn-email", st.sampled_from(["alice@example.com", "δοκιμή@example.com"]))
schemathesis.openapi.format("phone", st.sampled_from(["+14155552671", "+442071838750"]))

_SPECIAL = re.compile(
    "not only spaces and invisible characters|^(?:locale|photoUrl|email|phone) .*must be an? .*, such as |"
    "^If-(?:None-)?Match must be "  # it does not keep to the pattern of a header
)


@schemathesis.check
def only_a_missing_name_is_refused(
    ctx: schemathesis.CheckContext,  # noqa: ARG001 - Schemathesis's signature
    response: schemathesis.Response,
    case: "schemathesis.Case[Any]",
) -> None:
    """A request that the description allows is refused only where a user would be created without a name.

    Or where a name or role has nothing to see in it, or a text is not of its format: which characters are invisible,
    and which phone numbers there can be, is more than a pattern can say.
    """
    generation = case.meta.generation.mode if case.meta else None
    if generation is not schemathesis.GenerationMode.POSITIVE or response.status_code != 400:
        return
    errors = response.json().get("users", {"": response.json()})
    for error in errors.values():
        is_special = all(map(_SPECIAL.search, error["reasons"]))
        assert error["errorCode"] == "NAME_REQUIRED" or is_special, response.text
