"""A stage: one step of a pipeline, declared once by its name, its version, and what it reads and writes by name.

Its works, receipts and lines are made from the declaration; whoever reads what another stage made asks that stage for
an output by its name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from gzjwst_core.runs.products import reading_made
from gzjwst_core.runs.receipts import all_latest, latest
from gzjwst_core.runs.tally import Tallies
from gzjwst_core.runs.work import UNNAMED, Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.values import Output

__all__ = ["SURVEY_UNIT", "Stage", "Sums"]

SURVEY_UNIT = "survey"
"""Unit of a stage that has one alone."""

Sums = Callable[[Any, Tallies], Mapping[str, Mapping[str, int]]]
"""Takes the run and the sums over its receipts; returns what is counted, by name: `total`, and its parts."""


def _nothing(_run: Any, _tallies: Tallies) -> Mapping[str, Mapping[str, int]]:
    return {}


@dataclass(frozen=True)
class Stage:
    """One step of a pipeline."""

    name: str
    line: Callable[[list[Any]], str]
    """Takes the results of the stage's tasks; returns what they mean to a person, in one line."""
    version: str = "1"
    """Another version is other work: raise it when the same inputs and options give other bytes."""
    writes: Mapping[str, str] = field(default_factory=dict)
    """Outputs: path below the run folder by name, with `{unit}` for the unit and `*` where there are many."""
    reads: tuple[str, ...] = ()
    """Outputs of earlier stages, as `stage.output`."""
    sums: Sums = _nothing
    """What the run's record counts of the stage."""
    optional: bool = False
    """Whether a run is complete without it: a failure is told, and that is all."""

    def work(self, unit: str, inputs: Mapping[str, str], options: str) -> Work:
        """Return one unit of the stage.

        Parameters
        ----------
        unit
            Its name.
        inputs
            Identities of what goes into it.
        options
            Digest of just the options that the stage reads.
        """
        return Work(stage=self.name, version=self.version, unit=unit, inputs=inputs, options=options)

    def path(self, name: str, unit: str = SURVEY_UNIT) -> str:
        """Return the path of an output below the run folder.

        Parameters
        ----------
        name
            Of the output.
        unit
            Of the stage.
        """
        return self.writes[name].format(unit=unit)

    def receipt(
        self,
        work: Work,
        outputs: Mapping[str, Output | Sequence[Output]],
        counts: Mapping[str, int],
        notes: Mapping[str, Any] | None = None,
    ) -> Receipt:
        """Return the receipt of finished work.

        Parameters
        ----------
        work
            What was done.
        outputs
            Files by the names that the stage declares.
        counts
            Sums of the unit.
        notes
            Small facts that later stages read, as plain values.

        Raises
        ------
        KeyError
            An output is not declared.
        """
        undeclared = outputs.keys() - self.writes.keys()
        if undeclared:
            raise KeyError(f"stage {self.name} declares no output {sorted(undeclared)}")
        named = {name: (of,) if isinstance(of, Output) else tuple(of) for name, of in outputs.items()}
        return Receipt(**work.model_dump(), key=work.key, outputs=named, counts=counts, notes=notes or {})

    def latest(self, folder: Folder, unit: str = SURVEY_UNIT) -> Receipt | None:
        """Return the receipt of a unit whose outputs are all there, whatever it was made from.

        Parameters
        ----------
        folder
            The run folder.
        unit
            Of the stage.
        """
        return latest(folder, self.name, unit)

    def all_latest(self, folder: Folder) -> Iterator[Receipt]:
        """Yield the receipts whose outputs are all there, in order of their units; one at a time in memory."""
        return all_latest(folder, self.name)

    def outputs(self, receipt: Receipt, name: str) -> tuple[Output, ...]:
        """Return the files that a receipt of the stage has under a name.

        Parameters
        ----------
        receipt
            Of this stage. One of an earlier version names no outputs: they are told by their paths.
        name
            Of the output.
        """
        if UNNAMED not in receipt.outputs:
            return receipt.outputs.get(name, ())
        pattern = self.path(name, receipt.unit)
        return tuple(output for output in receipt.outputs[UNNAMED] if fnmatchcase(output.path, pattern))

    def digest(self, receipt: Receipt, name: str) -> str:
        """Return the digest of the one file that a receipt of the stage has under a name.

        Parameters
        ----------
        receipt
            Of this stage.
        name
            Of the output.
        """
        (output,) = self.outputs(receipt, name)
        return output.digest

    def reading(self, folder: Folder, name: str, unit: str = SURVEY_UNIT) -> AbstractContextManager[Path]:
        """Yield a local path that holds an output, compared with its receipt.

        Parameters
        ----------
        folder
            The run folder.
        name
            Of the output.
        unit
            Of the stage.

        Raises
        ------
        StorageError
            It is not there, or its bytes are not those of its receipt (reason `damaged`).
        """
        return reading_made(folder, self.name, unit, self.path(name, unit))
