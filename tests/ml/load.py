"""What galaxy-datasets makes of a survey's folder, told as JSON: `load.py FOLDER`, run by the loader's own environment.

Nothing of ours is imported here: this is what someone does who trains Zoobot.
"""

import json
import sys
from importlib import import_module
from typing import Any

import numpy as np
import torch
from PIL.Image import Image


def declare_operators() -> None:
    """Declare the operators that torchvision names as it is imported, where its compiled part is of another torch.

    Its wheels are built for torch with CUDA; beside a CPU build the import ends at `torchvision::nms`. No transform of
    a galaxy uses them.
    """
    try:
        import_module("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        globals()["_kept"] = library  # it undoes what it declared when it goes


declare_operators()

import pandas as pd  # noqa: E402
import torchvision  # noqa: E402
from galaxy_datasets.pytorch.galaxy_datamodule import CatalogDataModule  # noqa: E402
from galaxy_datasets.pytorch.galaxy_dataset import CatalogDataset  # noqa: E402
from galaxy_datasets.transforms import default_view_config, get_galaxy_transform, minimal_view_config  # noqa: E402


def raw(catalog: pd.DataFrame) -> list[dict[str, Any]]:
    """What the dataset gives before any transform."""
    dataset = CatalogDataset(catalog)
    items = [dataset[n] for n in range(len(dataset))]
    arrays = [np.asarray(item["image"]) for item in items]
    return [
        {
            "id_str": item["id_str"],
            "kind": type(item["image"]).__name__,
            "mode": item["image"].mode if isinstance(item["image"], Image) else "",
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "finite": bool(np.isfinite(array).all()),
            "spread": float(array.std()),
        }
        for item, array in zip(items, arrays, strict=True)
    ]


def batches(catalog: pd.DataFrame, *, fits: bool) -> dict[str, list[dict[str, Any]]]:
    """What training and testing get, with the default and the minimal transforms."""
    views = {"train": default_view_config(), "test": minimal_view_config()}
    for view in views.values() if fits else ():
        view.pil_to_tensor = False
        view.flux_to_jpg_like_dynamic_range = {"arcsinh_q": 1.0, "percentile_min": 0, "percentile_max": 99.7}
    module = CatalogDataModule(
        label_cols=None,
        train_catalog=catalog,
        val_catalog=catalog,
        test_catalog=catalog,
        train_transform=get_galaxy_transform(views["train"]),
        test_transform=get_galaxy_transform(views["test"]),
        batch_size=5,
        num_workers=0,
    )
    module.setup()
    loaders = {"train": module.train_dataloader(), "test": module.test_dataloader()}
    return {name: [batch_of(batch) for batch in loader] for name, loader in loaders.items()}


def batch_of(batch: dict[str, Any]) -> dict[str, Any]:
    image = batch["image"]
    return {
        "shape": list(image.shape),
        "dtype": str(image.dtype),
        "finite": bool(torch.isfinite(image).all()),
        "low": float(image.min()),
        "high": float(image.max()),
        "id_str": list(batch["id_str"]),
    }


def main(folder: str) -> None:
    """Read ten rows of the images and of each column of FITS files."""
    catalog = pd.read_parquet(f"{folder}/zoobot/catalog.parquet")
    told: dict[str, Any] = {
        "versions": {m.__name__: m.__version__ for m in (torch, torchvision, pd, np)},
        "dtypes": {name: str(dtype) for name, dtype in catalog.dtypes.items()},
        "index": [int(n) for n in catalog.index],
        "unique": bool(catalog["id_str"].is_unique),
    }
    for column in [name for name in catalog.columns if name.startswith("file_loc")]:
        found = catalog[catalog[column] != ""].head(10)
        ready = found.assign(file_loc=folder + "/" + found[column])
        told[column] = {"raw": raw(ready), **batches(ready, fits=column != "file_loc")}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
