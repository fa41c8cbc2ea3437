//go:build engine && cgo

package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"

	"sextant/internal/model"
	"sextant/internal/model/checkpoint"
	"sextant/internal/model/engine/compute"
	"sextant/internal/model/tokenizer"
)

// Built says whether this binary can compute.
const Built = true

// BuildInfo says how the engine's kernels were compiled and which instruction
// set they use on this machine ("avx512", "avx2", "generic").
func BuildInfo() (optimised bool, isa string) {
	d, err := compute.Open("")
	if err != nil {
		return compute.Optimized, ""
	}
	return compute.Optimized, d.ISA()
}

func open(ctx context.Context, o options, env model.Env) (model.Model, error) {
	folder, err := resolve(ctx, o.path, o.revision, env)
	if err != nil {
		return nil, err
	}
	tokFolder := folder
	if o.tokenizerPath != "" && o.tokenizerPath != o.path {
		if tokFolder, err = resolve(ctx, o.tokenizerPath, "", env); err != nil {
			return nil, err
		}
	}
	// The hash is computed beside the loading and is seldom waited for.
	var hash string
	var hashErr error
	var hashing sync.WaitGroup
	hashing.Go(func() {
		hash, hashErr = weightHash(ctx, folder, env)
	})
	defer hashing.Wait()
	isa := ""
	if env.Getenv != nil {
		isa = env.Getenv("SEXTANT_ISA")
	}
	dev, err := compute.Open(isa)
	if err != nil {
		e := &model.EndpointError{Err: fmt.Errorf("start the inference engine: %w", err)}
		if isa != "" {
			e.Hint = "unset SEXTANT_ISA: the best instruction set is chosen by itself"
		}
		return nil, e
	}
	m, err := openFolder(o, folder.FS, tokFolder.FS, dev, env.Threads)
	if err != nil {
		return nil, err
	}
	if hashing.Wait(); hashErr != nil {
		m.Close()
		return nil, loadError(o.path, hashErr)
	}
	var other *tokenizer.Tokenizer
	if tokFolder != folder {
		other = m.tok.(*tokenizer.Tokenizer)
	}
	m.identity = identityOf(o, hash, other)
	m.log = env.Log
	if env.Log != nil {
		env.Log.Debug("model loaded", "path", o.path, "instructions", dev.ISA(), "positions", m.positions, "vocabulary", m.vocab)
		if !compute.Optimized {
			env.Log.Warn("the engine was built without optimisation and is slow; build it with `make build`")
		}
	}
	return m, nil
}

// openFolder loads weights and tokenizer at the same time and starts the
// workers.
func openFolder(o options, folder, tokFolder fs.FS, dev *compute.Device, threads int) (*Model, error) {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	var tok *tokenizer.Tokenizer
	var tokErr error
	var wg sync.WaitGroup
	wg.Go(func() { tok, tokErr = tokenizer.Load(tokFolder) })
	defer wg.Wait()

	cp, err := checkpoint.Open(folder)
	if err != nil {
		return nil, loadError(o.path, err)
	}
	defer cp.Close()
	c := newConfig(cp.Config)
	net, weights, err := loadNetwork(c, cp, dev)
	if err != nil {
		return nil, loadError(o.path, err)
	}
	m, err := newModel(o, net, weights.state.bytes, dev, threads)
	if err != nil {
		weights.free()
		return nil, loadError(o.path, err)
	}
	m.free = weights.free
	wg.Wait()
	if tokErr != nil {
		m.Close()
		return nil, loadError(o.path, tokErr)
	}
	m.tok = tok
	if n := tok.VocabSize(); n > m.vocab {
		if known := lastFitting(tok, m.vocab); !known {
			m.Close()
			return nil, &model.EndpointError{
				Err:  fmt.Errorf("load model %s: the tokenizer has ids up to %d, the weights have rows for %d", o.path, n-1, m.vocab),
				Hint: "tokenizer and weights do not belong together; check tokenizer_path and vocab_size in config.json",
			}
		}
	}
	m.setTokens(cp, tok)
	return m, nil
}

