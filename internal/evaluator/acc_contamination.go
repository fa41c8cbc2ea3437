package evaluator

import (
	"strings"

	"sextant/internal/py"
)

func init() {
	Classes.Register(Class{New: simple("", accContamination), Rows: true}, "AccContaminationEvaluator")
}

// accContamination is accuracy by how far a row is known to be in training
// data: the rows' column is_clean. Rows that say neither count nowhere; no
// rows of a kind give NaN.
func accContamination(in Input) (Result, error) {
	kinds := []string{"clean", "input contamination", "input-and-label contamination"}
	parts := map[string]*Input{}
	for _, k := range kinds {
		parts[k] = &Input{}
	}
	for i, row := range in.Rows {
		if i >= len(in.Predictions) || i >= len(in.References) {
			break
		}
		if p := parts[row.Str("is_clean")]; p != nil {
			p.Predictions = append(p.Predictions, in.Predictions[i])
			p.References = append(p.References, in.References[i])
		}
	}
	m := py.NewDict()
	for _, k := range kinds {
		right, err := equalAsText(*parts[k])
		if err != nil {
			return Result{}, err
		}
		m.Set("accuracy - "+strings.Replace(k, "contamination", "contaminated", 1), share(right)*100)
	}
	return Result{Metrics: m}, nil
}
