"""What callers used, where the Worker runs on one's own machine."""

import re

from tests.runtime.conftest import Make, run
from tests.runtime.test_local import started


def test_it_is_still_counted_the_next_time(make: Make) -> None:
    project = make({"quota": True})
    for times in (1, 2):
        with started(project, "local") as printed:
            assert "Durable" not in printed
            chat, *_ = re.findall(r"^curl .*/v1/chat .*$", printed, re.MULTILINE)
            (quota,) = re.findall(r"^curl .*/v1/quota .*$", printed, re.MULTILINE)
            (token,) = re.findall(r"^TOKEN=.*$", printed, re.MULTILINE)
            told = run(project, "sh", "-ec", f"{token}\n{chat}\n{quota}")
            assert f'"requests":{{"limit":200,"used":{times},' in told
