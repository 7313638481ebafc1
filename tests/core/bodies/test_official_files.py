# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are known by what is in them; wrong ones are named; what was read is kept as .npz, whole or not at all."""

from __future__ import annotations

import io
import lzma
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dice_core import convert as converting
from dice_core.body.kinds import missing
from dice_core.body.official import KINDS, Unrecognised, load, read
from dice_core.convert import convert, render
from dice_core.errors import DiceError, NotInstalled
from tests.core.bodies import official_files as made

OFFICIAL = {
    "MANO_RIGHT.pkl": "mano_right",
    "generic_model.pkl": "flame",
    "landmark_embedding.npy": "landmark_embedding",
    "head_mesh_transforms.pt": "head_mesh_transforms",
    "hand_mesh_transforms.pt": "hand_mesh_transforms",
    "head_ref_vs.pt": "head_ref_vs",
    "rh_ref_vs.pt": "rh_ref_vs",
    "stiffness_final.npy": "stiffness_final",
    "neck_idx.npy": "neck_idx",
}


@pytest.mark.parametrize(("file", "key"), OFFICIAL.items())
def test_a_file_is_known_by_its_content(made_up: Path, tmp_path: Path, file: str, key: str):
    renamed = tmp_path / "download (3).bin"
    shutil.copy(made_up / file, renamed)
    assert read(renamed).key == key and KINDS[key].file == file


def test_every_kind_says_where_it_comes_from():
    for kind in KINDS.values():
        assert kind.source.page.startswith("https://") and kind.source.licence and kind.where and kind.title


def test_what_is_read_is_what_was_written(made_up: Path, mano_data: dict, flame_data: dict):
    hand, head = read(made_up / "MANO_RIGHT.pkl").arrays, read(made_up / "generic_model.pkl").arrays
    for found, data, used in ((hand, mano_data, range(10)), (head, flame_data, [*range(100), *range(300, 350)])):
        assert np.array_equal(found["template"], data["v_template"])
        assert np.array_equal(found["shapedirs"].transpose(1, 2, 0), data["shapedirs"][:, :, used])
        assert np.array_equal(found["posedirs"].transpose(1, 2, 0), data["posedirs"])
        assert np.array_equal(found["joint_regressor"], data["J_regressor"])
        assert np.array_equal(found["weights"], data["weights"]) and np.array_equal(found["faces"], data["f"])
        assert found["parents"].tolist() == made.PARENTS[len(found["parents"])]
    embedding, expected = read(made_up / "landmark_embedding.npy").arrays, made.embedding()
    assert np.array_equal(embedding["faces"], expected["full_lmk_faces_idx"][0])
    assert np.array_equal(embedding["weights"], expected["full_lmk_bary_coords"][0])


@pytest.mark.parametrize(
    "options", [{"all_chumpy": True}, {"protocol": 2, "python2": False}, {"protocol": 4, "python2": False}]
)
def test_other_ways_of_writing_the_same(flame_data: dict, made_up: Path, tmp_path: Path, options: dict):
    path = tmp_path / "x.pkl"
    path.write_bytes(made.flame_pickle(flame_data, **options))
    expected = read(made_up / "generic_model.pkl").arrays
    for name, value in read(path).arrays.items():
        assert np.array_equal(value, expected[name]), name


def written(folder: Path, data: bytes, name: str = "file.pkl") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refusal(path: Path) -> DiceError:
    with pytest.raises(DiceError) as raised:
        read(path)
    error = raised.value
    assert path.name in error.message and error.remedy and str(path.parent) not in error.message
    return error


def test_the_left_hand(mano_data: dict, tmp_path: Path):
    mirror = np.array([-1.0, 1, 1])
    left = mano_data | {"v_template": mano_data["v_template"] * mirror, "f": mano_data["f"][:, ::-1].copy()}
    error = refusal(written(tmp_path, made.mano_pickle(left), "MANO_RIGHT.pkl"))
    assert "is the left hand of MANO" in error.message and "MANO_RIGHT.pkl" in error.remedy


