package infer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"

	"sextant/internal/model"
)

// idVersion changes when the recipe of ID does: all rows are then asked anew.
const idVersion = "sextant-id-1"

// ID is the identity of one question: SHA-256, in hex, over everything that
// its answer depends on. content is the dataset's content version, row the
// number in the split as loaded, prompts the rendered texts in the order of
// asking, settings the inferencer's and the model's options that change
// answers, repeat the replica. Where the row stands in a part or in a range,
// and which worker asks it, is no part of it.
func ID(content string, row int, prompts, settings []string, id model.Identity, repeat int) string {
	h := newIDHash(content, settings, id)
	return h.sum(row, prompts, repeat)
}

// idHash has the part that all rows of a job share.
type idHash struct{ common [sha256.Size]byte }

func newIDHash(content string, settings []string, id model.Identity) idHash {
	h := sha256.New()
	put(h, idVersion)
	put(h, content)
	putAll(h, settings)
	j, err := json.Marshal(id)
	if err != nil {
		panic(err) // a struct of strings
	}
	put(h, string(j))
	var out idHash
	h.Sum(out.common[:0])
	return out
}

func (c idHash) sum(row int, prompts []string, repeat int) string {
	h := sha256.New()
	h.Write(c.common[:])
	putInt(h, row)
	putInt(h, repeat)
	putAll(h, prompts)
	return hex.EncodeToString(h.Sum(nil))
}

// put writes a text behind its length, so that no two lists of texts are
// written alike.
func put(h hash.Hash, s string) {
	putInt(h, len(s))
	h.Write([]byte(s))
}

func putInt(h hash.Hash, n int) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}

func putAll(h hash.Hash, l []string) {
	putInt(h, len(l))
	for _, s := range l {
		put(h, s)
	}
}
