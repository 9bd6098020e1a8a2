"""What the form says of a field while the user types in it."""

from tuitrain.view.form import form


def test_a_colon_after_a_name_lists_what_its_options_take():
    def hint(text: str, *, has_focus: bool = True) -> str:
        return form.hint("model", {"task": "digits", "model": text}, has_focus=has_focus)

    assert hint("mlp").startswith("linear · mlp · cnn · lenet · resnet18 · resnet34")
    assert hint("mlp").endswith("· wide_resnet50_2 · 71 more")
    assert "norm: none or batch · dropout: a number from 0 to 0.99" in hint("mlp:")
    assert hint("mlp:", has_focus=False) == "Fully connected layers with ReLU between them"
    assert hint("own:") == hint("linear:") == hint("mlp")


def test_an_option_that_cannot_be_is_told_at_its_field():
    values = form.filled("digits") | {"model": "mlp:dropout=2"}
    spec, errors = form.checked(values)
    assert spec is None
    assert errors == {
        "model": "mlp:dropout takes a number from 0 to 0.99 (dropout probability), not 2"
    }


def test_an_error_names_fields_and_not_the_options_of_the_command_line():
    values = form.filled("digits") | {"strategy": "fsdp"}
    _, errors = form.checked(values)
    assert errors["strategy"] == (
        "strategy fsdp shares a model among several processes, which nproc N starts; "
        "strategy ddp is for one, too"
    )
    assert form.in_fields("each has its own --node-rank") == "each has its own --node-rank"