def test_a_right_hand_stays_right_however_it_lies(mano_data: dict, tmp_path: Path):
    from scipy.spatial.transform import Rotation

    for turn in Rotation.random(5, random_state=0):
        turned = mano_data | {"v_template": turn.apply(mano_data["v_template"]) + 0.3}
        assert read(written(tmp_path, made.mano_pickle(turned))).key == "mano_right"
        mirrored = mano_data | {"v_template": turn.apply(mano_data["v_template"] * [1, -1, 1])}
        assert "left hand" in refusal(written(tmp_path, made.mano_pickle(mirrored))).message


@pytest.mark.parametrize(
    ("vertices", "what"),
    [(10475, "an SMPL-X body"), (6890, "an SMPL or SMPL-H body"), (1000, "a body with 1000 vertices")],
)
def test_other_bodies(tmp_path: Path, vertices: int, what: str):
    body = {"v_template": np.zeros((vertices, 3)), "shapedirs": made.Ch(np.zeros((4, 3, 10)))}
    assert what in refusal(written(tmp_path, made.dump(body), "generic_model.pkl")).message
    packed = io.BytesIO()
    np.savez_compressed(packed, v_template=body["v_template"], f=np.zeros((3, 3)))
    error = refusal(written(tmp_path, packed.getvalue(), "SMPLX_NEUTRAL.npz"))
    assert what in error.message and ".pkl" in error.remedy


@pytest.mark.parametrize("components", [10, 150, 300, 436])
def test_a_flame_with_other_components(flame_data: dict, tmp_path: Path, components: int):
    data = flame_data | {"shapedirs": np.zeros((5023, 3, components))}
    error = refusal(written(tmp_path, made.flame_pickle(data)))
    assert f"a FLAME head with {components} components" in error.message and "generic_model.pkl" in error.remedy


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("flame2023.pkl", "FLAME 2023"),
        ("FLAME2023_no_jaw.pkl", "FLAME 2023"),
        ("female_model.pkl", "female"),
        ("male_model.pkl", "'s male"),
    ],
)
def test_another_flame_by_name(made_up: Path, tmp_path: Path, name: str, what: str):
    """All have the same shapes; the name is the only thing that tells."""
    path = tmp_path / name
    shutil.copy(made_up / "generic_model.pkl", path)
    assert what in refusal(path).message


def test_missing_parts_are_all_named(mano_data: dict, tmp_path: Path):
    parts = {key: value for key, value in mano_data.items() if key not in ("weights", "J_regressor", "posedirs")}
    message = refusal(written(tmp_path, made.dump(parts))).message
    assert "posedirs, J_regressor, weights" in message


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"posedirs": np.zeros((778, 3, 36))}, "posedirs has the shape (778, 3, 36), not (778, 3, 135)"),
        ({"weights": np.zeros((778, 52))}, "weights has the shape"),
        ({"v_template": np.full((778, 3), np.nan)}, "not finite"),
        ({"f": np.full((1538, 3), 778, np.uint32)}, "faces or joints"),
        ({"kintree_table": np.full((2, 16), 3)}, "faces or joints"),
    ],
)
def test_a_damaged_model(mano_data: dict, tmp_path: Path, change: dict, what: str):
    assert what in refusal(written(tmp_path, made.dump(mano_data | change))).message


@pytest.mark.parametrize(
    "page",
    [b"<!DOCTYPE html>\n<html>", b"\n  <html lang='en'>", b"\xef\xbb\xbf<!doctype HTML>", b"<?xml version='1.0'?>"],
)
def test_a_web_page(tmp_path: Path, page: bytes):
    error = refusal(written(tmp_path, page + b"<body>Please log in</body>", "model.bin"))
    assert "is a web page" in error.message and "Log in" in error.remedy


@pytest.mark.parametrize("file", list(OFFICIAL))
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_a_download_cut_short(made_up: Path, tmp_path: Path, file: str, share: float):
    data = (made_up / file).read_bytes()
    error = refusal(written(tmp_path, data[: int(share * len(data))], file))
    assert "is incomplete" in error.message and "again" in error.remedy


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"\x89PNG\r\n\x1a\n....", "picture"),
        (b"\x1f\x8b\x08....", "compressed"),
        (b"hello there, this is some text", "none of the files"),
        (b"\x80\x02K\x01.", "none of the files"),
        (b"\x80\x02}.", "none of the files"),
        (made.dump({"face": np.arange(3), "neck": np.arange(4)}), "none of the files"),
    ],
)
def test_other_things(tmp_path: Path, data: bytes, what: str):
    assert what in refusal(written(tmp_path, data)).message


