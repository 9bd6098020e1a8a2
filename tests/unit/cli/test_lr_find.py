"""`tuitrain ctl RUN lr-find`: it prints what to do next, and leaves the run as it was."""

import json
import re

from tests.conftest import Shell


def test_a_sweep_prints_the_command_that_uses_its_suggestion(threaded: Shell):
    threaded("run", "digits", "--model", "linear", "--paused", "--detach", "--name", "a")
    said = threaded("ctl", "a", "lr-find").stdout.splitlines()
    assert said[0] == "lr-find: applied at step 0, epoch 0"
    (rate,) = re.fullmatch(r"suggested lr (\S+): tuitrain ctl a lr \1", said[1]).groups()
    answer = json.loads(threaded("ctl", "a", "lr-find", "--json").stdout)
    assert (answer["state"], answer["suggestion"]) == ("applied", float(rate))
    assert threaded.show("a")["lr"] == 0.001
    threaded(*said[1].partition(": tuitrain ")[2].split(), "--wait")
    shown = threaded.show("a")
    assert (shown["lr"], shown["step"]) == (float(rate), 0)
