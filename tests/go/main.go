// Checks an exported log with the packages that Go's checksum database uses: sumdb/note reads the
// checkpoint, sumdb/tlog the tiles, which lie at tile/L/N where tlog says tile/8/L/N, and the
// entries. Nothing here is ours but the mapping of paths.
//
//	check LOG VKEY [OLDER]
//
// LOG and OLDER are folders log/<code> of two exports. Prints "<origin> <size> <root>".
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type checkpoint struct {
	origin string
	tree   tlog.Tree
}

func readCheckpoint(folder string, verifiers note.Verifiers) (checkpoint, error) {
	data, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return checkpoint{}, err
	}
	opened, err := note.Open(data, verifiers)
	if err != nil {
		return checkpoint{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 {
		return checkpoint{}, fmt.Errorf("a checkpoint of %d lines", len(lines)-1)
	}
	var size int64
	if _, err := fmt.Sscanf(lines[1], "%d", &size); err != nil {
		return checkpoint{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return checkpoint{lines[0], tlog.Tree{N: size, Hash: root}}, err
}

// tiles is a tlog.TileReader over a folder.
type tiles struct{ folder string }

func (t tiles) Height() int { return 8 }

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		data, err := os.ReadFile(path(t.folder, tile))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func path(folder string, tile tlog.Tile) string {
	name := strings.TrimPrefix(tile.Path(), "tile/8/")
	name = strings.Replace(name, "data/", "entries/", 1)
	return filepath.Join(folder, "tile", filepath.FromSlash(name))
}

// checkEntries proves each entry of each bundle under the tree.
func checkEntries(folder string, tree tlog.Tree, hashes tlog.HashReader) error {
	index := int64(0)
	for bundle := int64(0); index < tree.N; bundle++ {
		width := 256
		if tree.N-index < 256 {
			width = int(tree.N - index)
		}
		data, err := os.ReadFile(path(folder, tlog.Tile{H: 8, L: -1, N: bundle, W: width}))
		if err != nil {
			return err
		}
		for end := index + int64(width); index < end; index++ {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				return fmt.Errorf("entry %d is truncated", index)
			}
			size := int(binary.BigEndian.Uint16(data))
			proof, err := tlog.ProveRecord(tree.N, index, hashes)
			if err != nil {
				return err
			}
			leaf := tlog.RecordHash(data[2 : 2+size])
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf); err != nil {
				return fmt.Errorf("entry %d: %w", index, err)
			}
			data = data[2+size:]
		}
		if len(data) > 0 {
			return fmt.Errorf("%d bytes after entry %d", len(data), index-1)
		}
	}
	return nil
}

func check(arguments []string) error {
	if len(arguments) < 2 || len(arguments) > 3 {
		return errors.New("usage: check LOG VKEY [OLDER]")
	}
	verifier, err := note.NewVerifier(arguments[1])
	if err != nil {
		return err
	}
	verifiers := note.VerifierList(verifier)
	now, err := readCheckpoint(arguments[0], verifiers)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(now.tree, tiles{arguments[0]})
	if err := checkEntries(arguments[0], now.tree, hashes); err != nil {
		return err
	}
	if len(arguments) == 3 {
		old, err := readCheckpoint(arguments[2], verifiers)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(now.tree.N, old.tree.N, hashes)
		if err != nil {
			return err
		}
		err = tlog.CheckTree(proof, now.tree.N, now.tree.Hash, old.tree.N, old.tree.Hash)
		if err != nil {
			return fmt.Errorf("size %d to %d: %w", old.tree.N, now.tree.N, err)
		}
	}
	fmt.Println(now.origin, now.tree.N, now.tree.Hash)
	return nil
}

func main() {
	if err := check(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
