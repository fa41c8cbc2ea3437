// Package demo holds the model of the demo, sextant/opt-demo, so that a real
// evaluation runs with no network and no download.
//
// It is a 4.3-million-parameter OPT (4 layers, hidden size 256, 4 heads, a
// byte-level vocabulary of 4,096, float16) in the folder form of
// facebook/opt-125m. It was trained for this project, from random weights, on
// the training splits of SocialIQA, CommonsenseQA and WinoGrande-XS; no weights
// of another model are in it. It comes under the project's licence,
// Apache-2.0. It is small on purpose: it beats chance on SocialIQA (38.3
// against 33.3) and does not on WinoGrande (50.5 against 50).
package demo

import (
	"embed"
	"io/fs"
)

// Name is the id under which configs name the model.
const Name = "sextant/opt-demo"

//go:embed opt-demo
var files embed.FS

// FS is the model folder. Its files can be read at any position.
func FS() fs.FS {
	sub, err := fs.Sub(files, "opt-demo")
	if err != nil {
		panic(err) // the name is a constant that go:embed has checked
	}
	return sub
}
