"""The columns of MAST's tables, as the portal describes them.

Two tables: observations (`Mast.Caom.Cone`, `Mast.Caom.Filtered`) and products (`Mast.Caom.Products`). One list a table
serves the answers' `fields` and the `columnsconfig` service that the client builds its filters from. Names and types
follow answers seen in 2026; the order of the observation columns is documented, not verified. No rows here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["OBSERVATION_COLUMNS", "PRODUCT_COLUMNS", "Cell", "Column", "Row", "columns_config"]

Cell = str | int | float | bool | None
Row = Mapping[str, Cell]

_CONFIG_TYPES = {"string": "char", "float": "double", "int": "int", "boolean": "boolean"}


@dataclass(frozen=True)
class Column:
    """One column: its name, the type an answer states, and the separator of its lists.

    `obsid` and its like arrive as JSON numbers under the type `string`, as they do from MAST.
    """

    name: str
    type: str
    separator: str = ""

    def config(self) -> dict[str, str]:
        """Properties as `columnsconfig` states them; the client reads the data type and the separator."""
        stated = {"text": self.name, "vot.datatype": _CONFIG_TYPES[self.type]}
        return stated | ({"separator": self.separator} if self.separator else {})


def _columns(text: str) -> tuple[Column, ...]:
    """Read `name:type` pairs; a trailing `;` marks a column that holds lists."""
    pairs = ([*word.rstrip(";").split(":"), word[-1]] for word in text.split())
    return tuple(Column(name, kind, ";" if last == ";" else "") for name, kind, last in pairs)


OBSERVATION_COLUMNS = _columns(
    """intentType:string obs_collection:string; provenance_name:string instrument_name:string project:string;
    filters:string; wavelength_region:string; target_name:string target_classification:string; obs_id:string
    s_ra:float s_dec:float dataproduct_type:string proposal_pi:string calib_level:int t_min:float t_max:float
    t_exptime:float em_min:float em_max:float obs_title:string t_obs_release:float proposal_id:string
    proposal_type:string sequence_number:int s_region:string jpegURL:string dataURL:string dataRights:string
    mtFlag:boolean srcDen:float obsid:string objID:string"""
)

PRODUCT_COLUMNS = _columns(
    """obsID:string obs_collection:string dataproduct_type:string obs_id:string description:string type:string
    dataURI:string productType:string productGroupDescription:string productSubGroupDescription:string
    productDocumentationURL:string project:string prvversion:string proposal_id:string productFilename:string
    size:int parent_obsid:string dataRights:string calib_level:int filters:string"""
)

_CONFIGS = {"Mast.Caom.Cone": OBSERVATION_COLUMNS, "Mast.Caom.Products": PRODUCT_COLUMNS}


def columns_config(config_id: str) -> dict[str, dict[str, str]]:
    """Answer the `columnsconfig` service.

    Parameters
    ----------
    config_id
        `Mast.Caom.Cone` or `Mast.Caom.Products`.

    Returns
    -------
    dict
        Column name -> properties; empty for an unknown table, as the portal does.
    """
    return {column.name: column.config() for column in _CONFIGS.get(config_id, ())}
