"""One reading of conf and apps. All workers are to be of the newest that boots."""

from __future__ import annotations

import msgspec

from skitaid.supervisor.settings import Settings


class Generation(msgspec.Struct):
    """What a worker is forked with."""

    number: int  # 1 is what the server was started with; never given twice
    settings: Settings
    proven: bool = False  # a worker of it has been ready once
