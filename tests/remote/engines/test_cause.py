"""The error that matters, among those that follow from it."""

from __future__ import annotations

import pytest
from gswarm_remote.engines.cause import first_error

WORKER = "(VllmWorker-0 pid=812) ERROR 11-21 02:32:28 [multiproc_executor.py:953] "
OTHER = "(VllmWorker-1 pid=813) ERROR 11-21 02:32:28 [multiproc_executor.py:953] "
CORE = "(EngineCore pid=801) ERROR 11-21 02:32:32 [core.py:1510] "

# As vLLM 0.32 fails, shortened.
VLLM = f"""
(APIServer pid=790) INFO 11-21 02:31:57 [model.py:2152] Using max model len 512
{WORKER}WorkerProc failed to start.
{WORKER}Traceback (most recent call last):
{OTHER}Traceback (most recent call last):
{WORKER}  File "multiproc_executor.py", line 920, in worker_main
{OTHER}  File "multiproc_executor.py", line 920, in worker_main
{WORKER}    worker = WorkerProc(*args, **kwargs)
{WORKER}             ^^^^^^^^^^^^^^^^^^^^^^^^^^^
{OTHER}OSError: not this one
{WORKER}ValueError: Available memory on node 0 (5.84/8.71 GiB) is less than desired
{CORE}EngineCore failed to start.
{CORE}Traceback (most recent call last):
{CORE}    raise e from None
{CORE}Exception: WorkerProc initialization failed. See stack trace for root cause.
Process EngineCore:
Traceback (most recent call last):
  File "process.py", line 314, in _bootstrap
    self.run()
RuntimeError: Engine core initialization failed. See root cause above.
"""

CHAINED = """
loading
Traceback (most recent call last):
  File "a.py", line 1, in f
KeyError: 'llama9'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b.py", line 2, in g

  File "c.py", line 3, in h
ValueError: the model type llama9 is not supported
Exception ignored in: <function f>
"""


@pytest.mark.parametrize(
    ("log", "error"),
    [
        (VLLM, "ValueError: Available memory on node 0 (5.84/8.71 GiB) is less than desired"),
        (CHAINED, "ValueError: the model type llama9 is not supported"),
        ("Traceback (most recent call last):\n  File", None),
        ("api_server.py: error: unrecognized arguments: --frob", None),
        ("", None),
    ],
)
def test_the_first_error_is_the_cause(log: str, error: str | None) -> None:
    assert first_error(log.splitlines()) == error
