"""What each stage's one line says to a person, and what the UI shows of a run."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from gzjwst_core.images.meanings import reason_words
from gzjwst_core.models import Field
from gzjwst_core.runs.receipts import Done
from gzjwst_core.survey.publish import RunEnd
from gzjwst_core.survey.query import Brought, Listing

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
_OF_TARGETS = ("bad_position", "no_identifier", "outside_fields", "same_object", "not_asked", "field_failed")


def query(listing: Listing) -> str:
    """Tell what MAST listed."""
    counts = f"{_n(listing.kept + listing.dropped, 'product')}: {listing.kept} kept, {listing.dropped} dropped"
    mosaics = _n(sum(len(f.mosaics) for f in listing.fields), "mosaic")
    return f"{counts} → {mosaics} in {_n(len(listing.fields), 'field')}"


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
        f"{_n(needed, 'mosaic')} to read, {megabytes(moved)} fetched{rest}"
        if needed
        else "nothing to read: no byte fetched"
    )


def catalog(done: Sequence[Done]) -> str:
    """Tell how many sources."""
    saturated = sum(one.counts.get("saturated_tiles", 0) for one in done)
    said = f"; nothing detected on {_n(saturated, 'tile')} above the threshold nearly everywhere" if saturated else ""
    return f"{_n(_sum(done, 'sources'), 'source')} in {_n(len(done), 'field')}{said}"


def merge(done: Done) -> str:
    """Tell what is left of the detections."""
    counts = done.counts
    found, objects = _n(counts["sources"], "detection"), _n(counts["primary"], "object")
    said = f"{found} → {objects} → {counts['selected']} selected"
    shifted = f"; positions of {_n(counts['shifted'], 'field')} corrected" if "shifted" in counts else ""
    named = [f"{counts[key]} {what}" for what in ("carried", "new", "gone") if (key := f"names:{what}") in counts]
    return said + shifted + (f"; names: {', '.join(named)}" if named else "")


def crossmatch(done: Sequence[Done]) -> str:
    """Tell how many catalogs were compared with, and why some were not."""
    return f"{_n(_sum(done, 'matches'), 'match')} with {_n(_sum(done, 'compared'), 'catalog')}{_others(done)}"


def injection(done: Sequence[Done]) -> str:
    """Tell how many galaxies were injected, and how many detections are noise."""
    into = f"{_n(_sum(done, 'injected'), 'galaxy')} into {_n(len(done), 'field')}"
    return f"{into}; {_n(_sum(done, 'negative'), 'false detection')}"


def completeness(done: Sequence[Done]) -> str:
    """Tell how many injected galaxies came back."""
    injected, found, blended = (_sum(done, name) for name in ("injected", "found", "blended"))
    return f"{found} of {injected} injected galaxies found, {blended} lost to brighter sources"


def cutouts(done: Sequence[Done]) -> str:
    """Tell how many cutouts, and why some are not there."""
    return f"{_n(_sum(done, 'written'), 'cutout')} in {_n(len(done), 'chunk')}{_others(done)}"


def images(done: Sequence[Done]) -> str:
    """Tell how many images."""
    return f"{_n(_sum(done, 'written'), 'image')} in {_n(len(done), 'chunk')}{_others(done)}"


def controls(done: Sequence[Done]) -> str:
    """Tell what was cut for the survey's own checks."""
    stars, pairs = _n(_sum(done, "stars"), "star"), _n(_sum(done, "pairs"), "galaxy")
    return f"{stars} and {pairs} of other fields, for the checks alone"


def quality(done: Done) -> str:
    """Tell how many images pass, what speaks against those that fail, and what speaks against the survey."""
    counts = done.counts
    said = f"{_n(counts['total'], 'image')}: {counts['pass']} pass, {counts['warn']} warn, {counts['fail']} fail"
    why = ", ".join(f"{count} {_plain(name)}" for name, count in counts.items() if name.startswith("fail:"))
    survey = ", ".join(_plain(name) for name in counts if name.startswith("survey:"))
    said += (f" ({why})" if why else "") + (f"; of the survey: {survey}" if survey else "")
    unknown = counts.get("controls:unknown", 0)
    return said + (f"; {unknown} of {_n(counts['controls'], 'control')} could not be looked at" if unknown else "")


def training(done: Sequence[Done]) -> str:
    """Tell how many single-band files."""
    return f"{_sum(done, 'written')} single-band FITS in {_n(len(done), 'chunk')}{_others(done)}"


def publish(done: Done) -> str:
    """Tell what was handed over."""
    counts = done.counts
    left_out = f" ({counts['left_out']} left out by quality)" if counts.get("left_out") else ""
    files = _n(counts["manifests"], "manifest")
    new = f", {counts['new']} of them new since the last upload" if "new" in counts else ""
    return f"{_n(counts['subjects'], 'subject')}{left_out} in {files}{new}, Zoobot catalog, report"


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
    return f"{_n(why.total(), 'target')} of the table without a cutout: {counts} (each is named in run.json)"


def _sums(sums: dict[str, dict[str, int]]) -> Iterator[str]:
    if sums:
        yield from ("| what | total | of which |", "|---|---:|---|")
    for name, parts in sums.items():
        others = ", ".join(f"{count} {part}" for part, count in parts.items() if part != "total")
        yield f"| {name} | {parts['total']} | {others} |"
    yield ""


def _missing(missing: list[dict[str, Any]]) -> Iterator[str]:
    for one in missing[:_MOST_MISSING]:
        why = " as expected" if one["expected"] else ", for the checks alone" if one.get("aside") else ""
        yield f"- missing{why}: `{one['what']}` ({one['reason']})"
    if len(missing) > _MOST_MISSING:
        yield f"- and {len(missing) - _MOST_MISSING} more, all in run.json"
    yield ""


def _without_secrets(url: str) -> str:
    """Leave out a user, password or signature that an address may carry: everybody sees the UI."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _n(count: int, what: str) -> str:
    """Count things: `1 field`, `2 galaxies`, `3 matches`."""
    if count == 1:
        return f"1 {what}"
    return f"{count} {f'{what[:-1]}ies' if what.endswith('y') else f'{what}es' if what.endswith('ch') else f'{what}s'}"


def _plain(name: str) -> str:
    """Write a code without what it is of: `fail:sky_chroma:above` is `sky colour above`."""
    return reason_words(name.partition(":")[2])


def _sum(done: Sequence[Done], name: str) -> int:
    return sum(one.counts.get(name, 0) for one in done)


def _others(done: Sequence[Done]) -> str:
    counts: Counter[str] = Counter()
    for one in done:
        counts.update({k: v for k, v in one.counts.items() if ":" in k})
    return "".join(f", {count} {name.replace(':', ' (')})" for name, count in sorted(counts.items()))
