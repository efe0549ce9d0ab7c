"""The survey's stages, in the order of work."""

from gzjwst_core.survey.catalog import FIELD_CATALOG, MERGE
from gzjwst_core.survey.completeness import INJECTION, SELECTION_FUNCTION
from gzjwst_core.survey.controls import CONTROLS
from gzjwst_core.survey.crossmatch import COMPARISON
from gzjwst_core.survey.cutouts import CUTOUTS
from gzjwst_core.survey.images import IMAGES
from gzjwst_core.survey.mosaic_access import FETCH
from gzjwst_core.survey.quality import IMAGE_CHECKS
from gzjwst_core.survey.query import LOCATE, QUERY
from gzjwst_core.survey.training import TRAINING
from gzjwst_core.survey.uploads_record import HANDOVER

__all__ = ["STAGES"]

STAGES = (
    QUERY,
    LOCATE,
    FETCH,
    FIELD_CATALOG,
    MERGE,
    COMPARISON,
    INJECTION,
    SELECTION_FUNCTION,
    CUTOUTS,
    CONTROLS,
    IMAGES,
    IMAGE_CHECKS,
    TRAINING,
    HANDOVER,
)
