package pyconf

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sextant/internal/py"
	"sextant/internal/sharedtest"
)

var allOut = flag.String("all-datasets", "", "folder for the configs of all published datasets that TestAllDatasets loads")

// allDatasets writes a config that imports every list of datasets of every
// published file that loads, and puts four models beside them. With unique,
// of datasets that have one name only the first is kept. It returns how many
// files and how many datasets there are.
func allDatasets(t testing.TB, root string, unique bool) (text string, files, datasets int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("from mmengine.config import read_base\nfrom opencompass.models import HuggingFaceBaseModel\n\nwith read_base():\n")
	module := regexp.MustCompile(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$`)
	seen := map[string]bool{}
	name := func(d *py.Dict) string {
		if a := d.Str("abbr"); a != "" {
			return a
		}
		return d.Str("path")
	}
	cache := &Cache{}
	lists := 0
	err := filepath.WalkDir(filepath.Join(root, "opencompass", "configs", "datasets"), func(p string, e os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(p, ".py") {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		mod := strings.ReplaceAll(strings.TrimSuffix(filepath.ToSlash(rel), ".py"), "/", ".")
		if !module.MatchString(mod) {
			return nil // no import can name it
		}
		cfg, err := Load(context.Background(), rel, Options{Dir: root, Cache: cache, MaxTime: 10 * time.Minute})
		if err != nil {
			return nil // the original refuses it too: TestPublishedConfigs
		}
		used := false
		for _, e := range cfg.Data().Entries() {
			k, _ := e.Key.(string)
			l, ok := e.Val.(*py.List)
			if !ok || !strings.HasSuffix(k, "_datasets") || l.Len() == 0 {
				continue
			}
			for _, it := range l.Items {
				d, ok := it.(*py.Dict)
				if !ok || d.Dict("infer_cfg") == nil || d.Dict("reader_cfg") == nil || d.Dict("eval_cfg").Dict("evaluator").Len() == 0 {
					return nil // other data, or what nothing can run or score: PJExam, ojbench
				}
				if a := name(d); !unique || !seen[a] {
					datasets++
					seen[a] = true
				}
			}
			lists++
			used = true
			fmt.Fprintf(&b, "    from %s import %s as %s_%04d_datasets\n", mod, k, strings.TrimSuffix(k, "_datasets"), lists)
		}
		if used {
			files++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.WriteString("\ndatasets = sum((v for k, v in locals().items() if k.endswith('_datasets')), [])\n")
	if unique {
		b.WriteString("datasets = [*{d['abbr'] if 'abbr' in d else d['path']: d for d in reversed(datasets)}.values()][::-1]\n")
	}
	b.WriteString("\nmodels = [\n    dict(type=HuggingFaceBaseModel, abbr=abbr, path='facebook/' + abbr, max_out_len=100, batch_size=64, run_cfg=dict(num_gpus=0))\n" +
		"    for abbr in ['opt-125m', 'opt-350m', 'opt-1.3b', 'opt-2.7b']\n]\n")
	return b.String(), files, datasets
}

func TestAllDatasets(t *testing.T) {
	root := sharedtest.Published(t)
	for _, unique := range []bool{false, true} {
		text, files, datasets := allDatasets(t, root, unique)
		if *allOut != "" {
			name := map[bool]string{false: "all_datasets.py", true: "all_datasets_unique.py"}[unique]
			write(t, *allOut, name, text)
		}
		cfg, err := LoadText(context.Background(), "all_datasets.py", text, Options{Dir: root, MaxTime: 10 * time.Minute})
		if err != nil {
			t.Errorf("%.2000s", report(cfg.Files, err))
			continue
		}
		data := cfg.Data()
		if n := data.List("datasets").Len(); n != datasets {
			t.Errorf("%d datasets, want %d", n, datasets)
		}
		if n := data.List("models").Len(); n != 4 {
			t.Errorf("%d models, want 4", n)
		}
		t.Logf("%d files, %d datasets", files, datasets)
	}
}

// BenchmarkAllDatasets loads the config of all published datasets, and takes
// its data. What the program does besides is in tools/bench-all-datasets.sh.
func BenchmarkAllDatasets(b *testing.B) {
	root := sharedtest.Published(b)
	text, files, datasets := allDatasets(b, root, true)
	b.ReportAllocs()
	for b.Loop() {
		cfg, err := LoadText(context.Background(), "all_datasets.py", text, Options{Dir: root, MaxTime: 10 * time.Minute})
		if err != nil {
			b.Fatal(report(cfg.Files, err))
		}
		if n := cfg.Data().List("datasets").Len(); n != datasets {
			b.Fatalf("%d datasets, want %d", n, datasets)
		}
	}
	b.ReportMetric(float64(files), "files")
}
