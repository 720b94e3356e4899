"""What every SegmentStore promises (protocol/ports.py), on each backend."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from node.hands.storage.file_segments import FileSegmentStore
from protocol.errors import Missing
from protocol.limits import MiB
from protocol.ports import SegmentStore
from simulations.disk import SimDisk
from simulations.loop import run as run_simulated

Story = Callable[[SegmentStore], None]
Play = Callable[[Story], None]


def play_files(story: Story) -> None:
    with tempfile.TemporaryDirectory() as folder:
        story(FileSegmentStore(Path(folder) / "index"))


def play_simulated(story: Story) -> None:
    async def tell() -> None:
        story(SimDisk(1, "disk").segments())

    run_simulated(tell())


PLAYS = {"files": play_files, "simulated": play_simulated}


@pytest.fixture(params=PLAYS)
def play(request: pytest.FixtureRequest) -> Play:
    return PLAYS[request.param]


def test_put_open_delete(play: Play) -> None:
    def story(store: SegmentStore) -> None:
        store.put("320500-2.seg", b"two")
        store.put("320500-1.seg", b"one")
        assert store.names() == ["320500-1.seg", "320500-2.seg"]
        assert bytes(store.open("320500-1.seg")) == b"one"
        store.delete("320500-1.seg")
        store.delete("320500-1.seg")
        assert store.names() == ["320500-2.seg"]
        with pytest.raises(Missing, match=r"320500-1\.seg"):
            store.open("320500-1.seg")

    play(story)


def test_an_empty_segment(play: Play) -> None:
    def story(store: SegmentStore) -> None:
        store.put("empty", b"")
        assert bytes(store.open("empty")) == b""

    play(story)


def test_an_open_buffer_outlives_replacement_and_deletion(play: Play) -> None:
    def story(store: SegmentStore) -> None:
        store.put("s", b"old")
        old = store.open("s")
        store.put("s", b"newer")
        new = store.open("s")
        store.delete("s")
        assert (bytes(old), bytes(new)) == (b"old", b"newer")
        assert old.readonly

    play(story)


def test_a_buffer_that_was_paged_out_stays_readable(play: Play) -> None:
    def story(store: SegmentStore) -> None:
        for data in (b"", b"x" * 10_000):
            store.put("s", data)
            buffer = store.open("s")
            assert bytes(buffer) == data
            store.page_out(buffer)
            assert bytes(buffer) == data

    play(story)


def test_paging_out_gives_memory_back(tmp_path: Path) -> None:
    store = FileSegmentStore(tmp_path)
    store.put("s", b"x" * 64 * MiB)
    buffer = store.open("s")
    assert buffer.tobytes().count(b"x") == 64 * MiB
    before = mapped_bytes()
    store.page_out(buffer)
    assert before - mapped_bytes() > 60 * MiB


def mapped_bytes() -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile:")) * 1024


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "x.tmp", "a\nb", "志"])
def test_a_name_that_could_leave_the_folder_is_a_mistake(play: Play, name: str) -> None:
    def story(store: SegmentStore) -> None:
        for call in (lambda: store.put(name, b""), lambda: store.open(name)):
            with pytest.raises(ValueError, match="a segment is named by"):
                call()
        assert store.names() == []

    play(story)


def test_segments_survive_a_new_start_and_half_written_ones_do_not(tmp_path: Path) -> None:
    FileSegmentStore(tmp_path).put("s", b"kept")
    (tmp_path / "t.tmp").write_bytes(b"half")
    store = FileSegmentStore(tmp_path)
    assert store.names() == ["s"]
    assert not (tmp_path / "t.tmp").exists()