def test_other_arrays(made_up: Path, tmp_path: Path):
    arrays = (np.zeros((5023, 2)), np.zeros((1, 2, 5023, 3)), np.array([5, 5]), np.array([-1, 2]), np.array(["a"]))
    for values in arrays:
        buffer = io.BytesIO()
        np.save(buffer, values)
        assert isinstance(refusal(written(tmp_path, buffer.getvalue(), "a.npy")), Unrecognised)
    buffer = io.BytesIO()
    np.save(buffer, np.linspace(0, 7, 5023))
    assert "not from 0 to 1" in refusal(written(tmp_path, buffer.getvalue(), "a.npy")).message
    landmarks = {"lmk_face_idx": np.arange(51), "lmk_b_coords": np.zeros((51, 3))}
    assert "not all 68" in refusal(written(tmp_path, made.dump(landmarks))).message
    fewer = made.embedding() | {"full_lmk_faces_idx": np.arange(51)}
    assert "51 landmarks" in refusal(written(tmp_path, made.npy_object(fewer))).message
    unsound = made.embedding() | {"full_lmk_bary_coords": np.ones((1, 68, 3))}
    assert "lie on no head" in refusal(written(tmp_path, made.npy_object(unsound))).message
    body = made.torch_zip(made.transforms(6890, 1723, 431))
    assert "6890 to 1723, 1723 to 431" in refusal(written(tmp_path, body, "mesh_transforms.pt")).message


def test_archives(made_up: Path, tmp_path: Path):
    path = tmp_path / "mano_v1_2.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mano_v1_2/models/MANO_RIGHT.pkl", b"x")
    error = refusal(path)
    assert "archive with MANO_RIGHT.pkl in it" in error.message and "Unpack" in error.remedy
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", b"x")
    assert isinstance(refusal(path), Unrecognised)


def test_the_network_is_told_apart(tmp_path: Path):
    for mark in (b"cmetro.modeling.bert.modeling_metro\nMETRO\n", b"X\x10\x00\x00\x00trans_encoder.0.x"):
        assert read(written(tmp_path, b"\x80\x02" + mark, "pytorch_model.bin")).key == "network"


