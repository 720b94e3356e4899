"""ZIP files as people and attackers make them."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import bagit
import pytest

from node.hands.ingest.carriers.carried import Package
from node.hands.ingest.carriers.reading import read_package
from node.hands.ingest.package import check_package
from protocol.errors import Rejected, Unavailable

FILES = {"凡例.txt": "凡例".encode(), "卷一/a.pdf": bytes(3_000_000), "卷一/b.tif": b"tif" * 9}
METADATA = 'title = "沭阳县志"\nvolume = "卷一"\nrights = "open"\n'


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def notes(package: Package) -> list[tuple[str, str]]:
    return [(note.code, note.path) for note in package.notes]


def fill(folder: Path) -> Path:
    for name, data in {**FILES, "metadata.toml": METADATA.encode()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def contents(package: Package) -> tuple[object, ...]:
    files = [(file.name, file.size, b"".join(file.pieces())) for file in package.files]
    return package.title, package.rights, package.record, files, package.notes


def test_every_carrier_gives_the_same_package(tmp_path: Path) -> None:
    folder = fill(tmp_path / "folder")
    inside = zipped(
        tmp_path / "inside.zip",
        {name: (folder / name).read_bytes() for name in [*FILES, "metadata.toml"]},
    )
    clicked = tmp_path / "沭阳.zip"
    zipped(clicked, {f"沭阳/{name}": (folder / name).read_bytes() for name in FILES})
    with zipfile.ZipFile(clicked, "a") as archive:
        archive.mkdir("沭阳/空")
        archive.writestr("沭阳/metadata.toml", METADATA)
    bag = fill(tmp_path / "bag")
    bagit.make_bag(str(bag), {"Title": "沭阳县志"}, checksums=["sha256"])
    expected = contents(read_package(folder))
    assert expected[0] == "沭阳县志"
    for path in (inside, clicked, bag):
        assert contents(read_package(path)) == expected


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("offset", [0, 1, 1_048_576, 2_999_999, 3_000_000])
def test_a_file_is_read_from_anywhere(tmp_path: Path, method: int, offset: int) -> None:
    (file,) = read_package(zipped(tmp_path / "a.zip", {"a.bin": bytes(3_000_000)}, method)).files
    assert b"".join(file.pieces(offset)) == bytes(3_000_000 - offset)


def test_names_of_an_old_windows(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"AAAA.txt": b"x"})
    gb = "县志".encode("gb18030")
    path.write_bytes(path.read_bytes().replace(b"AAAA", gb))
    assert [file.name for file in read_package(path).files] == ["县志.txt"]


BAD_NAMES = ("/etc/passwd", "../../escape.txt", "a/../../b.txt", "C:\\x.txt", "a\\b.txt", "con")


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_leads_elsewhere_is_refused_by_name(tmp_path: Path, name: str) -> None:
    package = read_package(zipped(tmp_path / "a.zip", {name: b"x", "good.txt": b"x"}))
    sizes = [(file.name, file.size) for file in package.files]
    found = check_package(sizes, {"title": package.title}, "open")
    assert [(one.code, one.path) for one in found] == [("Q401", name)]


@pytest.mark.parametrize(
    ("one", "other"), [("图.TIF", "图.tif"), ("\u00e9.txt", "e\u0301.txt"), ("a.txt", "a.txt")]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_twins_are_refused_by_name(tmp_path: Path, one: str, other: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (one, other):
            archive.writestr(name, b"x")
    package = read_package(path)
    found = check_package(
        [(f.name, f.size) for f in package.files], {"title": package.title}, "open"
    )
    assert [(each.code, each.path) for each in found] == [("Q402", sorted((one, other))[1])]


def test_links_devices_and_litter_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, kind in (("link", stat.S_IFLNK), ("tty", stat.S_IFCHR), ("ok", stat.S_IFREG)):
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = (kind | 0o644) << 16
            archive.writestr(entry, b"/etc/passwd")
        archive.writestr("__MACOSX/._ok", b"x")
        archive.writestr("x/Thumbs.db", b"x")
    package = read_package(path)
    assert [file.name for file in package.files] == ["ok"]
    assert notes(package) == [
        ("Q501", "link"),
        ("Q502", "tty"),
        ("Q503", "__MACOSX/._ok"),
        ("Q503", "x/Thumbs.db"),
    ]


def test_a_bomb_of_zeros_is_named_and_not_unpacked(tmp_path: Path) -> None:
    package = read_package(zipped(tmp_path / "a.zip", {"zeros": bytes(20_000_000), "a": b"a"}))
    assert notes(package) == [("Q504", "zeros")]
    assert [file.name for file in package.files] == ["a"]


def test_entries_that_share_bytes_are_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"aaa": b"kernel" * 99, "bbb": b"kernel" * 99})
    data = path.read_bytes()
    directory = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", directory + 1)
    # the second entry of the directory points at the bytes of the first
    path.write_bytes(data[: second + 42] + struct.pack("<L", 0) + data[second + 46 :])
    assert notes(read_package(path)) == [("Q504", "aaa"), ("Q504", "bbb")]


def with_flags(data: bytes, flags: int, method: int) -> bytes:
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.index(magic) + at
        data = data[:start] + struct.pack("<HH", flags, method) + data[start + 4 :]
    return data


@pytest.mark.parametrize(("flags", "method"), [(1, 8), (0, 9), (0, 14), (0, 99)])
def test_what_is_locked_or_packed_strangely_is_named(
    tmp_path: Path, flags: int, method: int
) -> None:
    path = zipped(tmp_path / "a.zip", {"a.txt": b"x" * 99})
    path.write_bytes(with_flags(path.read_bytes(), flags, method))
    assert notes(read_package(path)) == [("Q505", "a.txt")]


def lying(data: bytes, size: int) -> bytes:
    at = data.index(b"PK\x01\x02") + 24
    return data[:at] + struct.pack("<L", size) + data[at + 4 :]


@pytest.mark.parametrize("change", [lambda d: lying(d, 98), lambda d: lying(d, 100)])
def test_a_size_that_is_not_true_is_found_while_reading(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    path = zipped(tmp_path / "a.zip", {"a.txt": b"x" * 99})
    path.write_bytes(change(path.read_bytes()))
    (file,) = read_package(path).files
    with pytest.raises(Unavailable):
        list(file.pieces())


def test_a_flipped_bit_is_found_while_reading(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.txt": b"vault" * 99}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"vault", b"fault", 1))
    (file,) = read_package(path).files
    with pytest.raises(Unavailable, match="can be read"):
        list(file.pieces())


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"no zip at all" * 20])
def test_what_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(Rejected):
        read_package(tmp_path / "a.zip")


def test_a_directory_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a", b"")
    data = bytearray(made.getvalue())
    at = data.rindex(b"PK\x05\x06") + 12
    data[at : at + 4] = struct.pack("<L", 2**30)
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(Rejected, match="a directory of at most"):
        read_package(tmp_path / "a.zip")
