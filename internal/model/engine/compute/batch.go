// Package compute is the numeric half of the embedded engine: forward passes
// over a batch of tokens that form a forest of shared prefixes.
//
// ggml holds the graph, plans its memory, runs its threads and gives the small
// operations (norms, additions). The operations that cost time are kernels of
// our own, entered into the graph as custom operations: linear layers on packed
// weights, attention in which every token sees its own ancestors only, and a
// head that yields log-probabilities of wanted tokens without ever holding the
// logits of all. They are compiled for AVX-512, AVX2 and the baseline and
// chosen at start, so one binary serves every machine.
//
// A row of a batch gets the same bits whatever other rows are computed with
// it, however the prefix was shared and whether keys come from the batch or
// from memory: sums run in one fixed order. So scores do not depend on batch
// neighbours at all.
//
// The package knows no model architectures, no files and no scheduling. The
// blocking of the matrix product follows the published GotoBLAS scheme.
//
// All but this file needs cgo and the build tag "engine".
package compute

// Batch is what one forward pass works on. Rows are tokens; nodes cut them
// into stretches that follow one another.
type Batch struct {
	Tokens    []int32 // of each row
	Positions []int32 // of each row in its own sequence, from 0
	Nodes     []Node
	Ancestors []Ancestor
	Blocks    []*Block // what Node.Keep and Ancestor.Block count in

	// OutRows are the rows whose log-probabilities are wanted, ascending.
	// Those of OutRows[i] are Targets[OutFirst[i]:OutFirst[i+1]].
	OutRows  []int32
	OutFirst []int32
	Targets  []int32
	// LogProbs, as long as Targets, receives ln p(target | row and its ancestors).
	LogProbs []float64
	// Logits, if not nil, receives the whole vocabulary for each of OutRows.
	Logits []float32
}

// Reset empties b and keeps its memory.
func (b *Batch) Reset() {
	*b = Batch{Tokens: b.Tokens[:0], Positions: b.Positions[:0], Nodes: b.Nodes[:0], Ancestors: b.Ancestors[:0], Blocks: b.Blocks[:0],
		OutRows: b.OutRows[:0], OutFirst: b.OutFirst[:0], Targets: b.Targets[:0], LogProbs: b.LogProbs[:0]}
}

// Node is a stretch of rows that follow one another in one sequence. Its
// fields are laid out as the kernels read them.
type Node struct {
	Row, Len int32
	FirstRun int32 // Ancestors[FirstRun:FirstRun+Runs], oldest first
	Runs     int32
	Past     int32 // tokens in these runs: the position of the first row
	Keep     int32 // block that receives the keys and values, or -1
	KeepAt   int32 // first place in it
	// Pads, when above 0, makes the node one row of padding that stands for so
	// many: it attends to its ancestors and to all the padding alike, the way
	// a softmax over masked scores comes out.
	Pads int32
}

// Ancestor is a stretch of tokens that come before a node: rows of this batch
// (Block -1), or places in a block.
type Ancestor struct{ Block, Row, Len int32 }

// Activation of a linear layer's result.
type Activation int32

// The activations, as SX_ACT_* in kernels.h has them.
const (
	None Activation = iota
	ReLU
	GELU     // with the error function
	GELUTanh // the tanh approximation
	SiLU
)

// Type is the element type of weights in a checkpoint.
type Type int32

// The element types, as SX_F32 … in kernels.h has them.
const (
	F32 Type = iota
	F16
	BF16
)

// Size is the number of bytes of an element.
func (t Type) Size() int {
	if t == F32 {
		return 4
	}
	return 2
}
