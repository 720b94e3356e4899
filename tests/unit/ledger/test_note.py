from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.note import (
    COSIGNATURE_V1,
    ED25519,
    Note,
    NoteKey,
    Signature,
    cosignature_time,
    open_note,
    parse_note,
    parse_signature,
    sign_cosignature,
    sign_note,
)
from protocol.errors import DecodeError, ProofError
from protocol.keys import SigningKey
from protocol.limits import NOTE_BYTES_MAX

KNOWN = json.loads((Path(__file__).resolve().parents[2] / "vectors" / "note.json").read_text())
ANNE, BEN = (SigningKey.from_seed(bytes([number]) * 32) for number in (1, 2))
ANNE_KEY = NoteKey("anne.example", ED25519, ANNE.public)
BEN_KEY = NoteKey("ben.example/本", COSIGNATURE_V1, BEN.public)
TEXT = "first line\n\nafter an empty one\n"
BY_ANNE = sign_note(TEXT, ANNE_KEY.name, ANNE)
BY_BEN = sign_cosignature(TEXT, BEN_KEY.name, BEN, 1_700_000_000)
STRANGER = Signature("stranger.example", b"\0\0\0\1", b"anything")
NAMES = st.text(min_size=1, max_size=20).filter(
    lambda name: (
        "+" not in name
        and not any(c.isspace() or c < " " or "\ud800" <= c <= "\udfff" for c in name)
    )
)


def note(*signatures: Signature, text: str = TEXT) -> bytes:
    return Note(text, signatures).format()


def test_opens_with_known_keys_and_ignores_strangers() -> None:
    opened, verified = open_note(note(STRANGER, BY_BEN, BY_ANNE), [ANNE_KEY, BEN_KEY])
    assert opened == Note(TEXT, (STRANGER, BY_BEN, BY_ANNE))
    assert verified == (BY_BEN, BY_ANNE)
    assert cosignature_time(BY_BEN.signature) == 1_700_000_000


def test_what_was_good_once_is_good_for_that_key_and_text_only() -> None:
    assert open_note(note(BY_ANNE), [ANNE_KEY])[1] == (BY_ANNE,)
    for data in (note(BY_ANNE, text="another\n"), note(BY_ANNE, text="another\n")):
        with pytest.raises(ProofError):
            open_note(data, [ANNE_KEY])
    other = NoteKey(ANNE_KEY.name, ED25519, BEN.public)
    moved = Signature(other.name, other.id, BY_ANNE.signature)
    with pytest.raises(ProofError):
        open_note(note(moved), [other])


def test_known_answers() -> None:
    whole = KNOWN["note"].encode()
    keys = [NoteKey.parse(KNOWN["log_vkey"]), NoteKey.parse(KNOWN["witness_vkey"])]
    opened, verified = open_note(whole, keys)
    assert opened.signatures == verified
    assert opened.format() == whole
    # the sample key of the signed-note specification; its base64 begins like any other, but those
    # of other keys hold "+"
    sample = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    assert NoteKey.parse(sample).vkey == sample


def test_a_repeated_signer_counts_once() -> None:
    again = sign_cosignature(TEXT, BEN_KEY.name, BEN, 1_800_000_000)
    assert open_note(note(BY_BEN, BY_BEN, again), [BEN_KEY])[1] == (BY_BEN,)


def test_bad_signature_of_a_known_key_spoils_the_note() -> None:
    for good, bad, key in [
        (BY_ANNE, Signature(BY_BEN.name, BY_BEN.key_id, BY_BEN.signature[::-1]), BEN_KEY),
        (BY_BEN, Signature(BY_ANNE.name, BY_ANNE.key_id, bytes(64)), ANNE_KEY),
        (BY_BEN, Signature(BY_ANNE.name, BY_ANNE.key_id, b"short"), ANNE_KEY),
        (BY_ANNE, Signature(BY_BEN.name, BY_BEN.key_id, b"short"), BEN_KEY),
        (BY_ANNE, Signature(BY_BEN.name, BY_BEN.key_id, b"\xff" * 72), BEN_KEY),
    ]:
        open_note(note(good, bad), [k for k in (ANNE_KEY, BEN_KEY) if k != key])
        with pytest.raises(ProofError, match="signature"):
            open_note(note(good, bad), [ANNE_KEY, BEN_KEY])


