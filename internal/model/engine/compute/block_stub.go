//go:build !engine || !cgo

package compute

// Block remembers keys and values; there are none in this build.
type Block struct{}

// Free gives the memory back.
func (b *Block) Free() {}
