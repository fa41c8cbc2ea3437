package local

import (
	"slices"
	"testing"
	"time"

	"sextant/internal/py"
	"sextant/internal/runner"
	"sextant/internal/runner/runnertest"
)

func TestSuite(t *testing.T) {
	runnertest.Run(t, func(t *testing.T, s runnertest.Setup) runner.Runner {
		return New(Options{
			MaxNumWorkers: s.Workers, Command: s.Command, Environ: s.Environ, CPUs: 2,
			LostAfter: s.LostAfter, KillGrace: s.Grace, Poll: 50 * time.Millisecond,
		})
	})
}

func TestVisibleDevices(t *testing.T) {
	t.Parallel()
	four := func() int { return 4 }
	cases := []struct {
		value string
		set   bool
		want  []string
	}{
		{"", false, []string{"0", "1", "2", "3"}},
		{"", true, nil},
		{"2,0", true, []string{"2", "0"}},
		{" 1 , 3 ", true, []string{"1", "3"}},
		{"0,-1,2", true, []string{"0"}},
		{"-1", true, nil},
		{"NoDevFiles", true, nil},
		{"GPU-8932f937-d72c-4106-c12f-20bd9faed9f6,MIG-1-2", true, []string{"GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "MIG-1-2"}},
		{"1,1", true, []string{"1"}},
	}
	for _, c := range cases {
		if got := VisibleDevices(c.value, c.set, four); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.value, got, c.want)
		}
	}
}

func TestFromConfig(t *testing.T) {
	t.Parallel()
	var o Options
	notes := FromConfig(py.DictOf("type", "LocalRunner", "max_num_workers", 3, "max_workers_per_gpu", 2, "retry", 5, "task", nil, "debug", false, "keep_tmp_file", true), &o)
	if o.MaxNumWorkers != 3 || o.MaxWorkersPerGPU != 2 || !slices.Equal(notes, []string{"ignored argument of LocalRunner: retry=5"}) {
		t.Fatal(o, notes)
	}
}