def test_no_known_signer() -> None:
    same_name = NoteKey(ANNE_KEY.name, ED25519, BEN.public)
    other_type = NoteKey(ANNE_KEY.name, COSIGNATURE_V1, ANNE.public)
    for keys in ([], [BEN_KEY], [same_name], [other_type]):
        with pytest.raises(ProofError, match="known key"):
            open_note(note(BY_ANNE, STRANGER), keys)


def test_a_cosignature_covers_its_time() -> None:
    later = (1_700_000_001).to_bytes(8, "big") + BY_BEN.signature[8:]
    with pytest.raises(ProofError):
        BEN_KEY.verify(TEXT, later)


@pytest.mark.parametrize(("time_s", "good"), [(0, True), (2**63 - 1, True), (2**63, False)])
def test_times_that_a_reader_takes(time_s: int, good: bool) -> None:
    message = f"cosignature/v1\ntime {time_s}\n{TEXT}".encode()
    line = Signature(BEN_KEY.name, BEN_KEY.id, time_s.to_bytes(8, "big") + BEN.sign(message))
    if good:
        assert open_note(note(line), [BEN_KEY])[1] == (line,)
    else:
        with pytest.raises(ProofError):
            open_note(note(line), [BEN_KEY])


def test_limit_of_100_lines() -> None:
    open_note(note(*[STRANGER] * 99, BY_ANNE), [ANNE_KEY])
    with pytest.raises(DecodeError, match="100 signatures"):
        open_note(note(*[STRANGER] * 100, BY_ANNE), [ANNE_KEY])


def test_a_forged_line_of_a_known_name() -> None:
    """Under another key id it is a stranger's; under the right one it spoils the note."""
    stranger = Signature(ANNE_KEY.name, b"\0\0\0\1", BY_ANNE.signature)
    forged = Signature(ANNE_KEY.name, ANNE_KEY.id, bytes(64))
    assert open_note(note(stranger, BY_ANNE), [ANNE_KEY])[1] == (BY_ANNE,)
    for lines in ((stranger,), (forged,), (forged, BY_ANNE), (BY_BEN, forged)):
        with pytest.raises(ProofError):
            open_note(note(*lines), [ANNE_KEY, BEN_KEY])
    # of several lines of one signer the first counts
    assert open_note(note(BY_ANNE, forged), [ANNE_KEY])[1] == (BY_ANNE,)


@pytest.mark.parametrize("text", ["\n", "\n\n\n", "a\n\n\n\n", "\n\na\n", "a\n\n— b c\n\n\nd\n"])
def test_several_blank_lines_belong_to_the_text(text: str) -> None:
    signed = sign_note(text, ANNE_KEY.name, ANNE)
    opened, _ = open_note(note(signed, text=text), [ANNE_KEY])
    assert opened.text == text


@pytest.mark.parametrize("space", "\u0085\u00a0\u1680\u2000\u2028\u2029\u202f\u205f\u3000")
def test_no_unicode_space_in_a_name(space: str) -> None:
    with pytest.raises(DecodeError):
        parse_note(GOOD.replace(b"anne.example", f"anne{space}example".encode()))
    with pytest.raises(DecodeError):
        NoteKey(f"anne{space}example", ED25519, ANNE.public)


@pytest.mark.parametrize("size", [0, 8, 64, 71, 73])
def test_a_cosignature_of_another_length(size: int) -> None:
    line = Signature(BEN_KEY.name, BEN_KEY.id, (BY_BEN.signature + b"x")[:size] or b"x")
    with pytest.raises(ProofError):
        open_note(note(line), [BEN_KEY])


def test_limit_of_64_kib() -> None:
    room = NOTE_BYTES_MAX - len(note(BY_ANNE))
    assert parse_note(note(BY_ANNE, text="x" * room + TEXT)).signatures == (BY_ANNE,)
    with pytest.raises(DecodeError, match=f"at most {NOTE_BYTES_MAX} bytes"):
        parse_note(note(BY_ANNE, text="x" * (room + 1) + TEXT))


