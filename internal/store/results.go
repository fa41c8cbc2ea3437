package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"sextant/internal/py"
)

// Counts says what became of the rows of a dataset; Total = Scored + Unscored
// + Failed. It converts from evaluator.Counts.
type Counts struct {
	Total    int `json:"total"`
	Scored   int `json:"scored"`
	Unscored int `json:"unscored"`
	Failed   int `json:"failed"`
}

// ResultMeta is what a result was made from and what its metrics do not say.
// It stands in state/results/<model>/<dataset>.json, so that the results file
// itself has OpenCompass's shape and nothing else.
type ResultMeta struct {
	V           int    `json:"v"`
	Predictions string `json:"predictions"` // Predictions.Digest
	Eval        string `json:"eval"`        // hash of all else: eval_cfg, postprocessors, references, evaluator version
	Counts      Counts `json:"counts"`
	// Judged rows have been judged right or wrong one by one, Correct of them
	// right; the confidence interval comes from these. 0 for other metrics.
	Judged  int    `json:"judged,omitempty"`
	Correct int    `json:"correct,omitempty"`
	Result  digest `json:"result"` // the results file; set by WriteResult
}

var resultJSON = py.JSONOptions{Indent: 4}

// WriteResult writes results/<model>/<dataset>.json in OpenCompass's shape
// (metrics first, details last, as v has them) and the statement beside it. A
// kill in between leaves no result rather than one whose origin is not known:
// the old file goes first, and the new one comes after its statement.
func (r *Run) WriteResult(modelAbbr, dataset string, v *py.Dict, m ResultMeta) error {
	a, err := r.stageResult(modelAbbr, dataset, v)
	if err != nil {
		return err
	}
	defer a.Abort()
	m.V, m.Result = Version, digest{Size: a.size, SHA256: a.Digest()}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode statement: %w", err)
	}
	if err := r.fs.Remove(a.dst); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ioError("replace", a.dst, err)
	}
	if err := r.writeAbs(r.statementPath("results", modelAbbr, dataset), append(b, '\n')); err != nil {
		return err
	}
	return a.Commit(false)
}

// stageResult writes a result beside the place that Commit will put it in.
func (r *Run) stageResult(modelAbbr, dataset string, v *py.Dict) (*atomicFile, error) {
	if err := errors.Join(checkAbbr("model", modelAbbr), checkAbbr("dataset", dataset)); err != nil {
		return nil, err
	}
	a, err := r.create(r.ResultsPath(modelAbbr, dataset))
	if err != nil {
		return nil, err
	}
	if err := py.WriteJSON(a, v, resultJSON); err != nil {
		a.Abort()
		return nil, ioError("write", a.dst, err)
	}
	return a, nil
}

// ResultMeta reads the statement of a result. ok is false when there is none
// for the file as it is: OpenCompass wrote it, or somebody edited it.
func (r *Run) ResultMeta(modelAbbr, dataset string) (m ResultMeta, ok bool) {
	b, err := r.readFile(r.statementPath("results", modelAbbr, dataset))
	if err != nil || json.Unmarshal(b, &m) != nil || m.V != Version {
		return ResultMeta{}, false
	}
	if r.size(r.ResultsPath(modelAbbr, dataset)) != m.Result.Size {
		return ResultMeta{}, false
	}
	return m, true
}

// Result reads results/<model>/<dataset>.json. The error is fs.ErrNotExist
// when there is none.
func (r *Run) Result(modelAbbr, dataset string) (*py.Dict, error) {
	path := r.ResultsPath(modelAbbr, dataset)
	b, err := r.readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	v, err := py.LoadJSON(b)
	if err != nil {
		return nil, fmt.Errorf("read results %s: %w", path, err)
	}
	d, ok := v.(*py.Dict)
	if !ok {
		return nil, fmt.Errorf("read results %s: a %s, not an object", path, py.TypeName(v))
	}
	return d, nil
}

// ResultDone reports whether the result of a dataset was made from these
// predictions and this evaluation; if not, changed says which of the two
// differ. A result file without a statement of ours counts as done, and
// foreign says so: it is somebody's, and what it was made from is not known.
func (r *Run) ResultDone(modelAbbr, dataset string, want ResultMeta) (done, foreign bool, changed []string, err error) {
	path := r.ResultsPath(modelAbbr, dataset)
	if _, err := r.fs.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, false, nil, nil
		}
		return false, false, nil, fmt.Errorf("read results: %w", err)
	}
	m, ok := r.ResultMeta(modelAbbr, dataset)
	if !ok {
		if r.looksWhole(path) {
			return true, true, nil, nil
		}
		return false, false, []string{"results file is damaged"}, nil
	}
	if m.Predictions != want.Predictions {
		changed = append(changed, "predictions")
	}
	if m.Eval != want.Eval {
		changed = append(changed, "evaluation")
	}
	return len(changed) == 0, false, changed, nil
}
