"""One reading of conf and apps. All workers are to be of the newest that boots."""

from __future__ import annotations

from dataclasses import dataclass

from skitaid.supervisor.settings import Settings


@dataclass(slots=True)
class Generation:
    """What a worker is forked with."""

    number: int  # 1 is what the server was started with; never given twice
    settings: Settings
    proven: bool = False  # a worker of it has been ready once
