"""GPUs as NVML tells of them; a module of the same face stands in for one that needs a GPU."""

from types import SimpleNamespace

import pynvml
import pytest

from tuitrain.core.series import GPU_MEMORY, GPU_POWER, GPU_TEMPERATURE, GPU_USE
from tuitrain.engine.device import freest
from tuitrain.engine.gpus import Gpu, listed, meter

GIB = 1 << 30


class Nvml:
    """Three GPUs, the second of another kind; it counts who holds the library open."""

    NVMLError = pynvml.NVMLError
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(self, *names: str) -> None:
        self.names = names or ("H100", "L4", "H100")
        self.uuids = [f"GPU-{letter * 4}-{at}" for at, letter in enumerate("aabb")]
        self.open = 0

    def nvmlInit(self):
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetCount(self):
        return len(self.names)

    def nvmlDeviceGetHandleByIndex(self, at):
        return at

    def nvmlDeviceGetHandleByUUID(self, uuid):
        if uuid != "MIG-1234":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return 1

    def nvmlDeviceGetName(self, at):
        return self.names[at]

    def nvmlDeviceGetUUID(self, at):
        return self.uuids[at]

    def nvmlDeviceGetMemoryInfo(self, at):
        return SimpleNamespace(total=80 * GIB, free=(80 - at) * GIB, used=1e9 * at)

    def nvmlDeviceGetUtilizationRates(self, at):
        if self.names[at] == "L4":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=10 * at)

    def nvmlDeviceGetPowerUsage(self, at):
        self.nvmlDeviceGetUtilizationRates(at)
        return 300_500

    def nvmlDeviceGetTemperature(self, at, sensor):
        self.nvmlDeviceGetUtilizationRates(at)
        return 41


def test_each_gpu_is_told_with_its_memory_and_how_busy_it_is():
    assert listed(Nvml(), None, "PCI_BUS_ID") == [
        Gpu("H100", 80 * GIB, 80 * GIB, 0),
        Gpu("L4", 80 * GIB, 79 * GIB, None),
        Gpu("H100", 80 * GIB, 78 * GIB, 20),
    ]


@pytest.mark.parametrize(
    ("visible", "places"),
    [
        ("2,0", [2, 0]),
        ("1, 2", [1, 2]),
        ("2,7,0", [2]),  # what comes after one that is not there, CUDA does not see
        ("-1", []),
        ("", []),
        ("GPU-bbbb", [2]),
        ("GPU-aaaa-1,GPU-aaaa-0", [1, 0]),
        ("GPU-aaaa", []),  # of two
        ("GPU-zzzz,GPU-bbbb", []),
        ("MIG-1234", [1]),
    ],
)
def test_those_are_listed_that_cuda_sees_in_its_order(visible, places):
    found = listed(Nvml(), visible, "PCI_BUS_ID")
    assert found is not None
    assert [80 - (gpu.free_bytes or 0) // GIB for gpu in found] == places


def test_a_meter_reads_the_gpu_of_cudas_number_and_leaves_out_what_is_not_reported():
    nvml = Nvml()
    third = meter(nvml, 0, "2,1", "PCI_BUS_ID")
    assert third is not None
    assert third.read() == {GPU_USE: 20.0, GPU_MEMORY: 2e3, GPU_POWER: 300.5, GPU_TEMPERATURE: 41}
    second = meter(nvml, 1, "2,1", "PCI_BUS_ID")
    assert second is not None
    assert second.read() == {GPU_MEMORY: 1e3}
    assert meter(nvml, 2, "2,1", "PCI_BUS_ID") is None
    assert meter(nvml, 0, None, None) is None, "it may be another one"


def test_where_cuda_may_number_them_otherwise_nothing_is_guessed():
    assert listed(Nvml(), None, None) is None
    assert listed(Nvml(), "0,1", "FASTEST_FIRST") is None
    assert listed(Nvml(), "GPU-bbbb", None) == [Gpu("H100", 80 * GIB, 78 * GIB, 20)]
    alike = listed(Nvml("L4", "L4"), "1,0", None)
    assert alike is not None
    assert len(alike) == 2


def test_without_a_driver_or_with_one_that_does_not_tell_there_is_no_list():
    class Absent(Nvml):
        def nvmlInit(self):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    class Unified(Nvml):
        def nvmlDeviceGetMemoryInfo(self, at):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    for nvml in (Absent(), Unified("GB10"), Nvml("L4")):
        assert listed(nvml, "MIG-5678" if nvml.names == ("L4",) else None, None) is None
        assert nvml.open == 0


def test_the_library_offers_all_that_is_asked_of_it():
    """The stand-in has no name that pynvml lacks."""
    assert all(hasattr(pynvml, name) for name in vars(Nvml) if name.startswith("nvml"))


@pytest.mark.parametrize(
    ("free", "chosen"),
    [((3, 9, 7), "cuda:1"), ((9, 9, 1), "cuda:0"), ((3, None, 7), "cuda:0"), ((3, 9), "cuda:0")],
)
def test_auto_is_the_gpu_with_the_most_free_memory_and_the_first_where_that_is_unknown(
    free, chosen
):
    gpus = [Gpu("H100", 80 * GIB, gib and gib * GIB, 0) for gib in free]
    device, why = freest(["cuda:0", "cuda:1", "cuda:2"], gpus)
    assert str(device) == chosen
    assert chosen in why
    assert freest(["cuda:0", "cuda:1"], None).device.index == 0
