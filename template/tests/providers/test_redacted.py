"""What is left of a provider's message once the words of the conversation are struck out."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.providers.errors import redacted


@given(
    st.text(min_size=1).filter(lambda text: any(map(str.isalnum, text))),
    st.sampled_from([str, json.dumps, repr, lambda text: f"input={text!r}"]),
)
def test_nothing_of_a_prompt_is_left_of_what_a_provider_quotes(text: str, quoted: Any) -> None:
    left = redacted(f"max_tokens: 9 > 8: {quoted(text)}", text, "input")
    words = [word for word in left.replace("***", " ").split() if any(map(str.isalnum, word))]
    assert all(word.strip(":>") in {"max_tokens", "9", "8", "input"} for word in words) or not any(
        word in text for word in words
    )


def test_the_rest_of_what_a_provider_says_stays() -> None:
    detail = 'max_tokens: 9 > 8 in "call\\u0065d \\nhunter2 by%20M\\u00fcller", sorry'
    told = redacted(detail, "My password is hunter2. I called Müller.")
    assert told.startswith("max_tokens: 9 > 8 in")
    assert told.endswith("sorry")
    assert not any(word in told for word in ("hunter2", "called", "ller"))
