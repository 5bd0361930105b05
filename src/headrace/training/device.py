"""Where trees are grown. XGBoost itself goes on by the CPU where it finds no graphics card, with a warning at most."""

from __future__ import annotations

import ctypes
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from headrace.errors import PrerequisiteError
from headrace.spec.boosting import Device


def require_device(device: Device) -> None:
    """Raise PrerequisiteError where trees can't be grown there."""
    if device == "cpu":
        return
    import xgboost as xgb

    require_cuda(built=bool(xgb.build_info().get("USE_CUDA")), cards=graphics_cards())


def device_settings(device: Device) -> dict[str, Any]:
    """What XGBoost is told; nothing of the CPU, which is its own default."""
    return {} if device == "cpu" else {"device": device}


def require_cuda(*, built: bool, cards: int) -> None:
    """Raise PrerequisiteError where XGBoost was built without CUDA, or there is no graphics card that CUDA can use."""
    if not built:
        raise PrerequisiteError(
            f"model.device is cuda, and the installed {_installed()} was built without CUDA; replace it by xgboost==3.2.0 (pip "
            "uninstall xgboost-cpu, then pip install xgboost==3.2.0), or remove model.device"
        )
    if cards < 1:
        raise PrerequisiteError(
            "model.device is cuda, and CUDA finds no graphics card here, so XGBoost would go on by the CPU; train "
            "where there is one (its driver installed, CUDA_VISIBLE_DEVICES not empty), or remove model.device"
        )


def graphics_cards() -> int:
    """How many CUDA can use, by NVIDIA's driver; 0 where there is no driver."""
    try:
        driver: Any = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    found = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(found)) != 0:
        return 0
    return found.value


def _installed() -> str:
    for name in ("xgboost-cpu", "xgboost"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return "XGBoost"
