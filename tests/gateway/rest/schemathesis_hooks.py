"""What the formats in the description look like, and what may be refused although the description allows it."""

from typing import Any

import schemathesis
from hypothesis import strategies as st

schemathesis.openapi.format("language-tag", st.sampled_from(["en", "pt-BR", "zh-Hant-TW"]))
schemathesis.openapi.format("uri", st.sampled_from(["https://example.com/a.png", "http://a.example/?q=%20"]))
schemathesis.openapi.format("email", st.sampled_from(["alice@example.com", "δοκιμή@example.com"]))
schemathesis.openapi.format("phone", st.sampled_from(["+14155552671", "+442071838750"]))


@schemathesis.check
def only_a_missing_name_is_refused(
    ctx: schemathesis.CheckContext,  # noqa: ARG001 - Schemathesis's signature
    response: schemathesis.Response,
    case: "schemathesis.Case[Any]",
) -> None:
    """A request that the description allows is refused only where a user would be created without a name.

    Or where a name or role has nothing to see in it: which characters are invisible is more than a pattern can say.
    """
    generation = case.meta.generation.mode if case.meta else None
    if generation is not schemathesis.GenerationMode.POSITIVE or response.status_code != 400:
        return
    errors = response.json().get("users", {"": response.json()})
    for error in errors.values():
        is_blank = all(reason.endswith("not only spaces and invisible characters.") for reason in error["reasons"])
        assert error["errorCode"] == "NAME_REQUIRED" or is_blank, response.text
