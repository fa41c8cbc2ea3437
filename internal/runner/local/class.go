package local

import (
	"sextant/internal/py"
	"sextant/internal/runner"
)

func init() {
	runner.Classes.Register(runner.Class{New: fromClass("LocalRunner")}, "LocalRunner")
	// LocalAPIRunner shares concurrent_users requests among its workers; here
	// all tasks of an endpoint are one worker's, which limits itself.
	runner.Classes.Register(runner.Class{New: fromClass("LocalAPIRunner")}, "LocalAPIRunner")
}

func fromClass(name string) func(*py.Dict, runner.Env) (runner.Runner, []string, error) {
	return func(cfg *py.Dict, env runner.Env) (runner.Runner, []string, error) {
		value, set := env.LookupEnv("CUDA_VISIBLE_DEVICES")
		if !set {
			value, set = env.LookupEnv("ASCEND_RT_VISIBLE_DEVICES")
		}
		o := Options{
			Command: env.Command, Environ: env.Environ, CPUs: env.CPUs, InProcess: env.InProcess, Log: env.Log,
			Devices: VisibleDevices(value, set, CountDevices),
		}
		own := cfg
		if name == "LocalAPIRunner" && cfg.Has("concurrent_users") {
			own = cfg.Copy()
			own.Delete("concurrent_users")
		}
		notes := FromConfig(own, &o)
		return New(o), notes, nil
	}
}
