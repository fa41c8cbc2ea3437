// Package mirror lets workers that do not see the folder of a run work for it:
// an object store stands between them and the coordinator.
//
// The run stays on the coordinator's disk. Everything that a worker writes has
// one writer, so both sides copy: the coordinator uploads what workers read
// (manifests, records that are there already, predictions to be scored), a
// worker works in a folder of its own and uploads what it has added, and the
// coordinator downloads that into the run. Whoever reads the run there sees
// what a shared folder would show, a little later.
//
// Main types: Coordinator and Worker. Objects of a run, below its URL:
//
//	in/<path>                   a file of the run, for workers
//	status/<id>/<file>          state/tasks/<id>/<file>, by workers
//	out/<path>/<first byte>     a piece of a file of records, by its writer
//	out/<path>                  any other file that a worker wrote
//
// Two orders make it safe. A worker takes its status before it takes its
// records and uploads it after them; the coordinator reads statuses before it
// lists records and writes them into the run after those. So a status in the
// run never says more than the records beside it. And pieces of records grow
// only at their end, by whole lines: what was downloaded stays true.
//
// Non-goals: it copies no data sets and no models, decides nothing about what
// is run, and does not care what starts workers.
package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sextant/internal/object"
)

const (
	inDir     = "in/"
	outDir    = "out/"
	statusDir = "status/"
	tasksDir  = "state/tasks/"

	// pieceSize is from when on a piece of records is left alone and another
	// is begun: a piece is uploaded again as it grows.
	pieceSize = 256 << 10
	// maxPiece bounds what is uploaded and downloaded at once, long lines aside.
	maxPiece = 8 << 20

	// RequestTimeout is how long one request for a small object may take.
	requestTimeout = time.Minute
	backoffFirst   = 200 * time.Millisecond
	backoffMost    = 5 * time.Second
	parallel       = 16 // requests at a time
)

// pieceOf matches a piece of a file of records below out/.
var pieceOf = regexp.MustCompile(`^(predictions/.+\.records/[^/]+\.jsonl)/(\d{12,18})$`)

// statusOf matches what is below status/.
var statusOf = regexp.MustCompile(`^[A-Za-z0-9._-]+/\d+\.(?:json|units)$`)

func pieceKey(rel string, first int64) string { return fmt.Sprintf("%s/%012d", rel, first) }

func parsePiece(rel string) (file string, first int64, ok bool) {
	m := pieceOf.FindStringSubmatch(rel)
	if m == nil {
		return "", 0, false
	}
	first, err := strconv.ParseInt(m[2], 10, 64)
	return m[1], first, err == nil
}

// piece is a part of a file of records.
type piece struct {
	key         string
	first, size int64
}

// length is how many bytes of the file there are without a gap. ps is in order.
func length(ps []piece) int64 {
	var end int64
	for _, p := range ps {
		if p.first > end {
			break
		}
		end = max(end, p.first+p.size)
	}
	return end
}

// tail reads the bytes of a file of records from offset to end, which is
// length's. More may have been added to the last piece meanwhile; it is not
// wanted yet.
func tail(ctx context.Context, b object.Bucket, ps []piece, offset, end int64, yield func([]byte) error) error {
	for _, p := range ps {
		last := min(p.first+p.size, end)
		if last <= offset || p.first > offset {
			continue
		}
		data, err := get(ctx, b, p.key, offset-p.first)
		if err != nil {
			return err
		}
		if int64(len(data)) < last-offset {
			return fmt.Errorf("object %s has become shorter", p.key)
		}
		if err := yield(data[:last-offset]); err != nil {
			return err
		}
		offset = last
	}
	return nil
}

func get(ctx context.Context, b object.Bucket, key string, offset int64) ([]byte, error) {
	rctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return b.Get(rctx, key, offset)
}

// A result and the statement that says what it was made from come as a pair:
// a new one beside an old other would be believed.
const (
	resultsDir    = "results/"
	statementsDir = "state/results/"
)

// fits reports whether a statement belongs to a result of this size and, when
// sum is not empty, digest.
func fits(statement []byte, size int64, sum string) bool {
	var s struct {
		Result struct {
			Size   int64  `json:"size"`
			SHA256 string `json:"sha256"`
		} `json:"result"`
	}
	return json.Unmarshal(statement, &s) == nil && s.Result.Size == size && (sum == "" || s.Result.SHA256 == sum)
}

func digest(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// ParseRef splits what the coordinator hands to a worker in place of the path
// of an index: the URL of the run's objects, and the path of the index.
func ParseRef(ref string) (url, index string, ok bool) {
	i := strings.LastIndex(ref, "/"+inDir+"state/")
	if !strings.HasPrefix(ref, "s3://") || i < 0 {
		return "", "", false
	}
	return ref[:i], path.Clean(ref[i+1+len(inDir):]), true
}

// place is a prefix in a bucket.
type place struct {
	b      object.Bucket
	prefix string // "" or with a slash at its end
}

func open(url string, c object.Config) (place, error) {
	bucket, prefix, err := object.ParseURL(url)
	if err != nil {
		return place{}, err
	}
	c.Bucket = bucket
	b, err := object.Open(c)
	if err != nil {
		return place{}, err
	}
	if prefix != "" {
		prefix += "/"
	}
	return place{b, prefix}, nil
}

// list gives the objects below dir by what follows dir in their keys.
func (p *place) list(ctx context.Context, dir string, yield func(rel string, i object.Info)) error {
	full := p.prefix + dir
	return p.b.List(ctx, full, func(i object.Info) error {
		yield(i.Key[len(full):], i)
		return nil
	})
}

// retry does f until it succeeds, fails with what waiting does not mend, or
// patience is over.
func retry(ctx context.Context, patience time.Duration, wait func(error), f func() error) error {
	begin, pause := time.Now(), backoffFirst
	for {
		err := f()
		if err == nil || ctx.Err() != nil || !object.Transient(err) || time.Since(begin) > patience {
			return err
		}
		if wait != nil {
			wait(err)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause = min(pause*2, backoffMost)
	}
}
