"""What each stage's one line says to a person, and what the UI shows of a run."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from gzjwst_core.archives.stages import Brought, Listing
from gzjwst_core.models import Field
from gzjwst_core.publish.stages import RunEnd
from gzjwst_core.storage.receipts import Done

__all__ = [
    "catalog",
    "completeness",
    "controls",
    "crossmatch",
    "cutouts",
    "fetch",
    "images",
    "injection",
    "locate",
    "lost_targets",
    "megabytes",
    "merge",
    "mosaic_rows",
    "publish",
    "quality",
    "query",
    "summary",
    "training",
]

_MOST_MISSING = 20
_OF_TARGETS = ("bad_position", "outside_fields", "same_object", "not_asked", "field_failed")


def query(listing: Listing) -> str:
    """Tell what MAST listed."""
    counts = f"{listing.kept + listing.dropped} products: {listing.kept} kept, {listing.dropped} dropped"
    return f"{counts} → {sum(len(f.mosaics) for f in listing.fields)} mosaics in {len(listing.fields)} fields"


def locate(fields: Sequence[Field]) -> str:
    """Tell where the mosaics are."""
    mosaics = [mosaic for field in fields for mosaic in field.mosaics]
    places = Counter(mosaic.archive for mosaic in mosaics if mosaic.located)
    where = ", ".join(f"{count} {name}" for name, count in sorted(places.items()))
    away = sum(mosaic.located and mosaic.trail[-1].archive.endswith(" before") for mosaic in mosaics if mosaic.trail)
    kept = f"; {away} not found this time, kept where an earlier run found them" if away else ""
    lost = [f"{m.obs_id}{' (expected)' if m.expected else ''}" for m in mosaics if not m.located]
    missing = f"; in no archive: {', '.join(lost[:3])}{' …' if len(lost) > 3 else ''}" if lost else ""
    return f"{sum(places.values())} of {len(mosaics)} mosaics: {where or 'none'}{kept}{missing}"


def fetch(fetched: Sequence[Brought]) -> str:
    """Tell what moved."""
    moved = sum(one.bytes_moved for one in fetched)
    needed, later = sum(one.needed for one in fetched), sum(one.later for one in fetched)
    rest = f"; the cache had no room for {later}: they are fetched when they are read" if later else ""
    return (
        f"{needed} mosaics to read, {megabytes(moved)} fetched{rest}" if needed else "nothing to read: no byte fetched"
    )


def catalog(done: Sequence[Done]) -> str:
    """Tell how many sources."""
    return f"{_sum(done, 'sources')} sources in {len(done)} fields"


def merge(done: Done) -> str:
    """Tell what is left of the detections."""
    counts = done.counts
    said = f"{counts['sources']} detections → {counts['primary']} objects → {counts['selected']} selected"
    shifted = f"; positions of {counts['shifted']} fields corrected" if "shifted" in counts else ""
    named = [f"{counts[key]} {what}" for what in ("carried", "new", "gone") if (key := f"names:{what}") in counts]
    return said + shifted + (f"; names: {', '.join(named)}" if named else "")


def crossmatch(done: Sequence[Done]) -> str:
    """Tell how many catalogs were compared with, and why some were not."""
    return f"{_sum(done, 'matches')} matches with {_sum(done, 'compared')} catalogs{_others(done)}"


def injection(done: Sequence[Done]) -> str:
    """Tell how many galaxies were injected, and how many detections are noise."""
    fields = "field" if len(done) == 1 else "fields"
    return f"{_sum(done, 'injected')} galaxies into {len(done)} {fields}; {_sum(done, 'negative')} false detections"


def completeness(done: Sequence[Done]) -> str:
    """Tell how many injected galaxies came back."""
    injected, found, blended = (_sum(done, name) for name in ("injected", "found", "blended"))
    return f"{found} of {injected} injected galaxies found, {blended} lost to brighter sources"


def cutouts(done: Sequence[Done]) -> str:
    """Tell how many cutouts, and why some are not there."""
    return f"{_sum(done, 'written')} cutouts in {len(done)} chunks{_others(done)}"


def images(done: Sequence[Done]) -> str:
    """Tell how many images."""
    return f"{_sum(done, 'written')} images in {len(done)} chunks{_others(done)}"


def controls(done: Sequence[Done]) -> str:
    """Tell what was cut for the survey's own checks."""
    return f"{_sum(done, 'stars')} views of stars, {_sum(done, 'pairs')} galaxies of other fields, for the checks alone"