GOOD = note(BY_ANNE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        GOOD[:-1],
        GOOD + b"\n",
        GOOD + b"no signature\n",
        GOOD.replace("— ".encode(), b"- "),
        GOOD.replace("— ".encode(), "—".encode()),
        GOOD.replace(b"anne.example ", b"anne.example  "),
        GOOD.replace(b"anne.example ", b""),
        GOOD.replace(b"anne.example", b""),
        GOOD.replace(b"anne.example", b"anne+example"),
        GOOD.replace(b"anne.example", "anne\u2003example".encode()),
        GOOD.replace(b"first", b"fir\x00st"),
        GOOD.replace(b"first", b"fir\tst"),
        GOOD.replace(b"first", b"fir\rst"),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD[:-1] + b"\r\n",
        GOOD.replace("\n\n— ".encode(), "\n— ".encode()),
        GOOD + b"\n" + GOOD.rpartition(b"\n\n")[2][:-1],
        GOOD.replace(b"first", b"fir\xffst"),
        GOOD.replace(b"first", b"fir\xed\xa0\x80st"),
        "text\n\n— anne.example AAAAAA==\n".encode(),  # a key id and nothing after it
        "text\n\n— anne.example !!!!\n".encode(),
        b"x" * 70_000 + GOOD,
    ],
)
def test_malformed_notes(data: bytes) -> None:
    with pytest.raises(DecodeError):
        parse_note(data)


def test_stray_padding_bits_are_read_but_never_written() -> None:
    line = "— anne.example AAAAAAAB"
    liberal = "— anne.example AAAAAAB="
    assert parse_signature(liberal).format() == "— anne.example AAAAAAA=\n"
    assert parse_signature(line).format() == line + "\n"


@settings(max_examples=50)
@given(NAMES, st.binary(min_size=32, max_size=32), st.sampled_from([ED25519, COSIGNATURE_V1]))
def test_vkey_round_trip(name: str, public: bytes, kind: int) -> None:
    key = NoteKey(name, kind, public)
    assert NoteKey.parse(key.vkey) == key


def test_vkey_with_plus_in_its_base64() -> None:
    key = NoteKey("a", ED25519, b"\0\0" + b"\xfb\xef\xbe" * 10)
    assert key.vkey.count("+") > 2
    assert NoteKey.parse(key.vkey) == key


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "a",
        "a+00000000",
        "a+00000000+",
        "a+00000000+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",  # not its id
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        ANNE_KEY.vkey + "\n",
        ANNE_KEY.vkey.replace("anne.example", ""),
        ANNE_KEY.vkey.replace("anne.example", "anne example"),
        ANNE_KEY.vkey.replace("anne.example", "anne.examplf"),
        ANNE_KEY.vkey[:-4],
    ],
)
def test_malformed_vkeys(vkey: str) -> None:
    with pytest.raises(DecodeError):
        NoteKey.parse(vkey)


@pytest.mark.parametrize(
    ("name", "kind", "size"),
    [("a", 2, 32), ("a", 6, 32), ("a", 1, 31), ("\ud800", 1, 32), ("", 1, 32), ("a b", 1, 32)],
)
def test_no_such_key(name: str, kind: int, size: int) -> None:
    with pytest.raises(DecodeError):
        NoteKey(name, kind, bytes(size))


@pytest.mark.parametrize(
    "bad", [Note("no newline", (BY_ANNE,)), Note("x\n", ()), Note("\t\n", (BY_ANNE,))]
)
def test_what_no_note_can_hold(bad: Note) -> None:
    with pytest.raises(DecodeError):
        bad.format()


def test_published_notes(data_dir: Path) -> None:
    """Checkpoints of transparency-dev/tessera and cosignatures of sunlight's witness and mirror."""
    vectors = data_dir / "vectors"
    key = NoteKey.parse((vectors / "tessera-log" / "keys.txt").read_text().split()[1])
    notes = sorted((vectors / "tessera-log").glob("checkpoint*"))
    assert len(notes) == 17
    for path in notes:
        opened, verified = open_note(path.read_bytes(), [key])
        assert len(verified) == 1
        assert opened.format() == path.read_bytes()
    witness = NoteKey.parse(
        "witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN"
    )
    mirror = NoteKey.parse(
        "mirror.example.org+3fb148ef+BAAjjch9GyYz0sJsJx7ALhbdAtz2ov0unbzSl1vMp94O"
    )
    log = "000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706"
    for folder, key in (("", witness), ("mirror", mirror)):
        path = vectors / "sunlight-witness" / folder / log / "checkpoint"
        assert [line.name for line in open_note(path.read_bytes(), [key])[1]] == [key.name]
