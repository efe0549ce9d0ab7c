"""The fault matrix as data: what is done to a mosaic's way from an archive into the cache, and how that must end.

`wire` what goes wrong on the line (N, S), `bodies` what an archive holds (F), `disks` this machine's disks and mounted
volumes (D, S4), `queries` MAST's listing (N12), `hostile` what somebody means badly (Z). Played by `tests.soak.faults`.
"""

from tests.soak.cases.bodies import BODIES
from tests.soak.cases.case import Case
from tests.soak.cases.disks import DISKS
from tests.soak.cases.hostile import HOSTILE
from tests.soak.cases.queries import QUERIES
from tests.soak.cases.wire import WIRE

__all__ = ["CASES", "Case"]

CASES: tuple[Case, ...] = (*WIRE, *BODIES, *DISKS, *QUERIES, *HOSTILE)
