"""No telemetry: what dependencies would send or keep of their own accord is switched off before they are imported."""

from __future__ import annotations

import os

SWITCHES = {
    # ONNX Runtime from 1.32 on keeps a device id and a database of events, and asks for a host on the network.
    "ORT_DISABLE_TELEMETRY": "1",
    "ORT_TELEMETRY_DISABLED": "1",
    # OpenVINO and NNCF send usage through openvino-telemetry; CI is what makes that package keep silent.
    "OPENVINO_TELEMETRY_DISABLED": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Variables of the environment that processes and workers inherit; what a person has set stays."""


def silence() -> None:
    """Set the switches; called before a library that has telemetry is imported."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
