"""The field of view out of simulated votes: found where it is, refused where the votes do not tell."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.cli import main
from gzjwst_core.cutouts.fov import quantise, views_of
from gzjwst_core.errors import SubjectsError
from gzjwst_core.options import CutoutOptions
from gzjwst_core.storage.folder import Folder
from gzjwst_core.survey.refit_command import FLOOR_CARD, SIZE_CARD, bounded_lines
from gzjwst_core.zooniverse.refit import Votes, refit
from gzjwst_core.zooniverse.refit_rule import RULE_CARD, of_one_rule
from gzjwst_core.zooniverse.votes import Subject, read_votes

BEST = 1.75


def simulate(seed: int, *, count: int = 800, best: float = BEST, bend: float = 6.0, **rule: float) -> Votes:
    """Galaxies in frames of our rule; small ones get more bad-zoom votes in any frame, each has a whim of its own."""
    options = CutoutOptions(**rule)  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(np.log(1.8), 0.5, count))
    wanted = np.clip(options.fov_factor * size, options.fov_min_arcsec, options.fov_max_arcsec)
    fov = quantise(wanted, options)
    whim = rng.normal(0, 0.3, count) - 0.5 * np.log(size)
    share = 1 / (1 + np.exp(3.0 - bend * np.log(fov / size / best) ** 2 - whim))
    return Votes(fov, size, np.zeros(count), np.full(count, 40.0), rng.binomial(40, share).astype(np.float64))


@pytest.mark.parametrize("seed", range(3))
def test_the_best_frame_is_within_its_interval(seed: int) -> None:
    found = refit(simulate(seed), CutoutOptions())
    low, high = found.ratio_range
    assert low < BEST < high
    assert high / low < 1.5
    assert low < found.ratio < high
    assert found.with_size
    assert found.share_best <= found.share_present + 1e-4
    assert found.share_present == pytest.approx(found.share_seen, rel=0.02)
    assert len(found.by_size) == 3


def test_rounding_up_to_steps_is_taken_off_the_constant() -> None:
    votes = simulate(1)
    rounded, plain = refit(votes, CutoutOptions()), refit(votes, CutoutOptions(fov_steps=0))
    assert rounded.ratio == plain.ratio == plain.factor
    assert 1.05 < rounded.ratio / rounded.factor < 1.3
    wanted = rounded.factor * votes.size_arcsec
    free = (wanted > 2.0) & (wanted < 12.0)
    frames = quantise(wanted[free], CutoutOptions())
    assert np.exp(np.mean(np.log(frames / votes.size_arcsec[free]))) == pytest.approx(rounded.ratio, rel=0.02)


def test_the_same_votes_give_the_same_constant() -> None:
    assert refit(simulate(2), CutoutOptions()) == refit(simulate(2), CutoutOptions())


def galaxies(count: int = 3000) -> dict[str, Any]:
    """Segments of a deep survey: the whole is up to some times what is above the isophote."""
    rng = np.random.default_rng(4)
    core = np.exp(rng.normal(np.log(1.6), 0.45, count))
    segment = core * np.exp(rng.uniform(0, 0.3, count))
    reach = segment * rng.uniform(0.35, 0.5, count)
    return {
        "isophote_diagonal": core,
        "bbox_diagonal": segment,
        "ellipticity": np.full(count, 0.3),
        "segment_reach": reach,
    }


def share_in(fov: Any, size: Any, best: float) -> Any:
    """Share of bad-zoom votes in frames, by whoever wants `best` times the size."""
    return 1 / (1 + np.exp(2.2 - 12 * np.log(fov / size / best) ** 2))


def test_frames_that_the_floor_decides_are_expected_as_they_are_cut() -> None:
    """The constant that is found, really cut, lowers the share, and to what is said."""
    catalog, options = galaxies(), CutoutOptions(fov_factor=1.2)
    seen = views_of(catalog, options)
    people = np.full(len(seen.fov_arcsec), 40.0)
    bad = np.random.default_rng(6).binomial(40, share_in(seen.fov_arcsec, seen.size_arcsec, 1.7)).astype(np.float64)
    found = refit(Votes(seen.fov_arcsec, seen.size_arcsec, seen.floor_arcsec, people, bad), options)
    after = views_of(catalog, CutoutOptions(fov_factor=found.factor))
    shares = [share_in(cut.fov_arcsec, cut.size_arcsec, 1.7).mean() for cut in (seen, after)]
    assert found.ratio == pytest.approx(1.7, rel=0.03)
    assert [found.share_present, found.share_best] == pytest.approx(shares, abs=0.001)
    assert shares[1] < shares[0] - 0.003
    bare = [quantise(np.clip(f * seen.size_arcsec, 1.9, 12), options) for f in (1.2, found.factor)]
    floored = [np.mean(bare[0] != seen.fov_arcsec), np.mean(bare[1] != after.fov_arcsec)]
    assert [found.floored_present, found.floored_best] == floored
    assert floored[0] > floored[1] > 0


@pytest.mark.parametrize(
    ("votes", "reason", "said"),
    [
        (simulate(0, best=3.5, fov_factor=0.9, fov_min_arcsec=0.1), "outside_range", "show some wider ones"),
        (simulate(0, best=0.9, fov_factor=2.5, fov_max_arcsec=90.0), "outside_range", "show some tighter ones"),
        (simulate(0, bend=-6.0), "no_optimum", "no lowest place"),
        (simulate(0, count=40), "too_few_votes", "40 subjects"),
        (simulate(0)._replace(bad_zoom=np.zeros(800)), "too_few_votes", "0 bad-zoom votes"),
    ],
    ids=["tight only", "wide only", "worst in the middle", "few subjects", "nobody complains"],
)
def test_votes_that_do_not_tell_are_refused(votes: Votes, reason: str, said: str) -> None:
    with pytest.raises(SubjectsError, match=said) as caught:
        refit(votes, CutoutOptions())
    assert caught.value.reason == reason


def of_size_alone(seed: int) -> Votes:
    """Galaxies of a middle size get the fewest, in any frame; and small and large ones are at the rule's limits."""
    rng, rule = np.random.default_rng(seed), CutoutOptions()
    size = np.exp(rng.normal(np.log(3.0), 0.7, 800))
    fov = quantise(np.clip(rule.fov_factor * size, rule.fov_min_arcsec, rule.fov_max_arcsec), rule)
    share = 1 / (1 + np.exp(2.5 - 2.0 * np.log(size / 1.8) ** 2 + 0.5 * np.log(size)))
    bad = rng.binomial(40, share).astype(np.float64)
    return simulate(seed)._replace(fov_arcsec=fov, size_arcsec=size, bad_zoom=bad)


