package summary

import (
	"sextant/internal/py"
	"sextant/internal/source"
)

func init() { Classes.Register(Class{runCircular}, "CircularSummarizer") }

// runCircular is CircularSummarizer(dataset_abbrs, metric_types,
// summary_groups): one row for each dataset, and for each model one column
// for each metric type. The class of OpenCompass 0.5.4 stops with a TypeError;
// this is the table that it means to write: the first header row names the
// models, the second one the metrics.
func runCircular(in Input, cfg *py.Dict) (*Output, error) {
	b := collect(in)
	b.addGroups(cfg.Get("summary_groups"))
	var types []string
	list := cfg.Get("metric_types")
	for i, it := range items(list) {
		s, ok := it.(string)
		if !ok {
			return nil, source.Errorf(itemPos(list, i), "a metric type must be a name")
		}
		types = append(types, s)
	}
	if len(types) == 0 {
		return nil, source.Errorf(cfg.At, "CircularSummarizer needs metric_types").WithHint(`write metric_types=["acc_1", "acc_4", "more_1", "perf_circular"]`)
	}
	head, second := []string{"dataset", "version", "mode"}, []string{"-", "-", "-"}
	t := &Table{Models: b.models}
	for _, m := range b.models {
		for _, k := range types {
			head, second = append(head, m), append(second, k)
		}
	}
	rows := [][]string{head, second}
	versions := b.versions()
	listed := cfg.Get("dataset_abbrs")
	if listed == nil {
		all := py.NewList()
		for _, a := range b.abbrs {
			all.Append(a, 0)
		}
		listed = all
	}
	for _, w := range b.wanted(listed) {
		version, isDataset := versions[w.name]
		if version == "" || len(b.metrics[w.name]) == 0 {
			version = "-"
		}
		mode := b.mode[w.name]
		if len(b.metrics[w.name]) == 0 {
			mode = "-"
		}
		line := []string{w.name, version, mode}
		own := make([]Row, len(types))
		for _, m := range b.models {
			for k, metric := range types {
				c := b.cell(m, w.name, metric)
				line = append(line, c.Text())
				own[k].Cells = append(own[k].Cells, c)
			}
		}
		rows = append(rows, line)
		for k := range own {
			own[k].Kind, own[k].Dataset, own[k].Metric, own[k].Mode, own[k].Group = Scores, w.name, types[k], mode, !isDataset
			if version != "-" {
				own[k].Version = version
			}
		}
		t.Rows = append(t.Rows, own...)
	}
	return b.output(rows, t, true), nil
}
