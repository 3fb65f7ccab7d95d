"""XID errors as they happen: what the driver says when a GPU, or a program on it, fails.

They come through NVML's event set only, and waiting for one blocks: so a thread waits.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections import deque
from typing import Any, Deque, Dict, Iterable, List, Mapping, Optional

import pynvml

KEPT = 16
"""Errors of one GPU that are remembered, the newest."""

_PATIENCE_MS = 5000
_PAUSE_S = 5.0

Errors = List[Dict[str, Any]]


class Xids:
    """The newest XID errors of each GPU; None for one that does not tell of them.

    Args:
        devices: nvitop's.
        known: errors that an earlier process heard of, by index.
    """

    def __init__(self, devices: Iterable[Any], known: Mapping[int, Errors]) -> None:
        self._of_handle: Dict[int, int] = {}
        self._errors: Dict[int, Deque[Dict[str, Any]]] = {}
        self._set: Any = None
        for device in devices:
            before = known.get(device.physical_index) or ()
            if device.handle is not None and self._register(device.handle):
                self._of_handle[_address(device.handle)] = device.physical_index
                self._errors[device.physical_index] = deque(before, maxlen=KEPT)
        if self._errors:
            threading.Thread(target=self._listen, daemon=True).start()

    def of(self, index: int) -> Optional[Errors]:
        """``{code, time}`` of each, the newest last."""
        errors = self._errors.get(index)
        return None if errors is None else list(errors)

    def _register(self, handle: Any) -> bool:
        kind = pynvml.nvmlEventTypeXidCriticalError
        try:
            if self._set is None:
                self._set = pynvml.nvmlEventSetCreate()
            if not pynvml.nvmlDeviceGetSupportedEventTypes(handle) & kind:
                return False
            pynvml.nvmlDeviceRegisterEvents(handle, kind, self._set)
        except pynvml.NVMLError:
            return False
        return True

    def _listen(self) -> None:
        while True:
            try:
                event = pynvml.nvmlEventSetWait_v2(self._set, _PATIENCE_MS)
            except pynvml.NVMLError_Timeout:
                continue
            except pynvml.NVMLError:  # a GPU was lost: the others may have something to say later
                time.sleep(_PAUSE_S)
                continue
            index = self._of_handle.get(_address(event.device))
            if index is not None:
                self._errors[index].append({"code": int(event.eventData), "time": time.time()})


def _address(handle: Any) -> int:
    return int(ctypes.cast(handle, ctypes.c_void_p).value or 0)