// lastFitting says whether all ids that the weights have no row for are
// special tokens: those occur in no text unless somebody spells them out, and
// then the sample fails.
func lastFitting(tok *tokenizer.Tokenizer, vocab int) bool {
	for id := vocab; id < tok.VocabSize(); id++ {
		if _, ok := tok.Token(int32(id)); ok && !tok.IsSpecial(int32(id)) {
			return false
		}
	}
	return true
}

// loadError says which model could not be loaded, and what to do.
func loadError(path string, err error) error {
	e := &model.EndpointError{Err: fmt.Errorf("load model %s: %w", path, err)}
	var none *checkpoint.NoWeightsError
	var cut *checkpoint.TruncatedError
	var noTok *tokenizer.NotFoundError
	switch {
	case errors.As(err, &none):
		e.Hint = "a model folder holds model.safetensors, its shards with an index, or pytorch_model.bin"
	case errors.As(err, &cut):
		e.Hint = "the download or copy was not finished; fetch the file again"
	case errors.As(err, &noTok):
		e.Hint = "name the folder of the tokenizer with tokenizer_path"
	case errors.Is(err, fs.ErrNotExist):
		e.Hint = "a model folder holds config.json, weights and a tokenizer"
	}
	return e
}

// wideBytes of weights make threads that share one batch faster than one
// thread: they wait for each other after every operation.
const wideBytes = 64 << 20

// newModel starts the workers over a loaded network.
func newModel(o options, net network, weightBytes int64, dev *compute.Device, threads int) (*Model, error) {
	sh := net.shape()
	m := &Model{opts: o, vocab: sh.vocab, positions: sh.positions, maxSeqLen: o.maxSeqLen, padded: sh.padding}
	if m.maxSeqLen == 0 {
		m.maxSeqLen = sh.positions
	}
	var passes []pass
	for range threads {
		g, err := dev.NewGraph(sh.nodes)
		if err != nil {
			for _, p := range passes {
				p.close()
			}
			return nil, err
		}
		passes = append(passes, &graphPass{g, net, sh})
	}
	m.sched = newScheduler(limits{
		vocab: sh.vocab, padID: -1, positions: sh.positions, wide: weightBytes >= wideBytes,
		tokenCost: int64(sh.layers) * int64(sh.kvWidth) * 8, memory: 2 << 30,
	}, passes)
	return m, nil
}

// setTokens settles which tokens pad and end.
func (m *Model) setTokens(cp *checkpoint.Checkpoint, tok *tokenizer.Tokenizer) {
	gen := cp.GenerationConfig
	sp := tok.Special()
	m.padID = sp.PAD
	if m.padID == tokenizer.NoID {
		m.padID = sp.EOS
	}
	if p := m.opts.padID; p != nil {
		if m.padID = int32(*p); *p < 0 {
			m.padID += int32(tok.VocabSize())
		}
	}
	m.hasPad = m.padID >= 0 && int(m.padID) < m.vocab
	if m.hasPad {
		m.sched.padID = m.padID // no request has come yet
	}
	if m.eos = m.opts.eos; m.eos == nil { // the config's take the place of the model's
		m.eos = ids(gen, "eos_token_id")
	}
	if m.eos == nil {
		m.eos = ids(cp.Config, "eos_token_id")
	}
	if p, ok := gen.Get("repetition_penalty").(float64); ok && p > 0 && m.opts.choose.penalty == 1 {
		m.opts.choose.penalty = p
	}
}

// graphPass computes batches with a graph of its own.
type graphPass struct {
	g   *compute.Graph
	net network
	sh  shape
}

func (p *graphPass) compute(b *compute.Batch, threads int) error {
	p.g.Begin(b)
	p.net.forward(p.g)
	return p.g.Compute(threads)
}

func (p *graphPass) newBlock(tokens int) (*compute.Block, error) {
	return compute.NewBlock(p.sh.layers, p.sh.kvWidth, tokens)
}

func (p *graphPass) close() { p.g.Free() }
