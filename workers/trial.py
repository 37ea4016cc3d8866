"""Whether a worker would boot with these settings. Serves nothing and does not come back to it."""

from __future__ import annotations

import uvloop

from .apps import AppFailed, load_all
from .settings import Settings
from .site import WebSite


def why_not(settings: Settings) -> str:
    """The reason why a worker would not boot, a traceback as a rule; "" if it would."""
    loop = uvloop.new_event_loop()
    try:
        site = WebSite(loop, settings, load_all(settings.routes))
    except (AppFailed, OSError) as error:
        return str(error)
    site.close()
    site.leave_nothing()  # what the apps have begun may keep this process from ending
    return ""
