package dataset

// Classes that read a user's own file: JsonlDataset, CustomDataset, and
// HFDataset where it names a local JSON or CSV file (path='json' or 'csv' with
// data_files), as opencompass/datasets/{jsonl,custom,huggingface}.py (0.5.4).
// The columns are those of the file; the licence is the file's.

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"

	"sextant/internal/py"
	"sextant/internal/source"
)

func init() {
	Classes.Register(Class{Load: loadJsonl}, "JsonlDataset")
	Classes.Register(Class{Load: loadCustom}, "CustomDataset")
	Classes.Register(Class{Load: loadHF}, "HFDataset")
}

func loadJsonl(ctx context.Context, args *py.Dict, src Source) (Data, error) {
	if err := checkArgs(args, "path"); err != nil {
		return Data{}, err
	}
	p, err := pathArg(args)
	if err != nil {
		return Data{}, err
	}
	t, err := readJSONL(ctx, src, p, "")
	return Data{Table: t}, err
}

func loadCustom(ctx context.Context, args *py.Dict, src Source) (Data, error) {
	if err := checkArgs(args, "path", "file_name", "local_mode"); err != nil {
		return Data{}, err
	}
	p, err := pathArg(args)
	if err != nil {
		return Data{}, err
	}
	name := ""
	if v, ok := args.Lookup("file_name"); ok && v != nil {
		if name, ok = v.(string); !ok {
			return Data{}, source.Errorf(args.PosOf("file_name"), "file_name must be a string, not %s", py.TypeName(v))
		}
	}
	file := name
	if file == "" {
		file = p
	}
	switch path.Ext(file) {
	case ".jsonl", ".csv":
	default:
		// An id may stand for a file of any name: the source knows.
		if name != "" || !strings.Contains(p, "/") || path.Ext(p) != "" {
			return Data{}, source.Errorf(args.PosOf("path"), "CustomDataset reads .jsonl and .csv files, not %q", file)
		}
	}
	b, err := src.ReadFile(ctx, p, name)
	if err != nil {
		return Data{}, err
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if path.Ext(file) == ".csv" {
		return Data{Table: CSVTable(b)}, nil
	}
	t, err := objectLines(file, b)
	return Data{Table: t}, err
}

// loadHF is load_dataset('json' or 'csv', data_files=…); with split one
// table, without a split called train.
func loadHF(ctx context.Context, args *py.Dict, src Source) (Data, error) {
	kind := args.Str("path")
	if kind != "json" && kind != "csv" {
		return Data{}, source.Errorf(args.PosOf("path"), "HFDataset reads local files only: path is %s", py.Repr(args.Get("path"))).
			WithHint("write path='json' (or 'csv') with data_files='./data/…'; data sets of a hub have to be downloaded first")
	}
	if err := checkArgs(args, "path", "data_files", "split"); err != nil {
		return Data{}, err
	}
	file, ok := args.Get("data_files").(string)
	if !ok || file == "" {
		return Data{}, source.Errorf(args.PosOf("data_files"), "data_files must name one file, not %s", py.TypeName(args.Get("data_files")))
	}
	b, err := src.ReadFile(ctx, file, "")
	if err != nil {
		return Data{}, err
	}
	var t Table
	if kind == "csv" {
		t = CSVTable(b)
	} else if t, err = jsonTable(file, b); err != nil {
		return Data{}, err
	}
	if s, ok := args.Lookup("split"); ok && s != nil {
		if s != "train" {
			return Data{}, source.Errorf(args.PosOf("split"), "a file given as data_files has only the split 'train', not %s", py.Repr(s))
		}
		return Data{Table: t}, nil
	}
	return Data{Splits: map[string]Table{"train": t}, Order: []string{"train"}}, nil
}

// jsonTable reads one JSON list of objects, or one object from each line.
func jsonTable(name string, b []byte) (Table, error) {
	if s := bytes.TrimLeft(b, " \t\r\n"); len(s) == 0 || s[0] != '[' {
		return objectLines(name, bytes.TrimRight(b, "\r\n"))
	}
	v, err := py.LoadJSON(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	l, ok := v.(*py.List)
	if !ok {
		return nil, fmt.Errorf("%s: a list of objects is expected, not %s", name, py.TypeName(v))
	}
	out := make(Table, l.Len())
	for i, it := range l.Items {
		if out[i], ok = it.(*py.Dict); !ok {
			return nil, fmt.Errorf("%s: item %d is not an object but %s", name, i, py.TypeName(it))
		}
	}
	return out, nil
}

// CSVTable is a file whose first record names the columns; what a short
// record lacks is None, what a long one has beyond is dropped.
func CSVTable(b []byte) Table {
	recs := csvRecords(string(b))
	if len(recs) == 0 {
		return nil
	}
	out := make(Table, len(recs)-1)
	for i, rec := range recs[1:] {
		row := py.NewDict()
		for k, col := range recs[0] {
			if k < len(rec) {
				row.Set(col, rec[k])
			}
		}
		out[i] = row
	}
	return out
}

// csvRecords is Python's csv.reader (dialect excel, not strict) over a file
// opened in text mode: a blank line is an empty record, a quote inside an
// unquoted field is itself, an open quote ends with the file.
func csvRecords(s string) (recs [][]string) {
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	const (
		startRecord = iota
		startField
		inField
		inQuotes
		quoteInQuotes
	)
	var rec []string
	var field []byte
	state := startRecord
	save := func() { rec, field = append(rec, string(field)), field[:0] }
	end := func() { recs, rec, state = append(recs, rec), nil, startRecord }
	for i := range len(s) {
		c := s[i]
		switch {
		case state == inQuotes && c == '"':
			state = quoteInQuotes
		case state == inQuotes:
			field = append(field, c)
		case c == '\n':
			if state != startRecord {
				save()
			}
			end()
		case state == quoteInQuotes && c == '"':
			field, state = append(field, c), inQuotes
		case c == ',':
			save()
			state = startField
		case (state == startRecord || state == startField) && c == '"':
			state = inQuotes
		default:
			field, state = append(field, c), inField
		}
	}
	if state != startRecord {
		save()
		end()
	}
	return recs
}
