package evaluator

import (
	"sort"

	"sextant/internal/py"
)

func init() {
	Classes.Register(Class{New: simple(lengthsDot, aucROC)}, "AUCROCEvaluator")
}

// aucROC takes predictions that are probabilities of the choices: the area
// under the ROC curve of the second choice's, and the accuracy of the most
// probable choice, each times 100.
func aucROC(in Input) (Result, error) {
	n := len(in.Predictions)
	score, label := make([]float64, n), make([]float64, n)
	right := make([]bool, n)
	width, numbers := 0, 0
	for i, v := range in.Predictions {
		l, ok := v.(*py.List)
		if !ok {
			return Result{}, py.Errorf("TypeError", "prediction %d must be a list of probabilities, not %s", i, py.TypeName(v))
		}
		if l.Len() < 2 {
			return Result{}, py.Errorf("IndexError", "prediction %d has %d probabilities, fewer than two", i, l.Len())
		}
		best := 0
		var probs []float64
		for k, it := range l.Items {
			p, ok := number(it)
			if !ok {
				return Result{}, py.Errorf("TypeError", "probability %d of prediction %d is %s, not a number", k, i, py.TypeName(it))
			}
			probs = append(probs, p)
			if p > probs[best] {
				best = k
			}
		}
		score[i] = probs[1]
		width = l.Len()
		if f, ok := number(in.References[i]); ok {
			label[i], right[i] = f, float64(best) == f
			numbers++
		}
	}
	if n == 0 || width < 2 {
		return Result{}, py.Errorf("IndexError", "there are no rows")
	}
	switch numbers {
	case n:
	case 0: // labels that are text are in their own order, and equal to no index
		for i, r := range in.References {
			for _, s := range in.References {
				if py.Str(s) < py.Str(r) {
					label[i]++
				}
			}
		}
	default:
		return Result{}, py.Errorf("ValueError", "the references mix numbers and texts")
	}
	classes := map[float64]bool{}
	pos := label[0]
	for _, l := range label {
		classes[l] = true
		pos = max(pos, l)
	}
	if len(classes) != 2 {
		return Result{}, py.Errorf("ValueError", "the area under the ROC curve needs references of two classes, not %d", len(classes))
	}
	return Result{Metrics: py.DictOf("auc_score", rocArea(score, label, pos)*100, "accuracy", share(right)*100), Correct: right}, nil
}

// rocArea is the trapezoid area under the ROC curve.
func rocArea(score, label []float64, pos float64) float64 {
	order := make([]int, len(score))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return score[order[a]] > score[order[b]] })
	var tp, fp, area, lastTP, lastFP float64
	var pts [][2]float64
	for k, i := range order {
		if label[i] == pos {
			tp++
		} else {
			fp++
		}
		if k+1 == len(order) || score[order[k+1]] != score[i] {
			pts = append(pts, [2]float64{fp, tp})
		}
	}
	for _, p := range pts {
		area += (p[0]/fp - lastFP) * (p[1]/tp + lastTP) / 2
		lastFP, lastTP = p[0]/fp, p[1]/tp
	}
	return area
}