def test_frames_that_do_not_matter_are_refused() -> None:
    for seed in range(2):
        for votes in (simulate(seed, bend=0.0), of_size_alone(seed)):
            with pytest.raises(SubjectsError, match="no best field of view"):
                refit(votes, CutoutOptions())


# ---------------------------------------------------------------- reading

COLUMNS = [
    "classification_id",
    "user_name",
    "user_id",
    "user_ip",
    "workflow_id",
    "workflow_name",
    "workflow_version",
    "created_at",
    "gold_standard",
    "expert",
    "metadata",
    "annotations",
    "subject_data",
    "subject_ids",
]


def classification(number: int, subject: str, value: Any, who: str = "", **more: Any) -> list[str]:
    known = {"retired": None, "id_str": f"demo_J{int(subject):06d}.00+020000.0", "#field": "f0", "#fov_arcsec": "3.220"}
    notes = value if isinstance(value, list) else [{"task": "T0", "task_label": "What is it?", "value": value}]
    told = {"user_name": who or f"user-{number}", "metadata": "{}", "subject_ids": subject}
    told |= {"workflow_id": str(more.pop("workflow", 5))}
    told |= {"classification_id": str(number), "annotations": json.dumps(notes)}
    told |= {"subject_data": json.dumps({subject: known | more})}
    return [told.get(name, "") for name in COLUMNS]


def lines(rows: list[list[str]]) -> list[str]:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    return text.getvalue().splitlines(keepends=True)


def votes_of(*values: Any, **options: Any) -> int:
    rows = [classification(n, "1", value) for n, value in enumerate(values)]
    return read_votes(lines(rows), "e.csv", **options).subjects["1"].bad_zoom


@pytest.mark.parametrize(
    "value",
    ["Bad zoom", "bad-zoom", "BAD_ZOOM", " Zoom ", "![pic](https://x/zoom.png) Bad image zoom", "**Wrong Zoom**",
     ["Artifact", "Bad zoom"], [{"task": "T0", "value": [{"task": "T3", "task_label": "?", "value": "Bad zoom"}]}],
     [{"task": "T0", "value": "Star"}, {"task": "T3", "value": "bad zoom"}],
     [{"task": "T4", "value": [{"select_label": "Problem", "option": True, "label": "Bad Zoom", "value": "a1b2"}]}]],
)  # fmt: skip
def test_bad_zoom_in_any_form(value: Any) -> None:
    assert votes_of(value) == 1


