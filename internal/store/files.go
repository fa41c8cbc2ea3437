package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// RecordFiles are the files in which a worker looks for answers to a dataset
// that are there already, relative to the run, with slashes: for workers that
// do not see the run's folder.
func (r *Run) RecordFiles(modelAbbr, dataset string) ([]string, error) {
	if err := errors.Join(checkAbbr("model", modelAbbr), checkAbbr("dataset", dataset)); err != nil {
		return nil, err
	}
	paths, err := r.recordFiles(modelAbbr, dataset)
	if err != nil {
		return nil, err
	}
	return r.relative(paths)
}

// ScoreFiles are the files from which a dataset's predictions are read to be
// scored, and its result where there is one, as RecordFiles.
func (r *Run) ScoreFiles(modelAbbr, dataset string) ([]string, error) {
	if err := errors.Join(checkAbbr("model", modelAbbr), checkAbbr("dataset", dataset)); err != nil {
		return nil, err
	}
	var paths []string
	records, err := r.recordFiles(modelAbbr, dataset)
	if err != nil {
		return nil, err
	}
	for _, p := range records {
		if !r.isSuperseded(p) {
			paths = append(paths, p)
		}
	}
	candidates := []string{r.PredictionsPath(modelAbbr, dataset), r.statementPath("predictions", modelAbbr, dataset)}
	if len(paths) == 0 { // what OpenCompass leaves
		dir, base := filepath.Split(r.PredictionsPath(modelAbbr, dataset))
		base = strings.TrimSuffix(base, ".json")
		ents, err := r.fs.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list predictions: %w", err)
		}
		for _, e := range ents {
			name := strings.TrimPrefix(e.Name(), "tmp_")
			if strings.HasPrefix(name, base+"_") || name == base+".jsonl" {
				candidates = append(candidates, filepath.Join(dir, e.Name()))
			}
		}
	}
	if _, err := r.fs.Stat(r.ResultsPath(modelAbbr, dataset)); err == nil {
		candidates = append(candidates, r.ResultsPath(modelAbbr, dataset), r.statementPath("results", modelAbbr, dataset))
	}
	for _, p := range candidates {
		st, err := r.fs.Stat(p)
		if errors.Is(err, fs.ErrNotExist) || err == nil && (st.IsDir() || st.Size() == 0) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list files of %s/%s: %w", modelAbbr, dataset, err)
		}
		paths = append(paths, p)
	}
	return r.relative(paths)
}

func (r *Run) relative(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		rel, err := filepath.Rel(r.dir, p)
		if err != nil {
			return nil, err
		}
		out = append(out, filepath.ToSlash(rel))
	}
	return out, nil
}
