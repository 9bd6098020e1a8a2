"""What hooks on PyTorch cannot see: numbers that a framework or a script logs by their names."""

from pathlib import Path

import pytest

from tests.conftest import Shell, until
from tests.watching import Scripts, Server, server  # noqa: F401 - a fixture
from tuitrain import Run, connect
from tuitrain.core.events import EpochEnded, Warned

WANDB = {
    "__init__": """
from . import sdk
run = None
logged = []
def log(data):
    raise RuntimeError("call wandb.init() before wandb.log()")
def init(**_):
    global run, log
    run = sdk.wandb_run.Run()
    log = run.log
    return run
""",
    "sdk/__init__": "from . import wandb_run\n",
    "sdk/wandb_run": """
class Run:
    def log(self, data, step=None, commit=True):
        import wandb
        wandb.logged.append(dict(data))
    def finish(self):
        pass
""",
}
"""The parts of the package that a tee is on, as they are in it: it needs a service of its own."""
LOGGED = """
import json, sys, torch, wandb
from torch.utils.data import DataLoader, TensorDataset
from torch.nn import functional
torch.manual_seed(0)
run = wandb.init(project="digits")
loader = DataLoader(TensorDataset(torch.randn(64, 4), torch.randint(3, (64,))), batch_size=16)
model = torch.nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(2):
    for x, y in loader:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        wandb.log({"loss/batch": loss, "text": "no number"})
    run.log({"accuracy": 0.5 + epoch / 10}, step=epoch)
run.finish()
losses = [row["loss/batch"].item() for row in wandb.logged if "loss/batch" in row]
open(sys.argv[1], "w").write(json.dumps({"losses": losses, "rows": len(wandb.logged)}))
"""


@pytest.fixture
def scripts(server: Server, tuitrain: Shell, tmp_path: Path) -> Scripts:  # noqa: F811 - the fixture
    tuitrain.home.mkdir(exist_ok=True)
    return Scripts(server, tuitrain, tmp_path)


def metrics(run: Run) -> list[dict[str, float]]:
    """Return the metrics of each epoch."""
    events = run.events(follow=False)
    return [dict(event.metrics) for event in events if isinstance(event, EpochEnded)]


def warnings(run: Run) -> list[Warned]:
    return [event for event in run.events(follow=False) if isinstance(event, Warned)]


def test_what_lightning_logs_in_an_epoch_are_the_metrics_of_the_epoch(scripts):
    pytest.importorskip("lightning")
    alone = scripts.start("lightning_fit")
    report = scripts.start("lightning_callback", str(scripts.shell.home), "2").report()
    run = scripts.run_of("a")
    assert report["weights"] == alone.report()["weights"]
    assert metrics(run) == [pytest.approx(logged) for logged in report["logged"]]
    assert [row.loss for row in run.batches()] == report["losses"]
    assert (run.state, warnings(run)) == ("finished", [])


def test_what_transformers_logs_are_metrics_of_the_epoch_before(scripts):
    pytest.importorskip("transformers")
    alone = scripts.start("hf_trainer")
    report = scripts.start("hf_callback", str(scripts.shell.home), "2").report()
    run = scripts.run_of("a")
    assert report["weights"] == alone.report()["weights"]
    first, second = metrics(run)
    rows = [row for row in report["history"] if row["epoch"] == 1]
    assert first == {key: row[key] for row in rows for key in row if key not in ("epoch", "step")}
    assert second["eval_loss"] == report["val_losses"][1]
    assert [row.loss for row in run.batches()] == report["losses"]
    assert (run.state, warnings(run)) == ("finished", [])


@pytest.mark.parametrize(
    ("script", "framework"), [("lightning_callback", "lightning"), ("hf_callback", "transformers")]
)
def test_a_stop_ends_the_training_of_a_callback_and_the_code_after_it_runs(
    scripts, script, framework
):
    pytest.importorskip(framework)
    process = scripts.start(script, str(scripts.shell.home), "2000")
    until((scripts.shell.home / "runs" / "a" / "run.db").exists, "it records", lambda: process.log)
    run = connect("a", home=scripts.shell.home)
    until(lambda: run.steps > 3, "it trains")
    run.stop()
    assert process.ended() == 0, process.log
    assert "after" in process.log.splitlines()[-1], process.log
    assert (run.state, warnings(run)) == ("stopped", [])


def test_a_training_that_fails_in_lightning_is_a_failed_run(scripts):
    pytest.importorskip("lightning")
    process = scripts.start("lightning_callback", str(scripts.shell.home), "2", "fails")
    assert process.ended() == 1
    assert "ValueError: bad luck" in process.log
    shown = scripts.run_of("a").show()
    assert (shown["state"], shown["step"]) == ("failed", 2)
    assert "bad luck" in shown["error"]


def test_a_training_that_fails_in_transformers_is_a_failed_run_and_the_next_one_its_own(scripts):
    pytest.importorskip("transformers")
    process = scripts.start("hf_callback", str(scripts.shell.home), "1", "fails")
    report = process.report()
    assert scripts.run_of("a").state == "failed"
    assert [row.loss for row in scripts.run_of("a-2").batches()] == report["losses"]
    assert scripts.run_of("a-2").state == "finished"


def test_what_is_logged_to_wandb_is_recorded_once(scripts, tmp_path):
    (tmp_path / "wandb" / "sdk").mkdir(parents=True)
    for name, text in WANDB.items():
        (tmp_path / "wandb" / f"{name}.py").write_text(text)
    (tmp_path / "logs.py").write_text(LOGGED)
    report = scripts.watch("a", str(tmp_path / "logs")).report()
    run = scripts.run_of("a")
    assert report["rows"] == 10, "the script's own calls arrive"
    assert list(run.series("loss/batch")[1]) == report["losses"]
    assert "text" not in {one["name"] for one in run.show()["series"]}
    assert metrics(run) == [{"accuracy": 0.5}, {"accuracy": 0.6}]
    assert warnings(run) == []