@pytest.mark.parametrize("value", ["Star, artifact or bad zoom", "star-artifact-zoom", "Smooth", "", None, 3, True, {}])
def test_the_question_before_it_is_no_vote(value: Any) -> None:
    assert votes_of(value) == 0


def test_answers_and_questions_can_be_named() -> None:
    nested = [{"task": "T0", "value": [{"task": "T3", "value": "Zoom"}]}, {"task": "T7", "value": "Blurred"}]
    assert votes_of(nested, tasks=["T3"]) == votes_of(nested, tasks=["T0"]) == 1
    assert votes_of(nested, tasks=["T7"]) == 0
    assert votes_of(nested, answer="blurred", tasks=["T7"]) == votes_of("2", 2, answer="2") - 1 == 1
    with pytest.raises(SubjectsError, match="--answer"):
        votes_of("x", answer="(")


def test_a_person_has_one_vote_a_subject() -> None:
    rows = [classification(1, "1", "Smooth", "ann"), classification(2, "1", "Zoom", "ann"),
            classification(3, "2", "Zoom", "ann"), classification(4, "1", "Zoom", "bob")]  # fmt: skip
    reading = read_votes(lines(rows), "e.csv")
    assert {n: (one.classifications, one.bad_zoom) for n, one in reading.subjects.items()} == {"1": (2, 1), "2": (1, 1)}
    assert (reading.rows, reading.repeated) == (4, 1)
    assert read_votes(lines(rows), "e.csv", workflow="6").other_workflows == 4


def test_rows_that_cannot_be_read_are_named_and_cost_themselves_alone() -> None:
    whole = lines([classification(n, "1", "Zoom") for n in range(8)])
    whole[2] = whole[2].replace('""value""', '"value')
    whole[4] = whole[4].rstrip("\n").rpartition(",")[0] + "\n"
    whole[6] = '8,x,,,5,,,,,,{},"[]","{}",1;2\n'
    reading = read_votes(whole, "e.csv")
    assert reading.subjects["1"].classifications == 5
    assert reading.unreadable.total() == 3
    assert [re.match(r"line \d+", named).group() for named in reading.named] == ["line 3", "line 5", "line 7"]  # type: ignore[union-attr]
    assert reading.named[2] == "line 7: not one subject"


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_mangled_rows_never_crash_and_every_row_is_accounted_for(data: st.DataObject) -> None:
    whole = lines([classification(n, str(n % 3), [{"task": "T0", "value": ["Zoom"]}], f"u{n % 5}") for n in range(6)])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(1, len(whole) - 1))
        place = data.draw(st.integers(0, len(whole[at])))
        cut = data.draw(st.integers(0, 40))
        whole[at] = whole[at][:place] + data.draw(st.text(max_size=6)) + whole[at][place + cut :]
    reading = read_votes(whole, "e.csv", tasks=data.draw(st.sampled_from([(), ("T0",)])))
    told = sum(one.classifications for one in reading.subjects.values()) + reading.repeated
    assert told + reading.unreadable.total() == reading.rows


@pytest.mark.parametrize("deep", ['"' + "[" * 100_000 + '"', '"[' + '{""task"":[],""value"":[[' * 3 + '"'])
def test_deep_json_is_a_row_that_cannot_be_read(deep: str) -> None:
    reading = read_votes([*lines([]), f'1,x,,,5,,,,,,{{}},{deep},"{{}}",1\n'], "e.csv")
    assert reading.unreadable.total() == 1


def test_a_task_that_is_no_name_is_passed_over() -> None:
    assert votes_of([{"task": [], "value": "Zoom"}, {"task": {}, "value": "Zoom"}], tasks=["T0"]) == 0


def test_a_line_without_end_fills_no_memory() -> None:
    file = io.StringIO("a\n" + "x" * (3 << 20) + "\nb\n")
    assert [len(line) for line in bounded_lines(file)] == [2, 1 << 20, 2]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\0", '"' + "x" * 200_000])
def test_what_is_no_export_is_refused(text: str) -> None:
    with pytest.raises(SubjectsError, match=r"e\.csv: no column classification_id"):
        read_votes(text.splitlines(keepends=True), "e.csv")


