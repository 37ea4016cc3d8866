"""Where things are: the confs below ETC, what running servers leave below VAR.

    ETC/skitaid.conf                   the fleet
    ETC/servers-enabled/NAME.conf      a server that the fleet runs
    ETC/servers-available/NAME.conf    a server that it does not run
    ETC/cert/                          certificates
    VAR/servers/NAME/                  pid file, control socket and logs of a server

ETC is what `--etc` or SKITAID_ETC names, else /etc/skitaid. As a home holds it in `etc/skitaid`,
DIR may also stand for DIR/skitaid or DIR/etc/skitaid: the first of the three that holds
any of the confs above is ETC. VAR is what `--var` or SKITAID_VAR names, else `var_path` of
skitaid.conf.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from skitaid.conf import load_fleet
from skitaid.errors import ConfNotFound, did_you_mean

DEFAULT_ETC = "/etc/skitaid"

_BELOW = ("", "skitaid", "etc/skitaid")
_HELD = ("skitaid.conf", "servers-enabled", "servers-available")


class Paths(msgspec.Struct, frozen=True):
    """The two directories, absolute; all other places follow from them."""

    etc: Path
    var: Path

    @classmethod
    def find(cls, etc: str | None = None, var: str | None = None) -> Paths:
        """The directories as the user names them. /etc/skitaid may be missing, ETC may not.

        Raises `ConfNotFound`, and `ConfError` if `var` is to be read from a wrong skitaid.conf.
        """
        found = _etc(etc) if etc else Path(DEFAULT_ETC)
        chosen = Path(var) if var else load_fleet(found / "skitaid.conf").var_path
        return cls(found, Path(os.path.abspath(chosen)))

    @property
    def fleet_conf(self) -> Path:
        return self.etc / "skitaid.conf"

    @property
    def servers_enabled(self) -> Path:
        return self.etc / "servers-enabled"

    @property
    def servers_available(self) -> Path:
        return self.etc / "servers-available"

    def run_dir(self, name: str) -> Path:
        """Where the server keeps its files. Nothing is created."""
        return self.var / "servers" / name

    def enabled(self) -> list[str]:
        """The names of the servers to run, sorted. A link to nowhere is no conf."""
        return _names(self.servers_enabled)

    def available(self) -> list[str]:
        """The names of the confs in servers-available, sorted."""
        return _names(self.servers_available)

    def conf(self, argument: str) -> Path:
        """The conf that a user means, as an absolute path.

        NAME and e/NAME are in servers-enabled, a/NAME is in servers-available; anything
        else, and a NAME that is not there, is a path. `.conf` may be left out; with it, the
        path is tried first. Raises `ConfNotFound`.
        """
        places = [Path(os.path.abspath(place)) for place in self._places(argument)]
        for place in places:
            if os.path.isfile(place):
                return place
        looked = ", ".join(map(str, places))
        hint = did_you_mean(Path(argument).stem, self._all_names())
        raise ConfNotFound(f"there is no conf {argument}; looked at {looked}{hint}")

    def _places(self, argument: str) -> list[Path]:
        folder, _, name = argument.rpartition("/")
        directories = {
            "": self.servers_enabled,
            "e": self.servers_enabled,
            "a": self.servers_available,
        }
        file = name.removesuffix(".conf") + ".conf"
        by_name = [directories[folder] / file] if folder in directories and name else []
        if argument.endswith(".conf"):
            return [Path(argument), *by_name]
        return [*by_name, Path(argument), Path(f"{argument}.conf")]

    def _all_names(self) -> list[str]:
        """What may be given as NAME, e/NAME or a/NAME."""
        available = [f"a/{name}" for name in self.available()]
        return [*self.enabled(), *available]


def _etc(directory: str) -> Path:
    places = [Path(os.path.abspath(os.path.join(directory, below))) for below in _BELOW]
    for place in places:
        if any((place / name).exists() for name in _HELD):
            return place
    looked = ", ".join(map(str, places))
    raise ConfNotFound(
        f"none of {looked} holds {', '.join(_HELD[:-1])} or {_HELD[-1]};"
        f" skitaid init {directory} would make a new home there"
    )


def _names(directory: Path) -> list[str]:
    confs = directory.glob("[!.]*.conf")  # an editor's backup may begin with a dot
    return sorted(path.stem for path in confs if os.path.isfile(path))
