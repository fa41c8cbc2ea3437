package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strconv"

	"sextant/internal/py"
)

// ImportPredictions writes predictions/<model>/<dataset>.json of records made
// elsewhere: each one whole JSON object, in row order. The run then holds them
// as it holds those of OpenCompass, without records of its own. digest is what
// Predictions calls them by.
func (r *Run) ImportPredictions(modelAbbr, dataset string, recs iter.Seq2[[]byte, error]) (digest string, err error) {
	if err := errors.Join(checkAbbr("model", modelAbbr), checkAbbr("dataset", dataset)); err != nil {
		return "", err
	}
	a, err := r.create(r.PredictionsPath(modelAbbr, dataset))
	if err != nil {
		return "", err
	}
	defer a.Abort()
	out := []byte{'{'}
	i := 0
	for rec, err := range recs {
		if err != nil {
			return "", err
		}
		if end, ok := eachMember(rec, nil); !ok || len(bytes.TrimSpace(rec[end:])) > 0 {
			return "", fmt.Errorf("record %d is not a whole JSON object", i)
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, "\n    \""...)
		out = strconv.AppendInt(out, int64(i), 10)
		out = append(out, "\": "...)
		out = appendIndented(out, rec, 1)
		if _, err := a.Write(out); err != nil {
			return "", ioError("write", a.dst, err)
		}
		out = out[:0]
		i++
	}
	if i > 0 {
		out = append(out, '\n')
	}
	a.Write(append(out, '}')) // its error comes back from Commit
	return a.Digest(), a.Commit(true)
}

// ImportResult writes results/<model>/<dataset>.json of a result made
// elsewhere, without a statement: what it was made from is not known here.
func (r *Run) ImportResult(modelAbbr, dataset string, v *py.Dict) error {
	a, err := r.stageResult(modelAbbr, dataset, v)
	if err != nil {
		return err
	}
	defer a.Abort()
	if err := r.fs.Remove(r.statementPath("results", modelAbbr, dataset)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ioError("replace", a.dst, err)
	}
	return a.Commit(false)
}
