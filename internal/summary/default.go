package summary

import (
	"path"
	"slices"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
)

func init() {
	Classes.Register(Class{runDefault}, "DefaultSummarizer")
	Classes.Register(Class{runMultiFaceted}, "MultiFacetedSummarizer")
}

// runDefault is DefaultSummarizer(dataset_abbrs=None, summary_groups=[]).
func runDefault(in Input, cfg *py.Dict) (*Output, error) {
	b := collect(in)
	b.addGroups(cfg.Get("summary_groups"))
	rows, t := b.table(b.wanted(cfg.Get("dataset_abbrs")), false)
	return b.output(rows, t, true), nil
}

// output makes the three files of a table.
func (b *board) output(rows [][]string, t *Table, markdown bool) *Output {
	txt := b.in.OutputPath
	if txt == "" {
		txt = "summary/summary_" + b.in.Time + ".txt"
	}
	base := strings.TrimSuffix(txt, ".txt")
	out := &Output{Plain: tabulate(rows), Tables: []*Table{t}, Warnings: b.warnings}
	if markdown {
		out.Markdown = markdownFile(rows)
	}
	out.Files = []File{
		{txt, []byte(textFile(b.in.Time, rows, out.Markdown, b.rawText()))},
		{base + ".csv", []byte(csvFile(rows))},
	}
	if markdown {
		out.Files = append(out.Files, File{base + ".md", []byte(out.Markdown)})
	}
	return out
}

// runMultiFaceted is MultiFacetedSummarizer(dataset_abbrs_list=[{name,
// dataset_abbrs}], summary_groups): one table for each profile that has rows.
func runMultiFaceted(in Input, cfg *py.Dict) (*Output, error) {
	b := collect(in)
	b.addGroups(cfg.Get("summary_groups"))
	out := &Output{}
	list := cfg.Get("dataset_abbrs_list")
	for i, it := range items(list) {
		p, ok := it.(*py.Dict)
		if !ok || p.Str("name") == "" {
			return nil, source.Errorf(itemPos(list, i), "a profile must be a dict with name and dataset_abbrs")
		}
		if strings.ContainsAny(p.Str("name"), "/\\") {
			return nil, source.Errorf(p.PosOf("name"), "the name of a profile becomes a file name and cannot hold a slash")
		}
		rows, t := b.table(b.wanted(p.Get("dataset_abbrs")), true)
		if len(rows) == 1 {
			continue
		}
		t.Title = p.Str("name")
		out.Tables = append(out.Tables, t)
		f := File{path.Join("summary/summary_"+in.Time, t.Title+".csv"), []byte(joinCSV(rows) + "\n")}
		// a name that comes twice names one file: the last has it
		out.Files = append(slices.DeleteFunc(out.Files, func(o File) bool { return o.Path == f.Path }), f)
		out.Plain += "\n" + t.Title + "\n" + tabulate(rows) + "\n"
	}
	out.Warnings = b.warnings
	return out, nil
}