def quality(done: Done) -> str:
    """Tell how many images pass, what speaks against those that fail, and what speaks against the survey."""
    counts = done.counts
    said = f"{counts['total']} images: {counts['pass']} pass, {counts['warn']} warn, {counts['fail']} fail"
    why = ", ".join(f"{count} {_plain(name)}" for name, count in counts.items() if name.startswith("fail:"))
    survey = ", ".join(_plain(name) for name in counts if name.startswith("survey:"))
    return said + (f" ({why})" if why else "") + (f"; of the survey: {survey}" if survey else "")


def training(done: Sequence[Done]) -> str:
    """Tell how many single-band files."""
    return f"{_sum(done, 'written')} single-band FITS in {len(done)} chunks{_others(done)}"


def publish(done: Done) -> str:
    """Tell what was handed over."""
    counts = done.counts
    left_out = f" ({counts['left_out']} that fail are left out)" if counts.get("left_out") else ""
    files = f"{counts['manifests']} manifest{'' if counts['manifests'] == 1 else 's'}"
    new = f", {counts['new']} of them new since the last upload" if "new" in counts else ""
    return f"{counts['subjects']} subjects{left_out} in {files}{new}, Zoobot catalog, report"


def megabytes(size: float) -> str:
    """Bytes for a person."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def mosaic_rows(fields: Sequence[Field]) -> list[dict[str, str | int]]:
    """Rows of the UI's table: fields x bands, where found, bytes, outcome."""
    return [
        {
            "field": m.field,
            "band": m.band,
            "where": m.archive or "-",
            "bytes": m.size,
            "outcome": "located" if m.located else "missing (expected)" if m.expected else "missing",
            "asked": " > ".join(f"{a.archive}: {'found' if a.found else a.reason}" for a in m.trail),
        }
        for field in fields
        for m in field.mosaics
    ]


def summary(end: RunEnd, folder: str) -> str:
    """Tell the UI how a run ended, in Markdown: outcome, sums, what is missing, where the report is."""
    record = json.loads(end.record)
    return "\n".join(
        [
            f"## {record['survey']}: {record['outcome']} in {record['seconds']:.0f} s",
            "",
            *_sums(record["sums"]),
            *_missing(record["missing"]),
            f"Report: `{_without_secrets(folder)}/report.html`",
        ]
    )


def lost_targets(end: RunEnd) -> str:
    """Tell how many of a table's targets became no cutout, and why; empty where all did."""
    record = json.loads(end.record)
    why = Counter(one["reason"] for one in record.get("missing", ()) if one["reason"] in _OF_TARGETS)
    if not why:
        return ""
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(why.items()))
    return f"{why.total()} targets of the table have no cutout: {counts} (each is named in run.json)"


def _sums(sums: dict[str, dict[str, int]]) -> Iterator[str]:
    if sums:
        yield from ("| what | total | of which |", "|---|---:|---|")
    for name, parts in sums.items():
        others = ", ".join(f"{count} {part}" for part, count in parts.items() if part != "total")
        yield f"| {name} | {parts['total']} | {others} |"
    yield ""


def _missing(missing: list[dict[str, Any]]) -> Iterator[str]:
    for one in missing[:_MOST_MISSING]:
        yield f"- missing{' as expected' if one['expected'] else ''}: `{one['what']}` ({one['reason']})"
    if len(missing) > _MOST_MISSING:
        yield f"- and {len(missing) - _MOST_MISSING} more, all in run.json"
    yield ""


def _without_secrets(url: str) -> str:
    """Leave out a user, password or signature that an address may carry: everybody sees the UI."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _plain(name: str) -> str:
    """Write a code without what it is of: `fail:fill:above` is `fill above`."""
    return name.partition(":")[2].replace(":", " ").replace("_", " ")


def _sum(done: Sequence[Done], name: str) -> int:
    return sum(one.counts.get(name, 0) for one in done)


def _others(done: Sequence[Done]) -> str:
    counts: Counter[str] = Counter()
    for one in done:
        counts.update({k: v for k, v in one.counts.items() if ":" in k})
    return "".join(f", {count} {name.replace(':', ' (')})" for name, count in sorted(counts.items()))
