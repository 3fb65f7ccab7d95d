from __future__ import annotations

import pytest
from gswarm_remote.devices import gpu_index, gpu_indices


@pytest.mark.parametrize(
    ("name", "index"),
    [
        *(("gpu0", 0), ("gpu7", 7), ("gpu255", 255), ("gpu256", None), ("gpu00", None)),
        *(("gpu", None), ("gpu-1", None), ("gpu٣", None), ("dram", None), ("gpu1 ", None)),
    ],
)
def test_the_index_of_a_gpu(name: str, index: int | None) -> None:
    assert gpu_index(name) == index


def test_the_indices_of_those_that_are_gpus() -> None:
    assert gpu_indices(["gpu3", "dram", "gpu0"]) == [3, 0]
