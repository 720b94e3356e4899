"""Every bound of the system, with its unit in the name.  Nothing from outside may exceed one."""

from __future__ import annotations

from typing import Final

KiB: Final = 1024
MiB: Final = 1024 * KiB
GiB: Final = 1024 * MiB

# events and logs
EVENT_BYTES_MAX: Final = 4 * KiB  # so that a bundle of 256 fits one frame
ENTRY_BYTES_MAX: Final = 65_535  # tlog-tiles: u16 length
TILE_WIDTH: Final = 256
PROOF_HASHES_MAX: Final = 63
TREE_SIZE_MAX: Final = 2**63 - 1
NOTE_BYTES_MAX: Final = 64 * KiB
NOTE_SIGNATURES_MAX: Final = 100
WITNESS_REQUEST_BYTES_MAX: Final = NOTE_BYTES_MAX + 4 * KiB  # 63 hashes in base64 before the note
TLOG_PROOF_BYTES_MAX: Final = 2 * NOTE_BYTES_MAX  # hashes and extra data before the note
EVIDENCE_BYTES_MAX: Final = 96 * KiB  # an entry in base64, 63 hashes, two short notes
EVIDENCE_PER_LOG_MAX: Final = 8  # one convicts; more tell little more
PROOF_BYTES_MAX: Final = 16 * MiB  # of a file: a tlog-proof for each change of members
POLICY_BYTES_MAX: Final = 256 * KiB
ORIGIN_BYTES_MAX: Final = 255
BATCH_EVENTS_MAX: Final = 1000
CLOCK_SKEW_MS_MAX: Final = 10 * 60 * 1000

# wire
FRAME_BYTES_MAX: Final = 2 * MiB
VALUE_DEPTH_MAX: Final = 16
REQUEST_BYTES_MAX: Final = 128 * KiB  # questions are small: the largest carries one note
REQUESTS_IN_FLIGHT_MAX: Final = 64
METHOD_CHARS_MAX: Final = 40
FAULT_CHARS_MAX: Final = 500
OFFICES_PER_NODE_MAX: Final = 256
LINKS_MAX: Final = 256
GUESTS_MAX: Final = 32  # of them to peers whose keys count no more
GUEST_SECONDS_MAX: Final = 60
TEXT_CHARS_MAX: Final = 1_000_000
CHUNK_BYTES: Final = 1 * MiB
HELLO_SECONDS_MAX: Final = 10
REQUEST_SECONDS_MAX: Final = 30

# members
NETWORK_OFFICES_MAX: Final = 5_000
NAME_CHARS_MAX: Final = 100
ADDRESS_CHARS_MAX: Final = 255
OUTSIDE_WITNESSES_MAX: Final = 16
PERSON_BYTES_MAX: Final = 4 * KiB  # a name and its salt

# files
FILE_NAME_BYTES_MAX: Final = 255
FILE_PATH_BYTES_MAX: Final = 1024
FILES_PER_PACKAGE_MAX: Final = 2_000
FILE_BYTES_MAX: Final = 64 * GiB
MANIFEST_BYTES_MAX: Final = 1 * MiB
PAGES_PER_ITEM_MAX: Final = 50_000
PAGE_CHARS_MAX: Final = 100_000
PAGE_LINE_BYTES_MAX: Final = PAGE_CHARS_MAX * 6 + 4 * KiB  # six: JSON escapes
PAGES_BLOB_BYTES_MAX: Final = 256 * MiB
TEXT_BYTES_MAX: Final = 40 * MiB  # of one file; six times that (JSON escapes) fits a pages blob
PAGE_LABEL_CHARS_MAX: Final = 100
INSPECTION_BYTES_MAX: Final = TEXT_BYTES_MAX + 16 * MiB
INSPECTION_MEMORY_BYTES_MAX: Final = 2 * GiB  # address space of the process that reads files
PICTURE_PIXELS_MAX: Final = 256 * 1024 * 1024  # of a scan: A0 at 400 DPI
IMAGE_BYTES_MAX: Final = 1 * MiB  # of a page for reading: one chunk, so its hash proves it
IMAGE_SIDE_MAX: Final = 4_096  # pixels
IMAGES_BLOB_BYTES_MAX: Final = 32 * MiB  # the list of an item's images
PACKAGE_BYTES_MAX: Final = 256 * GiB
RECORD_ELEMENT_CHARS_MAX: Final = 5_000
TITLE_CHARS_MAX: Final = 300
REASON_CHARS_MAX: Final = 2_000
STATEMENT_BYTES_MAX: Final = 4 * MiB  # of a disk: every file with its path and hash
REPORTS_OPEN_MAX: Final = 256
UPLOAD_IDLE_SECONDS_MAX: Final = 60  # silence in the middle of a body
CHECKED_BYTES_MAX: Final = 8 * MiB  # of a body with a checksum: held in memory until it is right
PACKED_BYTES_MAX: Final = 64 * KiB  # larger blobs are files of their own
DISK_RESERVE_BYTES: Final = 64 * MiB

# the vault
SEALED_FILES_MAX: Final = FILES_PER_PACKAGE_MAX + 1  # and the text of the pages
SEAL_BYTES_MAX: Final = 512 * KiB
WRAPS_PER_ITEM_MAX: Final = 4
WRAPS_BYTES_MAX: Final = 1 * MiB
RECALL_BYTES_MAX: Final = 4 * MiB  # of a receipt
ACCESSES_PER_RECALL_MAX: Final = 64  # that its receipt names
ACCESSES_OPEN_MAX: Final = 10_000  # that one node remembers
GRANT_DAYS_MAX: Final = 3660
GRANTS_PER_ITEM_MAX: Final = 256  # that nobody revoked; those that end first go
DOMAIN_CHARS_MAX: Final = 100
CITY_OFFER_BYTES: Final = 1024 * GiB  # what a city keeps for others if it says nothing
CHALLENGE_CHUNKS_MAX: Final = 32  # read from a slow disk in a second
TREE_LEAVES_MAX: Final = 16 * 1024  # in one answer, 32 bytes each
HOLDS_PER_RECEIPT_MAX: Final = 16

# stores
KEY_BYTES_MAX: Final = 511  # LMDB's own bound
JOBS_WAITING_MAX: Final = 4096
JOBS_PER_COMMIT_MAX: Final = 1024
STATE_ROW_BYTES_MAX: Final = 128 * KiB
ITEMS_PER_PAGE_MAX: Final = 1000
AUDIT_FINDINGS_MAX: Final = 10_000

# search
QUERY_CHARS_MAX: Final = 300
SUGGEST_CHARS_MAX: Final = 64
SUGGESTIONS_MAX: Final = 10
HITS_MAX: Final = 100
SNIPPET_CHARS: Final = 80
PAGE_TOKEN_CHARS_MAX: Final = 64 * KiB  # two bytes for each office of a large network
SYNONYMS_BYTES_MAX: Final = 512 * KiB  # of the province's table
SYNONYM_GROUPS_MAX: Final = 5_000
SYNONYM_WORDS_MAX: Final = 12  # of one group
SYNONYM_CHARS_MAX: Final = 20  # of one word
SYNONYM_NOTE_CHARS_MAX: Final = 100
SEARCH_SECONDS_MAX: Final = 2.0
EXPORT_LINES_MAX: Final = 10_000
EXPORT_SECONDS_MAX: Final = 120
STATISTICS_BYTES_MAX: Final = 512 * KiB

# web
JSON_BODY_BYTES_MAX: Final = 1 * MiB
