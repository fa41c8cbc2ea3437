package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sextant/internal/model/checkpoint"
)

// repo is one repository of a hub with its place in the cache.
type repo struct {
	o        Options
	id       string
	revision string
	endpoint *url.URL
	token    secret
	offline  bool
	dir      string // models--org--name in the cache
	client   *http.Client
	log      *slog.Logger
}

var commitID = regexp.MustCompile(`^[0-9a-f]{40}$`)

func newRepo(id string, o Options) (*repo, error) {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Attempts == 0 {
		o.Attempts = 5
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	e := env{o.Getenv, o.HomeDir}
	r := &repo{o: o, id: id, revision: o.Revision, log: o.Log, token: e.token()}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.revision == "" {
		r.revision = "main"
	}
	if !fs.ValidPath(r.revision) || r.revision == "." || strings.ContainsAny(r.revision, "\\:?#%") {
		return nil, &Error{Name: id, Msg: fmt.Sprintf("the revision %q is not a branch, tag or commit", r.revision)}
	}
	base := o.Getenv("HF_ENDPOINT")
	if base == "" {
		base = "https://huggingface.co"
	}
	u, err := url.Parse(strings.TrimRight(base, "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &Error{Name: id, Msg: fmt.Sprintf("HF_ENDPOINT %q is not a web address", base), Hint: "for example https://hf-mirror.com"}
	}
	r.endpoint = u
	r.offline = o.Offline || e.flag("HF_HUB_OFFLINE") || e.flag("TRANSFORMERS_OFFLINE")
	r.dir = filepath.Join(CacheDir(o.Getenv, o.HomeDir), "models--"+strings.ReplaceAll(id, "/", "--"))
	c := http.Client{}
	if o.Client != nil {
		c = *o.Client
	}
	// redirects are followed by hand, so that the token stays with the hub
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r.client = &c
	return r, nil
}

func (r *repo) errorf(hint string, err error, format string, args ...any) *Error {
	return &Error{Name: r.id, Msg: fmt.Sprintf(format, args...), Hint: hint, Err: err}
}

func (r *repo) resolve(ctx context.Context) (*Model, error) {
	commit := r.cachedCommit()
	var missing, optional []string
	if commit != "" {
		missing, optional = r.missing(commit)
	} else {
		missing = []string{"config.json", "weights", "tokenizer"}
	}
	if len(missing) == 0 && (r.offline || len(optional) == 0 && !r.o.Refresh) {
		if len(optional) > 0 {
			r.log.Warn("cached model may lack files that the hub has", "model", r.id, "files", optional)
		}
		return r.model(commit, FromCache), nil
	}
	if r.offline {
		where := filepath.Join(r.dir, "snapshots", commit)
		if commit == "" {
			where = r.dir
		}
		hint := "run once with the network on, or copy the cache folder from a machine that has it; HF_HOME or HF_HUB_CACHE say where it lies"
		return nil, r.errorf(hint, nil, "not in the cache, and the network is off: looked in %s for revision %s; missing: %s",
			where, r.revision, strings.Join(missing, ", "))
	}
	whole := len(missing) == 0 && !r.o.Refresh
	if whole {
		r.o.Attempts = 1 // only to see whether the hub has more
	}
	cached := commit
	rev := r.revision
	if whole {
		rev = commit // a newer one is for Refresh
	}
	commit, fetched, err := r.download(ctx, rev)
	if err != nil && whole && ctx.Err() == nil {
		r.log.Warn("could not ask the hub for files that may be missing, using the cache", "model", r.id, "files", optional, "error", err)
		return r.model(cached, FromCache), nil
	}
	if err != nil {
		return nil, err
	}
	if missing, _ := r.missing(commit); len(missing) > 0 {
		return nil, r.errorf("", nil, "downloaded, but still missing: %s", strings.Join(missing, ", "))
	}
	if fetched == 0 {
		return r.model(commit, FromCache), nil
	}
	return r.model(commit, FromDownload), nil
}

func (r *repo) model(commit, source string) *Model {
	dir := r.snapshot(commit)
	return &Model{Name: r.id, Source: source, FS: os.DirFS(dir), Dir: dir, Commit: commit}
}

func (r *repo) snapshot(commit string) string { return filepath.Join(r.dir, "snapshots", commit) }

// cachedCommit is the commit that the cache has for the revision, or "".
func (r *repo) cachedCommit() string {
	commit := r.revision
	if !commitID.MatchString(commit) {
		b, err := os.ReadFile(filepath.Join(r.dir, "refs", filepath.FromSlash(r.revision)))
		if err != nil {
			return ""
		}
		commit = strings.TrimSpace(string(b))
		if !commitID.MatchString(commit) {
			return ""
		}
	}
	if st, err := os.Stat(r.snapshot(commit)); err != nil || !st.IsDir() {
		return ""
	}
	return commit
}

// settingsFiles change what the model computes or how text becomes tokens;
// a repository may lack any of them.
var settingsFiles = []string{"tokenizer_config.json", "special_tokens_map.json", "generation_config.json"}

// missing lists what the snapshot lacks: files that a model must have, and
// files that the repository may have but nobody knows.
func (r *repo) missing(commit string) (must, may []string) {
	dir := r.snapshot(commit)
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	if !has("config.json") {
		must = append(must, "config.json")
	}
	files, err := checkpoint.WeightFiles(os.DirFS(dir))
	if err != nil {
		must = append(must, "weights (model.safetensors or pytorch_model.bin)")
	}
	for _, f := range files {
		if !has(f) {
			must = append(must, f)
		}
	}
	if !has("tokenizer.json") && !(has("vocab.json") && has("merges.txt")) && !has("tokenizer.model") && !has("vocab.txt") {
		must = append(must, "tokenizer (tokenizer.json, or vocab.json with merges.txt)")
	}
	for _, f := range settingsFiles {
		if has(f) {
			continue
		}
		if _, err := os.Stat(filepath.Join(r.dir, ".no_exist", commit, f)); err != nil {
			may = append(may, f)
		}
	}
	return must, may
}

// sibling is a file of the repository as its listing has it.
type sibling struct {
	Name string `json:"rfilename"`
}

type listing struct {
	Commit   string    `json:"sha"`
	Siblings []sibling `json:"siblings"`
}

// download brings the snapshot of rev up to date and says how many files came
// over the network.
func (r *repo) download(ctx context.Context, rev string) (commit string, fetched int, err error) {
	l, err := r.list(ctx, rev)
	if err != nil {
		return "", 0, err
	}
	if !commitID.MatchString(l.Commit) {
		return "", 0, r.errorf("", nil, "%s gave no commit for revision %s", r.endpoint.Host, rev)
	}
	have := map[string]bool{}
	for _, s := range l.Siblings {
		have[s.Name] = true
	}
	names, err := r.wanted(have)
	if err != nil {
		return "", 0, err
	}
	r.log.Info("download model", "model", r.id, "commit", l.Commit, "from", r.endpoint.Host)
	get := func(names ...string) error {
		for _, n := range names {
			if !have[n] {
				return r.errorf("", nil, "the repository lacks %s, which its index names", n)
			}
			new, err := r.file(ctx, l.Commit, n)
			if err != nil {
				return err
			}
			if new {
				fetched++
			}
		}
		return nil
	}
	if err := get(names...); err != nil {
		return "", fetched, err
	}
	for _, n := range names {
		if !strings.HasSuffix(n, ".index.json") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(r.snapshot(l.Commit), n))
		if err != nil {
			return "", fetched, r.errorf("", unwrapPath(err), "cannot read %s", n)
		}
		_, shards, err := checkpoint.ParseIndex(b)
		if err != nil {
			return "", fetched, r.errorf("", err, "%s is broken", n)
		}
		if err := get(shards...); err != nil {
			return "", fetched, err
		}
	}
	for _, n := range settingsFiles {
		if !have[n] {
			_ = writeFile(filepath.Join(r.dir, ".no_exist", l.Commit, n), nil) // a hint for next time
		}
	}
	if !commitID.MatchString(rev) {
		p := filepath.Join(r.dir, "refs", filepath.FromSlash(rev))
		if err := writeFile(p, []byte(l.Commit)); err != nil {
			return "", fetched, r.errorf("", err, "cannot write to the cache")
		}
	}
	return l.Commit, fetched, nil
}

// wanted chooses from the files of a repository: config, tokenizer, and the
// weights or their index.
func (r *repo) wanted(have map[string]bool) ([]string, error) {
	if !have["config.json"] {
		return nil, r.errorf("a model for evaluation is a repository with config.json, weights and a tokenizer", nil,
			"the repository is not a model in the transformers format: it has no config.json")
	}
	names := []string{"config.json"}
	add := func(all ...string) {
		for _, n := range all {
			if have[n] {
				names = append(names, n)
			}
		}
	}
	add(settingsFiles...)
	add("added_tokens.json", "chat_template.jinja")
	if have["tokenizer.json"] {
		add("tokenizer.json")
	} else {
		add("vocab.json", "merges.txt", "vocab.txt", "tokenizer.model")
	}
	for _, n := range []string{"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"} {
		if have[n] {
			return append(names, n), nil
		}
	}
	var other []string
	for n := range have {
		switch filepath.Ext(n) {
		case ".gguf", ".h5", ".msgpack", ".onnx", ".pth", ".pt", ".bin", ".safetensors":
			other = append(other, n)
		}
	}
	slices.Sort(other)
	msg := "the repository has no weights that can be read (model.safetensors or pytorch_model.bin)"
	if len(other) > 0 {
		msg += "; it has " + strings.Join(other[:min(len(other), 8)], ", ")
	}
	hint := ""
	if have["adapter_config.json"] {
		hint = "this is an adapter (LoRA); merge it into its base model first"
	}
	return nil, r.errorf(hint, nil, "%s", msg)
}

// writeFile writes aside and renames; folders are made.
func writeFile(path string, b []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