def test_a_file_that_asks_for_more(tmp_path: Path):
    error = refusal(written(tmp_path, b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.", "MANO_RIGHT.pkl"))
    assert "os.system" in error.message and "Nothing in it was run" in error.message
    old = refusal(written(tmp_path, b"cos\nsystem\n(S'ls'\ntR.", "old.pkl"))
    assert "os.system" in old.message, "protocol 0 too"


def test_no_file(tmp_path: Path):
    for path, words in ((tmp_path / "nothing.pkl", "There is no file"), (tmp_path, "is a folder")):
        with pytest.raises(DiceError, match=words):
            read(path)


def test_files_and_folders_in_any_order(made_up: Path, tmp_path: Path):
    models = tmp_path / "models"
    everything = sorted(made_up.iterdir())
    first = convert(everything[:3], models)
    assert len(first.converted) == 3 and not first.refused and len(first.missing) > 3
    assert set(first.missing) == set(missing(models))
    second = convert([*reversed(everything[5:]), everything[3], everything[4]], models)
    assert second.missing == ["network"] and not second.refused
    assert sorted(path.name for path in models.iterdir()) == sorted(f"{key}.npz" for key in OFFICIAL.values())
    again = convert([made_up], tmp_path / "other")
    assert set(again.converted) == set(OFFICIAL.values()) and again.missing == ["network"]


def test_the_progress_names_each_file_and_rises(made_up: Path, tmp_path: Path):
    told = []
    convert([made_up], tmp_path, report=lambda *news: told.append(news))
    names = [path.name for path in made_up.iterdir()]
    assert {stage for stage, _ in told} == {f"{verb} {name}" for verb in ("Reading", "Converting") for name in names}
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(set(fractions)) and 0 <= fractions[0] and fractions[-1] < 1


def test_what_was_converted_loads(made_up: Path, tmp_path: Path):
    convert([made_up], tmp_path)
    for file, key in OFFICIAL.items():
        expected = read(made_up / file).arrays
        found = load(tmp_path, key)
        assert set(found) == set(expected)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
    error = refusal(tmp_path / "flame.npz")
    assert "converted already" in error.message


@pytest.mark.parametrize("key", list(OFFICIAL.values()))
def test_a_damaged_conversion_says_so(made_up: Path, tmp_path: Path, key: str):
    """An array gone, of another shape, of objects; the file cut, overwritten, or of another kind."""
    convert([made_up], tmp_path)
    path, good = tmp_path / f"{key}.npz", load(tmp_path, key)
    content, name = path.read_bytes(), next(iter(good))
    kind = {"kind": np.array(key)}
    for arrays in ({k: v for k, v in good.items() if k != name} | kind, good | {name: np.zeros((2, 2, 2))} | kind,
                   good | {name: np.array([None])} | kind, good, good | {"kind": np.array("other")}):  # fmt: skip
        np.savez(path, **arrays)
        with pytest.raises(NotInstalled):
            load(tmp_path, key)
    middle = len(content) // 2
    for data in (b"", content[:middle], content[: middle - 8] + bytes(16) + content[middle + 8 :], b"PK\x03\x04"):
        path.write_bytes(data)
        with pytest.raises(NotInstalled, match="is damaged"):
            load(tmp_path, key)


def test_what_is_missing_is_named_with_its_source(made_up: Path, tmp_path: Path):
    report = convert([made_up / "rh_ref_vs.pt"], tmp_path)
    text = render(report)
    for key in report.missing:
        assert KINDS[key].file in text and KINDS[key].source.page in text and KINDS[key].source.licence in text
    assert "stiffness_final.npy" not in text, "not needed"
    assert "MANO_RIGHT.pkl, in mano_v1_2.zip" in text and "on the FLAME page" in text
    with pytest.raises(NotInstalled, match="the head of FLAME 2020") as raised:
        load(tmp_path, "flame")
    assert "flame.is.tue.mpg.de" in raised.value.remedy


def test_a_refused_file_stops_nothing_and_leaves_nothing(made_up: Path, tmp_path: Path):
    bad = written(tmp_path, b"<html>", "generic_model.pkl")
    models = tmp_path / "models"
    report = convert([bad, made_up / "MANO_RIGHT.pkl", tmp_path / "absent.pkl"], models)
    assert set(report.converted) == {"mano_right"} and [path.name for path, _ in report.refused] == [
        "generic_model.pkl",
        "absent.pkl",
    ]
    assert "is a web page" in render(report)
    assert [path.name for path in models.iterdir()] == ["mano_right.npz"]
    assert convert([bad], tmp_path / "untouched").missing and not (tmp_path / "untouched").exists()


def test_a_folder_is_searched_below_and_other_files_in_it_are_left_alone(made_up: Path, tmp_path: Path):
    deep = tmp_path / "mano_v1_2" / "models"
    deep.mkdir(parents=True)
    shutil.copy(made_up / "MANO_RIGHT.pkl", deep)
    written(deep, made.dump({"other": 1}), "other.pkl")
    written(deep, b"text", "LICENSE.txt")
    written(deep, b"<html>", "model.bin")
    report = convert([tmp_path], tmp_path / "out")
    assert report.converted == {"mano_right": deep / "MANO_RIGHT.pkl"}
    assert [path.name for path, _ in report.refused] == ["model.bin"], "it bears an official name, but is a web page"


def test_two_of_a_kind(made_up: Path, tmp_path: Path):
    """The one with the official name is taken, and the other is named."""
    for name in ("a_copy.pkl", "MANO_RIGHT.pkl", "my_copy.pkl"):
        shutil.copy(made_up / "MANO_RIGHT.pkl", tmp_path / name)
    report = convert([tmp_path], tmp_path / "out")
    assert report.converted["mano_right"].name == "MANO_RIGHT.pkl"
    assert [path.name for path, _ in report.refused] == ["a_copy.pkl", "my_copy.pkl"]


def test_a_broken_network_stops_nothing_and_leaves_nothing(made_up: Path, tmp_path: Path):
    network = written(tmp_path, b"\x80\x02cmetro.modeling.bert.modeling_metro\nMETRO\n", "model.bin")
    report = convert([network], tmp_path / "out")
    assert [path for path, _ in report.refused] == [network]
    assert not report.converted and "network" in report.missing and not (tmp_path / "out").exists()


def test_a_file_in_another_one_s_slot(made_up: Path, tmp_path: Path):
    """What the user takes it for is not what it is: nothing is written, and the right file is named."""
    flame, mano = made_up / "generic_model.pkl", made_up / "MANO_RIGHT.pkl"
    report = convert([mano], tmp_path / "out", {"mano_right": flame, "flame": mano})
    assert not report.converted and not (tmp_path / "out").exists(), "a slot is a claim about the file, wherever named"
    (path, error), (other, _) = report.refused
    assert path == flame and "is the head of FLAME 2020, not the right hand of MANO" in error.message
    assert other == mano and "MANO_RIGHT.pkl" in error.remedy and "flame" in report.missing
    report = convert([flame.parent], tmp_path / "out", {"mano_right": mano})
    assert report.converted["mano_right"] == mano and not report.refused, "it lies in the folder too"
    (tmp_path / "folder").mkdir()
    ((_, error),) = convert([], tmp_path / "x", {"mano_right": tmp_path / "folder"}).refused
    assert "is a folder" in error.message


def test_what_the_user_chose_comes_before_what_lies_in_a_folder(made_up: Path, tmp_path: Path):
    folder, mine = tmp_path / "folder", tmp_path / "mine.pkl"
    folder.mkdir()
    shutil.copy(made_up / "MANO_RIGHT.pkl", folder)
    shutil.copy(made_up / "MANO_RIGHT.pkl", mine)
    report = convert([folder, mine, folder / ".." / "mine.pkl"], tmp_path / "out")
    assert report.converted == {"mano_right": mine}
    assert [path for path, _ in report.refused] == [folder / "MANO_RIGHT.pkl"]
    report = convert([folder / "MANO_RIGHT.pkl"], tmp_path / "out", {"mano_right": mine})
    assert report.converted == {"mano_right": mine}, "what it is said to be counts more than its name"


def test_arrays_like_many_others_are_taken_by_name_or_by_choice(made_up: Path, tmp_path: Path):
    """Any few whole numbers could be the neck's vertices: those of another project must not take their place."""
    models, folder = tmp_path / "models", tmp_path / "project"
    folder.mkdir()
    convert([made_up / "neck_idx.npy"], models)
    before = (models / "neck_idx.npz").read_bytes()
    np.save(folder / "labels.npy", np.arange(7))
    np.save(folder / "points.npy", np.ones((5023, 3)))
    report = convert([folder], models)
    assert not report.converted and (models / "neck_idx.npz").read_bytes() == before
    assert "labels.npy could be the vertices that never deform" in render(report)
    assert convert([folder / "labels.npy"], models).converted == {"neck_idx": folder / "labels.npy"}
    shutil.copy(made_up / "neck_idx.npy", folder)
    assert convert([folder], models).converted == {"neck_idx": folder / "neck_idx.npy"}


def test_paths_that_cannot_be_looked_at(made_up: Path, tmp_path: Path):
    """Each is named, and the others are converted all the same."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "loop").symlink_to(tmp_path / "folder")
    (tmp_path / "folder" / "gone").symlink_to(tmp_path / "nowhere")
    broken = io.BytesIO()
    np.savez_compressed(broken, v_template=np.arange(31425.0).reshape(10475, 3))
    written(tmp_path / "folder", broken.getvalue()[:60] + b"\xff" * 40 + broken.getvalue()[100:], "broken.npz")
    odd = [tmp_path / "loop", tmp_path / ("a" * 300), tmp_path / "folder"]
    report = convert([*odd, made_up / "MANO_RIGHT.pkl"], tmp_path / "models", {"flame": tmp_path / "loop"})
    assert set(report.converted) == {"mano_right"}
    assert {path for path, _ in report.refused} == {*odd[:2], tmp_path / "folder" / "broken.npz"}


def test_our_own_files_in_a_folder_are_no_news(made_up: Path, tmp_path: Path):
    convert([made_up / "MANO_RIGHT.pkl"], tmp_path / "project" / "models")
    shutil.copy(made_up / "generic_model.pkl", tmp_path / "project")
    report = convert([tmp_path / "project"], tmp_path / "out")
    assert set(report.converted) == {"flame"} and not report.refused


def test_another_flame_by_its_folder(made_up: Path, tmp_path: Path):
    (tmp_path / "FLAME2019").mkdir()
    shutil.copy(made_up / "generic_model.pkl", tmp_path / "FLAME2019")
    assert "is FLAME 2019 by its name" in refusal(tmp_path / "FLAME2019" / "generic_model.pkl").message


def test_names_in_a_file_cannot_write_over_what_is_said(tmp_path: Path):
    forged = b"\x80\x02cos\nsystem\x1b[2K\rMANO_RIGHT.pkl is the right hand of MANO\n)R."
    report = convert([written(tmp_path, forged, "evil\x1b[2K.pkl")], tmp_path / "out")
    assert "\x1b" not in render(report) and "\r" not in render(report) and "\\x1b[2K" in render(report)


@pytest.mark.parametrize("name", ["generic_model.pkl", "anatomical_male_study_2023.pkl", "nemale_model.pkl"])
def test_a_flame_that_may_be_of_another_year_is_taken_with_a_word(made_up: Path, tmp_path: Path, name: str):
    shutil.copy(made_up / "generic_model.pkl", tmp_path / name)
    report = convert([tmp_path / name], tmp_path / "out")
    assert "flame" in report.converted and f"make sure that {name} is from FLAME 2020" in render(report)


def test_a_full_disk_leaves_what_was_there(made_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    convert([made_up / "MANO_RIGHT.pkl"], tmp_path)
    before = (tmp_path / "mano_right.npz").read_bytes()

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(converting.np, "savez", full)
    with pytest.raises(DiceError, match="No space left"):
        convert([made_up / "MANO_RIGHT.pkl"], tmp_path)
    assert (tmp_path / "mano_right.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["mano_right.npz"]


def test_a_folder_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(converting, "MOST_FILES", 3)
    for number in range(5):
        written(tmp_path, b"x", f"{number}.txt")
    with pytest.raises(DiceError, match="more than 3 files"):
        convert([tmp_path], tmp_path / "out")


def test_a_damaged_conversion(made_up: Path, tmp_path: Path):
    convert([made_up / "MANO_RIGHT.pkl"], tmp_path)
    path = tmp_path / "mano_right.npz"
    for data in (path.read_bytes()[:5000], b"", b"x" * 100):
        path.write_bytes(data)
        with pytest.raises(NotInstalled, match="damaged"):
            load(tmp_path, "mano_right")


def test_a_conversion_under_another_name(made_up: Path, tmp_path: Path):
    convert([made_up / "rh_ref_vs.pt"], tmp_path)
    (tmp_path / "rh_ref_vs.npz").rename(tmp_path / "head_ref_vs.npz")
    with pytest.raises(NotInstalled, match="is not the head's reference"):
        load(tmp_path, "head_ref_vs")


def test_golden_network_files(goldens: Path, tmp_path: Path):
    """The network's own file is known; files that run a command are refused and run nothing."""
    network = goldens.parent / "dice-network"
    for name in ("official_tiny_model", "official_tiny_model_apex"):
        data = lzma.decompress((network / f"{name}.bin.xz").read_bytes())
        assert read(written(tmp_path, data, "downloaded")).key == "network"
    for path in sorted(network.glob("evil_*.bin")):
        markers = [Path(found.decode()) for found in re.findall(rb"touch (/[\w./-]+)", path.read_bytes())]
        assert markers, "the test itself must be able to fail"
        with pytest.raises(DiceError, match="Nothing in it was run"):
            read(path)
        assert not [left for marker in markers for left in marker.parent.glob(f"{marker.name[:8]}*")]


def test_golden_files(golden_files: Path, tmp_path: Path):
    for path in sorted(golden_files.iterdir()):
        if path.is_file():
            assert read(path).key == OFFICIAL[path.name]
    variants = sorted((golden_files / "variants").iterdir())
    expected = {"MANO": "MANO_RIGHT.pkl", "gene": "generic_model.pkl"}
    assert variants
    for path in variants:
        original = read(golden_files / expected[path.name[:4]]).arrays
        for name, value in read(path).arrays.items():
            assert np.array_equal(value, original[name]), (path.name, name)
