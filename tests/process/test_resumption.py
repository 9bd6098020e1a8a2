"""What is said before a run goes on."""

from tests.conftest import Shell


def test_more_epochs_for_a_finished_cosine_say_the_jump_of_its_rate_first(threaded: Shell):
    threaded("run", "digits", "--optimizer", "adam:schedule=cosine", "--epochs", "2", "--plain",
             "--name", "a")  # fmt: skip
    done = threaded("resume", "a", "--epochs", "4", "--plain")
    assert done.stderr.startswith(
        "tuitrain: its cosine schedule now ends with epoch 4: the learning rate goes from 1."
    )
    assert "to 0.0005" in done.stderr


def test_nothing_is_said_where_the_rate_is_constant(threaded: Shell):
    threaded("run", "digits", "--epochs", "1", "--plain", "--name", "a")
    assert threaded("resume", "a", "--epochs", "2", "--plain").stderr == ""
