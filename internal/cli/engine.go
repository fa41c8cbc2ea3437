package cli

import (
	"fmt"
	"runtime"

	"sextant/internal/model/engine"
)

// engineInfo says in one line how the inference engine was built.
func engineInfo() string {
	ok, isa := engine.BuildInfo()
	switch {
	case isa == "":
		return fmt.Sprintf("engine: none (built without it), %s, %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	case !ok:
		return fmt.Sprintf("engine: %s, not optimised, %s, %s/%s", isa, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	}
	return fmt.Sprintf("engine: %s, %s, %s/%s", isa, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// engineWarning is what to say at start about a slow build.
func engineWarning() string {
	if ok, isa := engine.BuildInfo(); isa != "" && !ok {
		return "this binary's inference engine was built without optimisation flags and is about thirty times slower than it could be; build with `make build`"
	}
	return ""
}
