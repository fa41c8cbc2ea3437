// Package hub finds the folder of a model that a config names: a folder on
// disk, the model embedded in the program, or a repository of a Hugging Face
// hub, downloaded on first use into the hub's own cache.
//
// The cache has the layout that huggingface_hub writes, so that both share
// what they downloaded:
//
//	models--org--name/refs/main               the commit of a revision
//	models--org--name/snapshots/<commit>/     links into blobs
//	models--org--name/blobs/<etag>            files by content
//	models--org--name/.no_exist/<commit>/     files that the repository lacks
//
// A model that is cached whole is used without asking the network; Refresh
// asks. Only what an evaluation needs is downloaded: config, tokenizer,
// weights (safetensors before pytorch_model.bin). A download that broke is
// taken up where it stopped; a file gets its name only after its checksum was
// right. The token is sent to the hub's own host only and never logged.
//
// Not here: uploads, data sets, reading the files (checkpoint, tokenizer).
//
// Environment: HF_HOME, HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, XDG_CACHE_HOME,
// HF_ENDPOINT, HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH,
// HF_HUB_DISABLE_IMPLICIT_TOKEN, HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE, read
// through Options.Getenv.
package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"sextant/internal/model/demo"
)

// Options say what Resolve may use. The zero value has no home folder and no
// environment: it finds folders and the embedded model, and asks the public
// hub for all else with a cache in the current folder's .cache.
type Options struct {
	Getenv   func(string) string // nil: an empty environment
	HomeDir  string              // where ~/.cache lies
	Offline  bool                // never use the network
	Refresh  bool                // ask the hub for a newer commit even when cached whole
	Revision string              // branch, tag or commit; "" is main

	Client   *http.Client // nil: a client of its own, which honours proxies
	Log      *slog.Logger // nil: nothing is logged
	Progress func(Progress)
	// Attempts bounds how often a transfer is tried without getting any
	// further; 0 means 5.
	Attempts int
	// Sleep waits between attempts; nil waits for real.
	Sleep func(context.Context, time.Duration) error
}

// Progress of a download. It is called from one goroutine.
type Progress struct {
	Repo, File  string
	Done, Total int64 // bytes; Total is -1 when not known
}

// Where a model was found.
const (
	FromPath     = "path"
	FromEmbedded = "embedded"
	FromCache    = "cache"
	FromDownload = "download"
)

// Model is a model folder.
type Model struct {
	Name   string // as asked for
	Source string // FromPath, FromEmbedded, FromCache, FromDownload
	FS     fs.FS
	Dir    string // on disk; "" for the embedded model
	Commit string // of a hub repository, else ""
}

// Error is a model that could not be had. Hint says what to do.
type Error struct {
	Name string
	Msg  string
	Hint string
	Err  error
}

func (e *Error) Error() string {
	s := fmt.Sprintf("model %q: %s", e.Name, e.Msg)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// repoID is what the hub takes for the name of a repository.
var repoID = regexp.MustCompile(`^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,95}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}$`)

// Resolve finds the folder of the model called name: a folder of that path,
// else the embedded model, else the hub repository of that id.
func Resolve(ctx context.Context, name string, o Options) (*Model, error) {
	if name == "" {
		return nil, &Error{Name: name, Msg: "the name is empty"}
	}
	st, err := os.Stat(name)
	switch {
	case err == nil && st.IsDir():
		return localFolder(name)
	case err == nil:
		return nil, &Error{Name: name, Msg: "this is a file, not a model folder", Hint: "name the folder that holds config.json and the weights"}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, &Error{Name: name, Msg: "cannot look into the folder", Err: unwrapPath(err)}
	}
	if name == demo.Name {
		return &Model{Name: name, Source: FromEmbedded, FS: demo.FS()}, nil
	}
	if !repoID.MatchString(name) || strings.Contains(name, "..") || strings.Contains(name, "--") {
		return nil, &Error{Name: name, Msg: "no such folder, and not the id of a hub repository", Hint: "an id has the form organisation/name"}
	}
	r, err := newRepo(name, o)
	if err != nil {
		return nil, err
	}
	return r.resolve(ctx)
}

func unwrapPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func localFolder(dir string) (*Model, error) {
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
		e := &Error{Name: dir, Msg: "not a model folder: no config.json in it", Hint: "a model folder holds config.json, weights and a tokenizer"}
		if !errors.Is(err, fs.ErrNotExist) {
			e.Msg, e.Err = "cannot read config.json", unwrapPath(err)
			return nil, e
		}
		if names := listDir(dir); len(names) > 0 {
			e.Msg += "; found " + strings.Join(names, ", ")
		}
		if _, err := os.Stat(filepath.Join(dir, "snapshots")); err == nil {
			e.Hint = "this is a repository of the hub's cache; name one of the folders in snapshots, or the repository's id"
		}
		return nil, e
	}
	return &Model{Name: dir, Source: FromPath, FS: os.DirFS(dir), Dir: dir}, nil
}

// listDir names up to a dozen entries of dir.
func listDir(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if len(out) == 12 {
			return append(out, "…")
		}
		out = append(out, e.Name())
	}
	return out
}

// env reads the settings of the environment.
type env struct {
	getenv func(string) string
	home   string
}

func (e env) first(names ...string) string {
	for _, n := range names {
		if v := e.getenv(n); v != "" {
			return v
		}
	}
	return ""
}

func (e env) flag(name string) bool {
	switch strings.ToUpper(e.getenv(name)) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// path expands a leading ~.
func (e env) path(p string) string {
	if p == "~" || strings.HasPrefix(p, "~/") {
		return filepath.Join(e.home, p[1:])
	}
	return p
}

// hfHome is where huggingface_hub keeps its things.
func (e env) hfHome() string {
	if d := e.getenv("HF_HOME"); d != "" {
		return e.path(d)
	}
	if d := e.getenv("XDG_CACHE_HOME"); d != "" {
		return filepath.Join(e.path(d), "huggingface")
	}
	return filepath.Join(e.home, ".cache", "huggingface")
}

// CacheDir is the folder of the hub's cache in that environment.
func CacheDir(getenv func(string) string, home string) string {
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	e := env{getenv, home}
	if d := e.first("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"); d != "" {
		return e.path(d)
	}
	return filepath.Join(e.hfHome(), "hub")
}

// token is the access token, "" for none.
func (e env) token() secret {
	if t := e.first("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"); t != "" {
		return secret(strings.TrimSpace(t))
	}
	if e.flag("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
		return ""
	}
	p := e.getenv("HF_TOKEN_PATH")
	if p == "" {
		p = filepath.Join(e.hfHome(), "token")
	}
	b, err := os.ReadFile(e.path(p))
	if err != nil {
		return ""
	}
	return secret(strings.TrimSpace(string(b)))
}

// secret prints as stars wherever it is printed.
type secret string

func (secret) String() string       { return "***" }
func (secret) GoString() string     { return "***" }
func (secret) LogValue() slog.Value { return slog.StringValue("***") }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// backOff is the wait before attempt n (from 1): doubling, half of it random.
func backOff(n int) time.Duration {
	d := min(time.Second<<min(n-1, 5), 30*time.Second)
	return d/2 + time.Duration(rand.Int64N(int64(d/2)+1))
}
