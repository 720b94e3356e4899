"""What a clerk points at: a file, a folder, a bag; and what is said when it cannot be taken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import bagit
import pytest

from node.hands.ingest.carriers.carried import (
    METADATA_BYTES_MAX,
    CarriedFile,
    Package,
    parse_metadata,
)
from node.hands.ingest.carriers.reading import read_package
from node.hands.ingest.package import check_package
from protocol.errors import ConfigError, Rejected, Unavailable
from protocol.limits import FILES_PER_PACKAGE_MAX, GiB


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    return folder


def whole(file: CarriedFile, offset: int = 0) -> bytes:
    return b"".join(file.pieces(offset))


def told(package: Package) -> dict[str, str]:
    """The record that the package is reported with."""
    return {"title": package.title, **package.record}


def test_a_folder_with_metadata(tmp_path: Path) -> None:
    fill(tmp_path, "卷二/b.pdf", "卷一/a.pdf", "凡例.txt", "卷一/metadata.toml")
    (tmp_path / "metadata.toml").write_text(
        'title = "沭阳县志"\nkind = "新方志"\nrights = "open"\n', encoding="utf-8"
    )
    package = read_package(tmp_path)
    assert package.title == "沭阳县志"
    assert package.rights == "open"
    assert package.record == {"title": "沭阳县志", "kind": "新方志"}
    assert [file.name for file in package.files] == [
        "凡例.txt",
        "卷一/a.pdf",
        "卷一/metadata.toml",
        "卷二/b.pdf",
    ]
    assert all(whole(file) == file.name.encode() for file in package.files)
    assert all(file.size == len(file.name.encode()) for file in package.files)
    assert package.notes == ()


def test_json_metadata_with_notepads_mark(tmp_path: Path) -> None:
    fill(tmp_path, "a.pdf")
    (tmp_path / "metadata.json").write_text(json.dumps({"title": "甲"}), encoding="utf-8-sig")
    assert read_package(tmp_path).title == "甲"


def test_without_metadata_the_name_is_the_title(tmp_path: Path) -> None:
    folder = fill(tmp_path / "沭阳县志", "卷一.pdf")
    assert read_package(folder).title == "沭阳县志"
    package = read_package(folder / "卷一.pdf")
    assert (package.title, package.record) == ("卷一", {})  # a name is no word on the title
    assert [file.name for file in package.files] == ["卷一.pdf"]
    assert whole(package.files[0]) == "卷一.pdf".encode()


def test_a_path_given_from_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "县志", "a.pdf")
    monkeypatch.chdir(tmp_path / "县志")
    assert read_package(Path()).title == "县志"
    package = read_package(Path())
    monkeypatch.chdir(tmp_path)
    assert whole(package.files[0]) == b"a.pdf"


def test_links_pipes_and_litter_are_named_and_left_out(tmp_path: Path) -> None:
    fill(tmp_path, "a.pdf", "x/.DS_Store")
    (tmp_path / "link").symlink_to("/")
    (tmp_path / "x" / "link.txt").symlink_to(tmp_path / "a.pdf")
    os.mkfifo(tmp_path / "pipe")
    package = read_package(tmp_path)
    assert [file.name for file in package.files] == ["a.pdf"]
    assert {(note.code, note.path, note.severity) for note in package.notes} == {
        ("Q501", "link", "error"),
        ("Q501", "x/link.txt", "error"),
        ("Q502", "pipe", "error"),
        ("Q503", "x/.DS_Store", "note"),
    }


def test_names_from_the_disk_are_checked_as_they_are(tmp_path: Path) -> None:
    fill(tmp_path, "a\nb", "图.TIF", "图.tif")
    (tmp_path / "\udcff").write_bytes(b"x")
    package = read_package(tmp_path)
    sizes = [(file.name, file.size) for file in package.files]
    found = check_package(sizes, told(package), "open")
    assert sorted(one.code for one in found) == ["Q401", "Q401", "Q402"]


def test_a_sparse_giant_costs_nothing(tmp_path: Path) -> None:
    with (tmp_path / "a.tif").open("wb") as file:
        file.truncate(3 * GiB)
    assert read_package(tmp_path).files[0].size == 3 * GiB


def test_an_endless_folder_is_not_listed_to_its_end(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / str(number)).mkdir()
        for file in range(FILES_PER_PACKAGE_MAX // 10):
            (tmp_path / str(number) / str(file)).touch()
    package = read_package(tmp_path)
    assert FILES_PER_PACKAGE_MAX < len(package.files) < FILES_PER_PACKAGE_MAX * 1.2
    found = check_package([(file.name, 0) for file in package.files], told(package), "open")
    assert [one.code for one in found] == ["Q403"]


def test_an_empty_folder_has_no_file(tmp_path: Path) -> None:
    package = read_package(tmp_path)
    assert package.files == ()
    assert [one.code for one in check_package([], told(package), "open")] == ["Q406"]


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    fill(tmp_path, "卷一/a.pdf", "凡例.txt")
    bagit.make_bag(str(tmp_path), {"Title": "沭阳县志"})
    return tmp_path


def test_a_bag(bag: Path) -> None:
    package = read_package(bag)
    assert package.title == "沭阳县志"
    assert [file.name for file in package.files] == ["凡例.txt", "卷一/a.pdf"]
    assert whole(package.files[0]) == "凡例.txt".encode()


def test_a_bag_that_was_changed(bag: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (bag / "data" / "凡例.txt").write_text("other", encoding="utf-8")
    with pytest.raises(Rejected, match="agrees with its manifests"):
        read_package(bag)
    assert capfd.readouterr().err == ""


def test_a_bag_that_lacks_a_file(bag: Path) -> None:
    (bag / "data" / "凡例.txt").unlink()
    with pytest.raises(Rejected):
        read_package(bag)


def test_a_bag_whose_file_is_a_link(bag: Path) -> None:
    (bag / "data" / "凡例.txt").unlink()
    (bag / "data" / "凡例.txt").symlink_to("/dev/zero")
    with pytest.raises(Rejected, match="ordinary files"):
        read_package(bag)


def test_a_bag_that_names_files_outside(bag: Path) -> None:
    with (bag / "manifest-sha256.txt").open("a", encoding="utf-8") as manifest:
        manifest.write("0" * 64 + "  ../../../etc/passwd\n")
    with pytest.raises(Rejected):
        read_package(bag)


@pytest.mark.parametrize("text", ["", "nonsense", "BagIt-Version: 9.9\n"])
def test_a_bag_that_is_none(bag: Path, text: str) -> None:
    (bag / "bagit.txt").write_text(text, encoding="utf-8")
    with pytest.raises(Rejected):
        read_package(bag)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="existing file or folder"):
        read_package(tmp_path / "nowhere")


def test_a_folder_we_may_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(Unavailable, match="Permission denied"):
        read_package(tmp_path)


@pytest.mark.parametrize(
    ("data", "where", "said"),
    [
        ('title = "县志"'.encode("gb18030"), "metadata.toml", "save it again as UTF-8"),
        (b"title = ", "metadata.toml", "valid TOML"),
        (b"[1]", "metadata.json", "one JSON object"),
        (b"[" * 100_000, "metadata.json", "valid JSON"),
        (b'titel = "x"', "metadata.toml", "perhaps title"),
        (b"published = 2024", "metadata.toml", "text in quotes"),
        (b'title = "a"\ntitle = "b"', "metadata.toml", "valid TOML"),
    ],
)
def test_metadata_that_cannot_be_understood(data: bytes, where: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_metadata(data, where)


def test_two_metadata_files_or_a_huge_one(tmp_path: Path) -> None:
    (tmp_path / "metadata.toml").write_bytes(b"#" * (METADATA_BYTES_MAX + 1))
    with pytest.raises(ConfigError, match="at most"):
        read_package(tmp_path)
    fill(tmp_path, "metadata.json")
    with pytest.raises(ConfigError, match="one metadata file"):
        read_package(tmp_path)
