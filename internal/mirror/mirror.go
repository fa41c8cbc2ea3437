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
//	out/<path>/<first>-<end>    these bytes of a file of records, by its writer
//	out/<path>                  any other file that a worker wrote
//
// Two orders make it safe. A worker takes its status before it takes its
// records and uploads it after them; the coordinator reads statuses before it
// lists records and writes them into the run after those. So a status in the
// run never says more than the records beside it. And a piece of records is
// never changed: one that grows is uploaded under another name, and the last but
// one of its kind deleted. A request that was given up and is carried out
// later, after others, does no harm.
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
	"io/fs"
	"os"
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

	// pieceSize is from when on a piece of records grows no more and another
	// is begun.
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
var pieceOf = regexp.MustCompile(`^(predictions/.+\.records/[^/]+\.jsonl)/(\d{12,18})-(\d{12,18})$`)

// recordsOf matches a file of records that workers are given, below in/.
var recordsOf = regexp.MustCompile(`^predictions/.+\.records/[^/]+\.jsonl$`)

// statusOf matches what is below status/.
var statusOf = regexp.MustCompile(`^[A-Za-z0-9._-]+/\d+\.(?:json|units)$`)

func pieceKey(rel string, first, end int64) string {
	return fmt.Sprintf("%s/%012d-%012d", rel, first, end)
}

// piece is a part of a file of records.
type piece struct {
	key        string
	first, end int64
}

// parsePiece reads a key below out/.
func parsePiece(rel string, i object.Info) (file string, p piece, ok bool) {
	m := pieceOf.FindStringSubmatch(rel)
	if m == nil {
		return "", p, false
	}
	first, err1 := strconv.ParseInt(m[2], 10, 64)
	end, err2 := strconv.ParseInt(m[3], 10, 64)
	p = piece{i.Key, first, end}
	return m[1], p, err1 == nil && err2 == nil && end-first == i.Size
}

// reach is the piece that goes on from offset, and goes on furthest.
func reach(ps []piece, offset int64) (best piece, ok bool) {
	for _, p := range ps {
		if p.first <= offset && p.end > max(offset, best.end) {
			best, ok = p, true
		}
	}
	return best, ok
}

// tail reads the bytes of a file of records from offset on, as far as there
// is no gap. A piece that is gone was replaced by a longer one: the error is
// object.ErrNotExist then, and the list is to be made anew.
func tail(ctx context.Context, b object.Bucket, ps []piece, offset int64, yield func([]byte) error) error {
	for {
		p, ok := reach(ps, offset)
		if !ok {
			return nil
		}
		data, err := get(ctx, b, p.key, offset-p.first)
		if err != nil {
			return err
		}
		if int64(len(data)) != p.end-offset {
			return fmt.Errorf("object %s does not have the size that its name says", p.key)
		}
		if err := yield(data); err != nil {
			return err
		}
		offset = p.end
	}
}

// relist does f again when an object of its list was gone, replaced by another.
func relist(f func() error) error {
	for n := 1; ; n++ {
		if err := f(); !object.NotExist(err) || n == 5 {
			return err
		}
	}
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

// openFile opens a file that is to be uploaded as it is now.
func openFile(p string) (*os.File, fs.FileInfo, error) {
	f, err := os.Open(p)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, st, nil
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
