"""Every error of this project, in one tree.

::

    GzJwstError                      reason, retryable
    ├── ProfileError                 a profile or an option is wrong           (ValueError)
    ├── NameRefusedError             an outside name may not become a path      (ValueError)
    ├── BudgetError                  the disk cannot hold what was asked        (OSError)
    ├── StorageError                 a file of ours cannot be read or written   (OSError)
    │   └── StorageUnavailableError  its server does not answer: try again      (ConnectionError)   retryable
    ├── ArchiveError                 an archive did not do its part             (OSError)
    │   ├── ArchiveUnavailableError  busy, slow or broken: try again            (ConnectionError)   retryable
    │   ├── ArchiveRefusedError      it said no for good                        (PermissionError)
    │   ├── ProductNotFoundError     it does not hold this product              (FileNotFoundError)
    │   └── AmbiguousProductError    more than one file answers: never a guess  (LookupError)
    ├── QueryError                   MAST's answer cannot be used               (ValueError)
    ├── MosaicError                  a mosaic cannot be used                    (ValueError)
    │   ├── CorruptMosaicError       the bytes are damaged: fetch again         retryable
    │   ├── MosaicLayoutError        an extension, unit or WCS is missing
    │   └── NoValidPixelsError       nothing in it can be measured
    ├── CatalogError                 detection or a table failed                (ValueError)
    ├── ImageError                   a cutout cannot be coloured                (ValueError)
    ├── SubjectsError                a manifest or Zooniverse's export is wrong (ValueError)
    └── WorkerLostError              work died or found no memory: try again    (RuntimeError)      retryable

`reason` is a stable code that lands in tables and receipts; `retryable` is all that a retry policy reads. Each class
has its nearest standard-library twin as a second base, so that code which knows nothing of us still catches it.
"""

from typing import ClassVar

__all__ = [
    "AmbiguousProductError",
    "ArchiveError",
    "ArchiveRefusedError",
    "ArchiveUnavailableError",
    "BudgetError",
    "CatalogError",
    "CorruptMosaicError",
    "FlowServerError",
    "GzJwstError",
    "ImageError",
    "MosaicError",
    "MosaicLayoutError",
    "NameRefusedError",
    "NoValidPixelsError",
    "ProductNotFoundError",
    "ProfileError",
    "QueryError",
    "StorageError",
    "StorageUnavailableError",
    "SubjectsError",
    "WorkerLostError",
]


class GzJwstError(Exception):
    """Base of the tree.

    Parameters
    ----------
    message
        One sentence a person can act on: it names the file, key or row and says what is allowed.
    reason
        A stable code for tables and receipts, where it should be finer than the class's own.
    """

    reason: str = "error"
    retryable: ClassVar[bool] = False
    lasting: ClassVar[bool] = False
    """Whether it stays as it is until the data or the profile change, unless it calls itself retryable."""

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if reason is not None:
            self.reason = reason

    @property
    def passing(self) -> bool:
        """Whether the next run may well not meet it."""
        return self.retryable or self.reason == "offline" or not self.lasting

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        # errors cross process boundaries: keep the reason that was given
        return _rebuild, (type(self), self.message, self.reason)


def _rebuild(kind: type[GzJwstError], message: str, reason: str) -> GzJwstError:
    return kind(message, reason=reason)


class ProfileError(GzJwstError, ValueError):
    """A profile, an option or a parameter is wrong; the message names the file and key."""

    reason = "bad_profile"
    lasting = True


class NameRefusedError(GzJwstError, ValueError):
    """A name from outside may not become a path of ours."""

    reason = "bad_name"
    lasting = True


class BudgetError(GzJwstError, OSError):
    """The disk cannot hold what the run would write."""

    reason = "over_budget"


class StorageError(GzJwstError, OSError):
    """A file of ours cannot be read or written."""

    reason = "storage"


class StorageUnavailableError(StorageError, ConnectionError):
    """The server of a network file system does not answer, or has forgotten an open file, right now."""

    reason = "storage_unavailable"
    retryable = True


class ArchiveError(GzJwstError, OSError):
    """An archive did not do its part."""

    reason = "archive"
    lasting = True


class ArchiveUnavailableError(ArchiveError, ConnectionError):
    """The archive is busy, slow or broken right now."""

    reason = "archive_unavailable"
    retryable = True


class ArchiveRefusedError(ArchiveError, PermissionError):
    """The archive said no, and will say it again."""

    reason = "archive_refused"


class ProductNotFoundError(ArchiveError, FileNotFoundError):
    """The archive does not hold this product."""

    reason = "not_found"


class AmbiguousProductError(ArchiveError, LookupError):
    """More than one file answers to one product; we never guess."""

    reason = "ambiguous"


class QueryError(GzJwstError, ValueError):
    """MAST's answer cannot be used: columns missing, types wrong, a warning instead of rows."""

    reason = "bad_answer"


class MosaicError(GzJwstError, ValueError):
    """A mosaic cannot be used."""

    reason = "bad_mosaic"
    lasting = True


class CorruptMosaicError(MosaicError):
    """The bytes of a mosaic are damaged; fetching again may cure it."""

    reason = "corrupt"
    retryable = True

    @property
    def passing(self) -> bool:
        """Its retries are over: it stays so."""
        return self.reason == "offline"


class MosaicLayoutError(MosaicError):
    """An extension, a unit or the WCS that we need is missing or cannot be understood."""

    reason = "bad_layout"


class NoValidPixelsError(MosaicError):
    """Nothing in the mosaic can be measured (all NaN, all zero, no weight)."""

    reason = "no_valid_pixels"


class CatalogError(GzJwstError, ValueError):
    """Detection failed or a table of targets cannot be used."""

    reason = "bad_catalog"
    lasting = True


class ImageError(GzJwstError, ValueError):
    """A cutout cannot be coloured."""

    reason = "bad_image"


class SubjectsError(GzJwstError, ValueError):
    """A manifest of subjects, or an export of Zooniverse, cannot be used."""

    reason = "bad_subjects"


class FlowServerError(GzJwstError, ConnectionError):
    """The server that flow runs are reported to does not answer."""

    reason = "flow_server"


class WorkerLostError(GzJwstError, RuntimeError):
    """A process died under its work, out of memory most likely, or the work was refused memory (`out_of_memory`)."""

    reason = "worker_lost"
    retryable = True