# ---------------------------------------------------------------- the verb


def export(path: Path, votes: Votes, first: Any = 1, **more: Any) -> None:
    rows, number = [], 0
    for subject, (fov, size, floor, seen, bad) in enumerate(zip(*votes, strict=True), start=first):
        known = {"#fov_arcsec": f"{fov:.3f}", "#size_arcsec": f"{size:.3f}"} | more
        known |= {"#floor_arcsec": f"{floor:.3f}"} if floor else {}
        for vote in range(int(seen)):
            number += 1
            rows.append(classification(number, str(subject), "Bad zoom" if vote < bad else "Smooth", **known))
    path.write_text("".join(lines(rows)))


def few(seed: int = 3) -> Votes:
    """Fewer subjects with more complaints: a small file that tells enough."""
    votes = simulate(seed, count=150)
    return votes._replace(classifications=np.full(150, 20.0), bad_zoom=np.minimum(votes.bad_zoom, 20.0))


def test_the_verb_prints_a_line_for_the_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    votes = few()
    export(tmp_path / "e.csv", votes)
    with (tmp_path / "e.csv").open("a") as file:
        file.write("broken\n")
    assert main(["zooniverse", "refit", str(tmp_path / "e.csv")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith(f"3000 classifications of 150 subjects, {votes.bad_zoom.sum():.0f} bad-zoom votes")
    assert said[1] == "1 rows cannot be read: another number of cells than the header"
    assert said[2] == "  line 3002: another number of cells than the header"
    assert said[3] == "150 subjects without #floor_arcsec: their frames are taken to follow the constant alone"
    found = refit(Votes(votes.fov_arcsec.round(3), votes.size_arcsec.round(3), *votes[2:]), CutoutOptions())
    assert said[-1].startswith(f"cutouts.fov_factor = {found.factor:.2f}  # 95 %: ")


def test_sizes_come_from_cutouts_where_votes_have_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    votes = few()
    export(tmp_path / "e.csv", votes, **{"#size_arcsec": "none"})
    assert main(["zooniverse", "refit", str(tmp_path / "e.csv")]) == 1
    assert "name the run folder with --run" in capsys.readouterr().err
    cutouts = tmp_path / "demo" / "cutouts" / "f0"
    cutouts.mkdir(parents=True)
    for subject, size in enumerate(votes.size_arcsec[:-2], start=1):
        header = fits.Header([(SIZE_CARD, float(size)), *([(FLOOR_CARD, 1.8 * size)] if subject > 5 else [])])
        (cutouts / f"demo_J{subject:06d}.00p020000.0.fits").write_bytes(header.tostring().encode())
    (cutouts / "demo_J000150.00p020000.0.fits").write_bytes(b"")
    (tmp_path / "demo" / "profile.toml").write_text('[cutouts]\nfov_factor = 1.2\nplanes = ["ERR"]\nolder = 1\n')
    assert main(["zooniverse", "refit", str(tmp_path / "e.csv"), "--run", str(tmp_path / "demo")]) == 0
    said = capsys.readouterr().out
    assert "2 subjects left out: no #fov_arcsec and #size_arcsec" in said
    assert "\n5 subjects without #floor_arcsec: " in said
    assert "expected at 1.2," in said
    assert re.search(r"the whole galaxy decides \d\d% of the frames at 1.2, \d\d% at 1", said)
    profile = tmp_path / "demo" / "profile.toml"
    profile.write_text('[cutouts]\nfov_rule = "bbox"\n')
    assert main(["zooniverse", "refit", str(tmp_path / "e.csv"), "--run", str(tmp_path / "demo")]) == 0
    assert "floor_arcsec" not in (said := capsys.readouterr().out)
    assert "the whole galaxy" not in said


def test_where_no_answer_matches_the_answers_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(tmp_path / "e.csv", few())
    assert main(["zooniverse", "refit", str(tmp_path / "e.csv"), "--answer", "dim"]) == 1
    told = capsys.readouterr()
    assert "no answer is a bad-zoom vote (--answer, --question); there are: 'smooth', 'bad zoom'" in told.out
    assert told.err.startswith("too few votes")
    assert main(["zooniverse", "refit", str(tmp_path / "none.csv")]) == 1


def test_several_workflows_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever had judged a subject in one of them would have no vote in the other."""
    votes = few()
    export(tmp_path / "e.csv", votes)
    with (tmp_path / "e.csv").open("a") as file:
        file.writelines(lines([classification(n, "1", "Clumpy", f"user-{n}", workflow=4) for n in range(30)])[1:])
    assert main(["zooniverse", "refit", str(tmp_path / "e.csv")]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "name one with --workflow: 5 (3000 classifications), 4 (30 classifications)" in told.err
    assert main(["zooniverse", "refit", str(tmp_path / "e.csv"), "--workflow", "5"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith(f"3000 classifications of 150 subjects, {votes.bad_zoom.sum():.0f} bad-zoom votes")
    assert said[1] == "30 of other workflows: not counted"
    assert any("makes frames of" in line and "rounded up to the next step" in line for line in said)
    assert main(["zooniverse", "refit", str(tmp_path / "e.csv"), "--workflow", "7"]) == 1
    assert "none of its 3030 classifications is of workflow 7" in capsys.readouterr().err


def test_answers_that_match_by_half_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text of an answer was changed between two versions of the workflow."""
    said = [
        "Bad zoom",
        "Bad zoom (too close)",
        ["Star, artifact or zoom", "Bad zoom"],
        "Smooth",
        "Incorrect zoom level",
    ]
    rows = [classification(n, f"{n}", value) for n, value in enumerate(said * 2)]
    assert read_votes(lines(rows), "e.csv").near_misses == {"bad zoom too close": 2, "incorrect zoom level": 2}
    (tmp_path / "e.csv").write_text("".join(lines(rows)))
    assert main(["zooniverse", "refit", str(tmp_path / "e.csv")]) == 1
    told = "though zoom is in them (--answer): 'bad zoom too close' (2), 'incorrect zoom level' (2)"
    assert told in capsys.readouterr().out


def test_sizes_of_two_rules_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`#size_arcsec` is what the rule measured: half as much again under another one, of the same galaxies."""
    ours, theirs, before = (str(tmp_path / f"{name}.csv") for name in ("ours", "theirs", "before"))
    export(Path(ours), votes := few(), **{"#fov_rule": "isophote"})
    wider = votes._replace(size_arcsec=1.5 * votes.size_arcsec)
    export(Path(theirs), wider.take(np.arange(150) < 60), first=900, **{"#fov_rule": "bbox"})
    export(Path(before), wider.take(np.arange(150) < 9), first=990)
    assert main(["zooniverse", "refit", ours]) == 0
    alone = capsys.readouterr().out.splitlines()[-1]
    with Path(ours).open("a") as file:
        file.writelines(line for name in (theirs, before) for line in Path(name).read_text().splitlines(True)[1:])
    assert main(["zooniverse", "refit", ours]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == alone
    assert "69 subjects left out: not of the rule isophote (--rule): bbox (60), not told (9)" in said
    assert main(["zooniverse", "refit", ours, "--rule", "bbox"]) == 1
    told = capsys.readouterr().out
    assert "159 subjects left out: not of the rule bbox (--rule): isophote (150), not told (9)\n" in told
    assert "these are votes on the rule bbox: the constant found is none of the present rule, isophote\n" in told
    assert main(["zooniverse", "refit", ours, "--rule", "kron"]) == 1
    assert (
        "--rule kron: no frame follows it; there are: isophote (150), bbox (60), not told (9)"
        in capsys.readouterr().err
    )


def test_rules_come_from_cutouts_where_votes_have_none(tmp_path: Path) -> None:
    subjects = [Subject(str(n), {"id_str": f"demo_J{n:06d}.00+020000.0", "#field": "f0"}) for n in range(4)]
    subjects[3].metadata = {"#fov_rule": "kron"}
    (tmp_path / "cutouts" / "f0").mkdir(parents=True)
    for n, rule in enumerate(["isophote", "stated"]):
        path = tmp_path / "cutouts" / "f0" / f"demo_J{n:06d}.00p020000.0.fits"
        path.write_bytes(fits.Header([(RULE_CARD, rule)]).tostring().encode())
    kept, said = of_one_rule(subjects, Folder(str(tmp_path)), "", "isophote")
    assert [one.subject_id for one in kept] == ["0", "1"]
    assert said == ["2 subjects left out: not of the rule isophote (--rule): not told (1), kron (1)"]
    kept, said = of_one_rule(subjects, None, "", "isophote")
    assert [one.subject_id for one in kept] == ["0", "1", "2"]
